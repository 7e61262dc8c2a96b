/**
 * The rows of a whole state, from a bbolt file into an engine that has none: what another member
 * sent, or what an operator restores. While one batch is on its way to the disk, the next is read.
 *
 * Invariant: the totals are written last, so what was interrupted before is counted again. It knows
 * nothing of where the state stands.
 */

import type { BboltBucket, BboltItem, BboltReader } from '../bbolt/reader.ts';
import { allBuckets, type Bucket, buckets, rowKey } from '../buckets.ts';
import { limits } from '../limits.ts';
import type { DurableRows, Row, RowWrite } from '../ports.ts';
import { encodeTotals, TOTALS_ROW } from '../row-totals.ts';

export interface RowLoad {
  readonly reader: BboltReader;
  readonly rows: Pick<DurableRows, 'write'>;
  /** Left out. */
  readonly without?: readonly Bucket[];
  /** Sees the rows of bucket `key` in order. */
  readonly record?: (row: Row) => void;
  /** Bucket `meta` is there, before all others: what stands in it decides about the rest. */
  readonly checkMeta?: () => void;
  /** Gives way to other work after so many more bytes. */
  readonly breathe: (bytes: number) => Promise<void>;
}

/** Without these there is nothing to go on with; all versions of etcd make them at their start. */
const REQUIRED = [buckets.key, buckets.lease, buckets.members, buckets.meta];

/** Rejects when the file is broken, and when it lacks what every state has. */
export async function loadRows(load: RowLoad): Promise<void> {
  const { reader, without = [], checkMeta } = load;
  const found = await reader.buckets();
  for (const { name } of REQUIRED) {
    if (!found.some((bucket) => bucket.name === name)) throw new Error(`it has no bucket ${name}`);
  }
  const named = new Map<string, BboltBucket>(found.map((bucket) => [bucket.name, bucket]));
  const batches = new Batches(load.rows);
  try {
    for (const bucket of [buckets.meta, ...allBuckets.filter((one) => one !== buckets.meta)]) {
      const source = named.get(bucket.name);
      // etcd: names that are not known are those of older versions.
      if (source === undefined || without.includes(bucket)) continue;
      await loadBucket(load, bucket, reader.items(source), batches);
      if (bucket !== buckets.meta) continue;
      await batches.flush();
      checkMeta?.();
    }
    await batches.finish();
  } finally {
    await batches.settled();
  }
}

async function loadBucket(
  load: RowLoad,
  bucket: Bucket,
  leaves: AsyncIterable<readonly BboltItem[]>,
  batches: Batches,
): Promise<void> {
  const record = bucket === buckets.key ? load.record : undefined;
  let passed = 0;
  for await (const items of leaves) {
    for (const { key, value } of items) {
      const row = { key: rowKey(bucket, key), value };
      record?.(row);
      batches.add(row);
      passed += key.length + value.length;
    }
    if (batches.bytes >= limits.stateBatchBytes) await batches.begin();
    if (passed < limits.snapshotSliceBytes) continue;
    await load.breathe(passed);
    passed = 0;
  }
}

/** Rows on their way to the engine: one batch is gathered while another is written. */
class Batches {
  readonly #rows: Pick<DurableRows, 'write'>;
  #gathered: RowWrite[] = [];
  #writing: Promise<void> = Promise.resolve();
  #totalBytes = 0;
  #totalRows = 0;
  /** Gathered. */
  bytes = 0;

  constructor(rows: Pick<DurableRows, 'write'>) {
    this.#rows = rows;
  }

  add(row: Row): void {
    const bytes = row.key.length + row.value.length;
    this.#gathered.push(row);
    this.bytes += bytes;
    this.#totalBytes += bytes;
    this.#totalRows++;
  }

  /** Begins to write what was gathered, once the batch before is durable. */
  async begin(): Promise<void> {
    const batch = this.#gathered;
    this.#gathered = [];
    this.bytes = 0;
    await this.#writing;
    this.#writing = this.#rows.write(batch);
    // Whoever waits for it next hears of a failure.
    this.#writing.catch(() => {});
  }

  async flush(): Promise<void> {
    await this.begin();
    await this.#writing;
  }

  async finish(): Promise<void> {
    const bytes = this.#totalBytes;
    const totals = encodeTotals({ bytes, peakBytes: bytes, rows: this.#totalRows });
    this.#gathered.push({ key: TOTALS_ROW, value: totals });
    await this.flush();
  }

  /** No batch is under way any more. */
  async settled(): Promise<void> {
    await this.#writing.catch(() => {});
  }
}
