/**
 * `mvccpb.KeyValue`: encoded once, when a key is put, and passed through untouched to rows,
 * responses, events and snapshots. HashKV runs over these bytes, so the encoding is canonical:
 * fields ascending, zero fields omitted, minimal varints.
 *
 * The readers look at single fields of encoded bytes without decoding the rest. They accept any
 * field order, and fields they do not know, since rows may stem from a snapshot of another server.
 */

import {
  EMPTY_BYTES,
  EMPTY_KEY,
  type Key,
  keyFromBytes,
  type LeaseId,
  NO_LEASE,
  type Revision,
} from '../types.ts';
import { decode, type Reader } from './wire.ts';

/** The canonical encoding of one KeyValue. Never changed after it was made. */
export type EncodedKeyValue = Uint8Array;

export interface KeyValue {
  readonly key: Key;
  readonly createRevision: Revision;
  readonly modRevision: Revision;
  readonly version: number;
  readonly value: Uint8Array;
  readonly lease: LeaseId;
}

const TAG_KEY = 0x0a;
const TAG_CREATE_REVISION = 0x10;
const TAG_MOD_REVISION = 0x18;
const TAG_VERSION = 0x20;
const TAG_VALUE = 0x2a;
const TAG_LEASE = 0x30;

const TWO_28 = 0x1000_0000;
const TWO_32 = 0x1_0000_0000;
/** Below this many characters a loop is faster than a native call. */
const SHORT_KEY = 24;

export function encodeKeyValue(kv: KeyValue): EncodedKeyValue {
  return encodeFields(kv.key, kv.createRevision, kv.modRevision, kv.version, kv.value, kv.lease);
}

/** The same, from fields: the put path makes no object only to encode it. */
export function encodeFields(
  key: Key,
  createRevision: Revision,
  modRevision: Revision,
  version: number,
  value: Uint8Array,
  lease: LeaseId,
): EncodedKeyValue {
  const leaseBits = lease === NO_LEASE ? 0n : BigInt.asUintN(64, lease);
  let size = 0;
  if (key.length > 0) size += 1 + varintSize(key.length) + key.length;
  if (createRevision > 0) size += 1 + varintSize(createRevision);
  if (modRevision > 0) size += 1 + varintSize(modRevision);
  if (version > 0) size += 1 + varintSize(version);
  if (value.length > 0) size += 1 + varintSize(value.length) + value.length;
  if (leaseBits !== 0n) size += 1 + varint64Size(leaseBits);

  const target = Buffer.allocUnsafe(size);
  let at = 0;
  if (key.length > 0) {
    target[at++] = TAG_KEY;
    at = writeVarint(target, at, key.length);
    at = writeLatin1(target, at, key);
  }
  if (createRevision > 0) {
    target[at++] = TAG_CREATE_REVISION;
    at = writeVarint(target, at, createRevision);
  }
  if (modRevision > 0) {
    target[at++] = TAG_MOD_REVISION;
    at = writeVarint(target, at, modRevision);
  }
  if (version > 0) {
    target[at++] = TAG_VERSION;
    at = writeVarint(target, at, version);
  }
  if (value.length > 0) {
    target[at++] = TAG_VALUE;
    at = writeVarint(target, at, value.length);
    target.set(value, at);
    at += value.length;
  }
  if (leaseBits !== 0n) {
    target[at++] = TAG_LEASE;
    writeVarint64(target, at, leaseBits);
  }
  return target;
}

/** What the row of a tombstone holds: the key alone. */
export function encodeTombstone(key: Key): EncodedKeyValue {
  return encodeFields(key, 0, 0, 0, EMPTY_BYTES, NO_LEASE);
}

/** What the event of a deletion carries: the key and the revision of the deletion. */
export function encodeDeleted(key: Key, modRevision: Revision): EncodedKeyValue {
  return encodeFields(key, 0, modRevision, 0, EMPTY_BYTES, NO_LEASE);
}

/** `value` of the result is a view into the encoded bytes. */
export function decodeKeyValue(encoded: EncodedKeyValue): KeyValue {
  return decode((reader) => readKeyValue(reader, true), encoded);
}

