/**
 * Row keys of bucket `key`: etcd's revision key. 8 bytes main and 8 bytes sub revision, big-endian,
 * `_` between them, and a trailing `t` on the record of a deletion.
 */

import { assert } from '../assert.ts';
import { buckets, rowKey } from '../buckets.ts';
import type { Revision, RowKey } from '../types.ts';
import { readU64BE, u64Key } from '../u64.ts';

const LETTER = buckets.key.letter.charCodeAt(0);
const SEPARATOR = 0x5f;
const TOMBSTONE = 0x74;
const LENGTH = 18;

/** Position of a change: which request (main), and which change inside the request (sub). */
export interface RecordKey {
  readonly main: Revision;
  readonly sub: number;
  readonly tombstone: boolean;
}

/** Built in one call, so that the string is flat and cheap to hash. */
export function recordRowKey(main: Revision, sub: number): RowKey {
  const high = Math.floor(main / 0x1_0000_0000);
  const low = main >>> 0;
  return String.fromCharCode(
    LETTER,
    high >>> 24,
    (high >>> 16) & 0xff,
    (high >>> 8) & 0xff,
    high & 0xff,
    low >>> 24,
    (low >>> 16) & 0xff,
    (low >>> 8) & 0xff,
    low & 0xff,
    SEPARATOR,
    0,
    0,
    0,
    0,
    sub >>> 24,
    (sub >>> 16) & 0xff,
    (sub >>> 8) & 0xff,
    sub & 0xff,
  ) as RowKey;
}

export function tombstoneRowKey(main: Revision, sub: number): RowKey {
  return `${recordRowKey(main, sub)}t` as RowKey;
}

export function parseRecordKey(key: RowKey): RecordKey {
  const length = key.length;
  assert(
    (length === LENGTH || (length === LENGTH + 1 && key.charCodeAt(LENGTH) === TOMBSTONE)) &&
      key.charCodeAt(9) === SEPARATOR,
    'a row of bucket key is named by a revision',
  );
  return {
    main: readU64BE(key, 1),
    sub: readU64BE(key, 10),
    tombstone: length === LENGTH + 1,
  };
}

/** The first possible row of a main revision. */
export function firstRowOf(main: Revision): RowKey {
  return rowKey(buckets.key, u64Key(main));
}

/** A compaction mark of bucket `meta`: a revision key with sub 0. */
export function encodeRevisionMark(main: Revision): Uint8Array {
  return Buffer.from(recordRowKey(main, 0).slice(1), 'latin1');
}

export function decodeRevisionMark(bytes: Uint8Array | null): Revision | null {
  if (bytes === null) return null;
  assert(bytes.length === LENGTH - 1, 'a compaction mark is a revision key');
  return readU64BE(Buffer.from(bytes).toString('latin1'), 0);
}
