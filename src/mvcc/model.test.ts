/**
 * Random requests against the store and against the plainest model there is: a list of all changes
 * ever made, searched from the end. Includes compaction, interruption and restart.
 */

import { describe, expect, it } from 'vitest';
import { MemoryRows } from '../../test/support/memory-rows.ts';
import { SortOrder, SortTarget } from '../codec/gen/etcdserverpb.ts';
import { decodeKeyValue, type KeyValue } from '../codec/key-value.ts';
import { EtcdError, errors } from '../errors.ts';
import { seededRandom } from '../platform/random.ts';
import type { Random } from '../ports.ts';
import { type Key, type LeaseId, NO_LEASE } from '../types.ts';
import type { Event } from './event.ts';
import { FROM_KEY } from './key-range.ts';
import { type ReadOptions, readOptions } from './range.ts';
import { KvStore } from './store.ts';
import type { WriteTxn } from './write-txn.ts';

const NONE = '' as Key;

/** A change; `pair` null for a deletion. */
interface Change {
  readonly revision: number;
  readonly key: Key;
  readonly pair: KeyValue | null;
}

class Model {
  readonly changes: Change[] = [];
  revision = 1;
  compactRevision = -1;

  at(key: Key, revision: number): KeyValue | null {
    const seen = this.changes.findLast((item) => item.key === key && item.revision <= revision);
    return seen?.pair ?? null;
  }

  put(key: Key, value: string, lease: LeaseId): void {
    const revision = this.revision + 1;
    const before = this.at(key, revision);
    const pair = {
      key,
      createRevision: before?.createRevision ?? revision,
      modRevision: revision,
      version: (before?.version ?? 0) + 1,
      value: Buffer.from(value),
      lease,
    };
    this.changes.push({ revision, key, pair });
  }

  deleteRange(key: Key, rangeEnd: Key): Key[] {
    const revision = this.revision + 1;
    const keys = this.pairs(key, rangeEnd, revision).map((pair) => pair.key);
    for (const deleted of keys) this.changes.push({ revision, key: deleted, pair: null });
    return keys;
  }

  pairs(key: Key, rangeEnd: Key, revision: number): KeyValue[] {
    const inside = (other: Key) => {
      if (rangeEnd === NONE) return other === key;
      return other >= key && (rangeEnd === FROM_KEY || other < rangeEnd);
    };
    const keys = [...new Set(this.changes.map((item) => item.key))].filter(inside).sort();
    return keys.flatMap((other) => this.at(other, revision) ?? []);
  }

  range(options: ReadOptions): { kvs: KeyValue[]; count: number; more: boolean } | EtcdError {
    const { limit, sortOrder, sortTarget } = options;
    if (options.revision > this.revision) return errors.futureRev;
    const revision = options.revision <= 0 ? this.revision : options.revision;
    if (revision < this.compactRevision) return errors.compacted;
    const all = this.pairs(options.key, options.rangeEnd, revision);
    const count = all.length;
    if (options.countOnly) return { kvs: [], count, more: false };
    const sorted = all.filter(
      (pair) =>
        (options.minModRevision === 0 || pair.modRevision >= options.minModRevision) &&
        (options.maxCreateRevision === 0 || pair.createRevision <= options.maxCreateRevision),
    );
    if (sortTarget === SortTarget.CREATE) {
      sorted.sort((a, b) => a.createRevision - b.createRevision);
    }
    if (sortOrder === SortOrder.DESCEND) sorted.reverse();
    const more = limit > 0 && sorted.length > limit;
    return { kvs: more ? sorted.slice(0, limit) : sorted, count, more };
  }
}

const KEYS = ['a', 'a\x00', 'ab', 'abc', 'b', 'ba', 'c', 'c\xff', '\xff'] as Key[];
const ENDS = [NONE, NONE, FROM_KEY, ...KEYS];

interface Bench {
  readonly random: Random;
  readonly model: Model;
  readonly rows: MemoryRows;
  store: KvStore;
  readonly events: Event[];
}

function pick<T>(random: Random, items: readonly T[]): T {
  return items[random.below(items.length)] as T;
}

function change({ random, model }: Bench, txn: WriteTxn): void {
  const key = pick(random, KEYS);
  if (random.below(3) > 0) {
    const lease = (random.below(3) === 0 ? BigInt(random.below(3)) - 1n : NO_LEASE) as LeaseId;
    const value = `${random.below(1000)}`;
    const before = model.at(key, model.revision + 1);
    const { prev, prevLease } = txn.put(key, Buffer.from(value), lease);
    expect(prev === null ? null : decodeKeyValue(prev)).toEqual(before);
    expect(prevLease).toBe(before?.lease ?? NO_LEASE);
    model.put(key, value, lease);
  } else {
    const rangeEnd = pick(random, ENDS);
    const deleted = txn.deleteRange(key, rangeEnd).map((item) => item.key);
    expect(deleted).toEqual(model.deleteRange(key, rangeEnd));
  }
}

