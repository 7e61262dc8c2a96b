import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MemoryRows } from '../../test/support/memory-rows.ts';
import { bucketRange, buckets } from '../buckets.ts';
import { EtcdError, errors } from '../errors.ts';
import { type Key, keyFromText, NO_LEASE } from '../types.ts';
import { FROM_KEY } from './key-range.ts';
import { parseRecordKey } from './record.ts';
import { KvStore } from './store.ts';

const k = keyFromText;
const NONE = '' as Key;
const text = (value: string) => Buffer.from(value);
const never = new AbortController().signal;
const noPause = () => Promise.resolve();

async function hashOf(store: KvStore, revision = 0): Promise<number> {
  const result = await store.hashKv(revision);
  if (result instanceof EtcdError) throw result;
  return result.hash;
}

function put(store: KvStore, key: string, value: string): void {
  const txn = store.write();
  txn.put(k(key), text(value), NO_LEASE);
  txn.end();
}

function remove(store: KvStore, key: string): void {
  const txn = store.write();
  txn.deleteRange(k(key), NONE);
  txn.end();
}

/** `hash/compactRevision`, as a real etcd 3.7.1 gave them. */
async function asked(store: KvStore, revision: number): Promise<string> {
  const result = await store.hashKv(revision);
  return result instanceof EtcdError ? result.message : `${result.hash}/${result.compactRevision}`;
}

async function compact(store: KvStore, revision: number): Promise<void> {
  expect(store.compact(revision)).toBeNull();
  await store.runCompaction(noPause, never);
}

async function entries(rows: MemoryRows): Promise<string> {
  const page = await rows.scan({ ...bucketRange(buckets.key), limit: 1000 });
  return page
    .map((row) => parseRecordKey(row.key))
    .map(({ main, sub, tombstone }) => `${main}_${sub}${tombstone ? 't' : ''}`)
    .join(' ');
}

describe('HashKV of a history worked through with a real etcd', () => {
  let rows = new MemoryRows();
  let store: KvStore;

  beforeAll(async () => {
    rows = new MemoryRows();
    store = await KvStore.open(rows);
  });

  it('starts with the checksum of the bucket name', async () => {
    expect(await hashOf(store)).toBe(1084519789);
  });

  it('covers puts', async () => {
    put(store, 'a', '1');
    expect(await hashOf(store)).toBe(2587454935);
    put(store, 'a', '2');
    expect(await hashOf(store)).toBe(535221974);
    put(store, 'b', 'x');
    expect(await hashOf(store)).toBe(1523780942);
  });

  it('covers several changes under one revision, and tombstones', async () => {
    const txn = store.write();
    txn.put(k('a'), text('3'), NO_LEASE);
    txn.put(k('c'), text('y'), NO_LEASE);
    txn.deleteRange(k('b'), NONE);
    expect(txn.end().revision).toBe(5);
    expect(await hashOf(store)).toBe(3282933944);
    remove(store, 'c');
    expect(await hashOf(store)).toBe(1272601963);
    expect(await entries(rows)).toBe('2_0 3_0 4_0 5_0 5_1 5_2t 6_0t');
  });

  it('is the same before and after what a compaction made unreachable is deleted', async () => {
    expect(store.compact(4)).toBeNull();
    expect(await hashOf(store)).toBe(2279845311);
    expect(await hashOf(store, 5)).toBe(2810257120);
    await store.runCompaction(noPause, never);
    expect(await entries(rows)).toBe('3_0 4_0 5_0 5_1 5_2t 6_0t');
    expect(await hashOf(store)).toBe(2279845311);
    expect(await hashOf(store, 5)).toBe(2810257120);
    expect(await hashOf(store, 6)).toBe(2279845311);
    expect(await store.hashKv(3)).toBe(errors.compacted);
    expect(await store.hashKv(7)).toBe(errors.futureRev);
    expect(await store.hashKv(-1)).toEqual({
      hash: 1084519789,
      hashRevision: -1,
      compactRevision: 4,
      currentRevision: 6,
    });
  });

  it('leaves the tombstone at the compacted revision out', async () => {
    put(store, 'c', 'z');
    expect(await hashOf(store)).toBe(1647167592);
    remove(store, 'a');
    expect(await hashOf(store)).toBe(2710361776);
    await compact(store, 8);
    expect(await entries(rows)).toBe('7_0 8_0t');
    put(store, 'd', 'q');
    expect(await hashOf(store)).toBe(1871435026);
  });

  it('is the same after a restart', async () => {
    const reopened = await KvStore.open(rows);
    expect(reopened.revision).toBe(9);
    expect(reopened.compactRevision).toBe(8);
    expect(await hashOf(reopened)).toBe(1871435026);
    // The hashes of compactions are gone, so this one is computed, with the tombstone left out.
    expect(await hashOf(reopened, 8)).toBe(3452033882);
  });
});

