/**
 * Proposals: appended by the leader, forwarded by a follower that knows one, dropped otherwise.
 *
 * A conf change that may not enter the log now (another one is pending, or the rules of joint
 * consensus forbid it) is replaced by an empty entry, as etcd does: the place in the log is taken
 * and whoever proposed it finds out by waiting in vain.
 */

import { EMPTY_BYTES, type MemberId } from '../types.ts';
import { type Core, ownProgress, sendNow } from './core.ts';
import { asksToLeave, changeMembership, isJoint } from './membership.ts';
import type { Entry, EntryType } from './messages.ts';
import { entryBytes } from './raft-log.ts';
import { appendOwn } from './replication.ts';

/** False when the proposal was dropped and nothing will come of it. */
export function propose(core: Core, type: EntryType, data: Uint8Array): boolean {
  if (core.state === 'leader') return proposeAsLeader(core, type, data);
  if (core.state !== 'follower' || core.lead === null) return false;
  core.outbox.forward.push({ type, term: 0, index: 0, data });
  return true;
}

function proposeAsLeader(core: Core, type: EntryType, data: Uint8Array): boolean {
  // A leader that was removed, or is handing over, must not promise anything any more.
  if (core.transferee !== null || ownProgress(core) === null) return false;
  if (exceedsUncommitted(core, data.length)) return false;
  if (type === 'normal') appendOwn(core, type, data);
  else appendConfChange(core, type, data);
  return true;
}

/**
 * The first one may be of any size, or it could never be made. Empty ones always find room, or a
 * joint configuration could not be left while the log behind it is full.
 */
function exceedsUncommitted(core: Core, bytes: number): boolean {
  if (bytes === 0 || core.uncommittedBytes === 0) return false;
  return core.uncommittedBytes + bytes > core.settings.uncommittedBytesMax;
}

function appendConfChange(core: Core, type: EntryType, data: Uint8Array): void {
  if (mayChange(core, { type, term: 0, index: 0, data })) {
    core.pendingConfIndex = core.log.last + 1;
    appendOwn(core, type, data);
  } else {
    appendOwn(core, 'normal', EMPTY_BYTES);
  }
}

/**
 * With nothing pending the active configuration is the latest one in the log, so a change that can
 * be made to it now can still be made when the entry is applied.
 */
function mayChange(core: Core, entry: Entry): boolean {
  if (core.pendingConfIndex > core.log.applied) return false;
  const change = core.settings.decodeConfChange(entry);
  if (change === null || isJoint(core.config) !== asksToLeave(change)) return false;
  return changeMembership(core.config, change).ok;
}

/** Proposals of another member. A stale leader passes them on to the one it follows now. */
export function handleProp(core: Core, from: MemberId, entries: readonly Entry[]): void {
  if (core.state === 'leader') {
    for (const { type, data } of entries) propose(core, type, data);
  } else if (core.state === 'follower' && core.lead !== null && core.lead !== from) {
    sendNow(core, { type: 'prop', from, to: core.lead, entries });
  }
}

/** Sends the gathered proposals to the leader. */
export function flushForwarded(core: Core): void {
  const gathered = core.outbox.forward;
  if (gathered.length === 0) return;
  core.outbox.forward = [];
  if (core.state === 'leader') {
    for (const { type, data } of gathered) proposeAsLeader(core, type, data);
    return;
  }
  // Without a leader they are lost like any message; the proposer's wait is bounded.
  if (core.state !== 'follower' || core.lead === null) return;
  let batch: Entry[] = [];
  let bytes = 0;
  for (const entry of gathered) {
    const size = entryBytes(entry);
    if (batch.length > 0 && bytes + size > core.settings.appendBytesMax) {
      sendNow(core, { type: 'prop', from: core.id, to: core.lead, entries: batch });
      batch = [];
      bytes = 0;
    }
    batch.push(entry);
    bytes += size;
  }
  sendNow(core, { type: 'prop', from: core.id, to: core.lead, entries: batch });
}

/**
 * A joint configuration that asked for it is left as soon as it is applied: the leader proposes an
 * empty change. Tried again at every apply, for a transfer of leadership may have got in between.
 */
export function maybeLeaveJoint(core: Core): void {
  if (core.state !== 'leader' || !core.config.autoLeave) return;
  if (core.log.applied < core.pendingConfIndex) return;
  propose(core, 'conf-change-v2', EMPTY_BYTES);
}
