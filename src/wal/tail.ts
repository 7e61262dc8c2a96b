/**
 * What to make of a segment whose frames stop making sense: did the crash interrupt the last
 * append, or is something damaged that was acknowledged?
 *
 * One append is in flight at a time, and it is synced before the next one begins. So a crash can
 * only spoil the last append of the last segment, and what it spoils is missing as whole sectors:
 * zeros in reserved space, or the end of the file. All else is damage, and damage is refused:
 *
 *   - anything that belongs to a later append stands behind the bad frame, or
 *   - no sector of the bad frame is missing, so its bytes were changed after they were written.
 *
 * etcd asks only the second question, of the last file; a zeroed sector in its middle makes etcd
 * drop every later record, acknowledged or not. Here that is an error which names file and offset.
 *
 * Regions that etcd wrote carry no append marks. There, two consecutive sound frames behind the bad
 * one count as a later append: etcd flushes whole pages, so the state of disk that this refuses
 * although a crash could have caused it is a lost page in the middle of one large flush.
 */

import { DecodeError } from '../codec/wire.ts';
import { crc32c } from '../crc32c.ts';
import {
  type AppendMark,
  appendMarkAt,
  decodeRecord,
  frameAt,
  MARK_FRAME_BYTES,
  WORD_BYTES,
} from './record.ts';

const SECTOR_BYTES = 512;
const ZEROS = Buffer.alloc(64 * 1024);

export type StopReason =
  /** Sound frames up to a zero word or the end of the file. */
  | 'end'
  | 'frame longer than the file'
  | 'malformed length word'
  | 'malformed record'
  | 'crc mismatch'
  | 'crc chain mismatch'
  | 'unknown record type';

export interface Stop {
  readonly reason: StopReason;
  /** Of the frame that is bad, or where the next one would begin. */
  readonly offset: number;
  /** Behind the bad frame if its length word can be believed, else the end of the file. */
  readonly frameEnd: number;
}

export type Verdict =
  | { readonly kind: 'clean' }
  /** Cut at the stop's offset; nothing behind it was acknowledged. */
  | { readonly kind: 'torn'; readonly reason: string }
  | { readonly kind: 'corrupt'; readonly reason: string };

/** `append` is the last append mark read before the stop. */
export function judgeTail(bytes: Buffer, stop: Stop, append: AppendMark | null): Verdict {
  const { offset, reason } = stop;
  const inside = append !== null && offset < append.end;
  if (reason === 'end' && !inside && isZero(bytes, offset, bytes.length)) return { kind: 'clean' };
  if (reason === 'unknown record type' || reason === 'crc chain mismatch') {
    return { kind: 'corrupt', reason };
  }
  const what = reason === 'end' ? 'append incomplete' : reason;
  const later = laterAppend(bytes, offset, append);
  if (later !== null) return { kind: 'corrupt', reason: `${what}, and ${later} follows` };
  if (isInterrupted(bytes, stop, append)) return { kind: 'torn', reason: what };
  return { kind: 'corrupt', reason: `${what}, although no sector is missing` };
}

/** What stands behind the bad frame and was written after its append had been synced. */
function laterAppend(bytes: Buffer, offset: number, append: AppendMark | null): string | null {
  if (append !== null && offset < append.end && !isZero(bytes, append.end, bytes.length)) {
    return `data behind the append's end at ${append.end}`;
  }
  const marked = isMarked(offset, append);
  let at = offset + WORD_BYTES;
  while (at + WORD_BYTES <= bytes.length) {
    if (bytes[at] === 0 && isZero(bytes, at, Math.min(at + ZEROS.length, bytes.length))) {
      at += ZEROS.length;
      continue;
    }
    if (appendMarkAt(bytes, at) !== null) return `an append at ${at}`;
    if (!marked && chainedFramesAt(bytes, at)) return `a sound record at ${at}`;
    at += WORD_BYTES;
  }
  return null;
}

/** Whether the bad frame lies in an append with a mark, or is the mark that continues such ones. */
function isMarked(offset: number, append: AppendMark | null): boolean {
  return append !== null && offset <= append.end;
}

/** Whether the bad frame looks as a crash leaves it: parts of it are missing, none are changed. */
function isInterrupted(bytes: Buffer, stop: Stop, append: AppendMark | null): boolean {
  const { offset, reason } = stop;
  if (offset === bytes.length || bytes.length - offset < WORD_BYTES) return true;
  if (!isMarked(offset, append) || append === null) {
    return reason === 'end' || reason === 'frame longer than the file' || missesSector(bytes, stop);
  }
  if (offset === append.end) {
    // The frame is a damaged mark: its length is known, whatever its word says now.
    const end = offset + MARK_FRAME_BYTES;
    return end > bytes.length || missesSector(bytes, { ...stop, frameEnd: end });
  }
  if (append.end > bytes.length) return true;
  const frameEnd = reason === 'end' ? offset + WORD_BYTES : Math.min(stop.frameEnd, append.end);
  return missesSector(bytes, { ...stop, frameEnd });
}

/** Whether two frames stand at `at` of which the second continues the first one's crc chain. */
function chainedFramesAt(bytes: Buffer, at: number): boolean {
  const first = frameAt(bytes, at);
  if (first.kind !== 'frame') return false;
  const second = frameAt(bytes, first.end);
  if (second.kind !== 'frame') return false;
  try {
    const seed = decodeRecord(first.record);
    const next = decodeRecord(second.record);
    return next.data.length > 0 && crc32c(next.data, seed.crc) === next.crc;
  } catch (cause) {
    if (cause instanceof DecodeError) return false;
    throw cause;
  }
}

/** Whether one of the sectors that the frame touches is zero from where the frame is in it. */
function missesSector(bytes: Buffer, stop: Stop): boolean {
  for (let at = stop.offset; at < stop.frameEnd; ) {
    const next = (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES;
    if (isZero(bytes, at, Math.min(next, bytes.length))) return true;
    at = next;
  }
  return false;
}

export function isZero(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at += ZEROS.length) {
    const length = Math.min(ZEROS.length, end - at);
    if (bytes.compare(ZEROS, 0, length, at, at + length) !== 0) return false;
  }
  return true;
}
