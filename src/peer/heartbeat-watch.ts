/**
 * Whether a leader's heartbeats leave on time. etcd takes a late one as a sign that the member is
 * overloaded, most often by its disk.
 */

import type { MemberId, Term } from '../types.ts';

interface Heartbeat {
  readonly to: MemberId;
  readonly term: Term;
}

export class HeartbeatWatch {
  readonly #maxMs: number;
  readonly #sentMs = new Map<MemberId, number>();
  #term: Term = 0;

  /** etcd: a heartbeat is late after twice its interval. */
  constructor(heartbeatMs: number) {
    this.#maxMs = 2 * heartbeatMs;
  }

  get maxMs(): number {
    return this.#maxMs;
  }

  /** By how many milliseconds a heartbeat that leaves now is late; 0: it is not. */
  sent({ to, term }: Heartbeat, nowMs: number): number {
    if (term !== this.#term) {
      // What lies between two terms of office is no delay.
      this.#term = term;
      this.#sentMs.clear();
    }
    const before = this.#sentMs.get(to);
    this.#sentMs.set(to, nowMs);
    return before === undefined ? 0 : Math.max(0, nowMs - before - this.#maxMs);
  }
}
