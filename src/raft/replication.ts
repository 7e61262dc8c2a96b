/**
 * The leader's side of log replication (thesis 3.5, 10.2): what to send to whom, and what the
 * answers mean. Sending new entries is put off until `takeReady`, so that everything proposed in
 * one turn leaves in one message per follower.
 */

import { assert } from '../assert.ts';
import type { Index, MemberId } from '../types.ts';
import { EMPTY_BYTES } from '../types.ts';
import { type Core, ownProgress, progressOf, sendNow } from './core.ts';
import type { EntryType, Message, SnapshotMetadata } from './messages.ts';
import {
  acknowledged,
  becomeProbe,
  becomeReplicate,
  becomeSnapshot,
  canBumpCommit,
  hasRoom,
  isPaused,
  maybeAdvance,
  maybeDecrease,
  type Progress,
  resume,
  sentAppend,
  sentCommit,
} from './progress.ts';
import { jointIndex } from './quorum.ts';
import { entryBytes } from './raft-log.ts';
import { answerConfirmedReads, releaseEarlyReads } from './read-index.ts';

type AppResp = Extract<Message, { type: 'app-resp' }>;
type HeartbeatResp = Extract<Message, { type: 'heartbeat-resp' }>;

/** Adds an entry of the current term to the leader's log. */
export function appendOwn(core: Core, type: EntryType, data: Uint8Array): void {
  core.log.append({ type, term: core.term, index: core.log.last + 1, data });
  core.uncommittedBytes += data.length;
  core.outbox.appendsDue = true;
}

/** The leader's own entries became durable: its disk is one more copy. */
export function acknowledgeOwn(core: Core): void {
  const own = ownProgress(core);
  if (own === null) return;
  if (maybeAdvance(own, core.log.durable)) maybeCommit(core);
}

/** Moves the commit index to what a quorum holds, if that is an entry of this term. */
export function maybeCommit(core: Core): boolean {
  const { voters, votersOutgoing } = core.config;
  const index = jointIndex(voters, votersOutgoing, (id) => core.progress.get(id)?.match ?? 0);
  if (!core.log.maybeCommit(index, core.term)) return false;
  core.outbox.appendsDue = true;
  releaseEarlyReads(core);
  return true;
}

/** Sends every follower what it lacks, as far as its window allows. */
export function broadcastAppends(core: Core): void {
  for (const id of core.members) {
    if (id === core.id) continue;
    const progress = progressOf(core, id);
    let sent = false;
    while (maybeSendAppend(core, id, progress, false)) sent = true;
    if (!sent && canBumpCommit(progress, core.log.commit)) sendAppend(core, id, progress);
  }
}

/** One append, empty if need be: a probe, or news of the commit index. */
export function sendAppend(core: Core, id: MemberId, progress: Progress): void {
  maybeSendAppend(core, id, progress, true);
}

function maybeSendAppend(
  core: Core,
  id: MemberId,
  progress: Progress,
  sendIfEmpty: boolean,
): boolean {
  if (isPaused(progress)) return false;
  const index = progress.next - 1;
  const logTerm = core.log.termAt(index);
  if (logTerm === null) return maybeSendSnapshot(core, id, progress);
  const lacks = progress.next <= core.log.last && hasRoom(progress);
  if (!lacks && !sendIfEmpty) return false;
  const entries = lacks ? core.log.entriesFrom(progress.next, core.settings.appendBytesMax) : [];
  let bytes = 0;
  for (const entry of entries) bytes += entryBytes(entry);
  const commit = core.log.commit;
  sendNow(core, {
    type: 'app',
    from: core.id,
    to: id,
    term: core.term,
    index,
    logTerm,
    entries,
    commit,
  });
  sentAppend(progress, { count: entries.length, bytes, commit });
  return true;
}

/**
 * Offers the state as applied here. The message carries only the metadata: the state itself is
 * streamed by whoever takes the message, at this index or a later one.
 */
