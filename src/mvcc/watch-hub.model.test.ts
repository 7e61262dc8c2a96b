/**
 * Random watchers on a random history: joining anywhere, blocking, resuming and leaving at any
 * moment, with compactions, and with every read of history stretched out between other events.
 */

import { describe, expect, it } from 'vitest';
import { Gate, GatedRows } from '../../test/support/gate.ts';
import { seededRandom } from '../platform/random.ts';
import type { Random } from '../ports.ts';
import { type Key, NO_LEASE, type Revision } from '../types.ts';
import type { Event } from './event.ts';
import { FROM_KEY } from './key-range.ts';
import { KvStore } from './store.ts';
import { type Watcher, WatchHub, type WatchSink } from './watch-hub.ts';

const KEYS = ['a', 'a\x00', 'ab', 'b', 'ba', 'c', '\xff'] as Key[];
const ENDS = ['' as Key, '' as Key, FROM_KEY, ...KEYS];
const never = new AbortController().signal;

class Client implements WatchSink {
  readonly key: Key;
  readonly rangeEnd: Key;
  readonly start: Revision;
  readonly events: Event[] = [];
  watcher: Watcher | null = null;
  isFull = false;
  cancelled = false;
  compactedAt: Revision | null = null;
  /** Cancels by itself with the delivery that reaches so many events. */
  leavesAfter = Number.POSITIVE_INFINITY;
  readonly #hub: WatchHub;

  constructor(hub: WatchHub, where: { key: Key; rangeEnd: Key }, start: Revision) {
    this.#hub = hub;
    this.key = where.key;
    this.rangeEnd = where.rangeEnd;
    this.start = start;
  }

  deliver(watcher: Watcher, events: readonly Event[], revision: Revision): boolean {
    expect(this.cancelled || this.compactedAt !== null).toBe(false);
    if (this.isFull) return false;
    expect(events.length).toBeGreaterThan(0);
    const last = this.events.at(-1);
    // What belongs to one revision comes in one delivery.
    if (last !== undefined) expect(events[0]?.revision).toBeGreaterThan(last.revision);
    expect(revision).toBeGreaterThanOrEqual(events.at(-1)?.revision ?? 0);
    this.events.push(...events);
    if (this.events.length >= this.leavesAfter) this.leave(watcher);
    return true;
  }

  compacted(watcher: Watcher, compactRevision: Revision): void {
    expect(this.cancelled).toBe(false);
    expect(watcher.nextRevision).toBeLessThan(compactRevision);
    this.compactedAt = compactRevision;
  }

  leave(watcher: Watcher): void {
    this.cancelled = true;
    this.#hub.cancel(watcher);
  }

  contains(key: Key): boolean {
    if (this.rangeEnd === '') return key === this.key;
    return key >= this.key && (this.rangeEnd === FROM_KEY || key < this.rangeEnd);
  }
}

class Bench {
  readonly random: Random;
  readonly rows: GatedRows;
  readonly store: KvStore;
  readonly hub: WatchHub;
  readonly breath = new Gate();
  readonly reads = new Gate();
  readonly history: Event[] = [];
  readonly clients: Client[] = [];

  constructor(random: Random, rows: GatedRows, store: KvStore) {
    this.random = random;
    this.rows = rows;
    this.store = store;
    this.hub = this.newHub();
    rows.gate = this.reads;
  }

  newHub(): WatchHub {
    return new WatchHub(this.store, {
      breathe: this.breath.pass,
      onError: (error) => {
        throw error;
      },
    });
  }

  pick<T>(items: readonly T[]): T | undefined {
    return items[this.random.below(Math.max(1, items.length))];
  }

  write(publish: boolean): void {
    const txn = this.store.write();
    for (let i = this.random.below(4); i >= 0; i--) {
      const key = this.pick(KEYS) as Key;
      if (this.random.below(3) > 0) txn.put(key, Buffer.from('v'), NO_LEASE);
      else txn.deleteRange(key, this.pick(ENDS) as Key);
    }
    const { revision, events } = txn.end();
    this.history.push(...events);
    if (publish && events.length > 0) this.hub.publish(revision, events);
  }

