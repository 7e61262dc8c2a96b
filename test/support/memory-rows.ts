/** The simplest thing that behaves like the row table: a map, and a sorted list of its keys. */

import type { Row, RowRange, Rows } from '../../src/ports.ts';
import type { RowKey } from '../../src/types.ts';

export class MemoryRows implements Rows {
  readonly #rows = new Map<RowKey, Uint8Array>();
  #sorted: RowKey[] = [];
  #ordered = true;
  /** Point reads so far. */
  gets = 0;

  get size(): number {
    return this.#rows.size;
  }

  get(key: RowKey): Uint8Array | null {
    this.gets++;
    return this.#rows.get(key) ?? null;
  }

  put(key: RowKey, value: Uint8Array): void {
    if (!this.#rows.has(key)) {
      const last = this.#sorted.at(-1);
      if (last !== undefined && key < last) this.#ordered = false;
      this.#sorted.push(key);
    }
    this.#rows.set(key, value);
  }

  delete(key: RowKey): void {
    this.#rows.delete(key);
  }

  scan({ from, to, limit }: RowRange): Promise<readonly Row[]> {
    const keys = this.#order();
    const page: Row[] = [];
    for (let i = this.#seek(keys, from); i < keys.length && page.length < limit; i++) {
      const key = keys[i] as RowKey;
      if (key >= to) break;
      const value = this.#rows.get(key);
      if (value !== undefined) page.push({ key, value });
    }
    return Promise.resolve(page);
  }

  keys(): readonly RowKey[] {
    return [...this.#rows.keys()].sort();
  }

  #order(): RowKey[] {
    if (!this.#ordered || this.#sorted.length > this.#rows.size * 2 + 100) {
      this.#sorted = [...this.#rows.keys()].sort();
      this.#ordered = true;
    }
    return this.#sorted;
  }

  #seek(keys: readonly RowKey[], key: RowKey): number {
    let low = 0;
    let high = keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((keys[middle] as RowKey) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
