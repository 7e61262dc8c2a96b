/**
 * A machine of the simulation: a disk, a place in the network, and at times a process that runs a
 * member on them. The process is put together as the server does it, on the ports' simulated twins.
 */

import { silentLog } from '../../src/log.ts';
import { seededRandom } from '../../src/platform/random.ts';
import { RowTable } from '../../src/platform/rows.ts';
import type { Engine } from '../../src/ports.ts';
import { type Bootstrapped, bootstrap, type Start } from '../../src/replica/bootstrap.ts';
import { BootstrapError } from '../../src/replica/founding.ts';
import { Replica } from '../../src/replica/replica.ts';
import { RequestIds } from '../../src/replica/request-ids.ts';
import type { States } from '../../src/replica/state-transfers.ts';
import { openStates } from '../../src/replica/states.ts';
import { Access } from '../../src/server/access.ts';
import { createLeaderCalls } from '../../src/server/leader-calls.ts';
import { createLease, type LeaseService } from '../../src/server/lease.ts';
import { MemberChanges } from '../../src/server/member-changes.ts';
import { createPrimaryLeases, type PrimaryLeases } from '../../src/server/primary-leases.ts';
import { DatabaseSize, Space } from '../../src/server/space.ts';
import type { LeaseId, MemberId } from '../../src/types.ts';
import { authOptions } from '../support/auth.ts';
import { InjectedFault, MachineDisk } from './disks.ts';
import type { Judge } from './judge.ts';
import { Life } from './life.ts';
import { type Network, SimPeers } from './network.ts';
import type { Trace } from './trace.ts';

export const TICK_MS = 100;
export const ELECTION_TICKS = 10;
const TIMEOUT_TICKS = 70;
const LEASE_TTL_MIN_SECONDS = 2;
const PUBLISH_MS = 1500;

export interface MachineSettings {
  readonly snapshotEntries: number;
  readonly catchUpEntries: number;
  readonly preVote: boolean;
  readonly strict: boolean;
}

export interface Surroundings {
  readonly network: Network;
  readonly judge: Judge;
  readonly trace: Trace;
  readonly settings: MachineSettings;
  /** Asks the member behind a peer URL to renew a lease. */
  readonly askForLease: (from: Machine, url: string, id: LeaseId) => Promise<number>;
  /** Ends the run: something happened that must not. */
  readonly failed: (error: unknown) => void;
  /** The member of this machine was elected. */
  readonly elected: (machine: Machine) => void;
  /** The process of this machine has ended. */
  readonly wentDown: (machine: Machine) => void;
}

/** A process that has come as far as serving. */
export interface Running {
  readonly life: Life;
  readonly replica: Replica;
  readonly started: Bootstrapped;
  readonly engine: Engine;
  readonly changes: MemberChanges;
  readonly primary: PrimaryLeases;
  readonly leases: LeaseService;
}

export class Machine {
  readonly number: number;
  readonly name: string;
  readonly disk: MachineDisk;
  readonly #around: Surroundings;
  readonly #seed: bigint;
  #lives = 0;
  #life: Life | null = null;
  #running: Running | null = null;
  /** How the process begins on an empty disk; `null`: the machine is spare. */
  begin: Start | null = null;
  /** The member that this machine runs, once it has been up. */
  memberId: MemberId | null = null;

  constructor(number: number, seed: bigint, around: Surroundings) {
    this.number = number;
    this.name = `m${number}`;
    this.#seed = seed;
    this.#around = around;
    this.disk = new MachineDisk(seededRandom(seed ^ 0x5eedn));
  }

  /** `null` while nothing answers here. */
  get running(): Running | null {
    return this.#running;
  }

  /** The process, also one that is still starting. */
  get life(): Life | null {
    return this.#life;
  }

  get peerUrl(): string {
    return `http://10.0.0.${this.number}:2380`;
  }

  say(text: string): void {
    const { trace, network } = this.#around;
    trace.add(network.timeline.nowMs, `${this.name} ${text}`);
  }

