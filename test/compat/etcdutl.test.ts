// Our etcdutl beside etcd's: the same words to both, and snapshots of etcd restored by ours. What
// the tools print is compared byte by byte, without times, callers and lines about bbolt.
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BboltReader } from '../../src/bbolt/reader.ts';
import { allBuckets, bucketRange, keyInBucket } from '../../src/buckets.ts';
import { LevelEngine } from '../../src/platform/level-engine.ts';
import { sourceOf } from '../support/bytes-source.ts';
import { findBinaries } from './binaries.ts';
import {
  ClusterServers,
  endpoint,
  findSeats,
  foundingFlags,
  peerUrl,
  type Seat,
} from './cluster-servers.ts';
import type { Message } from './proto.ts';
import { childEnv, MEMBER_FLAGS, Server } from './servers.ts';
import { ask, EVERYTHING, fill, hashKv, leasesOf } from './snapshot-content.ts';

const run = promisify(execFile);
const { node, restorers, ctls } = await findBinaries();
const reference = restorers.find(({ path }) => path.endsWith('etcdutl'));
const ctl = ctls.at(-1);
const OURS = node.map((word) => word.replace(/etcd\.js$/, 'etcdutl.js'));
/** More for a long run: ETCDUTL_KEYS=1000000. */
const KEYS = Number(process.env['ETCDUTL_KEYS'] ?? 3000);
const FILL_MS_MAX = 120_000 + KEYS;

let dir: string;
let snapshot: string;
let theirs: Message;
let leases: unknown;
let pairs: Message;

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

