/**
 * One run of a member's process, from its start to its end: the clock that it sees, and the door
 * through which everything reaches it. A process that has ended hears of nothing any more; one that
 * is paused, or held up by its disk, hears of it later and in the same order.
 */

import type { Clock } from '../../src/ports.ts';
import type { Timeline } from './timeline.ts';

/** The wall clock at the beginning of a run. */
const EPOCH_MS = 1_700_000_000_000;

export class Life {
  readonly #timeline: Timeline;
  readonly #ran: () => void;
  readonly #onEnd = new Set<() => void>();
  #isOver = false;
  #isPaused = false;
  #backlog: (() => void)[] = [];
  #heldUntilMs = 0;
  readonly clock: Clock;

  /** `ran` is called in every event that has reached this process. */
  constructor(timeline: Timeline, ran: () => void) {
    this.#timeline = timeline;
    this.#ran = ran;
    this.clock = {
      now: () => EPOCH_MS + this.#timeline.nowMs,
      monotonic: () => this.#localMs(),
      every: (ms, fn) => this.#every(ms, fn),
      defer: (fn) => this.after(0, fn),
    };
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Milliseconds from now until this process, if it is held up, goes on. */
  get lagMs(): number {
    return this.#localMs() - this.#timeline.nowMs;
  }

  /** Runs `fn` in this process as soon as it listens. */
  run(fn: () => void): void {
    if (this.#isOver) return;
    if (this.#isPaused) {
      this.#backlog.push(fn);
    } else if (this.#heldUntilMs > this.#timeline.nowMs) {
      this.#timeline.at(this.#heldUntilMs, () => this.run(fn));
    } else {
      fn();
      this.#ran();
    }
  }

  after(ms: number, fn: () => void): void {
    this.#timeline.after(ms + this.lagMs, () => this.run(fn));
  }

  /** Never resolves when the process ends before. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /** A call of the operating system that does not return for so long. */
  hold(ms: number): void {
    this.#heldUntilMs = this.#localMs() + ms;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    const backlog = this.#backlog;
    this.#backlog = [];
    for (const fn of backlog) this.after(0, fn);
  }

  /** `fn` is called when the process ends, however that comes. */
  onEnd(fn: () => void): () => void {
    if (this.#isOver) fn();
    else this.#onEnd.add(fn);
    return () => this.#onEnd.delete(fn);
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#backlog = [];
    for (const fn of this.#onEnd) fn();
    this.#onEnd.clear();
  }

  #localMs(): number {
    return Math.max(this.#timeline.nowMs, this.#heldUntilMs);
  }

  #every(ms: number, fn: () => void): () => void {
    let isStopped = false;
    const next = (): void => {
      this.after(ms, () => {
        if (isStopped) return;
        fn();
        if (!isStopped) next();
      });
    };
    next();
    return () => {
      isStopped = true;
    };
  }
}
