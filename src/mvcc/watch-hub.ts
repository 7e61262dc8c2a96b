/**
 * Brings changes to watchers: every change in its range from its start revision on, whole revisions
 * in order, none lost and none twice.
 *
 * A watcher is a cursor, `nextRevision`, that is either live (it gets each change as it is applied)
 * or catching up (it reads history until it has reached the present). A live watcher whose sink has
 * no room simply falls back to catching up, so a slow client costs a cursor and nothing else.
 *
 * Invariant: a live watcher has been given everything below the store's current revision + 1.
 * It knows nothing of streams, ids, filters or responses.
 */

import { assert } from '../assert.ts';
import { EtcdError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Key, Revision } from '../types.ts';
import type { Event } from './event.ts';
import { IntervalMap } from './interval-map.ts';
import { isSingleKey, keyBounds } from './key-range.ts';
import { RecentEvents } from './recent-events.ts';
import type { KvStore } from './store.ts';

/** Where a watcher's events go. */
export interface WatchSink {
  /**
   * Events of whole revisions, in order. `revision` goes into the header: that of the events when
   * live, the store's when catching up. False: no room, nothing was taken, try again on `resume`.
   * It may cancel the watcher.
   */
  deliver(watcher: Watcher, events: readonly Event[], revision: Revision): boolean;
  /** The history that the watcher still needed is gone; it gets nothing more. */
  compacted(watcher: Watcher, compactRevision: Revision): void;
}

export interface Watcher {
  readonly from: Key;
  /** Exclusive; `null` is no end. */
  readonly to: string | null;
  readonly isSingleKey: boolean;
  readonly sink: WatchSink;
  nextRevision: Revision;
  state: 'live' | 'catching-up' | 'blocked' | 'ended';
}

export class WatchHub {
  readonly #store: KvStore;
  readonly #breathe: () => Promise<void>;
  readonly #onError: (error: unknown) => void;
  readonly #byKey = new Map<Key, Set<Watcher>>();
  readonly #byRange = new IntervalMap<Watcher>();
  readonly #lagging = new Set<Watcher>();
  readonly #recent = new RecentEvents(limits.watchRecentBytesMax);
  #catchUp: Promise<void> | null = null;
  #closed = false;
  #count = 0;
  #eventsSent = 0;

  /** `onError` hears of failures to read history, which end the member. */
  constructor(
    store: KvStore,
    options: { breathe: () => Promise<void>; onError: (error: unknown) => void },
  ) {
    this.#store = store;
    this.#breathe = options.breathe;
    this.#onError = options.onError;
  }

  get watcherCount(): number {
    return this.#count;
  }

  get laggingCount(): number {
    return this.#lagging.size;
  }

  get eventsSent(): number {
    return this.#eventsSent;
  }

