/**
 * One file of the log: its name, and its records read from the file's bytes.
 *
 * Invariant: what `readSegment` returns was covered by the crc chain, beginning at the segment's
 * own crc record. It refuses to know other segments; `recover.ts` checks that the chain goes on.
 */

import { must } from '../assert.ts';
import { decodeEntry, decodeHardState, encodeHardState } from '../codec/raftpb.ts';
import { decodeWalSnapshot } from '../codec/walpb.ts';
import { DecodeError } from '../codec/wire.ts';
import { crc32c } from '../crc32c.ts';
import type { Entry, HardState, SnapshotMetadata } from '../raft/messages.ts';
import type { Index } from '../types.ts';
import {
  type AppendMark,
  appendMarkOf,
  decodeRecord,
  frameAt,
  plainCrcRecordSize,
  RecordType,
  type WalRecord,
  WORD_BYTES,
} from './record.ts';
import { judgeTail, type Stop, type StopReason } from './tail.ts';

export interface SegmentName {
  readonly file: string;
  readonly sequence: number;
  /** etcd: the last index written before this segment was begun, plus one; 0 for the first one. */
  readonly firstIndex: Index;
}

const NAME = /^([0-9a-f]{16})-([0-9a-f]{16})\.wal$/;

export function segmentFile(sequence: number, firstIndex: Index): string {
  const hex = (value: number) => value.toString(16).padStart(16, '0');
  return `${hex(sequence)}-${hex(firstIndex)}.wal`;
}

/** etcd: every name of another form (`0.tmp`, `*.wal.broken`, `lost+found`) is passed over. */
export function parseSegmentFile(file: string): SegmentName | null {
  const match = NAME.exec(file);
  if (match === null) return null;
  return {
    file,
    sequence: Number.parseInt(match[1] ?? '', 16),
    firstIndex: Number.parseInt(match[2] ?? '', 16),
  };
}

/** The log is damaged where nothing may be missing. The member must not start on it. */
export class WalCorruptError extends Error {
  override readonly name = 'WalCorruptError';
  readonly file: string;
  readonly offset: number;
  readonly reason: string;

  constructor(file: string, offset: number, reason: string) {
    super(`wal: ${file} is corrupt at offset ${offset}: ${reason}`);
    this.file = file;
    this.offset = offset;
    this.reason = reason;
  }
}

export interface SnapshotMark {
  readonly metadata: SnapshotMetadata;
  /** How many of the segment's entries stand before the mark. */
  readonly entriesBefore: number;
  readonly offset: number;
}

export interface Segment {
  readonly name: SegmentName;
  /** In the order written; a later one replaces an earlier one of the same or a higher index. */
  readonly entries: readonly Entry[];
  readonly snapshots: readonly SnapshotMark[];
  /** The last one. */
  readonly state: HardState | null;
  readonly metadata: Uint8Array;
  /** The chain's value on which the segment begins; null when it does not say. */
  readonly seed: number | null;
  /** The chain's value at the end. */
  readonly crc: number;
  /** Behind the last frame to keep. */
  readonly end: number;
  /** Why the frames behind `end` are to be cut off, or null when there are none. */
  readonly torn: string | null;
}

/** Throws `WalCorruptError`. Entries' data are views of `bytes`. */
export function readSegment(name: SegmentName, bytes: Buffer, isLast: boolean): Segment {
  const reader = new SegmentReader(name, bytes);
  const stop = reader.readAll();
  const verdict = judgeTail(bytes, stop, reader.append);
  if (verdict.kind === 'corrupt') throw new WalCorruptError(name.file, stop.offset, verdict.reason);
  const torn = verdict.kind === 'torn' ? verdict.reason : null;
  if (torn !== null && !isLast) {
    throw new WalCorruptError(name.file, stop.offset, `${torn}, and a segment follows`);
  }
  if (!reader.isHeaderWhole(stop.offset)) {
    throw new WalCorruptError(name.file, stop.offset, 'the header is incomplete');
  }
  return reader.segment(stop.offset, torn);
}

