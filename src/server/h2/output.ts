/**
 * What a connection sends: frames are collected in one buffer and written once when the turn that
 * produced them is over, promises included. The owner is told when the first frame comes, and
 * calls `flush` later.
 *
 * Limit: it does not refuse anything; its owner asks `pendingBytes` before it adds what can wait.
 * It knows how frames look and nothing of what they mean.
 */

import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  type ErrorCode,
  Flag,
  FRAME_BYTES_DEFAULT,
  FRAME_HEADER_BYTES,
  FrameType,
} from './frames.ts';

export const GRPC_PREFIX_BYTES = 5;
/** Holds several of the largest frames that we send. */
const BUFFER_BYTES = 65_536;
/** Below it a loop beats the call into the runtime. */
const LOOP_COPY_BYTES_MAX = 48;
const SPARE_BUFFERS_MAX = 16;

const NO_BUFFER = Buffer.alloc(0);
/** Buffers of all connections that nobody uses right now. */
const spares: Buffer[] = [];

export class Output {
  readonly #socket: Duplex;
  readonly #onFirst: () => void;
  /** A write that is finished when it returns leaves nobody who still reads the buffer. */
  readonly #writesAtOnce: boolean;
  /** `NO_BUFFER` while there is nothing to send. */
  #buffer: Buffer = NO_BUFFER;
  #length = 0;
  /** Bytes in the socket after the last write; too high once some of them have left. */
  #backlog = 0;

  constructor(socket: Duplex, onFirst: () => void) {
    this.#socket = socket;
    this.#onFirst = onFirst;
    this.#writesAtOnce = socket instanceof Socket;
  }

  /** Bytes that the network has not taken yet. */
  get pendingBytes(): number {
    return this.#backlog + this.#length;
  }

  /** The socket has taken everything. */
  drained(): void {
    this.#backlog = 0;
  }

  flush(): void {
    const buffer = this.#buffer;
    if (buffer === NO_BUFFER) return;
    const socket = this.#socket;
    const used = this.#length;
    this.#buffer = NO_BUFFER;
    this.#length = 0;
    if (used === 0 || !socket.writable) {
      release(buffer);
      return;
    }
    if (!this.#writesAtOnce || (this.#backlog > 0 && used < BUFFER_BYTES / 2)) {
      socket.write(Buffer.from(buffer.subarray(0, used)));
      release(buffer);
    } else {
      socket.write(buffer.subarray(0, used));
      if (socket.writableLength === 0) release(buffer);
    }
    this.#backlog = socket.writableLength;
  }

  /** Where `bytes` may be written; they count as written. */
  #reserve(bytes: number): number {
    if (this.#length + bytes > BUFFER_BYTES) this.flush();
    if (this.#buffer === NO_BUFFER) {
      this.#buffer = spares.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
      this.#onFirst();
    }
    const pos = this.#length;
    this.#length = pos + bytes;
    return pos;
  }

