/**
 * Received bytes that wait until what they are part of is complete. Each byte is copied at most
 * once, however many pieces it came in, and nothing is set aside before it has arrived: a length
 * that somebody announces costs no memory.
 */

import { assert, must } from '../assert.ts';

const TWO_32 = 0x1_0000_0000;

export class ByteQueue {
  readonly #pieces: Buffer[] = [];
  /** Where the first piece goes on. */
  #at = 0;
  #available = 0;

  get available(): number {
    return this.#available;
  }

  push(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#pieces.push(piece);
    this.#available += piece.length;
  }

  /** The next `count` bytes, which must be there: a view of a piece where one holds them all. */
  take(count: number): Buffer {
    assert(count <= this.#available, 'what is taken has arrived');
    const first = this.#pieces[0];
    if (first !== undefined && first.length - this.#at >= count) {
      const bytes = first.subarray(this.#at, this.#at + count);
      this.#skip(count);
      return bytes;
    }
    const bytes = Buffer.allocUnsafe(count);
    for (let filled = 0; filled < count; ) {
      const piece = must(this.#pieces[0], 'bytes that are available are in a piece');
      const copied = piece.copy(bytes, filled, this.#at, this.#at + count - filled);
      filled += copied;
      this.#skip(copied);
    }
    return bytes;
  }

  u8(): number {
    return this.take(1).readUInt8(0);
  }

  /** Big-endian; numbers beyond 2^53 come out rounded, and still as larger than any limit. */
  u64(): number {
    const bytes = this.take(8);
    return bytes.readUInt32BE(0) * TWO_32 + bytes.readUInt32BE(4);
  }

  /** Everything that is there, in pieces. */
  takeAll(): Buffer[] {
    const pieces = this.#pieces.splice(0);
    const [first] = pieces;
    if (first !== undefined) pieces[0] = first.subarray(this.#at);
    this.#at = 0;
    this.#available = 0;
    return pieces;
  }

  #skip(count: number): void {
    this.#available -= count;
    this.#at += count;
    if (this.#pieces[0] !== undefined && this.#at >= this.#pieces[0].length) {
      this.#pieces.shift();
      this.#at = 0;
    }
  }
}
