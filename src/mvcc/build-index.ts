/**
 * The index of a store, built from the rows of bucket `key` in their order: at a start from all the
 * engine has, or row by row while a whole state is being loaded.
 */

import { bucketRange, buckets } from '../buckets.ts';
import { decodeKeyState } from '../codec/key-value.ts';
import { limits } from '../limits.ts';
import type { Row, Rows } from '../ports.ts';
import { type LeaseId, NO_LEASE, type Revision } from '../types.ts';
import { isLive, type KeyEntry, newEntry, recordPut } from './key-index.ts';
import { visitPages } from './pages.ts';
import { parseRecordKey } from './record.ts';
import { Tree } from './tree.ts';

export interface Index {
  readonly tree: Tree<KeyEntry>;
  /** The newest main revision among the rows; 0 if there are none. */
  readonly revision: Revision;
}

export const keyRecords = { ...bucketRange(buckets.key), rowsMax: limits.scanPageRowsMax };

export async function buildIndex(rows: Rows, breathe: () => Promise<void>): Promise<Index> {
  const index = new IndexBuilder();
  await visitPages(rows, keyRecords, (page) => {
    for (const row of page) index.add(row);
    return breathe();
  });
  return index;
}

export class IndexBuilder implements Index {
  readonly tree = new Tree<KeyEntry>((entry) => (isLive(entry) ? 1 : 0));
  /** One bigint per lease, not one per key. */
  readonly #leases = new Map<LeaseId, LeaseId>();
  revision: Revision = 0;

  /** Rows come in order. */
  add(row: Row): void {
    const { main, sub, tombstone } = parseRecordKey(row.key);
    const { key, createRevision, version: stored, lease: id } = decodeKeyState(row.value);
    const lease = id === NO_LEASE ? NO_LEASE : this.#intern(id);
    // A history may begin with a tombstone: compaction has taken what was before it.
    // etcd: a restored store whose revision was raised has a record without anything, key included.
    const version = tombstone ? 0 : stored || 1;
    const state = { createRevision, modRevision: main, version, lease };
    const entry = this.tree.insert(key, newEntry(key, state, sub));
    this.revision = main;
    if (entry === null) return;
    const wasLive = isLive(entry);
    recordPut(entry, main, sub, version, createRevision, lease);
    if (wasLive === tombstone) this.tree.reweigh(key, tombstone ? -1 : 1);
  }

  #intern(lease: LeaseId): LeaseId {
    const known = this.#leases.get(lease);
    if (known !== undefined) return known;
    this.#leases.set(lease, lease);
    return lease;
  }
}
