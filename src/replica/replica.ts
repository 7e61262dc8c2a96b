/**
 * The only loop of a member. Everything that happens (proposals, reads, messages, ticks, a finished
 * disk write) is an input; one turn takes in all that is waiting, so a burst of proposals becomes
 * one WAL write and one fsync without anybody deciding to batch.
 *
 * Invariant: entries are fsynced before they are applied or acknowledged. Rows reach the engine
 * later, in one synced batch with the applied index, and only then is the WAL released. So recovery
 * has one case: replay what lies between the engine's applied index and the WAL's commit.
 *
 * An error of the disk or a failed assertion ends the member through `onFatal`. It knows nothing of
 * transports, and of time only what ticks tell it.
 */

import { encodeInternalRaftRequest } from '../codec/gen/etcdserverpb.ts';
import { encode } from '../codec/wire.ts';
import { EtcdError, errors } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Clock, Peers, StagedRows, Stop } from '../ports.ts';
import type { ConfChange, ConfState, Entry, Message } from '../raft/messages.ts';
import type { Persist, Raft, RaftStatus, Ready } from '../raft/raft.ts';
import type { ClusterId, Index, LeaseId, MemberId, Term } from '../types.ts';
import type { Wal } from '../wal/wal.ts';
import type { CommandOf, Outcomes, ProposalKind } from './outcome.ts';
import { Proposals } from './proposals.ts';
import { ReadBarriers } from './read-barriers.ts';
import type { RequestIds } from './request-ids.ts';
import type { StateMachine } from './state-machine.ts';

