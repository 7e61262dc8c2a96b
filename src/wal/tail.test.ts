import { beforeAll, describe, expect, test } from 'vitest';
import { MemoryDisk } from '../platform/memory-disk.ts';
import type { ClusterId, MemberId } from '../types.ts';
import { decodeRecord, FrameEncoder, frameAt, RecordType } from './record.ts';
import { WalCorruptError } from './segment.ts';
import { Wal } from './wal.ts';

const DIR = '/wal';
const FILE = '0000000000000000-0000000000000000.wal';
const options = { clock: { monotonic: () => 0 } };
const metadata = { memberId: 3n as MemberId, clusterId: 4n as ClusterId };

interface Sample {
  /** The whole file, with the zeros behind the last append. */
  readonly bytes: Buffer;
  /** Where each append begins; the last element is where the last one ends. */
  readonly starts: number[];
  /** Index of the last entry of each append. */
  readonly lastIndexes: number[];
}

/** Appends of several entries each, of sizes that make frames cross sectors. */
async function buildSample(): Promise<Sample> {
  const disk = new MemoryDisk();
  const wal = await Wal.create(disk, DIR, metadata, options);
  const starts: number[] = [];
  const lastIndexes: number[] = [];
  for (let append = 0; append < 4; append++) {
    const list = [60, 700, 5].map((size, i) => ({
      type: 'normal' as const,
      term: 1,
      index: append * 3 + i + 1,
      data: Buffer.alloc(size, 65 + append),
    }));
    lastIndexes.push(append * 3 + 3);
    const hardState = { term: 1, vote: null, commit: append * 3 };
    await wal.append({ entries: list, hardState, mustSync: true });
  }
  await wal.close();
  const bytes = await contents(disk);
  for (let at = 0; ; ) {
    const frame = frameAt(bytes, at);
    if (frame.kind !== 'frame') {
      starts.push(at);
      break;
    }
    if (at > 0 && decodeRecord(frame.record).type === RecordType.CRC) starts.push(at);
    at = frame.end;
  }
  return { bytes, starts, lastIndexes };
}

async function contents(disk: MemoryDisk): Promise<Buffer> {
  const file = await disk.open(`${DIR}/${FILE}`, 'read');
  const bytes = await file.read(0, await file.size());
  await file.close();
  return Buffer.from(bytes);
}

async function openBytes(bytes: Uint8Array) {
  const disk = new MemoryDisk();
  await disk.makeDir(DIR);
  const file = await disk.open(`${DIR}/${FILE}`, 'create');
  file.write(0, bytes);
  await file.close();
  const back = await Wal.open(disk, DIR, options);
  return { disk, ...back };
}

const outcome = (bytes: Uint8Array): Promise<string> =>
  openBytes(bytes).then(
    ({ entries, repaired }) => `${entries.length}${repaired === null ? '' : ' torn'}`,
    (cause: unknown) => {
      if (!(cause instanceof WalCorruptError)) throw cause;
      expect(cause.file).toBe(FILE);
      return `corrupt at ${cause.offset}`;
    },
  );

let sample: Sample;
beforeAll(async () => {
  sample = await buildSample();
});
const at = (list: readonly number[], position: number): number => list.at(position) ?? Number.NaN;

describe('a file that ends early', () => {
  test('keeps every append before the one it ends in, at every byte', async () => {
    const [start, end] = [at(sample.starts, -2), at(sample.starts, -1)];
    for (let cut = start; cut <= end; cut++) {
      const { disk, entries, repaired, wal } = await openBytes(sample.bytes.subarray(0, cut));
      expect(entries.length, `cut at ${cut}`).toBeGreaterThanOrEqual(at(sample.lastIndexes, -2));
      if (cut === start || cut === end) expect(repaired).toBeNull();
      else expect(repaired?.offset).toBeLessThanOrEqual(cut);
      if (cut === end) expect(entries).toHaveLength(at(sample.lastIndexes, -1));
      // What was cut stays cut, and the log goes on behind it.
      const next = { type: 'normal', term: 2, index: entries.length + 1, data: Buffer.alloc(9) };
      const hardState = { term: 2, vote: null, commit: at(sample.lastIndexes, -2) };
      await wal.append({ entries: [{ ...next, type: 'normal' }], hardState, mustSync: true });
      await wal.close();
      const again = await Wal.open(disk, DIR, options);
      expect(again.repaired).toBeNull();
      expect(again.entries).toHaveLength(entries.length + 1);
    }
  });
});

