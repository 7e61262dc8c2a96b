/**
 * Virtual time: one queue of events, ordered by time and then by the order of asking. Between two
 * events everything that promises have made runnable runs to its end, so a run is the same every
 * time.
 */

import { must } from '../../src/assert.ts';

interface Due {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** Events in a row at one moment. */
const STILL_MAX = 100_000;

export class Timeline {
  readonly #heap: Due[] = [];
  #order = 0;
  #nowMs = 0;
  #step = 0;
  #still = 0;

  /** Milliseconds since the beginning. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Counts events: a finer scale than time, on which two events never coincide. */
  get step(): number {
    return this.#step;
  }

  at(atMs: number, run: () => void): void {
    this.#push({ atMs: Math.max(atMs, this.#nowMs), order: this.#order++, run });
  }

  after(ms: number, run: () => void): void {
    this.at(this.#nowMs + ms, run);
  }

  /** Runs events until `isOver`, or until none is left before `untilMs`. */
  async run(untilMs: number, isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const [next] = this.#heap;
      if (next === undefined || next.atMs > untilMs) {
        this.#nowMs = Math.max(this.#nowMs, untilMs);
        return;
      }
      this.#pop();
      this.#still = next.atMs > this.#nowMs ? 0 : this.#still + 1;
      if (this.#still > STILL_MAX) throw new Error('time stands still: work makes work for ever');
      this.#nowMs = next.atMs;
      this.#step++;
      next.run();
      await settled();
    }
  }

  #push(due: Due): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(due);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = must(heap[parent], 'a parent within the heap');
      if (isBefore(above, due)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = due;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = must(heap.pop(), 'an event is left');
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      const [left, right] = [heap[child], heap[child + 1]];
      if (left === undefined) break;
      if (right !== undefined && isBefore(right, left)) child++;
      const below = must(heap[child], 'a child within the heap');
      if (isBefore(last, below)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Due, b: Due): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** Resolves when no promise has anything left to do. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