/** What the replica reports while it works; everything else is read from it when asked. */
export interface ReplicaObserver {
  rowsFlushed(seconds: number): void;
  entryApplied(kind: string, seconds: number, ok: boolean): void;
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

export class Replica {
  readonly memberId: MemberId;
  readonly clusterId: ClusterId;
  readonly stateMachine: StateMachine;
  readonly requestIds: RequestIds;
  readonly #options: ReplicaOptions;
  readonly #raft: Raft;
  readonly #proposals: Proposals;
  readonly #reads: ReadBarriers;
  readonly #appliedWaiters: { readonly index: Index; readonly resolve: () => void }[] = [];
  #confState: ConfState;
  // Encoded proposals that Raft has not accepted yet, by request id.
  #unaccepted = new Map<bigint, Uint8Array>();
  #messages: Message[] = [];
  #turnDue = false;
  #walBusy = false;
  readonly #walQueue: WalWork[] = [];
  #flush: Promise<void> | null = null;
  #flushedIndex: Index;
  #snapshotIndex: Index;
  #ticks = 0;
  #lastFlushTick = 0;
  #primaryTerm: Term | null = null;
  #revokesInflight = 0;
  #compacting = false;
  readonly #stopping = new AbortController();
  #stopTicking: Stop | null = null;
  #state: 'running' | 'closing' | 'failed' = 'running';

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
    peers?.onMessage((message) => {
      this.#messages.push(message);
      this.#schedule();
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
    return this.#proposals.wait<Outcomes[C]>(id);
  }

  /** Resolves when everything acknowledged before the call, anywhere, is visible here. */
  readBarrier(): Promise<void> {
    if (this.#state !== 'running') return Promise.reject(errors.stopped);
    this.#schedule();
    return this.#reads.join();
  }

  /** Resolves once entry `index` has been applied here. */
  whenApplied(index: Index): Promise<void> {
    if (this.applied >= index) return Promise.resolve();
    return new Promise((resolve) => this.#appliedWaiters.push({ index, resolve }));
  }

  /** Makes everything applied so far durable in the engine. */
  async flush(): Promise<void> {
    while (this.#flush !== null) await this.#flush;
    if (this.#state === 'failed') return;
    this.#startFlush();
    await this.#flush;
  }

  /** Rejects what waits, writes what is applied, and leaves the disk to its owner. */
  async close(): Promise<void> {
    if (this.#state !== 'running') return;
    this.#state = 'closing';
    this.#stopTicking?.();
    this.#stopping.abort();
    this.#proposals.rejectAll(errors.stopped);
    this.#reads.rejectAll(errors.stopped);
    await this.#walIdle();
    await this.flush();
    await this.#walIdle();
  }

  async #walIdle(): Promise<void> {
    while (this.#walBusy && this.#state !== 'failed') await nextTurn(this.#options.clock);
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
    this.#stopTicking?.();
    this.#options.onFatal(error);
  }

  #turn(): void {
    this.#turnDue = false;
    if (this.#state !== 'running') return;
    this.#offerProposals();
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
    if (this.#walBusy) {
      this.#walQueue.push(work);
      return;
    }
    const pending = work.run();
    if (pending === null) {
      work.done();
      return;
    }
    this.#walBusy = true;
    pending.then(
      () =>
        this.#guard(() => {
          this.#walBusy = false;
          work.done();
          const next = this.#walQueue.shift();
          if (next !== undefined) this.#useWal(next);
          // Not through `defer`: clients wait for exactly this.
          this.#turn();
        }),
      (error: unknown) => this.#fail(error),
    );
  }

  #apply(entries: readonly Entry[]): void {
    const { clock, observer } = this.#options;
    for (const entry of entries) {
      const started = clock.monotonic();
      const { requestId, kind, result, confChange } = this.stateMachine.apply(entry);
      if (confChange !== null) this.#reconfigure(confChange);
      const seconds = (clock.monotonic() - started) / 1000;
      observer.entryApplied(kind, seconds, !(result instanceof EtcdError));
      this.#promoteLessor(entry);
      if (requestId === null) continue;
      if (result instanceof EtcdError) this.#proposals.reject(requestId, result);
      else this.#proposals.resolve(requestId, result);
    }
    this.#raft.applied(this.applied);
    this.#campaignAlone();
    if (this.stateMachine.store.compactionPending) this.#startCompaction();
    while ((this.#appliedWaiters[0]?.index ?? Number.POSITIVE_INFINITY) <= this.applied) {
      this.#appliedWaiters.shift()?.resolve();
    }
  }

  /** A lone voter has nobody to wait for. */
  #campaignAlone(): void {
    if (this.#raft.lead !== null || !isLoneVoter(this.#confState, this.memberId)) return;
    if (this.#raft.state === 'follower') this.#raft.campaign();
  }

  #startCompaction(): void {
    if (this.#compacting) return;
    this.#compacting = true;
    const { clock, compactionSleepMs } = this.#options;
    const pause = (): Promise<void> => delay(clock, compactionSleepMs);
    this.stateMachine.store.runCompaction(pause, this.#stopping.signal).then(
      () => {
        this.#compacting = false;
      },
      (error: unknown) => {
        if (!this.#stopping.signal.aborted) this.#fail(error);
      },
    );
  }

  #reconfigure(change: ConfChange): void {
    this.#confState = this.#raft.applyConfChange(change.nodeId === null ? null : change);
  }

  #onRole(role: NonNullable<Ready['role']>): void {
    this.#options.observer.leaderChanged(role.lead, role.term, this.memberId);
    if (role.lead === null) this.#reads.rejectAll(errors.leaderChanged);
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
    const failed = this.#proposals.tick((id) => this.#timeoutOf(id));
    for (let i = 0; i < failed; i++) this.#options.observer.proposalFailed();
    this.#reads.tick();
    const leaseCheckTicks = Math.max(1, Math.round(LEASE_CHECK_MS / this.#options.tickMs));
    if (this.#ticks % leaseCheckTicks === 0) this.#expireLeases();
    this.#turn();
  }

  /** etcd: a proposal that no leader took ends as a deadline, one that got lost as a timeout. */
  #timeoutOf(id: bigint): EtcdError {
    return this.#unaccepted.delete(id) ? errors.deadlineExceeded : errors.timeout;
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
        this.#maybeSnapshot({ index, term, confState });
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

function delay(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const stop = clock.every(ms, () => {
      stop();
      resolve();
    });
  });
}

function nextTurn(clock: Clock): Promise<void> {
  return new Promise((resolve) => clock.defer(resolve));
}

function isIdle(ready: Ready): boolean {
  return ready.persist === null && ready.apply.length === 0 && ready.reads.length === 0;
}