describe('missing sectors', () => {
  const without = (from: number, to: number) => Buffer.from(sample.bytes).fill(0, from, to);

  test('in the last append are cut off', async () => {
    const [start, end] = [at(sample.starts, -2), at(sample.starts, -1)];
    for (let sector = Math.ceil(start / 512) * 512; sector < end; sector += 512) {
      const found = await outcome(without(sector, sector + 512));
      expect(found, `sector at ${sector}`).toMatch(/^\d+ torn$/);
      expect(Number.parseInt(found, 10)).toBeGreaterThanOrEqual(at(sample.lastIndexes, -2));
    }
    expect(await outcome(without(start, end))).toBe(`${at(sample.lastIndexes, -2)}`);
  });

  test('at the mark of the last append cut off the whole of it', async () => {
    const start = at(sample.starts, -2);
    const sectorEnd = (Math.floor(start / 512) + 1) * 512;
    expect(await outcome(without(start, sectorEnd))).toBe(`${at(sample.lastIndexes, -2)} torn`);
  });

  test('in an earlier append are refused, wherever they are', async () => {
    for (let sector = 512; sector + 512 <= at(sample.starts, -2); sector += 512) {
      expect(await outcome(without(sector, sector + 512))).toMatch(/^corrupt at/);
    }
  });

  test('at the mark of an earlier append are refused', async () => {
    for (const start of sample.starts.slice(0, -2)) {
      const sectorEnd = (Math.floor(start / 512) + 1) * 512;
      expect(await outcome(without(start, sectorEnd))).toBe(`corrupt at ${start}`);
    }
  });

  test('at the beginning are refused', async () => {
    expect(await outcome(without(0, 512))).toMatch(/^corrupt at 0/);
  });
});

describe('flipped bits', () => {
  test('are refused in every byte of every frame, or change nothing', async () => {
    const end = at(sample.starts, -1);
    const padding = new Set<number>();
    for (let offset = 0; offset < end; ) {
      const frame = frameAt(sample.bytes, offset);
      if (frame.kind !== 'frame') break;
      for (let i = offset + 8 + frame.record.length; i < frame.end; i++) padding.add(i);
      offset = frame.end;
    }
    for (let i = 0; i < end; i++) {
      const changed = Buffer.from(sample.bytes);
      changed.writeUInt8(changed.readUInt8(i) ^ (1 << (i % 8)), i);
      const found = await outcome(changed);
      if (!padding.has(i)) expect(found, `byte ${i}`).toMatch(/^corrupt at/);
      else expect(found, `padding ${i}`).toBe(`${at(sample.lastIndexes, -1)}`);
    }
  });

  test('behind the last append are taken for the rest of one that lost its mark', async () => {
    const changed = Buffer.from(sample.bytes);
    changed.writeUInt8(1, at(sample.starts, -1) + 3000);
    expect(await outcome(changed)).toBe(`${at(sample.lastIndexes, -1)} torn`);
  });
});

describe('regions without append marks, as etcd writes them', () => {
  function foreign(entries: number): { bytes: Buffer; ends: number[] } {
    const frames = new FrameEncoder(0);
    frames.begin(0);
    const marked = frames.finish().length;
    frames.begin(0);
    frames.crcRecord();
    frames.metadata(Buffer.from('08031004', 'hex'));
    frames.snapshot({
      index: 0,
      term: 0,
      confState: {
        voters: [],
        learners: [],
        votersOutgoing: [],
        learnersNext: [],
        autoLeave: false,
      },
    });
    for (let index = 1; index <= entries; index++) {
      frames.entry({ type: 'normal', term: 1, index, data: Buffer.alloc(1500, index) });
    }
    const bytes = Buffer.from(frames.finish()).subarray(marked);
    const ends: number[] = [];
    for (let offset = 0; ; ) {
      const frame = frameAt(bytes, offset);
      if (frame.kind !== 'frame') break;
      offset = frame.end;
      ends.push(offset);
    }
    return { bytes: Buffer.concat([bytes, Buffer.alloc(8192)]), ends: ends.slice(2) };
  }

  test('a missing sector is cut off in the last record and refused before sound ones', async () => {
    const { bytes, ends } = foreign(5);
    expect(await outcome(bytes)).toBe('5');
    const sector = Math.ceil(at(ends, -2) / 512) * 512;
    expect(await outcome(Buffer.from(bytes).fill(0, sector, sector + 512))).toBe('4 torn');
    const early = Math.ceil(at(ends, 1) / 512) * 512;
    expect(await outcome(Buffer.from(bytes).fill(0, early, early + 512))).toMatch(/^corrupt at/);
  });

  test('a changed byte in the last record is refused', async () => {
    const { bytes, ends } = foreign(3);
    const changed = Buffer.from(bytes);
    changed.writeUInt8(99, at(ends, -1) - 700);
    expect(await outcome(changed)).toMatch(/^corrupt at/);
  });

  test('an index gap, an unknown record and other metadata are refused', async () => {
    const build = (add: (frames: FrameEncoder) => void) => {
      const frames = new FrameEncoder(0);
      frames.begin(0);
      frames.metadata(Buffer.from('08031004', 'hex'));
      frames.entry({ type: 'normal', term: 1, index: 1, data: Buffer.from('a') });
      add(frames);
      return Buffer.from(frames.finish());
    };
    const gap = build((frames) =>
      frames.entry({ type: 'normal', term: 1, index: 3, data: Buffer.from('c') }),
    );
    await expect(openBytes(gap)).rejects.toThrow(/entry 3 follows entry 1/);
    const unknown = build((frames) => frames.record(6, Buffer.from('a')));
    await expect(openBytes(unknown)).rejects.toThrow(/unknown record type/);
    const other = build((frames) => frames.metadata(Buffer.from('08031005', 'hex')));
    await expect(openBytes(other)).rejects.toThrow(/metadata differ/);
    const beyond = build((frames) => frames.state({ term: 1, vote: null, commit: 2 }));
    await expect(openBytes(beyond)).rejects.toThrow(/commit 2 is beyond/);
  });
});