describe.runIf(reference !== undefined && ctl !== undefined)('etcdutl', () => {
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'etcd-etcdutl-'));
    snapshot = join(dir, 'saved.db');
    const etcd = await Server.start({ label: 'etcd', command: [reference?.server ?? ''] });
    try {
      await fill(etcd, KEYS);
      await ask(etcd, 'Maintenance/Alarm', { action: 'ACTIVATE', alarm: 'NOSPACE' });
      for (const name of ['root', 'reader']) {
        await ask(etcd, 'Auth/UserAdd', { name, password: `of ${name}` });
        await ask(etcd, 'Auth/RoleAdd', { name });
        await ask(etcd, 'Auth/UserGrantRole', { user: name, role: name });
      }
      const perm = { permType: 'READ', key: Buffer.from('a'), range_end: Buffer.from('b') };
      await ask(etcd, 'Auth/RoleGrantPermission', { name: 'reader', perm });
      theirs = await hashKv(etcd);
      leases = await leasesOf(etcd);
      pairs = await ask(etcd, 'KV/Range', { ...EVERYTHING, keys_only: true });
      const endpoints = `--endpoints=${etcd.endpoint}`;
      await run(ctl?.path ?? '', ['snapshot', 'save', snapshot, endpoints], { env: childEnv() });
    } finally {
      await etcd.close();
    }
  }, FILL_MS_MAX);

  afterAll(() => rm(dir, { recursive: true, force: true }));

  for (const words of commandLines()) {
    it(`answers "${words.join(' ')}" as etcd's`, () => same(words));
  }

  for (const form of ['simple', 'json', 'table', 'fields', 'protobuf', 'other']) {
    it(`tells status and hash as etcd's in the form ${form}`, async () => {
      await same(['snapshot', 'status', snapshot, '-w', form]);
      // etcd's tool writes into the file it hashes.
      const copy = join(dir, 'copy.db');
      await copyFile(snapshot, copy);
      await same(['hashkv', copy, '-w', form]);
    });
  }

  it('hashes at a revision', async () => {
    const { header, compact_revision: compact } = theirs;
    const revision = Number((header as Message)['revision']);
    const copy = join(dir, 'copy.db');
    await copyFile(snapshot, copy);
    for (const rev of [revision, Number(compact), Number(compact) - 1, revision + 1, -1]) {
      await same(['hashkv', copy, '--rev', String(rev)]);
    }
    const { stdout } = await ours(['hashkv', snapshot, '-w', 'json']);
    expect(JSON.parse(stdout).hash).toBe(theirs['hash']);
  });

  it('restores what our server serves as etcd did', async () => {
    const server = await restored(['snapshot', 'restore', snapshot]);
    try {
      const hash = await hashKv(server);
      expect(hash['hash']).toBe(theirs['hash']);
      expect(hash['compact_revision']).toBe(theirs['compact_revision']);
      expect((hash['header'] as Message)['revision']).toBe(
        (theirs['header'] as Message)['revision'],
      );
      expect(await leasesOf(server)).toEqual(leases);
      const read = await ask(server, 'KV/Range', { ...EVERYTHING, keys_only: true });
      expect(read['count']).toBe(pairs['count']);
      expect(read['kvs']).toEqual(pairs['kvs']);
      const { alarms } = await ask(server, 'Maintenance/Alarm', { action: 'GET' });
      expect((alarms as Message[]).map(({ alarm }) => alarm)).toEqual([1]);
      await ask(server, 'Maintenance/Alarm', { ...(alarms as Message[])[0], action: 2 });
      await ask(server, 'KV/Put', { key: Buffer.from('after'), value: Buffer.from('restore') });
      await server.stop();
      const folder = join(server.dataDir, 'data');
      const after = await ours(['hashkv', folder, '-w', 'json']);
      expect(after.code).toBe(0);
      await ours(['defrag', '--data-dir', folder]);
      expect(await ours(['hashkv', folder, '-w', 'json'])).toEqual(after);
      await server.launch();
      expect((await hashKv(server))['hash']).toBe(JSON.parse(after.stdout).hash);
    } finally {
      await server.close();
    }
  });

  it('goes on beyond the revisions that clients have seen', async () => {
    const words = ['snapshot', 'restore', snapshot, '--bump-revision=1000000', '--mark-compacted'];
    const mine = await restored(words);
    const etcd = await restored(words, reference?.server ?? null);
    try {
      const [hash, other] = await Promise.all([hashKv(mine), hashKv(etcd)]);
      expect(hash['hash']).toBe(other['hash']);
      expect(hash['compact_revision']).toBe(other['compact_revision']);
      expect((hash['header'] as Message)['revision']).toBe(
        (other['header'] as Message)['revision'],
      );
      for (const server of [mine, etcd]) {
        const read = await ask(server, 'KV/Range', { ...EVERYTHING, keys_only: true });
        expect(read['kvs']).toEqual(pairs['kvs']);
        await ask(server, 'Maintenance/Alarm', { action: 'DEACTIVATE', alarm: 'NOSPACE' });
      }
    } finally {
      await Promise.all([mine.close(), etcd.close()]);
    }
  });

  it("restores a cluster whose members have etcd's ids", async () => {
    const seats = await findSeats(3);
    const wordsOf = (seat: Seat, dataDir: string): readonly string[] => [
      ...['snapshot', 'restore', snapshot, '--data-dir', dataDir, '--name', seat.name],
      ...['--initial-advertise-peer-urls', peerUrl(seat), ...foundingFlags(seats)],
    ];
    const cluster = await ClusterServers.found(node, seats, async (seat, dataDir) => {
      // The tools name the ids of cluster and members as they make them.
      await same(wordsOf(seat, dataDir), dataDir);
    });
    try {
      for (const seat of seats) {
        expect((await hashKv({ endpoint: endpoint(seat) }))['hash']).toBe(theirs['hash']);
      }
      const [first, ...others] = seats.map((seat) => ({ endpoint: endpoint(seat) }));
      if (first === undefined) throw new Error('no member');
      const { alarms } = await ask(first, 'Maintenance/Alarm', { action: 0 });
      for (const alarm of alarms as Message[]) {
        await ask(first, 'Maintenance/Alarm', { ...alarm, action: 2 });
      }
      await ask(first, 'KV/Put', { key: Buffer.from('after'), value: Buffer.from('restore') });
      for (const other of others) {
        const read = await ask(other, 'KV/Range', { key: Buffer.from('after') });
        expect(read['count']).toBe('1');
      }
    } finally {
      await cluster.close();
    }
  }, 120_000);

  it('brings every row along, users and roles among them', async () => {
    const folder = join(dir, 'rows');
    const { code } = await ours(['snapshot', 'restore', snapshot, '--data-dir', folder]);
    expect(code).toBe(0);
    const reader = await BboltReader.open(sourceOf(await readFile(snapshot)));
    const engine = await LevelEngine.open(join(folder, 'member/snap/db'));
    try {
      const found = await reader.buckets();
      for (const bucket of allBuckets) {
        if (['meta', 'members', 'members_removed'].includes(bucket.name)) continue;
        const expected: [string, string][] = [];
        const source = found.find(({ name }) => name === bucket.name);
        if (source === undefined) throw new Error(`no bucket ${bucket.name}`);
        for await (const items of reader.items(source)) {
          for (const { key, value } of items) expected.push([key, hexOf(value)]);
        }
        const rows = await engine.scan({ ...bucketRange(bucket), limit: expected.length + 1 });
        expect(rows.map(({ key, value }) => [keyInBucket(key), hexOf(value)])).toEqual(expected);
      }
    } finally {
      await engine.close();
    }
  });

  it('refuses folders that are taken, and touches nothing', async () => {
    const server = await Server.start({ label: 'ours', command: node });
    try {
      const data = join(server.dataDir, 'data');
      const before = await filesIn(data);
      await same(['snapshot', 'restore', snapshot, '--data-dir', data]);
      await same([
        'snapshot',
        'restore',
        snapshot,
        '--data-dir',
        join(dir, 'w'),
        '--wal-dir',
        data,
      ]);
      expect(await ours(['hashkv', data, '--timeout=100ms'])).toMatchObject({
        code: 1,
        stderr: 'Error: timeout\n',
      });
      expect(await filesIn(data)).toEqual(before);
      await ask(server, 'KV/Put', { key: Buffer.from('still'), value: Buffer.from('there') });
    } finally {
      await server.close();
    }
  });

  it('finds broken files, and leaves nothing behind', async () => {
    const whole = await readFile(snapshot);
    const broken = join(dir, 'broken.db');
    const target = join(dir, 'target');
    const flipped = Buffer.from(whole);
    flipped[whole.length >> 1] = (flipped[whole.length >> 1] ?? 0) ^ 1;
    const files = [
      flipped,
      whole.subarray(0, 10_000),
      whole.subarray(0, -4096),
      Buffer.alloc(9999),
    ];
    for (const bytes of files) {
      await writeFile(broken, bytes);
      await same(['snapshot', 'restore', broken, '--data-dir', target], target);
      const { code } = await ours(['snapshot', 'restore', broken, '--data-dir', target]);
      expect(code).toBe(1);
      expect(await readdir(dir)).not.toContain('target');
    }
    // Without its hash, only the pages can tell.
    await writeFile(broken, whole.subarray(0, whole.length >> 1));
    const skipping = ['snapshot', 'restore', broken, '--data-dir', target, '--skip-hash-check'];
    expect((await ours(skipping)).code).toBe(1);
    expect(await readdir(dir)).not.toContain('target');
    expect(await ours(['snapshot', 'status', broken])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^Error: snapshot file integrity check failed\./),
    });
    const handle = await open(broken, 'r+');
    await handle.truncate(0);
    await handle.close();
    expect((await ours(['snapshot', 'status', broken])).code).toBe(1);
  });
});

