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

import { setMaxListeners } from 'node:events';
import { must } from '../assert.ts';
import { type Identity, NOBODY } from '../auth/identity.ts';
import { AlarmType, encodeInternalRaftRequest } from '../codec/gen/etcdserverpb.ts';
import { encodeConfChange } from '../codec/raftpb.ts';
import { encode } from '../codec/wire.ts';
import { EtcdError, errors } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Peers, SnapMessage, Stop } from '../ports.ts';
import type {
  ConfChange,
  ConfChangeV2,
  ConfState,
  Entry,
  Message,
  Snapshot,
  SnapshotMetadata,
} from '../raft/messages.ts';
import type { Persist, Raft, RaftStatus, Ready } from '../raft/raft.ts';
import { isIdle } from '../raft/ready.ts';
import type { ClusterId, Index, MemberId, Term } from '../types.ts';
import { AppliedWaiters } from './applied-waiters.ts';
import { CompactionRunner } from './compaction-runner.ts';
import { FirstElection } from './first-election.ts';
import { Flusher } from './flusher.ts';
import { LeadershipTransfers } from './leadership-transfers.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import { lostProposalError } from './lost-proposal.ts';
import { NoSpaceAlarm } from './no-space-alarm.ts';
import type { CommandOf, Outcomes, ProposalKind, Result } from './outcome.ts';
import { type Offer, Proposals } from './proposals.ts';
import { ReadBarriers } from './read-barriers.ts';
import type { ReplicaCluster, ReplicaOptions } from './replica-options.ts';
import type { RequestIds } from './request-ids.ts';
import type { StateMachine } from './state-machine.ts';
import { StateTransfers } from './state-transfers.ts';
import { WalQueue } from './wal-queue.ts';

