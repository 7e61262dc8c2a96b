// One server process of either implementation on loopback ports of its own, with a data directory
// that outlives a kill. Two servers started with the same name, token and advertised peer URL have
// the same member and cluster id, which is what lets answers be compared without masking them.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { httpRequest } from './http-client.ts';

// Nothing listens on the advertised peer address: a lone member never dials itself.
export const ADVERTISED_PEER_URL = 'http://127.0.0.1:23801';
/** Who the member is; the tools that restore a snapshot take the same. */
export const MEMBER_FLAGS: readonly string[] = [
  '--name=twin',
  `--initial-advertise-peer-urls=${ADVERTISED_PEER_URL}`,
  `--initial-cluster=twin=${ADVERTISED_PEER_URL}`,
  '--initial-cluster-token=twin-token',
];
const ADVERTISED_CLIENT_URL = 'http://127.0.0.1:23790';
// A restored member may come with an alarm.
const HEALTH = '/health?exclude=NOSPACE';
const READY_MS_MAX = 30_000;
const STOP_MS_MAX = 10_000;
const LOG_BYTES_MAX = 64 * 1024;

export interface ServerOptions {
  readonly label: string;
  readonly command: readonly string[];
  readonly flags?: readonly string[];
  /** Puts something into the data directory, which does not exist yet, before the first start. */
  readonly prepare?: (dataDir: string) => Promise<void>;
  /** Advertise the real client address (member lists then differ between two servers). */
  readonly advertiseSelf?: boolean;
}

export class Server {
  readonly label: string;
  readonly port: number;
  readonly dataDir: string;
  readonly #command: readonly string[];
  #child: ChildProcess | null = null;
  #log = '';
  #version = '';

  private constructor(options: ServerOptions, ports: readonly [number, number], dir: string) {
    const [port, peerPort] = ports;
    this.label = options.label;
    this.port = port;
    this.dataDir = dir;
    const url = `http://127.0.0.1:${port}`;
    const advertised = options.advertiseSelf === true ? url : ADVERTISED_CLIENT_URL;
    this.#command = [
      ...options.command,
      ...MEMBER_FLAGS,
      `--data-dir=${join(dir, 'data')}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${advertised}`,
      `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
      '--initial-cluster-state=new',
      ...(options.flags ?? []),
    ];
  }

  static async start(options: ServerOptions): Promise<Server> {
    const dir = await mkdtemp(join(tmpdir(), 'etcd-compat-'));
    const server = new Server(options, [await freePort(), await freePort()], dir);
    try {
      await options.prepare?.(join(dir, 'data'));
      await server.launch();
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  get endpoint(): string {
    return `127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** The version the server reports for itself, such as 3.7.1. */
  get version(): string {
    return this.#version;
  }

  /** The last output of the process, for failure messages. */
  get log(): string {
    return this.#log;
  }

  get running(): boolean {
    const child = this.#child;
    return child !== null && child.exitCode === null && child.signalCode === null;
  }

  /** Starts the process on the data directory as it is and waits until it serves. */
  async launch(): Promise<void> {
    const [program = '', ...args] = this.#command;
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: childEnv() });
    this.#child = child;
    let failure = '';
    child.on('error', (error) => {
      failure = error.message;
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#log = (this.#log + chunk.toString('latin1')).slice(-LOG_BYTES_MAX);
      });
    }
    const deadline = Date.now() + READY_MS_MAX;
    for (;;) {
      if (failure !== '' || !this.running) {
        throw new Error(`${this.label} ended at start: ${failure}\n${this.#log.slice(-2000)}`);
      }
      if (await this.#healthy()) return;
      if (Date.now() > deadline) {
        throw new Error(`${this.label} is not ready:\n${this.#log.slice(-2000)}`);
      }
      await pause(15);
    }
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  /** Ends the process and removes the data. */
  async close(): Promise<void> {
    await this.stop();
    await rm(this.dataDir, { recursive: true, force: true });
  }

  async #healthy(): Promise<boolean> {
    try {
      const health = await httpRequest(this.port, { method: 'GET', path: HEALTH });
      if (health.status !== 200) return false;
      const version = await httpRequest(this.port, { method: 'GET', path: '/version' });
      const parsed = JSON.parse(version.body) as { etcdserver?: string; etcdcluster?: string };
      this.#version = parsed.etcdserver ?? '';
      // The cluster version is decided a moment after the first answer; it is raft traffic, so
      // waiting for it keeps log indexes of two servers equal.
      return /^\d/.test(parsed.etcdcluster ?? '');
    } catch {
      return false; // Not listening yet: the caller bounds how long that may last.
    }
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child;
    if (child === null || !this.running) return;
    const gone = new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
    });
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
    await gone;
    clearTimeout(timer);
  }
}

/** Bounded waiting for a condition, polled. The last value goes into the error. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | null> | T | null,
  boundMs = 15_000,
): Promise<T> {
  const deadline = Date.now() + boundMs;
  for (;;) {
    const value = await probe();
    if (value !== null) return value;
    if (Date.now() > deadline) throw new Error(`waited ${boundMs} ms in vain: ${what}`);
    await pause(5);
  }
}

/** Whether `version` is older than major.minor. */
export function olderThan(version: string, major: number, minor: number): boolean {
  const [a = 0, b = 0] = version.split('.').map(Number);
  return a < major || (a === major && b < minor);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

export function childEnv(): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {};
  for (const [key, value] of Object.entries(process.env)) {
    // Vitest's own variables and foreign ETCD_ settings must not configure the servers.
    if (!key.startsWith('ETCD') && !key.startsWith('VITEST') && key !== 'NODE_OPTIONS') {
      env[key] = value;
    }
  }
  return env;
}

const handedOut = new Set<number>();

/** One that nobody listens on, and that was not handed out before. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = await somePort();
    if (handedOut.has(port)) continue;
    handedOut.add(port);
    return port;
  }
}

async function somePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  if (address === null || typeof address === 'string') throw new Error('no loopback port');
  return address.port;
}
