/**
 * What the outside has to do, taken out of the core, and the books on what the disk holds.
 *
 * One hand-out for persisting is in flight at a time. While it is, everything that waits for the
 * disk gathers and becomes the next one: that is where batching comes from.
 *
 * The commit mark alone never makes a hand-out: it rides on the next one, and if there is none, on
 * one of its own at the next tick that needs no sync. Recovery does not need it (a new leader finds
 * the commit index again), tools that read a member's files do.
 */

import { assert } from '../assert.ts';
import type { Core, ReadState, Role } from './core.ts';
import { countOwnVote } from './election.ts';
import type { Entry, HardState, Message, Snapshot } from './messages.ts';
import { flushForwarded } from './proposals.ts';
import { answerConfirmedReads } from './read-index.ts';
import { acknowledgeOwn, broadcastAppends, broadcastHeartbeat } from './replication.ts';

export interface Persist {
  /** `null`: as last written. */
  readonly hardState: HardState | null;
  /** Replace everything in the log from the first one's index on. */
  readonly entries: readonly Entry[];
  /**
   * Replaces the whole log and comes before `entries`. `persisted()` then also says that the state
   * machine stands at it.
   */
  readonly snapshot: Snapshot | null;
  /** False when only the commit mark moved: write it, do not wait for the disk. */
  readonly mustSync: boolean;
  /** Leave after this is durable. */
  readonly thenSend: readonly Message[];
}

export interface Ready {
  /** May leave now, even before `persist`. */
  readonly send: readonly Message[];
  readonly persist: Persist | null;
  /** Committed, and durable on this member; in order, each entry exactly once. */
  readonly apply: readonly Entry[];
  /** May be served once `index` is applied. */
  readonly reads: readonly ReadState[];
  /** `null` when it did not change. */
  readonly role: Role | null;
}

const NOTHING: readonly never[] = [];

export function takeReady(core: Core, reported: Role | null): Ready {
  if (core.state === 'leader') flushLeader(core);
  flushForwarded(core);
  const { outbox } = core;
  const persist = nextPersist(core);
  const send = outbox.now;
  outbox.now = [];
  if (persist === null && core.durability.inFlight === null) {
    // Everything these wait for is durable already.
    for (const message of outbox.afterPersist) send.push(message);
    outbox.afterPersist = [];
  }
  const reads = outbox.reads;
  if (reads.length > 0) outbox.reads = [];
  return {
    send,
    persist,
    apply: core.log.handOutApplicable(core.settings.applyBytesMax),
    reads: reads.length > 0 ? reads : NOTHING,
    role: changedRole(core, reported),
  };
}

function flushLeader(core: Core): void {
  const { outbox } = core;
  if (outbox.readsDue) {
    outbox.readsDue = false;
    answerConfirmedReads(core);
    if (core.reads.heartbeatContext().length > 0) broadcastHeartbeat(core);
  }
  if (outbox.appendsDue) {
    outbox.appendsDue = false;
    broadcastAppends(core);
  }
}

function nextPersist(core: Core): Persist | null {
  const { durability, outbox, log } = core;
  if (durability.inFlight !== null) return null;
  const { durable } = durability;
  const voteMoved = durable.term !== core.term || durable.vote !== core.vote;
  const commitMoved = durable.commit !== log.commit;
  const mustSync = voteMoved || log.hasUnpersisted;
  if (!mustSync && !(commitMoved && outbox.commitDue)) return null;
  const { snapshot, entries } = log.handOut();
  const hardState: HardState = { term: core.term, vote: core.vote, commit: log.commit };
  const thenSend = outbox.afterPersist;
  outbox.afterPersist = [];
  outbox.commitDue = false;
  durability.inFlight = hardState;
  durability.inFlightTicks = 0;
  return {
    hardState: voteMoved || commitMoved ? hardState : null,
    entries,
    snapshot,
    mustSync,
    thenSend,
  };
}

/** The hand-out in flight is durable. */
export function persisted(core: Core): void {
  const { durability } = core;
  const handed = durability.inFlight;
  assert(handed !== null, 'a hand-out is in flight');
  durability.durable = handed;
  durability.inFlight = null;
  durability.inFlightTicks = 0;
  core.log.persisted();
  countOwnVote(core);
  if (core.state === 'leader') acknowledgeOwn(core);
}

export function hasReady(core: Core, reported: Role | null): boolean {
  const { outbox, durability, log } = core;
  if (outbox.now.length + outbox.reads.length + outbox.forward.length > 0) return true;
  if (outbox.appendsDue || outbox.readsDue || log.hasApplicable) return true;
  if (changedRole(core, reported) !== null) return true;
  if (durability.inFlight !== null) return false;
  const { durable } = durability;
  return (
    outbox.afterPersist.length > 0 ||
    log.hasUnpersisted ||
    durable.term !== core.term ||
    durable.vote !== core.vote ||
    (outbox.commitDue && durable.commit !== log.commit)
  );
}

function changedRole(core: Core, reported: Role | null): Role | null {
  const { state, lead, term } = core;
  if (reported !== null && reported.state === state && reported.lead === lead) {
    if (reported.term === term) return null;
  }
  return { state, lead, term };
}

/** Whether it leads to nothing that could make another one; messages that leave do not. */
export function isIdle({ persist, apply, reads, role }: Ready): boolean {
  return persist === null && apply.length === 0 && reads.length === 0 && role === null;
}
