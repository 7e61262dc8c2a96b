/**
 * What a leader believes about one member, and every transition of that belief. Nothing outside
 * this file assigns to a field of `Progress` except `recentActive`.
 *
 * - probe: the end of the follower's log is not known; one append at a time finds it.
 * - replicate: it is known; appends are sent optimistically, within the inflight window.
 * - snapshot: the entries it needs are compacted; nothing is sent until the snapshot has arrived.
 *
 * Invariant: `match < next`. Entries in (match, next) are in flight. In the snapshot state
 * `next == pending + 1`.
 */

import { assert } from '../assert.ts';
import type { Index } from '../types.ts';
import { type InflightLimits, Inflights } from './inflights.ts';

export type Flow =
  | { readonly kind: 'probe'; paused: boolean }
  | { readonly kind: 'replicate'; paused: boolean; readonly inflights: Inflights }
  | { readonly kind: 'snapshot'; readonly pending: Index };

export interface Progress {
  /** The follower's log is known to equal ours up to here. */
  match: Index;
  /** The first entry to send next. */
  next: Index;
  /** The highest commit index on its way to the follower. */
  sentCommit: Index;
  /** It was heard from since the last quorum check. */
  recentActive: boolean;
  learner: boolean;
  flow: Flow;
}

export function newProgress(options: {
  readonly match: Index;
  readonly next: Index;
  readonly learner: boolean;
  readonly recentActive: boolean;
}): Progress {
  assert(options.match < options.next, 'match stays below next');
  return { ...options, sentCommit: 0, flow: { kind: 'probe', paused: false } };
}

/** After a snapshot, probing starts right behind it, for it is presumed to have arrived. */
export function becomeProbe(progress: Progress): void {
  const floor = progress.flow.kind === 'snapshot' ? progress.flow.pending + 1 : 0;
  progress.flow = { kind: 'probe', paused: false };
  progress.next = Math.max(progress.match + 1, floor);
  progress.sentCommit = Math.min(progress.sentCommit, progress.next - 1);
}

export function becomeReplicate(progress: Progress, window: InflightLimits): void {
  progress.flow = { kind: 'replicate', paused: false, inflights: new Inflights(window) };
  progress.next = progress.match + 1;
}

export function becomeSnapshot(progress: Progress, index: Index): void {
  assert(index > progress.match, 'a snapshot brings the follower forward');
  progress.flow = { kind: 'snapshot', pending: index };
  progress.next = index + 1;
  progress.sentCommit = index;
}

/**
 * A report about the snapshot that was being sent. Whether it arrived or not, nothing is sent
 * before the follower speaks: its answer says where it stands, a heartbeat answer that it is there.
 */
export function snapshotReported(progress: Progress, ok: boolean): void {
  if (progress.flow.kind !== 'snapshot') return;
  if (!ok) progress.flow = { kind: 'probe', paused: true };
  becomeProbe(progress);
  progress.flow = { kind: 'probe', paused: true };
}

/** Records that an append with `count` entries of `bytes` payload was sent, carrying `commit`. */
export function sentAppend(
  progress: Progress,
  sent: { readonly count: number; readonly bytes: number; readonly commit: Index },
): void {
  const flow = progress.flow;
  assert(flow.kind !== 'snapshot', 'nothing is appended while a snapshot travels');
  if (flow.kind === 'replicate') {
    if (sent.count > 0) {
      progress.next += sent.count;
      flow.inflights.add(progress.next - 1, sent.bytes);
    }
    // With a full window this message is a probe: the next one waits for a sign of life.
    flow.paused = flow.inflights.full;
  } else if (sent.count > 0) {
    flow.paused = true;
  }
  progress.sentCommit = sent.commit;
}

export function sentCommit(progress: Progress, commit: Index): void {
  progress.sentCommit = commit;
}

/** The follower acknowledged `index`. False when the message says nothing new. */
export function maybeAdvance(progress: Progress, index: Index): boolean {
  if (index <= progress.match) return false;
  progress.match = index;
  progress.next = Math.max(progress.next, index + 1);
  resume(progress);
  return true;
}

/** Frees the part of the window that the follower has acknowledged. */
export function acknowledged(progress: Progress, index: Index): void {
  if (progress.flow.kind === 'replicate') progress.flow.inflights.freeThrough(index);
}

/**
 * The follower rejected the append behind `rejected` and its log may match ours at `hint`. False
 * when the rejection is stale: messages may be repeated and overtake each other.
 */
export function maybeDecrease(progress: Progress, rejected: Index, hint: Index): boolean {
  if (progress.flow.kind === 'replicate') {
    if (rejected <= progress.match) return false;
    progress.next = progress.match + 1;
  } else {
    // One probe is in flight at a time, so a genuine rejection names exactly that one.
    if (progress.next - 1 !== rejected) return false;
    progress.next = Math.max(Math.min(rejected, hint + 1), progress.match + 1);
    resume(progress);
  }
  progress.sentCommit = Math.min(progress.sentCommit, progress.next - 1);
  return true;
}

/** The follower gave a sign of life: one more message may be risked. */
export function resume(progress: Progress): void {
  if (progress.flow.kind !== 'snapshot') progress.flow.paused = false;
}

export function isPaused(progress: Progress): boolean {
  return progress.flow.kind === 'snapshot' || progress.flow.paused;
}

/** In replicate with a full window only empty appends may leave. */
export function hasRoom(progress: Progress): boolean {
  return progress.flow.kind !== 'replicate' || !progress.flow.inflights.full;
}

/** Whether telling the follower this commit index could move its own. */
export function canBumpCommit(progress: Progress, commit: Index): boolean {
  return commit > progress.sentCommit && progress.sentCommit < progress.next - 1;
}
