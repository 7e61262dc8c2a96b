import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryRows } from '../../test/support/memory-rows.ts';
import { must } from '../assert.ts';
import { SortOrder, SortTarget } from '../codec/gen/etcdserverpb.ts';
import { decodeKeyValue, type EncodedKeyValue, keyOf } from '../codec/key-value.ts';
import { EtcdError, errors } from '../errors.ts';
import { type Key, keyFromText, type LeaseId, NO_LEASE } from '../types.ts';
import type { Event } from './event.ts';
import { FROM_KEY } from './key-range.ts';
import { type RangeResult, type ReadOptions, readOptions } from './range.ts';
import { KvStore } from './store.ts';

const k = keyFromText;
const NONE = '' as Key;
const LEASE = 0x1an as LeaseId;
const never = new AbortController().signal;
const noPause = () => Promise.resolve();

let rows = new MemoryRows();
let store: KvStore;

beforeEach(async () => {
  rows = new MemoryRows();
  store = await KvStore.open(rows);
});

function put(key: string, value = 'v', lease = NO_LEASE): void {
  const txn = store.write();
  txn.put(k(key), Buffer.from(value), lease);
  txn.end();
}

function remove(key: string, rangeEnd: Key = NONE): number {
  const txn = store.write();
  const deleted = txn.deleteRange(k(key), rangeEnd);
  txn.end();
  return deleted.length;
}

function range(key: string, rangeEnd: Key = NONE, more: Partial<ReadOptions> = {}): RangeResult {
  const result = store.range({ ...readOptions(k(key), rangeEnd), ...more });
  if (result instanceof EtcdError) throw result;
  return result;
}

function refusal(key: string, more: Partial<ReadOptions>): unknown {
  return store.range({ ...readOptions(k(key)), ...more });
}

const keysOf = (result: RangeResult) => result.kvs.map(keyOf).join(' ');
const valueOf1 = (kv: EncodedKeyValue) => Buffer.from(decodeKeyValue(kv).value).toString();
const all: readonly [string, Key] = ['\x00', FROM_KEY];

describe('revisions', () => {
  it('begin at 1, with nothing in the store', () => {
    expect(range('a')).toEqual({ kvs: [], count: 0, more: false, revision: 1 });
    expect(store.compactRevision).toBe(-1);
  });

  it('grow by one per request that changes something', () => {
    put('a', 'x');
    expect(store.revision).toBe(2);
    put('a', 'x');
    expect(store.revision).toBe(3);
    const [kv] = range('a').kvs;
    expect(decodeKeyValue(must(kv, 'a'))).toMatchObject({
      createRevision: 2,
      modRevision: 3,
      version: 2,
    });
  });

  it('do not grow when a delete matches nothing', () => {
    put('a');
    expect(remove('b')).toBe(0);
    expect(remove('b', k('a'))).toBe(0);
    expect(store.revision).toBe(2);
  });

  it('start a new generation after a delete', () => {
    put('a');
    remove('a');
    put('a');
    const state = store.get(k('a'));
    expect(state).toMatchObject({ createRevision: 4, modRevision: 4, version: 1 });
  });
});

