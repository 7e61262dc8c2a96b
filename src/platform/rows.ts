/**
 * The write-behind table: rows are staged in memory while entries are applied and reach the engine
 * in one synced batch per flush, off the acknowledgement path.
 *
 * A row is looked for in the staged rows, then in the batch that is on its way to the engine, then
 * in the cache of clean rows, then in the engine; the first one that knows it is right.
 *
 * Invariant: `liveBytes` is the sum of key and value bytes of all rows as a reader sees them, and
 * `peakBytes` the most there were since `forgetPeak`. They are stored in a row of the table's own,
 * with their number, in the same batch as the rows they count.
 * Invariant: one flush at a time. After a failed one the table only answers reads: what reached the
 * disk is unknown, so the owner ends the member.
 *
 * It knows nothing of what rows mean, except that rows of the append-only bucket are written once.
 */

import { assert } from '../assert.ts';
import { buckets } from '../buckets.ts';
import { limits } from '../limits.ts';
import type { DurableRows, Row, RowRange, RowWrite, StagedRows } from '../ports.ts';
import { decodeTotals, encodeTotals, type RowTotals, TOTALS_ROW } from '../row-totals.ts';
import type { RowKey } from '../types.ts';
import { RowCache } from './row-cache.ts';

type Staged = Map<RowKey, Uint8Array | null>;

export interface RowTableOptions {
  readonly cacheBytes?: number;
  /** Letter of the bucket whose rows are never replaced, so that a put needs no look at the old. */
  readonly appendOnlyBucket?: string;
}

const FIRST_ROW = '"' as RowKey;
/** Above every row: letters are ASCII. */
const ROWS_END = '\u00ff' as RowKey;
const NO_ROWS: Staged = new Map();

export class RowTable implements StagedRows {
  readonly #engine: DurableRows;
  #cache: RowCache;
  readonly #options: RowTableOptions;
  readonly #appendOnly: number;
  #staged: Staged = new Map();
  #stagedBytes = 0;
  #inFlight: Staged = NO_ROWS;
  #inFlightBytes = 0;
  #liveBytes: number;
  #peakBytes: number;
  #liveRows: number;

  private constructor(engine: DurableRows, totals: RowTotals, options: RowTableOptions) {
    this.#engine = engine;
    this.#liveBytes = totals.bytes;
    this.#peakBytes = totals.peakBytes;
    this.#liveRows = totals.rows;
    this.#options = options;
    this.#cache = new RowCache(options.cacheBytes ?? limits.rowCacheBytes);
    this.#appendOnly = (options.appendOnlyBucket ?? buckets.key.letter).charCodeAt(0);
  }

  /** Counts the rows when the engine was filled by something else than a table. */
  static async open(engine: DurableRows, options: RowTableOptions = {}): Promise<RowTable> {
    const totals = decodeTotals(engine.get(TOTALS_ROW)) ?? (await countRows(engine));
    return new RowTable(engine, totals, options);
  }

  /** Rows waiting for the next flush. */
  get stagedRows(): number {
    return this.#staged.size;
  }

  /** Bytes held in memory because the engine does not have them yet: waiting and in flight. */
  get stagedBytes(): number {
    return this.#stagedBytes + this.#inFlightBytes;
  }

  get liveBytes(): number {
    return this.#liveBytes;
  }

  get peakBytes(): number {
    this.#peakBytes = Math.max(this.#peakBytes, this.#liveBytes);
    return this.#peakBytes;
  }

  forgetPeak(): void {
    this.#peakBytes = this.#liveBytes;
  }

  get(key: RowKey): Uint8Array | null {
    const staged = this.#staged.get(key);
    if (staged !== undefined) return staged;
    const inFlight = this.#inFlight.get(key);
    if (inFlight !== undefined) return inFlight;
    const cached = this.#cache.get(key);
    if (cached !== undefined) return cached;
    const stored = this.#engine.get(key);
    if (stored !== null) this.#cache.set(key, stored);
    return stored;
  }