  boot(): void {
    if (this.#life !== null || this.begin === null) return;
    this.#lives++;
    this.say('starts');
    const life = new Life(this.#around.network.timeline, () => this.#ran(life));
    this.#life = life;
    const failed = (error: unknown): void => this.#fatal(life, error);
    life.run(() => {
      this.#open(life, failed).catch(failed);
    });
  }

  /** The process is no more, at once; its writes stay in the system's memory. */
  kill(): void {
    if (this.#life === null) return;
    this.say('is killed');
    this.#end(() => this.disk.processEnded());
  }

  losePower(): void {
    if (this.#life === null) return;
    this.say('loses power');
    this.#end(() => this.disk.powerLost());
  }

  /** The same in the midst of an operation of the disk. */
  interruptAfter(operations: number, how: 'kill' | 'power loss'): void {
    const life = this.#life;
    this.disk.interruptAfter(operations, () => {
      this.say(`${how} in an operation`);
      life?.end();
      this.#around.network.timeline.after(0, () => {
        if (this.#life !== life) return;
        this.#end(() => (how === 'kill' ? this.disk.processEnded() : this.disk.powerLost()));
      });
    });
  }

  /** Ends as a process does that is asked to. */
  stop(): void {
    const running = this.#running;
    if (running === null) return;
    this.say('is stopped');
    // Nobody is served any more.
    this.#running = null;
    const { life, replica, started, engine } = running;
    const close = async (): Promise<void> => {
      await replica.close();
      await started.wal.close();
      await engine.close();
      life.after(0, () => this.#end(() => this.disk.processEnded()));
    };
    life.run(() => {
      close().catch((error: unknown) => this.#fatal(life, error));
    });
  }

  #end(disk: () => void): void {
    this.#life?.end();
    this.#life = null;
    this.#running = null;
    disk();
    if (this.memberId !== null) this.#around.judge.ended(this.memberId);
    this.#around.wentDown(this);
  }

  #ran(life: Life): void {
    const running = this.#running;
    if (running !== null && running.life === life) this.#around.judge.check(running.started);
  }

  #fatal(life: Life, error: unknown): void {
    if (life.isOver) return;
    if (error instanceof BootstrapError && this.#isRemoved) {
      this.#removed(life);
      return;
    }
    if (!(error instanceof InjectedFault)) {
      life.end();
      this.#around.failed(new Error(`${this.name} ended`, { cause: error }));
      return;
    }
    this.say(`ends by ${error.message}`);
    life.end();
    // Not in the midst of what the process is doing.
    this.#around.network.timeline.after(0, () => {
      if (this.#life === life) this.#end(() => this.disk.processEnded());
    });
  }

  async #open(life: Life, failed: (error: unknown) => void): Promise<void> {
    const { disk, engine } = this.disk.open(life);
    await disk.makeDir('data');
    await disk.syncDir('');
    const rows = await RowTable.open(engine);
    const around = {
      tickMs: TICK_MS,
      requestTimeoutTicks: TIMEOUT_TICKS,
      learnersMax: 2,
      leaseTtlMinSeconds: LEASE_TTL_MIN_SECONDS,
      compactionBatchLimit: 10,
      breathe: () => new Promise<void>((resolve) => life.clock.defer(resolve)),
      onFatal: failed,
      auth: authOptions(this.#seed),
      space: () => true,
    };
    const started = await bootstrap({
      ...around,
      electionTicks: ELECTION_TICKS,
      disk,
      rows,
      walDir: 'data/wal',
      walsMax: 2,
      walObserver: { wrote() {}, synced() {}, snapshotSaved() {} },
      clock: life.clock,
      random: seededRandom((this.#seed << 20n) + BigInt(this.#lives)),
      start: this.begin,
      preVote: this.#around.settings.preVote,
    });
    this.memberId = started.memberId;
    this.say(`has read its disk: ${started.raft.appliedIndex} of ${started.raft.lastIndex}`);
    if (started.repaired !== null) this.#around.trace.count('torn logs repaired');
    const { stateMachine } = started;
    const states = await openStates({ ...around, disk, dir: 'data', engine, rows, stateMachine });
    this.#around.judge.joined(started);
    const parts = { started, rows, states };
    const replica = this.#newReplica(life, parts, failed);
    this.#running = { life, replica, started, engine, ...this.#services(life, replica, rows) };
    replica.start();
    this.#publish(life, replica);
  }

  /** What the server puts on top and the simulation needs. */
  #services(life: Life, replica: Replica, rows: RowTable) {
    const { strict } = this.#around.settings;
    const { clock } = life;
    const primary = createPrimaryLeases({ replica, checkpoints: false });
    const leases = createLease({
      replica,
      access: new Access({ replica, tokens: authOptions().tokens }),
      primary,
      askLeader: createLeaderCalls({
        replica,
        clock,
        requestTimeoutMs: TIMEOUT_TICKS * TICK_MS,
      }),
      peers: {
        leaseKeepAlive: (url, id) => this.#around.askForLease(this, url, id),
        leaseTimeToLive: () => Promise.reject(new Error('nobody asks')),
      },
      fastKeepAlive: true,
      tickMs: TICK_MS,
      monotonic: () => clock.monotonic(),
      space: new Space(replica, new DatabaseSize(rows), null),
      header: () => ({ clusterId: 0n as never, memberId: 0n as never, revision: 0, raftTerm: 0 }),
    });
    clock.every(TICK_MS, () => leases.tick(clock.monotonic()));
    const changes = new MemberChanges({ replica, strict, clock, log: silentLog() });
    return { primary, leases, changes };
  }

  /** A member tells its name until the cluster knows it. */
  #publish(life: Life, replica: Replica): void {
    const { memberId, stateMachine } = replica;
    life.after(PUBLISH_MS, () => {
      if (stateMachine.members.get(memberId)?.name === this.name) return;
      const memberAttributes = { name: this.name, clientUrls: [] };
      replica.propose('clusterMemberAttrSet', { memberId, memberAttributes }).catch(() => {});
      this.#publish(life, replica);
    });
  }

  #newReplica(
    life: Life,
    { started, rows, states }: { started: Bootstrapped; rows: RowTable; states: States },
    failed: (error: unknown) => void,
  ): Replica {
    const { network, settings, trace } = this.#around;
    const { memberId, remotes } = started;
    const peers = new SimPeers(network, { id: memberId, machine: this.number, life });
    return new Replica({
      tickMs: TICK_MS,
      electionTicks: ELECTION_TICKS,
      requestTimeoutTicks: TIMEOUT_TICKS,
      memberId,
      clusterId: started.clusterId,
      clock: life.clock,
      electionTickAdvance: true,
      requestBytesMax: 1_572_864,
      snapshotEntries: settings.snapshotEntries,
      catchUpEntries: settings.catchUpEntries,
      compactionSleepMs: 10,
      raft: started.raft,
      wal: started.wal,
      rows,
      stateMachine: started.stateMachine,
      requestIds: new RequestIds(memberId, life.clock.now()),
      cluster: { peers, states, remotes },
      confState: started.confState,
      snapshotIndex: started.snapshotIndex,
      compactionObserver: { began() {}, indexTrimmed() {}, rowsSeen() {}, finished() {} },
      observer: {
        rowsFlushed: () => trace.count('flushes'),
        entryApplied() {},
        readIndexRetried() {},
        readIndexTimedOut() {},
        readIndexOutdated() {},
        readIndexFailed() {},
        requestAnswered() {},
        proposalFailed() {},
        messageRefused: ({ type }, reason) => {
          throw new Error(`a member has refused ${type}: ${reason}`);
        },
        roleChanged: ({ lead, term }, self) => {
          if (lead !== self) return;
          trace.count('leaders');
          this.say(`leads at term ${term}`);
          this.#around.elected(this);
        },
        snapshotSaved: (index) => {
          trace.count('snapshots');
          this.say(`has marked a snapshot at ${index}`);
        },
        snapshotInstalled: (index) => {
          trace.count('states installed');
          this.say(`has installed a state at ${index}`);
        },
        quotaExceeded() {},
        leaseExpired() {},
      },
      onFatal: failed,
      onRemoved: () => this.#removed(life),
    });
  }

  get #isRemoved(): boolean {
    return this.memberId !== null && this.#around.judge.removed.has(this.memberId);
  }

  #removed(life: Life): void {
    this.say('was removed from the cluster');
    life.end();
    this.begin = null;
    this.#around.network.timeline.after(0, () => {
      if (this.#life === life) this.#end(() => this.disk.processEnded());
    });
  }
}
