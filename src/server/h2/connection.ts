/**
 * One HTTP/2 connection of the server: preface, settings, streams, flow control and its end. It
 * does at once what the peer asks for, and writes once per turn.
 *
 * Invariants: a stream is in the table from its HEADERS until both sides have ended it or one has
 * reset it. Every violation of the protocol ends the connection with GOAWAY and the right code.
 * Everything a peer can make us keep is bounded (limits.h2*).
 *
 * It keeps no timer: its owner calls `tick`. It knows nothing of services.
 */

import { limits } from '../../limits.ts';
import { ConnectionMemory } from './connection-memory.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import {
  CLIENT_PREFACE,
  ConnectionError,
  ErrorCode,
  Flag,
  FRAME_BYTES_DEFAULT,
  FrameType,
  frameSizeError,
  protocolError,
  Setting,
  STREAM_ID_MAX,
  WINDOW_BYTES_DEFAULT,
  WINDOW_BYTES_MAX,
} from './frames.ts';
import { HeadDecoder } from './head-decoder.ts';
import { HeaderBlock } from './header-block.ts';
import { ResponseEncoder } from './hpack-encoder.ts';
import { IdleWatch, PingPolicy } from './keepalive.ts';
import type { Http2Connection, Http2Options, Http2Socket } from './options.ts';
import { Output } from './output.ts';
import { peerName } from './peer-name.ts';
import { RateBudget } from './rate-budget.ts';
import type { CallHead, RefusedHead } from './request-head.ts';
import { parseSettings } from './settings.ts';
import { percentEncode } from './status-text.ts';
import { Stream, type StreamHost } from './stream.ts';

export type { Http2Connection, Http2Options } from './options.ts';

/**
 * Starts to serve a connection. `head` is what was read of it already; `commonName` is the name in
 * the certificate by which the client is known, '' for none.
 */
export function serveHttp2(
  socket: Http2Socket,
  options: Http2Options,
  head: Uint8Array,
  commonName = '',
): Http2Connection {
  return new Connection(socket, options, head, commonName);
}

/** The payload of our ping between the two GOAWAYs of a graceful end. */
const DRAIN_PING = Buffer.from('drained?', 'latin1');
const ALIVE_PING = Buffer.from('alive???', 'latin1');
const STREAMS_UNLIMITED = 0xffffffff;

class Connection implements Http2Connection, StreamHost, FrameSink {
  readonly peer: string;
  readonly commonName: string;
  readonly output: Output;
  readonly encoder = new ResponseEncoder();
  readonly messageBytesMax: number;
  readonly callBufferedBytesMax: number;
  sendWindow: number = WINDOW_BYTES_DEFAULT;
  peerFrameBytesMax: number = FRAME_BYTES_DEFAULT;
  readonly memory = new ConnectionMemory();

  readonly #socket: Http2Socket;
  readonly #options: Http2Options;
  readonly #reader = new FrameReader(this);
  readonly #heads: HeadDecoder;
  readonly #pings: PingPolicy;
  readonly #idle: IdleWatch;
  readonly #faults: RateBudget;
  readonly #streamsMax: number;
  readonly #streams = new Map<number, Stream>();
  /** Streams with an answer that waits for credit or room of the connection; the first is next. */
  readonly #waiting = new Set<Stream>();
  /** Streams answered before the peer has ended its side; reset when the turn is over. */
  #answeredEarly: Stream[] = [];
  /** Bytes of the preface that were seen, and whether settings followed. */
  #prefaceBytes = 0;
  #established = false;
  #block: HeaderBlock | null = null;
  #lastStreamId = 0;
  #peerWindow: number = WINDOW_BYTES_DEFAULT;
  #receiveWindow: number = limits.h2ConnectionWindowBytes;
  #uncredited = 0;
  #deadlines = 0;
  /** Draining: the first GOAWAY is out; refusing: the last one too; closing: only bytes leave. */
  #phase: 'open' | 'draining' | 'refusing' | 'closing' | 'closed' = 'open';
  /** When the phase has lasted long enough; while 'open', when the peer must have begun. */
  #phaseEndsMs: number;
  #readingPaused = false;

