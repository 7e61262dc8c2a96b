/**
 * Requests on their way through the log: each waits under its request id until the entry is applied
 * here, or until its time is up. Time is counted in ticks, so no request costs a timer.
 *
 * A request that timed out may still be applied later; its outcome then finds nobody waiting.
 */

import type { EtcdError } from '../errors.ts';

interface Waiter {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly deadlineTick: number;
  readonly startedMs: number;
}

export class Proposals {
  // Insertion order is deadline order, since all requests wait equally long.
  readonly #waiters = new Map<bigint, Waiter>();
  readonly #timeoutTicks: number;
  #tick = 0;

  constructor(timeoutTicks: number) {
    this.#timeoutTicks = timeoutTicks;
  }

  get size(): number {
    return this.#waiters.size;
  }

  /** A promise for the outcome of request `id`, which began at `startedMs`. */
  wait<T>(id: bigint, startedMs: number): Promise<T> {
    return new Promise<unknown>((resolve, reject) => {
      this.#waiters.set(id, {
        resolve,
        reject,
        deadlineTick: this.#tick + this.#timeoutTicks,
        startedMs,
      });
    }) as Promise<T>;
  }

  /** When the request began; `null` when nobody waits for it here. */
  startedMs(id: bigint): number | null {
    return this.#waiters.get(id)?.startedMs ?? null;
  }

  resolve(id: bigint, outcome: unknown): void {
    const waiter = this.#waiters.get(id);
    if (waiter === undefined) return;
    this.#waiters.delete(id);
    waiter.resolve(outcome);
  }

  reject(id: bigint, error: EtcdError): void {
    const waiter = this.#waiters.get(id);
    if (waiter === undefined) return;
    this.#waiters.delete(id);
    waiter.reject(error);
  }

  /**
   * `verdict` names the error for a request whose time is up and that began at `startTick`. Returns
   * how many there were.
   */
  tick(verdict: (id: bigint, startTick: number) => EtcdError): number {
    this.#tick++;
    let expired = 0;
    for (const [id, waiter] of this.#waiters) {
      if (waiter.deadlineTick > this.#tick) break;
      this.#waiters.delete(id);
      waiter.reject(verdict(id, waiter.deadlineTick - this.#timeoutTicks));
      expired++;
    }
    return expired;
  }

  rejectAll(error: EtcdError): void {
    for (const waiter of this.#waiters.values()) waiter.reject(error);
    this.#waiters.clear();
  }
}
