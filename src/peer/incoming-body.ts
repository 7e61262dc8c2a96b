/**
 * The body of a request that another member sends, read piece by piece. A sender that stops in the
 * middle, without a word, is given up after as long as etcd waits for it.
 *
 * Limit: what is kept of all bodies at once, limits.peerPostsBytesMax; streamed parts do not count.
 */

import type { IncomingMessage } from 'node:http';
import { postMemory } from '../memory-budget.ts';
import type { Stop } from '../ports.ts';
import { ByteQueue } from './byte-queue.ts';
import { SOCKET_TIMEOUT_MS } from './context.ts';

export interface Ticks {
  /** Calls `check` with every tick. */
  everyTick(check: (nowMs: number) => void): Stop;
}

/** The body is longer than it may be. */
export class TooLongError extends Error {
  override readonly name = 'TooLongError';
}

export class IncomingBody {
  readonly #request: IncomingMessage;
  readonly #pieces: AsyncIterator<Buffer>;
  readonly #queue = new ByteQueue();
  readonly #stop: Stop;
  /** Since when a piece is awaited; `null`: none is. `undefined` until a tick tells the time. */
  #waitingSinceMs: number | null | undefined = null;
  /** What waits here to become whole, as far as it is counted with that of all others. */
  #keptBytes = 0;

  constructor(request: IncomingMessage, ticks: Ticks) {
    this.#request = request;
    this.#pieces = request[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    this.#stop = ticks.everyTick((nowMs) => {
      if (this.#waitingSinceMs === null) return;
      this.#waitingSinceMs ??= nowMs;
      if (nowMs - this.#waitingSinceMs >= SOCKET_TIMEOUT_MS) request.destroy(new Error(TIMEOUT));
    });
    request.once('close', () => {
      this.#stop();
      this.#keep(-this.#keptBytes);
    });
  }

  #keep(bytes: number): void {
    this.#keptBytes += bytes;
    postMemory.add(bytes);
  }

  /** Throws when all bodies together are too long. */
  #push(piece: Buffer): void {
    this.#queue.push(piece);
    if (this.#request.closed) return;
    this.#keep(piece.length);
    if (postMemory.isFull) throw new TooLongError('too many requests');
  }

  /** Exactly `count` bytes. Rejects when the body ends before. */
  async take(count: number): Promise<Buffer> {
    while (this.#queue.available < count) {
      const piece = await this.#next();
      // In Go's words: nothing at all, or less than was to come.
      if (piece === null) throw new Error(this.#queue.available === 0 ? 'EOF' : 'unexpected EOF');
      this.#push(piece);
    }
    return this.#queue.take(count);
  }

  /** The whole body. Rejects with `TooLongError` when it has more than `bytesMax`. */
  async all(bytesMax: number): Promise<Buffer> {
    for (;;) {
      const piece = await this.#next();
      if (piece === null) return this.#queue.take(this.#queue.available);
      this.#push(piece);
      if (this.#queue.available > bytesMax) throw new TooLongError('request body too large');
    }
  }

  /** What was not taken. Throws when the sender breaks off. */
  async *rest(): AsyncGenerator<Uint8Array, void, void> {
    yield* this.#queue.takeAll();
    for (let piece = await this.#next(); piece !== null; piece = await this.#next()) yield piece;
  }

  async #next(): Promise<Buffer | null> {
    this.#waitingSinceMs = undefined;
    try {
      const next = await this.#pieces.next();
      return next.done === true ? null : next.value;
    } finally {
      this.#waitingSinceMs = null;
    }
  }

  get isComplete(): boolean {
    return this.#request.complete;
  }
}

const TIMEOUT = 'i/o timeout';