  constructor(socket: Http2Socket, options: Http2Options, head: Uint8Array, commonName: string) {
    const nowMs = options.monotonic();
    this.#socket = socket;
    this.#options = options;
    this.messageBytesMax = options.messageBytesMax;
    this.callBufferedBytesMax = options.callBufferedBytesMax;
    this.peer = peerName(socket);
    this.commonName = commonName;
    this.output = new Output(socket, () => queueMicrotask(this.#flushAfterPromises));
    this.#pings = new PingPolicy(options.keepalive.minTimeMs);
    this.#idle = new IdleWatch(options.keepalive, nowMs);
    this.#streamsMax = Math.min(options.maxConcurrentStreams, limits.h2StreamsMax);
    this.#heads = new HeadDecoder(options.headerBytesMax);
    this.#faults = new RateBudget(limits.h2ResetsBurstMax, limits.h2ResetsPerSecondMax, nowMs);
    this.#phaseEndsMs = nowMs + limits.h2EstablishTimeoutMs;
    this.#greet();
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('drain', () => this.#onDrain());
    socket.on('end', () => this.destroy());
    // What went wrong with a peer's socket matters to nobody here; 'close' follows.
    socket.on('error', () => this.destroy());
    socket.on('close', () => this.#onClosed());
    socket.resume();
    if (head.length > 0) {
      this.#onData(Buffer.from(head.buffer, head.byteOffset, head.byteLength));
    }
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  goaway(): void {
    if (this.#phase !== 'open') return;
    this.#enter('draining', limits.h2DrainTimeoutMs);
    this.output.goaway(STREAM_ID_MAX, ErrorCode.NO_ERROR, 'server_stop');
    this.output.ping(0, DRAIN_PING);
  }

  destroy(): void {
    if (this.#phase === 'closed') return;
    this.#socket.destroy();
    this.#onClosed();
  }

  tick(nowMs: number): void {
    if (this.#phase === 'closing' || (this.#phase === 'open' && !this.#established)) {
      if (nowMs >= this.#phaseEndsMs) this.destroy();
      return;
    }
    if (this.#phase === 'closed') return;
    if (this.#deadlines > 0) this.#expire(nowMs);
    if (this.#phase === 'draining' && nowMs >= this.#phaseEndsMs) this.#refuseMore();
    const verdict = this.#idle.tick(nowMs);
    if (verdict === 'ping') this.output.ping(0, ALIVE_PING);
    else if (verdict === 'dead') this.destroy();
  }

  // --- for streams ---

  get congested(): boolean {
    return this.output.pendingBytes > limits.h2SendBufferBytesMax;
  }

  onAnswer(): void {
    this.#pings.answered();
  }

  awaitRoom(stream: Stream): void {
    this.#waiting.add(stream);
  }

  onFinished(stream: Stream): void {
    if (stream.remoteClosed) this.#remove(stream);
    else this.#answeredEarly.push(stream);
  }

  onReset(stream: Stream, code: ErrorCode): void {
    this.output.reset(stream.id, code);
    this.#abandon(stream);
    this.#countFault();
  }

  // --- frames ---

  get closed(): boolean {
    return this.#phase === 'closing' || this.#phase === 'closed';
  }

  onFrame(
    type: number,
    flags: number,
    streamId: number,
    chunk: Buffer,
    start: number,
    end: number,
  ): void {
    if (this.#block !== null && type !== FrameType.CONTINUATION) {
      throw protocolError('a header block must not be interrupted');
    }
    if (!this.#established && type !== FrameType.SETTINGS) {
      throw protocolError('settings must come first');
    }
    switch (type) {
      case FrameType.DATA:
        return this.#onDataFrame(flags, streamId, chunk, start, end);
      case FrameType.HEADERS:
        return this.#onHeaders(flags, streamId, chunk, start, end);
      case FrameType.PRIORITY:
        return this.#onPriority(streamId, end - start);
      case FrameType.RST_STREAM:
        return this.#onResetFrame(streamId, end - start);
      case FrameType.SETTINGS:
        return this.#onSettings(flags, streamId, chunk, start, end);
      case FrameType.PUSH_PROMISE:
        throw protocolError('a client must not push');
      case FrameType.PING:
        return this.#onPing(flags, streamId, chunk, start, end);
      case FrameType.GOAWAY:
        if (streamId !== 0) throw protocolError('GOAWAY on a stream');
        if (end - start < 8) throw frameSizeError('GOAWAY');
        return;
      case FrameType.WINDOW_UPDATE:
        return this.#onWindowUpdate(streamId, chunk, start, end);
      case FrameType.CONTINUATION:
        return this.#onContinuation(flags, streamId, chunk.subarray(start, end));
      default:
    }
  }

  #onDataFrame(flags: number, streamId: number, chunk: Buffer, start: number, end: number): void {
    if (streamId === 0) throw protocolError('DATA without a stream');
    const bytes = end - start;
    this.#receiveWindow -= bytes;
    if (this.#receiveWindow < 0) {
      throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'connection window exceeded');
    }
    // The credit of the connection does not wait for the calls, or slow ones would stop others.
    this.#uncredited += bytes;
    if (this.#uncredited >= limits.h2ConnectionWindowBytes / 2) this.#credit();
    const padding = (flags & Flag.PADDED) === 0 ? -1 : paddingBytes(chunk, start, end);
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      if (isIdle(streamId, this.#lastStreamId)) throw protocolError('DATA on an idle stream');
      return;
    }
    const last = (flags & Flag.END_STREAM) !== 0;
    if (padding < 0) stream.receive(chunk, start, end, bytes, last);
    else stream.receive(chunk, start + 1, end - padding, bytes, last);
  }

  #credit(): void {
    this.output.windowUpdate(0, this.#uncredited);
    this.#receiveWindow += this.#uncredited;
    this.#uncredited = 0;
  }

  #onHeaders(flags: number, streamId: number, chunk: Buffer, start: number, end: number): void {
    if (streamId === 0) throw protocolError('HEADERS without a stream');
    let from = start;
    let to = end;
    if ((flags & Flag.PADDED) !== 0) {
      to -= paddingBytes(chunk, start, end);
      from += 1;
    }
    if ((flags & Flag.PRIORITY) !== 0) from += 5;
    if (from > to) throw protocolError('malformed HEADERS');
    const endStream = (flags & Flag.END_STREAM) !== 0;
    if ((flags & Flag.END_HEADERS) !== 0) {
      this.#onHeaderBlock(streamId, endStream, chunk, from, to);
    } else {
      this.#block = new HeaderBlock(streamId, endStream);
      this.#block.add(chunk.subarray(from, to));
    }
  }

  #onContinuation(flags: number, streamId: number, part: Buffer): void {
    const block = this.#block;
    if (block === null || block.streamId !== streamId) {
      throw protocolError('CONTINUATION without HEADERS');
    }
    block.add(part);
    if ((flags & Flag.END_HEADERS) === 0) return;
    this.#block = null;
    const joined = block.joined();
    this.#onHeaderBlock(streamId, block.endStream, joined, 0, joined.length);
  }

  #onHeaderBlock(
    streamId: number,
    endStream: boolean,
    chunk: Buffer,
    start: number,
    end: number,
  ): void {
    const head = this.#heads.decode(chunk, start, end);
    const open = this.#streams.get(streamId);
    if (open !== undefined && endStream && !open.remoteClosed) return open.halfClose();
    if (streamId % 2 === 0 || streamId <= this.#lastStreamId) {
      throw protocolError(`received an illegal stream id: ${streamId}`);
    }
    this.#lastStreamId = streamId;
    if (this.#phase === 'refusing') return;
    if (this.#streams.size >= this.#streamsMax) {
      this.output.reset(streamId, ErrorCode.REFUSED_STREAM);
      this.#countFault();
    } else if (head.kind === 'call') {
      this.#open(streamId, head, endStream);
    } else if (head.kind === 'refused') {
      this.#refuse(streamId, head, endStream);
    } else {
      this.output.reset(streamId, head.error);
      this.#countFault();
    }
  }

  #open(streamId: number, head: CallHead, endStream: boolean): void {
    const stream = new Stream(this, streamId, head, this.#peerWindow, endStream);
    this.#streams.set(streamId, stream);
    if (head.timeoutMs !== null) {
      stream.deadlineMs = this.#options.monotonic() + head.timeoutMs;
      this.#deadlines++;
    }
    this.#options.onCall(stream);
    if (endStream) stream.halfClose();
  }

  #refuse(streamId: number, head: RefusedHead, endStream: boolean): void {
    const block = this.encoder.fields([
      [':status', String(head.httpStatus)],
      ['content-type', head.responseType],
      ['grpc-status', String(head.code)],
      ['grpc-message', percentEncode(head.message)],
    ]);
    this.onAnswer();
    this.output.headers(streamId, block, true);
    if (!endStream) this.output.reset(streamId, ErrorCode.NO_ERROR);
  }

  #onPriority(streamId: number, bytes: number): void {
    if (streamId === 0) throw protocolError('PRIORITY without a stream');
    if (bytes !== 5) throw frameSizeError('PRIORITY');
  }

  #onResetFrame(streamId: number, bytes: number): void {
    if (bytes !== 4) throw frameSizeError('RST_STREAM');
    if (isIdle(streamId, this.#lastStreamId)) throw protocolError('RST_STREAM on an idle stream');
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return;
    this.#abandon(stream);
    this.#countFault();
  }

  #onSettings(flags: number, streamId: number, chunk: Buffer, start: number, end: number): void {
    if (streamId !== 0) throw protocolError('SETTINGS on a stream');
    if ((flags & Flag.ACK) !== 0) {
      if (end > start) throw frameSizeError('SETTINGS acknowledgement');
      if (!this.#established) throw protocolError('settings must come first');
      return;
    }
    const settings = parseSettings(chunk, start, end);
    this.#established = true;
    this.#countFault();
    if (settings.headerTableBytes !== null) {
      this.encoder.setTableBytesMax(settings.headerTableBytes);
    }
    if (settings.frameBytesMax !== null) {
      // Larger frames than the default would only make calls wait for each other.
      this.peerFrameBytesMax = Math.min(settings.frameBytesMax, FRAME_BYTES_DEFAULT);
    }
    this.output.settingsAck();
    if (settings.initialWindow !== null) this.#setPeerWindow(settings.initialWindow);
  }

  /** RFC 9113, 6.9.2: windows of open streams move by the difference, and may become negative. */
  #setPeerWindow(bytes: number): void {
    const difference = bytes - this.#peerWindow;
    this.#peerWindow = bytes;
    for (const stream of this.#streams.values()) {
      stream.sendWindow += difference;
      if (stream.sendWindow > WINDOW_BYTES_MAX) {
        throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'stream window overflow');
      }
    }
    if (difference > 0) for (const stream of [...this.#streams.values()]) stream.pump();
  }

  #onPing(flags: number, streamId: number, chunk: Buffer, start: number, end: number): void {
    if (streamId !== 0) throw protocolError('PING on a stream');
    if (end - start !== 8) throw frameSizeError('PING');
    const data = chunk.subarray(start, end);
    if ((flags & Flag.ACK) !== 0) {
      if (this.#phase === 'draining' && DRAIN_PING.equals(data)) this.#refuseMore();
      return;
    }
    this.output.ping(Flag.ACK, data);
    if (!this.#pings.admit(this.#options.monotonic(), this.#streams.size)) {
      throw new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, 'too_many_pings');
    }
  }

  #onWindowUpdate(streamId: number, chunk: Buffer, start: number, end: number): void {
    if (end - start !== 4) throw frameSizeError('WINDOW_UPDATE');
    const increment = chunk.readUInt32BE(start) & WINDOW_BYTES_MAX;
    if (streamId === 0) {
      this.sendWindow += increment;
      if (increment === 0) throw protocolError('WINDOW_UPDATE of 0');
      if (this.sendWindow > WINDOW_BYTES_MAX) {
        throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'connection window overflow');
      }
      this.#pumpWaiting();
      return;
    }
    if (isIdle(streamId, this.#lastStreamId)) {
      throw protocolError('WINDOW_UPDATE on an idle stream');
    }
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return;
    stream.sendWindow += increment;
    if (increment === 0) this.onReset(stream, ErrorCode.PROTOCOL_ERROR);
    else if (stream.sendWindow > WINDOW_BYTES_MAX) {
      this.onReset(stream, ErrorCode.FLOW_CONTROL_ERROR);
    } else stream.pump();
  }

  // --- streams ---

  #remove(stream: Stream): void {
    if (!this.#streams.delete(stream.id)) return;
    this.#waiting.delete(stream);
    if (stream.timeoutMs !== null) this.#deadlines--;
    if (this.#phase === 'refusing' && this.#streams.size === 0) this.#close();
  }

  #abandon(stream: Stream): void {
    this.#remove(stream);
    stream.abandon();
  }

  #expire(nowMs: number): void {
    for (const stream of [...this.#streams.values()]) {
      if (nowMs < stream.deadlineMs) continue;
      this.output.reset(stream.id, ErrorCode.CANCEL);
      this.#abandon(stream);
    }
  }

  /** Each waiting stream in turn takes what it can. */
  #pumpWaiting(): void {
    for (const stream of this.#waiting) {
      if (this.sendWindow <= 0 || this.congested) return;
      this.#waiting.delete(stream);
      stream.pump();
    }
  }

  /** Resets and settings are cheap to send and not so cheap to obey: an excess ends it. */
  #countFault(): void {
    if (this.closed || this.#faults.take(this.#options.monotonic())) return;
    this.#fail(ErrorCode.ENHANCE_YOUR_CALM, 'too many resets');
  }

  // --- socket ---

  #greet(): void {
    const { maxConcurrentStreams, headerBytesMax } = this.#options;
    const settings: [number, number][] = [
      [Setting.INITIAL_WINDOW_SIZE, limits.h2StreamWindowBytes],
      [Setting.MAX_HEADER_LIST_SIZE, headerBytesMax],
    ];
    if (maxConcurrentStreams < STREAMS_UNLIMITED) {
      settings.push([Setting.MAX_CONCURRENT_STREAMS, maxConcurrentStreams]);
    }
    this.output.settings(settings);
    this.output.windowUpdate(0, limits.h2ConnectionWindowBytes - WINDOW_BYTES_DEFAULT);
  }

  #onData(chunk: Buffer): void {
    if (this.closed) return;
    this.#idle.heard();
    try {
      const rest = this.#prefaceBytes < CLIENT_PREFACE.length ? this.#readPreface(chunk) : chunk;
      if (rest.length > 0) this.#reader.read(rest);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      this.#fail(error.code, error.message);
    }
    if (this.output.pendingBytes > limits.h2UnreadBytesMax) this.#pauseReading();
  }

  /** Takes the preface off; what follows it may be in the same chunk. */
  #readPreface(chunk: Buffer): Buffer {
    const bytes = Math.min(chunk.length, CLIENT_PREFACE.length - this.#prefaceBytes);
    const from = this.#prefaceBytes;
    this.#prefaceBytes += bytes;
    if (chunk.compare(CLIENT_PREFACE, from, this.#prefaceBytes, 0, bytes) !== 0) {
      throw protocolError('bad preface');
    }
    return chunk.subarray(bytes);
  }

  /** A peer that does not read gets no more done: everything it asks for would have to be kept. */
  #pauseReading(): void {
    this.#flush();
    if (this.#readingPaused || this.output.pendingBytes <= limits.h2UnreadBytesMax) return;
    this.#readingPaused = true;
    this.#socket.pause();
  }

  #onDrain(): void {
    this.output.drained();
    if (this.#readingPaused) {
      this.#readingPaused = false;
      this.#socket.resume();
    }
    this.#pumpWaiting();
  }

  /** Promises that are settled already may answer too before the buffer leaves. */
  readonly #flushAfterPromises = (): void => {
    process.nextTick(this.#flush);
  };

  readonly #flush = (): void => {
    if (this.#answeredEarly.length > 0) this.#resetAnswered();
    this.output.flush();
  };

  /** etcd: a call that is over takes no more from its client. */
  #resetAnswered(): void {
    const streams = this.#answeredEarly;
    this.#answeredEarly = [];
    for (const stream of streams) {
      if (this.#streams.get(stream.id) !== stream) continue;
      if (!stream.remoteClosed) this.output.reset(stream.id, ErrorCode.NO_ERROR);
      this.#remove(stream);
    }
  }

  // --- the end ---

  #refuseMore(): void {
    this.#phase = 'refusing';
    this.output.goaway(this.#lastStreamId, ErrorCode.NO_ERROR, 'server_stop');
    if (this.#streams.size === 0) this.#close();
  }

  #fail(code: ErrorCode, text: string): void {
    if (this.closed) return;
    this.output.goaway(this.#lastStreamId, code, text);
    this.#close();
  }

  /** Sends what is there and then ends; what still arrives is thrown away. */
  #close(): void {
    this.#enter('closing', limits.h2LingerMs);
    this.#abandonAll();
    this.#flush();
    this.#socket.end();
    if (this.#readingPaused) this.#socket.resume();
  }

  #abandonAll(): void {
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    this.#waiting.clear();
    this.#answeredEarly = [];
    this.#deadlines = 0;
    for (const stream of streams) stream.abandon();
  }

  #enter(phase: 'draining' | 'closing', lastsMs: number): void {
    this.#phase = phase;
    this.#phaseEndsMs = this.#options.monotonic() + lastsMs;
  }

  #onClosed(): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#abandonAll();
    this.memory.close();
    this.#options.onClose(this);
  }
}

/** A client's streams are odd, and open in ascending order. */
function isIdle(streamId: number, lastStreamId: number): boolean {
  return streamId === 0 || streamId % 2 === 0 || streamId > lastStreamId;
}

/** Padding at the end of a frame, without its length byte at the start. */
function paddingBytes(chunk: Buffer, start: number, end: number): number {
  const padding = chunk[start] ?? 0;
  if (start + 1 + padding > end) throw protocolError('padding beyond the frame');
  return padding;
}
