// The log is etcd's: a real etcd starts on a log that we wrote, we read the log that it leaves, and
// each goes on where the other stopped. Runs against the etcd on the PATH, and against ETCD_GO_CMD
// when that names another one.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { encodeConfChange } from '../../src/codec/raftpb.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { systemDisk } from '../../src/platform/disk.ts';
import type { Entry } from '../../src/raft/messages.ts';
import type { ClusterId, MemberId } from '../../src/types.ts';
import { Wal } from '../../src/wal/wal.ts';

const ME = 0xfa9af9ca5be139a2n as MemberId;
const CLUSTER = 0x1654589ad810d13en as ClusterId;
const PEER_URL = 'http://127.0.0.1:23802';
const READY_MS_MAX = 30_000;
const options = { clock: systemClock, segmentBytes: 16_384 };
const commands = [...new Set(['etcd', process.env['ETCD_GO_CMD'] ?? 'etcd'])];

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function dataDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'etcd-wal-'));
  closing.push(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

interface Etcd {
  readonly post: (path: string, body: object) => Promise<Record<string, unknown>>;
  readonly stop: (signal: NodeJS.Signals) => Promise<void>;
}

async function startEtcd(command: string, dir: string): Promise<Etcd> {
  const [client, peer] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${client}`;
  const child: ChildProcess = spawn(
    command,
    [
      '--name=n1',
      `--data-dir=${dir}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=http://127.0.0.1:${peer}`,
      `--initial-advertise-peer-urls=${PEER_URL}`,
      `--initial-cluster=n1=${PEER_URL}`,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-20_000);
    });
  }
  const exited = once(child, 'exit');
  const stop = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await exited;
  };
  closing.push(() => stop('SIGKILL'));
  const post = async (path: string, body: object) => {
    const response = await fetch(`${url}${path}`, { method: 'POST', body: JSON.stringify(body) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return JSON.parse(text) as Record<string, unknown>;
  };
  const deadline = performance.now() + READY_MS_MAX;
  for (;;) {
    const isReady = await fetch(`${url}/health`).then(
      async (response) => (await response.text()).includes('"true"'),
      () => false,
    );
    if (isReady) return { post, stop };
    if (child.exitCode !== null || performance.now() > deadline) {
      throw new Error(`${command} is not ready\n${log}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const base64 = (text: string) => Buffer.from(text).toString('base64');

async function keysOf(etcd: Etcd): Promise<Record<string, string>> {
  const all = await etcd.post('/v3/kv/range', { key: base64('\0'), range_end: base64('\0') });
  const kvs = (all['kvs'] ?? []) as { key: string; value?: string }[];
  const text = (value: string) => Buffer.from(value, 'base64').toString();
  return Object.fromEntries(kvs.map((kv) => [text(kv.key), text(kv.value ?? '')]));
}

const put = (etcd: Etcd, key: string, value: string) =>
  etcd.post('/v3/kv/put', { key: base64(key), value: base64(value) });

const field = (tag: string, value: Uint8Array) =>
  Buffer.concat([Buffer.from(tag, 'hex'), Buffer.from([value.length]), value]);

/** `InternalRaftRequest { 4 put { 1 key; 2 value }; 100 header { 1 ID } }`, all parts short. */
function putData(id: number, key: string, value: string): Buffer {
  const request = Buffer.concat([field('0a', Buffer.from(key)), field('12', Buffer.from(value))]);
  return Buffer.concat([field('22', request), field('a206', Buffer.from([0x08, id]))]);
}

/** Key and value of every put among the entries. */
function putsIn(entries: readonly Entry[]): string[] {
  const puts: string[] = [];
  for (const { type, data } of entries) {
    if (type !== 'normal' || data[0] !== 0x22) continue;
    const request = Buffer.from(data).subarray(2);
    const key = request.subarray(2, 2 + request.readUInt8(1));
    const value = request.subarray(
      key.length + 4,
      key.length + 4 + request.readUInt8(key.length + 3),
    );
    puts.push(`${key}=${value}`);
  }
  return puts;
}

/** A log from nothing: the bootstrap change, a leader's empty entry, puts over some segments. */
async function writeLog(dir: string, puts: number): Promise<Record<string, string>> {
  await systemDisk.makeDir(`${dir}/member/snap`);
  const wal = await Wal.create(
    systemDisk,
    `${dir}/member/wal`,
    { memberId: ME, clusterId: CLUSTER },
    options,
  );
  const context = Buffer.from(`{"id":${ME},"peerURLs":["${PEER_URL}"],"name":"n1"}`);
  const member = encodeConfChange({ id: 0n, type: 'add-node', nodeId: ME, context });
  const bootstrap: Entry = { type: 'conf-change', term: 1, index: 1, data: member };
  const opening: Entry = { type: 'normal', term: 2, index: 2, data: Buffer.alloc(0) };
  const at = (term: number, commit: number) => ({ term, vote: term === 1 ? null : ME, commit });
  await wal.append({ entries: [bootstrap], hardState: at(1, 1), mustSync: true });
  await wal.append({ entries: [opening], hardState: at(2, 1), mustSync: true });
  const expected: Record<string, string> = {};
  for (let i = 0; i < puts; i++) {
    const [key, value, index] = [`key${i}`, `value ${i}`.padEnd(60, '.'), i + 3];
    expected[key] = value;
    const data = putData((i % 100) + 1, key, value);
    await wal.append({
      entries: [{ type: 'normal', term: 2, index, data }],
      hardState: at(2, index - 1),
      mustSync: true,
    });
  }
  await wal.append({ entries: [], hardState: at(2, puts + 2), mustSync: false });
  await wal.close();
  return expected;
}

describe.each(commands)('with %s', (command) => {
  test('a log from nothing is served, extended, read back and extended again', async () => {
    const dir = await dataDir();
    const expected = await writeLog(dir, 300);
    const walDir = `${dir}/member/wal`;
    expect((await systemDisk.list(walDir)).length).toBeGreaterThan(3);

    const first = await startEtcd(command, dir);
    expect(await keysOf(first)).toEqual(expected);
    await put(first, 'from-etcd', '1');
    await first.stop('SIGTERM');

    const back = await Wal.open(systemDisk, walDir, options);
    expect(back.metadata).toEqual({ memberId: ME, clusterId: CLUSTER });
    expect(back.repaired).toBeNull();
    expect(putsIn(back.entries).slice(-1)).toEqual(['from-etcd=1']);
    expect(putsIn(back.entries)).toHaveLength(301);
    const { term } = back.hardState;
    const index = back.entries.length + 1;
    await back.wal.append({
      entries: [{ type: 'normal', term, index, data: putData(77, 'from-us', '2') }],
      hardState: { term, vote: ME, commit: index },
      mustSync: true,
    });
    await back.wal.close();

    const second = await startEtcd(command, dir);
    expect(await keysOf(second)).toEqual({ ...expected, 'from-etcd': '1', 'from-us': '2' });
    await second.stop('SIGKILL');
    const last = await Wal.open(systemDisk, walDir, options);
    expect(putsIn(last.entries)).toHaveLength(302);
    expect(last.hardState.term).toBeGreaterThan(term);
    await last.wal.close();
  });

  test.each(['SIGTERM', 'SIGKILL'] as const)(
    'its own log after %s holds every put',
    async (signal) => {
      const dir = await dataDir();
      const etcd = await startEtcd(command, dir);
      const puts = Array.from({ length: 50 }, (_, i) => `k${i}=${'v'.repeat(i)}`);
      for (const text of puts)
        await put(etcd, text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1));
      await etcd.stop(signal);
      const back = await Wal.open(systemDisk, `${dir}/member/wal`, options);
      expect(back.repaired).toBeNull();
      expect(back.entries.map((entry) => entry.index)).toEqual(back.entries.map((_, i) => i + 1));
      expect(back.entries[0]?.type).toBe('conf-change');
      // etcd: an empty value is left out of the request.
      expect(putsIn(back.entries.slice(0)).filter((text) => !text.startsWith('k0='))).toEqual(
        puts.slice(1),
      );
      expect(back.hardState.vote).toBe(back.metadata.memberId);
      expect(back.hardState.commit).toBeGreaterThanOrEqual(back.entries.length - 1);
      await back.wal.close();
    },
  );
});
