/**
 * One call on its stream: request bytes to messages, answers to frames within the flow control of
 * stream and connection. What the network does not take yet waits here, and `bufferedBytes` says
 * how much.
 *
 * Invariant: `onCancel` is called at most once, and never once the answer is complete.
 * It does not parse frames and does not know which other streams exist.
 */

import { assert } from '../../assert.ts';
import { Code } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { ConnectionMemory } from './connection-memory.ts';
import { ErrorCode } from './frames.ts';
import type { GrpcCall, Metadata } from './grpc-call.ts';
import type { ResponseEncoder } from './hpack-encoder.ts';
import { MessageReader, type MessageSink } from './message-reader.ts';
import { GRPC_PREFIX_BYTES, type Output } from './output.ts';
import { type CallHead, CONTENT_TYPE } from './request-head.ts';
import { percentEncode } from './status-text.ts';

/** What a stream needs of its connection. */
export interface StreamHost {
  readonly output: Output;
  readonly encoder: ResponseEncoder;
  readonly peer: string;
  readonly commonName: string;
  readonly messageBytesMax: number;
  readonly callBufferedBytesMax: number;
  /** The peer's credit for all streams; streams take from it. */
  sendWindow: number;
  readonly peerFrameBytesMax: number;
  /** True while the socket has enough to send. */
  readonly congested: boolean;
  /** Headers or data go out. */
  onAnswer(): void;
  /** Calls `pump` when the connection takes more again. */
  awaitRoom(stream: Stream): void;
  /** What the streams keep; they tell it what they take and give back. */
  readonly memory: ConnectionMemory;
  /** The answer is complete. */
  onFinished(stream: Stream): void;
  /** The stream ends at once. */
  onReset(stream: Stream, code: ErrorCode): void;
}

function ignore(): void {}

export class Stream implements GrpcCall, MessageSink {
  readonly id: number;
  readonly path: string;
  readonly metadata: Metadata;
  readonly timeoutMs: number | null;
  truncatedCode: Code = Code.INTERNAL;
  onMessage: (message: Uint8Array) => void = ignore;
  onHalfClose: () => void = ignore;
  onCancel: () => void = ignore;
  onDrain: () => void = ignore;

  /** Monotonic time at which the call is cancelled. */
  deadlineMs = Number.POSITIVE_INFINITY;
  /** The peer has said that it sends no more. */
  remoteClosed: boolean;
  sendWindow: number;

  readonly #host: StreamHost;
  readonly #responseType: string;
  readonly #reader: MessageReader;
  #receiveWindow: number = limits.h2StreamWindowBytes;
  /** What the reader holds, as far as it is counted in the host. */
  #assemblyBytes = 0;
  /** Received and not yet given back as credit. */
  #uncredited = 0;
  #paused = false;
  #cancelled = false;
  #headersSent = false;
  /** What `end` or `reply` asked for; sent once the queue is empty. */
  #status: { readonly code: Code; readonly message: string } | null = null;
  #finished = false;
  /** Messages that wait, of which the first is sent up to `#sent`, its prefix included. */
  #queue: Uint8Array[] = [];
  #sent = 0;
  #bufferedBytes = 0;

  constructor(
    host: StreamHost,
    id: number,
    head: CallHead,
    sendWindow: number,
    remoteClosed: boolean,
  ) {
    this.#host = host;
    this.id = id;
    this.path = head.path;
    this.metadata = head.metadata;
    this.timeoutMs = head.timeoutMs;
    this.#responseType = head.responseType;
    this.#reader = new MessageReader(host.messageBytesMax, head.encoding);
    this.sendWindow = sendWindow;
    this.remoteClosed = remoteClosed;
  }

  get peer(): string {
    return this.#host.peer;
  }

  get commonName(): string {
    return this.#host.commonName;
  }

