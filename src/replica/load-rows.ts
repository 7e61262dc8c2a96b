/**
 * The rows of a whole state, from a bbolt file into a table of rows that has none: what another
 * member sent, or what an operator restores. It knows nothing of where the state stands.
 */

import type { BboltBucket, BboltReader } from '../bbolt/reader.ts';
import { allBuckets, type Bucket, buckets, rowKey } from '../buckets.ts';
import { limits } from '../limits.ts';
import type { StagedRows } from '../ports.ts';
import type { RowKey } from '../types.ts';

export interface RowLoad {
  readonly reader: BboltReader;
  readonly rows: StagedRows;
  /** Left out. */
  readonly without?: readonly Bucket[];
  /** Looks at bucket `meta`, which comes first: what stands there decides about the rest. */
  readonly checkMeta?: () => void;
  /** Gives way to other work after so many more bytes. */
  readonly breathe: (bytes: number) => Promise<void>;
}

/** Without these there is nothing to go on with; all versions of etcd make them at their start. */
const REQUIRED = [buckets.key, buckets.lease, buckets.members, buckets.meta];

/**
 * Answers the newest row of bucket `key`. Rejects when the file is broken, and when it lacks what
 * every state has.
 */
export async function loadRows(load: RowLoad): Promise<RowKey | null> {
  const { reader, rows, without = [], checkMeta, breathe } = load;
  const found = await reader.buckets();
  for (const { name } of REQUIRED) {
    if (!found.some((bucket) => bucket.name === name)) throw new Error(`it has no bucket ${name}`);
  }
  let newest: RowKey | null = null;
  const named = new Map<string, BboltBucket>(found.map((bucket) => [bucket.name, bucket]));
  for (const bucket of [buckets.meta, ...allBuckets.filter((one) => one !== buckets.meta)]) {
    const source = named.get(bucket.name);
    // etcd: names that are not known are those of older versions.
    if (source === undefined || without.includes(bucket)) continue;
    let passed = 0;
    for await (const items of reader.items(source)) {
      for (const { key, value } of items) {
        rows.put(rowKey(bucket, key), value);
        passed += key.length + value.length;
      }
      const last = items.at(-1);
      if (bucket === buckets.key && last !== undefined) newest = rowKey(bucket, last.key);
      if (rows.stagedBytes >= limits.stateBatchBytes) await rows.flush([]);
      if (passed < limits.snapshotSliceBytes) continue;
      await breathe(passed);
      passed = 0;
    }
    if (bucket === buckets.meta) checkMeta?.();
  }
  return newest;
}
