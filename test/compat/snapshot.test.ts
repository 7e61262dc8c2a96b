// A snapshot of the server under test in the hands of etcd's own tools: saved by every etcdctl,
// looked into, restored, and served again by an etcd with the same keys, leases and hash.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Ctl, findBinaries } from './binaries.ts';
import { httpRequest } from './http-client.ts';
import type { Message } from './proto.ts';
import { MEMBER_FLAGS, olderThan, Server } from './servers.ts';
import { ask, EVERYTHING, fill, hashKv, leasesOf } from './snapshot-content.ts';

const run = promisify(execFile);
const KEYS = 3000;
const { node, ctls, restorers } = await findBinaries();
let ours: Server;
let dir: string;

beforeAll(async () => {
  ours = await Server.start({ label: 'ours', command: node });
  dir = await mkdtemp(join(tmpdir(), 'etcd-snapshot-'));
  await fill(ours, KEYS);
}, 120_000);

afterAll(async () => {
  await ours?.close();
  await rm(dir, { recursive: true, force: true });
});

describe.runIf(ctls.length > 0)('a snapshot', () => {
  it('is the same file for every etcdctl, and from the gateway', async () => {
    const [first, ...others] = await Promise.all(ctls.map((ctl) => save(ctl)));
    for (const other of others) expect(other.equals(first ?? Buffer.alloc(0))).toBe(true);
    const path = '/v3/maintenance/snapshot';
    const { status, body } = await httpRequest(ours.port, { method: 'POST', path, body: '{}' });
    expect(status).toBe(200);
    const results = body.trimEnd().split('\n').map(resultOf);
    const blobs = results.map(({ blob }) => Buffer.from(blob, 'base64'));
    expect(Buffer.concat(blobs).equals(first ?? Buffer.alloc(0))).toBe(true);
    expect(new Set(results.map(({ version }) => version))).toEqual(new Set(['3.7.0']));
    expect(results.at(-1)).not.toHaveProperty('remaining_bytes');
    const image = Buffer.concat(blobs.slice(0, -1));
    expect(results[0]?.remaining_bytes).toBe(String(image.length - 32 * 1024));
    expect(
      createHash('sha256')
        .update(image)
        .digest()
        .equals(blobs.at(-1) ?? image),
    ).toBe(true);
  });

  for (const tool of restorers) {
    it(`passes the checks of ${nameOf(tool)}`, async () => {
      const file = await saved();
      const { stdout } = await runTool(tool, ['snapshot', 'status', file, '-w', 'json']);
      const status = JSON.parse(stdout) as Message;
      const { header } = await hashKv(ours);
      expect(status['revision']).toBe(Number((header as Message)['revision']));
      if (olderThan(tool.version, 3, 6)) return;
      const live = await ask(ours, 'KV/Range', { ...EVERYTHING, count_only: true });
      expect(String(status['totalKey'])).toBe(live['count']);
      expect(status['version']).toBe('3.7.0');
    });

    it(`is restored by ${nameOf(tool)}, and served by etcd`, async () => {
      const file = await saved();
      const etcd = await Server.start({
        label: 'restored etcd',
        command: [tool.server],
        prepare: async (dataDir) => {
          const args = [...MEMBER_FLAGS, `--data-dir=${dataDir}`];
          await runTool(tool, ['snapshot', 'restore', file, ...args]);
        },
      });
      try {
        const everything = await Promise.all(
          [ours, etcd].map((s) => ask(s, 'KV/Range', EVERYTHING)),
        );
        const [kvs, theirs] = everything.map((answer) => answer['kvs']);
        expect(theirs).toEqual(kvs);
        const leases = await Promise.all([ours, etcd].map(leasesOf));
        expect(leases[1]).toEqual(leases[0]);
        const [hash, theirHash] = await Promise.all([hashKv(ours), hashKv(etcd)]);
        expect(theirHash['hash']).toBe(hash['hash']);
        expect(theirHash['compact_revision']).toBe(hash['compact_revision']);
        // It is a living database: bbolt rewrites and rebalances the pages from here on.
        await shrink(etcd);
      } finally {
        await etcd.close();
      }
    });
  }
});

/** Deletes nearly everything and compacts. */
async function shrink(server: Server): Promise<void> {
  const range = { key: Buffer.from('key/'), range_end: Buffer.from('large/4') };
  const deleted = await ask(server, 'KV/DeleteRange', range);
  expect(Number(deleted['deleted'])).toBeGreaterThan(KEYS / 2);
  const { revision } = deleted['header'] as Message;
  await ask(server, 'KV/Compact', { revision, physical: true });
  await ask(server, 'Maintenance/Defragment', {});
  const left = await ask(server, 'KV/Range', { ...EVERYTHING, count_only: true });
  expect(left['count']).toBe('1');
}

interface Line {
  readonly blob: string;
  readonly version: string;
  readonly remaining_bytes?: string;
}

function resultOf(line: string): Line {
  return (JSON.parse(line) as { result: Line }).result;
}

/** Saves with the newest etcdctl and answers the file's name. */
async function saved(): Promise<string> {
  const ctl = ctls.at(-1);
  if (ctl === undefined) throw new Error('no etcdctl');
  await save(ctl);
  return fileOf(ctl);
}

async function save(ctl: Ctl): Promise<Buffer> {
  const file = fileOf(ctl);
  await rm(file, { force: true });
  await runTool(ctl, ['snapshot', 'save', file, `--endpoints=${ours.endpoint}`]);
  return readFile(file);
}

function fileOf({ version }: Ctl): string {
  return join(dir, `${version}.db`);
}

function runTool({ path, version }: Ctl, args: readonly string[]) {
  const env = { PATH: process.env['PATH'] ?? '' };
  // Needed by 3.4, and a warning to 3.7.
  if (olderThan(version, 3, 6)) Object.assign(env, { ETCDCTL_API: '3' });
  return run(path, args, { env });
}

function nameOf({ path, version }: Ctl): string {
  return `${path.split('/').at(-1)} ${version}`;
}
