/**
 * A binary heap of items by deadline: the earliest is on top. Items are not found again; an owner
 * that changes its mind leaves the old entry in and ignores it when it surfaces.
 *
 * Invariant: no entry is earlier than the one at half its position.
 */

import { must } from '../assert.ts';

interface Entry<T> {
  readonly deadline: number;
  readonly item: T;
}

export class DeadlineHeap<T> {
  #entries: Entry<T>[] = [];

  get size(): number {
    return this.#entries.length;
  }

  /** The earliest deadline; infinite when there is none. */
  get earliest(): number {
    return this.#entries[0]?.deadline ?? Number.POSITIVE_INFINITY;
  }

  clear(): void {
    this.#entries = [];
  }

  push(deadline: number, item: T): void {
    const entry = { deadline, item };
    const entries = this.#entries;
    let at = entries.length;
    entries.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = must(entries[parent], 'a parent of an entry');
      if (above.deadline <= deadline) break;
      entries[at] = above;
      at = parent;
    }
    entries[at] = entry;
  }

  /** Removes the item with the earliest deadline. */
  pop(): T | null {
    const entries = this.#entries;
    const top = entries[0];
    const last = entries.pop();
    if (top === undefined || last === undefined) return null;
    if (entries.length > 0) this.#sink(last);
    return top.item;
  }

  /** Puts an entry at the top, where it leaves a gap, and lets it find its place. */
  #sink(entry: Entry<T>): void {
    const entries = this.#entries;
    const { length } = entries;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= length) break;
      let below = must(entries[child], 'a child within the heap');
      const right = entries[child + 1];
      if (right !== undefined && right.deadline < below.deadline) {
        below = right;
        child++;
      }
      if (below.deadline >= entry.deadline) break;
      entries[at] = below;
      at = child;
    }
    entries[at] = entry;
  }
}
