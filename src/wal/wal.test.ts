import { describe, expect, test } from 'vitest';
import { must } from '../assert.ts';
import { BLOCK_BYTES, MemoryDisk } from '../platform/memory-disk.ts';
import { seededRandom } from '../platform/random.ts';
import type { Disk } from '../ports.ts';
import type { Entry, HardState, SnapshotMetadata } from '../raft/messages.ts';
import type { ClusterId, MemberId } from '../types.ts';
import { parseSegmentFile, readSegment, WalCorruptError } from './segment.ts';
import { Wal, type WalOptions } from './wal.ts';

const DIR = '/data/member/wal';
const ME = 0xda9af9ca5be139a2n as MemberId;
const metadata = { memberId: ME, clusterId: 7n as ClusterId };
const clock = { monotonic: () => 0 };
const options: WalOptions = { clock };

const entry = (index: number, term = 1, text = `entry ${index}`): Entry => ({
  type: 'normal',
  term,
  index,
  data: Buffer.from(text),
});
const entries = (from: number, to: number, term = 1) =>
  Array.from({ length: to - from + 1 }, (_, i) => entry(from + i, term));
const state = (term: number, commit: number): HardState => ({ term, vote: ME, commit });
const mark = (index: number, term = 1): SnapshotMetadata => ({
  index,
  term,
  confState: { voters: [ME], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false },
});
const plain = (list: readonly Entry[]) =>
  list.map((e) => `${e.term}/${e.index} ${Buffer.from(e.data).toString('latin1')}`);

async function newDisk(): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  await disk.makeDir('/data/member');
  for (const path of ['/', '/data', '/data/member']) await disk.syncDir(path);
  return disk;
}

async function newWal(more: Partial<WalOptions> = {}) {
  const disk = await newDisk();
  return { disk, wal: await Wal.create(disk, DIR, metadata, { ...options, ...more }) };
}

const save = (wal: Wal, list: readonly Entry[], hardState: HardState | null = null) =>
  wal.append({ entries: list, hardState, mustSync: true });

const walFiles = async (disk: MemoryDisk) =>
  (await disk.list(DIR)).filter((name) => name.endsWith('.wal'));