  /** Header and first four payload bytes of a frame that has no others. */
  #word(type: number, streamId: number, word: number): void {
    const pos = this.#reserve(FRAME_HEADER_BYTES + 4);
    const buffer = this.#buffer;
    putHeader(buffer, pos, 4, type, 0, streamId);
    putWord(buffer, pos + FRAME_HEADER_BYTES, word);
  }

  settings(settings: readonly (readonly [id: number, value: number])[]): void {
    const length = settings.length * 6;
    let pos = this.#reserve(FRAME_HEADER_BYTES + length);
    const buffer = this.#buffer;
    putHeader(buffer, pos, length, FrameType.SETTINGS, 0, 0);
    pos += FRAME_HEADER_BYTES;
    for (const [id, value] of settings) {
      pos = buffer.writeUInt16BE(id, pos);
      pos = buffer.writeUInt32BE(value, pos);
    }
  }

  settingsAck(): void {
    const pos = this.#reserve(FRAME_HEADER_BYTES);
    putHeader(this.#buffer, pos, 0, FrameType.SETTINGS, Flag.ACK, 0);
  }

  ping(flags: number, data: Uint8Array): void {
    const pos = this.#reserve(FRAME_HEADER_BYTES + 8);
    putHeader(this.#buffer, pos, 8, FrameType.PING, flags, 0);
    this.#buffer.set(data, pos + FRAME_HEADER_BYTES);
  }

  windowUpdate(streamId: number, increment: number): void {
    this.#word(FrameType.WINDOW_UPDATE, streamId, increment);
  }

  reset(streamId: number, code: ErrorCode): void {
    this.#word(FrameType.RST_STREAM, streamId, code);
  }

  goaway(lastStreamId: number, code: ErrorCode, debugText: string): void {
    const debug = Buffer.from(debugText, 'utf8').subarray(0, FRAME_BYTES_DEFAULT - 8);
    const length = 8 + debug.length;
    const pos = this.#reserve(FRAME_HEADER_BYTES + length);
    const buffer = this.#buffer;
    putHeader(buffer, pos, length, FrameType.GOAWAY, 0, 0);
    buffer.writeUInt32BE(lastStreamId, pos + FRAME_HEADER_BYTES);
    buffer.writeUInt32BE(code, pos + FRAME_HEADER_BYTES + 4);
    buffer.set(debug, pos + FRAME_HEADER_BYTES + 8);
  }

  /** HEADERS, with CONTINUATION where the block needs it. */
  headers(streamId: number, block: Uint8Array, endStream: boolean): void {
    let type: number = FrameType.HEADERS;
    let flags: number = endStream ? Flag.END_STREAM : 0;
    for (let start = 0; start === 0 || start < block.length; start += FRAME_BYTES_DEFAULT) {
      const end = Math.min(start + FRAME_BYTES_DEFAULT, block.length);
      if (end === block.length) flags |= Flag.END_HEADERS;
      const pos = this.#reserve(FRAME_HEADER_BYTES + end - start);
      const buffer = this.#buffer;
      putHeader(buffer, pos, end - start, type, flags, streamId);
      copy(buffer, pos + FRAME_HEADER_BYTES, block, start, end);
      type = FrameType.CONTINUATION;
      flags = 0;
    }
  }

  /**
   * One DATA frame with `bytes` of a gRPC message from `offset`, where the message counts together
   * with its prefix.
   */
  data(streamId: number, message: Uint8Array, offset: number, bytes: number): void {
    let pos = this.#reserve(FRAME_HEADER_BYTES + bytes);
    const buffer = this.#buffer;
    putHeader(buffer, pos, bytes, FrameType.DATA, 0, streamId);
    pos += FRAME_HEADER_BYTES;
    const end = offset + bytes;
    let i = offset;
    for (; i < GRPC_PREFIX_BYTES && i < end; i++) {
      buffer[pos++] = i === 0 ? 0 : (message.length >>> (8 * (4 - i))) & 0xff;
    }
    copy(buffer, pos, message, i - GRPC_PREFIX_BYTES, end - GRPC_PREFIX_BYTES);
  }
}

function release(buffer: Buffer): void {
  if (spares.length < SPARE_BUFFERS_MAX) spares.push(buffer);
}

function putHeader(
  buffer: Buffer,
  pos: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): void {
  buffer[pos] = length >>> 16;
  buffer[pos + 1] = (length >>> 8) & 0xff;
  buffer[pos + 2] = length & 0xff;
  buffer[pos + 3] = type;
  buffer[pos + 4] = flags;
  putWord(buffer, pos + 5, streamId);
}

function putWord(buffer: Buffer, pos: number, word: number): void {
  buffer[pos] = word >>> 24;
  buffer[pos + 1] = (word >>> 16) & 0xff;
  buffer[pos + 2] = (word >>> 8) & 0xff;
  buffer[pos + 3] = word & 0xff;
}

function copy(to: Buffer, pos: number, from: Uint8Array, start: number, end: number): void {
  const bytes = end - start;
  if (bytes <= LOOP_COPY_BYTES_MAX) {
    for (let i = 0; i < bytes; i++) to[pos + i] = from[start + i] ?? 0;
  } else if (start === 0 && end === from.length) {
    to.set(from, pos);
  } else {
    to.set(from.subarray(start, end), pos);
  }
}
