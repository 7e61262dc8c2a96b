// A store and its watchers while their content is replaced by that of a member that is ahead:
// whatever is under way ends with the answer of the one history, or says that it is compacted.
import { beforeEach, describe, expect, it } from 'vitest';
import { settle } from '../../test/support/gate.ts';
import { SortOrder, SortTarget } from '../codec/gen/etcdserverpb.ts';
import { decodeKeyValue } from '../codec/key-value.ts';
import { EtcdError, errors } from '../errors.ts';
import { MemoryEngine } from '../platform/memory-engine.ts';
import { RowTable } from '../platform/rows.ts';
import type { RowRange } from '../ports.ts';
import { type Key, keyFromText, NO_LEASE, type Revision, type RowKey } from '../types.ts';
import type { Event } from './event.ts';
import { FROM_KEY } from './key-range.ts';
import { type RangeResult, type ReadOptions, readOptions } from './range.ts';
import { KvStore } from './store.ts';
import { type Watcher, WatchHub, type WatchSink } from './watch-hub.ts';

const k = keyFromText;
const NONE = '' as Key;
const ALL_ROWS = { from: '"' as RowKey, to: '\xff' as RowKey, limit: 1_000_000 };
const never = new AbortController().signal;
const noPause = () => Promise.resolve();
const KEYS = 400;

/** A store with its rows and watchers; `interrupt` runs once, before the next read of rows. */
class Side {
  readonly engine = new MemoryEngine();
  rows!: RowTable;
  store!: KvStore;
  hub!: WatchHub;
  interrupt: (() => Promise<void>) | null = null;
  readonly failures: unknown[] = [];

  static async open(): Promise<Side> {
    const side = new Side();
    side.rows = await RowTable.open(side.engine);
    const scan = side.rows.scan.bind(side.rows);
    let pages = 0;
    side.rows.scan = async (range: RowRange) => {
      const { interrupt } = side;
      // Not before the first page: it shows what was there before.
      if (interrupt !== null && ++pages > 1) {
        side.interrupt = null;
        await interrupt();
      }
      return scan(range);
    };
    side.store = await KvStore.open(side.rows);
    const onError = (error: unknown) => side.failures.push(error);
    side.hub = new WatchHub(side.store, { breathe: noPause, onError });
    return side;
  }

  put(key: string, value = 'v'): Revision {
    const txn = this.store.write();
    txn.put(k(key), Buffer.from(value), NO_LEASE);
    const { revision, events } = txn.end();
    this.hub.publish(revision, events);
    return revision;
  }

  remove(key: string): void {
    const txn = this.store.write();
    txn.deleteRange(k(key), NONE);
    const { revision, events } = txn.end();
    if (events.length > 0) this.hub.publish(revision, events);
  }

  async compact(revision: Revision): Promise<void> {
    expect(this.store.compact(revision)).toBeNull();
    await this.store.runCompaction(noPause, never);
  }

  /** Replaces this side's content by the other's, as a received state does. */
  async become(other: Side): Promise<void> {
    await other.rows.flush([]);
    const replacement = await this.engine.beginReplacement();
    await replacement.write(await other.engine.scan(ALL_ROWS));
    const { rows, adopt } = await this.rows.openReplacement(replacement);
    const store = await KvStore.open(rows);
    await replacement.commit(() => {
      const { revision } = this.store;
      adopt();
      this.store.adopt(store);
      this.hub.storeReplaced(revision);
    });
  }
}

let behind: Side;
let ahead: Side;

const key = (i: number): string => `key${1000 + i}`;

beforeEach(async () => {
  behind = await Side.open();
  ahead = await Side.open();
  for (const side of [behind, ahead]) {
    for (let i = 0; i < KEYS; i++) side.put(key(i), `value ${(i * 7) % KEYS}`);
    for (let i = 0; i < KEYS; i += 9) side.put(key(i), 'second');
    for (let i = 0; i < KEYS; i += 5) side.remove(key(i));
  }
  for (let i = 0; i < KEYS; i += 2) ahead.put(key(i), 'later');
  for (let i = 0; i < KEYS; i += 3) ahead.remove(key(i));
});

function read(store: KvStore, options: Partial<ReadOptions> = {}): RangeResult | EtcdError {
  return store.range({ ...readOptions(k('key'), FROM_KEY), ...options });
}

