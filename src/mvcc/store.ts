/**
 * The multi-version store: every change of every key under its revision, and an index in memory
 * that knows which revisions a key has.
 *
 * Invariants: `revision` only grows, by one per write transaction that changed something; every
 * revision of the index has its row; nothing below `compactRevision` is ever answered. Writing is
 * synchronous and happens in one transaction at a time.
 *
 * It knows nothing of Raft, leases (beyond the id in a pair), permissions or watchers, and never
 * looks at time.
 */

import { assert } from '../assert.ts';
import { metaRows } from '../buckets.ts';
import { type EncodedKeyValue, keyOf } from '../codec/key-value.ts';
import { type EtcdError, errors } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Rows } from '../ports.ts';
import { EMPTY_KEY, type Key, type LeaseId, NO_LEASE, type Revision } from '../types.ts';
import { buildIndex, type Index, keyRecords } from './build-index.ts';
import { type CompactionProgress, Compactor } from './compaction.ts';
import { Exclusive } from './exclusive.ts';
import {
  type CompactionHash,
  CompactionHashes,
  HASH_OF_NOTHING,
  type HashResult,
  newHasher,
} from './hash.ts';
import { type History, readHistory } from './history.ts';
import {
  ABSENT,
  isLive,
  type KeyEntry,
  type KeyState,
  mainAt,
  subAt,
  visibleAt,
} from './key-index.ts';
import { keyBounds } from './key-range.ts';
import { visitPages } from './pages.ts';
import {
  advanceRange,
  beginRange,
  finishRange,
  isPointRead,
  type RangeChunk,
  type RangeResult,
  type RangeSource,
  type ReadOptions,
  readChunk,
  readPoint,
  rowAt,
} from './range.ts';
import { decodeRevisionMark, encodeRevisionMark, parseRecordKey } from './record.ts';
import type { Tree } from './tree.ts';
import { WriteTxn } from './write-txn.ts';

export interface StoreOptions {
  /** etcd: --compaction-batch-limit. */
  readonly compactionBatchLimit?: number;
  /** Lets other work run; awaited between the slices of long scans. */
  readonly breathe?: () => Promise<void>;
  /** Of the rows, where whoever wrote them has built it on the way; null: it is built now. */
  readonly index?: Index | null;
}

const FIRST_REVISION = 1;
const NEVER = -1;

export class KvStore {
  readonly #rows: Rows;
  /** The index may be exchanged, and reads under way must follow. */
  readonly #source: { tree: Tree<KeyEntry> } & RangeSource;
  readonly #breathe: () => Promise<void>;
  readonly #exclusive = new Exclusive();
  readonly #hashes = new CompactionHashes();
  readonly #compactor: Compactor;
  #revision: Revision;
  #compactRevision: Revision;
  #writing = false;
  /** How often the content was exchanged. */
  #adoptions = 0;

