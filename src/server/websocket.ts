/**
 * Streams of the JSON gateway over WebSocket, as etcd's proxy does it: a message from the client is
 * text of the request body, and each line of the answer is a message to the client.
 *
 * It knows the frames of RFC 6455 and no method.
 */

import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { EtcdError } from '../errors.ts';
import { limits } from '../limits.ts';
import { streamErrorBody } from './gateway-errors.ts';
import type { LineSink } from './gateway-stream.ts';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
const CLOSE = { normal: 1000, protocolError: 1002, tooBig: 1009 } as const;
const CONTROL_BYTES_MAX = 125;
/** Chunks of a frame that are kept apart: joining each of many small ones would be quadratic. */
const CHUNKS_JOINED = 1000;

/** Where the client's messages go. */
export interface MessageTarget {
  /** Text of the request body. */
  push(text: string): void;
  /** The client wants no more answers. */
  close(): void;
}

export function isWebSocket({ method, headers }: IncomingMessage): boolean {
  return (
    method === 'GET' &&
    headers.upgrade?.toLowerCase() === 'websocket' &&
    headers['sec-websocket-version'] === '13' &&
    headers['sec-websocket-key'] !== undefined
  );
}

/**
 * etcd: browsers can set no header here, so the token comes as a protocol or as a cookie, of which
 * the cookie counts.
 */
export function webSocketToken({ headers }: IncomingMessage): string | null {
  const cookie = /(?:^|;\s*)token=([^;]*)/.exec(headers.cookie ?? '')?.[1];
  if (cookie !== undefined) return `Bearer ${cookie}`;
  const token = /Bearer,(.*)/.exec(headers['sec-websocket-protocol'] ?? '')?.[1];
  return token === undefined ? null : `Bearer ${token.trim()}`;
}

/** Answers the handshake. What the client sends from then on goes to whatever `open` returns. */
export function acceptWebSocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  messageBytesMax: number,
  open: (sink: LineSink) => MessageTarget,
): void {
  const key = request.headers['sec-websocket-key'] ?? '';
  const accept = createHash('sha1').update(`${key}${GUID}`).digest('base64');
  const isBearer = request.headers['sec-websocket-protocol']?.startsWith('Bearer') === true;
  socket.write(
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      `Sec-WebSocket-Accept: ${accept}\r\n` +
      `${isBearer ? 'Sec-WebSocket-Protocol: Bearer\r\n' : ''}\r\n`,
  );
  let closing = false;
  const close = (code: number): void => {
    if (closing) return;
    closing = true;
    const bytes = frame(OPCODE.close, Buffer.from([code >>> 8, code & 0xff]));
    // The client may leave its half open for ever, so the connection ends once this is written.
    socket.end(bytes, () => socket.destroy());
  };
  const target = open(linesOf(socket, () => close(CLOSE.normal)));
  const leave = (code: number): void => {
    close(code);
    target.close();
  };
  const frames = new FrameReader(messageBytesMax, (opcode, payload) => {
    if (closing) return;
    if (opcode === OPCODE.close) leave(CLOSE.normal);
    else if (opcode === OPCODE.ping) {
      // Who asks for signs of life and does not read them is gone.
      if (socket.writableLength < limits.streamBufferedBytesMax) {
        socket.write(frame(OPCODE.pong, payload));
      } else {
        socket.destroy();
        target.close();
      }
    }
    // etcd: a line break follows each message.
    else if (opcode !== OPCODE.pong) target.push(`${payload.toString('utf8')}\n`);
  });
  const take = (chunk: Buffer): void => {
    if (closing) return;
    const fault = frames.push(chunk);
    if (fault !== null) leave(fault);
  };
  socket.on('data', take);
  socket.on('end', () => socket.end());
  // A client that vanishes is no event for the server; the caller hears of the connection's end.
  socket.on('error', () => socket.destroy());
  if (head.length > 0) take(head);
}

function linesOf(socket: Duplex, close: () => void): LineSink {
  const send = (line: string): void => {
    if (socket.writable) socket.write(frame(OPCODE.text, Buffer.from(line.trimEnd())));
  };
  return {
    send,
    get bufferedBytes() {
      return socket.writableLength;
    },
    onDrain(fn) {
      socket.once('drain', fn);
    },
    end(error: EtcdError | null) {
      if (error !== null) send(JSON.stringify({ error: streamErrorBody(error) }));
      close();
    },
  };
}

