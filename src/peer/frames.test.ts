// The frames of both streams, against what etcd 3.4.23 sent (m1 and m3 of a cluster of three), and
// against bytes that nobody should send.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { encodeMessage } from '../codec/raftpb.ts';
import { DecodeError } from '../codec/wire.ts';
import { limits } from '../limits.ts';
import type { Entry, Message } from '../raft/messages.ts';
import type { MemberId } from '../types.ts';
import { AppendDecoder, AppendEncoder } from './append-frames.ts';
import { FrameWriter } from './frame-writer.ts';
import {
  type FrameDecoder,
  type FrameEncoder,
  FrameError,
  isLinkHeartbeat,
  messageBytesMax,
  type OnFrame,
} from './frames.ts';
import { MessageDecoder, MessageEncoder } from './message-frames.ts';

const M1 = 0x76289e71d0434b15n as MemberId;
const M3 = 0x32bcf7f20105f8d3n as MemberId;

function fixture(name: string): Buffer {
  return readFileSync(new URL(`../../test/fixtures/peer/${name}.bin`, import.meta.url));
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytesOf = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');

/** Everything that comes out when `bytes` arrive in pieces of `step`. */
function decoded(
  make: (onFrame: OnFrame) => FrameDecoder,
  bytes: Buffer,
  step = bytes.length,
): (Message | null)[] {
  const messages: (Message | null)[] = [];
  const decoder = make((message) => messages.push(message));
  for (let at = 0; at < bytes.length; at += step) decoder.push(bytes.subarray(at, at + step));
  return messages;
}

function encoded(encoder: FrameEncoder, messages: readonly (Message | null)[]): Buffer {
  const frames = new FrameWriter(16);
  for (const message of messages) {
    if (message === null) continue;
    if (isLinkHeartbeat(message)) encoder.heartbeat(frames);
    else encoder.encode(message, frames);
  }
  return payload(frames.finish());
}

/** The one chunk's content, as HTTP/1.1 frames it. */
function payload(chunk: Buffer): Buffer {
  const head = /^([0-9a-f]+)\r\n/.exec(chunk.toString('latin1', 0, 20));
  const length = Number.parseInt(head?.[1] ?? '', 16);
  const start = head?.[0].length ?? 0;
  expect(chunk.toString('latin1', start + length)).toBe('\r\n');
  return chunk.subarray(start, start + length);
}

const messageDecoder = (onFrame: OnFrame) => new MessageDecoder(onFrame);
const appendDecoder = (from: MemberId, to: MemberId) => (onFrame: OnFrame) =>
  new AppendDecoder({ from, to }, onFrame);

/** etcd 3.4 puts an empty snapshot into every message, which later versions leave out. */
const EMPTY_SNAPSHOT = bytesOf('4a0a 1208 0a02 2800 1000 1800');

/** What 3.4 sent, as a version sends it that leaves out the empty snapshot. */
function withoutEmptySnapshots(stream: Buffer, kind: 'message' | 'msgapp'): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  const u64 = (): number => {
    at += 8;
    return Number(stream.readBigUInt64BE(at - 8));
  };
  const length = (value: number): Buffer => bytesOf(value.toString(16).padStart(16, '0'));
  const message = (): void => {
    const size = u64();
    const body = stream.subarray(at, at + size);
    at += size;
    const found = body.lastIndexOf(EMPTY_SNAPSHOT);
    expect(found).toBeGreaterThan(0);
    const rest = [body.subarray(0, found), body.subarray(found + EMPTY_SNAPSHOT.length)];
    // The connection's sign of life has the shortest form that every version reads.
    const bytes = isSignOfLife(body) ? bytesOf('0808') : Buffer.concat(rest);
    parts.push(length(bytes.length), bytes);
  };
  while (at < stream.length) {
    if (kind === 'message') {
      message();
      continue;
    }
    const type = stream.readUInt8(at++);
    parts.push(Buffer.of(type));
    if (type === 2) message();
    if (type !== 1) continue;
    const start = at;
    for (let left = u64(); left > 0; left--) {
      const size = u64();
      at += size;
    }
    at += 8;
    parts.push(stream.subarray(start, at));
  }
  return Buffer.concat(parts);
}

function isSignOfLife(body: Buffer): boolean {
  return hex(body).startsWith('080810001800');
}

