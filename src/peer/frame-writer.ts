/**
 * Frames on their way to a stream, written one after the other into one buffer, which is at the
 * same time one chunk of an HTTP/1.1 body: a batch of messages is one write to the socket.
 */

import { entrySize, putEntry } from '../codec/raftpb.ts';
import type { Entry } from '../raft/messages.ts';
import { writeU64BE } from '../u64.ts';

/** Eight hex digits and a line's end: a chunk's length may have leading zeros. */
const HEAD_BYTES = 10;
const TAIL_BYTES = 2;
const CR = 0x0d;
const LF = 0x0a;

export class FrameWriter {
  #buffer: Buffer;
  #at = HEAD_BYTES;

  /** `bytes` is what the frames will probably take. */
  constructor(bytes: number) {
    this.#buffer = Buffer.allocUnsafe(HEAD_BYTES + bytes + TAIL_BYTES);
  }

  /** Bytes of the frames so far. */
  get bytes(): number {
    return this.#at - HEAD_BYTES;
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#at++] = value;
  }

  u64(value: number): void {
    this.#reserve(8);
    writeU64BE(this.#buffer, this.#at, value);
    this.#at += 8;
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** The entry behind its length. */
  entry(entry: Entry): void {
    const size = entrySize(entry);
    this.u64(size);
    this.#reserve(size);
    this.#at = putEntry(this.#buffer, this.#at, entry);
  }

  /** The whole chunk. The writer must not be used afterwards. */
  finish(): Buffer {
    this.#reserve(0);
    this.#buffer.write(this.bytes.toString(16).padStart(8, '0'), 0, 'latin1');
    this.#buffer[8] = CR;
    this.#buffer[9] = LF;
    this.#buffer[this.#at] = CR;
    this.#buffer[this.#at + 1] = LF;
    return this.#buffer.subarray(0, this.#at + TAIL_BYTES);
  }

  #reserve(count: number): void {
    const need = this.#at + count + TAIL_BYTES;
    if (need <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(need, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }
}