function frame(opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  const extra = length < 126 ? 0 : length < 0x1_0000 ? 2 : 8;
  const bytes = Buffer.allocUnsafe(2 + extra + length);
  bytes[0] = 0x80 | opcode;
  bytes[1] = extra === 0 ? length : extra === 2 ? 126 : 127;
  if (extra === 2) bytes.writeUInt16BE(length, 2);
  if (extra === 8) bytes.writeBigUInt64BE(BigInt(length), 2);
  payload.copy(bytes, 2 + extra);
  return bytes;
}

/** Whole messages out of chunks. What waits for its end is at most one message of full size. */
class FrameReader {
  readonly #bytesMax: number;
  readonly #onMessage: (opcode: number, payload: Buffer) => void;
  #rest: Buffer = Buffer.alloc(0);
  /** Behind `rest`, and joined to it only when a frame may be complete. */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #need = 0;
  /** The parts of a message that comes in several frames. */
  #parts: Buffer[] = [];
  #partsBytes = 0;
  #partsOpcode = 0;

  constructor(bytesMax: number, onMessage: (opcode: number, payload: Buffer) => void) {
    this.#bytesMax = bytesMax;
    this.#onMessage = onMessage;
  }

  /** The code to close with when the client breaks the protocol, else `null`. */
  push(chunk: Buffer): number | null {
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.length;
    const isComplete = this.#rest.length + this.#waitingBytes >= this.#need;
    if (!isComplete && this.#waiting.length < CHUNKS_JOINED) return null;
    this.#rest = Buffer.concat([this.#rest, ...this.#waiting]);
    this.#waiting = [];
    this.#waitingBytes = 0;
    return isComplete ? this.#read() : null;
  }

  #read(): number | null {
    this.#need = 0;
    for (;;) {
      const bytes = this.#rest;
      if (bytes.length < 2) return null;
      const short = bytes.readUInt8(1) & 0x7f;
      const start = 6 + (short === 126 ? 2 : short === 127 ? 8 : 0);
      // A client's frames are masked, and nothing was agreed on that would use the spare bits.
      if (bytes.readUInt8(1) < 0x80 || (bytes.readUInt8(0) & 0x70) !== 0)
        return CLOSE.protocolError;
      if (bytes.length < start) return null;
      let length = short;
      if (short === 126) length = bytes.readUInt16BE(2);
      else if (short === 127) length = Number(bytes.readBigUInt64BE(2));
      if (length + this.#partsBytes > this.#bytesMax) return CLOSE.tooBig;
      if (bytes.length < start + length) {
        this.#need = start + length;
        return null;
      }
      const payload = unmasked(bytes.subarray(start, start + length), bytes, start - 4);
      this.#rest = bytes.subarray(start + length);
      const fault = this.#frame(bytes.readUInt8(0), payload);
      if (fault !== null) return fault;
    }
  }

  #frame(first: number, payload: Buffer): number | null {
    const isLast = first >= 0x80;
    const opcode = first & 0x0f;
    if (opcode >= OPCODE.close) {
      if (!isLast || payload.length > CONTROL_BYTES_MAX || opcode > OPCODE.pong) {
        return CLOSE.protocolError;
      }
      this.#onMessage(opcode, payload);
      return null;
    }
    const continues = this.#partsOpcode !== 0;
    if (opcode > OPCODE.binary || continues !== (opcode === OPCODE.continuation)) {
      return CLOSE.protocolError;
    }
    if (!continues) this.#partsOpcode = opcode;
    if (this.#parts.length >= limits.webSocketFragmentsMax) return CLOSE.tooBig;
    this.#parts.push(payload);
    this.#partsBytes += payload.length;
    if (isLast) {
      const message = Buffer.concat(this.#parts);
      const whole = this.#partsOpcode;
      this.#parts = [];
      this.#partsBytes = 0;
      this.#partsOpcode = 0;
      this.#onMessage(whole, message);
    }
    return null;
  }
}

function unmasked(payload: Buffer, mask: Buffer, at: number): Buffer {
  const bytes = Buffer.allocUnsafe(payload.length);
  for (let i = 0; i < payload.length; i++) {
    bytes[i] = payload.readUInt8(i) ^ mask.readUInt8(at + (i & 3));
  }
  return bytes;
}
