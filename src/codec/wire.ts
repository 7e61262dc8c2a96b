/**
 * Protobuf's wire format: a reader over received bytes and a writer into one growing buffer.
 *
 * This pair and the code generated on top of it are the only places that touch 64-bit fields.
 * Counted quantities decode to `number`, saturating at ±(2^53-1): rounding above 2^53 is monotone,
 * so comparisons with real revisions still give etcd's answers. Ids decode to exact `bigint`.
 *
 * It knows nothing of messages; `gen/` is generated from `proto/`.
 */

import { assert } from '../assert.ts';
import { EMPTY_BYTES, type Key } from '../types.ts';

/** Malformed bytes from outside. The text is protobuf-go's, since gRPC clients see it. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
}

const INVALID = 'proto: cannot parse invalid wire-format data';
const TWO_32 = 0x1_0000_0000;
const MAX = Number.MAX_SAFE_INTEGER;
const TOO_DEEP = 'proto: exceeded maximum recursion depth';
/**
 * Limit: nesting of messages. protobuf-go takes 10000, for which the stack does not suffice here;
 * etcd refuses transactions deeper than --max-txn-ops anyway.
 */
const DEPTH_MAX = 5000;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export class Reader {
  readonly #buffer: Buffer;
  #pos: number;
  #end: number;
  #depth = 0;
  // The halves of the last varint read by #varint.
  #low = 0;
  #high = 0;

  constructor(bytes: Uint8Array) {
    this.#buffer = asBuffer(bytes);
    this.#pos = 0;
    this.#end = bytes.length;
  }

  get done(): boolean {
    return this.#pos >= this.#end;
  }

  /** Narrows the reader to a length-delimited message; returns the end to restore with `leave`. */
  enter(): number {
    const length = this.#length();
    if (++this.#depth > DEPTH_MAX) throw new DecodeError(TOO_DEEP);
    const outer = this.#end;
    this.#end = this.#pos + length;
    return outer;
  }

  leave(outer: number): void {
    this.#depth--;
    this.#end = outer;
  }

  tag(): number {
    this.#varint();
    if (this.#high !== 0 || this.#low >>> 3 === 0) throw new DecodeError(INVALID);
    return this.#low;
  }

  bool(): boolean {
    this.#varint();
    return this.#low !== 0 || this.#high !== 0;
  }

  /** int32 and enums: the low 32 bits, signed. */
  int32(): number {
    this.#varint();
    return this.#low | 0;
  }

  uint32(): number {
    this.#varint();
    return this.#low;
  }

  /** int64 as a number, saturating. */
  int64(): number {
    this.#varint();
    const value = (this.#high | 0) * TWO_32 + this.#low;
    return Math.max(-MAX, Math.min(MAX, value));
  }

  /** uint64 as a number, saturating. */
  uint64(): number {
    this.#varint();
    const value = this.#high * TWO_32 + this.#low;
    return Math.min(MAX, value);
  }

  int64Exact(): bigint {
    this.#varint();
    if (this.#high === 0) return BigInt(this.#low);
    return (BigInt(this.#high | 0) << 32n) | BigInt(this.#low);
  }

  uint64Exact(): bigint {
    this.#varint();
    if (this.#high === 0) return BigInt(this.#low);
    return (BigInt(this.#high) << 32n) | BigInt(this.#low);
  }

  /** An int64 as decimal text. */
  int64Text(): string {
    this.#varint();
    if (this.#high < 0x20_0000) return String(this.#high * TWO_32 + this.#low);
    return String((BigInt(this.#high | 0) << 32n) | BigInt(this.#low));
  }

  /** A uint64 as decimal text. */
  uint64Text(): string {
    this.#varint();
    if (this.#high < 0x20_0000) return String(this.#high * TWO_32 + this.#low);
    return largeText(this.#high, this.#low);
  }

  /** Bytes as standard base64. */
  base64(): string {
    const length = this.#length();
    const start = this.#pos;
    this.#pos = start + length;
    return this.#buffer.toString('base64', start, this.#pos);
  }

  /** A view into the received bytes, not a copy. */
  bytes(): Uint8Array {
    const length = this.#length();
    if (length === 0) return EMPTY_BYTES;
    const start = this.#pos;
    this.#pos = start + length;
    return this.#buffer.subarray(start, start + length);
  }

  key(): Key {
    const length = this.#length();
    const start = this.#pos;
    this.#pos = start + length;
    return this.#buffer.toString('latin1', start, start + length) as Key;
  }

  string(): string {
    const length = this.#length();
    if (length === 0) return '';
    const start = this.#pos;
    this.#pos = start + length;
    try {
      return utf8.decode(this.#buffer.subarray(start, start + length));
    } catch (cause) {
      throw new DecodeError('string field contains invalid UTF-8', { cause });
    }
  }

  discard(tag: number): void {
    switch (tag & 7) {
      case 0:
        this.#varint();
        return;
      case 1:
        this.#advance(8);
        return;
      case 2:
        this.#advance(this.#length());
        return;
      case 3:
        this.#skipGroup(tag >>> 3);
        return;
      case 5:
        this.#advance(4);
        return;
      default:
        throw new DecodeError(INVALID);
    }
  }

  /** Without recursion: how deep groups of unknown fields are nested is a client's choice. */
  #skipGroup(field: number): void {
    const open = [field];
    while (open.length > 0) {
      if (this.#depth + open.length > DEPTH_MAX) throw new DecodeError(TOO_DEEP);
      const tag = this.tag();
      const type = tag & 7;
      if (type === 3) open.push(tag >>> 3);
      else if (type !== 4) this.discard(tag);
      else if (open.pop() !== tag >>> 3) throw new DecodeError(INVALID);
    }
  }

  #advance(count: number): void {
    if (this.#pos + count > this.#end) throw new DecodeError(INVALID);
    this.#pos += count;
  }

  #length(): number {
    this.#varint();
    if (this.#high !== 0 || this.#pos + this.#low > this.#end) throw new DecodeError(INVALID);
    return this.#low;
  }

  #varint(): void {
    const buffer = this.#buffer;
    let pos = this.#pos;
    if (pos >= this.#end) throw new DecodeError(INVALID);
    const first = buffer[pos++] as number;
    if (first < 0x80) {
      this.#pos = pos;
      this.#low = first;
      this.#high = 0;
      return;
    }
    let low = first & 0x7f;
    let high = 0;
    for (let shift = 7; ; shift += 7) {
      if (pos >= this.#end || shift > 63) throw new DecodeError(INVALID);
      const byte = buffer[pos++] as number;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) {
        if (shift === 63 && byte > 1) throw new DecodeError(INVALID);
        break;
      }
    }
    this.#pos = pos;
    this.#low = low >>> 0;
    this.#high = high >>> 0;
  }
}

interface LargeText {
  readonly high: number;
  readonly low: number;
  readonly text: string;
}

// Answers repeat the same few ids, and dividing them into digits is dear. One slot per hash.
const largeTexts: (LargeText | undefined)[] = new Array(64);

function largeText(high: number, low: number): string {
  const slot = low & 63;
  const known = largeTexts[slot];
  if (known !== undefined && known.low === low && known.high === high) return known.text;
  const text = String((BigInt(high) << 32n) | BigInt(low));
  largeTexts[slot] = { high, low, text };
  return text;
}

/** Decodes a whole message. Throws `DecodeError`. */
export function decode<T>(decoder: (r: Reader) => T, bytes: Uint8Array): T {
  return decoder(new Reader(bytes));
}

const scratch: { writer: Writer | null } = { writer: null };

/** Encodes a message into a buffer of its own. */
export function encode<T>(encoder: (w: Writer, message: T) => void, message: T): Uint8Array {
  // One writer is reused; an encoder that calls `encode` itself gets a fresh one.
  const writer = scratch.writer ?? new Writer();
  scratch.writer = null;
  encoder(writer.reset(), message);
  const bytes = writer.finish();
  scratch.writer = writer;
  return bytes;
}

export class Writer {
  #buffer: Buffer;
  #pos = 0;

  constructor(capacity = 512) {
    this.#buffer = Buffer.allocUnsafe(capacity);
  }

  get length(): number {
    return this.#pos;
  }

  reset(): this {
    this.#pos = 0;
    return this;
  }

  /** Takes back what was written beyond `length`. */
  truncate(length: number): void {
    assert(length <= this.#pos, 'only what was written is taken back');
    this.#pos = length;
  }

  /** Whether the last byte written is 0. */
  get endsWithZero(): boolean {
    return this.#buffer[this.#pos - 1] === 0;
  }

  /** A view that the next `reset` makes invalid. */
  view(): Uint8Array {
    return this.#buffer.subarray(0, this.#pos);
  }

  /** The bytes as a buffer of their own. */
  finish(): Uint8Array {
    const bytes = Buffer.allocUnsafe(this.#pos);
    this.#buffer.copy(bytes, 0, 0, this.#pos);
    return bytes;
  }

  /** A field tag, or any varint below 2^32. */
  uint32(value: number): void {
    if (this.#pos + 5 > this.#buffer.length) this.#grow(5);
    let rest = value >>> 0;
    while (rest > 0x7f) {
      this.#buffer[this.#pos++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#buffer[this.#pos++] = rest;
  }

  bool(value: boolean): void {
    this.uint32(value ? 1 : 0);
  }

  /** int32, int64 and uint64 held as numbers; negative ones take ten bytes. */
  int64(value: number): void {
    if (value >= 0 && value < TWO_32) {
      this.uint32(value);
      return;
    }
    if (value < 0) {
      this.int64Exact(BigInt(value));
      return;
    }
    if (this.#pos + 10 > this.#buffer.length) this.#grow(10);
    let rest = value;
    while (rest > 0x7f) {
      this.#buffer[this.#pos++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    this.#buffer[this.#pos++] = rest;
  }

  /** int64 and uint64 ids; negative ones in two's complement. */
  int64Exact(value: bigint): void {
    if (this.#pos + 10 > this.#buffer.length) this.#grow(10);
    const bits = BigInt.asUintN(64, value);
    let low = Number(bits & 0xffff_ffffn);
    let high = Number(bits >> 32n);
    while (high !== 0) {
      this.#buffer[this.#pos++] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    this.uint32(low);
  }

  bytes(value: Uint8Array): void {
    const length = value.length;
    this.uint32(length);
    if (this.#pos + length > this.#buffer.length) this.#grow(length);
    this.#buffer.set(value, this.#pos);
    this.#pos += length;
  }

  /** Bytes that come as base64 of either alphabet, without white space. */
  base64(text: string): void {
    const length = Buffer.byteLength(text, 'base64');
    this.uint32(length);
    if (this.#pos + length > this.#buffer.length) this.#grow(length);
    this.#buffer.write(text, this.#pos, 'base64');
    this.#pos += length;
  }

  key(value: Key): void {
    const length = value.length;
    this.uint32(length);
    if (this.#pos + length > this.#buffer.length) this.#grow(length);
    this.#buffer.write(value, this.#pos, 'latin1');
    this.#pos += length;
  }

  string(value: string): void {
    const length = Buffer.byteLength(value);
    this.uint32(length);
    if (this.#pos + length > this.#buffer.length) this.#grow(length);
    this.#buffer.write(value, this.#pos, 'utf8');
    this.#pos += length;
  }

  /** Appends bytes that are already encoded. */
  raw(value: Uint8Array): void {
    if (this.#pos + value.length > this.#buffer.length) this.#grow(value.length);
    this.#buffer.set(value, this.#pos);
    this.#pos += value.length;
  }

  /** Opens a length-delimited message; `close` with the returned position writes its length. */
  open(): number {
    if (this.#pos + 1 > this.#buffer.length) this.#grow(1);
    return ++this.#pos;
  }

  close(start: number): void {
    const length = this.#pos - start;
    if (length < 0x80) {
      this.#buffer[start - 1] = length;
      return;
    }
    // The length needs more than the one byte that `open` left free: move the body up.
    let extra = 0;
    for (let rest = length >>> 7; rest > 0; rest >>>= 7) extra++;
    if (this.#pos + extra > this.#buffer.length) this.#grow(extra);
    this.#buffer.copyWithin(start + extra, start, this.#pos);
    const end = this.#pos + extra;
    this.#pos = start - 1;
    this.uint32(length);
    this.#pos = end;
  }

  #grow(need: number): void {
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#pos + need));
    this.#buffer.copy(larger, 0, 0, this.#pos);
    this.#buffer = larger;
  }
}