/** Without LevelDB's log of its own doings, which whoever looks for the lock turns over. */
async function filesIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder, { recursive: true });
  return names.filter((name) => !/\/LOG(\.old)?$/.test(name));
}

function commandLines(): readonly (readonly string[])[] {
  const restore = 'snapshot restore missing --data-dir target';
  return [
    '',
    'help',
    'help snapshot restore',
    'help nothing',
    '--help',
    'snap',
    'snapshot nothing',
    'snapshot status --help',
    'snapshot status',
    'snapshot status missing',
    'snapshot restore --help',
    'snapshot restore',
    'snapshot restore a b',
    restore,
    `${restore} --bump-revision 10`,
    `${restore} --mark-compacted`,
    `${restore} --bump-revision -1`,
    `${restore} --name x`,
    `${restore} --initial-cluster x=http://a:1,y=foo --name x`,
    `${restore} --initial-cluster default=http://localhost:1,y=http://localhost:1`,
    `${restore} --initial-advertise-peer-urls foo`,
    `${restore} --initial-advertise-peer-urls=`,
    `${restore} --initial-cluster=`,
    `${restore} --skip-hash-check=maybe`,
    'hashkv',
    'hashkv a b',
    'hashkv missing',
    'hashkv --rev x a',
    'hashkv --help',
    'defrag',
    'defrag --help',
    'defrag --data-dir missing',
    'migrate',
    'migrate --help',
    'migrate --data-dir missing --target-version 3',
    'migrate --data-dir missing --target-version 3.4',
    'migrate --data-dir missing --target-version 3.x',
    'migrate --data-dir missing --target-version 3.6',
    'version',
    'version --help',
    'version extra -w json',
    'version --nothing',
    'version -x',
    'version --timeout',
    'version --timeout=x',
    'version --=x',
    'completion',
    'completion --help',
    'completion csh',
    'nothing',
    'verson',
  ].map((line) => line.split(' ').filter((word) => word !== ''));
}

/** Both tools say the same; what etcd's leaves at `remove` is removed. */
async function same(words: readonly string[], remove: string | null = null): Promise<void> {
  const expected = await outcome([reference?.path ?? ''], words);
  if (remove !== null) await rm(remove, { recursive: true, force: true });
  expect(plain(await ours(words))).toEqual(plain(expected));
}

function ours(words: readonly string[]): Promise<Outcome> {
  return outcome(OURS, words);
}

async function outcome(command: readonly string[], words: readonly string[]): Promise<Outcome> {
  const [program = '', ...args] = command.map((word) =>
    word.endsWith('.js') ? resolve(word) : word,
  );
  try {
    const options = { env: childEnv(), cwd: dir };
    const { stdout, stderr } = await run(program, [...args, ...words], options);
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as Outcome;
    return { code, stdout, stderr };
  }
}

function plain({ code, stdout, stderr }: Outcome): Outcome {
  const lines = stderr.split('\n').filter((line) => !/\tbbolt\t|Trimming/.test(line));
  return {
    code,
    stdout,
    stderr: lines.map((line) => line.replace(/^\S+Z\t(\w+)\t[^\t]+\t/, '$1 ')).join('\n'),
  };
}

/** A server of ours, or the one given, on what the tool of its kind has restored. */
function restored(words: readonly string[], server: string | null = null): Promise<Server> {
  return Server.start({
    label: server === null ? 'ours, restored' : 'etcd, restored',
    command: server === null ? node : [server],
    prepare: async (dataDir) => {
      const tool = server === null ? OURS : [reference?.path ?? ''];
      const flags = [...MEMBER_FLAGS, `--data-dir=${dataDir}`];
      expect(await outcome(tool, [...words, ...flags])).toMatchObject({ code: 0 });
    },
  });
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