describe('a write transaction', () => {
  it('gives all its changes one revision, in order', () => {
    put('b', 'old', LEASE);
    const txn = store.write();
    expect(txn.revision).toBe(2);
    txn.put(k('c'), Buffer.from('1'), NO_LEASE);
    expect(txn.revision).toBe(3);
    const deleted = txn.deleteRange(k('a'), FROM_KEY);
    expect(deleted.map((item) => item.key)).toEqual(['b', 'c']);
    expect(deleted.map((item) => item.prevLease)).toEqual([LEASE, NO_LEASE]);
    expect(deleted.map((item) => valueOf1(must(item.prev, 'prev')))).toEqual(['old', '1']);
    expect(txn.deleteRange(k('a'), FROM_KEY)).toEqual([]);
    const { revision, events } = txn.end();
    expect(revision).toBe(3);
    expect(events.map(summary)).toEqual(['put c 3', 'delete b 3', 'delete c 3']);
    expect(store.keyCount).toBe(0);
  });

  it('sees its own changes, and the state before at an explicit revision', () => {
    put('a', 'before');
    const txn = store.write();
    const before = txn.range(readOptions(k('a'))) as RangeResult;
    expect(before.revision).toBe(2);
    txn.put(k('a'), Buffer.from('after'), NO_LEASE);
    const after = txn.range(readOptions(k('a'))) as RangeResult;
    expect(after.revision).toBe(3);
    expect(after.kvs.map(valueOf1)).toEqual(['after']);
    const pinned = txn.range({ ...readOptions(k('a')), revision: 2 }) as RangeResult;
    expect(pinned.kvs.map(valueOf1)).toEqual(['before']);
    txn.end();
  });

  it('tells the pair and the lease before a put', () => {
    put('a', 'one', LEASE);
    const txn = store.write();
    const first = txn.put(k('a'), Buffer.from('two'), NO_LEASE);
    expect(first.prevLease).toBe(LEASE);
    expect(valueOf1(must(first.prev, 'prev'))).toBe('one');
    expect(txn.put(k('a'), Buffer.from('three'), NO_LEASE, false).prev).toBeNull();
    expect(txn.put(k('new'), Buffer.from('x'), NO_LEASE)).toEqual({
      prev: null,
      prevLease: NO_LEASE,
    });
    txn.end();
  });

  it('carries complete pairs in put events, and key and revision in delete events', () => {
    const txn = store.write();
    txn.put(k('a'), Buffer.from('x'), LEASE);
    txn.deleteRange(k('a'), NONE);
    const [putEvent, deleteEvent] = txn.end().events as [Event, Event];
    expect(decodeKeyValue(putEvent.kv)).toMatchObject({ key: 'a', version: 1, lease: LEASE });
    expect(putEvent).toMatchObject({ revision: 2, createRevision: 2, version: 1, lease: LEASE });
    expect(Buffer.from(deleteEvent.kv).toString('hex')).toBe('0a01611802');
    expect(deleteEvent).toMatchObject({ revision: 2, createRevision: 0, version: 0 });
  });

  it('is the only one, and ends once', () => {
    const txn = store.write();
    expect(() => store.write()).toThrow('one write transaction');
    expect(() => store.compact(1)).toThrow('a request of its own');
    txn.end();
    expect(() => txn.end()).toThrow('ends once');
    expect(() => txn.put(k('a'), Buffer.from(''), NO_LEASE)).toThrow('no changes');
  });
});

function summary(event: Event): string {
  return `${event.type} ${event.key} ${event.revision}`;
}

describe('key ranges', () => {
  beforeEach(() => {
    for (const key of ['\x00', 'a', 'a\x00', 'aa', 'b', '\xff']) {
      const txn = store.write();
      txn.put(key as Key, Buffer.from('v'), NO_LEASE);
      txn.end();
    }
  });

  it.each([
    ['a', '', ['a']],
    ['a', 'b', ['a', 'a\x00', 'aa']],
    ['a', '\x00', ['a', 'a\x00', 'aa', 'b', '\xff']],
    ['\x00', '\x00', ['\x00', 'a', 'a\x00', 'aa', 'b', '\xff']],
    ['b', 'a', []],
    ['b', 'b', []],
    ['\xff', '\x00', ['\xff']],
    ['c', '', []],
  ])('%j to %j', (key, rangeEnd, expected) => {
    const result = store.range(readOptions(key as Key, rangeEnd as Key)) as RangeResult;
    expect(result.kvs.map(keyOf)).toEqual(expected);
    expect(result.count).toBe(expected.length);
    const counted = store.range({
      ...readOptions(key as Key, rangeEnd as Key),
      countOnly: true,
    });
    expect(counted).toEqual({ kvs: [], count: expected.length, more: false, revision: 7 });
  });
});

describe('reads at a revision', () => {
  beforeEach(() => {
    put('a', '1');
    put('a', '2');
    put('b', '3');
    remove('a');
  });

  it('see what was there', () => {
    const seen = [1, 2, 3, 4, 5].map((revision) => {
      const result = range('a', FROM_KEY, { revision });
      return result.kvs.map((kv) => `${keyOf(kv)}=${valueOf1(kv)}`).join(' ');
    });
    expect(seen).toEqual(['', 'a=1', 'a=2', 'a=2 b=3', 'b=3']);
    expect(range('a', FROM_KEY, { revision: 2 }).revision).toBe(5);
    expect(range('a', FROM_KEY, { revision: 4, countOnly: true }).count).toBe(2);
  });

  it('read the current one for 0 and below', () => {
    expect(keysOf(range('a', FROM_KEY, { revision: -7 }))).toBe('b');
  });

  it('refuse the future', () => {
    expect(refusal('a', { revision: 6 })).toBe(errors.futureRev);
    expect(refusal('a', { revision: Number.MAX_SAFE_INTEGER })).toBe(errors.futureRev);
  });

  it('refuse what lies below the compacted revision, at once', () => {
    expect(store.compact(4)).toBeNull();
    expect(refusal('a', { revision: 3 })).toBe(errors.compacted);
    expect(keysOf(range('a', FROM_KEY, { revision: 4 }))).toBe('a b');
    expect(store.at(k('a'), 3)).toBeNull();
    expect(valueOf1(must(store.at(k('a'), 4), 'a at 4'))).toBe('2');
    expect(store.at(k('a'), 5)).toBeNull();
  });
});

