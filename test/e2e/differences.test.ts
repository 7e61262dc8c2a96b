// Known differences from etcd that need no etcd to show: each case belongs to entries of
// docs/compat.md. When one fails because the difference is gone, its entry goes as well.
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { methodSchemas } from '../../src/codec/gen/schema.ts';
import { type Etcd, startEtcd } from '../../src/index.ts';

const UNIMPLEMENTED = [
  'Auth/AuthDisable',
  'Auth/AuthEnable',
  'Auth/AuthStatus',
  'Auth/Authenticate',
  'Auth/RoleAdd',
  'Auth/RoleDelete',
  'Auth/RoleGet',
  'Auth/RoleGrantPermission',
  'Auth/RoleList',
  'Auth/RoleRevokePermission',
  'Auth/UserAdd',
  'Auth/UserChangePassword',
  'Auth/UserDelete',
  'Auth/UserGet',
  'Auth/UserGrantRole',
  'Auth/UserList',
  'Auth/UserRevokeRole',
  'Cluster/MemberAdd',
  'Cluster/MemberPromote',
  'Cluster/MemberRemove',
  'Cluster/MemberUpdate',
  'Maintenance/Downgrade',
  'Maintenance/MoveLeader',
  'Maintenance/Snapshot',
];

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

it('answers Unimplemented for exactly these methods', async () => {
  const found: string[] = [];
  for (const { service, name, routes, clientStreaming } of methodSchemas) {
    const [route] = routes;
    if (route === undefined || clientStreaming || !service.startsWith('etcdserverpb.')) continue;
    const { text } = await post(route, '{}');
    if (text.includes('"code":12')) found.push(`${service.split('.')[1]}/${name}`);
  }
  expect(found.sort()).toEqual(UNIMPLEMENTED);
});

it('repeats the message of a gateway error as `error`', async () => {
  const { status, text } = await post('/v3/kv/put', '{}');
  const message = 'etcdserver: key is not provided';
  expect(status).toBe(400);
  expect(JSON.parse(text)).toMatchObject({ error: message, message, code: 3 });
});

it('refuses TLS', async () => {
  const options = { memory: true, listenClientUrls: ['https://127.0.0.1:0'] };
  await expect(startEtcd(options)).rejects.toThrow('TLS is not supported yet');
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
  expect(Object.keys(vars)).toEqual(['cmdline', 'raft.status', 'memstats']);
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
