/** A clock that moves only when a test says so. Deferred work runs in `settle`. */

import type { Clock, Stop } from '../../src/ports.ts';

interface Timer {
  readonly everyMs: number;
  readonly fn: () => void;
  dueMs: number;
}

export class HandClock implements Clock {
  #nowMs = 1_700_000_000_000;
  readonly #startMs = this.#nowMs;
  readonly #timers = new Set<Timer>();
  #deferred: (() => void)[] = [];
  /** Milliseconds that pass between two looks at the clock: makes everything seem slow. */
  msPerLook = 0;

  readonly now = (): number => this.#nowMs;

  readonly monotonic = (): number => {
    this.#nowMs += this.msPerLook;
    return this.#nowMs - this.#startMs;
  };

  readonly every = (ms: number, fn: () => void): Stop => {
    const timer: Timer = { everyMs: ms, fn, dueMs: this.#nowMs + ms };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  };

  readonly defer = (fn: () => void): void => {
    this.#deferred.push(fn);
  };

  get timerCount(): number {
    return this.#timers.size;
  }

  /** Runs deferred work, and what follows from it, until there is none. */
  async settle(): Promise<void> {
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      const deferred = this.#deferred;
      if (deferred.length === 0) return;
      this.#deferred = [];
      for (const fn of deferred) fn();
    }
  }

  /** Lets time pass, timer by timer, with rest in between. */
  async advance(ms: number): Promise<void> {
    const until = this.#nowMs + ms;
    for (;;) {
      let next: Timer | null = null;
      for (const timer of this.#timers) if (next === null || timer.dueMs < next.dueMs) next = timer;
      if (next === null || next.dueMs > until) break;
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.dueMs += next.everyMs;
      next.fn();
      await this.settle();
    }
    this.#nowMs = Math.max(this.#nowMs, until);
    await this.settle();
  }

  /** Forgets everything that waits, as the end of a process does. */
  clear(): void {
    this.#timers.clear();
    this.#deferred = [];
  }
}
