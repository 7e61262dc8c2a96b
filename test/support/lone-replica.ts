/** A member of one over a disk and an engine in memory, with a clock moved by hand. */

import { must } from '../../src/assert.ts';
import type { PutRequest } from '../../src/codec/gen/etcdserverpb.ts';
import { MemoryDisk } from '../../src/platform/memory-disk.ts';
import { MemoryEngine } from '../../src/platform/memory-engine.ts';
import { seededRandom } from '../../src/platform/random.ts';
import { RowTable } from '../../src/platform/rows.ts';
import type { Peers } from '../../src/ports.ts';
import {
  type BootstrapOptions,
  type Bootstrapped,
  bootstrap,
} from '../../src/replica/bootstrap.ts';
import { Replica } from '../../src/replica/replica.ts';
import type { ReplicaObserver, ReplicaOptions } from '../../src/replica/replica-options.ts';
import { RequestIds } from '../../src/replica/request-ids.ts';
import type { States } from '../../src/replica/state-transfers.ts';
import { type Key, keyFromText, type LeaseId, NO_LEASE } from '../../src/types.ts';
import { authOptions } from './auth.ts';
import { HandClock } from './hand-clock.ts';

export const TICK_MS = 100;
const ELECTION_TICKS = 10;
const TIMEOUT_TICKS = 70;

/** For members whose peers never get as far as a snapshot. */
const NO_STATES: States = {
  open: () => Promise.reject(new Error('no snapshots here')),
  receive: () => Promise.reject(new Error('no snapshots here')),
};

export interface LoneOptions {
  readonly bootstrap?: Partial<BootstrapOptions>;
  readonly replica?: Partial<ReplicaOptions>;
  readonly observer?: Partial<ReplicaObserver>;
  readonly peers?: Peers;
}

export class LoneReplica {
  readonly clock = new HandClock();
  readonly disk = new MemoryDisk();
  engine = new MemoryEngine();
  readonly fatal: unknown[] = [];
  /** Bytes of each WAL sync. */
  syncs = 0;
  written = 0;
  snapshots: number[] = [];
  leasesExpired = 0;
  roomBytes = Number.POSITIVE_INFINITY;
  #life = 0;
  #rows: RowTable | null = null;
  #started: Bootstrapped | null = null;
  #replica: Replica | null = null;

  get replica(): Replica {
    return must(this.#replica, 'the replica was started');
  }

  get started(): Bootstrapped {
    return must(this.#started, 'the replica was started');
  }

  get rows(): RowTable {
    return must(this.#rows, 'the replica was started');
  }

  static async start(options: LoneOptions = {}): Promise<LoneReplica> {
    const lone = new LoneReplica();
    await lone.open(options);
    return lone;
  }

  /** Opens what is on the disk, or founds a cluster, and lets it elect its leader. */
  async open(options: LoneOptions = {}): Promise<void> {
    const life = this.#life;
    const onFatal = (error: unknown): void => {
      // A life that has ended meets dead handles.
      if (life === this.#life) this.fatal.push(error);
    };
    const { clock } = this;
    await this.disk.makeDir('data');
    await this.disk.syncDir('');
    this.#rows = await RowTable.open(this.engine);
    const opening = bootstrap({
      disk: this.disk,
      rows: this.rows,
      walDir: 'data/wal',
      walsMax: 5,
      walObserver: {
        wrote: (bytes) => {
          this.written += bytes;
        },
        synced: () => {
          this.syncs++;
        },
        snapshotSaved() {},
      },
      clock,
      random: seededRandom(7),
      start: {
        kind: 'new',
        name: 'one',
        clusterToken: 'token',
        initialCluster: [{ name: 'one', peerUrls: ['http://127.0.0.1:2380'] }],
      },
      tickMs: TICK_MS,
      electionTicks: ELECTION_TICKS,
      requestTimeoutTicks: TIMEOUT_TICKS,
      preVote: true,
      learnersMax: 1,
      leaseTtlMinSeconds: 2,
      compactionBatchLimit: 10,
      breathe: () => new Promise((resolve) => clock.defer(resolve)),
      onFatal,
      auth: authOptions(),
      space: (cost) => cost < this.roomBytes,
      ...options.bootstrap,
    });
    this.#started = await this.whileRunning(opening);
    this.#replica = this.#newReplica(options, onFatal);
    this.replica.start();
    await clock.settle();
  }

  #newReplica(
    { replica, peers, observer }: LoneOptions,
    onFatal: (error: unknown) => void,
  ): Replica {
    const { started, clock } = this;
    return new Replica({
      memberId: started.memberId,
      clusterId: started.clusterId,
      clock,
      tickMs: TICK_MS,
      electionTicks: ELECTION_TICKS,
      requestTimeoutTicks: TIMEOUT_TICKS,
      requestBytesMax: 1_572_864,
      snapshotEntries: 10_000,
      catchUpEntries: 5000,
      compactionSleepMs: 10,
      raft: started.raft,
      wal: started.wal,
      rows: this.rows,
      stateMachine: started.stateMachine,
      requestIds: new RequestIds(started.memberId, clock.now()),
      electionTickAdvance: true,
      cluster: peers === undefined ? null : { peers, states: NO_STATES, remotes: [] },
      confState: started.confState,
      snapshotIndex: started.snapshotIndex,
      compactionObserver: { began() {}, indexTrimmed() {}, rowsSeen() {}, finished() {} },
      observer: {
        rowsFlushed() {},
        entryApplied() {},
        readIndexRetried() {},
        readIndexTimedOut() {},
        readIndexOutdated() {},
        readIndexFailed() {},
        requestAnswered() {},
        proposalFailed() {},
        messageRefused() {},
        roleChanged() {},
        snapshotInstalled() {},
        snapshotSaved: (index) => this.snapshots.push(index),
        quotaExceeded() {},
        leaseExpired: () => {
          this.leasesExpired++;
        },
        ...observer,
      },
      onFatal,
      onRemoved() {},
      ...replica,
    });
  }

  /** Waits for a promise while deferred work goes on. */
  async whileRunning<T>(promise: Promise<T>): Promise<T> {
    let isPending = true;
    const done = promise.finally(() => {
      isPending = false;
    });
    done.catch(() => {});
    while (isPending) await this.clock.settle();
    return done;
  }

  async close(): Promise<void> {
    await this.whileRunning(this.replica.close());
    await this.started.wal.close();
    await this.engine.close();
    this.clock.clear();
  }

  /** Ends the life without a word; `survives` decides about everything that was not synced. */
  crash(survives: () => boolean): void {
    this.#life++;
    this.clock.clear();
    this.disk.setFault(null);
    this.disk.crash(survives);
    this.engine = this.engine.restart();
  }

  async restart(options: LoneOptions = {}): Promise<void> {
    await this.close();
    this.#life++;
    this.engine = this.engine.restart();
    await this.open(options);
  }

  put(key: string, value = 'v', lease: LeaseId = NO_LEASE) {
    return this.replica.propose('put', putRequest(key, value, lease));
  }

  value(key: string): string | null {
    const { store } = this.started.stateMachine;
    const kv = store.latest(keyFromText(key));
    return kv === null ? null : Buffer.from(kv).toString('latin1');
  }
}

export function putRequest(
  key: string | Key,
  value = 'v',
  lease: LeaseId = NO_LEASE,
  more: Partial<PutRequest> = {},
): PutRequest {
  return {
    key: keyFromText(key),
    value: Buffer.from(value),
    lease,
    prevKv: false,
    ignoreValue: false,
    ignoreLease: false,
    ...more,
  };
}
