// One member: a server process at a host of its own, with a data directory that outlives it. The
// process ends with the tests, whatever happens to them. This file refuses to know of clusters.

import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from '../../compat/servers.ts';
import { Api } from './api.ts';
import type { Host } from './network.ts';
import type { Program } from './programs.ts';

const CLIENT_PORT = 2379;
const PEER_PORT = 2380;
const READY_LINE = 'ready to serve client requests';
const READY_MS_MAX = 40_000;
const STOP_MS_MAX = 20_000;
const TAIL_LINES = 10;
const TAIL_COLUMNS = 300;
const LOG_CHARACTERS_MAX = 1 << 20;

export interface MemberOptions {
  readonly name: string;
  readonly program: Program;
  readonly host: Host;
  /** Where data and log go. */
  readonly dir: string;
  readonly flags: readonly string[];
}

/** How a process ended. */
export interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Member {
  readonly name: string;
  readonly program: Program;
  readonly host: Host;
  readonly dataDir: string;
  readonly logPath: string;
  readonly api: Api;
  readonly #flags: readonly string[];
  readonly #logFile: WriteStream;
  #child: ChildProcess | null = null;
  #ended: Promise<End> = Promise.resolve({ code: null, signal: null });
  #log = '';

  constructor(options: MemberOptions) {
    this.name = options.name;
    this.program = options.program;
    this.host = options.host;
    this.#flags = options.flags;
    this.dataDir = join(options.dir, `${options.name}.etcd`);
    this.logPath = join(options.dir, `${options.name}.log`);
    this.#logFile = createWriteStream(this.logPath);
    this.api = new Api(this.endpoint);
  }

  get endpoint(): string {
    return `${this.host.address}:${CLIENT_PORT}`;
  }

  get peerUrl(): string {
    return peerUrlAt(this.host);
  }

  /** `name=url`, as in --initial-cluster. */
  get entry(): string {
    return `${this.name}=${this.peerUrl}`;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get running(): boolean {
    const child = this.#child;
    return child !== null && child.exitCode === null && child.signalCode === null;
  }

  /** What the process of the last launch has said, the end of it. */
  get log(): string {
    return this.#log;
  }

  /** Starts the process on the data directory as it is. */
  launch(initialCluster: string, state: 'new' | 'existing', more: readonly string[] = []): void {
    if (this.running) throw new Error(`${this.name} runs already`);
    const url = `http://${this.endpoint}`;
    const flags = [
      `--name=${this.name}`,
      `--data-dir=${this.dataDir}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${this.peerUrl}`,
      `--initial-advertise-peer-urls=${this.peerUrl}`,
      `--initial-cluster=${initialCluster}`,
      `--initial-cluster-state=${state}`,
      ...this.#flags,
      ...more,
    ];
    const mortal = ['setpriv', '--pdeathsig', 'KILL', '--', ...this.program.command, ...flags];
    const [program = '', ...args] = this.host.within(mortal);
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: childEnv() });
    this.#child = child;
    this.#log = '';
    this.#logFile.write(`\n==== ${this.program.label} ${flags.join(' ')}\n`);
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        this.#log = (this.#log + chunk.toString('latin1')).slice(-LOG_CHARACTERS_MAX);
        this.#logFile.write(chunk);
      });
    }
    this.#ended = new Promise((resolve) => {
      child.once('error', (error) => {
        this.#log += `${error.message}\n`;
        resolve({ code: -1, signal: null });
      });
      // Not `exit`: what it has said must be read to the end first.
      child.once('close', (code, signal) => resolve({ code, signal }));
    });
  }

  /** Resolves once it serves clients; throws when it ends instead. */
  async ready(msMax = READY_MS_MAX): Promise<void> {
    const serves = () => {
      if (this.#log.includes(READY_LINE)) return true;
      if (!this.running) throw new Error('it ended');
      return null;
    };
    await until(`${this.name} is ready`, serves, msMax).catch((error: Error) => {
      throw new Error(`${this.name} is not ready: ${error.message}\n${this.tail()}`);
    });
  }

  /** The last lines it said, without their ends. */
  tail(): string {
    const lines = this.#log.trimEnd().split('\n').slice(-TAIL_LINES);
    return lines.map((line) => line.slice(0, TAIL_COLUMNS)).join('\n');
  }

  /** How the process ended, once it has by itself. */
  async ended(msMax = STOP_MS_MAX): Promise<End> {
    let end: End | null = null;
    const watched = this.#ended.then((value) => {
      end = value;
    });
    await until(`${this.name} ends`, () => end, msMax);
    await watched;
    return this.#ended;
  }

  async kill(): Promise<void> {
    this.#signal('SIGKILL');
    await this.#ended;
  }

  /** SIGTERM, and its way of ending. */
  async stop(): Promise<End> {
    this.#signal('SIGTERM');
    return this.ended();
  }

  freeze(): void {
    this.#signal('SIGSTOP');
  }

  thaw(): void {
    this.#signal('SIGCONT');
  }

  async wipe(): Promise<void> {
    if (this.running) throw new Error(`${this.name} is running`);
    await rm(this.dataDir, { recursive: true, force: true });
  }

  async close(): Promise<void> {
    this.api.close();
    if (this.running) await this.kill();
    await new Promise<void>((resolve) => {
      this.#logFile.end(() => resolve());
    });
  }

  #signal(signal: NodeJS.Signals): void {
    const { pid } = this;
    if (!this.running || pid === 0) throw new Error(`${this.name} is not running`);
    process.kill(pid, signal);
  }
}

export function peerUrlAt(host: Host): string {
  return `http://${host.address}:${PEER_PORT}`;
}

/** Settings of the tests, or of another etcd, must not become the member's. */
function childEnv(): NodeJS.ProcessEnv {
  const foreign = (key: string) => /^(ETCD|VITEST|CLUSTER_)/.test(key) || key === 'NODE_OPTIONS';
  return Object.fromEntries(Object.entries(process.env).filter(([key]) => !foreign(key)));
}
