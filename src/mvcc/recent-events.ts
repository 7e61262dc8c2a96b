/**
 * The newest events in memory, bounded in bytes, so that watchers that lag a little catch up
 * without reading the engine.
 *
 * Invariant: what it holds is dense, from its first revision to the newest one that changed
 * anything.
 */

import { assert } from '../assert.ts';
import { limits } from '../limits.ts';
import type { Revision } from '../types.ts';
import type { Event } from './event.ts';
import type { History } from './history.ts';

interface Change {
  readonly revision: Revision;
  readonly events: readonly Event[];
  readonly bytes: number;
}

/** What an event costs beyond its bytes: the objects around them. */
const EVENT_OVERHEAD_BYTES = 250;

export class RecentEvents {
  readonly #bytesMax: number;
  // A queue as an array with a moving head; the dead part holds nothing and is cut when it outgrows
  // the live one.
  #changes: (Change | null)[] = [];
  #head = 0;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes held. */
  get bytes(): number {
    return this.#bytes;
  }

  add(revision: Revision, events: readonly Event[]): void {
    const last = this.#changes.at(-1) ?? null;
    assert(last === null || revision === last.revision + 1, 'recent changes are dense');
    let bytes = 0;
    for (const { kv, key } of events) bytes += kv.length + key.length + EVENT_OVERHEAD_BYTES;
    this.#changes.push({ revision, events, bytes });
    this.#bytes += bytes;
    while (this.#bytes > this.#bytesMax) {
      const oldest = this.#changes[this.#head] ?? null;
      if (oldest === null) break;
      this.#bytes -= oldest.bytes;
      this.#changes[this.#head++] = null;
    }
    if (this.#head > 64 && this.#head * 2 > this.#changes.length) {
      this.#changes = this.#changes.slice(this.#head);
      this.#head = 0;
    }
  }

  clear(): void {
    this.#changes = [];
    this.#head = 0;
    this.#bytes = 0;
  }

  /** `null` when `from` is older than what is kept. */
  between(from: Revision, to: Revision): History | null {
    const first = this.#changes[this.#head] ?? null;
    if (first === null || from < first.revision) return null;
    const start = this.#head + (from - first.revision);
    const end = Math.min(start + limits.watchCatchUpRevisionsMax, this.#changes.length);
    const events: Event[] = [];
    let bytes = 0;
    let at = start;
    for (; at < end && bytes < limits.watchCatchUpBytesMax; at++) {
      const change = this.#changes[at] ?? null;
      if (change === null || change.revision > to) break;
      bytes += change.bytes;
      for (const event of change.events) events.push(event);
    }
    return { events, next: from + (at - start) };
  }
}
