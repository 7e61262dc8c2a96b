import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryRows } from '../../test/support/memory-rows.ts';
import { bucketRange, buckets, metaRows } from '../buckets.ts';
import { errors } from '../errors.ts';
import { type Key, keyFromText, NO_LEASE } from '../types.ts';
import { decodeRevisionMark, parseRecordKey } from './record.ts';
import { KvStore } from './store.ts';

const k = keyFromText;
const NONE = '' as Key;
const never = new AbortController().signal;
const noPause = () => Promise.resolve();

let rows = new MemoryRows();
let store: KvStore;

beforeEach(async () => {
  rows = new MemoryRows();
  store = await KvStore.open(rows);
});

function put(key: string): void {
  const txn = store.write();
  txn.put(k(key), Buffer.from('v'), NO_LEASE);
  txn.end();
}

function remove(key: string): void {
  const txn = store.write();
  txn.deleteRange(k(key), NONE);
  txn.end();
}

async function entries(): Promise<string[]> {
  const page = await rows.scan({ ...bucketRange(buckets.key), limit: 10_000 });
  return page
    .map((row) => parseRecordKey(row.key))
    .map(({ main, tombstone }) => `${main}${tombstone ? 't' : ''}`);
}

const mark = (key: keyof typeof metaRows) => decodeRevisionMark(rows.get(metaRows[key]));

describe('which revisions may be compacted', () => {
  it('0 on a store that never was, once', () => {
    expect(store.compact(-1)).toBe(errors.compacted);
    expect(store.compact(0)).toBeNull();
    expect(store.compactRevision).toBe(0);
    expect(store.compact(0)).toBe(errors.compacted);
  });

  it('any from above the last to the current one', () => {
    for (const key of ['a', 'b', 'c']) put(key);
    expect(store.compact(5)).toBe(errors.futureRev);
    expect(store.compact(3)).toBeNull();
    expect(store.compact(3)).toBe(errors.compacted);
    expect(store.compact(2)).toBe(errors.compacted);
    expect(store.compact(4)).toBeNull();
    expect(store.revision).toBe(4);
  });
});