function write(bench: Bench): void {
  const { random, model, store, events } = bench;
  const txn = store.write();
  for (let i = random.below(4); i >= 0; i--) change(bench, txn);
  const result = txn.end();
  if (model.changes.at(-1)?.revision === model.revision + 1) model.revision++;
  expect(result.revision).toBe(model.revision);
  events.push(...result.events);
}

function read({ random, model, store }: Bench): void {
  const sortTarget = pick(random, [SortTarget.KEY, SortTarget.CREATE]);
  const options: ReadOptions = {
    ...readOptions(pick(random, KEYS), pick(random, ENDS)),
    revision: random.below(2) === 0 ? 0 : random.below(model.revision + 2),
    limit: random.below(4),
    sortTarget,
    sortOrder: pick(random, [SortOrder.ASCEND, SortOrder.DESCEND]),
    countOnly: random.below(8) === 0,
    minModRevision: random.below(4) === 0 ? random.below(model.revision) : 0,
    maxCreateRevision: random.below(4) === 0 ? random.below(model.revision) : 0,
  };
  const expected = model.range(options);
  const result = store.range(options);
  if (expected instanceof EtcdError || result instanceof EtcdError) {
    expect(result).toBe(expected);
    return;
  }
  expect(result).toMatchObject({ count: expected.count, more: expected.more });
  // Keys created by one request have equal create revisions, whose order is open.
  const order = (pairs: readonly KeyValue[]) => pairs.map((pair) => pair.createRevision);
  const kvs = result.kvs.map(decodeKeyValue);
  if (sortTarget === SortTarget.KEY) expect(kvs).toEqual(expected.kvs);
  else expect(order(kvs)).toEqual(order(expected.kvs));
}

async function compact(bench: Bench): Promise<void> {
  const { random, model, store } = bench;
  const above = random.below(model.revision - model.compactRevision + 2);
  // etcd: a compaction to 0 keeps its hash as that of revision 0, which then hides the current one.
  const revision = Math.max(model.compactRevision + above, 1);
  const refused =
    revision <= model.compactRevision
      ? errors.compacted
      : revision > model.revision
        ? errors.futureRev
        : null;
  expect(store.compact(revision)).toBe(refused);
  if (refused === null) model.compactRevision = revision;
  const before = await store.hashKv(0);
  const stop = new AbortController();
  await store.runCompaction(() => {
    if (random.below(20) === 0) stop.abort();
    return Promise.resolve();
  }, stop.signal);
  // etcd: with no live key nothing is left out of the hash, so it shows what is not yet deleted.
  if (store.keyCount > 0) expect(await store.hashKv(0)).toEqual(before);
}

async function restart(bench: Bench): Promise<void> {
  const before = await bench.store.hashKv(0);
  bench.store = await KvStore.open(bench.rows, { compactionBatchLimit: 7 });
  expect(bench.store.revision).toBe(bench.model.revision);
  expect(bench.store.compactRevision).toBe(bench.model.compactRevision);
  const after = await bench.store.hashKv(bench.store.revision);
  expect(after).toEqual(before);
}

async function checkAll({ model, store, events }: Bench): Promise<void> {
  const first = Math.max(model.compactRevision, 1);
  for (let revision = first; revision <= model.revision; revision++) {
    for (const key of KEYS) {
      const seen = store.at(key, revision);
      expect(seen === null ? null : decodeKeyValue(seen)).toEqual(model.at(key, revision));
    }
  }
  const live = model.pairs('\x00' as Key, FROM_KEY, model.revision);
  expect(store.keyCount).toBe(live.length);
  const from = first + 1;
  const history = await store.eventsBetween(from, model.revision);
  const expected = events.filter((event) => event.revision >= from);
  expect(history).toEqual({ events: expected, next: model.revision + 1 });
}

describe.each(Array.from({ length: 20 }, (_, i) => i + 1))('seed %d', (seed) => {
  it('agrees with the model', { timeout: 60_000 }, async () => {
    const rows = new MemoryRows();
    const store = await KvStore.open(rows, { compactionBatchLimit: 7 });
    const bench: Bench = {
      random: seededRandom(seed),
      model: new Model(),
      rows,
      store,
      events: [],
    };
    for (let step = 0; step < 400; step++) {
      const dice = bench.random.below(40);
      if (dice === 0) await compact(bench);
      else if (dice === 1) await restart(bench);
      else if (dice < 15) write(bench);
      else read(bench);
      if (step % 100 === 99) await checkAll(bench);
    }
  });
});
