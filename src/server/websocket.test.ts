import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { errors } from '../errors.ts';
import { limits } from '../limits.ts';
import type { LineSink } from './gateway-stream.ts';
import { acceptWebSocket, isWebSocket, webSocketToken } from './websocket.ts';

const BYTES_MAX = 100_000;
const TEXT = 1;
const CONTINUATION = 0;

let server: Server;
let sink: LineSink;
let texts: string[];
let closed: number;
let token: string | null;

beforeEach(async () => {
  texts = [];
  closed = 0;
  server = createServer();
  server.on('upgrade', (request, socket, head) => {
    token = webSocketToken(request);
    if (!isWebSocket(request)) throw new Error('no WebSocket');
    acceptWebSocket(request, socket, head, BYTES_MAX, (lines) => {
      sink = lines;
      return { push: (text) => texts.push(text), close: () => closed++ };
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
});

afterEach(async () => {
  await new Promise((resolve) => {
    server.close(resolve);
  });
});

class Client {
  readonly socket: Socket;
  received: Buffer = Buffer.alloc(0);
  ended = false;

  constructor(headers: string, more: Buffer = Buffer.alloc(0)) {
    this.socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    this.socket.on('data', (chunk) => {
      this.received = Buffer.concat([this.received, chunk]);
    });
    this.socket.on('close', () => {
      this.ended = true;
    });
    const head =
      'GET /v3/watch HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
    this.socket.write(Buffer.concat([Buffer.from(`${head}${headers}\r\n`), more]));
  }

  async until(condition: () => boolean): Promise<void> {
    const deadline = Date.now() + 5000;
    while (!condition()) {
      if (Date.now() > deadline) throw new Error('waited in vain');
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** What came after the handshake. */
  get frames(): Buffer {
    const end = this.received.indexOf('\r\n\r\n');
    return end < 0 ? Buffer.alloc(0) : this.received.subarray(end + 4);
  }
}

function masked(opcode: number, text: string | Buffer, isLast = true): Buffer {
  const payload = Buffer.from(text as string);
  const { length } = payload;
  const mask = [0x11, 0x22, 0x33, 0x44];
  const size =
    length < 126
      ? [0x80 | length]
      : length < 0x1_0000
        ? [0xfe, length >> 8, length & 0xff]
        : [0xff, 0, 0, 0, 0, 0, length >> 16, (length >> 8) & 0xff, length & 0xff];
  const body = payload.map((byte, i) => byte ^ (mask[i & 3] ?? 0));
  return Buffer.concat([Buffer.from([(isLast ? 0x80 : 0) | opcode, ...size, ...mask]), body]);
}

function plain(opcode: number, text: string): Buffer {
  return Buffer.concat([Buffer.from([0x80 | opcode, text.length]), Buffer.from(text)]);
}

describe('a stream over WebSocket', () => {
  it('begins with the handshake of RFC 6455', async () => {
    const client = new Client('Sec-WebSocket-Protocol: Bearer, abc\r\n');
    await client.until(() => client.received.includes('\r\n\r\n'));
    expect(client.received.toString()).toBe(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n' +
        'Sec-WebSocket-Protocol: Bearer\r\n\r\n',
    );
    expect(token).toBe('Bearer abc');
    client.socket.destroy();
  });

  it('has its token from a cookie first', async () => {
    const client = new Client(
      'Sec-WebSocket-Protocol: Bearer, abc\r\nCookie: a=b; token=def; c=d\r\n',
    );
    await client.until(() => client.received.includes('\r\n\r\n'));
    expect(token).toBe('Bearer def');
    client.socket.destroy();
  });

  it('takes messages of every length, in parts and with pings between them', async () => {
    const long = 'x'.repeat(300);
    const longest = 'y'.repeat(70_000);
    const client = new Client('', masked(TEXT, 'first'));
    for (const text of [long, longest]) client.socket.write(masked(TEXT, text));
    const parts = Buffer.concat([
      masked(TEXT, 'a', false),
      masked(9, 'still there?'),
      masked(CONTINUATION, 'b', false),
      masked(CONTINUATION, 'c'),
    ]);
    for (const byte of parts) client.socket.write(Buffer.from([byte]));
    await client.until(() => texts.length === 4);
    expect(texts).toEqual(['first\n', `${long}\n`, `${longest}\n`, 'abc\n']);
    await client.until(() => client.frames.equals(plain(10, 'still there?')));
    client.socket.destroy();
  });

  it('sends each line as a message', async () => {
    const client = new Client('');
    await client.until(() => client.received.includes('\r\n\r\n'));
    sink.send('{"a":1}\n');
    sink.send(`${'z'.repeat(200)}\n`);
    await client.until(() => client.frames.length === 9 + 204);
    expect(client.frames.subarray(0, 9)).toEqual(plain(TEXT, '{"a":1}'));
    expect([...client.frames.subarray(9, 13)]).toEqual([0x81, 126, 0, 200]);
    sink.send(`${'z'.repeat(70_000)}\n`);
    await client.until(() => client.frames.length === 9 + 204 + 70_010);
    expect([...client.frames.subarray(213, 223)]).toEqual([
      0x81, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70,
    ]);
    client.socket.destroy();
  });

  it('ends with its error, or when the client says so', async () => {
    const failed = new Client('');
    await failed.until(() => failed.received.includes('\r\n\r\n'));
    sink.end(errors.noLeader);
    await failed.until(() => failed.ended);
    expect(failed.frames.toString('latin1')).toContain('"message":"etcdserver: no leader"');
    expect([...failed.frames.subarray(-4)]).toEqual([0x88, 2, 0x03, 0xe8]);
    const left = new Client('');
    left.socket.write(masked(8, Buffer.from([0x03, 0xe8])));
    await left.until(() => left.ended);
    expect(closed).toBe(1);
    sink.send('goes nowhere\n');
  });

  it('ends when the client asks for signs of life and does not read them', async () => {
    // Nothing that is written to it ever leaves.
    const deaf = new Duplex({ read() {}, write() {} });
    const request = { headers: { 'sec-websocket-key': 'k' } } as unknown as IncomingMessage;
    acceptWebSocket(request, deaf, Buffer.alloc(0), BYTES_MAX, () => ({
      push() {},
      close: () => closed++,
    }));
    const pings = Buffer.concat(Array.from({ length: 1000 }, () => masked(9, 'x'.repeat(125))));
    const enough = limits.streamBufferedBytesMax / pings.length + 2;
    for (let i = 0; i < enough; i++) deaf.push(pings);
    await new Promise<void>((resolve) => deaf.once('close', () => resolve()));
    expect(closed).toBeGreaterThan(0);
  });

  it.each([
    ['an unmasked frame', Buffer.from([0x81, 1, 0x61]), 1002],
    ['a spare bit', Buffer.from([0xc1, 0x80, 0, 0, 0, 0]), 1002],
    ['an unknown opcode', masked(3, ''), 1002],
    ['an unknown control opcode', masked(11, ''), 1002],
    ['a long ping', masked(9, 'x'.repeat(126)), 1002],
    ['a ping in parts', masked(9, 'x', false), 1002],
    ['a continuation of nothing', masked(CONTINUATION, 'x'), 1002],
    ['a message within a message', Buffer.concat([masked(1, 'x', false), masked(1, 'y')]), 1002],
    ['a message that is too long', masked(TEXT, 'x'.repeat(BYTES_MAX + 1)), 1009],
    [
      'parts that are too long',
      Buffer.concat([masked(TEXT, 'x'.repeat(BYTES_MAX), false), masked(CONTINUATION, 'y')]),
      1009,
    ],
    [
      'parts without end that say nothing',
      Buffer.concat([
        masked(TEXT, '', false),
        ...Array.from({ length: limits.webSocketFragmentsMax }, () =>
          masked(CONTINUATION, '', false),
        ),
      ]),
      1009,
    ],
  ])('ends at %s', async (_name, bytes, code) => {
    const client = new Client('', bytes);
    await client.until(() => client.ended);
    expect(client.frames.subarray(-2).readUInt16BE()).toBe(code);
    expect(closed).toBe(1);
    expect(texts).toEqual([]);
  });
});
