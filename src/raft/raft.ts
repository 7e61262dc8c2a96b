/**
 * One member of a Raft group as a pure calculator: inputs are method calls, outputs are moved out
 * by `takeReady`. No I/O, no clock, no promises, no logging; the only chance is `random`, for
 * election timeouts. Wire behaviour is etcd's, so Go members can share the group.
 *
 * The caller's side of the contract:
 * - send `ready.send` at once, or lose it; never wait for the disk with it;
 * - write `ready.persist` in the order handed out, sync if it says so, send its `thenSend`, then
 *   call `persisted()`;
 * - apply `ready.apply` in order, calling `applyConfChange` at each conf-change entry, then
 *   `applied()` with the last index;
 * - when `ready.role` comes, reads and forwarded proposals asked of the former leader may be lost.
 */

import { assert } from '../assert.ts';
import { limits } from '../limits.ts';
import type { Random } from '../ports.ts';
import type { Index, MemberId, Term } from '../types.ts';
import { becomeFollower, type Core, type Role, type StateName, syncProgress } from './core.ts';
import { maybeCampaign, tickElection, tickLeader } from './election.ts';
import { changeMembership, normalize } from './membership.ts';
import type {
  ConfChange,
  ConfChangeV2,
  ConfState,
  Entry,
  HardState,
  Message,
  SnapshotMetadata,
} from './messages.ts';
import { becomeProbe, snapshotReported } from './progress.ts';
import { maybeLeaveJoint, propose } from './proposals.ts';
import { RaftLog } from './raft-log.ts';
import { answerConfirmedReads, requestRead } from './read-index.ts';
import { ReadQueue } from './reads.ts';
import { hasReady, persisted, type Ready, takeReady } from './ready.ts';
import { refusalOf } from './refusal.ts';
import { appliedMetadata, maybeCommit } from './replication.ts';
import { type RaftStatus, statusOf } from './status.ts';
import { step } from './step.ts';
import { abortTransferToNonVoter, transferLeadership } from './transfer.ts';

export type { Role, StateName } from './core.ts';
export type { Persist, Ready } from './ready.ts';
export type { RaftStatus } from './status.ts';

export interface RaftOptions {
  readonly id: MemberId;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly preVote: boolean;
  readonly checkQuorum: boolean;
  readonly random: Random;
  readonly appendBytesMax: number;
  readonly appendsInflightMax: number;
  readonly applyBytesMax: number;
  readonly appendsInflightBytesMax?: number;
  readonly uncommittedBytesMax?: number;
  readonly readsPendingMax?: number;
  /**
   * The change in an entry of type conf-change or conf-change-v2; `null` when its bytes are
   * malformed. Empty data of a conf-change-v2 is the empty change, which leaves a joint
   * configuration. Passed in so that this folder does not know the encoding.
   */
  readonly decodeConfChange: (entry: Entry) => ConfChange | ConfChangeV2 | null;
  /** Why an entry that another member sends could not be applied here; nothing, unless given. */
  readonly entryProblem?: (entry: Entry) => string | null;
  readonly restored: RestoredState;
}

export interface RestoredState {
  readonly hardState: HardState;
  /** Where the log begins: index and term 0 when nothing was ever compacted. */
  readonly snapshot: SnapshotMetadata;
  /** The configuration as of `applied`. */
  readonly confState: ConfState;
  /** Everything after `snapshot.index`. */
  readonly entries: readonly Entry[];
  /** May be ahead of `hardState.commit`, which is written lazily. */
  readonly applied: Index;
}

export class Raft {
  readonly #core: Core;
  #reported: Role | null = null;

