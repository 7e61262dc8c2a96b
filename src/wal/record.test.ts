import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decodeEntry, decodeHardState } from '../codec/raftpb.ts';
import { decodeWalMetadata, decodeWalSnapshot, encodeWalMetadata } from '../codec/walpb.ts';
import {
  appendMarkAt,
  decodeRecord,
  FrameEncoder,
  frameAt,
  RecordType,
  type WalRecord,
} from './record.ts';

const FIXTURES = 'test/fixtures/wal';
const FILES = {
  single: `${FIXTURES}/single/0000000000000000-0000000000000000.wal`,
  'second-segment': `${FIXTURES}/second-segment/0000000000000001-000000000000003c.wal`,
  joiner: `${FIXTURES}/joiner/0000000000000000-0000000000000000.wal`,
};

function recordsOf(bytes: Buffer): { records: WalRecord[]; end: number } {
  const records: WalRecord[] = [];
  for (let offset = 0; ; ) {
    const frame = frameAt(bytes, offset);
    if (frame.kind !== 'frame') return { records, end: offset };
    records.push(decodeRecord(frame.record));
    offset = frame.end;
  }
}

/** What was collected, without the append mark before it. */
function withoutMark(bytes: Uint8Array): Buffer {
  const buffer = Buffer.from(bytes);
  const mark = frameAt(buffer, 0);
  return mark.kind === 'frame' ? buffer.subarray(mark.end) : buffer;
}

function encodeAgain(frames: FrameEncoder, record: WalRecord): void {
  if (record.type === RecordType.CRC) frames.crcRecord();
  else if (record.type === RecordType.ENTRY) frames.entry(decodeEntry(record.data));
  else if (record.type === RecordType.STATE) frames.state(decodeHardState(record.data));
  else if (record.type === RecordType.METADATA) {
    frames.metadata(encodeWalMetadata(decodeWalMetadata(record.data)));
  } else {
    const mark = decodeWalSnapshot(record.data);
    // etcd 3.4 leaves out the configuration that we always write.
    if (mark.index === 0) frames.snapshot(mark);
    else frames.record(RecordType.SNAPSHOT, record.data);
  }
}

describe('frames written by etcd', () => {
  test.each(Object.entries(FILES))('%s is encoded again byte for byte', (_, path) => {
    const bytes = readFileSync(path);
    const { records, end } = recordsOf(bytes);
    expect(records.length).toBeGreaterThan(10);
    const frames = new FrameEncoder(records[0]?.crc ?? 0);
    frames.begin(0);
    for (const record of records) {
      encodeAgain(frames, record);
      expect(frames.crc).toBe(record.crc);
    }
    expect(withoutMark(frames.finish())).toEqual(bytes.subarray(0, end));
    expect(bytes.subarray(end).every((byte) => byte === 0)).toBe(true);
  });

  test('the metadata name member and cluster', () => {
    const { records } = recordsOf(readFileSync(FILES.single));
    const metadata = records.find((record) => record.type === RecordType.METADATA);
    expect(decodeWalMetadata(metadata?.data ?? Buffer.alloc(0))).toEqual({
      memberId: 0xda9af9ca5be139a2n,
      clusterId: 0x1654589ad810d13en,
    });
  });
});

describe('FrameEncoder', () => {
  const entry = (index: number, data: Uint8Array) =>
    ({ type: 'normal', term: 3, index, data }) as const;

  test('pads every length of data to a multiple of 8', () => {
    for (let size = 0; size < 300; size++) {
      const frames = new FrameEncoder(0x12345);
      frames.begin(0);
      frames.entry(entry(size + 1, Buffer.alloc(size, 7)));
      const bytes = Buffer.from(frames.finish());
      expect(bytes.length % 8).toBe(0);
      const { records, end } = recordsOf(bytes);
      expect(end).toBe(bytes.length);
      const data = decodeEntry(records[1]?.data ?? Buffer.alloc(0)).data;
      expect(Buffer.from(data)).toEqual(Buffer.alloc(size, 7));
    }
  });

  test('keeps records whole whose crc is shorter than five bytes', () => {
    const frames = new FrameEncoder(0);
    frames.begin(0);
    const sizes = new Set<number>();
    for (let i = 1; i < 3000; i++) {
      frames.entry(entry(i, Buffer.from(`${i}`)));
      sizes.add(frames.crc < 2 ** 28 ? 4 : 5);
    }
    expect(sizes).toEqual(new Set([4, 5]));
    const { records } = recordsOf(Buffer.from(frames.finish()));
    expect(records.slice(1).map((r) => decodeEntry(r.data).index)).toEqual(
      Array.from({ length: 2999 }, (_, i) => i + 1),
    );
  });

  test('grows for one large entry and carries the chain into the next append', () => {
    const frames = new FrameEncoder(0);
    frames.begin(0);
    frames.entry(entry(1, Buffer.alloc(6_000_000, 1)));
    const first = Buffer.from(frames.finish());
    frames.begin(first.length);
    frames.entry(entry(2, Buffer.from('x')));
    const both = Buffer.concat([first, frames.finish()]);
    expect(recordsOf(both)).toMatchObject({ end: both.length });
    expect(appendMarkAt(both, first.length)).toEqual({ start: first.length, end: both.length });
    expect(recordsOf(both).records[2]?.crc).toBe(recordsOf(both).records[1]?.crc);
  });
});

describe('frameAt', () => {
  const word = (hex: string, rest = 64) =>
    Buffer.concat([Buffer.from(hex, 'hex'), Buffer.alloc(rest)]);

  test('reads the length word of etcd', () => {
    expect(frameAt(word('0400000000000084'), 0)).toMatchObject({ kind: 'frame', end: 16 });
    expect(frameAt(word('2000000000000000'), 0)).toMatchObject({ kind: 'frame', end: 40 });
  });

  test('a zero word and the end of the file end the segment', () => {
    expect(frameAt(word('0000000000000000'), 0)).toEqual({ kind: 'end' });
    expect(frameAt(Buffer.alloc(0), 0)).toEqual({ kind: 'end' });
  });

  test.each(['0400000000000004', '0800000000000080', '04000000000000c4', '0400000000000083'])(
    'the word %s is not one of a frame',
    (hex) => expect(frameAt(word(hex), 0)).toEqual({ kind: 'malformed' }),
  );

  test('a part of a word or of a record is short', () => {
    expect(frameAt(Buffer.alloc(5), 0)).toEqual({ kind: 'short' });
    expect(frameAt(word('4100000000000087', 64), 0)).toEqual({ kind: 'short' });
    expect(frameAt(word('f8ffffffffffff00', 64), 0)).toEqual({ kind: 'short' });
  });
});

describe('append mark', () => {
  test('counts only at the offset it names and unchanged', () => {
    const frames = new FrameEncoder(77);
    frames.begin(512);
    frames.state({ term: 1, vote: null, commit: 1 });
    const append = Buffer.from(frames.finish());
    const file = Buffer.concat([Buffer.alloc(512), append, append]);
    expect(appendMarkAt(file, 512)).toEqual({ start: 512, end: 512 + append.length });
    expect(appendMarkAt(file, 512 + append.length)).toBeNull();
    const mark = frameAt(file, 512);
    for (let at = 520; at < (mark.kind === 'frame' ? mark.end - 7 : 0); at++) {
      const changed = Buffer.from(file);
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
      expect(appendMarkAt(changed, 512)).toBeNull();
    }
  });
});