class SegmentReader {
  readonly #name: SegmentName;
  readonly #bytes: Buffer;
  readonly #entries: Entry[] = [];
  readonly #snapshots: SnapshotMark[] = [];
  #state: HardState | null = null;
  #metadata: Uint8Array | null = null;
  #seed: number | null = null;
  #crc = 0;
  append: AppendMark | null = null;

  constructor(name: SegmentName, bytes: Buffer) {
    this.#name = name;
    this.#bytes = bytes;
  }

  readAll(): Stop {
    const length = this.#bytes.length;
    for (let offset = 0; ; ) {
      const frame = frameAt(this.#bytes, offset);
      if (frame.kind === 'end') return { reason: 'end', offset, frameEnd: offset };
      if (frame.kind === 'short') {
        return { reason: 'frame longer than the file', offset, frameEnd: length };
      }
      if (frame.kind === 'malformed') {
        return { reason: 'malformed length word', offset, frameEnd: offset + WORD_BYTES };
      }
      const reason = this.#record(frame.record, offset);
      if (reason !== null) return { reason, offset, frameEnd: frame.end };
      offset = frame.end;
    }
  }

  /** A segment gets its name only when its header is durable, so the header cannot be torn. */
  isHeaderWhole(end: number): boolean {
    const inHeader = this.append !== null && this.append.start === 0 && end < this.append.end;
    return this.#metadata !== null && !inHeader;
  }

  segment(end: number, torn: string | null): Segment {
    return {
      name: this.#name,
      entries: this.#entries,
      snapshots: this.#snapshots,
      state: this.#state,
      metadata: must(this.#metadata, 'a whole header has metadata'),
      seed: this.#seed,
      crc: this.#crc,
      end,
      torn,
    };
  }

  #record(bytes: Uint8Array, offset: number): StopReason | null {
    try {
      const record = decodeRecord(bytes);
      if (record.type === RecordType.CRC) {
        return this.#crcRecord(record, bytes.length, offset);
      }
      const crc = crc32c(record.data, this.#crc);
      if (crc !== record.crc) return 'crc mismatch';
      if (!this.#take(record, offset)) return 'unknown record type';
      this.#crc = crc;
      return null;
    } catch (cause) {
      if (cause instanceof DecodeError) return 'malformed record';
      throw cause;
    }
  }

  #crcRecord(record: WalRecord, length: number, offset: number): StopReason | null {
    // etcd: a chain that has not begun takes any value.
    if (this.#crc !== 0 && record.crc !== this.#crc) return 'crc chain mismatch';
    // No checksum covers this record, so it must look exactly as one of its two forms.
    const mark = appendMarkOf(record, offset);
    if (mark === null && length !== plainCrcRecordSize(record.crc)) return 'malformed record';
    if (mark !== null) this.append = mark;
    this.#seed ??= record.crc;
    this.#crc = record.crc;
    return null;
  }

  #take(record: WalRecord, offset: number): boolean {
    switch (record.type) {
      case RecordType.ENTRY:
        this.#entries.push(soundEntry(record.data));
        return true;
      case RecordType.STATE:
        this.#state = soundState(record.data);
        return true;
      case RecordType.METADATA:
        this.#takeMetadata(record.data, offset);
        return true;
      case RecordType.SNAPSHOT: {
        const metadata = decodeWalSnapshot(record.data);
        this.#snapshots.push({ metadata, entriesBefore: this.#entries.length, offset });
        return true;
      }
      default:
        return false;
    }
  }

  #takeMetadata(data: Uint8Array, offset: number): void {
    if (this.#metadata !== null && Buffer.compare(this.#metadata, data) !== 0) {
      throw new WalCorruptError(this.#name.file, offset, 'metadata differ');
    }
    this.#metadata = data;
  }
}

// The chain does not cover a record's type, and entry and hard state have the same first fields. So
// a damaged type would make one of them the other, were it not for what only one of them can hold.

function soundEntry(data: Uint8Array): Entry {
  const entry = decodeEntry(data);
  if (entry.term === Number.MAX_SAFE_INTEGER) throw new DecodeError('wal: a member id for a term');
  return entry;
}

function soundState(data: Uint8Array): HardState {
  const state = decodeHardState(data);
  if (encodeHardState(state).length < data.length) throw new DecodeError('wal: a state with data');
  return state;
}