function maybeSendSnapshot(core: Core, id: MemberId, progress: Progress): boolean {
  if (!progress.recentActive) return false;
  const metadata = appliedMetadata(core);
  becomeSnapshot(progress, metadata.index);
  sendNow(core, {
    type: 'snap',
    from: core.id,
    to: id,
    term: core.term,
    snapshot: { metadata, data: EMPTY_BYTES },
  });
  return true;
}

/** What a snapshot of the state machine, taken now, has to say about the log. */
export function appliedMetadata(core: Core): SnapshotMetadata {
  const index = core.log.applied;
  const term = core.log.termAt(index);
  assert(term !== null, 'the term of the applied index is known');
  return { index, term, confState: core.config };
}

/**
 * Safety: the commit index sent is one the follower is known to hold, for a heartbeat, unlike an
 * append, does not check that the logs match.
 */
export function broadcastHeartbeat(core: Core): void {
  const context = core.reads.heartbeatContext();
  for (const id of core.members) {
    if (id === core.id) continue;
    const progress = progressOf(core, id);
    const commit = Math.min(progress.match, core.log.commit);
    sendNow(core, { type: 'heartbeat', from: core.id, to: id, term: core.term, commit, context });
    sentCommit(progress, commit);
  }
}

export function handleAppResp(core: Core, message: AppResp): void {
  const progress = core.progress.get(message.from);
  if (progress === undefined) return;
  progress.recentActive = true;
  if (message.reject) handleRejection(core, message, progress);
  else handleAcknowledgement(core, message.from, message.index, progress);
}

/**
 * Both sides skip whole terms (thesis 3.5, end): the follower has named the last position that can
 * match what we sent; the leader goes on from there to the last own one that can match that. A
 * 3.4 follower names no term, and its hint is simply the end of its log.
 */
function handleRejection(core: Core, message: AppResp, progress: Progress): void {
  const { rejectHint, logTerm } = message;
  const hint = logTerm > 0 ? core.log.findConflictByTerm(rejectHint, logTerm).index : rejectHint;
  if (!maybeDecrease(progress, message.index, hint)) return;
  if (progress.flow.kind === 'replicate') becomeProbe(progress);
  sendAppend(core, message.from, progress);
}

function handleAcknowledgement(core: Core, from: MemberId, index: Index, progress: Progress): void {
  // Nobody can have what the leader has not: a peer that says so must not make anything committed.
  if (index > core.log.last) return;
  const probed = progress.flow.kind === 'probe' && progress.match === index;
  if (!maybeAdvance(progress, index) && !probed) return;
  switch (progress.flow.kind) {
    case 'probe':
      becomeReplicate(progress, core.settings.window);
      break;
    case 'snapshot':
      // Whatever snapshot it got, from wherever: what counts is that our log can take it from here.
      if (progress.match + 1 >= core.log.first) {
        becomeReplicate(progress, core.settings.window);
      }
      break;
    case 'replicate':
      acknowledged(progress, index);
      break;
  }
  maybeCommit(core);
  core.outbox.appendsDue = true;
  if (from === core.transferee && progress.match === core.log.last) sendTimeoutNow(core, from);
}

export function handleHeartbeatResp(core: Core, message: HeartbeatResp): void {
  const progress = core.progress.get(message.from);
  if (progress === undefined) return;
  progress.recentActive = true;
  resume(progress);
  // A full window gets an empty append here: if all that filled it was lost, its answer says so.
  if (progress.match < core.log.last || progress.flow.kind === 'probe') {
    sendAppend(core, message.from, progress);
  }
  if (message.context.length === 0) return;
  core.reads.echoed(message.from, message.context);
  answerConfirmedReads(core);
}

export function sendTimeoutNow(core: Core, to: MemberId): void {
  sendNow(core, { type: 'timeout-now', from: core.id, to, term: core.term });
}
