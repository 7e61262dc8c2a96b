// Several processes of one implementation as one cluster on loopback. Two clusters that sit on the
// same seats one after the other have the same URLs, so the same member and cluster ids, which is
// what lets their answers be compared without masking these.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { httpRequest } from './http-client.ts';
import { childEnv, freePort, until } from './servers.ts';

const READY_MS_MAX = 60_000;
const STOP_MS_MAX = 15_000;
const LOG_BYTES_MAX = 64 * 1024;

/** A place for a member: its name and ports. */
export interface Seat {
  readonly name: string;
  readonly port: number;
  readonly peerPort: number;
}

export async function findSeats(count: number): Promise<readonly Seat[]> {
  const seats: Seat[] = [];
  for (let i = 1; i <= count; i++) {
    seats.push({ name: `m${i}`, port: await freePort(), peerPort: await freePort() });
  }
  return seats;
}

export function peerUrl({ peerPort }: Seat): string {
  return `http://127.0.0.1:${peerPort}`;
}

export function endpoint({ port }: Seat): string {
  return `127.0.0.1:${port}`;
}

/** What all members, and the tools that restore them, are told alike. */
export function foundingFlags(members: readonly Seat[]): readonly string[] {
  return [
    `--initial-cluster=${members.map((one) => `${one.name}=${peerUrl(one)}`).join(',')}`,
    '--initial-cluster-token=compat-cluster',
  ];
}

export class ClusterServers {
  readonly #command: readonly string[];
  readonly #dir: string;
  readonly #processes = new Map<string, ChildProcess>();
  readonly #logs = new Map<string, string>();

  private constructor(command: readonly string[], dir: string) {
    this.#command = command;
    this.#dir = dir;
  }

  /** A new cluster of the members of these seats, which serves when this resolves. */
  static async found(
    command: readonly string[],
    seats: readonly Seat[],
    prepare: (seat: Seat, dataDir: string) => Promise<void> = async () => {},
  ): Promise<ClusterServers> {
    const dir = await mkdtemp(join(tmpdir(), 'etcd-compat-cluster-'));
    const servers = new ClusterServers(command, dir);
    try {
      for (const seat of seats) await prepare(seat, join(dir, seat.name));
      for (const seat of seats) servers.launch(seat, { members: seats, state: 'new' });
      for (const seat of seats) await servers.whenReady(seat);
    } catch (error) {
      await servers.close();
      throw error;
    }
    return servers;
  }

  /** Members of any programs that find each other by these flags. */
  static async find(
    commands: readonly (readonly string[])[],
    seats: readonly Seat[],
    flags: (seat: Seat) => readonly string[],
  ): Promise<ClusterServers> {
    const dir = await mkdtemp(join(tmpdir(), 'etcd-compat-cluster-'));
    const servers = new ClusterServers([], dir);
    try {
      seats.forEach((seat, at) => {
        servers.#start(seat, commands[at % commands.length] ?? [], flags(seat));
      });
      for (const seat of seats) await servers.whenReady(seat);
    } catch (error) {
      await servers.close();
      throw error;
    }
    return servers;
  }

  launch(
    seat: Seat,
    { members, state }: { readonly members: readonly Seat[]; readonly state: 'new' | 'existing' },
  ): void {
    this.#start(seat, this.#command, [
      `--initial-advertise-peer-urls=${peerUrl(seat)}`,
      ...foundingFlags(members),
      `--initial-cluster-state=${state}`,
    ]);
  }

  #start(seat: Seat, command: readonly string[], flags: readonly string[]): void {
    const url = `http://${endpoint(seat)}`;
    const [program = '', ...args] = [
      ...command,
      `--name=${seat.name}`,
      `--data-dir=${join(this.#dir, seat.name)}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${peerUrl(seat)}`,
      ...flags,
    ];
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: childEnv() });
    this.#processes.set(seat.name, child);
    this.#logs.set(seat.name, '');
    const note = (text: string): void => {
      this.#logs.set(seat.name, (this.#log(seat) + text).slice(-LOG_BYTES_MAX));
    };
    child.on('error', (error) => note(error.message));
    child.stdout?.on('data', (chunk: Buffer) => note(chunk.toString('latin1')));
    child.stderr?.on('data', (chunk: Buffer) => note(chunk.toString('latin1')));
  }

  /** Serves, and knows the version of the cluster. */
  async whenReady(seat: Seat): Promise<void> {
    await until(
      `${seat.name} is ready`,
      async () => {
        if (!this.#isRunning(seat)) {
          throw new Error(`${seat.name} ended:\n${this.#log(seat).slice(-3000)}`);
        }
        try {
          const { body } = await httpRequest(seat.port, { method: 'GET', path: '/version' });
          return /"etcdcluster":"\d/.test(body) ? true : null;
        } catch {
          return null; // Not listening yet; the time for that is bounded.
        }
      },
      READY_MS_MAX,
    );
  }

  async stop(seat: Seat, signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const child = this.#processes.get(seat.name);
    if (child === undefined || !this.#isRunning(seat)) return;
    const gone = new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
    });
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
    await gone;
    clearTimeout(timer);
  }

  /** Resolves when the member has ended by itself. */
  async whenEnded(seat: Seat): Promise<void> {
    await until(`${seat.name} ends`, () => (this.#isRunning(seat) ? null : true), READY_MS_MAX);
  }

  async close(): Promise<void> {
    const seats = [...this.#processes.keys()].map((name) => ({ name, port: 0, peerPort: 0 }));
    await Promise.all(seats.map((seat) => this.stop(seat, 'SIGKILL')));
    await rm(this.#dir, { recursive: true, force: true });
  }

  #isRunning(seat: Seat): boolean {
    const child = this.#processes.get(seat.name);
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  #log(seat: Seat): string {
    return this.#logs.get(seat.name) ?? '';
  }
}