describe('limit, filters and sorting', () => {
  beforeEach(() => {
    // create: c 2, a 3, b 4, e 5, d 6; mod: a 3, e 5, d 6, b 7, c 9; version: c 3, b 2
    for (const key of ['c', 'a', 'b', 'e', 'd'])
      put(key, `value of ${'edcba'['abcde'.indexOf(key)]}`);
    put('b', 'value of d');
    put('c', 'value of c');
    put('c', 'value of c');
  });

  it('limit cuts, and count ignores it', () => {
    const result = range(...all, { limit: 2 });
    expect(keysOf(result)).toBe('a b');
    expect(result).toMatchObject({ more: true, count: 5 });
    expect(range(...all, { limit: 5 })).toMatchObject({ more: false, count: 5 });
    expect(range(...all, { limit: -1 }).kvs).toHaveLength(5);
    expect(range(...all, { limit: 2, countOnly: true })).toMatchObject({
      kvs: [],
      more: false,
      count: 5,
    });
  });

  it('limit and count agree at an older revision too', () => {
    const result = range(...all, { limit: 2, revision: 5 });
    expect(keysOf(result)).toBe('a b');
    expect(result).toMatchObject({ more: true, count: 4 });
  });

  it('filters are inclusive, and count ignores them', () => {
    expect(keysOf(range(...all, { minModRevision: 6, maxModRevision: 7 }))).toBe('b d');
    expect(keysOf(range(...all, { minCreateRevision: 5 }))).toBe('d e');
    expect(keysOf(range(...all, { maxCreateRevision: 3 }))).toBe('a c');
    const one = range(...all, { minModRevision: 9 });
    expect(keysOf(one)).toBe('c');
    expect(one).toMatchObject({ count: 5, more: false });
    expect(range(...all, { minModRevision: 5, limit: 2 })).toMatchObject({ more: true, count: 5 });
    expect(range('a', NONE, { minModRevision: 4 })).toMatchObject({ kvs: [], count: 1 });
  });

  it.each([
    [SortTarget.KEY, SortOrder.DESCEND, 'e d c b a'],
    [SortTarget.CREATE, SortOrder.ASCEND, 'c a b e d'],
    [SortTarget.CREATE, SortOrder.DESCEND, 'd e b a c'],
    [SortTarget.MOD, SortOrder.ASCEND, 'a e d b c'],
    [SortTarget.MOD, SortOrder.NONE, 'a e d b c'],
    [SortTarget.VALUE, SortOrder.ASCEND, 'e d c b a'],
    [SortTarget.VERSION, SortOrder.DESCEND, 'c b a d e'],
  ])('sorts by target %d in order %d', (sortTarget, sortOrder, expected) => {
    expect(keysOf(range(...all, { sortTarget, sortOrder }))).toBe(expected);
    const first = range(...all, { sortTarget, sortOrder: sortOrder || SortOrder.ASCEND, limit: 1 });
    expect(keysOf(first)).toBe(expected[0]);
    expect(first).toMatchObject({ more: true, count: 5 });
  });

  it('sorts an older revision by what was true then', () => {
    const options = { sortTarget: SortTarget.MOD, sortOrder: SortOrder.DESCEND, revision: 7 };
    expect(keysOf(range(...all, options))).toBe('b d e a c');
    const byVersion = { ...options, sortTarget: SortTarget.VERSION, limit: 1 };
    expect(keysOf(range(...all, byVersion))).toBe('b');
  });

  it('without an order, only the first limit + 1 keys are sorted', () => {
    // By key a b c come first; of these a was changed first.
    const result = range(...all, { sortTarget: SortTarget.MOD, limit: 2 });
    expect(keysOf(result)).toBe('a b');
    expect(result).toMatchObject({ more: true, count: 5 });
    const created = range(...all, { sortTarget: SortTarget.CREATE, limit: 2 });
    expect(keysOf(created)).toBe('c a');
  });

  it('reads only the rows that it answers with', () => {
    rows.gets = 0;
    range(...all, { sortTarget: SortTarget.CREATE, sortOrder: SortOrder.ASCEND, limit: 1 });
    expect(rows.gets).toBe(1);
    range(...all, { limit: 2 });
    expect(rows.gets).toBe(3);
    range(...all, { countOnly: true });
    range(...all, { keysOnly: true });
    expect(rows.gets).toBe(3);
  });
});

