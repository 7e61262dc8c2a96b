/** The message stream: each message behind its length, 8 bytes, big-endian. */

import { decodeMessage, encodeMessage } from '../codec/raftpb.ts';
import { limits } from '../limits.ts';
import type { Message } from '../raft/messages.ts';
import { ByteQueue } from './byte-queue.ts';
import type { FrameWriter } from './frame-writer.ts';
import { type FrameDecoder, type FrameEncoder, FrameError, type OnFrame } from './frames.ts';

const LENGTH_BYTES = 8;
/** A heartbeat with nothing in it but its type. */
const HEARTBEAT = Uint8Array.of(0x08, 0x08);

export class MessageEncoder implements FrameEncoder {
  encode(message: Message, frames: FrameWriter): void {
    const bytes = encodeMessage(message);
    frames.u64(bytes.length);
    frames.raw(bytes);
  }

  heartbeat(frames: FrameWriter): void {
    frames.u64(HEARTBEAT.length);
    frames.raw(HEARTBEAT);
  }
}

export class MessageDecoder implements FrameDecoder {
  readonly #queue = new ByteQueue();
  readonly #onFrame: OnFrame;
  /** `null` between two frames. */
  #length: number | null = null;

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame;
  }

  push(bytes: Buffer): void {
    const queue = this.#queue;
    queue.push(bytes);
    for (;;) {
      if (this.#length === null) {
        if (queue.available < LENGTH_BYTES) return;
        this.#length = queue.u64();
        if (this.#length > limits.peerFrameBytesMax) throw new FrameError(TOO_LONG);
      }
      if (queue.available < this.#length) return;
      const frame = queue.take(this.#length);
      this.#length = null;
      this.#onFrame(decodeMessage(frame), frame.length);
    }
  }
}

const TOO_LONG = 'rafthttp: error limit exceeded';
