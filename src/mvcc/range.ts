/**
 * Reading a key range at one revision: etcd's order of work is fetch, filter, sort, cut.
 *
 * A read is pinned to a revision when it begins and may be advanced in slices with writes in
 * between; it stays consistent as long as no compaction goes above that revision, which the caller
 * checks. Rows are only read for pairs that are part of the answer, as far as the index can decide.
 */

import { must } from '../assert.ts';
import { SortOrder, SortTarget } from '../codec/gen/etcdserverpb.ts';
import {
  decodeKeyValue,
  type EncodedKeyValue,
  encodeFields,
  encodeKeyValue,
  valueBytesOf,
} from '../codec/key-value.ts';
import { goSort } from '../go-sort.ts';
import type { Rows } from '../ports.ts';
import { EMPTY_BYTES, EMPTY_KEY, type Key, NO_LEASE, type Revision } from '../types.ts';
import {
  ABSENT,
  isNewest,
  type KeyEntry,
  mainAt,
  type Position,
  subAt,
  visibleAt,
} from './key-index.ts';
import { afterKey, keyBounds } from './key-range.ts';
import { recordRowKey } from './record.ts';
import type { Tree } from './tree.ts';

/** A subset of `RangeRequest`, so that a decoded request can be passed as it is. */
export interface ReadOptions {
  readonly key: Key;
  /** Empty: the single key. A zero byte: every key from `key` on. */
  readonly rangeEnd: Key;
  /** 0 or below: the current one. */
  readonly revision: Revision;
  /** 0 or below: none. */
  readonly limit: number;
  /** A `SortOrder`. */
  readonly sortOrder: number;
  /** A `SortTarget`. */
  readonly sortTarget: number;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
  /** Inclusive bounds; 0 is off. */
  readonly minModRevision: Revision;
  readonly maxModRevision: Revision;
  readonly minCreateRevision: Revision;
  readonly maxCreateRevision: Revision;
}

/** Reads one key, or with `rangeEnd` a range, at the current revision; spread to change more. */
export function readOptions(key: Key, rangeEnd: Key = EMPTY_KEY): ReadOptions {
  return {
    key,
    rangeEnd,
    revision: 0,
    limit: 0,
    sortOrder: SortOrder.NONE,
    sortTarget: SortTarget.KEY,
    keysOnly: false,
    countOnly: false,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
  };
}

export interface RangeResult {
  readonly kvs: EncodedKeyValue[];
  /** Keys in the range at that revision, whatever limit and filters say. */
  readonly count: number;
  readonly more: boolean;
  /** The store's revision when the read began, not the requested one. */
  readonly revision: Revision;
}

/** Where a range is read from. */
export interface RangeSource {
  readonly tree: Tree<KeyEntry>;
  readonly rows: Rows;
}

/** A pair that filters and sorting look at. */
interface Hit {
  readonly entry: KeyEntry;
  readonly at: Position;
  /** The newest revision of the key may have moved on when the answer is assembled. */
  readonly main: Revision;
  readonly sub: number;
  readonly createRevision: Revision;
  readonly version: number;
  /** Only when sorting by value. */
  readonly row: EncodedKeyValue | null;
}

/** A read in progress. */
export interface RangeRead {
  readonly source: RangeSource;
  readonly options: ReadOptions;
  /** The store's revision at the beginning. */
  readonly current: Revision;
  /** The revision read at. */
  readonly pinned: Revision;
  /** Fetch at most so many pairs. */
  readonly fetchMax: number;
  /** Whether the pairs are answered in the order and the number in which they are fetched. */
  readonly plain: boolean;
  /** Known from the beginning when the range is read at the current revision. */
  readonly total: number | null;
  readonly to: Key | null;
  from: Key;
  counted: number;
  fetched: number;
  readonly kvs: EncodedKeyValue[];
  readonly hits: Hit[];
  done: boolean;
}

export function beginRange(
  source: RangeSource,
  options: ReadOptions,
  current: Revision,
  pinned: Revision,
): RangeRead {
  const { from, to } = keyBounds(options.key, options.rangeEnd);
  const plain = isPlain(options);
  const total = pinned === current ? source.tree.weightBetween(from, to) : null;
  return {
    source,
    options,
    current,
    pinned,
    fetchMax: fetchMax(options, plain),
    plain,
    total,
    to,
    from,
    counted: 0,
    fetched: 0,
    kvs: [],
    hits: [],
    done: total !== null && (total === 0 || options.countOnly),
  };
}