describe('streams of etcd 3.4.23', () => {
  it.each([
    ['stream-msgapp-m1-to-m3', M1, M3],
    ['stream-msgapp-m3-to-m1', M3, M1],
  ] as const)('%s: read in any pieces, and written again', (name, from, to) => {
    const bytes = fixture(name);
    const whole = decoded(appendDecoder(from, to), bytes);
    expect(whole.length).toBeGreaterThan(3);
    for (const step of [1, 2, 7, 64]) {
      expect(decoded(appendDecoder(from, to), bytes, step)).toEqual(whole);
    }
    const again = encoded(new AppendEncoder(), whole);
    expect(hex(again)).toBe(hex(withoutEmptySnapshots(bytes, 'msgapp')));
  });

  it.each([
    ['stream-message-m1-to-m3', M1, M3],
    ['stream-message-m3-to-m1', M3, M1],
  ] as const)('%s: read in any pieces, and written again', (name, from, to) => {
    const bytes = fixture(name);
    const whole = decoded(messageDecoder, bytes);
    expect(whole.length).toBeGreaterThan(100);
    for (const message of whole) {
      if (message === null || isLinkHeartbeat(message)) continue;
      expect([message.from, message.to]).toEqual([from, to]);
    }
    expect(decoded(messageDecoder, bytes, 13)).toEqual(whole);
    const again = encoded(new MessageEncoder(), whole);
    expect(hex(again)).toBe(hex(withoutEmptySnapshots(bytes, 'message')));
  });

  it('say on a msgapp stream what the reference says', () => {
    const stream = bytesOf(`
      02 0000000000000036 0803 10d3f19788a0febdde32 1895968d829dcea79476 2003 2802 300b
      3a06 0800 1003 180c 400b 4a0a12080a0228001000180050005800
      01 0000000000000000 000000000000000c
      01 0000000000000001 0000000000000022
      08001003180d221a220b0a03666f6f120462617232a2060a088ab68fb38bbfe88a4b 000000000000000c
      00`);
    const ends = { from: M1, to: M3 };
    const entry = (index: number, data: Uint8Array): Entry => ({
      type: 'normal',
      term: 3,
      index,
      data,
    });
    const put = bytesOf('220b0a03666f6f120462617232a2060a088ab68fb38bbfe88a4b');
    const none = new Uint8Array(0);
    expect(decoded(appendDecoder(M1, M3), stream)).toMatchObject([
      { ...ends, type: 'app', term: 3, logTerm: 2, index: 11, commit: 11 },
      { ...ends, type: 'app', term: 3, logTerm: 3, index: 12, commit: 12, entries: [] },
      { ...ends, term: 3, logTerm: 3, index: 12, commit: 12, entries: [entry(13, put)] },
      { type: 'heartbeat', from: 0n, to: 0n },
    ]);
    const first = decoded(appendDecoder(M1, M3), stream)[0];
    expect(first).toMatchObject({ entries: [entry(12, none)] });
  });

  it.each([
    [
      '3.4 and 3.5',
      '000000000000001e 08081000180020002800300040004a0a12080a0228001000180050005800',
    ],
    ['3.6', '0000000000000014 0808100018002000280030004000500058006800'],
    ['3.7', '0000000000000002 0808'],
  ])('have a sign of life of their own in %s', (_, text) => {
    const [message] = decoded(messageDecoder, bytesOf(text));
    expect(message !== null && message !== undefined && isLinkHeartbeat(message)).toBe(true);
  });
});

const app = (over: Partial<Extract<Message, { type: 'app' }>>): Message => ({
  type: 'app',
  from: M1,
  to: M3,
  term: 5,
  logTerm: 5,
  index: 10,
  entries: [],
  commit: 3,
  ...over,
});
const entriesFrom = (index: number, sizes: readonly number[]): readonly Entry[] =>
  sizes.map((size, i) => {
    const data = size === 0 ? new Uint8Array(0) : Buffer.alloc(size, i);
    return { type: 'normal', term: 5, index: index + i, data };
  });

describe('a msgapp stream', () => {
  it('falls back to whole messages whenever the position or the term changes', () => {
    const messages = [
      app({ entries: entriesFrom(11, [10, 0, 300, 70_000]) }),
      app({ index: 14, entries: entriesFrom(15, [1]) }),
      app({ index: 15, commit: 15 }),
      app({ index: 12, commit: 15 }),
      app({ index: 12, entries: entriesFrom(13, [2, 2]) }),
      app({ term: 6, index: 14, commit: 15 }),
      app({ term: 6, logTerm: 6, index: 14 }),
    ];
    const bytes = encoded(new AppendEncoder(), messages);
    for (const step of [3, 1000, bytes.length]) {
      expect(decoded(appendDecoder(M1, M3), bytes, step)).toEqual(messages);
    }
    expect(bytes.length).toBeLessThan(messages.reduce((sum, m) => sum + messageBytesMax(m), 0));
  });

  it.each([
    ['a kind that nobody knows', '03'],
    ['a whole message that is too long', '02 0000000020000001'],
    ['a whole message of an absurd length', '02 ffffffffffffffff'],
    ['more entries than a frame has', '01 ffffffffffffffff'],
    ['an entry of an absurd length', '01 0000000000000001 7fffffffffffffff'],
    ['a whole message that is no append', '02 0000000000000002 0808'],
    ['a whole message that no member sends', '02 0000000000000002 0800'],
    ['an entry that does not follow', '01 0000000000000001 0000000000000004 10051802'],
    ['an empty entry', '01 0000000000000001 0000000000000000'],
    ['an entry that is no protobuf', '01 0000000000000001 0000000000000002 0aff'],
  ])('is given up for %s', (_, text) => {
    expect(() => decoded(appendDecoder(M1, M3), bytesOf(text))).toThrow(
      /FrameError|DecodeError|rafthttp|msgappv2|proto|raftpb/,
    );
  });
});

