/**
 * The follower's side: taking appends, heartbeats and snapshots from the leader of the term.
 * Acknowledgements of appends and snapshots wait for the disk; an answer to a heartbeat claims
 * nothing about the log and leaves at once.
 */

import type { Index, MemberId } from '../types.ts';
import { becomeFollower, type Core, sendAfterPersist, sendNow, syncProgress } from './core.ts';
import { normalize } from './membership.ts';
import type { Message, Snapshot } from './messages.ts';

type App = Extract<Message, { type: 'app' }>;
type Heartbeat = Extract<Message, { type: 'heartbeat' }>;

/** A message from the leader of the term: whoever else we were, we follow it now. */
export function followLeader(core: Core, lead: MemberId): void {
  if (core.state !== 'follower') becomeFollower(core, core.term, lead);
  core.electionElapsed = 0;
  core.lead = lead;
}

export function handleApp(core: Core, message: App): void {
  const { from, index, logTerm, entries, commit } = message;
  if (index < core.log.commit) {
    acknowledge(core, from, core.log.commit);
    return;
  }
  const matched = core.log.maybeAppend(index, logTerm, entries);
  if (matched !== null) {
    core.log.commitTo(Math.min(commit, matched));
    acknowledge(core, from, matched);
    return;
  }
  // Everything in our log with a later term than the leader has at this index is certain to differ.
  const guess = core.log.findConflictByTerm(Math.min(index, core.log.last), logTerm);
  sendAfterPersist(core, {
    type: 'app-resp',
    from: core.id,
    to: from,
    term: core.term,
    index,
    reject: true,
    rejectHint: guess.index,
    logTerm: guess.term,
  });
}

/**
 * Acknowledgements are cumulative, so one that still waits for the disk gives way to the next. A
 * follower whose disk is slow answers a whole window of appends with one message.
 */
export function acknowledge(core: Core, to: MemberId, index: Index): void {
  const waiting = core.outbox.afterPersist;
  const last = waiting.at(-1);
  let acknowledged = index;
  if (last?.type === 'app-resp' && !last.reject && last.to === to && last.term === core.term) {
    waiting.pop();
    acknowledged = Math.max(index, last.index);
  }
  sendAfterPersist(core, {
    type: 'app-resp',
    from: core.id,
    to,
    term: core.term,
    index: acknowledged,
    reject: false,
    rejectHint: 0,
    logTerm: 0,
  });
}

export function handleHeartbeat(core: Core, message: Heartbeat): void {
  core.log.commitTo(message.commit);
  sendNow(core, {
    type: 'heartbeat-resp',
    from: core.id,
    to: message.from,
    term: core.term,
    context: message.context,
  });
}

export function handleSnapshot(core: Core, from: MemberId, snapshot: Snapshot): void {
  const restored = maybeRestore(core, snapshot);
  acknowledge(core, from, restored ? core.log.last : core.log.commit);
}

/** False when the snapshot says nothing new, or is not meant for a group with this member. */
function maybeRestore(core: Core, snapshot: Snapshot): boolean {
  const { index, term, confState } = snapshot.metadata;
  if (index <= core.log.commit) return false;
  const { voters, learners, votersOutgoing } = confState;
  if (![...voters, ...learners, ...votersOutgoing].includes(core.id)) return false;
  if (core.log.matches(index, term)) {
    // The log holds all of it already: only its being committed is news.
    core.log.commitTo(index);
    return false;
  }
  core.log.restore(snapshot);
  core.config = normalize(confState);
  core.progress.clear();
  syncProgress(core);
  return true;
}
