/** One change of one key, as watchers see it. */

import { decodeKeyState, type EncodedKeyValue, encodeDeleted, keyOf } from '../codec/key-value.ts';
import { type Key, type LeaseId, NO_LEASE, type Revision, type RowKey } from '../types.ts';
import { parseRecordKey } from './record.ts';

export interface Event {
  readonly type: 'put' | 'delete';
  readonly key: Key;
  /** Main revision of the change. */
  readonly revision: Revision;
  /** 0 for a deletion. */
  readonly createRevision: Revision;
  /** 0 for a deletion. */
  readonly version: number;
  readonly lease: LeaseId;
  /** For a deletion: key and mod_revision only. */
  readonly kv: EncodedKeyValue;
}

export function deleteEvent(key: Key, revision: Revision): Event {
  return {
    type: 'delete',
    key,
    revision,
    createRevision: 0,
    version: 0,
    lease: NO_LEASE,
    kv: encodeDeleted(key, revision),
  };
}

/** The event that a stored record stands for. */
export function eventFromRow(rowKey: RowKey, value: EncodedKeyValue): Event {
  const { main, tombstone } = parseRecordKey(rowKey);
  if (tombstone) return deleteEvent(keyOf(value), main);
  const { key, createRevision, version, lease } = decodeKeyState(value);
  return { type: 'put', key, revision: main, createRevision, version, lease, kv: value };
}
