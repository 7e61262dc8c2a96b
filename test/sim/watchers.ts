/** Clients that watch, fall behind, and go on at another member when theirs is gone. */

import { must } from '../../src/assert.ts';
import { decodeKeyValue } from '../../src/codec/key-value.ts';
import type { Event as StoreEvent } from '../../src/mvcc/event.ts';
import type { Watcher, WatchSink } from '../../src/mvcc/watch-hub.ts';
import type { Random } from '../../src/ports.ts';
import { EMPTY_KEY, keyFromText, type Revision } from '../../src/types.ts';
import type { WatchRecord } from '../support/history.ts';
import type { Event } from '../support/model.ts';
import type { Cluster } from './cluster.ts';
import type { Running } from './machine.ts';

interface Seen {
  readonly startRevision: Revision;
  readonly events: Event[];
  through: Revision;
}

export class WatchClient {
  readonly name: string;
  readonly #cluster: Cluster;
  readonly #random: Random;
  readonly #key: string;
  readonly #rangeEnd: string | null;
  /** One after each loss of history by compaction. */
  readonly #seen: Seen[] = [];
  #stop: (() => void) | null = null;
  #watcher: Watcher | null = null;

  constructor(name: string, cluster: Cluster, random: Random) {
    this.name = name;
    this.#cluster = cluster;
    this.#random = random;
    const isRange = random.below(2) === 0;
    this.#key = isRange ? 'k' : `k${random.below(7)}`;
    this.#rangeEnd = isRange ? 'l' : null;
  }

  start(): void {
    this.#later();
    this.#wander();
  }

  /** The revision that it waits for next; `null` while it is nowhere. */
  get nextRevision(): Revision | null {
    return this.#watcher?.nextRevision ?? null;
  }

  get isLive(): boolean {
    return this.#watcher?.state === 'live';
  }

  records(final: Revision): WatchRecord[] {
    return this.#seen.map(({ startRevision, events, through }, i) => ({
      client: this.name,
      key: this.#key,
      ...(this.#rangeEnd === null ? {} : { rangeEnd: this.#rangeEnd }),
      startRevision,
      events,
      through: i === this.#seen.length - 1 ? final : through,
    }));
  }

  #later(): void {
    this.#cluster.timeline.after(10 + this.#random.below(500), () => {
      if (this.#stop !== null) return;
      const running = this.#cluster.anyRunning(this.#random, { learners: true });
      if (running === null) this.#later();
      else this.#attach(running);
    });
  }

  /** Leaves its member now and then. */
  #wander(): void {
    this.#cluster.timeline.after(2000 + this.#random.below(6000), () => {
      if (!this.#cluster.isBusy) return;
      this.#detach();
      this.#wander();
    });
  }

  #detach(): void {
    const stop = this.#stop;
    if (stop === null) return;
    stop();
    this.#stop = null;
    this.#watcher = null;
    this.#later();
  }

  #attach({ life, replica }: Running): void {
    const { hub, store } = replica.stateMachine;
    let isOn = true;
    let watcher: Watcher | null = null;
    const forget = life.onEnd(() => this.#cluster.timeline.after(0, () => isOn && this.#detach()));
    this.#stop = () => {
      isOn = false;
      forget();
      life.run(() => {
        if (watcher !== null) hub.cancel(watcher);
      });
    };
    const sink: WatchSink = {
      deliver: (target, events) => {
        if (!isOn) return true;
        if (this.#cluster.isBusy && this.#random.below(12) === 0) {
          life.after(this.#random.below(800), () => hub.resume(target));
          return false;
        }
        for (const event of events) this.#current.events.push(readEvent(event));
        return true;
      },
      compacted: (_target, compactRevision) => {
        if (isOn) this.#lostHistory(compactRevision);
      },
    };
    life.run(() => {
      if (!isOn) return;
      const from = this.#next();
      if (from === null) this.#begin(store.revision + 1);
      const end = this.#rangeEnd === null ? EMPTY_KEY : keyFromText(this.#rangeEnd);
      watcher = hub.watch(keyFromText(this.#key), end, from ?? 0, sink);
      this.#watcher = watcher;
    });
  }

  get #current(): Seen {
    return must(this.#seen.at(-1), 'a watcher begins somewhere');
  }

  #begin(startRevision: Revision): void {
    this.#seen.push({ startRevision, events: [], through: 0 });
  }

  #next(): Revision | null {
    const seen = this.#seen.at(-1);
    if (seen === undefined) return null;
    const last = seen.events.at(-1);
    return last === undefined ? seen.startRevision : last.revision + 1;
  }

  #lostHistory(compactRevision: Revision): void {
    this.#cluster.trace.count('watches compacted');
    const { events } = this.#current;
    this.#current.through = events.at(-1)?.revision ?? 0;
    this.#begin(compactRevision + 1);
    this.#detach();
  }
}

function readEvent({ type, key, revision, kv, lease }: StoreEvent): Event {
  if (type === 'delete') return { type, revision, key };
  return { type, revision, key, value: Buffer.from(decodeKeyValue(kv).value).toString(), lease };
}
