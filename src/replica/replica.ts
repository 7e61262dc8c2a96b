/**
 * The only loop of a member. Everything that happens (proposals, reads, messages, ticks, a finished
 * disk write) is an input; one turn takes in all that is waiting, so a burst of proposals becomes
 * one WAL write and one fsync without anybody deciding to batch.
 *
 * Invariant: entries are fsynced before they are applied or acknowledged. Rows reach the engine
 * later, in one synced batch with the applied index, and only then is the WAL released. So recovery
 * has one case: replay what lies between the engine's applied index and the WAL's commit.
 *
 * An error of the disk or a failed assertion ends the member through `onFatal`: from then on
 * nothing is acknowledged, and whoever waits is told that the server stopped, so that the outcome
 * is unknown. It knows nothing of transports, and of time only what ticks tell it.
 */

import { AlarmAction, AlarmType, encodeInternalRaftRequest } from '../codec/gen/etcdserverpb.ts';
import { encode } from '../codec/wire.ts';
import { EtcdError, errors } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Clock, Peers, StagedRows, Stop } from '../ports.ts';
import type { ConfChange, ConfState, Entry, Message } from '../raft/messages.ts';
import type { Persist, Raft, RaftStatus, Ready } from '../raft/raft.ts';
import type { ClusterId, Index, LeaseId, MemberId, Term } from '../types.ts';
import type { Wal } from '../wal/wal.ts';
import { AppliedWaiters } from './applied-waiters.ts';
import type { CommandOf, Outcomes, ProposalKind, Result } from './outcome.ts';
import { Proposals } from './proposals.ts';
import { ReadBarriers } from './read-barriers.ts';
import type { RequestIds } from './request-ids.ts';
import type { StateMachine } from './state-machine.ts';

/** What the replica reports while it works; everything else is read from it when asked. */
export interface ReplicaObserver {
  rowsFlushed(seconds: number): void;
  entryApplied(kind: string, seconds: number): void;
  /** A request proposed here was answered, so long after it began. */
  requestAnswered(kind: string, seconds: number): void;
  proposalFailed(): void;
  leaderChanged(lead: MemberId | null, term: Term, self: MemberId): void;
  snapshotSaved(index: Index): void;
  leaseExpired(): void;
}

export interface ReplicaOptions {
  readonly memberId: MemberId;
  readonly clusterId: ClusterId;
  readonly clock: Clock;
  readonly tickMs: number;
  readonly electionTicks: number;
  readonly requestTimeoutTicks: number;
  readonly requestBytesMax: number;
  readonly snapshotEntries: number;
  readonly catchUpEntries: number;
  readonly compactionSleepMs: number;
  readonly raft: Raft;
  readonly wal: Wal;
  readonly rows: StagedRows;
  readonly stateMachine: StateMachine;
  readonly requestIds: RequestIds;
  readonly peers: Peers | null;
  readonly confState: ConfState;
  readonly snapshotIndex: Index;
  readonly observer: ReplicaObserver;
  readonly onFatal: (error: unknown) => void;
}

const LEASE_CHECK_MS = 500;
/** etcd: how long the leader waits for its own applying before it answers about leases. */
const WAIT_APPLIED_MS = 1000;

export class Replica {
  readonly memberId: MemberId;
  readonly clusterId: ClusterId;
  readonly stateMachine: StateMachine;
  readonly requestIds: RequestIds;
  readonly #options: ReplicaOptions;
  readonly #raft: Raft;
  readonly #proposals: Proposals;
  readonly #reads: ReadBarriers;
  readonly #appliedWaiters: AppliedWaiters;
  #confState: ConfState;
  // Encoded proposals that Raft has not accepted yet, by request id.
  #unaccepted = new Map<bigint, Uint8Array>();
  #messages: Message[] = [];
  #turnDue = false;
  // The operation of the WAL in flight; settles after what was to be done then.
  #walWork: Promise<void> | null = null;
  readonly #walQueue: WalWork[] = [];
  #flush: Promise<void> | null = null;
  #flushedIndex: Index;
  #snapshotIndex: Index;
  #ticks = 0;
  #lastFlushTick = 0;
  #primaryTerm: Term | null = null;
  #revokesInflight = 0;
  #compaction: Promise<void> | null = null;
  #raisingNoSpace: Promise<void> | null = null;
  #lead: MemberId | null = null;
  #leadElectedTick = Number.NEGATIVE_INFINITY;
  readonly #stopping = new AbortController();
  #stopTicking: Stop | null = null;
  #state: 'running' | 'closing' | 'failed' = 'running';
  #closed: Promise<void> | null = null;

