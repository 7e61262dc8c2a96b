/**
 * Maintenance.Hash: CRC-32C over every bucket's name, keys and values in order, without the rows
 * that depend on when the member last wrote, as etcd 3.7 leaves them out.
 */

import { allBuckets, bucketOf, bucketRange, keyInBucket, metaRows } from '../buckets.ts';
import { crc32c } from '../crc32c.ts';
import { limits } from '../limits.ts';
import type { Engine } from '../ports.ts';
import type { RowKey } from '../types.ts';

const LEFT_OUT: ReadonlySet<RowKey> = new Set([
  metaRows.consistentIndex,
  metaRows.term,
  metaRows.storageVersion,
]);

export async function hashDatabase(engine: Engine, breathe: () => Promise<void>): Promise<number> {
  const snapshot = engine.snapshot();
  try {
    let crc = 0;
    for (const bucket of allBuckets) {
      crc = crc32c(Buffer.from(bucket.name, 'latin1'), crc);
      const { to } = bucketRange(bucket);
      let { from } = bucketRange(bucket);
      for (;;) {
        const rows = await snapshot.scan({ from, to, limit: limits.scanPageRowsMax });
        for (const { key, value } of rows) {
          if (LEFT_OUT.has(key) || bucketOf(key) === null) continue;
          crc = crc32c(value, crc32c(Buffer.from(keyInBucket(key), 'latin1'), crc));
        }
        const last = rows.at(-1);
        if (last === undefined || rows.length < limits.scanPageRowsMax) break;
        from = `${last.key}\x00` as RowKey;
        await breathe();
      }
    }
    return crc;
  } finally {
    await snapshot.close();
  }
}
