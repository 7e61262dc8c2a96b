/**
 * The member under attack as a process, or two that leave a third place to the attacker, and what
 * can be seen of a process from outside: memory, descriptors, and its time on the processor.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Authority } from '../support/certificates.ts';
import { pause } from './wire.ts';

const LOG_CHARACTERS_MAX = 1 << 20;
/** What only a bug prints. */
const STACK = /\n\s+at .+\(?.+:\d+:\d+\)?|AssertionError|"level":"(?:panic|fatal|dpanic)"/;

export interface Usage {
  readonly residentMiB: number;
  readonly descriptors: number;
  /** Milliseconds for which the main thread has waited for a processor. */
  readonly waitedMs: number;
}

export class Member {
  readonly clientPort: number;
  readonly peerPort: number;
  readonly #child: ChildProcess;
  #log = '';
  #unread = '';
  #end: string | null = null;
  #isClosing = false;
  #stacks: string[] = [];

  constructor(
    command: readonly string[],
    ports: { readonly client: number; readonly peer: number },
  ) {
    this.clientPort = ports.client;
    this.peerPort = ports.peer;
    const [program = '', ...args] = command;
    const { PATH = '' } = process.env;
    this.#child = spawn(program, args, { env: { PATH }, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => this.#hear(chunk.toString('latin1')));
    }
    this.#child.once('close', (code, signal) => {
      this.#end = `${code ?? signal}`;
    });
  }

  #hear(text: string): void {
    this.#log = (this.#log + text).slice(-LOG_CHARACTERS_MAX);
    this.#unread = (this.#unread + text).slice(-20_000);
    if (!this.#isClosing && STACK.test(this.#unread)) {
      this.#stacks.push(this.#unread.slice(-4000));
      this.#unread = '';
    }
  }

  get log(): string {
    return this.#log;
  }

  /** How it ended, which it never should; `null` while it runs. */
  get end(): string | null {
    return this.#end;
  }

  /** What was printed since the last call that only a bug prints. */
  takeStacks(): readonly string[] {
    const stacks = this.#stacks;
    this.#stacks = [];
    return stacks;
  }

  usage(): Usage | null {
    const { pid } = this.#child;
    if (pid === undefined || this.#end !== null) return null;
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      const schedule = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8');
      return {
        residentMiB: Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024),
        descriptors: readdirSync(`/proc/${pid}/fd`).length,
        waitedMs: Number(schedule.split(' ')[1] ?? 0) / 1e6,
      };
    } catch {
      return null;
    }
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#child.kill('SIGKILL');
    while (this.#end === null) await pause(20);
  }
}

export interface Site {
  /** The first is under attack. */
  readonly members: readonly Member[];
  /** Of the place that is left to the attacker. */
  readonly ownPort: number;
  close(): Promise<void>;
}

export interface SiteOptions {
  readonly root: string;
  readonly isTls: boolean;
  /** Two members with a place for a third, which the attacker takes. */
  readonly hasPeers: boolean;
  /** Flags of the members beside those that are needed. */
  readonly flags: readonly string[];
}

export async function startSite({ root, isTls, hasPeers, flags }: SiteOptions): Promise<Site> {
  const dir = await mkdtemp(join(tmpdir(), 'etcd-fuzz-'));
  const scheme = isTls ? 'https' : 'http';
  const ports = await freePorts(5);
  const names = hasPeers ? ['a', 'b'] : ['a'];
  const place = names.map((name, i) => ({
    name,
    client: ports[2 * i] ?? 0,
    peer: ports[2 * i + 1] ?? 0,
  }));
  const ownPort = ports[4] ?? 0;
  const initial = place.map(({ name, peer }) => `${name}=${scheme}://127.0.0.1:${peer}`);
  if (hasPeers) initial.push(`c=http://127.0.0.1:${ownPort}`);
  const tls = isTls ? tlsFlags(dir) : [];
  const members = place.map(({ name, client, peer }) => {
    const urls = {
      client: `${scheme}://127.0.0.1:${client}`,
      peer: `${scheme}://127.0.0.1:${peer}`,
    };
    const settings = [
      `--name=${name}`,
      `--data-dir=${join(dir, name)}`,
      `--listen-client-urls=${urls.client}`,
      `--advertise-client-urls=${urls.client}`,
      `--listen-peer-urls=${urls.peer}`,
      `--initial-advertise-peer-urls=${urls.peer}`,
      `--initial-cluster=${initial.join(',')}`,
      '--log-level=warn',
    ];
    const node = [process.execPath, '--no-warnings', join(root, 'dist/etcd.js')];
    return new Member([...node, ...settings, ...tls, ...flags], { client, peer });
  });
  return {
    members,
    ownPort,
    async close() {
      for (const member of members) await member.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

function tlsFlags(dir: string): string[] {
  const authority = new Authority('fuzz', dir);
  const { certFile, keyFile } = authority.issue();
  return [
    `--cert-file=${certFile}`,
    `--key-file=${keyFile}`,
    `--peer-cert-file=${certFile}`,
    `--peer-key-file=${keyFile}`,
  ];
}

async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