describe('the physical job', () => {
  it('deletes what nobody can see, in batches, and says when it has finished', async () => {
    store = await KvStore.open(rows, { compactionBatchLimit: 3 });
    for (let i = 0; i < 10; i++) put('a');
    remove('a');
    put('b');
    expect(store.compact(13)).toBeNull();
    expect(mark('scheduledCompactRev')).toBe(13);
    expect(mark('finishedCompactRev')).toBeNull();
    expect(await entries()).toHaveLength(12);
    let pauses = 0;
    let waited = false;
    const waiting = store.whenCompacted(never).then(() => {
      waited = true;
    });
    await store.runCompaction(() => {
      pauses++;
      expect(waited).toBe(false);
      return Promise.resolve();
    }, never);
    await waiting;
    expect(pauses).toBe(4);
    expect(await entries()).toEqual(['13']);
    expect(mark('finishedCompactRev')).toBe(13);
    expect(store.compactionPending).toBe(false);
  });

  it('keeps a tombstone at the compacted revision and drops it at the next one', async () => {
    put('a');
    remove('a');
    put('b');
    expect(store.compact(3)).toBeNull();
    await store.runCompaction(noPause, never);
    expect(await entries()).toEqual(['3t', '4']);
    expect(store.compact(4)).toBeNull();
    await store.runCompaction(noPause, never);
    expect(await entries()).toEqual(['4']);
  });

  it('leaves writes alone that are made meanwhile', async () => {
    store = await KvStore.open(rows, { compactionBatchLimit: 2 });
    for (let i = 0; i < 6; i++) put('a');
    expect(store.compact(7)).toBeNull();
    await store.runCompaction(() => {
      put('a');
      put('new');
      return Promise.resolve();
    }, never);
    const left = await entries();
    expect(left[0]).toBe('7');
    expect(left).toHaveLength(store.revision - 6);
    expect(store.at(k('a'), 7)).not.toBeNull();
  });

  it('does not pause when one batch is all', async () => {
    for (let i = 0; i < 900; i++) put('a');
    expect(store.compact(901)).toBeNull();
    await store.runCompaction(() => Promise.reject(new Error('a pause')), never);
    expect(await entries()).toEqual(['901']);
    expect(store.compactionHashes()).toMatchObject([{ revision: 901, compactRevision: -1 }]);
  });

  it('runs compactions one after the other, also those that come meanwhile', async () => {
    store = await KvStore.open(rows, { compactionBatchLimit: 2 });
    for (let i = 0; i < 10; i++) put('a');
    expect(store.compact(3)).toBeNull();
    let more = [5, 6, 8];
    await store.runCompaction(() => {
      for (const revision of more) expect(store.compact(revision)).toBeNull();
      more = [];
      return Promise.resolve();
    }, never);
    expect(await entries()).toEqual(['8', '9', '10', '11']);
    expect(mark('finishedCompactRev')).toBe(8);
    await store.whenCompacted(never);
  });

  it('begins anew after an interruption, and after a restart', async () => {
    store = await KvStore.open(rows, { compactionBatchLimit: 2 });
    for (let i = 0; i < 10; i++) put(i % 2 === 0 ? 'a' : 'b');
    expect(store.compact(9)).toBeNull();
    const stop = new AbortController();
    await store.runCompaction(() => {
      stop.abort();
      return Promise.resolve();
    }, stop.signal);
    expect(store.compactionPending).toBe(true);
    expect(await entries()).toHaveLength(8);

    const restarted = await KvStore.open(rows);
    expect(restarted.compactRevision).toBe(9);
    expect(restarted.compactionPending).toBe(true);
    await restarted.runCompaction(noPause, never);
    expect(await entries()).toEqual(['8', '9', '10', '11']);
    // The hash would have missed what the first attempt had deleted.
    expect(restarted.compactionHashes()).toEqual([]);

    await store.runCompaction(noPause, never);
    expect(store.compactionHashes()).toEqual([]);
    expect(mark('finishedCompactRev')).toBe(9);
  });

  it('waits for a hash that began before the compaction', async () => {
    for (let i = 0; i < 300; i++) put(`k${i % 10}`);
    const undisturbed = await store.hashKv(0);
    let compacting: Promise<void> | null = null;
    let hashing: Promise<unknown> | null = null;
    store = await KvStore.open(rows, {
      breathe: () => {
        if (hashing !== null && store.compactRevision < 200) {
          expect(store.compact(200)).toBeNull();
          compacting = store.runCompaction(noPause, never);
        }
        return Promise.resolve();
      },
    });
    hashing = store.hashKv(0);
    expect(await hashing).toEqual(undisturbed);
    expect(compacting).not.toBeNull();
    await compacting;
    expect(await entries()).toHaveLength(111);
  });
});

describe('waiting for the physical job', () => {
  it('ends at once when there is nothing to do', async () => {
    await store.whenCompacted(never);
  });

  it('ends when its caller gives up', async () => {
    put('a');
    expect(store.compact(2)).toBeNull();
    const caller = new AbortController();
    const waiting = store.whenCompacted(caller.signal);
    caller.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    await expect(store.whenCompacted(caller.signal)).rejects.toThrow('gone');
    await store.runCompaction(noPause, never);
  });
});

it('a store whose only marks are of a bumped revision opens at that revision', async () => {
  put('a');
  expect(store.compact(2)).toBeNull();
  const bumped = new MemoryRows();
  bumped.put(
    metaRows.scheduledCompactRev,
    Buffer.from(rows.get(metaRows.scheduledCompactRev) ?? []),
  );
  const opened = await KvStore.open(bumped);
  expect(opened.revision).toBe(2);
  expect(opened.compactRevision).toBe(2);
});
