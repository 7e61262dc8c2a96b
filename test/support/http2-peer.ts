/**
 * The client's end of an HTTP/2 connection at the level of frames, for tests of the server's end:
 * it sends whatever it is told to, and shows which frames came back.
 */

import { Duplex } from 'node:stream';
import { must } from '../../src/assert.ts';
import { type Http2Connection, serveHttp2 } from '../../src/server/h2/connection.ts';
import { CLIENT_PREFACE, Flag, FrameType } from '../../src/server/h2/frames.ts';
import type { GrpcCall } from '../../src/server/h2/grpc-call.ts';
import { HpackDecoder } from '../../src/server/h2/hpack-decoder.ts';
import type { Http2Options } from '../../src/server/h2/options.ts';

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** One end of a pipe in memory; a write is finished once the other end has been read. */
class PipeEnd extends Duplex {
  readonly remoteAddress = '127.0.0.1';
  readonly remotePort = 4711;
  other: PipeEnd | null = null;
  #taken: (() => void) | null = null;

  constructor() {
    super({ allowHalfOpen: false });
  }

  override _read(): void {
    const taken = this.#taken;
    this.#taken = null;
    taken?.();
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const other = must(this.other, 'the pipe has two ends');
    if (other.destroyed) return done();
    if (other.push(chunk)) done();
    else other.#taken = done;
  }

  override _final(done: () => void): void {
    this.other?.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    done(error);
    const { other } = this;
    if (other !== null && !other.destroyed) other.destroy();
  }
}

export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array = new Uint8Array(0),
): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(streamId, 5);
  return Buffer.concat([header, payload]);
}

/** Settings as pairs of id and value. */
export function settings(...pairs: readonly (readonly [number, number])[]): Buffer {
  const payload = Buffer.alloc(pairs.length * 6);
  pairs.forEach(([id, value], i) => {
    payload.writeUInt16BE(id, i * 6);
    payload.writeUInt32BE(value, i * 6 + 2);
  });
  return frame(FrameType.SETTINGS, 0, 0, payload);
}

export function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A gRPC message with its prefix. */
export function grpcMessage(bytes: Uint8Array, format = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = format;
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
}

export const REQUEST_FIELDS: readonly (readonly [string, string])[] = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/test.Service/Method'],
  [':authority', 'localhost'],
  ['content-type', 'application/grpc'],
  ['te', 'trailers'],
];

/** Literal fields without indexing; values below 127 bytes. */
export function headerBlock(fields: readonly (readonly [string, string])[]): Buffer {
  const parts = fields.flatMap(([name, value]) => [
    Buffer.from([0, name.length]),
    Buffer.from(name, 'latin1'),
    Buffer.from([value.length]),
    Buffer.from(value, 'latin1'),
  ]);
  return Buffer.concat(parts);
}

export function request(
  streamId: number,
  fields: readonly (readonly [string, string])[] = [],
  flags: number = Flag.END_HEADERS,
): Buffer {
  const names = new Set(fields.map(([name]) => name));
  const usual = REQUEST_FIELDS.filter(([name]) => !names.has(name));
  const all = [...fields, ...usual].sort(([a], [b]) => Number(b[0] === ':') - Number(a[0] === ':'));
  return frame(FrameType.HEADERS, flags, streamId, headerBlock(all));
}

export function data(streamId: number, payload: Uint8Array, flags = 0): Buffer {
  return frame(FrameType.DATA, flags, streamId, payload);
}

const TURNS_MAX = 10_000;

export class Http2Peer {
  readonly connection: Http2Connection;
  readonly socket = new PipeEnd();
  readonly serverSocket = new PipeEnd();
  readonly frames: Frame[] = [];
  readonly calls: GrpcCall[] = [];
  nowMs = 1000;
  closed = false;
  #received = Buffer.alloc(0);
  readonly #decoder = new HpackDecoder();

