/**
 * Cuts the request bytes of one call into gRPC messages and decompresses them. A message inside one
 * frame is handed on as a slice; one that is spread over frames is put together.
 *
 * Limit: a message has at most `messageBytesMax`, and memory grows with what has arrived, not with
 * what was announced.
 */

import { gunzipSync } from 'node:zlib';
import { Code } from '../../errors.ts';
import { EMPTY_BYTES } from '../../types.ts';

export interface MessageSink {
  readonly closed: boolean;
  onBytes(message: Uint8Array): void;
  onBadMessage(code: Code, text: string): void;
}

const PREFIX_BYTES = 5;
const GZIP_HEADER_BYTES = 10;
const FIRST_ALLOCATION_BYTES = 32_768;

export class MessageReader {
  readonly #bytesMax: number;
  readonly #encoding: string;
  /** Prefix and message as far as they are here; the prefix tells how long they get. */
  #kept: Buffer | null = null;
  #keptBytes = 0;

  constructor(bytesMax: number, encoding: string) {
    this.#bytesMax = bytesMax;
    this.#encoding = encoding;
  }

  /** Memory in use. */
  get keptCapacity(): number {
    return this.#kept === null ? 0 : this.#kept.length;
  }

  /** A message has begun and is not complete; etcd: a part of a prefix does not count. */
  get insideMessage(): boolean {
    return this.#keptBytes >= PREFIX_BYTES;
  }

  clear(): void {
    this.#kept = null;
    this.#keptBytes = 0;
  }

  read(chunk: Buffer, start: number, end: number, sink: MessageSink): void {
    let pos = start;
    if (this.#kept !== null) {
      pos = this.#complete(chunk, start, end, sink);
      if (this.#kept !== null) return;
    }
    while (end - pos >= PREFIX_BYTES && !sink.closed) {
      const length = chunk.readUInt32BE(pos + 1);
      if (!this.#admit(length, sink)) return;
      const next = pos + PREFIX_BYTES + length;
      if (next > end) break;
      this.#emit(chunk[pos] ?? 0, chunk, pos + PREFIX_BYTES, next, sink);
      pos = next;
    }
    if (pos < end && !sink.closed) this.#keep(chunk, pos, end);
  }

  #admit(length: number, sink: MessageSink): boolean {
    if (length <= this.#bytesMax) return true;
    sink.onBadMessage(
      Code.RESOURCE_EXHAUSTED,
      `grpc: received message larger than max (${length} vs. ${this.#bytesMax})`,
    );
    return false;
  }

  #keep(chunk: Buffer, pos: number, end: number): void {
    const total = end - pos < PREFIX_BYTES ? PREFIX_BYTES : messageEnd(chunk, pos) - pos;
    this.#kept = Buffer.allocUnsafe(Math.min(total, Math.max(end - pos, FIRST_ALLOCATION_BYTES)));
    this.#keptBytes = chunk.copy(this.#kept, 0, pos, end);
  }

  /** Completes the kept message; returns where the rest begins. */
  #complete(chunk: Buffer, start: number, end: number, sink: MessageSink): number {
    let pos = start;
    if (this.#keptBytes < PREFIX_BYTES) {
      pos = this.#take(chunk, pos, end, PREFIX_BYTES);
      if (this.#keptBytes < PREFIX_BYTES || this.#kept === null) return pos;
      if (!this.#admit(this.#kept.readUInt32BE(1), sink)) {
        this.clear();
        return end;
      }
    }
    if (this.#kept === null) return pos;
    const total = messageEnd(this.#kept, 0);
    pos = this.#take(chunk, pos, end, total);
    if (this.#keptBytes < total) return pos;
    const message = this.#kept;
    this.clear();
    this.#emit(message[0] ?? 0, message, PREFIX_BYTES, total, sink);
    return pos;
  }

  /** Moves bytes into the kept message until it has `total` or the chunk is used up. */
  #take(chunk: Buffer, pos: number, end: number, total: number): number {
    const bytes = Math.min(end - pos, total - this.#keptBytes);
    const wanted = this.#keptBytes + bytes;
    if (this.#kept === null || wanted > this.#kept.length) {
      const grown = Buffer.allocUnsafe(
        Math.min(total, Math.max(wanted, 2 * this.#keptBytes, FIRST_ALLOCATION_BYTES)),
      );
      this.#kept?.copy(grown, 0, 0, this.#keptBytes);
      this.#kept = grown;
    }
    chunk.copy(this.#kept, this.#keptBytes, pos, pos + bytes);
    this.#keptBytes = wanted;
    return pos + bytes;
  }

  #emit(format: number, buffer: Buffer, start: number, end: number, sink: MessageSink): void {
    if (format === 0) {
      sink.onBytes(start === end ? EMPTY_BYTES : buffer.subarray(start, end));
    } else if (format !== 1) {
      sink.onBadMessage(Code.INTERNAL, `grpc: received unexpected payload format ${format}`);
    } else if (this.#encoding === '' || this.#encoding === 'identity') {
      sink.onBadMessage(Code.INTERNAL, 'grpc: compressed flag set with identity or empty encoding');
    } else {
      this.#decompress(buffer.subarray(start, end), sink);
    }
  }

  #decompress(bytes: Buffer, sink: MessageSink): void {
    const opened = 'grpc: failed to decompress the message:';
    if (bytes.length < GZIP_HEADER_BYTES) {
      sink.onBadMessage(Code.INTERNAL, `${opened} unexpected EOF`);
    } else if (bytes.readUInt16BE(0) !== 0x1f8b || bytes[2] !== 8) {
      sink.onBadMessage(Code.INTERNAL, `${opened} gzip: invalid header`);
    } else {
      let message: Buffer;
      try {
        message = gunzipSync(bytes, { maxOutputLength: this.#bytesMax });
      } catch (error) {
        this.#refuse(error, sink);
        return;
      }
      sink.onBytes(message);
    }
  }

  #refuse(error: unknown, sink: MessageSink): void {
    if (error instanceof RangeError) {
      sink.onBadMessage(
        Code.RESOURCE_EXHAUSTED,
        `grpc: received message after decompression larger than max ${this.#bytesMax}`,
      );
    } else {
      sink.onBadMessage(Code.INTERNAL, 'grpc: failed to read decompressed data: unexpected EOF');
    }
  }
}

function messageEnd(buffer: Buffer, pos: number): number {
  return pos + PREFIX_BYTES + buffer.readUInt32BE(pos + 1);
}
