/**
 * Elections (thesis 3.4, 9.6): campaigning with or without a pre-vote, judging requests for votes,
 * counting, and the checks by which a leader finds out that it should not be one.
 *
 * Safety: the own vote counts when it is durable, see `countOwnVote`; that of a pre-candidate
 * counts at once, for a pre-vote promises nothing.
 */

import { assert } from '../assert.ts';
import { EMPTY_BYTES, type MemberId } from '../types.ts';
import {
  becomeCandidate,
  becomeFollower,
  becomePreCandidate,
  type Core,
  diskStalled,
  hasOtherVoters,
  isPromotable,
  ownProgress,
  resetForTerm,
  sendAfterPersist,
} from './core.ts';
import type { Message } from './messages.ts';
import { becomeReplicate } from './progress.ts';
import { jointVote } from './quorum.ts';
import { appendOwn, broadcastHeartbeat } from './replication.ts';

export type CampaignKind = 'pre-election' | 'election' | 'transfer';
type VoteRequest = Extract<Message, { type: 'vote' | 'pre-vote' }>;

/** etcd: the context that lets a request for votes pass the leader's lease. */
const TRANSFER_CONTEXT: Uint8Array = Buffer.from('CampaignTransfer', 'latin1');

export function isTransfer(context: Uint8Array): boolean {
  return (
    TRANSFER_CONTEXT.length === context.length && Buffer.compare(TRANSFER_CONTEXT, context) === 0
  );
}

/** Starts an election unless this member must not lead now. */
export function maybeCampaign(core: Core, kind: CampaignKind): boolean {
  if (core.state === 'leader' || !isPromotable(core)) return false;
  // The configuration is about to change; counting votes by the old one would not be safe.
  if (core.log.hasUnappliedConfChange) return false;
  campaign(core, kind);
  return true;
}

function campaign(core: Core, kind: CampaignKind): void {
  const pre = kind === 'pre-election';
  if (pre) becomePreCandidate(core);
  else becomeCandidate(core);
  const term = pre ? core.term + 1 : core.term;
  for (const id of voterIds(core)) {
    if (id === core.id) continue;
    // Waits for the disk because it names the end of our log: a vote given for entries that a
    // crash then takes away, counted after the restart, would elect a leader that lacks them.
    sendAfterPersist(core, {
      type: pre ? 'pre-vote' : 'vote',
      from: core.id,
      to: id,
      term,
      index: core.log.last,
      logTerm: core.log.lastTerm,
      context: kind === 'transfer' ? TRANSFER_CONTEXT : EMPTY_BYTES,
    });
  }
  if (pre) recordVote(core, core.id, true);
}

function voterIds(core: Core): readonly MemberId[] {
  const { voters, votersOutgoing } = core.config;
  return core.members.filter((id) => voters.includes(id) || votersOutgoing.includes(id));
}

/** Counts one vote, the first of each member, and acts on the result. */
export function recordVote(core: Core, from: MemberId, granted: boolean): void {
  assert(
    core.state === 'candidate' || core.state === 'pre-candidate',
    'only candidates count votes',
  );
  if (!core.votes.has(from)) core.votes.set(from, granted);
  switch (jointVote(core.config.voters, core.config.votersOutgoing, core.votes)) {
    case 'won':
      if (core.state === 'pre-candidate') campaign(core, 'election');
      else becomeLeader(core);
      break;
    case 'lost':
      becomeFollower(core, core.term, null);
      break;
    case 'pending':
      break;
  }
}

/** Called when a hand-out became durable: perhaps it held our vote for ourselves. */
export function countOwnVote(core: Core): void {
  const { term, vote } = core.durability.durable;
  if (core.state !== 'candidate' || term !== core.term || vote !== core.id) return;
  if (!core.votes.has(core.id)) recordVote(core, core.id, true);
}

/** Opens the term with an empty entry: committing it commits everything before (thesis 3.6.2). */
function becomeLeader(core: Core): void {
  assert(core.state === 'candidate', 'only a candidate becomes leader');
  assert(core.durability.durable.term === core.term, 'a leader has its term on disk');
  resetForTerm(core, core.term);
  core.lead = core.id;
  core.state = 'leader';
  const own = ownProgress(core);
  if (own !== null) {
    becomeReplicate(own, core.settings.window);
    own.recentActive = true;
  }
  // The tail of the log may hold a conf change; waiting for all of it is cheaper than a scan.
  core.pendingConfIndex = core.log.last;
  appendOwn(core, 'normal', EMPTY_BYTES);
}

/**
 * Learners vote when asked: a member may have been made a voter without having learned of it, and
 * the group may depend on its vote.
 */
export function handleVoteRequest(core: Core, message: VoteRequest): void {
  const pre = message.type === 'pre-vote';
  const free =
    core.vote === message.from ||
    (core.vote === null && core.lead === null) ||
    (pre && message.term > core.term);
  const granted = free && core.log.isUpToDate(message.index, message.logTerm);
  sendAfterPersist(core, {
    type: pre ? 'pre-vote-resp' : 'vote-resp',
    from: core.id,
    to: message.from,
    // A granted pre-vote echoes the future term, or the asker would take the answer for an old one.
    term: granted ? message.term : core.term,
    reject: !granted,
  });
  if (granted && !pre) {
    core.electionElapsed = 0;
    core.vote = message.from;
  }
}

/** Whether a request for votes must be ignored because a leader was heard of a moment ago. */
export function leaseHolds(core: Core, message: VoteRequest): boolean {
  return (
    core.settings.checkQuorum &&
    core.lead !== null &&
    core.electionElapsed < core.settings.electionTicks &&
    !isTransfer(message.context)
  );
}

/** A tick of a follower or candidate. */
export function tickElection(core: Core): void {
  core.electionElapsed++;
  if (core.electionElapsed < core.electionTimeout || !isPromotable(core)) return;
  core.electionElapsed = 0;
  maybeCampaign(core, core.settings.preVote ? 'pre-election' : 'election');
}

export function tickLeader(core: Core): void {
  if (diskStalled(core) && hasOtherVoters(core)) {
    // Heartbeats would keep the others from electing a leader whose disk works.
    becomeFollower(core, core.term, null);
    return;
  }
  core.heartbeatElapsed++;
  core.electionElapsed++;
  if (core.electionElapsed >= core.settings.electionTicks) {
    core.electionElapsed = 0;
    if (core.settings.checkQuorum && !checkQuorum(core)) return;
    // A transfer that did not finish within an election timeout is given up.
    core.transferee = null;
  }
  if (core.heartbeatElapsed >= core.settings.heartbeatTicks) {
    core.heartbeatElapsed = 0;
    broadcastHeartbeat(core);
  }
}

/** Thesis 6.2: a leader that a quorum has not answered for an election timeout steps down. */
function checkQuorum(core: Core): boolean {
  const active = new Map<MemberId, boolean>();
  for (const [id, progress] of core.progress) {
    active.set(id, id === core.id || progress.recentActive);
    if (id !== core.id) progress.recentActive = false;
  }
  const { voters, votersOutgoing } = core.config;
  if (jointVote(voters, votersOutgoing, active) === 'won') return true;
  becomeFollower(core, core.term, null);
  return false;
}
