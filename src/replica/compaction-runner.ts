/** Carries out the compactions that were scheduled, one at a time, with pauses for other work. */

import type { CompactionProgress, FinishedCompaction } from '../mvcc/compaction.ts';
import type { KvStore } from '../mvcc/store.ts';
import { pause } from '../pause.ts';
import type { Clock } from '../ports.ts';
import type { Revision } from '../types.ts';

/** What compactions cost and did. */
export interface CompactionObserver {
  began(revision: Revision): void;
  /** Milliseconds for which the index was trimmed. */
  indexTrimmed(milliseconds: number): void;
  /** Milliseconds that one step over the rows took. */
  rowsSeen(milliseconds: number): void;
  /** Milliseconds since the index was trimmed, pauses included. */
  finished(compaction: FinishedCompaction, milliseconds: number): void;
}

export interface CompactionRunnerOptions {
  readonly store: KvStore;
  readonly clock: Clock;
  readonly pauseMs: number;
  readonly stopping: AbortSignal;
  readonly observer: CompactionObserver;
  readonly failed: (error: unknown) => void;
}

export class CompactionRunner {
  readonly #options: CompactionRunnerOptions;
  #underWay: Promise<void> | null = null;
  #stop = new AbortController();

  constructor(options: CompactionRunnerOptions) {
    this.#options = options;
  }

  /** Begins if there is something to do and nothing under way. */
  start(): void {
    const { store, clock, pauseMs, stopping, failed } = this.#options;
    if (this.#underWay !== null || stopping.aborted || !store.compactionPending) return;
    this.#stop = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, stopping]);
    const stopwatch = new Stopwatch(this.#options);
    const between = async (): Promise<void> => {
      await pause(clock, pauseMs, signal);
      stopwatch.paused();
    };
    this.#underWay = store.runCompaction(between, signal, stopwatch).then(
      () => {
        this.#underWay = null;
        // One that was scheduled while the last one was ending.
        if (!signal.aborted) this.start();
      },
      (error: unknown) => {
        this.#underWay = null;
        failed(error);
      },
    );
  }

  /** What is left is done after the next `start`. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#underWay;
  }
}

/** Measures one run. */
class Stopwatch implements CompactionProgress {
  readonly #clock: Clock;
  readonly #observer: CompactionObserver;
  #trimmedMs = 0;
  #stepMs = 0;

  constructor({ clock, observer }: CompactionRunnerOptions) {
    this.#clock = clock;
    this.#observer = observer;
  }

  began(revision: Revision): void {
    this.#stepMs = this.#clock.monotonic();
    this.#observer.began(revision);
  }

  indexTrimmed(): void {
    this.#observer.indexTrimmed(this.#step());
    this.#trimmedMs = this.#stepMs;
  }

  rowsSeen(): void {
    this.#observer.rowsSeen(this.#step());
  }

  paused(): void {
    this.#step();
  }

  finished(compaction: FinishedCompaction): void {
    this.#observer.finished(compaction, this.#clock.monotonic() - this.#trimmedMs);
  }

  #step(): number {
    const before = this.#stepMs;
    this.#stepMs = this.#clock.monotonic();
    return this.#stepMs - before;
  }
}