describe('the content of a store that was replaced', () => {
  it('is that of the other one, at every revision', async () => {
    await ahead.compact(KEYS + 20);
    await behind.become(ahead);
    const { store, rows } = behind;
    expect(store.revision).toBe(ahead.store.revision);
    expect(store.compactRevision).toBe(KEYS + 20);
    expect(store.keyCount).toBe(ahead.store.keyCount);
    expect(rows.liveBytes).toBe(ahead.rows.liveBytes);
    for (const revision of [0, KEYS + 20, KEYS + 60, ahead.store.revision - 5]) {
      expect(read(store, { revision })).toEqual(read(ahead.store, { revision }));
    }
    expect(read(store, { revision: KEYS + 19 })).toBe(errors.compacted);
    expect(await store.hashKv(0)).toEqual(await ahead.store.hashKv(0));
  });

  it('can be written to, flushed and opened again', async () => {
    behind.put('not flushed, and not in the other one');
    await behind.become(ahead);
    const { revision } = ahead.store;
    expect(behind.put('new')).toBe(revision + 1);
    ahead.put('new');
    await behind.rows.flush([]);
    expect(behind.rows.liveBytes).toBe(ahead.rows.liveBytes);
    const engine = behind.engine.restart();
    const reopened = await KvStore.open(await RowTable.open(engine));
    expect(await reopened.hashKv(0)).toEqual(await ahead.store.hashKv(0));
  });

  it('does not change while a request writes', async () => {
    const other = await KvStore.open(ahead.rows);
    const txn = behind.store.write();
    expect(() => behind.store.adopt(other)).toThrow('between two requests');
    txn.end();
  });
});

describe('a read under way when the content is replaced', () => {
  const readings: Record<string, Partial<ReadOptions>> = {
    'of the newest pairs': {},
    'of older pairs': { revision: KEYS + 10 },
    'that sorts by value': { sortTarget: SortTarget.VALUE, sortOrder: SortOrder.DESCEND },
    'that sorts and cuts': { sortTarget: SortTarget.MOD, sortOrder: SortOrder.DESCEND, limit: 9 },
    'of keys only': { keysOnly: true },
    'of keys only, in the past': { keysOnly: true, revision: KEYS + 10 },
    'that counts in the past': { countOnly: true, revision: KEYS + 10 },
  };
  for (const [name, options] of Object.entries(readings)) {
    it(`${name} gets the answer of the moment it began`, async () => {
      const range = { ...readOptions(k('key'), FROM_KEY), ...options };
      const expected = behind.store.range(range);
      const slices = behind.store.rangeSlices(range, 50);
      expect(slices.next().done).toBe(false);
      await behind.become(ahead);
      let step = slices.next();
      while (step.done !== true) step = slices.next();
      expect(step.value).toEqual(expected);
    });
  }

  it('is compacted when its revision is', async () => {
    const slices = behind.store.rangeSlices(readOptions(k('key'), FROM_KEY), 50);
    slices.next();
    await ahead.compact(behind.store.revision + 1);
    await behind.become(ahead);
    expect(slices.next()).toEqual({ done: true, value: errors.compacted });
  });

  it('in chunks goes on at its revision', async () => {
    const { revision } = behind.store;
    const found: string[] = [];
    let from: Key | null = k('key');
    while (from !== null) {
      const options = { key: from, rangeEnd: FROM_KEY, keysOnly: false, revision };
      const chunk = behind.store.chunk(options, 50);
      if (chunk instanceof EtcdError) throw chunk;
      for (const kv of chunk.kvs) found.push(decodeKeyValue(kv).key);
      from = chunk.next;
      if (found.length === 50) await behind.become(ahead);
    }
    const whole = read(ahead.store, { revision });
    if (whole instanceof EtcdError) throw whole;
    expect(found).toEqual(whole.kvs.map((kv) => decodeKeyValue(kv).key));
  });
});

describe('a hash under way when the content is replaced', () => {
  it('is that of the same revision', async () => {
    const revision = KEYS + 10;
    const expected = await ahead.store.hashKv(revision);
    behind.interrupt = () => behind.become(ahead);
    expect(await behind.store.hashKv(revision)).toEqual(expected);
    expect(behind.interrupt).toBeNull();
  });

  it('is that of the newest revision there is then', async () => {
    await ahead.compact(KEYS + 30);
    behind.interrupt = () => behind.become(ahead);
    expect(await behind.store.hashKv(0)).toEqual(await ahead.store.hashKv(0));
  });

  it('is compacted when its revision is', async () => {
    await ahead.compact(KEYS + 30);
    behind.interrupt = () => behind.become(ahead);
    expect(await behind.store.hashKv(KEYS + 10)).toBe(errors.compacted);
  });
});

describe('history being read when the content is replaced', () => {
  it('is whole', async () => {
    const to = behind.store.revision;
    const expected = await ahead.store.eventsBetween(2, to);
    behind.interrupt = () => behind.become(ahead);
    expect(await behind.store.eventsBetween(2, to)).toEqual(expected);
    expect(behind.interrupt).toBeNull();
  });

  it('is compacted when its beginning is', async () => {
    const to = behind.store.revision;
    await ahead.compact(50);
    behind.interrupt = () => behind.become(ahead);
    expect(await behind.store.eventsBetween(2, to)).toBe(errors.compacted);
  });
});

