/**
 * HashKV: one CRC-32C over the records of bucket `key`, as etcd computes it. Equal on all members
 * with the same history and the same compact revision, even while one of them has not yet deleted
 * what it compacted: such records are left out.
 */

import { buckets } from '../buckets.ts';
import type { EncodedKeyValue } from '../codec/key-value.ts';
import { crc32c } from '../crc32c.ts';
import { limits } from '../limits.ts';
import type { Row } from '../ports.ts';
import type { Revision } from '../types.ts';
import type { RecordKey } from './record.ts';

const SEED = crc32c(Buffer.from(buckets.key.name, 'latin1'));

export interface HashResult {
  readonly hash: number;
  /** The hash covers everything up to here. */
  readonly hashRevision: Revision;
  /** -1 on a store that was never compacted. */
  readonly compactRevision: Revision;
  /** The store's revision when the hash was asked for. */
  readonly currentRevision: Revision;
}

/** etcd: the hash at a negative revision covers nothing, and is no error. */
export const HASH_OF_NOTHING: number = SEED;

export interface HasherOptions {
  readonly revision: Revision;
  readonly compactRevision: Revision;
  /**
   * Whether a record at or below the compact revision is still part of the history. Null when no
   * record is: etcd then leaves none out.
   */
  readonly keeps: ((main: Revision, sub: number, kv: EncodedKeyValue) => boolean) | null;
}

export interface Hasher {
  /** Rows of bucket `key`, in order, with their parsed keys. */
  add(row: Row, record: RecordKey): void;
  sum(): number;
}

export function newHasher({ revision, compactRevision, keeps }: HasherOptions): Hasher {
  const scratch = Buffer.alloc(18);
  let crc = SEED;
  return {
    add(row, { main, sub, tombstone }) {
      if (main > revision) return;
      if (main <= compactRevision && keeps !== null && !keeps(main, sub, row.value)) return;
      // etcd: older versions delete the tombstone at the compacted revision, newer ones keep it;
      // leaving it out makes their hashes equal.
      if (main === compactRevision && tombstone) return;
      const length = row.key.length - 1;
      for (let i = 0; i < length; i++) scratch[i] = row.key.charCodeAt(i + 1);
      crc = crc32c(length === 18 ? scratch : scratch.subarray(0, length), crc);
      crc = crc32c(row.value, crc);
    },
    sum: () => crc,
  };
}

export interface CompactionHash {
  readonly hash: number;
  readonly revision: Revision;
  readonly compactRevision: Revision;
}

/** The hashes computed by the last compactions. */
export class CompactionHashes {
  readonly #hashes: CompactionHash[] = [];

  add(hash: CompactionHash): void {
    this.#hashes.push(hash);
    if (this.#hashes.length > limits.compactionHashesMax) this.#hashes.shift();
  }

  /**
   * etcd: asked for revision 0, which means the current one, this finds the hash of a compaction to
   * 0 until ten others have pushed it out.
   */
  at(revision: Revision): CompactionHash | null {
    return this.#hashes.find((hash) => hash.revision === revision) ?? null;
  }

  /** Oldest first. */
  all(): readonly CompactionHash[] {
    return this.#hashes;
  }
}
