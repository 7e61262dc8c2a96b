// A disk that fills up: a small file system in memory, in a mount namespace that ends with the
// test, under the real program. Needs root and Linux. What was acknowledged is there afterwards.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nodeCommand } from '../compat/binaries.ts';
import { httpRequest } from '../compat/http-client.ts';
import { childEnv, freePort, until } from '../compat/servers.ts';

const DISK_MIB = 48;
const VALUE_BYTES = 64 * 1024;
const KEYS = 50;

/** Where this user may make mounts that nobody else sees. */
function canMount(): boolean {
  try {
    execFileSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/mnt'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

class SmallDisk {
  readonly #path = mkdtempSync(join(tmpdir(), 'etcd-small-disk-'));
  readonly #holder: ChildProcess;
  readonly #ports: readonly [number, number];
  #member: ChildProcess | null = null;
  #ended: Promise<number | null> = Promise.resolve(null);
  log = '';
  readonly acknowledged = new Map<string, string>();
  /** The value of a put without an answer, which may have been carried out. */
  readonly #unanswered = new Map<string, string>();

  private constructor(ports: readonly [number, number]) {
    this.#ports = ports;
    // It ends when its input does.
    const mount = `mount -t tmpfs -o size=${DISK_MIB}m none "$1" && echo mounted && cat`;
    this.#holder = spawn('unshare', ['-m', 'sh', '-c', mount, 'sh', this.#path]);
  }

  static async make(): Promise<SmallDisk> {
    const disk = new SmallDisk([await freePort(), await freePort()]);
    await new Promise<void>((resolve) => {
      disk.#holder.stdout?.once('data', () => resolve());
    });
    return disk;
  }

  /** What a shell says on this disk. */
  shell(script: string): string {
    const args = [...this.#inside(), 'sh', '-c', script, 'sh', this.#path];
    return execFileSync('nsenter', args, { encoding: 'utf8', stdio: 'pipe' });
  }

  /** Rows are in the engine, and the engine has done what it does behind them. */
  async settle(): Promise<void> {
    await this.post('/v3/maintenance/hash', {});
    const sizes: string[] = [];
    await until('nothing is written any more', () => {
      sizes.push(this.shell('du -sk "$1"'));
      return sizes.length > 20 && new Set(sizes.slice(-20)).size === 1 ? true : null;
    });
  }

  /** Leaves so many KiB free, or less: the member takes some too, meanwhile. */
  fill(kib: number): void {
    const free = Number(this.shell('df -k --output=avail "$1" | tail -1'));
    this.shell(`dd if=/dev/zero of="$1/filler" bs=1k count=${free - kib} 2>&1 || true`);
  }

  async start(): Promise<void> {
    const [client, peer] = this.#ports.map((port) => `http://127.0.0.1:${port}`);
    const flags = [
      `--data-dir=${this.#path}/data`,
      ...[`--listen-client-urls=${client}`, `--advertise-client-urls=${client}`],
      ...[`--listen-peer-urls=${peer}`, `--initial-advertise-peer-urls=${peer}`],
      ...[`--initial-cluster=default=${peer}`, '--snapshot-count=20'],
    ];
    const args = [...this.#inside(), ...nodeCommand(), ...flags];
    const member = spawn('nsenter', args, { env: childEnv() });
    this.#member = member;
    this.log = '';
    for (const stream of [member.stdout, member.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        this.log += chunk.toString('latin1');
      });
    }
    this.#ended = new Promise((resolve) => {
      member.once('close', resolve);
    });
    await until('a healthy member', async () => {
      const answer = await this.#ask('GET', '/health').catch(() => null);
      return answer?.status === 200 ? true : null;
    });
  }

  async post(path: string, body: object) {
    return await this.#ask('POST', path, JSON.stringify(body));
  }

  /** Whether it was acknowledged. */
  async put(i: number): Promise<boolean> {
    const key = base64(`k${i % KEYS}`);
    const value = randomBytes(VALUE_BYTES).toString('base64');
    const answer = await this.post('/v3/kv/put', { key, value }).catch(() => null);
    if (answer?.status !== 200) {
      this.#unanswered.set(key, value);
      return false;
    }
    this.acknowledged.set(key, value);
    return true;
  }

  /** Keys that do not hold what was acknowledged last. */
  async lost(): Promise<string[]> {
    const lost: string[] = [];
    for (const [key, value] of this.acknowledged) {
      const { body } = await this.post('/v3/kv/range', { key });
      const found = JSON.parse(body).kvs?.[0]?.value;
      if (found !== value && found !== this.#unanswered.get(key)) lost.push(key);
    }
    return lost;
  }

  /** The exit code. */
  ended(): Promise<number | null> {
    return this.#ended;
  }

  async remove(): Promise<void> {
    this.#member?.kill('SIGTERM');
    await this.#ended;
    const gone = new Promise((resolve) => {
      this.#holder.once('close', resolve);
    });
    this.#holder.stdin?.end();
    await gone;
    rmSync(this.#path, { recursive: true });
  }

  #inside(): string[] {
    return ['-t', String(this.#holder.pid), '-m', `--wd=${process.cwd()}`];
  }

  #ask(method: string, path: string, body?: string) {
    return httpRequest(this.#ports[0], { method, path, ...(body !== undefined && { body }) });
  }
}

describe.runIf(canMount())('a disk that fills up', { timeout: 120_000 }, () => {
  let disk: SmallDisk;

  beforeEach(async () => {
    disk = await SmallDisk.make();
    await disk.start();
  }, 60_000);

  afterEach(() => disk.remove());

  async function putMany(count: number): Promise<void> {
    for (let i = 0; i < count; i++) expect(await disk.put(i)).toBe(true);
  }

  it('by puts ends the member with a line that says so, and takes nothing back', async () => {
    for (let i = 0; await disk.put(i); i++) expect(i).toBeLessThan(10_000);
    expect(await disk.ended()).toBe(1);
    expect(disk.log).toMatch(/"fatal".*"member failed".*no space left on device/i);
    disk.shell(`mount -o remount,size=${4 * DISK_MIB}m "$1"`);
    await disk.start();
    expect(await disk.lost()).toEqual([]);
    expect(await disk.put(0)).toBe(true);
  });

  it('while compacting does so too, and the compaction is carried out afterwards', async () => {
    await putMany(4 * KEYS);
    disk.fill(0);
    const compaction = { revision: String(4 * KEYS), physical: true };
    await disk.post('/v3/kv/compaction', compaction).catch(() => null);
    // The log has room of its own for a while: what is flushed has none.
    for (let i = 0; i < 1000 && (await disk.put(i)); i++);
    expect(await disk.ended()).toBe(1);
    expect(disk.log).toMatch(/"fatal".*"member failed".*no space left on device/i);
    disk.shell('rm "$1/filler"');
    await disk.start();
    expect(await disk.lost()).toEqual([]);
    await disk.post('/v3/kv/compaction', compaction);
    const early = await disk.post('/v3/kv/range', { key: base64('k0'), revision: '3' });
    expect(early.body).toContain('required revision has been compacted');
  });

  it('refuses a defragmentation that finds no room, and goes on', async () => {
    await putMany(2 * KEYS);
    await disk.settle();
    disk.fill(3000);
    const refused = await disk.post('/v3/maintenance/defragment', {});
    expect(refused.status).toBe(500);
    expect(refused.body).toContain('no space left on device');
    expect(disk.log).toMatch(/"warn".*"failed to defragment"/);
    expect(await disk.put(0)).toBe(true);
    disk.shell('rm "$1/filler"');
    expect((await disk.post('/v3/maintenance/defragment', {})).status).toBe(200);
    expect(await disk.lost()).toEqual([]);
  });
});