  constructor(options: ReplicaOptions) {
    this.#options = options;
    this.memberId = options.memberId;
    this.clusterId = options.clusterId;
    this.stateMachine = options.stateMachine;
    this.requestIds = options.requestIds;
    this.#raft = options.raft;
    this.#confState = options.confState;
    this.#flushedIndex = options.stateMachine.appliedIndex;
    this.#snapshotIndex = options.snapshotIndex;
    const timeoutTicks = options.requestTimeoutTicks;
    this.#proposals = new Proposals(timeoutTicks);
    this.#appliedWaiters = new AppliedWaiters(Math.ceil(WAIT_APPLIED_MS / options.tickMs));
    this.#reads = new ReadBarriers({
      timeoutTicks,
      retryTicks: Math.max(1, Math.ceil(500 / options.tickMs)),
      nextId: () => options.requestIds.next(),
    });
  }

  get term(): Term {
    return this.#raft.term;
  }

  get lead(): MemberId | null {
    return this.#raft.lead;
  }

  get isLeader(): boolean {
    return this.#raft.state === 'leader';
  }

  get commit(): Index {
    return this.#raft.commit;
  }

  get applied(): Index {
    return this.stateMachine.appliedIndex;
  }

  get pendingProposals(): number {
    return this.#proposals.size;
  }

  raftStatus(): RaftStatus {
    return this.#raft.status();
  }

  /** Aborted when the member stops. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  get confState(): ConfState {
    return this.#confState;
  }

  /** Monotonic ticks since the start; the time that leases and deadlines are counted in. */
  get ticks(): number {
    return this.#ticks;
  }

  start(): void {
    const { clock, tickMs, peers } = this.#options;
    this.#stopTicking = clock.every(tickMs, () => this.#guard(() => this.#tick()));
    peers?.start({
      message: (message) => this.#receive(message),
      unreachable: (id) => this.#guard(() => this.#raft.unreachable(id)),
      snapshot: () => Promise.reject(new Error('not yet')),
      removed: () => {},
    });
    this.#campaignAlone();
    // A compaction that the last life did not finish goes on.
    if (this.stateMachine.store.compactionPending) this.#startCompaction();
    this.#schedule();
  }

  /**
   * Puts a command into the log and waits until it is applied here. Rejects with the outcome's
   * error, `tooManyRequests`, `requestTooLarge`, `stopped`, or one of the timeouts.
   */
  propose<C extends ProposalKind>(kind: C, value: CommandOf<C>): Promise<Outcomes[C]> {
    if (this.#state !== 'running') return Promise.reject(errors.stopped);
    const backlog = this.commit - this.applied;
    if (
      backlog > limits.applyBacklogEntriesMax ||
      this.#unaccepted.size > limits.proposalsQueuedMax ||
      this.#options.rows.stagedBytes > limits.stagedBytesMax
    ) {
      return Promise.reject(errors.tooManyRequests);
    }
    const id = this.requestIds.next();
    const data = encode(encodeInternalRaftRequest, {
      id: 0n,
      header: { id, username: '', authRevision: 0 },
      request: { case: kind, value } as never,
    });
    if (data.length > this.#options.requestBytesMax) return Promise.reject(errors.requestTooLarge);
    this.#unaccepted.set(id, data);
    this.#schedule();
    return this.#proposals.wait<Outcomes[C]>(id, this.#options.clock.monotonic());
  }

  /** Resolves when everything acknowledged before the call, anywhere, is visible here. */
  readBarrier(): Promise<void> {
    if (this.#state !== 'running') return Promise.reject(errors.stopped);
    this.#schedule();
    return this.#reads.join();
  }

  /** Resolves once entry `index` has been applied here; rejects when that takes over a second. */
  whenApplied(index: Index): Promise<void> {
    if (this.applied >= index) return Promise.resolve();
    if (this.#state !== 'running') return Promise.reject(errors.stopped);
    return this.#appliedWaiters.wait(index);
  }

  /**
   * Activates this member's NOSPACE alarm. etcd: the request that met the quota is answered after
   * that, and in the same way whether the alarm could be raised or not.
   */
  raiseNoSpace(): Promise<void> {
    const done = (): void => {
      this.#raisingNoSpace = null;
    };
    this.#raisingNoSpace ??= this.propose('alarm', {
      action: AlarmAction.ACTIVATE,
      memberId: this.memberId,
      alarm: AlarmType.NOSPACE,
    }).then(done, done);
    return this.#raisingNoSpace;
  }

  /** Makes everything applied so far durable in the engine. */
  async flush(): Promise<void> {
    while (this.#flush !== null) await this.#flush;
    if (this.#state === 'failed') return;
    this.#startFlush();
    await this.#flush;
  }

  /**
   * Rejects what waits, writes what is applied, and leaves the disk to its owner, with nothing of
   * the replica's under way. After a failure nothing is written.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    if (this.#state === 'running') {
      this.#state = 'closing';
      this.#stop();
    }
    await this.stateMachine.hub.close();
    await this.#compaction;
    await this.#walIdle();
    await this.flush();
    await this.#walIdle();
  }

  async #walIdle(): Promise<void> {
    while (this.#walWork !== null) await this.#walWork;
  }

  /** Nothing new begins; everybody who waits is told. */
  #stop(): void {
    this.#stopTicking?.();
    this.#stopping.abort(errors.stopped);
    this.#proposals.rejectAll(errors.stopped);
    this.#reads.rejectAll(errors.stopped);
    this.#appliedWaiters.rejectAll(errors.stopped);
    this.stateMachine.lessor.demote();
  }

  /** Raft survives the loss of what finds no room. */
  #receive(message: Message): void {
    if (this.#messages.length >= limits.messagesQueuedMax) return;
    this.#messages.push(message);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#turnDue || this.#state !== 'running') return;
    this.#turnDue = true;
    this.#options.clock.defer(() => this.#guard(() => this.#turn()));
  }

  /** Runs `step`; whatever escapes it is a bug or a broken disk, and ends the member. */
  #guard(step: () => void): void {
    if (this.#state === 'failed') return;
    try {
      step();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#state === 'failed') return;
    this.#state = 'failed';
    this.#stop();
    this.#options.onFatal(error);
  }

  #turn(): void {
    this.#turnDue = false;
    if (this.#state !== 'running') return;
    const messages = this.#messages;
    this.#messages = [];
    for (const message of messages) this.#raft.step(message);
    const context = this.#reads.open();
    if (context !== null) this.#raft.requestRead(context);
    this.#drainReady();
  }

  #offerProposals(): void {
    if (this.#unaccepted.size === 0 || this.#raft.lead === null) return;
    for (const [id, data] of this.#unaccepted) {
      if (!this.#raft.propose(data)) break;
      this.#unaccepted.delete(id);
    }
  }

  #drainReady(): void {
    for (;;) {
      // In every round: the one before may have made somebody leader.
      this.#offerProposals();
      const ready = this.#raft.takeReady();
      if (ready.role !== null) this.#onRole(ready.role);
      if (ready.send.length > 0) this.#options.peers?.send(ready.send);
      if (ready.persist !== null) this.#persist(ready.persist);
      for (const read of ready.reads) this.#reads.confirm(read.context, read.index);
      if (ready.apply.length > 0) this.#apply(ready.apply);
      this.#reads.release(this.applied);
      if (isIdle(ready)) break;
    }
    this.#maybeFlush();
  }

  #persist(persist: Persist): void {
    this.#useWal({
      run: () => this.#options.wal.append(persist),
      done: () => {
        this.#raft.persisted();
        if (persist.thenSend.length > 0) this.#options.peers?.send(persist.thenSend);
      },
    });
  }

  /** The WAL takes one operation at a time; others wait in order. */
  #useWal(work: WalWork): void {
    if (this.#walWork !== null) {
      this.#walQueue.push(work);
      return;
    }
    const pending = work.run();
    if (pending === null) {
      work.done();
      return;
    }
    this.#walWork = pending.then(
      () => {
        this.#walWork = null;
        this.#guard(() => {
          work.done();
          const next = this.#walQueue.shift();
          if (next !== undefined) this.#useWal(next);
          // Not through `defer`: clients wait for exactly this.
          this.#turn();
        });
      },
      (error: unknown) => {
        this.#walWork = null;
        this.#fail(error);
      },
    );
  }

  #apply(entries: readonly Entry[]): void {
    const { clock, observer } = this.#options;
    for (const entry of entries) {
      const started = clock.monotonic();
      const { requestId, kind, result, confChange } = this.stateMachine.apply(entry);
      if (confChange !== null) this.#reconfigure(confChange);
      const ended = clock.monotonic();
      observer.entryApplied(kind, (ended - started) / 1000);
      this.#promoteLessor(entry);
      if (requestId === null) continue;
      const asked = this.#proposals.startedMs(requestId);
      if (asked !== null) observer.requestAnswered(kind, (ended - asked) / 1000);
      this.#answer(requestId, result);
    }
    this.#raft.applied(this.applied);
    this.#campaignAlone();
    if (this.stateMachine.store.compactionPending) this.#startCompaction();
    this.#appliedWaiters.release(this.applied);
  }

  #answer(requestId: bigint, result: Result): void {
    if (!(result instanceof EtcdError)) {
      this.#proposals.resolve(requestId, result);
    } else if (result === errors.noSpace && !this.stateMachine.alarms.has(AlarmType.NOSPACE)) {
      // etcd: the request that crossed the quota was applied; each member tells of itself.
      this.raiseNoSpace().then(
        () => this.#proposals.reject(requestId, result),
        (error: unknown) => this.#fail(error),
      );
    } else {
      this.#proposals.reject(requestId, result);
    }
  }

  /** A lone voter has nobody to wait for. */
  #campaignAlone(): void {
    if (this.#raft.lead !== null || !isLoneVoter(this.#confState, this.memberId)) return;
    if (this.#raft.state === 'follower') this.#raft.campaign();
  }

  #startCompaction(): void {
    if (this.#compaction !== null || this.#state !== 'running') return;
    const { clock, compactionSleepMs } = this.#options;
    const { store } = this.stateMachine;
    const { signal } = this.#stopping;
    const pause = (): Promise<void> => delay(clock, compactionSleepMs, signal);
    this.#compaction = store.runCompaction(pause, signal).then(
      () => {
        this.#compaction = null;
        // One that was scheduled while the last one was ending.
        if (store.compactionPending) this.#startCompaction();
      },
      (error: unknown) => {
        this.#compaction = null;
        this.#fail(error);
      },
    );
  }

  #reconfigure(change: ConfChange): void {
    this.#confState = this.#raft.applyConfChange(change.nodeId === null ? null : change);
  }

  #onRole(role: NonNullable<Ready['role']>): void {
    this.#options.observer.leaderChanged(role.lead, role.term, this.memberId);
    // Only once per lost leader: who asks while there is none waits for the next one.
    if (this.#lead !== null && role.lead !== this.#lead) {
      this.#reads.rejectAll(errors.leaderChanged);
    }
    if (role.lead !== null && role.lead !== this.#lead) this.#leadElectedTick = this.#ticks;
    this.#lead = role.lead;
    if (role.state !== 'leader' && this.#primaryTerm !== null) {
      this.#primaryTerm = null;
      this.stateMachine.lessor.demote();
    }
  }

  /** A new leader may expire leases once it has applied the first entry of its own term. */
  #promoteLessor(entry: Entry): void {
    if (!this.isLeader || entry.term !== this.term || this.#primaryTerm === this.term) return;
    this.#primaryTerm = this.term;
    this.stateMachine.lessor.promote(this.#ticks, this.#options.electionTicks);
  }

  #tick(): void {
    this.#ticks++;
    this.#raft.tick();
    this.stateMachine.lessor.tick(this.#ticks);
    const failed = this.#proposals.tick((id, startTick) => this.#timeoutOf(id, startTick));
    for (let i = 0; i < failed; i++) this.#options.observer.proposalFailed();
    this.#reads.tick();
    this.#appliedWaiters.tick();
    const leaseCheckTicks = Math.max(1, Math.round(LEASE_CHECK_MS / this.#options.tickMs));
    if (this.#ticks % leaseCheckTicks === 0) this.#expireLeases();
    this.#turn();
  }

  /**
   * etcd: a proposal that no leader took ends as a deadline, one that got lost as a timeout that
   * names the likely reason.
   */
  #timeoutOf(id: bigint, startTick: number): EtcdError {
    if (this.#unaccepted.delete(id)) return errors.deadlineExceeded;
    const elected = this.#leadElectedTick;
    if (startTick > elected - 2 * this.#options.electionTicks && startTick < elected) {
      return errors.timeoutDueToLeaderFail;
    }
    return this.#lead === null ? errors.timeoutDueToConnectionLost : errors.timeout;
  }

  #expireLeases(): void {
    if (this.#primaryTerm === null) return;
    const room = limits.leaseRevokesInflightMax - this.#revokesInflight;
    if (room <= 0) return;
    const max = Math.min(room, limits.leaseExpiriesPerCheckMax);
    const due = this.stateMachine.lessor.expired(this.#ticks, max);
    for (const id of due) this.#revokeExpired(id);
  }

  #revokeExpired(id: LeaseId): void {
    this.#revokesInflight++;
    const done = (): void => {
      this.#revokesInflight--;
    };
    // A failed revoke is tried again by a later check; the lease stays expired until then.
    this.propose('leaseRevoke', { id }).then(() => {
      done();
      this.#options.observer.leaseExpired();
    }, done);
  }

  #maybeFlush(): void {
    if (this.#flush !== null || this.applied === this.#flushedIndex) return;
    const { rows, tickMs } = this.#options;
    const due =
      rows.stagedRows >= limits.stagedRowsFlush ||
      rows.stagedBytes >= limits.stagedBytesFlush ||
      (this.#ticks - this.#lastFlushTick) * tickMs >= limits.flushIntervalMs;
    if (due) this.#startFlush();
  }

  #startFlush(): void {
    const { rows, clock, observer } = this.#options;
    const started = clock.monotonic();
    const index = this.applied;
    const term = this.stateMachine.appliedTerm;
    const confState = this.#confState;
    this.#lastFlushTick = this.#ticks;
    this.#flush = rows.flush(this.stateMachine.positionRows(confState)).then(
      () => {
        this.#flush = null;
        this.#flushedIndex = index;
        observer.rowsFlushed((clock.monotonic() - started) / 1000);
        this.#guard(() => this.#maybeSnapshot({ index, term, confState }));
      },
      (error: unknown) => {
        this.#flush = null;
        this.#fail(error);
      },
    );
  }

  /** etcd: every --snapshot-count entries the WAL gets a snapshot record and lets segments go. */
  #maybeSnapshot(metadata: { index: Index; term: Term; confState: ConfState }): void {
    const { snapshotEntries, catchUpEntries, wal, observer } = this.#options;
    if (metadata.index - this.#snapshotIndex <= snapshotEntries) return;
    this.#snapshotIndex = metadata.index;
    const { term, vote, commit } = this.#raft;
    this.#useWal({
      run: async () => {
        await wal.saveSnapshot(metadata, { term, vote, commit });
        await wal.release(metadata.index);
      },
      done: () => {
        observer.snapshotSaved(metadata.index);
        this.#raft.compactLog(Math.max(0, metadata.index - catchUpEntries));
      },
    });
  }
}

/** `run` returns null when it is done already. */
interface WalWork {
  readonly run: () => Promise<void> | null;
  readonly done: () => void;
}

function isLoneVoter(state: ConfState, id: MemberId): boolean {
  return state.voters.length === 1 && state.voters[0] === id && state.votersOutgoing.length === 0;
}

/** Ends early, without an error, when the signal is aborted. */
function delay(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      stop();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const stop = clock.every(ms, end);
    signal.addEventListener('abort', end);
  });
}

function isIdle({ persist, apply, reads, role }: Ready): boolean {
  return persist === null && apply.length === 0 && reads.length === 0 && role === null;
}
