/**
 * The window of append messages that a follower has not acknowledged yet, bounded by their number
 * and by their bytes. A ring that grows on demand, since most windows stay nearly empty.
 *
 * Invariant: indexes in the ring ascend; `count <= countMax`. The byte limit is soft: the message
 * that crosses it is still accepted, so an entry larger than the limit can travel.
 */

import { assert } from '../assert.ts';
import type { Index } from '../types.ts';

export interface InflightLimits {
  readonly countMax: number;
  readonly bytesMax: number;
}

export class Inflights {
  readonly #limits: InflightLimits;
  #indexes: Index[] = [];
  #sizes: number[] = [];
  #start = 0;
  #count = 0;
  #bytes = 0;

  constructor(limits: InflightLimits) {
    assert(limits.countMax > 0 && limits.bytesMax > 0, 'an inflight window is not empty');
    this.#limits = limits;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get full(): boolean {
    return this.#count >= this.#limits.countMax || this.#bytes >= this.#limits.bytesMax;
  }

  /** Records a message whose last entry is `index`. */
  add(index: Index, bytes: number): void {
    assert(!this.full, 'the inflight window has room');
    if (this.#count === this.#indexes.length) this.#grow();
    const at = (this.#start + this.#count) % this.#indexes.length;
    this.#indexes[at] = index;
    this.#sizes[at] = bytes;
    this.#count++;
    this.#bytes += bytes;
  }

  /** Forgets every message that ends at or below `index`. */
  freeThrough(index: Index): void {
    while (this.#count > 0) {
      const oldest = this.#indexes[this.#start];
      if (oldest === undefined || oldest > index) return;
      this.#bytes -= this.#sizes[this.#start] ?? 0;
      this.#start = (this.#start + 1) % this.#indexes.length;
      this.#count--;
    }
  }

  #grow(): void {
    const capacity = Math.min(this.#limits.countMax, Math.max(4, this.#indexes.length * 2));
    const indexes = new Array<Index>(capacity).fill(0);
    const sizes = new Array<number>(capacity).fill(0);
    for (let i = 0; i < this.#count; i++) {
      const from = (this.#start + i) % this.#indexes.length;
      indexes[i] = this.#indexes[from] ?? 0;
      sizes[i] = this.#sizes[from] ?? 0;
    }
    this.#indexes = indexes;
    this.#sizes = sizes;
    this.#start = 0;
  }
}
