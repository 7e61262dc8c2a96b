/** A budget that is refilled with time: so many at once, so many per second in the long run. */

export class RateBudget {
  readonly #burst: number;
  readonly #perMs: number;
  #left: number;
  #atMs: number;

  constructor(burst: number, perSecond: number, nowMs: number) {
    this.#burst = burst;
    this.#perMs = perSecond / 1000;
    this.#left = burst;
    this.#atMs = nowMs;
  }

  /** False when the budget is used up. */
  take(nowMs: number): boolean {
    const refilled = this.#left + (nowMs - this.#atMs) * this.#perMs;
    this.#left = Math.min(this.#burst, refilled) - 1;
    this.#atMs = nowMs;
    return this.#left >= 0;
  }
}