function isPlain(options: ReadOptions): boolean {
  return !isFiltered(options) && options.sortTarget === SortTarget.KEY && !isDescending(options);
}

function isDescending(options: ReadOptions): boolean {
  return options.sortOrder === SortOrder.DESCEND;
}

function isFiltered(options: ReadOptions): boolean {
  return (
    options.minModRevision !== 0 ||
    options.maxModRevision !== 0 ||
    options.minCreateRevision !== 0 ||
    options.maxCreateRevision !== 0
  );
}

// etcd: without an explicit order only the first limit + 1 keys are fetched, and only those are
// then sorted by another target than the key.
function fetchMax(options: ReadOptions, plain: boolean): number {
  const { limit, sortOrder } = options;
  if (options.countOnly) return 0;
  if (limit <= 0) return Number.POSITIVE_INFINITY;
  if (plain) return limit;
  if (sortOrder !== SortOrder.NONE || isFiltered(options)) return Number.POSITIVE_INFINITY;
  return limit + 1;
}

/** Visits up to `keysMax` keys more. Afterwards the read may be done. */
export function advanceRange(read: RangeRead, keysMax: number): void {
  if (read.done) return;
  const needed = read.total === null ? Number.POSITIVE_INFINITY : read.total;
  let left = keysMax;
  let last: Key | null = null;
  read.source.tree.scan(read.from, read.to, (entry) => {
    if (left-- === 0) return false;
    last = entry.key;
    const at = visibleAt(entry, read.pinned);
    if (at === ABSENT) return true;
    read.counted++;
    if (read.fetched < read.fetchMax) {
      read.fetched++;
      if (read.plain) read.kvs.push(pairAt(read, entry, at));
      else read.hits.push(hitAt(read, entry, at));
    }
    if (read.total === null) return true;
    return read.fetched < read.fetchMax && read.counted < needed;
  });
  if (left < 0 && last !== null) read.from = afterKey(last);
  else read.done = true;
}

export function finishRange(read: RangeRead): RangeResult {
  const count = read.total ?? read.counted;
  const { limit, countOnly } = read.options;
  const revision = read.current;
  if (countOnly) return { kvs: [], count, more: false, revision };
  if (read.plain) return { kvs: read.kvs, count, more: limit > 0 && count > limit, revision };
  const hits = read.hits.filter((hit) => passes(read.options, hit));
  sortHits(hits, read.options);
  const more = limit > 0 && hits.length > limit;
  const answered = more ? hits.slice(0, limit) : hits;
  return { kvs: answered.map((hit) => pairOf(read, hit)), count, more, revision };
}

/** The pair of one key at a revision, for the commonest read of all. */
export function readPoint(
  source: RangeSource,
  options: ReadOptions,
  current: Revision,
  pinned: Revision,
): RangeResult {
  const entry = source.tree.get(options.key);
  const at = entry === null ? ABSENT : visibleAt(entry, pinned);
  if (entry === null || at === ABSENT) return { kvs: [], count: 0, more: false, revision: current };
  const kvs = options.countOnly ? [] : [rowAt(source, entry, at)];
  return { kvs, count: 1, more: false, revision: current };
}

/** Whether `readPoint` gives the answer that the longer way would. */
export function isPointRead(options: ReadOptions): boolean {
  return options.rangeEnd === '' && !options.keysOnly && !isFiltered(options);
}

export function rowAt(source: RangeSource, entry: KeyEntry, at: Position): EncodedKeyValue {
  return loadRow(source.rows, mainAt(entry, at), subAt(entry, at));
}

function loadRow(rows: Rows, main: Revision, sub: number): EncodedKeyValue {
  return must(rows.get(recordRowKey(main, sub)), 'every revision of the index has its row');
}

export interface RangeChunk {
  readonly kvs: EncodedKeyValue[];
  /** Where to go on; `null` at the end of the range. */
  readonly next: Key | null;
  /** There are as many pairs as were asked for, and `next` is one more. */
  readonly isFull: boolean;
}

/**
 * A piece of a range in key order, without counting what follows: up to `pairsMax` pairs, and a
 * bounded number of keys looked at, so that it may be empty before the end.
 */
