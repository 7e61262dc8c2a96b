/**
 * The state of one Raft member as one plain object, and the outputs that gather in it. The step
 * functions in this folder read and change it; `Raft` is the only one that holds it for long.
 *
 * Safety: an output goes either to `now` or to `afterPersist`. What promises something to others
 * (votes, acknowledgements) or is judged by the length of our log (requests for votes) waits until
 * the state behind it is durable. Thesis 3.8.
 */

import { assert, must } from '../assert.ts';
import type { Random } from '../ports.ts';
import type { Index, MemberId, Term } from '../types.ts';
import type { InflightLimits } from './inflights.ts';
import { isVoter, memberIds } from './membership.ts';
import type { ConfChange, ConfChangeV2, ConfState, Entry, HardState, Message } from './messages.ts';
import { newProgress, type Progress } from './progress.ts';
import type { RaftLog } from './raft-log.ts';
import type { ReadQueue } from './reads.ts';

export type StateName = 'follower' | 'pre-candidate' | 'candidate' | 'leader';

export interface Role {
  readonly state: StateName;
  readonly lead: MemberId | null;
  readonly term: Term;
}

export interface ReadState {
  readonly context: Uint8Array;
  readonly index: Index;
}

/** What does not change while the member runs. */
export interface Settings {
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly preVote: boolean;
  readonly checkQuorum: boolean;
  readonly random: Random;
  readonly appendBytesMax: number;
  readonly applyBytesMax: number;
  readonly uncommittedBytesMax: number;
  readonly readsPendingMax: number;
  readonly window: InflightLimits;
  /** Reads the bytes of a conf-change entry; `null` when they are malformed. */
  readonly decodeConfChange: (entry: Entry) => ConfChange | ConfChangeV2 | null;
  /** Why an entry of another member must not enter the log; `null`: it may. */
  readonly entryProblem: (entry: Entry) => string | null;
}

export interface Outbox {
  now: Message[];
  afterPersist: Message[];
  reads: ReadState[];
  /** Proposals for the leader, gathered into as few messages as their bytes allow. */
  forward: Entry[];
  /** Followers may have something to receive; looked at once per `takeReady`. */
  appendsDue: boolean;
  /** A read waits for a heartbeat round that started after it. */
  readsDue: boolean;
  /** The commit mark moved and a tick went by: worth writing even on its own. */
  commitDue: boolean;
}

/** What the disk holds and what is on its way there. At most one hand-out is in flight. */
export interface Durability {
  inFlight: HardState | null;
  inFlightTicks: number;
  durable: HardState;
}

export interface Core {
  readonly id: MemberId;
  readonly settings: Settings;
  readonly log: RaftLog;
  readonly outbox: Outbox;
  readonly durability: Durability;
  term: Term;
  vote: MemberId | null;
  lead: MemberId | null;
  state: StateName;
  config: ConfState;
  /** Ids that take part in replication, ascending: the order in which members are served. */
  members: readonly MemberId[];
  readonly progress: Map<MemberId, Progress>;
  readonly votes: Map<MemberId, boolean>;
  reads: ReadQueue;
  electionElapsed: number;
  heartbeatElapsed: number;
  /** In [electionTicks, 2 * electionTicks), drawn again at every change of role. */
  electionTimeout: number;
  transferee: MemberId | null;
  /** A second conf change is refused until everything up to here is applied. */
  pendingConfIndex: Index;
  uncommittedBytes: number;
}

export function sendNow(core: Core, message: Message): void {
  assert(message.to !== core.id, 'a member does not write to itself');
  core.outbox.now.push(message);
}

/** Leaves when everything decided so far is durable. */
export function sendAfterPersist(core: Core, message: Message): void {
  assert(message.to !== core.id, 'a member does not write to itself');
  core.outbox.afterPersist.push(message);
}

export function ownProgress(core: Core): Progress | null {
  return core.progress.get(core.id) ?? null;
}

export function progressOf(core: Core, id: MemberId): Progress {
  return must(core.progress.get(id), 'a member has progress');
}

/** Whether anybody else's vote counts. */
export function hasOtherVoters(core: Core): boolean {
  const { voters, votersOutgoing } = core.config;
  return voters.some((id) => id !== core.id) || votersOutgoing.some((id) => id !== core.id);
}

/** A voter that is not about to be replaced by a snapshot, on a disk that keeps up. */
export function isPromotable(core: Core): boolean {
  return isVoter(core.config, core.id) && !core.log.snapshotPending && !diskStalled(core);
}

/** The hand-out in flight has taken longer than a whole election: this disk cannot lead. */
export function diskStalled(core: Core): boolean {
  return core.durability.inFlightTicks > core.settings.electionTicks;
}

/** Brings the progress map in line with the configuration; who stays keeps what is known of it. */
export function syncProgress(core: Core): void {
  core.members = memberIds(core.config);
  const staying = new Set(core.members);
  for (const id of [...core.progress.keys()]) {
    if (!staying.has(id)) core.progress.delete(id);
  }
  for (const id of core.members) {
    const learner = core.config.learners.includes(id);
    const known = core.progress.get(id);
    if (known !== undefined) {
      known.learner = learner;
      continue;
    }
    // A new member starts as active, or the next quorum check could depose us before it spoke.
    const next = Math.max(core.log.last, 1);
    core.progress.set(id, newProgress({ match: 0, next, learner, recentActive: true }));
  }
}

/** Forgets everything that belonged to a role or a term of office. */
export function resetForTerm(core: Core, term: Term): void {
  assert(term >= core.term, 'terms never go back');
  if (core.term !== term) {
    core.term = term;
    core.vote = null;
  }
  core.lead = null;
  core.electionElapsed = 0;
  core.heartbeatElapsed = 0;
  redrawElectionTimeout(core);
  core.transferee = null;
  core.votes.clear();
  for (const [id, progress] of core.progress) {
    const match = id === core.id ? core.log.durable : 0;
    core.progress.set(
      id,
      newProgress({
        match,
        next: core.log.last + 1,
        learner: progress.learner,
        recentActive: false,
      }),
    );
  }
  core.pendingConfIndex = 0;
  core.uncommittedBytes = 0;
  core.reads = core.reads.successor();
  core.outbox.appendsDue = false;
  core.outbox.readsDue = false;
}

export function redrawElectionTimeout(core: Core): void {
  const { electionTicks, random } = core.settings;
  core.electionTimeout = electionTicks + random.below(electionTicks);
}

export function becomeFollower(core: Core, term: Term, lead: MemberId | null): void {
  resetForTerm(core, term);
  core.lead = lead;
  core.state = 'follower';
}

/** Only the state changes: neither term nor vote, so a failed pre-vote leaves no trace. */
export function becomePreCandidate(core: Core): void {
  assert(core.state !== 'leader', 'a leader does not campaign');
  core.votes.clear();
  core.lead = null;
  core.state = 'pre-candidate';
}

export function becomeCandidate(core: Core): void {
  assert(core.state !== 'leader', 'a leader does not campaign');
  resetForTerm(core, core.term + 1);
  core.vote = core.id;
  core.state = 'candidate';
}
