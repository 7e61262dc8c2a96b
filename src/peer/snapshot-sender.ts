/**
 * A whole state on its way to another member: one request whose body is the message that announces
 * it and behind it the bytes of the database, as fast as the other end takes them and not faster
 * than the limit.
 *
 * It ends in a bounded time: when the other end takes nothing for long, when it does not say
 * whether it has the state, or when it is called off.
 */

import type { ClientRequest, IncomingMessage } from 'node:http';
import { encodeMessage } from '../codec/raftpb.ts';
import { limits } from '../limits.ts';
import type { SnapMessage, StateImage, Stop } from '../ports.ts';
import { writeU64BE } from '../u64.ts';
import type { PeerContext } from './context.ts';
import type { Answer } from './exchange.ts';
import { requestHeaders } from './headers.ts';
import type { Ticks } from './incoming-body.ts';

const LENGTH_BYTES = 8;
const RATE_MS = 1000;

export interface Sending {
  readonly context: PeerContext;
  readonly ticks: Ticks;
  readonly url: string;
  readonly message: SnapMessage;
  readonly image: StateImage;
  readonly signal: AbortSignal;
}

/** The other end's answer. Rejects when there is none, or the image cannot be read. */
export async function postSnapshot(sending: Sending): Promise<Answer> {
  const post = new SnapshotPost(sending);
  try {
    return await post.run();
  } finally {
    post.end();
  }
}

class SnapshotPost {
  readonly #sending: Sending;
  readonly #request: ClientRequest;
  readonly #stopTicks: Stop;
  readonly #answer: Promise<Answer>;
  #fail: (error: Error) => void = () => {};
  #failure: Error | null = null;
  #isAnswered = false;
  /** Of the other end, there must be something until then. */
  #deadlineMs: number;
  /** Bytes that may still be sent, refilled as time passes. */
  #budget: number = limits.peerSnapshotBytesPerSecondMax;
  #refilledMs: number;
  /** Wakes whoever waits for room, time or the end. */
  #wake: () => void = () => {};

  constructor(sending: Sending) {
    const { context, ticks, url, signal } = sending;
    const now = context.clock.monotonic();
    this.#sending = sending;
    this.#deadlineMs = now + limits.peerSnapshotStallMsMax;
    this.#refilledMs = now;
    this.#request = context.dialer.open({
      url,
      method: 'POST',
      path: '/raft/snapshot',
      headers: { ...requestHeaders(context), 'Content-Type': 'application/octet-stream' },
      connection: 'own',
    });
    this.#answer = new Promise((resolve, reject) => {
      this.#fail = (error) => {
        this.#failure ??= error;
        this.#request.destroy();
        reject(error);
        this.#wake();
      };
      this.#request.on('response', (response) => {
        collect(
          response,
          (answer) => {
            // A refusal comes before everything was sent: the rest is of no use.
            this.#isAnswered = true;
            resolve(answer);
            this.#wake();
          },
          this.#fail,
        );
      });
    });
    // Whoever reads the image hears of it first; `run` passes it on.
    this.#answer.catch(() => {});
    this.#request.on('error', this.#fail);
    this.#request.on('close', () => this.#fail(new Error('connection closed')));
    this.#request.on('drain', () => {
      this.#deadlineMs = context.clock.monotonic() + limits.peerSnapshotStallMsMax;
      this.#wake();
    });
    this.#stopTicks = ticks.everyTick((nowMs) => this.#tick(nowMs));
    signal.addEventListener('abort', this.#abort);
    if (signal.aborted) this.#abort();
  }

  async run(): Promise<Answer> {
    const { message, image, context } = this.#sending;
    const head = encodeMessage(message);
    const length = Buffer.allocUnsafe(LENGTH_BYTES);
    writeU64BE(length, 0, head.length);
    await this.#write(Buffer.concat([length, head]));
    for await (const bytes of image.read()) {
      if (this.#isAnswered) return this.#answer;
      await this.#write(bytes);
    }
    this.#request.end();
    this.#deadlineMs = context.clock.monotonic() + limits.peerSnapshotAnswerMsMax;
    return this.#answer;
  }

  end(): void {
    this.#stopTicks();
    this.#sending.signal.removeEventListener('abort', this.#abort);
    this.#request.destroy();
  }

  #abort = (): void => this.#fail(new Error('stopped'));

  #tick(nowMs: number): void {
    if (nowMs >= this.#deadlineMs) this.#fail(new Error('i/o timeout'));
    const { peerSnapshotBytesPerSecondMax: rate } = limits;
    this.#budget = Math.min(rate, this.#budget + ((nowMs - this.#refilledMs) * rate) / RATE_MS);
    this.#refilledMs = nowMs;
    if (this.#budget > 0) this.#wake();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    while (this.#isOpen && this.#budget <= 0) {
      // Nothing is expected of the other end while nothing is sent to it.
      this.#deadlineMs = this.#sending.context.clock.monotonic() + limits.peerSnapshotStallMsMax;
      await this.#woken();
    }
    if (this.#isOpen) {
      this.#budget -= bytes.length;
      this.#request.write(bytes);
    }
    while (this.#isOpen && this.#request.writableNeedDrain) await this.#woken();
    if (this.#failure !== null && !this.#isAnswered) throw this.#failure;
  }

  get #isOpen(): boolean {
    return this.#failure === null && !this.#isAnswered;
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

function collect(
  response: IncomingMessage,
  done: (answer: Answer) => void,
  fail: (error: Error) => void,
): void {
  const pieces: Buffer[] = [];
  let bytes = 0;
  response.on('error', fail);
  response.on('data', (piece: Buffer) => {
    bytes += piece.length;
    if (bytes > limits.peerRefusalBytesMax) fail(new Error('the answer is too long'));
    else pieces.push(piece);
  });
  response.on('end', () => {
    const { statusCode: status = 0, headers } = response;
    done({ status, headers, body: Buffer.concat(pieces) });
  });
}
