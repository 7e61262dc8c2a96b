/**
 * Where every kind of row lives. A row key is one bucket letter followed by the key inside the
 * bucket, both latin1.
 *
 * Invariant: letters ascend in the order of etcd's bucket names, so a scan over all rows meets the
 * buckets, and the keys in each, in the order in which a bbolt file holds them. Letters are part of
 * the data on disk and never change their meaning.
 */

import type { RowKey } from './types.ts';

interface Bucket {
  /** etcd's name of the bucket, as it appears in snapshots. */
  readonly name: string;
  readonly letter: string;
}

export type { Bucket };

export const buckets = {
  alarm: { name: 'alarm', letter: 'a' },
  auth: { name: 'auth', letter: 'b' },
  authRoles: { name: 'authRoles', letter: 'c' },
  authUsers: { name: 'authUsers', letter: 'd' },
  cluster: { name: 'cluster', letter: 'e' },
  key: { name: 'key', letter: 'k' },
  lease: { name: 'lease', letter: 'l' },
  members: { name: 'members', letter: 'm' },
  membersRemoved: { name: 'members_removed', letter: 'n' },
  meta: { name: 'meta', letter: 'o' },
} as const satisfies Record<string, Bucket>;

/** In the order of their names, which is also the order of their letters. */
export const allBuckets: readonly Bucket[] = Object.values(buckets);

/** `key` is a latin1 string. */
export function rowKey(bucket: Bucket, key: string): RowKey {
  return (bucket.letter + key) as RowKey;
}

/** The key inside the bucket. */
export function keyInBucket(key: RowKey): string {
  return key.slice(1);
}

export function bucketOf(key: RowKey): Bucket | null {
  return allBuckets.find((bucket) => bucket.letter === key[0]) ?? null;
}

/** Bounds of a scan over a whole bucket. */
export function bucketRange(bucket: Bucket): { readonly from: RowKey; readonly to: RowKey } {
  const next = String.fromCharCode(bucket.letter.charCodeAt(0) + 1);
  return { from: bucket.letter as RowKey, to: next as RowKey };
}

/** Rows of bucket `meta`, by etcd's names. */
export const metaRows = {
  confState: rowKey(buckets.meta, 'confState'),
  consistentIndex: rowKey(buckets.meta, 'consistent_index'),
  finishedCompactRev: rowKey(buckets.meta, 'finishedCompactRev'),
  scheduledCompactRev: rowKey(buckets.meta, 'scheduledCompactRev'),
  storageVersion: rowKey(buckets.meta, 'storageVersion'),
  term: rowKey(buckets.meta, 'term'),
} as const;
