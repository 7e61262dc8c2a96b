/**
 * Request heads by their compressed bytes. A client that repeats a call sends the same few bytes,
 * which say the same as long as the decoder's table is the same: its generation is part of the key.
 *
 * Limit: `SLOTS` blocks of at most `BLOCK_BYTES_MAX`; a newer block replaces an older one.
 */

import type { RequestHead } from './request-head.ts';

const SLOTS = 16;
const BLOCK_BYTES_MAX = 256;

interface Entry {
  readonly block: Uint8Array;
  readonly generation: number;
  readonly head: RequestHead;
}

export class HeadCache {
  readonly #slots: (Entry | null)[] = new Array<Entry | null>(SLOTS).fill(null);

  find(chunk: Uint8Array, start: number, end: number, generation: number): RequestHead | null {
    if (end - start > BLOCK_BYTES_MAX) return null;
    const entry = this.#slots[slotOf(chunk, start, end)];
    if (!entry || entry.generation !== generation) return null;
    const { block } = entry;
    if (block.length !== end - start) return null;
    for (let i = 0; i < block.length; i++) if (block[i] !== chunk[start + i]) return null;
    return entry.head;
  }

  store(
    chunk: Uint8Array,
    start: number,
    end: number,
    generation: number,
    head: RequestHead,
  ): void {
    if (end - start > BLOCK_BYTES_MAX) return;
    const block = Uint8Array.from(chunk.subarray(start, end));
    this.#slots[slotOf(chunk, start, end)] = { block, generation, head };
  }
}

function slotOf(chunk: Uint8Array, start: number, end: number): number {
  let hash = end - start;
  for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + (chunk[i] ?? 0)) | 0;
  return (hash ^ (hash >>> 8)) & (SLOTS - 1);
}
