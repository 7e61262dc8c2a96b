/** Who waits for another member to lead. Time is counted in ticks. */

import { type EtcdError, errors } from '../errors.ts';
import type { MemberId } from '../types.ts';

interface Waiter {
  readonly to: MemberId;
  readonly resolve: () => void;
  readonly reject: (error: EtcdError) => void;
  ticksLeft: number;
}

export class LeadershipTransfers {
  #waiters: Waiter[] = [];

  wait(to: MemberId, ticks: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ to, resolve, reject, ticksLeft: ticks });
    });
  }

  leads(id: MemberId): void {
    this.#settle(
      (waiter) => waiter.to === id,
      ({ resolve }) => resolve(),
    );
  }

  tick(): void {
    for (const waiter of this.#waiters) waiter.ticksLeft--;
    this.#settle(
      ({ ticksLeft }) => ticksLeft <= 0,
      ({ reject }) => reject(errors.timeoutLeaderTransfer),
    );
  }

  rejectAll(error: EtcdError): void {
    this.#settle(
      () => true,
      ({ reject }) => reject(error),
    );
  }

  #settle(which: (waiter: Waiter) => boolean, how: (waiter: Waiter) => void): void {
    if (this.#waiters.length === 0) return;
    const settled = this.#waiters.filter(which);
    this.#waiters = this.#waiters.filter((waiter) => !which(waiter));
    for (const waiter of settled) how(waiter);
  }
}