export function readChunk(
  source: RangeSource,
  options: Pick<ReadOptions, 'key' | 'rangeEnd' | 'keysOnly'>,
  pinned: Revision,
  { pairsMax, keysMax }: { pairsMax: number; keysMax: number },
): RangeChunk {
  const { from, to } = keyBounds(options.key, options.rangeEnd);
  const kvs: EncodedKeyValue[] = [];
  let next: Key | null = null;
  let isFull = false;
  let left = keysMax;
  source.tree.scan(from, to, (entry) => {
    const at = visibleAt(entry, pinned);
    isFull = at !== ABSENT && kvs.length === pairsMax;
    if (isFull || left-- === 0) {
      next = entry.key;
      return false;
    }
    if (at !== ABSENT) kvs.push(pairAt({ source, options }, entry, at));
    return true;
  });
  return { kvs, next, isFull };
}

interface PairSource {
  readonly source: RangeSource;
  readonly options: Pick<ReadOptions, 'keysOnly'>;
}

function pairAt(read: PairSource, entry: KeyEntry, at: Position): EncodedKeyValue {
  if (!read.options.keysOnly) return rowAt(read.source, entry, at);
  if (!isNewest(entry, at)) return withoutValueAndLease(rowAt(read.source, entry, at));
  const { key, createRevision, modRevision, version } = entry;
  return encodeFields(key, createRevision, modRevision, version, EMPTY_BYTES, NO_LEASE);
}

function hitAt(read: RangeRead, entry: KeyEntry, at: Position): Hit {
  const main = mainAt(entry, at);
  const sub = subAt(entry, at);
  const byValue = read.options.sortTarget === SortTarget.VALUE;
  const fresh = isNewest(entry, at);
  const row = byValue || !fresh ? loadRow(read.source.rows, main, sub) : null;
  const state = fresh || row === null ? entry : decodeKeyValue(row);
  const { createRevision, version } = state;
  return { entry, at, main, sub, createRevision, version, row: byValue ? row : null };
}

function pairOf(read: RangeRead, hit: Hit): EncodedKeyValue {
  if (read.options.keysOnly && read.options.sortTarget !== SortTarget.VALUE) {
    const { main, createRevision, version } = hit;
    return encodeFields(hit.entry.key, createRevision, main, version, EMPTY_BYTES, NO_LEASE);
  }
  const row = hit.row ?? loadRow(read.source.rows, hit.main, hit.sub);
  return read.options.keysOnly ? withoutValue(row) : row;
}

// etcd: since 3.7 a keys_only answer comes from the index, which knows no lease, except when the
// values had to be fetched for sorting.
function withoutValueAndLease(row: EncodedKeyValue): EncodedKeyValue {
  return encodeKeyValue({ ...decodeKeyValue(row), value: EMPTY_BYTES, lease: NO_LEASE });
}

function withoutValue(row: EncodedKeyValue): EncodedKeyValue {
  return encodeKeyValue({ ...decodeKeyValue(row), value: EMPTY_BYTES });
}

function passes(options: ReadOptions, hit: Hit): boolean {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = options;
  return (
    (minModRevision === 0 || hit.main >= minModRevision) &&
    (maxModRevision === 0 || hit.main <= maxModRevision) &&
    (minCreateRevision === 0 || hit.createRevision >= minCreateRevision) &&
    (maxCreateRevision === 0 || hit.createRevision <= maxCreateRevision)
  );
}

/** Equal ones come in the order in which Go's sort leaves them. */
function sortHits(hits: Hit[], options: ReadOptions): void {
  const { sortTarget } = options;
  const sign = isDescending(options) ? -1 : 1;
  switch (sortTarget) {
    case SortTarget.KEY:
      // They were fetched in ascending order.
      if (sign < 0) hits.reverse();
      return;
    case SortTarget.VERSION:
      goSort(hits, (a, b) => sign * (a.version - b.version) < 0);
      return;
    case SortTarget.CREATE:
      goSort(hits, (a, b) => sign * (a.createRevision - b.createRevision) < 0);
      return;
    case SortTarget.MOD:
      goSort(hits, (a, b) => sign * (a.main - b.main) < 0);
      return;
    case SortTarget.VALUE: {
      const valued = hits.map((hit) => ({ hit, value: valueBytesOf(hit.row ?? EMPTY_BYTES) }));
      goSort(valued, (a, b) => sign * Buffer.compare(a.value, b.value) < 0);
      for (let i = 0; i < valued.length; i++) hits[i] = (valued[i] as { hit: Hit }).hit;
      return;
    }
  }
}