  /** `startRevision` 0: from the next change on. */
  watch(key: Key, rangeEnd: Key, startRevision: Revision, sink: WatchSink): Watcher {
    const { from, to } = keyBounds(key, rangeEnd);
    const next = this.#store.revision + 1;
    const watcher: Watcher = {
      from,
      to,
      isSingleKey: isSingleKey(rangeEnd),
      sink,
      nextRevision: startRevision === 0 ? next : startRevision,
      state: 'catching-up',
    };
    this.#count++;
    if (watcher.nextRevision >= next) this.#goLive(watcher);
    else this.#lagging.add(watcher);
    if (this.#lagging.size > 0) this.#startCatchUp();
    return watcher;
  }

  cancel(watcher: Watcher): void {
    if (watcher.state === 'ended') return;
    this.#leave(watcher);
    watcher.state = 'ended';
    this.#count--;
  }

  /** A sink has room again for a watcher that it could not take events for. */
  resume(watcher: Watcher): void {
    if (watcher.state !== 'blocked') return;
    watcher.state = 'catching-up';
    this.#startCatchUp();
  }

  /** The changes of one revision, at the moment when they become visible. */
  publish(revision: Revision, events: readonly Event[]): void {
    this.#recent.add(revision, events);
    const [first] = events;
    if (events.length === 1 && first !== undefined) {
      this.#forEachLiveAt(first.key, (watcher) => this.#deliverLive(watcher, events, revision));
      return;
    }
    const matches = new Map<Watcher, Event[]>();
    for (const event of events) {
      this.#forEachLiveAt(event.key, (watcher) => {
        const list = matches.get(watcher);
        if (list === undefined) matches.set(watcher, [event]);
        else list.push(event);
      });
    }
    for (const [watcher, list] of matches) this.#deliverLive(watcher, list, revision);
  }

  /**
   * The store, which stood at `revision`, has taken over other content: what has happened between
   * was not published. Everybody catches up from there; who needs what is compacted is told so.
   */
  storeReplaced(revision: Revision): void {
    this.#recent.clear();
    const byKey = [...this.#byKey.values()].flatMap((watchers) => [...watchers]);
    for (const watcher of [...byKey, ...this.#byRange.all()]) {
      this.#leave(watcher);
      watcher.state = 'catching-up';
      watcher.nextRevision = Math.max(watcher.nextRevision, revision + 1);
      this.#lagging.add(watcher);
    }
    if (this.#lagging.size > 0) this.#startCatchUp();
  }

  /** No watcher is told anything any more. Resolves when history is no longer read. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#catchUp;
  }

  #deliverLive(watcher: Watcher, events: readonly Event[], revision: Revision): void {
    // A start in the future: what happens until then is not for this watcher.
    if (watcher.nextRevision > revision) return;
    if (watcher.sink.deliver(watcher, events, revision)) {
      this.#eventsSent += events.length;
      return;
    }
    if (hasEnded(watcher)) return;
    this.#leave(watcher);
    watcher.nextRevision = revision;
    watcher.state = 'blocked';
    this.#lagging.add(watcher);
  }

  #forEachLiveAt(key: Key, visit: (watcher: Watcher) => void): void {
    const watchers = this.#byKey.get(key);
    if (watchers !== undefined) for (const watcher of watchers) visit(watcher);
    this.#byRange.forEachAt(key, visit);
  }

  #goLive(watcher: Watcher): void {
    this.#lagging.delete(watcher);
    watcher.state = 'live';
    if (!watcher.isSingleKey) {
      this.#byRange.add(watcher, watcher);
      return;
    }
    const watchers = this.#byKey.get(watcher.from);
    if (watchers === undefined) this.#byKey.set(watcher.from, new Set([watcher]));
    else watchers.add(watcher);
  }

  #leave(watcher: Watcher): void {
    this.#lagging.delete(watcher);
    if (watcher.state !== 'live') return;
    if (!watcher.isSingleKey) {
      this.#byRange.delete(watcher, watcher);
      return;
    }
    const watchers = this.#byKey.get(watcher.from);
    watchers?.delete(watcher);
    if (watchers?.size === 0) this.#byKey.delete(watcher.from);
  }

  #startCatchUp(): void {
    if (this.#catchUp !== null || this.#closed) return;
    this.#catchUp = this.#catchUpAll().catch((error: unknown) => this.#onError(error));
  }

  /** Rounds of reading one stretch of history for all that need it, until nobody lags unblocked. */
  async #catchUpAll(): Promise<void> {
    // The answer to the creation goes out before any event.
    await this.#breathe();
    while (!this.#closed) {
      this.#endCompacted();
      const from = this.#oldestNeeded();
      if (from === null) break;
      const to = this.#store.revision;
      const history = this.#recent.between(from, to) ?? (await this.#store.eventsBetween(from, to));
      // Compacted meanwhile: the next round ends those that needed it.
      if (history instanceof EtcdError) continue;
      for (const watcher of [...this.#lagging]) {
        // Who joined during the read and needs something older waits for the next round.
        if (watcher.state === 'catching-up' && watcher.nextRevision >= from) {
          this.#advance(watcher, history);
        }
      }
      await this.#breathe();
    }
    // Not when the promise settles, which is later: who lags from now on must start anew.
    this.#catchUp = null;
  }

  #endCompacted(): void {
    const { compactRevision } = this.#store;
    for (const watcher of [...this.#lagging]) {
      if (watcher.nextRevision >= compactRevision || watcher.state === 'blocked') continue;
      this.cancel(watcher);
      watcher.sink.compacted(watcher, compactRevision);
    }
  }

  #oldestNeeded(): Revision | null {
    let oldest: Revision | null = null;
    for (const { state, nextRevision } of this.#lagging) {
      if (state === 'catching-up' && (oldest === null || nextRevision < oldest)) {
        oldest = nextRevision;
      }
    }
    return oldest;
  }

  #advance(
    watcher: Watcher,
    { events, next }: { readonly events: readonly Event[]; readonly next: Revision },
  ): void {
    if (watcher.nextRevision < next) {
      const own = events.filter(
        ({ key, revision }) => revision >= watcher.nextRevision && contains(watcher, key),
      );
      const taken = own.length === 0 || watcher.sink.deliver(watcher, own, this.#store.revision);
      // A sink may cancel its watcher as soon as it has seen what it wanted.
      if (hasEnded(watcher)) return;
      if (!taken) {
        watcher.state = 'blocked';
        return;
      }
      this.#eventsSent += own.length;
      watcher.nextRevision = next;
    }
    if (watcher.nextRevision > this.#store.revision) this.#goLive(watcher);
    assert(watcher.state === 'live' || this.#lagging.has(watcher), 'a watcher is in one place');
  }
}

function hasEnded({ state }: Watcher): boolean {
  return state === 'ended';
}

function contains(watcher: Watcher, key: Key): boolean {
  if (watcher.isSingleKey) return key === watcher.from;
  return watcher.from <= key && (watcher.to === null || key < watcher.to);
}