describe('Wal', () => {
  test('gives back what was appended', async () => {
    const { disk, wal } = await newWal();
    expect(await Wal.exists(disk, DIR)).toBe(true);
    await save(wal, entries(1, 3), state(1, 1));
    await save(wal, [{ type: 'conf-change', term: 2, index: 4, data: Buffer.alloc(0) }]);
    await wal.close();
    const back = await Wal.open(disk, DIR, options);
    expect(back.metadata).toEqual(metadata);
    expect(back.hardState).toEqual({ term: 2, vote: null, commit: 1 });
    expect(plain(back.entries)).toEqual(['1/1 entry 1', '1/2 entry 2', '1/3 entry 3', '2/4 ']);
    expect(back.entries[3]?.type).toBe('conf-change');
    expect(back.snapshot.index).toBe(0);
    expect(back.repaired).toBeNull();
    await save(back.wal, [entry(5, 2)], state(2, 4));
    await back.wal.close();
    const again = await Wal.open(disk, DIR, options);
    expect(again.entries.map((e) => e.index)).toEqual([1, 2, 3, 4, 5]);
    expect(again.hardState).toEqual(state(2, 4));
  });

  test('a later entry replaces what stood at its index and above', async () => {
    const { disk, wal } = await newWal();
    await save(wal, entries(1, 5), state(1, 2));
    await save(wal, [entry(3, 2, 'new')], state(2, 2));
    await wal.close();
    const back = await Wal.open(disk, DIR, options);
    expect(plain(back.entries)).toEqual(['1/1 entry 1', '1/2 entry 2', '2/3 new']);
    expect(back.wal.lastIndex).toBe(3);
  });

  test('a commit index alone waits for the next synced append, and for close', async () => {
    const { disk, wal } = await newWal();
    await save(wal, entries(1, 2), state(1, 0));
    expect(wal.append({ entries: [], hardState: state(1, 2), mustSync: false })).toBeNull();
    disk.crash(() => true);
    expect((await Wal.open(disk, DIR, options)).hardState.commit).toBe(0);
    const { wal: second } = await Wal.open(disk, DIR, options);
    await second.append({ entries: [], hardState: state(1, 2), mustSync: false });
    await second.close();
    expect((await Wal.open(disk, DIR, options)).hardState.commit).toBe(2);
  });

  test('a commit index beyond the last entry is written no sooner than its entry', async () => {
    const { disk, wal } = await newWal();
    await save(wal, entries(1, 3), state(1, 2));
    await wal.saveSnapshot(mark(2), state(1, 5));
    disk.crash(() => false);
    const back = await Wal.open(disk, DIR, options);
    expect(back.hardState).toEqual(state(1, 3));
    await save(back.wal, [], state(1, 5));
    await save(back.wal, entries(4, 6));
    disk.crash(() => false);
    expect((await Wal.open(disk, DIR, options)).hardState).toEqual(state(1, 5));
  });

  test('a hard state that goes back is a bug', async () => {
    const { wal } = await newWal();
    await save(wal, entries(1, 3), state(2, 2));
    expect(() => save(wal, [], state(1, 2))).toThrow('never goes back');
  });

  test('refuses gaps, entries without sync and a second append in flight', async () => {
    const { wal } = await newWal({ sync: 'pool' });
    const first = save(wal, entries(1, 2));
    expect(() => save(wal, [entry(3)])).toThrow('one append is in flight');
    await first;
    const { wal: other } = await newWal();
    expect(() => save(other, [entry(2)])).toThrow('no gap');
    const { wal: third } = await newWal();
    const unsynced = { entries: [entry(1)], hardState: null, mustSync: false };
    expect(() => third.append(unsynced)).toThrow('always synced');
  });

  test.each(['loop', 'pool'] as const)('a failed sync ends the log (%s)', async (sync) => {
    const { disk, wal } = await newWal({ sync });
    await save(wal, [entry(1)]);
    disk.setFault((operation) => {
      if (operation === 'sync') throw new Error('EIO');
    });
    await expect(async () => save(wal, [entry(2)])).rejects.toThrow('EIO');
    disk.setFault(null);
    expect(() => save(wal, [entry(2)])).toThrow('EIO');
    await wal.close();
    expect((await Wal.open(disk, DIR, options)).entries.length).toBeGreaterThanOrEqual(1);
  });

  test('a failed reservation is thrown at a following append', async () => {
    const { disk, wal } = await newWal();
    disk.setFault((operation) => {
      if (operation === 'allocate') throw new Error('ENOSPC');
    });
    const big = { ...entry(1), data: Buffer.alloc(2_000_000) };
    await save(wal, [big]);
    await expect(async () => save(wal, [entry(2)])).rejects.toThrow('ENOSPC');
  });

  test.each(['loop', 'pool'] as const)(
    'an append waits for zeros that are on their way to its place (%s)',
    async (sync) => {
      const memory = await newDisk();
      const release: (() => void)[] = [];
      const steps: string[] = [];
      const disk: Disk = {
        makeDir: (path) => memory.makeDir(path),
        list: (path) => memory.list(path),
        rename: (from, to) => memory.rename(from, to),
        remove: (path) => memory.remove(path),
        syncDir: (path) => memory.syncDir(path),
        open: async (path, mode) => {
          const file = await memory.open(path, mode);
          return {
            ...file,
            write: (offset, bytes) => {
              steps.push(`write at ${offset}`);
              file.write(offset, bytes);
            },
            allocate: async (size) => {
              await new Promise<void>((resolve) => release.push(resolve));
              steps.push('allocated');
              await file.allocate(size);
            },
          };
        },
      };
      const wal = await Wal.create(disk, DIR, metadata, { ...options, sync });
      await save(wal, [entry(1)]);
      steps.length = 0;
      const done = save(wal, [{ ...entry(2), data: Buffer.alloc(100_000, 2) }]);
      expect(done).not.toBeNull();
      release.shift()?.();
      await done;
      expect(steps.map((step) => step.split(' ')[0])).toEqual(['allocated', 'write']);
      memory.crash(() => false);
      expect((await Wal.open(memory, DIR, options)).entries).toHaveLength(2);
    },
  );

  test('an unfinished creation leaves no log behind', async () => {
    const disk = await newDisk();
    disk.setFault((operation, path) => {
      if (operation === 'sync' && path.endsWith('.wal')) throw new Error('EIO');
    });
    await expect(Wal.create(disk, DIR, metadata, options)).rejects.toThrow('EIO');
    disk.setFault(null);
    disk.crash(() => true);
    expect(await Wal.exists(disk, DIR)).toBe(false);
    await Wal.create(disk, DIR, metadata, options);
    disk.crash(() => false);
    expect(await Wal.exists(disk, DIR)).toBe(true);
  });
});

