/**
 * The revisions of one key, in memory.
 *
 * A key lives in generations: a put creates it, further puts raise its version, a delete ends the
 * generation, and the next put starts another one with version 1. Take these requests:
 *
 *   revision 2  put k        revision 5  delete k
 *   revision 3  put k        revision 8  put k, twice put again at 9 and 10
 *
 * Then the revisions of k, oldest first, where t marks the tombstone, are
 *
 *   2  3  5t | 8  9  10           two generations, created at 2 and at 8
 *
 * The newest one lies in the fields of the entry (modRevision 10, createRevision 8, version 3), the
 * others in `history`, which most keys do not have. No boundaries are stored, since a generation
 * ends exactly behind each tombstone.
 *
 * What a reader at revision R sees is the newest revision <= R, or nothing if that is a tombstone:
 * at 4 the put of 3, at 5 to 7 nothing, at 8 the put of 8.
 *
 * Compaction at C forgets what no reader at C or above can see: everything before the newest
 * revision <= C. That one stays, unless it is a tombstone below C:
 *
 *   C = 4   3  5t | 8  9  10
 *   C = 5   5t | 8  9  10         etcd: a tombstone just at C stays, so that a watch from C sees it
 *   C = 6   8  9  10
 *   C = 9   9  10                 createRevision and version of the entry do not change
 *
 * Where one request deletes a key and puts it again, etcd 3.7.1 compacted to just that revision
 * keeps the tombstone, deletes the put that readers see, and dies at the next read. Here the put
 * stays.
 *
 * An entry that is left without revisions leaves the index: C = 6 on a key that was deleted at 5.
 */

import { type Key, type LeaseId, NO_LEASE, type Revision } from '../types.ts';

/** A key as its newest change left it. `version` 0 means that this was a deletion. */
export interface KeyState {
  readonly key: Key;
  readonly createRevision: Revision;
  readonly modRevision: Revision;
  readonly version: number;
  readonly lease: LeaseId;
}

/** Few fields, as there is one per key. Invariant: `history` ascends and ends below the fields. */
export interface KeyEntry extends KeyState {
  createRevision: Revision;
  modRevision: Revision;
  modSub: number;
  version: number;
  lease: LeaseId;
  /** Older revisions, two numbers each: main; 2 * sub for a put, one more for a tombstone. */
  history: number[] | null;
}

/** Positions in an entry: 0, 1, ... in `history`, and one past it for the newest revision. */
export type Position = number;
export const ABSENT: Position = -1;

export function newEntry(key: Key, state: Omit<KeyState, 'key'>, modSub: number): KeyEntry {
  return {
    key,
    createRevision: state.createRevision,
    modRevision: state.modRevision,
    modSub,
    version: state.version,
    lease: state.lease,
    history: null,
  };
}

export function isLive(entry: KeyEntry): boolean {
  return entry.version > 0;
}

export function recordPut(
  entry: KeyEntry,
  main: Revision,
  sub: number,
  version: number,
  createRevision: Revision,
  lease: LeaseId,
): void {
  archive(entry);
  entry.createRevision = createRevision;
  entry.modRevision = main;
  entry.modSub = sub;
  entry.version = version;
  entry.lease = lease;
}

export function recordDelete(entry: KeyEntry, main: Revision, sub: number): void {
  recordPut(entry, main, sub, 0, 0, NO_LEASE);
}

function archive(entry: KeyEntry): void {
  const kind = entry.modSub * 2 + (entry.version > 0 ? 0 : 1);
  // A literal has exactly the capacity it needs, where the first push into an empty array
  // reserves seventeen places.
  if (entry.history === null) entry.history = [entry.modRevision, kind];
  else entry.history.push(entry.modRevision, kind);
}

function newest(entry: KeyEntry): Position {
  return entry.history === null ? 0 : entry.history.length >>> 1;
}

/** Position of the newest revision with main <= `revision`, tombstones included, or ABSENT. */
function floor(entry: KeyEntry, revision: Revision): Position {
  const top = newest(entry);
  if (entry.modRevision <= revision) return top;
  const history = entry.history;
  if (history === null) return ABSENT;
  let low = 0;
  let high = top;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((history[middle * 2] as number) <= revision) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** What a reader at `revision` sees, or ABSENT. */
export function visibleAt(entry: KeyEntry, revision: Revision): Position {
  const at = floor(entry, revision);
  return at === ABSENT || isTombstoneAt(entry, at) ? ABSENT : at;
}

/** Whether the position is that of the newest revision, which the fields of the entry describe. */
export function isNewest(entry: KeyEntry, at: Position): boolean {
  return at === newest(entry);
}

export function mainAt(entry: KeyEntry, at: Position): Revision {
  return isNewest(entry, at) ? entry.modRevision : (entry.history?.[at * 2] as number);
}

export function subAt(entry: KeyEntry, at: Position): number {
  return isNewest(entry, at) ? entry.modSub : (entry.history?.[at * 2 + 1] as number) >>> 1;
}

function isTombstoneAt(entry: KeyEntry, at: Position): boolean {
  if (isNewest(entry, at)) return entry.version === 0;
  return ((entry.history?.[at * 2 + 1] as number) & 1) === 1;
}

/** Whether the entry still knows the revision: an entry compacted at C knows what survives C. */
export function knows(entry: KeyEntry, main: Revision, sub: number): boolean {
  let at = floor(entry, main);
  for (; at >= 0 && mainAt(entry, at) === main; at--) if (subAt(entry, at) === sub) return true;
  return false;
}

/** What a compaction left of an entry. */
export type Compacted =
  /** No revision at all: the entry must leave the index. */
  | 'empty'
  /** A revision at or below the compacted one survives. */
  | 'kept'
  /** Only newer revisions are left. */
  | 'newer';

export function compactEntry(entry: KeyEntry, revision: Revision): Compacted {
  const at = floor(entry, revision);
  if (at === ABSENT) return 'newer';
  const drop = isTombstoneAt(entry, at) && mainAt(entry, at) < revision;
  const first = drop ? at + 1 : at;
  const top = newest(entry);
  if (first > top) return 'empty';
  if (first === top) entry.history = null;
  else if (first > 0 && entry.history !== null) entry.history = entry.history.slice(first * 2);
  return drop ? 'newer' : 'kept';
}
