/**
 * Frames of the log, as bytes: etcd's format, which etcd and its tools read and write too.
 *
 *   frame  = length word (u64 little endian), record, padding to a multiple of 8
 *   word   = bits 0-55 record length, bits 56-58 padding length, bit 63 set when there is padding
 *   record = protobuf { 1 type; 2 crc; 3 data }
 *
 * The crc is a chain: it covers the data of every record since the member's first segment, but not
 * the length word, the type, the crc itself or the padding. A crc record carries the chain's value
 * into a segment and is not part of it.
 *
 * One thing is ours. Every append begins with an *append mark*: a crc record with data, which all
 * readers of etcd pass over. It says where the append begins and how long it is, so recovery can
 * tell an append that the crash interrupted from damage to one that was acknowledged (`tail.ts`).
 *
 * This file knows bytes and refuses to know files.
 */

import { assert } from '../assert.ts';
import { entrySize, putEntry, putVarint, varintSize, writeHardState } from '../codec/raftpb.ts';
import { encodeWalSnapshot } from '../codec/walpb.ts';
import { DecodeError, Reader, Writer } from '../codec/wire.ts';
import { crc32c } from '../crc32c.ts';
import { limits } from '../limits.ts';
import type { Entry, HardState, SnapshotMetadata } from '../raft/messages.ts';
import { EMPTY_BYTES } from '../types.ts';

export const RecordType = { METADATA: 1, ENTRY: 2, STATE: 3, CRC: 4, SNAPSHOT: 5 } as const;

export const WORD_BYTES = 8;
const TWO_32 = 0x1_0000_0000;
/** Type tag and value, crc tag and the longest crc, data tag. */
const RECORD_HEAD_BYTES_MAX = 2 + 6 + 1;
const LENGTH_BYTES_MAX = 8;
const BUFFER_BYTES_INITIAL = 64 * 1024;

/** Data of an append mark: offset in the file, bytes of the append, and a check over both. */
const MARK_DATA_BYTES = 12;
/** A whole frame with an append mark; that of a crc below 2^21 is one word shorter. */
export const MARK_FRAME_BYTES = 32;

export interface AppendMark {
  /** Where the append begins in its file: the offset of the mark itself. */
  readonly start: number;
  /** The offset behind the append's last frame. */
  readonly end: number;
}

/** Writes the 8-byte length word. */
function putWord(target: Buffer, at: number, length: number, padding: number): void {
  target.writeUInt32LE(length % TWO_32, at);
  const high = Math.floor(length / TWO_32);
  target.writeUInt32LE((high | (padding === 0 ? 0 : (0x80 | padding) << 24)) >>> 0, at + 4);
}

/**
 * Collects the frames of one append in a buffer that is reused from append to append, and carries
 * the crc chain. Invariant: `crc` is the chain's value behind the last frame collected.
 */
export class FrameEncoder {
  #bytes: Buffer = Buffer.allocUnsafe(BUFFER_BYTES_INITIAL);
  #end = 0;
  #crc: number;
  #markData = -1;
  #markCrc = 0;
  #markStart = 0;
  readonly #writer = new Writer();

  constructor(crc: number) {
    this.#crc = crc;
  }

  get crc(): number {
    return this.#crc;
  }