/** etcd: how long the leader waits for its own applying before it answers about leases. */
const WAIT_APPLIED_MS = 1000;
/** etcd: how long a removed member goes on, so that the others hear of the commit. */
const REMOVED_GRACE_MS = 1000;
/** etcd: how long after a state was sent the entries behind it are kept. */
const KEEP_LOG_MS = 30_000;

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
  readonly #wal: WalQueue;
  readonly #flusher: Flusher;
  readonly #leases: LeaseKeeper;
  readonly #compaction: CompactionRunner;
  readonly #noSpace: NoSpaceAlarm;
  readonly #firstElection: FirstElection | null;
  readonly #transfers: LeadershipTransfers;
  readonly #stateTransfers: StateTransfers | null;
  #messages: Message[] = [];
  #turnDue = false;
  #snapshotIndex: Index;
  /** Until then no entry is dropped: a member that has just taken a state needs what follows. */
  #keepLogUntilTick = 0;
  #ticks = 0;
  /** Set when this member was removed from the cluster. */
  #endTick: number | null = null;
  #lead: MemberId | null = null;
  #leadElectedTick = Number.NEGATIVE_INFINITY;
  readonly #stopping = new AbortController();
  #stopTicking: Stop | null = null;
  #state: 'running' | 'closing' | 'failed' = 'running';
  #closed: Promise<void> | null = null;

  constructor(options: ReplicaOptions) {
    this.#options = options;
    setMaxListeners(0, this.stopping); // Every call that waits for something listens.
    this.memberId = options.memberId;
    this.clusterId = options.clusterId;
    this.stateMachine = options.stateMachine;
    this.requestIds = options.requestIds;
    this.#raft = options.raft;
    this.#confState = options.confState;
    this.#snapshotIndex = options.snapshotIndex;
    const timeoutTicks = options.requestTimeoutTicks;
    this.#proposals = new Proposals(timeoutTicks);
    this.#appliedWaiters = new AppliedWaiters(Math.ceil(WAIT_APPLIED_MS / options.tickMs));
    this.#reads = new ReadBarriers(options);
    const failed = (error: unknown): void => this.#fail(error);
    const guard = (step: () => void): void => this.#guard(step);
    this.#wal = new WalQueue({ guard, failed, turn: () => this.#turn() });
    this.#flusher = this.#newFlusher();
    this.#leases = new LeaseKeeper({
      lessor: options.stateMachine.lessor,
      tickMs: options.tickMs,
      electionTicks: options.electionTicks,
      // A later leader may have renewed the lease.
      revoke: (id) => this.propose('leaseRevoke', { id }, this.stateMachine.auth.root, this.term),
      expired: () => options.observer.leaseExpired(),
    });
    this.#compaction = new CompactionRunner({
      store: options.stateMachine.store,
      clock: options.clock,
      pauseMs: options.compactionSleepMs,
      stopping: this.stopping,
      observer: options.compactionObserver,
      failed,
    });
    this.#noSpace = new NoSpaceAlarm(this.memberId, (alarm) => this.propose('alarm', alarm));
    this.#firstElection = options.electionTickAdvance
      ? new FirstElection(options.electionTicks)
      : null;
    this.#transfers = new LeadershipTransfers();
    this.#stateTransfers = this.#newStateTransfers();
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

  raftStatus(): RaftStatus {
    return this.#raft.status();
  }

  get pendingProposals(): number {
    return this.#proposals.size;
  }

  /** Aborted when the member stops. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  get confState(): ConfState {
    return this.#confState;
  }

  get isLearner(): boolean {
    return this.#confState.learners.includes(this.memberId);
  }

  get peers(): Peers | null {
    return this.#options.cluster?.peers ?? null;
  }

  /** Monotonic ticks since the start; the time that leases and deadlines are counted in. */
  get ticks(): number {
    return this.#ticks;
  }

  start(): void {
    const { clock, tickMs, cluster } = this.#options;
    this.#stopTicking = clock.every(tickMs, () => this.#guard(() => this.#tick()));
    if (cluster !== null) this.#joinPeers(cluster);
    this.#campaignAlone();
    // A compaction that the last life did not finish goes on.
    this.#compaction.start();
    this.#schedule();
  }

  /**
   * Puts a command into the log and waits until it is applied here. Rejects with the outcome's
   * error, `tooManyRequests`, `requestTooLarge`, `stopped`, a timeout, or `leaderChanged` (a term).
   */
  propose<C extends ProposalKind>(
    kind: C,
    value: CommandOf<C>,
    { user: username, revision: authRevision }: Identity = NOBODY,
    onlyInTerm?: Term,
  ): Promise<Outcomes[C]> {
    if (this.#state !== 'running') return Promise.reject(errors.stopped);
    if (
      this.commit - this.applied > limits.applyBacklogEntriesMax ||
      this.#proposals.unaccepted > limits.proposalsQueuedMax ||
      this.#options.rows.stagedBytes > limits.stagedBytesMax
    ) {
      return Promise.reject(errors.tooManyRequests);
    }
    const id = this.requestIds.next();
    const data = encode(encodeInternalRaftRequest, {
      id: 0n,
      header: { id, username, authRevision },
      request: { case: kind, value } as never,
    });
    if (data.length > this.#options.requestBytesMax) return Promise.reject(errors.requestTooLarge);
    return this.#offer(id, { kind: 'normal', data, onlyInTerm });
  }

  /**
   * Puts an entry into the log that is not an `InternalRaftRequest`, and waits as `propose` does.
   * What `encode` makes carries the id that it is given.
   */
  proposeEncoded<R extends Result>(
    kind: Offer['kind'],
    encode: (requestId: bigint) => Uint8Array,
  ): Promise<R> {
    if (this.#state !== 'running') return Promise.reject(errors.stopped);
    const id = this.requestIds.next();
    return this.#offer(id, { kind, data: encode(id) });
  }

  /**
   * Resolves when the change is applied here; rejects with the verdict of the membership table, as
   * `timeout` when Raft would not have it (another change is pending), or as `propose` does.
   */
  async changeMembership(change: Omit<ConfChange, 'id'>): Promise<void> {
    await this.proposeEncoded('conf-change', (id) => encodeConfChange({ ...change, id }));
  }

  #offer<T>(id: bigint, offer: Offer): Promise<T> {
    this.#schedule();
    return this.#proposals.add<T>(id, offer, this.#options.clock.monotonic());
  }

  /**
   * Gives the leadership of this member to another one. Resolves when that one leads; rejects with
   * `timeoutLeaderTransfer` after `ticks`, or `stopped`.
   */
  transferLeadership(to: MemberId, ticks = this.#options.requestTimeoutTicks): Promise<void> {
    if (this.#state !== 'running') return Promise.reject(errors.stopped);
    if (this.lead === to) return Promise.resolve();
    this.#raft.transferLeadership(to);
    this.#schedule();
    return this.#transfers.wait(to, ticks);
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

  /** Activates this member's NOSPACE alarm; resolves whether that was possible or not. */
  raiseNoSpace(): Promise<void> {
    return this.#noSpace.raise();
  }

  /** Makes everything applied so far durable in the engine. */
  async flush(): Promise<void> {
    if (this.#state !== 'failed') await this.#flusher.flush();
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
    await this.#compaction.stop();
    await this.#wal.idle();
    await this.#stateTransfers?.close();
    await this.flush();
    await this.#wal.idle();
  }

  /** Nothing new begins; everybody who waits is told. */
  #stop(): void {
    this.#stopTicking?.();
    this.#stopping.abort(errors.stopped);
    this.#proposals.rejectAll(errors.stopped);
    this.#reads.rejectAll(errors.stopped);
    this.#appliedWaiters.rejectAll(errors.stopped);
    this.#transfers.rejectAll(errors.stopped);
    this.#leases.follow();
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
    for (const message of messages) this.#step(message);
    const context = this.#reads.open();
    if (context !== null) this.#raft.requestRead(context);
    this.#drainReady();
  }

  #step(message: Message): void {
    const refusal = this.#raft.step(message);
    if (refusal !== null) this.#options.observer.messageRefused(message, refusal);
  }

  #drainReady(): void {
    for (;;) {
      // In every round: the one before may have made somebody leader.
      if (this.#raft.lead !== null) this.#proposals.offerTo(this.#raft);
      const ready = this.#raft.takeReady();
      if (ready.role !== null) this.#onRole(ready.role);
      if (ready.send.length > 0) this.#send(ready.send);
      if (ready.persist !== null) this.#persist(ready.persist);
      for (const read of ready.reads) this.#reads.confirm(read.context, read.index);
      if (ready.apply.length > 0) this.#apply(ready.apply);
      this.#reads.release(this.applied);
      if (isIdle(ready)) break;
    }
    this.#flusher.maybe(this.#ticks, this.applied);
  }

  #send(messages: readonly Message[]): void {
    const peers = this.peers;
    if (peers === null) return;
    const states = messages.filter((message) => message.type === 'snap');
    for (const message of states) this.#stateTransfers?.send(message);
    peers.send(states.length === 0 ? messages : messages.filter(({ type }) => type !== 'snap'));
  }

  #persist(persist: Persist): void {
    const { wal } = this.#options;
    const { snapshot } = persist;
    this.#wal.add({
      run: () => (snapshot === null ? wal.append(persist) : this.#install(persist, snapshot)),
      done: () => {
        this.#raft.persisted();
        if (snapshot !== null) this.#installed();
        if (persist.thenSend.length > 0) this.#send(persist.thenSend);
      },
    });
  }

  /** Replaces the state, and then the log, by what was received. */
  async #install(persist: Persist, { metadata }: Snapshot): Promise<void> {
    const { wal } = this.#options;
    await this.#compaction.stop();
    await this.#flusher.hold();
    await this.#stateTransfers?.install(metadata);
    const { term, vote, commit } = this.#raft;
    // From here on the log can only be read from this mark.
    await wal.saveSnapshot(metadata, persist.hardState ?? { term, vote, commit });
    await wal.append(persist);
    await wal.release(metadata.index);
    this.#flusher.release(metadata.index);
    this.#snapshotIndex = metadata.index;
    this.#confState = metadata.confState;
  }

  #installed(): void {
    this.#options.observer.snapshotInstalled(this.applied);
    this.#tellPeers();
    this.#reads.release(this.applied);
    this.#appliedWaiters.release(this.applied);
    this.#compaction.start();
  }

  #apply(entries: readonly Entry[]): void {
    const { clock, observer } = this.#options;
    for (const entry of entries) {
      const started = clock.monotonic();
      const applied = this.stateMachine.apply(entry);
      if (applied.confChange !== null) this.#reconfigure(applied.confChange);
      const ended = clock.monotonic();
      observer.entryApplied(applied, (ended - started) / 1000, entry);
      // Not before: it is now known which leases there are.
      if (this.isLeader && entry.term === this.term) this.#leases.lead(this.term, this.#ticks);
      if (applied.requestId === null) continue;
      const asked = this.#proposals.startedMs(applied.requestId);
      if (asked !== null) observer.requestAnswered(applied.kind, (ended - asked) / 1000);
      this.#answer(applied.requestId, applied.result);
    }
    this.#raft.applied(this.applied);
    this.#campaignAlone();
    this.#compaction.start();
    this.#appliedWaiters.release(this.applied);
  }

  #answer(requestId: bigint, result: Result): void {
    if (!(result instanceof EtcdError)) {
      this.#proposals.resolve(requestId, result);
    } else if (result === errors.noSpace && !this.stateMachine.alarms.has(AlarmType.NOSPACE)) {
      // etcd: the request that crossed the quota was applied; each member tells of itself.
      this.#options.observer.quotaExceeded();
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
    const { isLoneVoter, lead, state } = this.#raft;
    if (isLoneVoter && lead === null && state === 'follower') this.#raft.campaign();
  }

  #reconfigure(change: ConfChange | ConfChangeV2): void {
    this.#confState = this.#raft.applyConfChange(change);
    this.#tellPeers();
    if (this.stateMachine.members.isRemoved(this.memberId)) this.#removed();
  }

  #joinPeers({ peers, remotes }: ReplicaCluster): void {
    const states = must(this.#stateTransfers, 'a member of a cluster can take states');
    peers.start({
      message: (message) => this.#receive(message),
      unreachable: (id) => this.#guard(() => this.#raft.unreachable(id)),
      snapshot: (message, body) => states.receive(message, body),
      removed: () => this.#removed(),
    });
    peers.setMembers(remotes, new Set());
    this.#tellPeers();
    if (this.stateMachine.members.isRemoved(this.memberId)) this.#removed();
  }

  #tellPeers(): void {
    const { members } = this.stateMachine;
    this.peers?.setMembers(members.list(), members.removed());
  }

  /** etcd: the others may still have to hear that the entry is committed; then the member ends. */
  #removed(): void {
    this.#endTick ??= this.#ticks + Math.ceil(REMOVED_GRACE_MS / this.#options.tickMs);
  }

  #onRole(role: NonNullable<Ready['role']>): void {
    this.#options.observer.roleChanged(role, this.memberId);
    if (role.lead !== null && role.lead !== this.#lead) {
      // etcd: what was asked of the former leader is lost, and so is what nobody was there for.
      this.#reads.rejectAll(errors.leaderChanged);
      this.#leadElectedTick = this.#ticks;
    }
    this.#lead = role.lead;
    if (role.state !== 'leader') this.#leases.follow();
    if (role.lead !== null) this.#transfers.leads(role.lead);
  }

  #tick(): void {
    this.#ticks++;
    this.#raft.tick();
    const { peers, confState } = this;
    if (peers !== null) this.#firstElection?.tick(this.#raft, peers, confState.voters);
    this.#leases.tick(this.#ticks);
    const failed = this.#proposals.tick((id, startTick) => this.#timeoutOf(id, startTick));
    for (let i = 0; i < failed; i++) this.#options.observer.proposalFailed();
    this.#reads.tick();
    this.#appliedWaiters.tick();
    this.#transfers.tick();
    if (this.#ticks === this.#endTick) this.#options.onRemoved();
    this.#turn();
  }

  /** etcd: a proposal that no leader took ends as a deadline. */
  #timeoutOf(id: bigint, startTick: number): EtcdError {
    if (this.#proposals.withdraw(id)) return errors.deadlineExceeded;
    const { clock, electionTicks, tickMs } = this.#options;
    return lostProposalError({
      startTick,
      startMs: clock.monotonic() - (this.#ticks - startTick) * tickMs,
      electedTick: this.#leadElectedTick,
      electionTicks,
      self: this.memberId,
      lead: this.#lead,
      members: this.stateMachine.members.list().map(({ id }) => id),
      activeSinceMs: (id) => this.peers?.activeSinceMs(id) ?? null,
    });
  }

  #newFlusher(): Flusher {
    const { rows, clock, tickMs, stateMachine, observer } = this.#options;
    const position = () => {
      const confState = this.#confState;
      const { appliedIndex: index, appliedTerm: term } = stateMachine;
      return { metadata: { index, term, confState }, rows: stateMachine.positionRows(confState) };
    };
    const flushed = (metadata: SnapshotMetadata, seconds: number): void => {
      observer.rowsFlushed(seconds);
      this.#guard(() => this.#maybeSnapshot(metadata));
    };
    const failed = (error: unknown): void => this.#fail(error);
    return new Flusher({ rows, clock, tickMs, position, flushed, failed }, this.applied);
  }

  #newStateTransfers(): StateTransfers | null {
    const { cluster, tickMs } = this.#options;
    if (cluster === null) return null;
    const { peers, states } = cluster;
    return new StateTransfers({
      peers,
      states,
      stopping: this.stopping,
      flush: () => this.flush(),
      sent: (to, ok) => {
        this.#keepLogUntilTick = this.#ticks + Math.ceil(KEEP_LOG_MS / tickMs);
        this.#guard(() => this.#raft.snapshotSent(to, ok));
      },
      offer: (message) => this.#takeSnapshot(message),
      failed: (error) => this.#fail(error),
    });
  }

  #takeSnapshot(message: SnapMessage): boolean {
    if (this.#state !== 'running') return false;
    this.#guard(() => this.#step(message));
    this.#schedule();
    return this.#raft.snapshotPending;
  }

  /** etcd: every --snapshot-count entries the WAL gets a snapshot record and lets segments go. */
  #maybeSnapshot(metadata: SnapshotMetadata): void {
    const { snapshotEntries, catchUpEntries, wal, observer } = this.#options;
    if (metadata.index - this.#snapshotIndex <= snapshotEntries) return;
    this.#snapshotIndex = metadata.index;
    const { term, vote, commit } = this.#raft;
    this.#wal.add({
      run: async () => {
        await wal.saveSnapshot(metadata, { term, vote, commit });
        await wal.release(metadata.index);
      },
      done: () => {
        observer.snapshotSaved(metadata.index);
        // etcd: a member that is just taking a state will need the entries behind it.
        const isAwaited = (this.#stateTransfers?.sending ?? 0) > 0;
        if (isAwaited || this.#ticks < this.#keepLogUntilTick) return;
        this.#raft.compactLog(Math.max(0, metadata.index - catchUpEntries));
      },
    });
  }
}
