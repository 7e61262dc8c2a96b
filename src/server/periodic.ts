/**
 * Work that is due again and again, on the time of the ticks it is given. One run is under way at
 * a time: what falls due meanwhile is done once, after it.
 */

export interface PeriodicWork {
  /** Milliseconds from one beginning to the next; 0: never. */
  readonly intervalMs: number;
  /** Ends soon after the signal is aborted; how it ends then does not matter. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

export class Periodic {
  readonly #work: PeriodicWork;
  readonly #stop = new AbortController();
  #begunMs: number | null = null;
  #underWay: Promise<void> | null = null;

  constructor(work: PeriodicWork) {
    this.#work = work;
  }

  /** `onBug` hears of whatever a run rejects with. */
  tick(now: number, onBug: (error: unknown) => void): void {
    const { intervalMs, run } = this.#work;
    const { signal } = this.#stop;
    this.#begunMs ??= now;
    if (intervalMs === 0 || signal.aborted) return;
    if (this.#underWay !== null || now - this.#begunMs < intervalMs) return;
    this.#begunMs = now;
    this.#underWay = run(signal)
      .catch((error: unknown) => {
        if (!signal.aborted) onBug(error);
      })
      .finally(() => {
        this.#underWay = null;
      });
  }

  /** Resolves when nothing is under way any more, and nothing will be. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#underWay;
  }
}
