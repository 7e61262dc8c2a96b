/**
 * Who waits until entries are applied here. etcd bounds that wait by a second: a leader that lags
 * so far behind its own log does not answer about leases.
 */

import { type EtcdError, errors } from '../errors.ts';
import type { Index } from '../types.ts';

interface Waiter {
  readonly index: Index;
  readonly resolve: () => void;
  readonly reject: (error: EtcdError) => void;
  ticksLeft: number;
}

export class AppliedWaiters {
  readonly #timeoutTicks: number;
  #waiters: Waiter[] = [];

  constructor(timeoutTicks: number) {
    this.#timeoutTicks = timeoutTicks;
  }

  /** Resolves once `release` has been told of `index`. */
  wait(index: Index): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ index, resolve, reject, ticksLeft: this.#timeoutTicks });
    });
  }

  release(applied: Index): void {
    if (this.#waiters.length === 0) return;
    this.#waiters = this.#waiters.filter(({ index, resolve }) => {
      if (index > applied) return true;
      resolve();
      return false;
    });
  }

  tick(): void {
    if (this.#waiters.length === 0) return;
    this.#waiters = this.#waiters.filter((waiter) => {
      if (--waiter.ticksLeft > 0) return true;
      waiter.reject(errors.timeoutWaitAppliedIndex);
      return false;
    });
  }

  rejectAll(error: EtcdError): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { reject } of waiters) reject(error);
  }
}