  constructor(options: RaftOptions) {
    this.#core = coreOf(options);
    syncProgress(this.#core);
    becomeFollower(this.#core, options.restored.hardState.term, null);
  }

  get id(): MemberId {
    return this.#core.id;
  }

  get term(): Term {
    return this.#core.term;
  }

  get vote(): MemberId | null {
    return this.#core.vote;
  }

  get lead(): MemberId | null {
    return this.#core.lead;
  }

  get state(): StateName {
    return this.#core.state;
  }

  get commit(): Index {
    return this.#core.log.commit;
  }

  get appliedIndex(): Index {
    return this.#core.log.applied;
  }

  /** Up to here this member's disk is known to hold the log. */
  get durableIndex(): Index {
    return this.#core.log.durable;
  }

  get firstIndex(): Index {
    return this.#core.log.first;
  }

  get lastIndex(): Index {
    return this.#core.log.last;
  }

  get confState(): ConfState {
    return this.#core.config;
  }

  /** Whether this member alone is a quorum. */
  get isLoneVoter(): boolean {
    const { voters, votersOutgoing } = this.#core.config;
    return voters.length === 1 && voters[0] === this.id && votersOutgoing.length === 0;
  }

  /** A snapshot was taken and waits to be persisted. */
  get snapshotPending(): boolean {
    return this.#core.log.snapshotPending;
  }

  /** `null` when it is compacted or not there yet. */
  termAt(index: Index): Term | null {
    return this.#core.log.termAt(index);
  }

  entryAt(index: Index): Entry | null {
    return this.#core.log.entryAt(index);
  }

  /** What a snapshot of the state machine has to say about the log, taken between two applies. */
  snapshotMetadata(): SnapshotMetadata {
    return appliedMetadata(this.#core);
  }

  status(): RaftStatus {
    return statusOf(this.#core);
  }

  /** The unit of all timeouts: one heartbeat interval, as etcd configures it. */
  tick(): void {
    const core = this.#core;
    if (core.durability.inFlight !== null) core.durability.inFlightTicks++;
    core.outbox.commitDue = true;
    if (core.state === 'leader') tickLeader(core);
    else tickElection(core);
  }

  /** `null`, or why the message was refused: no member that keeps to the protocol sends it. */
  step(message: Message): string | null {
    const refusal = refusalOf(this.#core, message);
    if (refusal === null) step(this.#core, message);
    return refusal;
  }

  /** False: dropped, nothing will come of it. True says only that it was not dropped here. */
  propose(data: Uint8Array): boolean {
    return propose(this.#core, 'normal', data);
  }

  /** How many of `datas`, from the first on, were not dropped. */
  proposeBatch(datas: readonly Uint8Array[]): number {
    let taken = 0;
    for (const data of datas) {
      if (!propose(this.#core, 'normal', data)) break;
      taken++;
    }
    return taken;
  }

  /**
   * Proposes an encoded conf change. The leader judges it when it appends it: while another one is
   * pending, or when it cannot be made to the configuration, an empty entry takes its place.
   */
  proposeMembership(type: 'conf-change' | 'conf-change-v2', data: Uint8Array): boolean {
    return propose(this.#core, type, data);
  }

  /** Comes back in `ready.reads` with the same context, or never: ask again after a while. */
  requestRead(context: Uint8Array): boolean {
    return requestRead(this.#core, this.#core.id, context);
  }

  /** Starts an election now; false when this member must not or need not. */
  campaign(): boolean {
    return maybeCampaign(this.#core, this.#core.settings.preVote ? 'pre-election' : 'election');
  }

  transferLeadership(to: MemberId): void {
    transferLeadership(this.#core, to);
  }

  /** The last `ready.persist` is durable, and a snapshot in it installed. */
  persisted(): void {
    persisted(this.#core);
  }

  applied(index: Index): void {
    const core = this.#core;
    for (let at = core.log.applied + 1; at <= index; at++) {
      const size = core.log.entryAt(at)?.data.length ?? 0;
      core.uncommittedBytes = Math.max(0, core.uncommittedBytes - size);
    }
    core.log.appliedTo(index);
    maybeLeaveJoint(core);
  }

  /**
   * Called when a conf-change entry is applied, with `null` for one that was found invalid.
   * Returns the configuration from here on. A leader only appends changes that can be made; one
   * that cannot is a broken leader's, and changes nothing on any member.
   */
  applyConfChange(change: ConfChange | ConfChangeV2 | null): ConfState {
    const core = this.#core;
    if (change === null) return core.config;
    const result = changeMembership(core.config, change);
    if (!result.ok) return core.config;
    core.config = result.config;
    syncProgress(core);
    // etcd: a leader that was removed or demoted goes on until it stops itself.
    if (core.state !== 'leader') return core.config;
    // The new quorum may have everything already, and new members have something to receive.
    maybeCommit(core);
    answerConfirmedReads(core);
    core.outbox.appendsDue = true;
    abortTransferToNonVoter(core);
    return core.config;
  }

  /** The snapshot for a member was delivered, or could not be. */
  snapshotSent(to: MemberId, ok: boolean): void {
    const progress = this.#core.progress.get(to);
    if (this.#core.state === 'leader' && progress !== undefined) snapshotReported(progress, ok);
  }

  /** Messages to a member were lost: what is in flight to it may be lost, too. */
  unreachable(id: MemberId): void {
    const progress = this.#core.progress.get(id);
    if (this.#core.state !== 'leader' || progress === undefined) return;
    if (progress.flow.kind === 'replicate') becomeProbe(progress);
  }

  /**
   * Drops entries up to `index`, which must be applied. A member that still needs them gets a
   * snapshot; how many to keep for stragglers is the caller's choice.
   */
  compactLog(index: Index): void {
    this.#core.log.compact(index);
  }

  /** Whether `takeReady` would hand out anything. */
  hasReady(): boolean {
    return hasReady(this.#core, this.#reported);
  }

  /** Moves the outputs out; the caller owns them and must act on them. */
  takeReady(): Ready {
    const ready = takeReady(this.#core, this.#reported);
    if (ready.role !== null) this.#reported = ready.role;
    return ready;
  }
}

function coreOf(options: RaftOptions): Core {
  const { id, restored, electionTicks, heartbeatTicks } = options;
  assert(heartbeatTicks > 0, 'heartbeats take at least a tick');
  assert(electionTicks > heartbeatTicks, 'an election takes longer than a heartbeat');
  const readsPendingMax = options.readsPendingMax ?? limits.readsPendingMax;
  const { term, vote, commit } = restored.hardState;
  return {
    id,
    settings: {
      electionTicks,
      heartbeatTicks,
      preVote: options.preVote,
      checkQuorum: options.checkQuorum,
      random: options.random,
      appendBytesMax: options.appendBytesMax,
      applyBytesMax: options.applyBytesMax,
      uncommittedBytesMax: options.uncommittedBytesMax ?? limits.uncommittedBytesMax,
      readsPendingMax,
      window: {
        countMax: options.appendsInflightMax,
        bytesMax: options.appendsInflightBytesMax ?? limits.appendsInflightBytesMax,
      },
      decodeConfChange: options.decodeConfChange,
      entryProblem: options.entryProblem ?? (() => null),
    },
    log: new RaftLog({
      base: { index: restored.snapshot.index, term: restored.snapshot.term },
      entries: restored.entries,
      commit,
      applied: restored.applied,
    }),
    outbox: {
      now: [],
      afterPersist: [],
      reads: [],
      forward: [],
      appendsDue: false,
      readsDue: false,
      commitDue: false,
    },
    durability: { inFlight: null, inFlightTicks: 0, durable: { term, vote, commit } },
    term,
    vote,
    lead: null,
    state: 'follower',
    config: normalize(restored.confState),
    members: [],
    progress: new Map(),
    votes: new Map(),
    reads: new ReadQueue(readsPendingMax),
    electionElapsed: 0,
    heartbeatElapsed: 0,
    electionTimeout: electionTicks,
    transferee: null,
    pendingConfIndex: 0,
    uncommittedBytes: 0,
  };
}