  private constructor(rows: Rows, index: Index, options: Required<Omit<StoreOptions, 'index'>>) {
    this.#rows = rows;
    this.#source = { tree: index.tree, rows };
    this.#breathe = options.breathe;
    this.#revision = index.revision;
    const finished = decodeRevisionMark(rows.get(metaRows.finishedCompactRev)) ?? NEVER;
    const scheduled = decodeRevisionMark(rows.get(metaRows.scheduledCompactRev)) ?? NEVER;
    this.#compactRevision = Math.max(finished, scheduled);
    // etcd: a store restored with a bumped revision may only have marks that reach so far.
    this.#revision = Math.max(this.#revision, this.#compactRevision, FIRST_REVISION);
    this.#compactor = new Compactor(
      {
        source: this.#source,
        rows,
        exclusive: this.#exclusive,
        hashes: this.#hashes,
        batchRowsMax: options.compactionBatchLimit,
        breathe: options.breathe,
      },
      finished,
    );
    if (scheduled > finished) {
      this.#compactor.schedule({ revision: scheduled, previous: finished, keepHash: false });
    }
  }

  /** An interrupted compaction waits for `runCompaction`. */
  static async open(rows: Rows, options: StoreOptions = {}): Promise<KvStore> {
    const { compactionBatchLimit = 1000, breathe = () => Promise.resolve() } = options;
    const index = options.index ?? (await buildIndex(rows, breathe));
    return new KvStore(rows, index, { compactionBatchLimit, breathe });
  }

  get #tree(): Tree<KeyEntry> {
    return this.#source.tree;
  }

  get revision(): Revision {
    return this.#revision;
  }

  /** -1 when never compacted. */
  get compactRevision(): Revision {
    return this.#compactRevision;
  }

  /** Live keys. */
  get keyCount(): number {
    return this.#tree.weight;
  }

  range(options: ReadOptions): RangeResult | EtcdError {
    return this.#read(options, this.#revision);
  }

  /**
   * The same, in slices of `keysMax` keys, with a pause for other work wherever the generator
   * yields. The answer is that of the moment of the first step; if a compaction overtakes the
   * revision read, it is `compacted`.
   */
  *rangeSlices(
    options: ReadOptions,
    keysMax: number = limits.keysPerSliceMax,
  ): Generator<void, RangeResult | EtcdError> {
    const pinned = this.#pin(options.revision, this.#revision);
    if (typeof pinned !== 'number') return pinned;
    const read = beginRange(this.#source, options, this.#revision, pinned);
    for (;;) {
      advanceRange(read, keysMax);
      if (read.done) return finishRange(read);
      yield;
      if (pinned < this.#compactRevision) return errors.compacted;
    }
  }

  /** The next piece of a plain range at a revision; filters, order and limit are left aside. */
  chunk(
    options: Pick<ReadOptions, 'key' | 'rangeEnd' | 'keysOnly' | 'revision'>,
    pairsMax: number,
  ): RangeChunk | EtcdError {
    const pinned = this.#pin(options.revision, this.#revision);
    if (typeof pinned !== 'number') return pinned;
    const keysMax = limits.keysPerSliceMax;
    return readChunk(this.#source, options, pinned, { pairsMax, keysMax });
  }

  /**
   * A live key's newest state, without a look at its row. The object belongs to the index and
   * changes with the next write: it is not to be kept.
   */
  get(key: Key): KeyState | null {
    const entry = this.#tree.get(key);
    return entry !== null && isLive(entry) ? entry : null;
  }

  /** A live key's newest pair. */
  latest(key: Key): EncodedKeyValue | null {
    return this.at(key, this.#revision);
  }

  /** Visits the live keys of a range, newest state, in order, until `visit` returns false. */
  forEachLive(key: Key, rangeEnd: Key, visit: (state: KeyState) => boolean): void {
    const { from, to } = keyBounds(key, rangeEnd);
    this.#tree.scan(from, to, (entry) => !isLive(entry) || visit(entry));
  }

  /** Visits every live key that is attached to a lease. */
  forEachLeased(visit: (key: Key, lease: LeaseId) => void): void {
    this.#tree.scan(EMPTY_KEY, null, (entry) => {
      if (entry.lease !== NO_LEASE) visit(entry.key, entry.lease);
      return true;
    });
  }

  /** What a reader at `revision` sees of a key; null when that is nothing, or compacted. */
  at(key: Key, revision: Revision): EncodedKeyValue | null {
    if (revision < this.#compactRevision) return null;
    const entry = this.#tree.get(key);
    if (entry === null) return null;
    const at = visibleAt(entry, revision);
    return at === ABSENT ? null : rowAt(this.#source, entry, at);
  }

  /** Opens the transaction of one applied request; there must be no wait until it ends. */
  write(): WriteTxn {
    assert(!this.#writing, 'one write transaction at a time');
    this.#writing = true;
    return new WriteTxn(
      {
        tree: this.#tree,
        rows: this.#rows,
        read: (options, current) => this.#read(options, current),
        ended: (revision) => {
          this.#writing = false;
          this.#revision = revision;
        },
      },
      this.#revision,
    );
  }

  /** Takes effect at once for readers. What it made unreachable is deleted by `runCompaction`. */
  compact(revision: Revision): EtcdError | null {
    assert(!this.#writing, 'a compaction is a request of its own');
    if (revision <= this.#compactRevision) return errors.compacted;
    if (revision > this.#revision) return errors.futureRev;
    const previous = this.#compactRevision;
    this.#rows.put(metaRows.scheduledCompactRev, encodeRevisionMark(revision));
    this.#compactRevision = revision;
    const keepHash = this.#compactor.finished === previous;
    this.#compactor.schedule({ revision, previous, keepHash });
    return null;
  }

  /** Whether `runCompaction` has something to do. */
  get compactionPending(): boolean {
    return this.#compactor.pending;
  }

  /** Deletes what compactions have made unreachable, until nothing of it is left. */
  runCompaction(
    pause: () => Promise<void>,
    signal: AbortSignal,
    progress?: CompactionProgress,
  ): Promise<void> {
    return this.#compactor.run({ pause, signal, ...(progress && { progress }) });
  }

  /** Resolves when the newest compaction has been carried out physically; rejects when aborted. */
  whenCompacted(signal: AbortSignal): Promise<void> {
    return this.#compactor.whenFinished(this.#compactRevision, signal);
  }

  /**
   * Takes over the content of another store, which is not used any more, in the step in which its
   * rows become this store's. Both have the same history, as far as each knows it. So a read under
   * way goes on: from the compact revision on both give it the same answers, and below that it is
   * `compacted`. No compaction may be under way.
   */
  adopt(other: KvStore): void {
    assert(!this.#writing && !other.#writing, 'the content changes between two requests');
    this.#compactor.adopt(other.#compactor);
    this.#source.tree = other.#tree;
    this.#revision = other.#revision;
    this.#compactRevision = other.#compactRevision;
    this.#adoptions++;
  }

  /** Hashes of the last compactions, oldest first. */
  compactionHashes(): readonly CompactionHash[] {
    return this.#hashes.all();
  }

  /** etcd's HashKV at a revision, 0 for the current one. Rejects when aborted. */
  hashKv(revision: Revision, signal: AbortSignal | null = null): Promise<HashResult | EtcdError> {
    // Deletions of a compaction in between would change what is hashed.
    return this.#exclusive.run(async () => {
      for (;;) {
        const adoptions = this.#adoptions;
        const result = await this.#hashKv(revision, signal);
        // Other content may have been compacted further, and have fewer rows to hash.
        if (adoptions === this.#adoptions) return result;
      }
    });
  }

  /**
   * The events of the revisions `from` to `to`, inclusive, whole revisions in order, bounded in
   * number and size; `next` says where to go on.
   */
  async eventsBetween(
    from: Revision,
    to: Revision,
    revisionsMax: number = limits.watchCatchUpRevisionsMax,
  ): Promise<History | EtcdError> {
    assert(to <= this.#revision, 'history ends at the current revision');
    if (from < this.#compactRevision) return errors.compacted;
    const history = await readHistory(this.#rows, { from, to, revisionsMax });
    return from < this.#compactRevision ? errors.compacted : history;
  }

  async #hashKv(revision: Revision, signal: AbortSignal | null): Promise<HashResult | EtcdError> {
    const currentRevision = this.#revision;
    const stored = this.#hashes.at(revision);
    if (stored !== null) {
      const { hash, compactRevision } = stored;
      return { hash, hashRevision: revision, compactRevision, currentRevision };
    }
    const compactRevision = this.#compactRevision;
    if (revision > 0 && revision < compactRevision) return errors.compacted;
    if (revision > currentRevision) return errors.futureRev;
    const hashRevision = revision === 0 ? currentRevision : revision;
    if (hashRevision < 0) {
      return { hash: HASH_OF_NOTHING, hashRevision, compactRevision, currentRevision };
    }
    const hasher = newHasher({
      revision: hashRevision,
      compactRevision,
      keeps: this.#anyVisibleAt(hashRevision)
        ? (main, sub, kv) => this.#isVisibleAt(hashRevision, main, sub, keyOf(kv))
        : null,
    });
    // Records that are written meanwhile lie above the hashed revision.
    await visitPages(this.#rows, keyRecords, (page) => {
      signal?.throwIfAborted();
      for (const row of page) hasher.add(row, parseRecordKey(row.key));
      return this.#breathe();
    });
    // A compaction above the hashed revision may have taken what `keeps` needs from the index.
    if (hashRevision < this.#compactRevision) return errors.compacted;
    return { hash: hasher.sum(), hashRevision, compactRevision, currentRevision };
  }

  #anyVisibleAt(revision: Revision): boolean {
    let found = false;
    this.#tree.scan(EMPTY_KEY, null, (entry) => {
      found = visibleAt(entry, revision) !== ABSENT;
      return !found;
    });
    return found;
  }

  #isVisibleAt(revision: Revision, main: Revision, sub: number, key: Key): boolean {
    const entry = this.#tree.get(key);
    if (entry === null) return false;
    const at = visibleAt(entry, revision);
    return at !== ABSENT && mainAt(entry, at) === main && subAt(entry, at) === sub;
  }

  #read(options: ReadOptions, current: Revision): RangeResult | EtcdError {
    const pinned = this.#pin(options.revision, current);
    if (typeof pinned !== 'number') return pinned;
    if (isPointRead(options)) return readPoint(this.#source, options, current, pinned);
    const read = beginRange(this.#source, options, current, pinned);
    advanceRange(read, Number.POSITIVE_INFINITY);
    return finishRange(read);
  }

  #pin(revision: Revision, current: Revision): Revision | EtcdError {
    if (revision > current) return errors.futureRev;
    const pinned = revision <= 0 ? current : revision;
    return pinned < this.#compactRevision ? errors.compacted : pinned;
  }
}
