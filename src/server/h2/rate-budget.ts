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

  /** False when the budget is used up; what is refused costs nothing. */
  take(nowMs: number): boolean {
    const refilled = this.#left + (nowMs - this.#atMs) * this.#perMs;
    this.#left = Math.min(this.#burst, refilled);
    this.#atMs = nowMs;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