  join(): void {
    const { random, store } = this;
    const where = { key: this.pick(KEYS) as Key, rangeEnd: this.pick(ENDS) as Key };
    const asked = random.below(3) === 0 ? 0 : 1 + random.below(store.revision + 6);
    const client = new Client(this.hub, where, asked === 0 ? store.revision + 1 : asked);
    if (random.below(5) === 0) client.leavesAfter = 1 + random.below(5);
    client.isFull = random.below(5) === 0;
    client.watcher = this.hub.watch(where.key, where.rangeEnd, asked, client);
    this.clients.push(client);
  }

  resume(client: Client): void {
    client.isFull = false;
    if (client.watcher !== null) this.hub.resume(client.watcher);
  }

  async step(): Promise<void> {
    const client = this.pick(this.clients);
    const dice = this.random.below(40);
    if (dice < 12) this.write(true);
    else if (dice < 18) this.join();
    else if (dice < 26) await this.breath.open();
    else if (dice < 34) await this.reads.open();
    else if (dice === 34) this.compact();
    else if (client === undefined || client.watcher === null) return;
    else if (dice === 35 && !client.cancelled) client.leave(client.watcher);
    else if (dice < 38) client.isFull = true;
    else this.resume(client);
  }

  compact(): void {
    const { random, store } = this;
    store.compact(Math.max(1, store.revision - random.below(20)));
    // Its reads and deletions go on in between the next steps.
    this.compacting = store.runCompaction(() => Promise.resolve(), never);
  }

  compacting: Promise<void> = Promise.resolve();

  async finish(): Promise<void> {
    for (const client of this.clients) this.resume(client);
    for (let i = 0; i < 3; i++) {
      await this.breath.openUntilQuiet();
      await this.reads.openUntilQuiet();
    }
    while (this.breath.count + this.reads.count > 0) {
      await this.breath.openUntilQuiet();
      await this.reads.openUntilQuiet();
    }
    await this.compacting;
  }

  check(client: Client): void {
    const all = this.history.filter(
      ({ key, revision }) => revision >= client.start && client.contains(key),
    );
    const got = client.events;
    const seen = new Set(got.map(nameOf));
    // What changed again within a revision that became a compact revision may be forgotten.
    const expected = all.filter((event) => seen.has(nameOf(event)) || !this.#forgotten(event));
    const isWhole = !client.cancelled && client.compactedAt === null;
    expect(got.map(nameOf)).toEqual(
      expected.slice(0, isWhole ? expected.length : got.length).map(nameOf),
    );
    expect(client.watcher?.state).toBe(isWhole ? 'live' : 'ended');
  }

  #forgotten(event: Event): boolean {
    if (event.revision > this.store.compactRevision) return false;
    const later = this.history.slice(this.history.indexOf(event) + 1);
    return later.some(({ key, revision }) => key === event.key && revision === event.revision);
  }
}

const nameOf = ({ type, key, revision }: Event): string => `${type} ${key}@${revision}`;

describe.each(Array.from({ length: 20 }, (_, i) => i + 1))('seed %d', (seed) => {
  it('every watcher gets exactly the history of its range', async () => {
    const random = seededRandom(seed);
    const rows = new GatedRows();
    const store = await KvStore.open(rows, { compactionBatchLimit: 7 });
    const bench = new Bench(random, rows, store);
    // Some history that only the engine knows.
    for (let i = random.below(30); i > 0; i--) bench.write(false);
    for (let i = 0; i < 500; i++) await bench.step();
    await bench.finish();
    for (const client of bench.clients) bench.check(client);
    expect(bench.hub.laggingCount).toBe(0);
    const live = bench.clients.filter(({ watcher }) => watcher?.state === 'live');
    expect(bench.hub.watcherCount).toBe(live.length);
    for (const { watcher } of live) if (watcher !== null) bench.hub.cancel(watcher);
    expect(bench.hub.watcherCount).toBe(0);
  });
});
