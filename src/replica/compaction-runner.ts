/** Carries out the compactions that were scheduled, one at a time, with pauses for other work. */

import type { KvStore } from '../mvcc/store.ts';
import { pause } from '../pause.ts';
import type { Clock } from '../ports.ts';

export interface CompactionRunnerOptions {
  readonly store: KvStore;
  readonly clock: Clock;
  readonly pauseMs: number;
  readonly stopping: AbortSignal;
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
    const between = (): Promise<void> => pause(clock, pauseMs, signal);
    this.#underWay = store.runCompaction(between, signal).then(
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