  constructor(onCall: (call: GrpcCall) => void = () => {}, options: Partial<Http2Options> = {}) {
    const server = this.serverSocket;
    server.other = this.socket;
    this.socket.other = server;
    this.socket.on('data', (chunk: Buffer) => this.#take(chunk));
    this.connection = serveHttp2(
      server,
      {
        onCall: (call) => {
          this.calls.push(call);
          onCall(call);
        },
        onClose: () => {
          this.closed = true;
        },
        monotonic: () => this.nowMs,
        messageBytesMax: 2 * 1024 * 1024,
        maxConcurrentStreams: 100,
        headerBytesMax: 16_384,
        callBufferedBytesMax: 100_000,
        keepalive: { minTimeMs: 5000, intervalMs: 60_000, timeoutMs: 20_000 },
        ...options,
      },
      new Uint8Array(0),
    );
  }

  /** A peer that has greeted and whose settings are acknowledged. */
  static async greeted(
    onCall?: (call: GrpcCall) => void,
    options?: Partial<Http2Options>,
    ...ours: readonly (readonly [number, number])[]
  ): Promise<Http2Peer> {
    const peer = new Http2Peer(onCall, options);
    peer.send(CLIENT_PREFACE, settings(...ours));
    await peer.until(() => peer.find(FrameType.SETTINGS, 0, Flag.ACK) !== undefined);
    peer.frames.length = 0;
    return peer;
  }

  send(...parts: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  find(type: number, streamId: number, flags = 0): Frame | undefined {
    return this.frames.find(
      (f) => f.type === type && f.streamId === streamId && (f.flags & flags) === flags,
    );
  }

  /** Lets everything that can happen by itself happen until the condition holds. */
  async until(condition: () => boolean): Promise<void> {
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      if (condition()) return;
      await new Promise((resolve) => setImmediate(resolve));
    }
    throw new Error(`condition does not come true; frames: ${JSON.stringify(this.frames)}`);
  }

  async frame(type: number, streamId: number, flags = 0): Promise<Frame> {
    await this.until(() => this.find(type, streamId, flags) !== undefined);
    return must(this.find(type, streamId, flags), 'the condition holds');
  }

  /** The server answers a ping after everything that was sent before it. */
  async settled(): Promise<void> {
    const mark = Buffer.from('settled!');
    this.send(frame(FrameType.PING, 0, 0, mark));
    const isMark = (f: Frame): boolean => f.type === FrameType.PING && f.payload.equals(mark);
    await this.until(() => this.frames.some(isMark));
    this.frames.splice(this.frames.findIndex(isMark), 1);
  }

  async goaway(): Promise<{ readonly lastStreamId: number; code: number; text: string }> {
    const { payload } = await this.frame(FrameType.GOAWAY, 0);
    return {
      lastStreamId: payload.readUInt32BE(0),
      code: payload.readUInt32BE(4),
      text: payload.toString('utf8', 8),
    };
  }

  async resetCode(streamId: number): Promise<number> {
    return (await this.frame(FrameType.RST_STREAM, streamId)).payload.readUInt32BE(0);
  }

  /** Decodes a HEADERS frame; each once and in order, as the table demands. */
  headers({ payload }: Frame): Record<string, string> {
    const fields = this.#decoder.decode(payload, 0, payload.length, 1_000_000);
    return Object.fromEntries(fields.map(({ name, value }) => [name, value]));
  }

  dataBytes(streamId: number): number {
    const frames = this.frames.filter((f) => f.type === FrameType.DATA && f.streamId === streamId);
    return frames.reduce((sum, f) => sum + f.payload.length, 0);
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= 9) {
      const end = 9 + this.#received.readUIntBE(0, 3);
      if (this.#received.length < end) return;
      this.frames.push({
        type: this.#received.readUInt8(3),
        flags: this.#received.readUInt8(4),
        streamId: this.#received.readUInt32BE(5),
        payload: this.#received.subarray(9, end),
      });
      this.#received = this.#received.subarray(end);
    }
  }
}
