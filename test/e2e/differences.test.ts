// Known differences from etcd that need no etcd to show: each case belongs to entries of
// docs/compat.md. When one fails because the difference is gone, its entry goes as well.
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { methodSchemas } from '../../src/codec/gen/schema.ts';
import { type Etcd, startEtcd } from '../../src/index.ts';
import { readOptions } from '../../src/mvcc/range.ts';
import { keyFromText } from '../../src/types.ts';

let etcd: Etcd;
let url: string;

beforeAll(async () => {
  etcd = await startEtcd({ memory: true });
  url = etcd.clientUrls[0] ?? '';
});
afterAll(() => etcd.close());

async function post(path: string, body: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`${url}${path}`, { method: 'POST', body });
  return { status: response.status, text: await response.text() };
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

it('has every method of etcd', async () => {
  const found: string[] = [];
  for (const { service, name, routes, clientStreaming } of methodSchemas) {
    const [route] = routes;
    if (route === undefined || clientStreaming || !service.startsWith('etcdserverpb.')) continue;
    const { text } = await post(route, '{}');
    if (text.includes('"code":12')) found.push(`${service.split('.')[1]}/${name}`);
  }
  expect(found).toEqual([]);
});

it('repeats the message of a gateway error as `error`', async () => {
  const { status, text } = await post('/v3/kv/put', '{}');
  const message = 'etcdserver: key is not provided';
  expect(status).toBe(400);
  expect(JSON.parse(text)).toMatchObject({ error: message, message, code: 3 });
});

it('cuts numbers that it tells back to 53 bits', async () => {
  const { text } = await post('/v3/maintenance/hashkv', '{"revision":"-9223372036854775808"}');
  expect(JSON.parse(text)).toMatchObject({ hash_revision: '-9007199254740991' });
  const body = '{"create_request":{"key":"YQ==","watch_id":"9007199254740995"}}';
  const response = await fetch(`${url}/v3/watch`, { method: 'POST', body });
  const chunk = await response.body?.getReader().read();
  expect(Buffer.from(chunk?.value ?? []).toString()).toContain('"watch_id":"9007199254740991"');
  await response.body?.cancel().catch(() => undefined);
});

it('streams a range in the order of keys whatever the sort target', async () => {
  for (let i = 0; i < 30; i++) {
    const key = base64(`sorted/${String(i).padStart(2, '0')}`);
    await post('/v3/kv/put', JSON.stringify({ key, value: base64(String(99 - i)) }));
  }
  const range = { key: keyFromText('sorted/'), rangeEnd: keyFromText('sorted0') };
  const request = { ...readOptions(range.key), ...range, sortTarget: 4, serializable: true };
  const found: number[] = [];
  await new Promise<void>((resolve, reject) => {
    const caller = {
      metadata: () => null,
      commonName: '',
      overGateway: false,
      cancelled: false,
      onCancel: () => () => undefined,
    };
    etcd.services.kv.rangeStream(request, caller, {
      send: ({ rangeResponse }) => found.push(rangeResponse?.kvs.length ?? 0),
      bufferedBytes: 0,
      onDrain: () => undefined,
      end: (error) => (error === null ? resolve() : reject(error)),
    });
  });
  expect(found).toEqual([10, 20]);
});

it('goes on answering during a defragmentation', async () => {
  await Promise.all([
    post('/v3/maintenance/defragment', '{}'),
    ...Array.from({ length: 50 }, (_, i) =>
      post('/v3/kv/put', JSON.stringify({ key: base64(`k${i}`), value: base64('v') })),
    ),
  ]);
  const { text } = await post('/v3/kv/range', `{"key":"${base64('k49')}"}`);
  expect(JSON.parse(text).count).toBe('1');
});

it('answers calls of the gateway beyond --max-concurrent-streams', async () => {
  const one = await startEtcd({ memory: true, maxConcurrentStreams: 1 });
  const ending = new AbortController();
  const [oneUrl = ''] = one.clientUrls;
  const watch = await fetch(`${oneUrl}/v3/watch`, {
    method: 'POST',
    body: `{"create_request":{"key":"${base64('k')}"}}`,
    signal: ending.signal,
  });
  const body = `{"key":"${base64('k')}"}`;
  const range = await fetch(`${oneUrl}/v3/kv/range`, { method: 'POST', body });
  expect([watch.status, range.status]).toEqual([200, 200]);
  ending.abort();
  await one.close();
});

it('counts the database in whole pages of logical bytes, from five pages on', async () => {
  const { text } = await post('/v3/maintenance/status', '{}');
  const { dbSize, dbSizeInUse } = JSON.parse(text) as { dbSize: string; dbSizeInUse: string };
  expect(Number(dbSize)).toBeGreaterThan(5 * 4096);
  expect(Number(dbSize) % 4096).toBe(0);
  expect(Number(dbSizeInUse)).toBeLessThanOrEqual(Number(dbSize));
});

it('has Node figures under go_* names, and no go-specific debug pages', async () => {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  expect(metrics).toMatch(/^go_info\{version="v\d+\./m);
  expect(metrics).toMatch(/^go_goroutines \d+/m);
  for (const page of ['/debug/requests', '/debug/events', '/debug/pprof/']) {
    expect((await fetch(`${url}${page}`)).status).toBe(404);
  }
  const vars = JSON.parse(await (await fetch(`${url}/debug/vars`)).text());
  const names = ['cmdline', 'file_descriptor_limit', 'raft.status', 'memstats'];
  expect(Object.keys(vars)).toEqual(names);
  expect(vars.memstats).toHaveProperty('heapUsed');
});

it('keeps its state in a LevelDB folder where etcd has one bbolt file', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'etcd-differences-'));
  const other = await startEtcd({ dataDir });
  await other.close();
  expect(await readdir(join(dataDir, 'member/snap'))).toEqual(['db']);
  expect(await readdir(join(dataDir, 'member/snap/db'))).toContain('CURRENT');
  await rm(dataDir, { recursive: true });
});

it('lists members to callers of the gateway, whoever they are', async () => {
  const locked = await startEtcd({ memory: true });
  const [origin = ''] = locked.clientUrls;
  const client = new Client(origin.replace('http://', ''), credentials.createInsecure());
  const ask = async (path: string, body: object, token?: string): Promise<string> => {
    const headers = token === undefined ? {} : { authorization: token };
    const init = { method: 'POST', body: JSON.stringify(body), headers };
    return await (await fetch(`${origin}${path}`, init)).text();
  };
  try {
    await ask('/v3/auth/user/add', { name: 'root', password: 'secret' });
    await ask('/v3/auth/role/add', { name: 'root' });
    await ask('/v3/auth/user/grant', { user: 'root', role: 'root' });
    await ask('/v3/auth/enable', {});
    expect(await ask('/v3/kv/range', { key: 'YQ==' })).toContain('user name is empty');
    expect(await ask('/v3/kv/range', { key: 'YQ==' }, 'none.1')).toContain('invalid auth token');
    expect(await ask('/v3/cluster/member/list', {})).toContain(origin);
    expect(await ask('/v3/cluster/member/list', {}, 'none.1')).toContain(origin);
    const same = (bytes: Buffer): Buffer => bytes;
    const [path, empty] = ['/etcdserverpb.Cluster/MemberList', Buffer.alloc(0)];
    const listed = new Promise((resolve, reject) => {
      client.makeUnaryRequest(path, same, same, empty, (error, answer) =>
        error === null ? resolve(answer) : reject(error),
      );
    });
    await expect(listed).rejects.toThrow('etcdserver: user name is empty');
  } finally {
    client.close();
    await locked.close();
  }
});