describe('segments', () => {
  const small = { segmentBytes: 4096 };

  async function filled(segments: number, more: Partial<WalOptions> = {}) {
    const { disk, wal } = await newWal({ ...small, ...more });
    let index = 0;
    while ((await walFiles(disk)).length < segments) {
      index++;
      await save(wal, [entry(index, 1, 'x'.repeat(100))], state(1, index - 1));
    }
    return { disk, wal, last: index };
  }

  test('are named by sequence and next index and recovered as one log', async () => {
    const { disk, wal, last } = await filled(4);
    const files = await walFiles(disk);
    expect(files[0]).toBe('0000000000000000-0000000000000000.wal');
    expect(files[3]).toBe(`0000000000000003-${(last + 1).toString(16).padStart(16, '0')}.wal`);
    await wal.close();
    expect((await disk.list(DIR)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    const back = await Wal.open(disk, DIR, options);
    expect(back.entries.map((e) => e.index)).toEqual(Array.from({ length: last }, (_, i) => i + 1));
    expect(back.hardState).toEqual(state(1, last - 1));
  });

  test('the new one repeats the hard state before anything is appended to it', async () => {
    const { disk, wal, last } = await filled(2);
    const next = last + 1;
    await wal.append({ entries: [], hardState: state(1, last), mustSync: false });
    await save(wal, [{ ...entry(next), data: Buffer.alloc(5000) }], state(1, next));
    disk.crash(() => false);
    const name = must(parseSegmentFile((await walFiles(disk)).at(-1) ?? ''), 'a segment');
    const file = await disk.open(`${DIR}/${name.file}`, 'read');
    const header = readSegment(name, Buffer.from(await file.read(0, await file.size())), true);
    expect(header.state).toEqual(state(1, next));
    expect(header.entries).toEqual([]);
    const back = await Wal.open(disk, DIR, options);
    expect(back.hardState).toEqual(state(1, next));
    await back.wal.saveSnapshot(mark(next));
    await back.wal.close();
    // The last segment holds no entry and no append with a state, only its header and the mark.
    const first = (await walFiles(disk))[0];
    await disk.remove(`${DIR}/${first}`);
    const later = await Wal.open(disk, DIR, options);
    expect(later.hardState).toEqual(state(1, next));
    expect(later.snapshot).toEqual(mark(next));
    expect(later.entries).toEqual([]);
  });

  test('are released below a snapshot, but never below the number to keep', async () => {
    const { disk, wal, last } = await filled(9, { walsMax: 3 });
    const files = await walFiles(disk);
    await wal.saveSnapshot(mark(last - 1));
    await wal.release(30);
    const afterFirst = await walFiles(disk);
    expect(afterFirst.length).toBeLessThan(files.length);
    const needed = files.filter((name) => Number.parseInt(name.slice(17, 33), 16) >= 30);
    expect(afterFirst).toEqual(expect.arrayContaining(needed));
    await wal.release(last - 1);
    expect(await walFiles(disk)).toEqual(files.slice(-3));
    disk.crash(() => false);
    const back = await Wal.open(disk, DIR, options);
    expect(back.snapshot).toEqual(mark(last - 1));
    expect(back.entries.map((e) => e.index)).toEqual([last]);
  });

  test('are all kept when the number to keep is 0', async () => {
    const { disk, wal, last } = await filled(5, { walsMax: 0 });
    await wal.saveSnapshot(mark(last - 1));
    await wal.release(last - 1);
    expect(await walFiles(disk)).toHaveLength(5);
  });

  test('a missing, a reordered and a foreign one are refused', async () => {
    const { disk, wal } = await filled(4);
    await wal.close();
    const files = await walFiles(disk);
    await disk.rename(`${DIR}/${files[1]}`, '/data/aside');
    await expect(Wal.open(disk, DIR, options)).rejects.toThrow(/is missing/);
    await disk.rename(`${DIR}/${files[2]}`, `${DIR}/${files[1]}`);
    await disk.rename('/data/aside', `${DIR}/${files[2]}`);
    await expect(Wal.open(disk, DIR, options)).rejects.toThrow(/crc chain mismatch/);
  });

  test('damage in an earlier one is refused even where it looks torn', async () => {
    const { disk, wal } = await filled(3);
    await wal.close();
    const path = `${DIR}/${(await walFiles(disk))[1]}`;
    const file = await disk.open(path, 'write');
    const size = await file.size();
    await file.truncate(size - 8);
    const error = await Wal.open(disk, DIR, options).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(WalCorruptError);
    expect(error).toMatchObject({ file: path.slice(DIR.length + 1) });
  });
});

describe('snapshot marks', () => {
  test('the last one that is committed is where the log begins', async () => {
    const { disk, wal } = await newWal();
    await save(wal, entries(1, 10), state(1, 8));
    await wal.saveSnapshot(mark(4));
    await wal.saveSnapshot(mark(7));
    await save(wal, entries(11, 12));
    await wal.close();
    const back = await Wal.open(disk, DIR, options);
    expect(back.snapshot).toEqual(mark(7));
    expect(back.entries.map((e) => e.index)).toEqual([8, 9, 10, 11, 12]);
  });

  test('one that was received replaces a log that does not hold its entry', async () => {
    const { disk, wal } = await newWal();
    await save(wal, entries(1, 9), state(1, 2));
    await wal.saveSnapshot(mark(5, 3), state(3, 5));
    disk.crash(() => false);
    const back = await Wal.open(disk, DIR, options);
    expect(back.snapshot).toEqual(mark(5, 3));
    expect(back.entries).toEqual([]);
    expect(back.hardState).toEqual(state(3, 5));
    await save(back.wal, entries(6, 7, 3));
    await back.wal.saveSnapshot(mark(5, 3));
    await back.wal.close();
    const again = await Wal.open(disk, DIR, options);
    expect(again.entries.map((e) => `${e.term}/${e.index}`)).toEqual(['3/6', '3/7']);
  });

  test('one beyond the log lets the index jump', async () => {
    const { disk, wal } = await newWal();
    await save(wal, entries(1, 2), state(1, 2));
    await wal.saveSnapshot(mark(6005, 2), state(2, 6005));
    await save(wal, [entry(6006, 2)]);
    await wal.close();
    const back = await Wal.open(disk, DIR, options);
    expect(back.entries.map((e) => e.index)).toEqual([6006]);
    expect(back.wal.lastIndex).toBe(6006);
  });
});

/** What a crashed and recovered log must at least and may at most hold. */
interface Model {
  synced: Entry[];
  attempted: Entry[];
  state: HardState;
  snapshotIndex: number;
}

async function randomAppend(wal: Wal, model: Model, below: (n: number) => number): Promise<void> {
  const lastTerm = model.state.term;
  const term = lastTerm + (below(4) === 0 ? 1 : 0);
  const last = model.attempted.length;
  // Now and then a new term overwrites entries that are not committed.
  const from = term > lastTerm ? last + 1 - below(last - model.state.commit + 1) : last + 1;
  const list: Entry[] = [];
  for (let i = below(6); i >= 0; i--) {
    const size = below(5) === 0 ? below(9000) : below(200);
    list.push({ ...entry(from + list.length, term), data: Buffer.alloc(size, below(256)) });
  }
  const commit = Math.min(model.state.commit + below(4), from + list.length - 1);
  const next = state(term, Math.max(model.state.commit, Math.min(commit, from)));
  model.attempted = [...model.attempted.slice(0, from - 1), ...list];
  await wal.append({ entries: list, hardState: next, mustSync: true });
  model.synced = model.attempted;
  model.state = next;
  if (below(10) === 0 && next.commit > model.snapshotIndex) {
    const term = model.synced[next.commit - 1]?.term ?? 0;
    await wal.saveSnapshot(mark(next.commit, term));
    model.snapshotIndex = next.commit;
    if (below(2) === 0) await wal.release(next.commit);
  }
}

const same = (a: Entry | undefined, b: Entry | undefined) =>
  a?.term === b?.term &&
  Buffer.compare(a?.data ?? Buffer.alloc(0), b?.data ?? Buffer.alloc(0)) === 0;

describe('crashes', () => {
  test.each(Array.from({ length: 60 }, (_, seed) => seed))(
    'nothing synced is lost, seed %i',
    async (seed) => {
      const { below } = seededRandom(seed);
      const disk = await newDisk();
      const chosen = { clock, segmentBytes: 20_000, walsMax: 2 } as const;
      const sync = below(2) === 0 ? 'pool' : 'loop';
      let wal = await Wal.create(disk, DIR, metadata, { ...chosen, sync });
      const model: Model = { synced: [], attempted: [], state: state(1, 0), snapshotIndex: 0 };
      for (let life = 0; life < 8; life++) {
        const appends = 1 + below(25);
        for (let i = 0; i < appends; i++) await randomAppend(wal, model, below);
        // The power fails between the write of the last append and its sync, or in a later step.
        let countdown = 1 + below(3);
        disk.setFault((operation) => {
          if (operation === 'sync' && --countdown <= 0) throw new Error('power failure');
        });
        for (let i = 0; i < 4; i++) {
          try {
            await randomAppend(wal, model, below);
          } catch (cause) {
            expect(String(cause)).toContain('power failure');
            break;
          }
        }
        disk.setFault(null);
        disk.crash(() => below(2) === 0);
        const back = await Wal.open(disk, DIR, { ...chosen, sync });
        checkRecovered(back, model);
        wal = back.wal;
        model.attempted = [...model.synced.slice(0, back.snapshot.index), ...back.entries];
        model.synced = model.attempted;
        model.state = back.hardState;
        model.snapshotIndex = back.snapshot.index;
      }
    },
  );

  function checkRecovered(back: Awaited<ReturnType<typeof Wal.open>>, model: Model): void {
    expect(back.snapshot.index).toBeGreaterThanOrEqual(model.snapshotIndex);
    expect(back.hardState.term).toBeGreaterThanOrEqual(model.state.term);
    expect(back.hardState.commit).toBeGreaterThanOrEqual(model.state.commit);
    const log = [...model.attempted.slice(0, back.snapshot.index), ...back.entries];
    const overwrites = model.attempted.findIndex((e, i) => !same(e, model.synced[i]));
    log.forEach((e, i) => {
      expect(same(e, model.synced[i]) || same(e, model.attempted[i])).toBe(true);
    });
    // Whatever the interrupted append did not touch is there to the end.
    const kept = overwrites < 0 ? model.synced.length : overwrites;
    expect(log.length).toBeGreaterThanOrEqual(Math.min(kept, model.synced.length));
    expect(log.slice(0, kept).every((e, i) => same(e, model.synced[i]))).toBe(true);
  }

  test('what a killed process has not synced is durable once it was read', async () => {
    const { disk, wal } = await newWal();
    await save(wal, entries(1, 2), state(1, 1));
    disk.setFault((operation) => {
      if (operation === 'sync') throw new Error('killed');
    });
    expect(() => save(wal, [entry(3)])).toThrow('killed');
    disk.abandon();
    disk.setFault(null);
    const back = await Wal.open(disk, DIR, options);
    expect(back.entries).toHaveLength(3);
    disk.crash(() => false);
    expect((await Wal.open(disk, DIR, options)).entries).toHaveLength(3);
  });

  test('a torn append is cut and reported, and the log goes on behind the cut', async () => {
    const { disk, wal } = await newWal({ sync: 'pool' });
    await save(wal, entries(1, 3), state(1, 3));
    const big = [4, 5, 6, 7].map((i) => ({ ...entry(i, 2), data: Buffer.alloc(BLOCK_BYTES, i) }));
    disk.setFault((operation) => {
      if (operation === 'sync') throw new Error('power failure');
    });
    await expect(save(wal, big, state(2, 3))).rejects.toThrow('power failure');
    disk.setFault(null);
    disk.crash((what) => what.kind === 'block' && what.block !== 2);
    const back = await Wal.open(disk, DIR, options);
    expect(back.repaired).toMatchObject({ file: '0000000000000000-0000000000000000.wal' });
    expect(back.entries.map((e) => e.index)).toEqual([1, 2, 3, 4]);
    // The state record of the append is lost, and the term of its entry is known all the same.
    expect(back.hardState).toEqual({ term: 2, vote: null, commit: 3 });
    await save(back.wal, [entry(5, 3)], state(3, 5));
    await back.wal.close();
    const again = await Wal.open(disk, DIR, options);
    expect(again.repaired).toBeNull();
    expect(again.entries.map((e) => `${e.term}/${e.index}`)).toEqual([
      '1/1',
      '1/2',
      '1/3',
      '2/4',
      '3/5',
    ]);
  });
});
