/**
 * Cuts what a connection receives into frames. A frame that lies whole in a chunk is handed on in
 * place; only a frame that is spread over chunks is put together in memory of its own. So a slice
 * of a frame stays as it is for ever.
 *
 * Limit: it keeps at most one frame, of at most `FRAME_BYTES_DEFAULT`.
 */

import { EMPTY_BYTES } from '../../types.ts';
import { ConnectionError, ErrorCode, FRAME_BYTES_DEFAULT, FRAME_HEADER_BYTES } from './frames.ts';

export interface FrameSink {
  /** True once further frames are of no interest. */
  readonly closed: boolean;
  /** The payload is `chunk` from `start` to `end`. */
  onFrame(
    type: number,
    flags: number,
    streamId: number,
    chunk: Buffer,
    start: number,
    end: number,
  ): void;
}

const NOTHING = Buffer.from(EMPTY_BYTES);

export class FrameReader {
  readonly #sink: FrameSink;
  /** The beginning of a frame: as long as the frame once its header is complete. */
  #kept: Buffer = NOTHING;
  #keptBytes = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Throws `ConnectionError` when a frame is too long. */
  read(chunk: Buffer): void {
    const sink = this.#sink;
    let pos = this.#keptBytes === 0 ? 0 : this.#complete(chunk);
    while (chunk.length - pos >= FRAME_HEADER_BYTES && !sink.closed) {
      const end = pos + frameBytes(chunk, pos);
      if (end > chunk.length) break;
      emit(sink, chunk, pos, end);
      pos = end;
    }
    if (pos < chunk.length && !sink.closed) this.#keep(chunk, pos);
  }

  #keep(chunk: Buffer, pos: number): void {
    const rest = chunk.length - pos;
    this.#kept = Buffer.alloc(
      rest < FRAME_HEADER_BYTES ? FRAME_HEADER_BYTES : frameBytes(chunk, pos),
    );
    this.#keptBytes = chunk.copy(this.#kept, 0, pos);
  }

  /** Completes the kept frame; returns where the rest of the chunk begins. */
  #complete(chunk: Buffer): number {
    let pos = this.#take(chunk, 0);
    if (this.#keptBytes < this.#kept.length) return pos;
    if (this.#kept.length === FRAME_HEADER_BYTES) {
      const header = this.#kept;
      this.#kept = Buffer.alloc(frameBytes(header, 0));
      this.#keptBytes = header.copy(this.#kept);
      pos = this.#take(chunk, pos);
      if (this.#keptBytes < this.#kept.length) return pos;
    }
    const frame = this.#kept;
    this.#kept = NOTHING;
    this.#keptBytes = 0;
    emit(this.#sink, frame, 0, frame.length);
    return pos;
  }

  #take(chunk: Buffer, pos: number): number {
    const wanted = this.#kept.length - this.#keptBytes;
    const taken = chunk.copy(this.#kept, this.#keptBytes, pos, pos + wanted);
    this.#keptBytes += taken;
    return pos + taken;
  }
}

function frameBytes(buffer: Buffer, pos: number): number {
  const length = buffer.readUInt32BE(pos) >>> 8;
  if (length > FRAME_BYTES_DEFAULT) {
    throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, 'frame too large');
  }
  return FRAME_HEADER_BYTES + length;
}

function emit(sink: FrameSink, buffer: Buffer, pos: number, end: number): void {
  const type = buffer[pos + 3] ?? 0;
  const flags = buffer[pos + 4] ?? 0;
  const streamId = buffer.readUInt32BE(pos + 5) & 0x7fffffff;
  sink.onFrame(type, flags, streamId, buffer, pos + FRAME_HEADER_BYTES, end);
}