describe('a compaction when the content is replaced', () => {
  it('that is under way must be stopped before', async () => {
    let go = (): void => {};
    const pause = () => new Promise<void>((resolve) => (go = resolve));
    const side = await Side.open();
    side.store = await KvStore.open(behind.rows, { compactionBatchLimit: 10 });
    expect(side.store.compact(KEYS)).toBeNull();
    const stop = new AbortController();
    const run = side.store.runCompaction(pause, stop.signal);
    await settle();
    const other = await KvStore.open(ahead.rows);
    expect(() => side.store.adopt(other)).toThrow('no compaction is under way');
    stop.abort();
    go();
    await run;
    side.store.adopt(other);
  });

  it('that the other one has carried out is over, and who waits for it is told', async () => {
    expect(behind.store.compact(40)).toBeNull();
    const done = behind.store.whenCompacted(never);
    await ahead.compact(40);
    await behind.become(ahead);
    expect(behind.store.compactionPending).toBe(false);
    await done;
  });

  it('that the other one has left to do is done here', async () => {
    expect(ahead.store.compact(KEYS + 30)).toBeNull();
    await behind.become(ahead);
    expect(behind.store.compactionPending).toBe(true);
    await behind.store.runCompaction(noPause, never);
    await ahead.store.runCompaction(noPause, never);
    expect(await behind.rows.scan(ALL_ROWS)).toEqual(await ahead.rows.scan(ALL_ROWS));
    expect(await behind.store.hashKv(0)).toEqual(await ahead.store.hashKv(0));
  });
});

describe('watchers when the content is replaced', () => {
  class Sink implements WatchSink {
    readonly seen: string[] = [];
    readonly ended: Revision[] = [];
    hasRoom = true;

    deliver(_watcher: Watcher, events: readonly Event[]): boolean {
      if (!this.hasRoom) return false;
      for (const event of events) this.seen.push(`${event.type} ${event.key}@${event.revision}`);
      return true;
    }

    compacted(_watcher: Watcher, compactRevision: Revision): void {
      this.ended.push(compactRevision);
    }
  }

  const history = async (
    from: Revision,
    only: string | null = null,
  ): Promise<readonly string[]> => {
    const found = await ahead.store.eventsBetween(from, ahead.store.revision, 1_000_000);
    if (found instanceof EtcdError) throw found;
    return found.events
      .filter((event) => only === null || event.key === only)
      .map((event) => `${event.type} ${event.key}@${event.revision}`);
  };

  const quiet = async (): Promise<void> => {
    while (behind.hub.laggingCount > 0) await settle();
    expect(behind.failures).toEqual([]);
  };

  it('get what happened between, and then what happens', async () => {
    const [one, all, single, future] = [new Sink(), new Sink(), new Sink(), new Sink()];
    behind.hub.watch(k('key'), FROM_KEY, 0, one);
    behind.hub.watch(k('key'), FROM_KEY, 2, all);
    behind.hub.watch(k(key(2)), NONE, 0, single);
    const start = ahead.store.revision + 2;
    behind.hub.watch(k('key'), FROM_KEY, start, future);
    await settle();
    const from = behind.store.revision + 1;
    await behind.become(ahead);
    await quiet();
    for (const side of [behind, ahead]) {
      side.put('key not for one who starts later');
      side.put(key(2));
    }
    expect(one.seen).toEqual(await history(from));
    expect(all.seen).toEqual(await history(2));
    expect(single.seen).toEqual(await history(from, key(2)));
    expect(future.seen).toEqual(await history(start));
    expect(future.seen).toHaveLength(1);
    expect(behind.hub.watcherCount).toBe(4);
  });

  it('that read history get the rest of it', async () => {
    const all = new Sink();
    // Nothing recent in memory, so that history is read from rows.
    behind.hub = new WatchHub(behind.store, {
      breathe: noPause,
      onError: (error) => behind.failures.push(error),
    });
    behind.interrupt = () => behind.become(ahead);
    behind.hub.watch(k('key'), FROM_KEY, 2, all);
    await quiet();
    expect(behind.interrupt).toBeNull();
    expect(all.seen).toEqual(await history(2));
  });

  it('are told that it is compacted when they needed what is gone', async () => {
    const [live, blocked] = [new Sink(), new Sink()];
    behind.hub.watch(k('key'), FROM_KEY, 0, live);
    blocked.hasRoom = false;
    const waiting = behind.hub.watch(k('key'), FROM_KEY, 2, blocked);
    await settle();
    await ahead.compact(behind.store.revision + 2);
    await behind.become(ahead);
    await settle();
    expect(live.ended).toEqual([ahead.store.compactRevision]);
    expect(live.seen).toEqual([]);
    expect(behind.hub.watcherCount).toBe(1);
    blocked.hasRoom = true;
    behind.hub.resume(waiting);
    await quiet();
    expect(blocked.ended).toEqual([ahead.store.compactRevision]);
    expect(blocked.seen).toEqual([]);
  });

  it('get every change once when there was none between', async () => {
    const sink = new Sink();
    behind.hub.watch(k('key'), FROM_KEY, 0, sink);
    await ahead.become(behind);
    await behind.become(ahead);
    const { revision } = behind.store;
    behind.put(key(1));
    await quiet();
    behind.put(key(1));
    expect(sink.seen).toEqual([`put ${key(1)}@${revision + 1}`, `put ${key(1)}@${revision + 2}`]);
  });
});
