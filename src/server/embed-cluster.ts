/**
 * Embedding: a whole cluster inside one program, with members that can be stopped, restarted and
 * cut off from each other. The members are ordinary ones that reach each other over loopback.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { must } from '../assert.ts';
import { systemClock } from '../platform/clock.ts';
import type { MemberId } from '../types.ts';
import { MemoryFolder } from './data-folder.ts';
import { type EmbeddedMember, type Etcd, type EtcdOptions, openEtcd } from './embed.ts';
import type { Links } from './severable-peers.ts';

/** Options for every member; what names a single one is chosen by the cluster. */
export type ClusterOptions = Omit<
  EtcdOptions,
  | 'name'
  | 'initialCluster'
  | 'initialClusterState'
  | 'listenPeerUrls'
  | 'listenClientUrls'
  | 'advertiseClientUrls'
  | 'initialAdvertisePeerUrls'
  | 'walDir'
>;

export interface EtcdCluster extends AsyncDisposable {
  /** `m1`, `m2` and so on. */
  readonly names: readonly string[];
  /** Of all members that run. */
  readonly clientUrls: readonly string[];
  /** Throws for a name that is not of this cluster, or of a member that does not run. */
  member(name: string): Etcd;
  /** The member that leads; waits until there is one, at most as long as ten election timeouts. */
  leader(): Promise<Etcd>;
  stop(name: string): Promise<void>;
  /** Starts a stopped member again, on its old ports and with what it had written. */
  restart(name: string): Promise<Etcd>;
  /**
   * Members of one group reach each other and nobody else; those in no group reach nobody. It lasts
   * until `heal`, and holds for members that are restarted meanwhile.
   */
  partition(...groups: readonly (readonly string[])[]): void;
  heal(): void;
  /** Stops what runs and removes the data folders that the cluster made. */
  close(): Promise<void>;
}

interface Seat {
  readonly name: string;
  readonly options: EtcdOptions;
  readonly folder: MemoryFolder | null;
  readonly links: Links;
  memberId: MemberId | null;
  running: EmbeddedMember | null;
}

/**
 * Starts `size` members and resolves when the first linearizable write would succeed on each. With
 * `dataDir` every member has a folder of its own in it; without it, and without `memory`, folders
 * are temporary.
 */
export async function startCluster(
  size: number,
  options: ClusterOptions = {},
): Promise<EtcdCluster> {
  const isMemory = options.memory === true;
  const ownDir =
    isMemory || options.dataDir !== undefined ? null : await mkdtemp(join(tmpdir(), 'etcd-'));
  const baseDir = options.dataDir ?? ownDir;
  const seats = Array.from({ length: size }, (_, i): Seat => {
    const name = `m${i + 1}`;
    const dataDir = baseDir === null ? undefined : join(baseDir, name);
    return {
      name,
      options: { ...options, name, ...(dataDir === undefined ? {} : { dataDir }) },
      folder: isMemory ? new MemoryFolder() : null,
      links: { severed: new Set() },
      memberId: null,
      running: null,
    };
  });
  const cluster = new Cluster(seats, ownDir);
  try {
    await cluster.found();
  } catch (error) {
    await cluster.close();
    throw error;
  }
  return cluster;
}

const ELECTIONS_WAITED = 10;

class Cluster implements EtcdCluster {
  readonly #seats: Seat[];
  readonly #ownDir: string | null;
  #initialCluster = '';
  /** Which members reach which; `null`: all of them. */
  #groups: readonly (readonly string[])[] | null = null;

  constructor(seats: Seat[], ownDir: string | null) {
    this.#seats = seats;
    this.#ownDir = ownDir;
  }

  async found(): Promise<void> {
    const opened = await Promise.all(
      this.#seats.map(async (seat) => ({
        seat,
        etcd: await openEtcd(seat.options, seat.folder, seat.links),
      })),
    );
    this.#initialCluster = opened
      .flatMap(({ seat, etcd }) => etcd.peerUrls.map((url) => `${seat.name}=${url}`))
      .join(',');
    const started = opened.map(async ({ seat, etcd }, i) => {
      const { clientUrls: listenClientUrls, peerUrls: listenPeerUrls } = etcd;
      const options = { ...seat.options, listenClientUrls, listenPeerUrls };
      const running = await etcd.start(this.#initialCluster);
      this.#seats[i] = { ...seat, options, running, memberId: running.member.memberId };
    });
    const outcomes = await Promise.allSettled(started);
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    // Nobody can join before.
    await this.#whenFound('the version of the cluster was not decided', () =>
      this.#seats.every(({ running }) => isVersioned(running)) ? true : undefined,
    );
  }

  get names(): readonly string[] {
    return this.#seats.map(({ name }) => name);
  }

  get clientUrls(): readonly string[] {
    return this.#seats.flatMap(({ running }) => running?.etcd.clientUrls ?? []);
  }

  member(name: string): Etcd {
    return must(this.#seat(name).running, `member ${name} runs`).etcd;
  }

  leader(): Promise<Etcd> {
    return this.#whenFound('no member leads', () => {
      return this.#seats.find(({ running }) => running?.etcd.isLeader)?.running?.etcd;
    });
  }

  /** What `look` finds, now or within some election timeouts. */
  #whenFound<T>(otherwise: string, look: () => T | undefined): Promise<T> {
    const now = look();
    if (now !== undefined) return Promise.resolve(now);
    const { heartbeatInterval = 100, electionTimeout = 1000 } = this.#seats[0]?.options ?? {};
    let triesLeft = (ELECTIONS_WAITED * electionTimeout) / heartbeatInterval;
    return new Promise((resolve, reject) => {
      const stop = systemClock.every(heartbeatInterval, () => {
        const found = look();
        if (found === undefined && --triesLeft > 0) return;
        stop();
        if (found === undefined) reject(new Error(otherwise));
        else resolve(found);
      });
    });
  }

  async stop(name: string): Promise<void> {
    const seat = this.#seat(name);
    const { running } = seat;
    seat.running = null;
    await running?.etcd.close();
  }

  async restart(name: string): Promise<Etcd> {
    const seat = this.#seat(name);
    await this.stop(name);
    const opened = await openEtcd(seat.options, seat.folder, seat.links);
    seat.running = await opened.start(this.#initialCluster);
    return seat.running.etcd;
  }

  partition(...groups: readonly (readonly string[])[]): void {
    this.#groups = groups;
    this.#sever();
  }

  heal(): void {
    this.#groups = null;
    this.#sever();
  }

  async close(): Promise<void> {
    // One after the other, so that a leader that hands over finds somebody who stays.
    for (const { name } of this.#seats) await this.stop(name);
    if (this.#ownDir !== null) await rm(this.#ownDir, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #seat(name: string): Seat {
    return must(
      this.#seats.find((seat) => seat.name === name) ?? null,
      `${name} is a member of the cluster`,
    );
  }

  #sever(): void {
    for (const seat of this.#seats) {
      const severed = this.#seats.filter((other) => !this.#reaches(seat.name, other.name));
      seat.links.severed = new Set(severed.flatMap(({ memberId }) => memberId ?? []));
    }
  }

  #reaches(from: string, to: string): boolean {
    if (from === to || this.#groups === null) return true;
    return this.#groups.some((group) => group.includes(from) && group.includes(to));
  }
}

function isVersioned(running: EmbeddedMember | null): boolean {
  return running !== null && running.member.replica.stateMachine.clusterVersion !== '';
}
