/**
 * Deadlines of calls, told by ticks: few clients of the gateway set one, and a timer for each would
 * be dear.
 */

import type { ServerResponse } from 'node:http';

export class Deadlines {
  readonly #monotonic: () => number;
  readonly #pending = new Map<ServerResponse, { readonly atMs: number; expire: () => void }>();

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  get size(): number {
    return this.#pending.size;
  }

  /** Calls `expire` unless `response` ends before `ms` have passed; `null` means never. */
  add(ms: number | null, response: ServerResponse, expire: () => void): void {
    if (ms === null) return;
    if (ms < 1) {
      // Nobody is that fast, and etcd does not even try.
      expire();
      return;
    }
    this.#pending.set(response, { atMs: this.#monotonic() + ms, expire });
    response.once('close', () => this.#pending.delete(response));
  }

  tick(nowMs: number): void {
    for (const [response, { atMs, expire }] of this.#pending) {
      if (nowMs < atMs) continue;
      this.#pending.delete(response);
      if (!response.writableEnded) expire();
    }
  }
}
