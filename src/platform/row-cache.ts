/**
 * A bounded cache of clean rows: those that the engine holds with the same value.
 *
 * Two generations instead of a list per row: rows enter the young one, a hit in the old one moves
 * the row to the young one, and when the young one is half the budget it becomes the old one and
 * the former old one is dropped whole. A row that was touched within the last half budget therefore
 * stays, a hit costs one or two map lookups, and there is no bookkeeping per row.
 *
 * Invariant: when both generations hold a key, the young one is right.
 */

import type { RowKey } from '../types.ts';

/** What a row costs beyond its bytes: map slot, string header and buffer object. Measured: 80. */
const ROW_OVERHEAD_BYTES = 100;

export class RowCache {
  readonly #generationBytesMax: number;
  #young = new Map<RowKey, Uint8Array>();
  #old = new Map<RowKey, Uint8Array>();
  #youngBytes = 0;

  constructor(bytesMax: number) {
    this.#generationBytesMax = bytesMax / 2;
  }

  get(key: RowKey): Uint8Array | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: RowKey, value: Uint8Array): void {
    const bytes = key.length + value.length + ROW_OVERHEAD_BYTES;
    // One row may not push out everything else.
    if (bytes > this.#generationBytesMax / 4) {
      this.delete(key);
      return;
    }
    // A replaced row is counted twice until the generation ends, which errs on the small side.
    this.#young.set(key, value);
    this.#youngBytes += bytes;
    if (this.#youngBytes < this.#generationBytesMax) return;
    this.#old = this.#young;
    this.#young = new Map();
    this.#youngBytes = 0;
  }

  delete(key: RowKey): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }
}
