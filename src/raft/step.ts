/**
 * One message in. First the term of the message against ours, which is the same for every kind and
 * may make a follower of us or end the matter; then one small function per role.
 *
 * Messages come from the network: what does not belong here (another addressee, an answer from a
 * member we do not count) is dropped without a word, for delayed messages are ordinary.
 */

import type { Term } from '../types.ts';
import { becomeFollower, type Core, sendAfterPersist } from './core.ts';
import { handleVoteRequest, leaseHolds, maybeCampaign, recordVote } from './election.ts';
import {
  acknowledge,
  followLeader,
  handleApp,
  handleHeartbeat,
  handleSnapshot,
} from './follower.ts';
import type { Message } from './messages.ts';
import { handleProp } from './proposals.ts';
import { requestRead } from './read-index.ts';
import { handleAppResp, handleHeartbeatResp } from './replication.ts';
import { transferLeadership } from './transfer.ts';

export function step(core: Core, message: Message): void {
  if (message.to !== core.id || isFromStranger(core, message)) return;
  if (!passesTerm(core, message)) return;
  if (message.type === 'vote' || message.type === 'pre-vote') {
    handleVoteRequest(core, message);
    return;
  }
  switch (core.state) {
    case 'leader':
      stepLeader(core, message);
      break;
    case 'pre-candidate':
    case 'candidate':
      stepCandidate(core, message);
      break;
    case 'follower':
      stepFollower(core, message);
      break;
  }
}

/** etcd: answers count only from members with progress; requests are taken from anyone. */
function isFromStranger(core: Core, message: Message): boolean {
  switch (message.type) {
    case 'app-resp':
    case 'vote-resp':
    case 'pre-vote-resp':
    case 'heartbeat-resp':
    case 'read-index-resp':
      return !core.progress.has(message.from);
    default:
      return false;
  }
}

/** Whether the message is to be looked at any further. */
function passesTerm(core: Core, message: Message): boolean {
  // What is forwarded to a leader carries no term: it is as good as asked there.
  if (message.type === 'prop' || message.type === 'read-index') return true;
  const { term } = message;
  if (term === core.term) return true;
  if (message.type === 'transfer-leader' && term === 0) return true;
  return term > core.term ? passesLaterTerm(core, message, term) : passesEarlierTerm(core, message);
}

function passesLaterTerm(core: Core, message: Message, term: Term): boolean {
  switch (message.type) {
    case 'pre-vote':
      // A pre-vote asks about a future term; it does not start it.
      return !leaseHolds(core, message);
    case 'pre-vote-resp':
      // A granted one echoes the term we asked about; a rejection tells of a real later term.
      if (message.reject) becomeFollower(core, term, null);
      return true;
    case 'vote':
      if (leaseHolds(core, message)) return false;
      becomeFollower(core, term, null);
      return true;
    case 'app':
    case 'heartbeat':
    case 'snap':
      becomeFollower(core, term, message.from);
      return true;
    default:
      becomeFollower(core, term, null);
      return true;
  }
}

function passesEarlierTerm(core: Core, message: Message): false {
  const { checkQuorum, preVote } = core.settings;
  if (message.type === 'app' || message.type === 'heartbeat') {
    // Leases and pre-votes keep our later term from reaching the leader through an election, so
    // without this answer a member that came back with a later term would stay outside for good.
    if (checkQuorum || preVote) acknowledge(core, message.from, 0);
  } else if (message.type === 'pre-vote') {
    sendAfterPersist(core, {
      type: 'pre-vote-resp',
      from: core.id,
      to: message.from,
      term: core.term,
      reject: true,
    });
  }
  return false;
}

function stepLeader(core: Core, message: Message): void {
  switch (message.type) {
    case 'prop':
      handleProp(core, message.from, message.entries);
      break;
    case 'read-index':
      requestRead(core, message.from, message.context);
      break;
    case 'app-resp':
      handleAppResp(core, message);
      break;
    case 'heartbeat-resp':
      handleHeartbeatResp(core, message);
      break;
    case 'transfer-leader':
      transferLeadership(core, message.from);
      break;
    default:
      break;
  }
}

/** Votes of the other kind are stale: they answer the pre-vote before this vote, or the reverse. */
function stepCandidate(core: Core, message: Message): void {
  switch (message.type) {
    case 'vote-resp':
      if (core.state === 'candidate') recordVote(core, message.from, !message.reject);
      break;
    case 'pre-vote-resp':
      if (core.state === 'pre-candidate') recordVote(core, message.from, !message.reject);
      break;
    default:
      stepLeaderMessage(core, message);
      break;
  }
}

function stepFollower(core: Core, message: Message): void {
  switch (message.type) {
    case 'prop':
      handleProp(core, message.from, message.entries);
      break;
    case 'read-index':
      requestRead(core, message.from, message.context);
      break;
    case 'read-index-resp':
      core.outbox.reads.push({ context: message.context, index: message.index });
      break;
    case 'transfer-leader':
      transferLeadership(core, message.from);
      break;
    case 'timeout-now':
      // The leader itself asks for it, so there is nothing that a pre-vote could protect.
      maybeCampaign(core, 'transfer');
      break;
    default:
      stepLeaderMessage(core, message);
      break;
  }
}

function stepLeaderMessage(core: Core, message: Message): void {
  switch (message.type) {
    case 'app':
      followLeader(core, message.from);
      handleApp(core, message);
      break;
    case 'heartbeat':
      followLeader(core, message.from);
      handleHeartbeat(core, message);
      break;
    case 'snap':
      followLeader(core, message.from);
      handleSnapshot(core, message.from, message.snapshot);
      break;
    default:
      break;
  }
}