  put(key: RowKey, value: Uint8Array): void {
    if (key.charCodeAt(0) === this.#appendOnly) {
      const rows = this.#staged.size;
      this.#staged.set(key, value);
      assert(this.#staged.size > rows, 'a row of the append-only bucket is written once');
      this.#stagedBytes += key.length + value.length;
      this.#liveBytes += key.length + value.length;
      this.#liveRows++;
      return;
    }
    assert(key >= FIRST_ROW && key < ROWS_END, 'a row key begins with a bucket letter');
    const old = this.get(key);
    this.#liveBytes += value.length - (old === null ? -key.length : old.length);
    if (old === null) this.#liveRows++;
    this.#stage(key, value);
  }

  /**
   * Deletes a row; a missing one is not an error. `valueBytes`, the size of the value for a caller
   * that has just read the row, saves looking for it; such a caller must be sure that it exists.
   */
  delete(key: RowKey, valueBytes?: number): void {
    let bytes = valueBytes;
    if (bytes === undefined) {
      const old = this.get(key);
      if (old === null) return;
      bytes = old.length;
    }
    this.#liveBytes -= key.length + bytes;
    this.#liveRows--;
    this.#stage(key, null);
  }

  scan(range: RowRange): Promise<readonly Row[]> {
    let from = range.from;
    if (from < FIRST_ROW) from = FIRST_ROW;
    const overlay = this.#overlay(from, range.to);
    let deleted = 0;
    for (const row of overlay) if (row.value === null) deleted++;
    // Each deleted row hides at most one row of the engine, so this many always suffice.
    const stored = this.#engine.scan({ from, to: range.to, limit: range.limit + deleted });
    if (overlay.length === 0) return stored;
    return stored.then((rows) => merge(rows, overlay, range.limit));
  }

  /**
   * Writes everything staged up to this call, and `extra`, in one synced batch. Rows staged
   * meanwhile belong to the next flush. When it fails, its rows stay readable.
   */
  async flush(extra: readonly RowWrite[]): Promise<void> {
    assert(this.#inFlight === NO_ROWS, 'one flush at a time, and none after a failed one');
    for (const { key, value } of extra) {
      if (value === null) this.delete(key);
      else this.put(key, value);
    }
    if (this.#staged.size === 0) return;

    const batch: RowWrite[] = [];
    for (const [key, value] of this.#staged) batch.push({ key, value });
    const { liveBytes: bytes, peakBytes } = this;
    const totals = encodeTotals({ bytes, peakBytes, rows: this.#liveRows });
    batch.push({ key: TOTALS_ROW, value: totals });

    this.#inFlight = this.#staged;
    this.#inFlightBytes = this.#stagedBytes;
    this.#staged = new Map();
    this.#stagedBytes = 0;
    await this.#engine.write(batch);

    for (const [key, value] of this.#inFlight) {
      if (value === null) this.#cache.delete(key);
      else this.#cache.set(key, value);
    }
    this.#inFlight = NO_ROWS;
    this.#inFlightBytes = 0;
  }

  async openReplacement(
    engine: DurableRows,
  ): Promise<{ readonly rows: RowTable; readonly adopt: () => void }> {
    const rows = await RowTable.open(engine, this.#options);
    return { rows, adopt: () => this.#adopt(rows) };
  }

  #adopt(other: RowTable): void {
    assert(this.#inFlight === NO_ROWS && other.#inFlight === NO_ROWS, 'no flush is under way');
    this.#staged = other.#staged;
    this.#stagedBytes = other.#stagedBytes;
    this.#cache = other.#cache;
    this.#liveBytes = other.#liveBytes;
    this.#peakBytes = other.#peakBytes;
    this.#liveRows = other.#liveRows;
  }

  #stage(key: RowKey, value: Uint8Array | null): void {
    const before = this.#staged.get(key);
    this.#stagedBytes += value === null ? 0 : value.length;
    this.#stagedBytes -= before === undefined ? -key.length : before === null ? 0 : before.length;
    this.#staged.set(key, value);
  }

  /** Rows of the range that the engine may not have yet, sorted; `null` marks a deleted one. */
  #overlay(from: RowKey, to: RowKey): readonly RowWrite[] {
    const rows: RowWrite[] = [];
    for (const [key, value] of this.#staged) {
      if (key >= from && key < to) rows.push({ key, value });
    }
    for (const [key, value] of this.#inFlight) {
      if (key >= from && key < to && !this.#staged.has(key)) rows.push({ key, value });
    }
    return rows.sort((a, b) => (a.key < b.key ? -1 : 1));
  }
}

/** Both sorted; where both have a key, `overlay` is right. */
function merge(stored: readonly Row[], overlay: readonly RowWrite[], limit: number): Row[] {
  const rows: Row[] = [];
  let s = 0;
  let o = 0;
  while (rows.length < limit) {
    const row = stored[s];
    const newer = overlay[o];
    if (newer === undefined || (row !== undefined && row.key < newer.key)) {
      if (row === undefined) break;
      rows.push(row);
      s++;
      continue;
    }
    if (row !== undefined && row.key === newer.key) s++;
    o++;
    if (newer.value !== null) rows.push({ key: newer.key, value: newer.value });
  }
  return rows;
}

async function countRows(engine: DurableRows): Promise<RowTotals> {
  let bytes = 0;
  let count = 0;
  let from = FIRST_ROW;
  for (;;) {
    const rows = await engine.scan({ from, to: ROWS_END, limit: limits.keysPerSliceMax });
    for (const row of rows) bytes += row.key.length + row.value.length;
    count += rows.length;
    const last = rows.at(-1);
    if (last === undefined || rows.length < limits.keysPerSliceMax) break;
    from = `${last.key}\0` as RowKey;
  }
  return { bytes, peakBytes: bytes, rows: count };
}
