/** A member inside another program: what `startEtcd` promises. */

import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { must } from '../src/assert.ts';
import { errors } from '../src/errors.ts';
import { type Etcd, type EtcdOptions, startEtcd } from '../src/index.ts';
import { readOptions } from '../src/mvcc/range.ts';
import { keyFromText, NO_LEASE } from '../src/types.ts';

let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'etcd-embed-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

function put(etcd: Etcd, key: string, value = 'v') {
  return etcd.services.kv.put({
    key: keyFromText(key),
    value: Buffer.from(value),
    lease: NO_LEASE,
    prevKv: false,
    ignoreValue: false,
    ignoreLease: false,
  });
}

async function count(etcd: Etcd, key: string): Promise<number> {
  const request = { ...readOptions(keyFromText(key)), serializable: false };
  return (await etcd.services.kv.range(request)).count;
}

async function withEtcd(options: EtcdOptions, use: (etcd: Etcd) => Promise<void>): Promise<void> {
  const etcd = await startEtcd(options);
  try {
    await use(etcd);
  } finally {
    await etcd.close();
  }
}

describe('in memory', () => {
  it('is ready for a linearizable write at once', async () => {
    await withEtcd({ memory: true }, async (etcd) => {
      const { header } = await put(etcd, 'a');
      expect(header).toMatchObject({ revision: 2 });
      expect(await count(etcd, 'a')).toBe(1);
    });
  });

  it('runs several times in one process, on ports of their own', async () => {
    const members = await Promise.all([1, 2, 3].map(() => startEtcd({ memory: true })));
    const urls = members.flatMap(({ clientUrls }) => clientUrls);
    expect(new Set(urls).size).toBe(3);
    for (const url of urls) expect(url).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
    const [one, two] = members;
    await put(must(one, 'the first'), 'a');
    expect(await count(must(two, 'the second'), 'a')).toBe(0);
    await Promise.all(members.map((member) => member.close()));
  });

  it('is closed by `await using`', async () => {
    let url = '';
    {
      await using etcd = await startEtcd({ memory: true });
      url = must(etcd.clientUrls[0], 'a URL');
      expect((await fetch(`${url}/version`)).status).toBe(200);
    }
    await expect(fetch(`${url}/version`)).rejects.toThrow();
  });

  it('closes once and then refuses calls', async () => {
    const etcd = await startEtcd({ memory: true });
    await Promise.all([etcd.close(), etcd.close()]);
    await expect(put(etcd, 'a')).rejects.toBe(errors.stopped);
  });

  it('answers what is under way before it closes', async () => {
    const etcd = await startEtcd({ memory: true });
    const answers = Array.from({ length: 50 }, () =>
      fetch(`${etcd.clientUrls[0]}/v3/kv/put`, { method: 'POST', body: '{"key":"YQ=="}' }),
    );
    await answers[0];
    await etcd.close();
    const settled = await Promise.allSettled(answers);
    // Each was answered, or never got in: nothing hangs, nothing fails half-way.
    for (const answer of settled) if (answer.status === 'fulfilled') await answer.value.json();
    expect(settled.some(({ status }) => status === 'fulfilled')).toBe(true);
  });

  it('ends watches and idle or silent connections at once', async () => {
    const etcd = await startEtcd({ memory: true });
    const { hostname, port } = new URL(must(etcd.clientUrls[0], 'a URL'));
    const agent = new Agent({ keepAlive: true });
    const idle = request({ hostname, port, path: '/version', agent }).end();
    await new Promise((resolve) => idle.on('response', (res) => res.resume().on('end', resolve)));
    const silent = connect(Number(port), hostname);
    await new Promise((resolve) => silent.on('connect', resolve));
    const watch = await fetch(`${etcd.clientUrls[0]}/v3/watch`, {
      method: 'POST',
      body: '{"create_request":{"key":"YQ=="}}',
    });
    const lines = watch.text();
    const started = performance.now();
    await etcd.close();
    expect(performance.now() - started).toBeLessThan(900);
    const [created, end] = (await lines).trim().split('\n');
    expect(JSON.parse(must(created, 'a line'))).toMatchObject({ result: { created: true } });
    expect(JSON.parse(must(end, 'a second line'))).toMatchObject({
      error: { message: 'etcdserver: server stopped' },
    });
    agent.destroy();
    silent.destroy();
  });
});

describe('on disk', () => {
  it('keeps what it was given', async () => {
    const dataDir = join(folder, 'kept');
    let ids: string[] = [];
    await withEtcd({ dataDir }, async (etcd) => {
      ids = [etcd.memberId, etcd.clusterId];
      for (let i = 0; i < 100; i++) await put(etcd, `k${i}`);
    });
    await withEtcd({ dataDir }, async (etcd) => {
      expect([etcd.memberId, etcd.clusterId]).toEqual(ids);
      expect(await count(etcd, 'k99')).toBe(1);
      expect((await put(etcd, 'more')).header).toMatchObject({ revision: 102 });
    });
  });

  it('refuses a folder that is in use, and leaves nothing open', async () => {
    const dataDir = join(folder, 'locked');
    await withEtcd({ dataDir }, async () => {
      await expect(startEtcd({ dataDir })).rejects.toMatchObject({
        name: 'EngineError',
        kind: 'locked',
      });
    });
    await withEtcd({ dataDir }, async (etcd) => {
      await put(etcd, 'a');
    });
  });

  it('refuses an address that is in use', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const address = taken.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const dataDir = join(folder, 'address');
    const listenClientUrls = [`http://127.0.0.1:${port}`];
    await expect(startEtcd({ dataDir, listenClientUrls })).rejects.toThrow(
      `listen tcp 127.0.0.1:${port}: bind: address already in use`,
    );
    await new Promise((resolve) => taken.close(resolve));
    await withEtcd({ dataDir, listenClientUrls }, async (etcd) => {
      expect(etcd.clientUrls).toEqual(listenClientUrls);
    });
  });
});

describe('the process', () => {
  it('ends by itself once the member is closed', async () => {
    const script = `
      import { startEtcd } from './dist/index.js';
      const etcd = await startEtcd({ memory: true });
      const url = etcd.clientUrls[0];
      const body = JSON.stringify({ key: 'YQ==', value: 'Yg==' });
      const put = await fetch(url + '/v3/kv/put', { method: 'POST', body });
      console.log((await put.json()).header.revision);
      await etcd.close();
    `;
    const run = promisify(execFile);
    const { stdout, stderr } = await run('node', ['--input-type=module', '-e', script], {
      timeout: 20_000,
    });
    expect([stdout, stderr]).toEqual(['2\n', '']);
  });
});