describe('keys only', () => {
  beforeEach(() => put('a', 'x', LEASE));
  const stripped = { key: 'a', createRevision: 2, modRevision: 2, version: 1 };
  const first = (more: Partial<ReadOptions>) =>
    decodeKeyValue(must(range('a', FROM_KEY, { keysOnly: true, ...more }).kvs[0], 'a'));

  it('comes from the index, which knows no lease', () => {
    const empty = { value: new Uint8Array(0), lease: NO_LEASE };
    expect(first({})).toEqual({ ...stripped, ...empty });
    expect(first({ sortTarget: SortTarget.MOD })).toEqual({ ...stripped, ...empty });
    put('a', 'y', LEASE);
    expect(first({ revision: 2 })).toEqual({ ...stripped, ...empty });
  });

  it('keeps the lease when sorting by value', () => {
    const result = first({ sortTarget: SortTarget.VALUE });
    expect(result).toEqual({ ...stripped, value: new Uint8Array(0), lease: LEASE });
  });

  it('works on a single key', () => {
    const result = range('a', NONE, { keysOnly: true });
    expect(decodeKeyValue(must(result.kvs[0], 'a')).lease).toBe(NO_LEASE);
  });
});

describe('reading in slices', () => {
  const drain = (steps: Generator<void, RangeResult | EtcdError>, between: () => void) => {
    for (;;) {
      const step = steps.next();
      if (step.done) return step.value;
      between();
    }
  };

  it.each([0, 40])('gives the answer of the beginning, at revision %d', (revision) => {
    for (let i = 0; i < 50; i++) put(`k${String(i).padStart(3, '0')}`);
    const options = { ...readOptions(k('k'), FROM_KEY), revision };
    const expected = store.range(options);
    let slices = 0;
    const result = drain(store.rangeSlices(options, 7), () => {
      slices++;
      remove(`k${String(slices * 7).padStart(3, '0')}`);
      put(`k${String(slices).padStart(3, '0')}a`);
      put('k049', 'changed');
    });
    expect(slices).toBe(7);
    expect(result).toEqual(expected);
  });

  it('stays right when a compaction reaches its revision, ends when one passes it', async () => {
    for (let i = 0; i < 20; i++) put(`k${i}`);
    const options = readOptions(k('k'), FROM_KEY);
    const expected = store.range(options);
    const kept = store.rangeSlices(options, 5);
    const overtaken = store.rangeSlices(options, 5);
    kept.next();
    overtaken.next();
    for (let i = 0; i < 20; i++) put(`k${i}`);
    expect(store.compact(21)).toBeNull();
    await store.runCompaction(noPause, never);
    expect(drain(kept, () => {})).toEqual(expected);
    expect(store.compact(22)).toBeNull();
    expect(drain(overtaken, () => {})).toBe(errors.compacted);
  });

  it('refuses as a plain read does', () => {
    expect(drain(store.rangeSlices({ ...readOptions(k('a')), revision: 9 }), () => {})).toBe(
      errors.futureRev,
    );
  });
});

describe('leases', () => {
  const leased = (from: KvStore) => {
    const found: [Key, LeaseId][] = [];
    from.forEachLeased((key, lease) => found.push([key, lease]));
    return found;
  };

  it('of live keys are known, also after a restart', async () => {
    put('a', 'x', LEASE);
    put('b', 'x', -5n as LeaseId);
    put('c', 'x', LEASE);
    put('c', 'x');
    put('d', 'x', LEASE);
    remove('d');
    const expected = [
      ['a', LEASE],
      ['b', -5n],
    ];
    expect(leased(store)).toEqual(expected);
    expect(leased(await KvStore.open(rows))).toEqual(expected);
  });
});

it('visits live keys of a range until told to stop', () => {
  for (const key of ['a', 'b', 'c']) put(key);
  remove('b');
  const seen: Key[] = [];
  store.forEachLive(k('a'), FROM_KEY, (state) => seen.push(state.key) < 5);
  expect(seen).toEqual(['a', 'c']);
  const once: Key[] = [];
  store.forEachLive(k('a'), FROM_KEY, (state) => once.push(state.key) < 1);
  expect(once).toEqual(['a']);
});
