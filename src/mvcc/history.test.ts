import { describe, expect, it } from 'vitest';
import { MemoryRows } from '../../test/support/memory-rows.ts';
import { EtcdError, errors } from '../errors.ts';
import { limits } from '../limits.ts';
import { type Key, keyFromText, NO_LEASE } from '../types.ts';
import type { Event } from './event.ts';
import { FROM_KEY } from './key-range.ts';
import { KvStore } from './store.ts';

const k = keyFromText;
const never = new AbortController().signal;

function write(store: KvStore, change: (txn: ReturnType<KvStore['write']>) => void) {
  const txn = store.write();
  change(txn);
  return txn.end().events;
}

const put = (store: KvStore, key: string, value = 'v') =>
  write(store, (txn) => txn.put(k(key), Buffer.from(value), NO_LEASE));

async function history(store: KvStore, from: number, to: number, revisionsMax?: number) {
  const result = await store.eventsBetween(from, to, revisionsMax);
  if (result instanceof EtcdError) throw result;
  return result;
}

describe('history', () => {
  it('consists of the events as they were published', async () => {
    const store = await KvStore.open(new MemoryRows());
    const published: Event[] = [];
    published.push(...put(store, 'a'), ...put(store, 'b'));
    published.push(
      ...write(store, (txn) => {
        txn.put(k('c'), Buffer.from('x'), NO_LEASE);
        txn.deleteRange(k('a'), FROM_KEY);
      }),
    );
    published.push(...put(store, 'a'));
    expect(await history(store, 2, 5)).toEqual({ events: published, next: 6 });
    const some = published.filter((event) => event.revision === 3 || event.revision === 4);
    expect(await history(store, 3, 4)).toEqual({ events: some, next: 5 });
  });

  it('is cut between revisions, and tells where to go on', async () => {
    const store = await KvStore.open(new MemoryRows());
    for (let i = 0; i < 4; i++) {
      write(store, (txn) => {
        for (let key = 0; key < 200; key++) txn.put(k(`${key}`), Buffer.from('v'), NO_LEASE);
      });
    }
    const first = await history(store, 2, 5, 3);
    expect(first.events).toHaveLength(600);
    expect(first.next).toBe(5);
    const second = await history(store, first.next, 5, 3);
    expect(second.events).toHaveLength(200);
    expect(second.next).toBe(6);
  });

  it('is cut when it grows large, but never inside a revision', async () => {
    const store = await KvStore.open(new MemoryRows());
    const half = 'x'.repeat(limits.watchCatchUpBytesMax / 2);
    for (let i = 0; i < 3; i++) {
      write(store, (txn) => {
        for (const key of ['a', 'b', 'c']) txn.put(k(key), Buffer.from(half), NO_LEASE);
      });
    }
    const { events, next } = await history(store, 2, 4);
    expect(events).toHaveLength(3);
    expect(next).toBe(3);
  });

  it('may skip revisions that a compaction has emptied', async () => {
    const store = await KvStore.open(new MemoryRows());
    for (let i = 0; i < 5; i++) put(store, 'a');
    put(store, 'b');
    expect(store.compact(4)).toBeNull();
    await store.runCompaction(() => Promise.resolve(), never);
    const { events } = await history(store, 4, 7);
    expect(events.map((event) => event.revision)).toEqual([4, 5, 6, 7]);
    expect(await store.eventsBetween(3, 7)).toBe(errors.compacted);
  });

  it('is refused when a compaction overtakes the read', async () => {
    const store = await KvStore.open(new MemoryRows());
    for (let i = 0; i < 5; i++) put(store, 'a');
    const reading = store.eventsBetween(2, 6);
    expect(store.compact(5)).toBeNull();
    expect(await reading).toBe(errors.compacted);
  });

  it('keeps the deletion at the compacted revision', async () => {
    const store = await KvStore.open(new MemoryRows());
    put(store, 'a');
    const deleted = write(store, (txn) => txn.deleteRange(k('a'), '' as Key));
    expect(store.compact(3)).toBeNull();
    await store.runCompaction(() => Promise.resolve(), never);
    expect((await history(store, 3, 3)).events).toEqual(deleted);
  });
});