  /** Begins an append at `fileOffset` with its mark; `finish` completes the mark. */
  begin(fileOffset: number): void {
    assert(this.#end === 0, 'one append is collected at a time');
    if (this.#bytes.length > limits.walBufferBytesKept) {
      this.#bytes = Buffer.allocUnsafe(BUFFER_BYTES_INITIAL);
    }
    const crc = this.#crc;
    const length = plainCrcRecordSize(crc) + 2 + MARK_DATA_BYTES;
    let at = this.#open(length);
    at = putRecordHead(this.#bytes, at, RecordType.CRC, crc);
    at = putDataHead(this.#bytes, at, MARK_DATA_BYTES);
    this.#markData = at;
    this.#markCrc = crc;
    this.#markStart = fileOffset;
    this.#close(at + MARK_DATA_BYTES, length);
  }

  /** The bytes of the append; valid until the next `begin`. */
  finish(): Uint8Array {
    const at = this.#markData;
    assert(at >= 0, 'the append was begun');
    this.#bytes.writeUInt32LE(this.#markStart, at);
    this.#bytes.writeUInt32LE(this.#end, at + 4);
    this.#bytes.writeUInt32LE(crc32c(this.#bytes, this.#markCrc, at, at + 8), at + 8);
    const bytes = this.#bytes.subarray(0, this.#end);
    this.#end = 0;
    this.#markData = -1;
    return bytes;
  }

  entry(entry: Entry): void {
    const size = entrySize(entry);
    const data = this.#openData(size);
    putEntry(this.#bytes, data, entry);
    this.#closeData(RecordType.ENTRY, data, size);
  }

  state(state: HardState): void {
    this.#writer.reset();
    writeHardState(this.#writer, state);
    this.record(RecordType.STATE, this.#writer.view());
  }

  snapshot(metadata: SnapshotMetadata): void {
    this.record(RecordType.SNAPSHOT, encodeWalSnapshot(metadata));
  }

  metadata(bytes: Uint8Array): void {
    this.record(RecordType.METADATA, bytes);
  }

  /** A record of the chain with data that is encoded already. */
  record(type: number, data: Uint8Array): void {
    const start = this.#openData(data.length);
    this.#bytes.set(data, start);
    this.#closeData(type, start, data.length);
  }

  /** A plain crc record, as etcd begins its segments with. */
  crcRecord(): void {
    const length = plainCrcRecordSize(this.#crc);
    const at = this.#open(length);
    this.#close(putRecordHead(this.#bytes, at, RecordType.CRC, this.#crc), length);
  }

  /** Where a record's data of `size` bytes goes if its crc takes five bytes, which most do. */
  #openData(size: number): number {
    this.#reserve(WORD_BYTES + RECORD_HEAD_BYTES_MAX + LENGTH_BYTES_MAX + size + WORD_BYTES);
    return this.#end + WORD_BYTES + 2 + 6 + 1 + varintSize(size);
  }

  /** Closes the frame around data in place: the crc is known only now, and with it its length. */
  #closeData(type: number, data: number, size: number): void {
    this.#crc = crc32c(this.#bytes, this.#crc, data, data + size);
    const crcBytes = varintSize(this.#crc);
    if (crcBytes < 5) this.#bytes.copyWithin(data - 5 + crcBytes, data, data + size);
    const start = this.#end + WORD_BYTES;
    const at = putRecordHead(this.#bytes, start, type, this.#crc);
    const end = putDataHead(this.#bytes, at, size) + size;
    this.#close(end, end - start);
  }

  #open(length: number): number {
    this.#reserve(WORD_BYTES + length + WORD_BYTES);
    return this.#end + WORD_BYTES;
  }

  #close(recordEnd: number, length: number): void {
    const padding = -length & 7;
    putWord(this.#bytes, this.#end, length, padding);
    this.#bytes.fill(0, recordEnd, recordEnd + padding);
    this.#end = recordEnd + padding;
  }

  #reserve(count: number): void {
    const needed = this.#end + count;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#end);
    this.#bytes = grown;
  }
}

function putRecordHead(target: Buffer, at: number, type: number, crc: number): number {
  target[at] = 0x08;
  target[at + 1] = type;
  target[at + 2] = 0x10;
  return putVarint(target, at + 3, crc);
}

function putDataHead(target: Buffer, at: number, size: number): number {
  target[at] = 0x1a;
  return putVarint(target, at + 1, size);
}

/** Bytes of a crc record without data. */
export function plainCrcRecordSize(crc: number): number {
  return 3 + varintSize(crc);
}

export interface WalRecord {
  readonly type: number;
  readonly crc: number;
  /** A view of the segment. */
  readonly data: Uint8Array;
}

/** Throws `DecodeError`. Field order and missing zeros are free, as in any protobuf. */
export function decodeRecord(bytes: Uint8Array): WalRecord {
  const r = new Reader(bytes);
  let type = 0;
  let crc = 0;
  let data = EMPTY_BYTES;
  while (!r.done) {
    const tag = r.tag();
    if (tag === 0x08) type = r.uint64();
    else if (tag === 0x10) crc = r.uint32();
    else if (tag === 0x1a) data = r.bytes();
    else r.discard(tag);
  }
  return { type, crc, data };
}

export type FrameStatus =
  /** A whole frame; its record is not parsed yet. */
  | { readonly kind: 'frame'; readonly record: Uint8Array; readonly end: number }
  /** A zero word, or the end of the file where a frame would begin. */
  | { readonly kind: 'end' }
  /** The file ends inside the frame. */
  | { readonly kind: 'short' }
  /** A length word that nobody writes. */
  | { readonly kind: 'malformed' };

/** The frame at `offset`. */
export function frameAt(bytes: Buffer, offset: number): FrameStatus {
  if (offset === bytes.length) return { kind: 'end' };
  if (offset + WORD_BYTES > bytes.length) return { kind: 'short' };
  const low = bytes.readUInt32LE(offset);
  const high = bytes.readUInt32LE(offset + 4);
  if (low === 0 && high === 0) return { kind: 'end' };
  const length = (high & 0x00ff_ffff) * TWO_32 + low;
  const padding = -low & 7;
  if (high >>> 24 !== (padding === 0 ? 0 : 0x80 | padding)) return { kind: 'malformed' };
  const start = offset + WORD_BYTES;
  const end = start + length + padding;
  if (end > bytes.length) return { kind: 'short' };
  return { kind: 'frame', record: bytes.subarray(start, start + length), end };
}

/** The append mark at `offset`, or null when there is none or it is damaged. */
export function appendMarkAt(bytes: Buffer, offset: number): AppendMark | null {
  const frame = frameAt(bytes, offset);
  if (frame.kind !== 'frame' || frame.record.length > RECORD_HEAD_BYTES_MAX + 1 + MARK_DATA_BYTES) {
    return null;
  }
  try {
    return appendMarkOf(decodeRecord(frame.record), offset);
  } catch (cause) {
    if (cause instanceof DecodeError) return null;
    throw cause;
  }
}

/** The append mark that a record found at `offset` is, or null when it is another record. */
export function appendMarkOf(record: WalRecord, offset: number): AppendMark | null {
  const data = record.data;
  if (record.type !== RecordType.CRC || data.length !== MARK_DATA_BYTES) return null;
  const view = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const start = view.readUInt32LE(0);
  const check = crc32c(view, record.crc, 0, 8);
  if (start !== offset || view.readUInt32LE(8) !== check) return null;
  return { start, end: start + view.readUInt32LE(4) };
}
