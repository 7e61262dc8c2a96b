/**
 * Requests on their way through the log: each waits under its request id until the entry is applied
 * here, or until its time is up. Time is counted in ticks, so no request costs a timer.
 *
 * A request that timed out may still be applied later; its outcome then finds nobody waiting.
 */

import { type EtcdError, errors } from '../errors.ts';
import type { Raft } from '../raft/raft.ts';
import type { Term } from '../types.ts';

/** An encoded entry that waits for Raft to take it. */
export interface Offer {
  readonly kind: 'normal' | 'conf-change' | 'conf-change-v2';
  readonly data: Uint8Array;
  /** Only this member may append it, as the leader of this term; any other leader must not. */
  readonly onlyInTerm?: Term | undefined;
}

interface Waiter {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly deadlineTick: number;
  readonly startedMs: number;
}

export class Proposals {
  // Insertion order is deadline order, since all requests wait equally long.
  readonly #waiters = new Map<bigint, Waiter>();
  readonly #unaccepted = new Map<bigint, Offer>();
  readonly #timeoutTicks: number;
  #tick = 0;

  constructor(timeoutTicks: number) {
    this.#timeoutTicks = timeoutTicks;
  }

  get size(): number {
    return this.#waiters.size;
  }

  /** How many Raft has not taken yet. */
  get unaccepted(): number {
    return this.#unaccepted.size;
  }

  /** A promise for the outcome of request `id`, which began at `startedMs`. */
  add<T>(id: bigint, offer: Offer, startedMs: number): Promise<T> {
    this.#unaccepted.set(id, offer);
    return new Promise<unknown>((resolve, reject) => {
      this.#waiters.set(id, {
        resolve,
        reject,
        deadlineTick: this.#tick + this.#timeoutTicks,
        startedMs,
      });
    }) as Promise<T>;
  }

  /** Hands over what waits for Raft, in order, until it refuses one. */
  offerTo(raft: Pick<Raft, 'propose' | 'proposeMembership' | 'state' | 'term'>): void {
    for (const [id, { kind, data, onlyInTerm }] of this.#unaccepted) {
      if (onlyInTerm !== undefined && (raft.state !== 'leader' || raft.term !== onlyInTerm)) {
        this.#unaccepted.delete(id);
        this.reject(id, errors.leaderChanged);
        continue;
      }
      const isTaken = kind === 'normal' ? raft.propose(data) : raft.proposeMembership(kind, data);
      if (!isTaken) return;
      this.#unaccepted.delete(id);
    }
  }

  /** False when Raft has taken the request already. */
  withdraw(id: bigint): boolean {
    return this.#unaccepted.delete(id);
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