describe('a message stream', () => {
  it.each([
    ['a message that is too long', '0000000020000001'],
    ['a message of an absurd length', 'ffffffffffffffff'],
    ['a message that is no protobuf', '0000000000000002 0aff'],
    ['a snapshot without one', '0000000000000002 0807'],
    ['a read without its context', '0000000000000002 080f'],
  ])('is given up for %s', (_, text) => {
    expect(() => decoded(messageDecoder, bytesOf(text))).toThrow();
  });

  it('passes over types that do not travel', () => {
    const local = bytesOf('0000000000000002 0800 0000000000000002 080c');
    expect(decoded(messageDecoder, local)).toEqual([null, null]);
  });

  it('takes a message of the largest size that is announced only as it arrives', () => {
    const length = bytesOf(limits.peerFrameBytesMax.toString(16).padStart(16, '0'));
    const before = process.memoryUsage().arrayBuffers;
    const decoders = Array.from({ length: 50 }, () => {
      const decoder = new MessageDecoder(() => expect.unreachable());
      decoder.push(length);
      decoder.push(Buffer.alloc(1000));
      return decoder;
    });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024);
    expect(decoders).toHaveLength(50);
  });

  it('costs no more in small pieces than in large ones', () => {
    const entries = entriesFrom(11, [8 * 1024 * 1024]);
    const bytes = encoded(new MessageEncoder(), [app({ entries })]);
    const [message] = decoded(messageDecoder, bytes, 512);
    expect(message).toMatchObject({ entries: [{ data: { length: 8 * 1024 * 1024 } }] });
  });
});

describe('a sized message', () => {
  it('takes no more than was set aside for it', () => {
    const largest = Number.MAX_SAFE_INTEGER;
    const entries: Entry[] = [
      { type: 'conf-change-v2', term: largest, index: largest, data: Buffer.alloc(300) },
    ];
    const message = app({
      term: largest,
      logTerm: largest,
      index: largest,
      commit: largest,
      entries,
    });
    expect(encodeMessage(message).length + 8).toBeLessThanOrEqual(messageBytesMax(message));
  });
});

/** A small generator with a seed, so that a failure can be repeated. */
function randomBytes(seed: number): (length: number) => Buffer {
  let state = seed;
  const next = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 16;
  };
  return (length) => Buffer.from(Array.from({ length }, () => next() & 0xff));
}

describe('random bytes', () => {
  const streams: Readonly<Record<string, Buffer>> = {
    message: fixture('stream-message-m1-to-m3').subarray(0, 600),
    msgapp: fixture('stream-msgapp-m3-to-m1'),
  };
  const makers: Readonly<Record<string, (onFrame: OnFrame) => FrameDecoder>> = {
    message: messageDecoder,
    msgapp: appendDecoder(M3, M1),
  };

  it.each(['message', 'msgapp'])('on a %s stream: nothing worse than its end', (kind) => {
    const good = streams[kind] as Buffer;
    const make = makers[kind] as (onFrame: OnFrame) => FrameDecoder;
    for (let seed = 1; seed <= 3000; seed++) {
      const random = randomBytes(seed);
      const noise = random(1 + (random(1)[0] as number));
      const damaged = Buffer.from(good);
      const changes = 1 + ((random(1)[0] as number) & 3);
      for (let i = 0; i < changes; i++) {
        damaged[random(2).readUInt16BE(0) % good.length] = random(1)[0] as number;
      }
      const cut = damaged.subarray(0, random(2).readUInt16BE(0) % good.length);
      for (const bytes of [noise, damaged, cut]) {
        try {
          decoded(make, bytes, 1 + (seed % 40));
        } catch (error) {
          if (error instanceof FrameError || error instanceof DecodeError) continue;
          throw new Error(`seed ${seed}`, { cause: error });
        }
      }
    }
  });
});