  get cancelled(): boolean {
    return this.#cancelled;
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** No request message is of interest any more. */
  get closed(): boolean {
    return this.#status !== null || this.#cancelled;
  }

  // --- request ---

  /** `bytes` is the whole payload with its padding, which counts for flow control. */
  receive(chunk: Buffer, start: number, end: number, bytes: number, last: boolean): void {
    if (this.remoteClosed) {
      this.#host.onReset(this, ErrorCode.STREAM_CLOSED);
      return;
    }
    this.#receiveWindow -= bytes;
    if (this.#receiveWindow < 0) {
      this.#host.onReset(this, ErrorCode.FLOW_CONTROL_ERROR);
      return;
    }
    this.#uncredited += bytes;
    // Before the messages, so that an answer given at once is the end of the stream.
    if (last) this.remoteClosed = true;
    if (!this.closed) {
      this.#reader.read(chunk, start, end, this);
      if (this.#reader.keptCapacity !== this.#assemblyBytes) this.#accountAssembly();
    }
    if (last) this.halfClose();
    else this.#credit();
  }

  halfClose(): void {
    this.remoteClosed = true;
    if (this.closed) return;
    if (this.#reader.insideMessage) this.onBadMessage(this.truncatedCode, 'unexpected EOF');
    else this.onHalfClose();
  }

  onBytes(message: Uint8Array): void {
    this.onMessage(message);
  }

  /** etcd: the status is sent at once, whatever the handler does. */
  onBadMessage(code: Code, text: string): void {
    if (this.closed) return;
    this.end(code, text);
    this.#cancelled = true;
    this.#dropRequest();
    this.onCancel();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#credit();
  }

  #credit(): void {
    if (this.#paused || this.remoteClosed || this.closed) return;
    if (this.#uncredited < limits.h2StreamWindowBytes / 2) return;
    this.#host.output.windowUpdate(this.id, this.#uncredited);
    this.#receiveWindow += this.#uncredited;
    this.#uncredited = 0;
  }

  // --- answer ---

  send(message: Uint8Array): boolean {
    if (this.#cancelled) return false;
    assert(this.#status === null, 'nothing is sent after the end of a call');
    this.#sendHeaders();
    if (this.#queue.length === 0 && this.#fits(message.length + GRPC_PREFIX_BYTES)) {
      this.#sendWhole(message);
      return true;
    }
    if (this.#host.memory.answersFull) {
      this.#host.onReset(this, ErrorCode.ENHANCE_YOUR_CALM);
      return false;
    }
    this.#queue.push(message);
    this.#buffered(message.length + GRPC_PREFIX_BYTES);
    this.#sendQueued();
    return this.#bufferedBytes <= this.#host.callBufferedBytesMax;
  }

  reply(message: Uint8Array): void {
    this.send(message);
    this.end(Code.OK, '');
  }

  end(code: Code, message: string): void {
    if (this.#cancelled) return;
    assert(this.#status === null, 'a call ends once');
    this.#status = code === Code.OK && message === '' ? SUCCESS : { code, message };
    this.#dropRequest();
    if (this.#queue.length === 0) this.#finish(this.#status);
  }

  /** Sends what fits now. */
  pump(): void {
    if (this.#queue.length === 0 || this.#finished) return;
    this.#sendQueued();
    if (this.#queue.length > 0) return;
    if (this.#status !== null) this.#finish(this.#status);
    else this.onDrain();
  }

  get pending(): boolean {
    return this.#queue.length > 0;
  }

  /** The stream is gone: by reset, deadline or the end of the connection. */
  abandon(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#queue = [];
    this.#buffered(-this.#bufferedBytes);
    this.#dropRequest();
    if (this.#status !== null || this.#cancelled) return;
    this.#cancelled = true;
    this.onCancel();
  }

  #dropRequest(): void {
    if (this.#assemblyBytes === 0) return;
    this.#reader.clear();
    this.#accountAssembly();
  }

  #accountAssembly(): void {
    const { memory } = this.#host;
    const bytes = this.#reader.keptCapacity;
    memory.addRequest(bytes - this.#assemblyBytes);
    this.#assemblyBytes = bytes;
    if (bytes > 0 && memory.requestsFull) {
      this.onBadMessage(Code.RESOURCE_EXHAUSTED, 'grpc: too many incomplete messages');
    }
  }

  #fits(bytes: number): boolean {
    const host = this.#host;
    return bytes <= this.sendWindow && bytes <= host.sendWindow && !host.congested;
  }

  #sendWhole(message: Uint8Array): void {
    const total = message.length + GRPC_PREFIX_BYTES;
    const host = this.#host;
    for (let offset = 0; offset < total; offset += host.peerFrameBytesMax) {
      const bytes = Math.min(total - offset, host.peerFrameBytesMax);
      host.output.data(this.id, message, offset, bytes);
    }
    this.sendWindow -= total;
    host.sendWindow -= total;
  }

  #sendQueued(): void {
    const host = this.#host;
    let done = 0;
    while (done < this.#queue.length) {
      const message = this.#queue[done];
      if (message === undefined || this.sendWindow <= 0) break;
      if (host.sendWindow <= 0 || host.congested) {
        host.awaitRoom(this);
        break;
      }
      const left = message.length + GRPC_PREFIX_BYTES - this.#sent;
      const bytes = Math.min(left, this.sendWindow, host.sendWindow, host.peerFrameBytesMax);
      host.output.data(this.id, message, this.#sent, bytes);
      host.onAnswer();
      this.sendWindow -= bytes;
      host.sendWindow -= bytes;
      this.#buffered(-bytes);
      this.#sent += bytes;
      if (bytes === left) {
        this.#sent = 0;
        done++;
      }
    }
    if (done > 0) this.#queue.splice(0, done);
  }

  #buffered(bytes: number): void {
    this.#bufferedBytes += bytes;
    this.#host.memory.addAnswer(bytes);
  }

  #sendHeaders(): void {
    this.#host.onAnswer();
    if (this.#headersSent) return;
    this.#headersSent = true;
    const { encoder, output } = this.#host;
    const block =
      this.#responseType === CONTENT_TYPE
        ? encoder.headers()
        : encoder.fields([STATUS_200, ['content-type', this.#responseType]]);
    output.headers(this.id, block, false);
  }

  #finish({ code, message }: { readonly code: Code; readonly message: string }): void {
    const { encoder, output } = this.#host;
    this.#host.onAnswer();
    if (this.#headersSent && code === Code.OK && message === '') {
      output.headers(this.id, encoder.success(), true);
    } else {
      const trailers: [string, string][] = [
        ['grpc-status', String(code)],
        ['grpc-message', percentEncode(message)],
      ];
      if (!this.#headersSent) trailers.unshift(STATUS_200, ['content-type', this.#responseType]);
      output.headers(this.id, encoder.fields(trailers), true);
    }
    this.#finished = true;
    this.#host.onFinished(this);
  }
}

const SUCCESS = { code: Code.OK, message: '' };
const STATUS_200: [string, string] = [':status', '200'];