/** Everything but the value, which is what an index needs. */
export function decodeKeyState(encoded: EncodedKeyValue): Omit<KeyValue, 'value'> {
  return decode((reader) => readKeyValue(reader, false), encoded);
}

function readKeyValue(reader: Reader, wantValue: boolean): KeyValue {
  let key = EMPTY_KEY;
  let createRevision = 0;
  let modRevision = 0;
  let version = 0;
  let value = EMPTY_BYTES;
  let lease = NO_LEASE;
  while (!reader.done) {
    const tag = reader.tag();
    switch (tag) {
      case TAG_KEY:
        key = reader.key();
        break;
      case TAG_CREATE_REVISION:
        createRevision = reader.int64();
        break;
      case TAG_MOD_REVISION:
        modRevision = reader.int64();
        break;
      case TAG_VERSION:
        version = reader.int64();
        break;
      case TAG_VALUE:
        if (wantValue) value = reader.bytes();
        else reader.discard(tag);
        break;
      case TAG_LEASE:
        lease = reader.int64Exact() as LeaseId;
        break;
      default:
        reader.discard(tag);
    }
  }
  return { key, createRevision, modRevision, version, value, lease };
}

export function keyOf(encoded: EncodedKeyValue): Key {
  const length = encoded[1];
  // Canonical bytes begin with the key, and most keys have a length of one byte.
  if (encoded[0] === TAG_KEY && length !== undefined && length < 0x80) {
    return keyFromBytes(encoded.subarray(2, 2 + length));
  }
  return find(encoded, TAG_KEY, (reader) => reader.key(), EMPTY_KEY);
}

export function createRevisionOf(encoded: EncodedKeyValue): Revision {
  return find(encoded, TAG_CREATE_REVISION, (reader) => reader.int64(), 0);
}

export function modRevisionOf(encoded: EncodedKeyValue): Revision {
  return find(encoded, TAG_MOD_REVISION, (reader) => reader.int64(), 0);
}

export function versionOf(encoded: EncodedKeyValue): number {
  return find(encoded, TAG_VERSION, (reader) => reader.int64(), 0);
}

/** A view into the encoded bytes. */
export function valueBytesOf(encoded: EncodedKeyValue): Uint8Array {
  return find(encoded, TAG_VALUE, (reader) => reader.bytes(), EMPTY_BYTES);
}

export function leaseOf(encoded: EncodedKeyValue): LeaseId {
  return find(encoded, TAG_LEASE, (reader) => reader.int64Exact() as LeaseId, NO_LEASE);
}

function find<T>(
  encoded: EncodedKeyValue,
  wanted: number,
  read: (reader: Reader) => T,
  absent: T,
): T {
  return decode((reader) => {
    while (!reader.done) {
      const tag = reader.tag();
      if (tag === wanted) return read(reader);
      reader.discard(tag);
    }
    return absent;
  }, encoded);
}

function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  if (value < TWO_28) return 4;
  let size = 5;
  for (let rest = Math.floor(value / TWO_28 / 0x80); rest > 0; rest = Math.floor(rest / 0x80)) {
    size++;
  }
  return size;
}

function writeVarint(target: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  while (rest >= TWO_32) {
    target[at++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  rest >>>= 0;
  while (rest > 0x7f) {
    target[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[at++] = rest;
  return at;
}

function varint64Size(bits: bigint): number {
  let size = 1;
  for (let rest = bits >> 7n; rest > 0n; rest >>= 7n) size++;
  return size;
}

function writeVarint64(target: Uint8Array, start: number, bits: bigint): void {
  let low = Number(bits & 0xffff_ffffn);
  let high = Number(bits >> 32n);
  let at = start;
  while (high !== 0 || low > 0x7f) {
    target[at++] = (low & 0x7f) | 0x80;
    low = ((low >>> 7) | (high << 25)) >>> 0;
    high >>>= 7;
  }
  target[at] = low;
}

function writeLatin1(target: Buffer, start: number, text: string): number {
  const length = text.length;
  if (length > SHORT_KEY) {
    target.write(text, start, length, 'latin1');
  } else {
    for (let i = 0; i < length; i++) target[start + i] = text.charCodeAt(i);
  }
  return start + length;
}
