// A gRPC client over hand-framed HTTP/2 on node:net or node:tls. It exists to load a server at less
// cost than the server's own: header blocks are encoded once, requests of one turn leave in one
// write, and answers are looked at in place in the one read buffer that all sockets share.
// Invariant: bytes handed to onMessage are valid only during that call.
// Invariant: flow control is obeyed in both directions; a frame that this client cannot handle
// fails the connection, because a load that skips what it does not understand measures nothing.
// It refuses to know which messages it carries.

import { connect } from 'node:net';
import { connect as connectSecurely } from 'node:tls';
import {
  ACK,
  DATA,
  END_HEADERS,
  END_STREAM,
  FRAME_HEADER_BYTES,
  FrameWriter,
  GOAWAY,
  GRPC_PREFIX_BYTES,
  HEADERS,
  PADDED,
  PING,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from './frame-writer.mjs';
import { HpackDecoder, HpackEncoder } from './hpack.mjs';

const WINDOW_DEFAULT = 65_535;
const WINDOW_MAX = 2 ** 31 - 1;
const CREDIT_AFTER_BYTES = 2 ** 30;
const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;
const BLOCKED_CALLS_MAX = 100_000;
const OPEN_TIMEOUT_MS = 10_000;

const SETTING_HEADER_TABLE_SIZE = 1;
const SETTING_ENABLE_PUSH = 2;
const SETTING_MAX_CONCURRENT_STREAMS = 3;
const SETTING_INITIAL_WINDOW_SIZE = 4;

const GRPC_OK = 0;
const GRPC_UNKNOWN = 2;

const NOTHING = Buffer.alloc(0);
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

const FRAME_BYTES_MAX = 16_384;

// libuv reads one socket at a time and calls back before the next read, so one buffer serves all
// sockets. The room before the read area takes the cut-off frame of the read before, which makes
// every frame contiguous without copying what was just read.
const HEAD_BYTES = FRAME_HEADER_BYTES + FRAME_BYTES_MAX;
const BUFFER = Buffer.allocUnsafeSlow(HEAD_BYTES + 256 * 1024);
const READ_AREA = BUFFER.subarray(HEAD_BYTES);

/** One stream. A unary slot reuses its Call for request after request. */
export class Call {
  streamId = 0;
  status = GRPC_UNKNOWN;
  statusMessage = '';
  httpStatus = '';
  messages = 0;
  sendWindow = 0;
  received = 0;
  /** A message of which only the first part has arrived: its bytes so far, and how many in all. */
  scratch = NOTHING;
  gathered = 0;
  wanted = 0;

  /**
   * @param {(buffer: Buffer, start: number, end: number) => void} onMessage
   * @param {() => void} onEnd called once the server has ended the stream; see `status`
   */
  constructor(onMessage, onEnd) {
    this.onMessage = onMessage;
    this.onEnd = onEnd;
  }
}

/**
 * PEM: whom to trust, and who this client is.
 * @typedef {{ ca: string, cert: string, key: string }} Credentials
 * `token` is sent with each request.
 * @typedef {{ tls?: Credentials | undefined, token?: string | undefined }} Security
 */

export class Http2Connection {
  /** @type {import('node:net').Socket} */
  #socket;
  #decoder = new HpackDecoder();
  #encoder = new HpackEncoder();
  /** @type {Map<string, { block: Buffer, insertions: number }>} */
  #blocks = new Map();
  /** @type {Map<number, Call>} */
  #calls = new Map();
  /** @type {{ call: Call, message: Uint8Array, path: string, end: boolean }[]} */
  #blocked = [];
  #nextStreamId = 1;
  #sendWindow = WINDOW_DEFAULT;
  #initialWindow = WINDOW_DEFAULT;
  #streamsMax = Number.POSITIVE_INFINITY;
  #received = 0;
  #out = new FrameWriter();
  #flushing = false;
  #rest = NOTHING;
  #authority;
  #scheme;
  #token;
  #closed = false;
  /** @type {Call | null} */
  #current = null;
  /** @type {() => void} */
  #onReady = () => {};
  /** @type {(error: Error) => void} */
  #onFailure;

  /**
   * Resolves when the server's SETTINGS have arrived.
   * @param {{ host: string, port: number, onFailure: (error: Error) => void,
   *   timeoutMs?: number } & Security} options
   * @returns {Promise<Http2Connection>}
   */
  static open({ host, port, onFailure, timeoutMs = OPEN_TIMEOUT_MS, ...security }) {
    return new Promise((resolve, reject) => {
      let opened = false;
      const failed = (/** @type {Error} */ error) => {
        clearTimeout(timer);
        if (opened) onFailure(error);
        else reject(error);
      };
      const connection = new Http2Connection(host, port, failed, security);
      const timer = setTimeout(
        () => connection.#fail(new Error(`${host}:${port}: no SETTINGS in ${timeoutMs} ms`)),
        timeoutMs,
      );
      connection.#onReady = () => {
        clearTimeout(timer);
        opened = true;
        resolve(connection);
      };
    });
  }

  /**
   * @param {string} host
   * @param {number} port
   * @param {(error: Error) => void} onFailure
   * @param {Security} security
   */
  constructor(host, port, onFailure, { tls, token }) {
    this.#authority = `${host}:${port}`;
    this.#onFailure = onFailure;
    this.#scheme = tls === undefined ? 'http' : 'https';
    this.#token = token;
    const options = {
      host,
      port,
      noDelay: true,
      onread: {
        buffer: READ_AREA,
        callback: (/** @type {number} */ length) => {
          this.#onBytes(length);
          return true;
        },
      },
    };
    this.#socket =
      tls === undefined
        ? connect(options)
        : connectSecurely({ ...options, ...tls, ALPNProtocols: ['h2'] }).setNoDelay(true);
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error('connection closed by the server')));
    this.#out.raw(PREFACE);
    this.#out.settings([
      [SETTING_ENABLE_PUSH, 0],
      [SETTING_INITIAL_WINDOW_SIZE, WINDOW_MAX],
    ]);
    this.#out.windowUpdate(0, WINDOW_MAX - WINDOW_DEFAULT);
    this.#flushSoon();
  }

  /**
   * Sends a whole request; one message and the status come back through the call.
   * @param {Call} call
   * @param {string} path
   * @param {Uint8Array} message
   */
  unary(call, path, message) {
    if (this.#mayOpen(message.length)) this.#start(call, path, message, true);
    else this.#block({ call, path, message, end: true });
  }

  /**
   * Opens a stream and leaves it open.
   * @param {Call} call
   * @param {string} path
   * @param {Uint8Array} message
   */
  stream(call, path, message) {
    if (this.#mayOpen(message.length)) this.#start(call, path, message, false);
    else this.#block({ call, path, message, end: false });
  }

  /**
   * One more message on an open stream.
   * @param {Call} call
   * @param {Uint8Array} message
   */
  send(call, message) {
    const bytes = message.length + GRPC_PREFIX_BYTES;
    // Streams here keep few small messages in flight, so a full window is a fault, not a wait.
    if (bytes > this.#sendWindow || bytes > call.sendWindow) {
      this.#fail(new Error('stream send window exhausted'));
      return;
    }
    this.#data(call, message, false);
    this.#flushSoon();
  }

  close() {
    this.#closed = true;
    this.#socket.destroy();
  }

  /** @param {number} messageBytes */
  #mayOpen(messageBytes) {
    const bytes = messageBytes + GRPC_PREFIX_BYTES;
    return (
      this.#blocked.length === 0 &&
      bytes <= this.#sendWindow &&
      bytes <= this.#initialWindow &&
      this.#calls.size < this.#streamsMax
    );
  }

  /** @param {{ call: Call, message: Uint8Array, path: string, end: boolean }} request */
  #block(request) {
    if (this.#blocked.length >= BLOCKED_CALLS_MAX) this.#fail(new Error('too many blocked calls'));
    this.#blocked.push({ ...request, message: Uint8Array.from(request.message) });
  }

  #unblock() {
    while (this.#blocked.length > 0) {
      const waiting = this.#blocked;
      this.#blocked = [];
      const [first, ...others] = waiting;
      if (!this.#mayOpen(first.message.length)) {
        this.#blocked = waiting;
        return;
      }
      this.#start(first.call, first.path, first.message, first.end);
      this.#blocked = others;
    }
  }

  /**
   * @param {Call} call
   * @param {string} path
   * @param {Uint8Array} message
   * @param {boolean} end
   */
  #start(call, path, message, end) {
    const streamId = this.#nextStreamId;
    this.#nextStreamId += 2;
    if (streamId > WINDOW_MAX) {
      this.#fail(new Error('stream ids used up'));
      return;
    }
    call.streamId = streamId;
    call.status = GRPC_UNKNOWN;
    call.statusMessage = '';
    call.httpStatus = '';
    call.messages = 0;
    call.received = 0;
    call.gathered = 0;
    call.sendWindow = this.#initialWindow;
    this.#calls.set(streamId, call);
    const block = this.#headerBlock(path);
    this.#out.frame(HEADERS, END_HEADERS, streamId, block);
    this.#data(call, message, end);
    this.#flushSoon();
  }

  /** @param {string} path */
  #headerBlock(path) {
    const known = this.#blocks.get(path);
    if (known !== undefined && known.insertions === this.#encoder.insertions) return known.block;
    const before = this.#encoder.insertions;
    const block = this.#encoder.encode([
      [':method', 'POST'],
      [':scheme', this.#scheme],
      [':path', path],
      [':authority', this.#authority],
      ['content-type', 'application/grpc'],
      ['user-agent', 'etcd-bench'],
      ['te', 'trailers'],
      ...(this.#token === undefined ? [] : [/** @type {const} */ (['token', this.#token])]),
    ]);
    // A block that adds entries is for one use; the next block names those entries by index.
    if (this.#encoder.insertions === before) this.#blocks.set(path, { block, insertions: before });
    return block;
  }

  /**
   * @param {Call} call
   * @param {Uint8Array} message
   * @param {boolean} end
   */
  #data(call, message, end) {
    const bytes = message.length + GRPC_PREFIX_BYTES;
    this.#sendWindow -= bytes;
    call.sendWindow -= bytes;
    this.#out.message(end ? END_STREAM : 0, call.streamId, message);
  }

  #flushSoon() {
    if (this.#flushing) return;
    this.#flushing = true;
    process.nextTick(() => this.#flush());
  }

  #flush() {
    this.#flushing = false;
    if (this.#out.length === 0 || this.#closed) return;
    this.#socket.write(this.#out.take());
  }

  /** @param {Error} error */
  #fail(error) {
    if (this.#closed) return;
    this.close();
    this.#onFailure(error);
  }

  /** @param {number} length */
  #onBytes(length) {
    if (this.#closed) return;
    const end = HEAD_BYTES + length;
    let position = HEAD_BYTES - this.#rest.length;
    this.#rest.copy(BUFFER, position);
    // While frames are handled every request they cause is gathered; they leave together.
    this.#flushing = true;
    try {
      position = this.#frames(BUFFER, position, end);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    this.#rest = position === end ? NOTHING : Buffer.from(BUFFER.subarray(position, end));
    this.#flush();
  }

  /**
   * Handles the complete frames and returns where the incomplete one starts.
   * @param {Buffer} buffer
   * @param {number} start
   * @param {number} end
   */
  #frames(buffer, start, end) {
    let position = start;
    while (end - position >= FRAME_HEADER_BYTES && !this.#closed) {
      const length = (buffer[position] << 16) | (buffer[position + 1] << 8) | buffer[position + 2];
      if (length > FRAME_BYTES_MAX) throw new Error(`frame of ${length} bytes`);
      const payload = position + FRAME_HEADER_BYTES;
      if (end - payload < length) break;
      const flags = buffer[position + 4];
      const streamId = buffer.readUInt32BE(position + 5) & WINDOW_MAX;
      this.#frame(buffer, buffer[position + 3], flags, streamId, payload, payload + length);
      position = payload + length;
    }
    return position;
  }

  /**
   * @param {Buffer} buffer
   * @param {number} type
   * @param {number} flags
   * @param {number} streamId
   * @param {number} start
   * @param {number} end
   */
  #frame(buffer, type, flags, streamId, start, end) {
    switch (type) {
      case DATA:
        return this.#onData(buffer, flags, streamId, start, end);
      case HEADERS:
        return this.#onHeaders(buffer, flags, streamId, start, end);
      case SETTINGS:
        return this.#onSettings(buffer, flags, start, end);
      case PING:
        return this.#onPing(buffer, flags, start, end);
      case WINDOW_UPDATE:
        return this.#onWindowUpdate(buffer.readUInt32BE(start), streamId);
      case RST_STREAM: {
        const call = this.#calls.get(streamId);
        if (call === undefined) return;
        call.statusMessage = `stream reset, code ${buffer.readUInt32BE(start)}`;
        call.status = GRPC_UNKNOWN;
        return this.#end(call);
      }
      case GOAWAY:
        throw new Error(`GOAWAY, code ${buffer.readUInt32BE(start + 4)}`);
      default:
        throw new Error(`unexpected frame type ${type}`);
    }
  }

  /**
   * @param {Buffer} buffer
   * @param {number} flags
   * @param {number} streamId
   * @param {number} start
   * @param {number} end
   */
  #onData(buffer, flags, streamId, start, end) {
    if ((flags & PADDED) !== 0) throw new Error('padded DATA');
    this.#received += end - start;
    if (this.#received > CREDIT_AFTER_BYTES) {
      this.#out.windowUpdate(0, this.#received);
      this.#received = 0;
    }
    const call = this.#calls.get(streamId);
    if (call === undefined) throw new Error(`DATA on unknown stream ${streamId}`);
    call.received += end - start;
    if (call.received > CREDIT_AFTER_BYTES) {
      this.#out.windowUpdate(streamId, call.received);
      call.received = 0;
    }
    if (call.gathered === 0) this.#messages(call, buffer, start, end);
    else this.#gather(call, buffer, start, end);
    if ((flags & END_STREAM) !== 0) throw new Error('stream ended without trailers');
  }

  /**
   * @param {Call} call
   * @param {Buffer} buffer
   * @param {number} start
   * @param {number} end
   */
  #messages(call, buffer, start, end) {
    let position = start;
    while (position < end) {
      if (end - position < GRPC_PREFIX_BYTES) throw new Error('gRPC prefix over two frames');
      const next = position + GRPC_PREFIX_BYTES + buffer.readUInt32BE(position + 1);
      if (buffer[position] !== 0) throw new Error('compressed message');
      if (next > end) {
        this.#gather(call, buffer, position, end);
        return;
      }
      call.messages++;
      call.onMessage(buffer, position + GRPC_PREFIX_BYTES, next);
      position = next;
    }
  }

  /**
   * A message longer than one frame is gathered in a buffer that the call keeps, so that its bytes
   * are copied once however many frames it came in.
   * @param {Call} call
   * @param {Buffer} buffer
   * @param {number} start
   * @param {number} end
   */
  #gather(call, buffer, start, end) {
    if (call.gathered === 0) {
      call.wanted = GRPC_PREFIX_BYTES + buffer.readUInt32BE(start + 1);
      if (call.wanted > MESSAGE_BYTES_MAX) throw new Error(`message of ${call.wanted} bytes`);
      if (call.scratch.length < call.wanted) call.scratch = Buffer.allocUnsafeSlow(call.wanted);
    }
    const taken = Math.min(end - start, call.wanted - call.gathered);
    buffer.copy(call.scratch, call.gathered, start, start + taken);
    call.gathered += taken;
    if (call.gathered < call.wanted) return;
    call.gathered = 0;
    call.messages++;
    call.onMessage(call.scratch, GRPC_PREFIX_BYTES, call.wanted);
    this.#messages(call, buffer, start + taken, end);
  }

  /**
   * @param {Buffer} buffer
   * @param {number} flags
   * @param {number} streamId
   * @param {number} start
   * @param {number} end
   */
  #onHeaders(buffer, flags, streamId, start, end) {
    if ((flags & END_HEADERS) === 0) throw new Error('header block over several frames');
    if ((flags & ~(END_HEADERS | END_STREAM)) !== 0) throw new Error('padded or weighted HEADERS');
    const call = this.#calls.get(streamId);
    if (call === undefined) throw new Error(`HEADERS on unknown stream ${streamId}`);
    this.#current = call;
    this.#decoder.decode(buffer, start, end, this.#onField);
    if ((flags & END_STREAM) !== 0) this.#end(call);
  }

  #onField = (/** @type {string} */ name, /** @type {string} */ value) => {
    const call = this.#current;
    if (call === null) return;
    if (name === 'grpc-status') call.status = value === '0' ? GRPC_OK : Number(value);
    else if (name === 'grpc-message') call.statusMessage = value;
    else if (name === ':status') call.httpStatus = value;
  };

  /** @param {Call} call */
  #end(call) {
    this.#calls.delete(call.streamId);
    if (call.httpStatus !== '200' && call.status === GRPC_OK) {
      call.status = GRPC_UNKNOWN;
      call.statusMessage = `HTTP status ${call.httpStatus}`;
    }
    if (call.gathered !== 0) throw new Error('stream ended inside a message');
    call.onEnd();
    if (this.#blocked.length > 0) this.#unblock();
  }

  /**
   * @param {Buffer} buffer
   * @param {number} flags
   * @param {number} start
   * @param {number} end
   */
  #onSettings(buffer, flags, start, end) {
    if ((flags & ACK) !== 0) return;
    for (let at = start; at + 6 <= end; at += 6) {
      const id = buffer.readUInt16BE(at);
      const value = buffer.readUInt32BE(at + 2);
      if (id === SETTING_HEADER_TABLE_SIZE) this.#encoder.limitTable(value);
      else if (id === SETTING_MAX_CONCURRENT_STREAMS) this.#streamsMax = value;
      else if (id === SETTING_INITIAL_WINDOW_SIZE) {
        for (const call of this.#calls.values()) call.sendWindow += value - this.#initialWindow;
        this.#initialWindow = value;
      }
    }
    this.#out.frame(SETTINGS, ACK, 0, NOTHING);
    this.#onReady();
    this.#onReady = () => {};
    this.#unblock();
  }

  /**
   * @param {Buffer} buffer
   * @param {number} flags
   * @param {number} start
   * @param {number} end
   */
  #onPing(buffer, flags, start, end) {
    if ((flags & ACK) !== 0) return;
    this.#out.frame(PING, ACK, 0, buffer.subarray(start, end));
  }

  /**
   * @param {number} bytes
   * @param {number} streamId
   */
  #onWindowUpdate(bytes, streamId) {
    if (streamId === 0) {
      this.#sendWindow += bytes;
      this.#unblock();
      return;
    }
    const call = this.#calls.get(streamId);
    if (call !== undefined) call.sendWindow += bytes;
  }
}