it('equals a real etcd over twenty thousand keys', async () => {
  const store = await KvStore.open(new MemoryRows());
  for (let i = 0; i < 20_000; i++) {
    put(store, `key${i}`, i % 500 === 7 ? 'x'.repeat(20_000) : `value${i}`);
  }
  expect(await hashOf(store)).toBe(3152753984);
});

describe('hashes computed by compactions', () => {
  it('equal the hash just before, and are served with the compact revision before', async () => {
    const store = await KvStore.open(new MemoryRows());
    for (let i = 0; i < 20; i++) put(store, `k${i % 7}`, `${i}`);
    await compact(store, 5);
    const before = await hashOf(store, 15);
    await compact(store, 15);
    expect(await store.hashKv(15)).toEqual({
      hash: before,
      hashRevision: 15,
      compactRevision: 5,
      currentRevision: 21,
    });
  });

  it('are kept for the last ten compactions', async () => {
    const store = await KvStore.open(new MemoryRows());
    for (let i = 0; i < 20; i++) put(store, 'k', `${i}`);
    for (let revision = 2; revision < 14; revision++) await compact(store, revision);
    const revisions = store.compactionHashes().map((hash) => hash.revision);
    expect(revisions).toEqual([4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
  });

  it('are not kept when the compaction before had not finished', async () => {
    const rows = new MemoryRows();
    const store = await KvStore.open(rows);
    for (let i = 0; i < 5; i++) put(store, 'k', `${i}`);
    expect(store.compact(3)).toBeNull();
    expect(store.compact(4)).toBeNull();
    await store.runCompaction(noPause, never);
    expect(store.compactionHashes().map((hash) => hash.revision)).toEqual([3]);
    expect(await entries(rows)).toBe('4_0 5_0 6_0');
  });
});

describe('corners, worked through with etcd 3.7.1', () => {
  let rows = new MemoryRows();
  let store: KvStore;

  beforeEach(async () => {
    rows = new MemoryRows();
    store = await KvStore.open(rows);
  });

  it('compacted to 0: the stale hash is served for the current revision', async () => {
    await compact(store, 0);
    put(store, 'a', '1');
    expect(await asked(store, 0)).toBe('1084519789/-1');
    expect(await asked(store, 2)).toBe('2587454935/0');
    put(store, 'a', '2');
    expect(await asked(store, 0)).toBe('1084519789/-1');
    expect(await asked(store, 3)).toBe('535221974/0');
  });

  it('compacted to the deletion of the only key', async () => {
    put(store, 'a', '1');
    await compact(store, 2);
    remove(store, 'a');
    // No key is left to keep, so nothing is left out.
    expect(await asked(store, 0)).toBe('3520211144/2');
    await compact(store, 3);
    expect(await asked(store, 3)).toBe('3681333679/2');
    expect(await asked(store, 0)).toBe('1084519789/3');
    put(store, 'b', '1');
    expect(await asked(store, 0)).toBe('3584256279/3');
    store = await KvStore.open(rows);
    expect(await asked(store, 3)).toBe('1084519789/3');
    expect(await asked(store, 0)).toBe('3584256279/3');
  });

  it('every key deleted since the compaction', async () => {
    put(store, 'a', '1');
    put(store, 'a', '2');
    await compact(store, 3);
    remove(store, 'a');
    expect(await asked(store, 0)).toBe('573317793/3');
    expect(await asked(store, 3)).toBe('535221974/-1');
    store = await KvStore.open(rows);
    expect(await asked(store, 0)).toBe('573317793/3');
    expect(await asked(store, 3)).toBe('1483641527/3');
  });

  it('a key put and deleted under the compacted revision', async () => {
    put(store, 'a', '1');
    const txn = store.write();
    txn.put(k('b'), text('2'), NO_LEASE);
    txn.deleteRange(k('a'), FROM_KEY);
    txn.end();
    expect(await asked(store, 0)).toBe('2621805196/-1');
    expect(await asked(store, 2)).toBe('2587454935/-1');
    await compact(store, 3);
    expect(await asked(store, 3)).toBe('2621805196/-1');
    expect(await asked(store, 0)).toBe('1084519789/3');
    put(store, 'b', '2');
    expect(await asked(store, 0)).toBe('3337853667/3');
    store = await KvStore.open(rows);
    expect(await asked(store, 3)).toBe('1084519789/3');
    expect(await asked(store, 0)).toBe('3337853667/3');
  });
});
