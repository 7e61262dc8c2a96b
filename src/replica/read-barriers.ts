/**
 * Linearizable reads: all readers of one turn share one ReadIndex round and one promise. A round is
 * asked again with a fresh id when no answer came for a while, and any id of the round is accepted,
 * as etcd does it.
 */

import type { EtcdError } from '../errors.ts';
import { errors } from '../errors.ts';
import type { Index } from '../types.ts';
import { bytesFromU64 } from '../u64.ts';
import type { ReplicaObserver } from './replica-options.ts';

interface Round {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: EtcdError) => void;
  ids: bigint[];
  ticksWaited: number;
  /** Set once a quorum has confirmed the leader: the read may run when this much is applied. */
  index: Index | null;
}

export interface ReadBarrierOptions {
  readonly tickMs: number;
  readonly requestTimeoutTicks: number;
  readonly requestIds: { next(): bigint };
  readonly observer: Pick<
    ReplicaObserver,
    'readIndexRetried' | 'readIndexTimedOut' | 'readIndexOutdated' | 'readIndexFailed'
  >;
}

/** etcd: how long an answer is waited for until the leader is asked again. */
const RETRY_MS = 500;

function newRound(): Round {
  let resolve = (): void => {};
  let reject = (_error: EtcdError): void => {};
  const promise = new Promise<void>((accept, refuse) => {
    resolve = accept;
    reject = refuse;
  });
  return { promise, resolve, reject, ids: [], ticksWaited: 0, index: null };
}

export class ReadBarriers {
  readonly #options: ReadBarrierOptions;
  #joining: Round | null = null;
  // Rounds in the order of their asking; few, since a turn opens at most one.
  #asked: Round[] = [];
  #retryDue = false;
  readonly #retryTicks: number;

  constructor(options: ReadBarrierOptions) {
    this.#options = options;
    this.#retryTicks = Math.max(1, Math.ceil(RETRY_MS / options.tickMs));
  }

  /** Joins the round that the next turn opens. */
  join(): Promise<void> {
    this.#joining ??= newRound();
    return this.#joining.promise;
  }

  /** The context to ask ReadIndex with, or `null` when nobody waits. */
  open(): Uint8Array | null {
    if (this.#joining !== null) {
      this.#asked.push(this.#joining);
      this.#joining = null;
    } else if (!this.#retryDue) {
      return null;
    }
    this.#retryDue = false;
    const id = this.#options.requestIds.next();
    for (const round of this.#asked) if (round.index === null) round.ids.push(id);
    return bytesFromU64(id);
  }

  confirm(context: Uint8Array, index: Index): void {
    const id = Buffer.from(context).readBigUInt64BE(0);
    let isKnown = false;
    for (const round of this.#asked) {
      if (!round.ids.includes(id)) continue;
      isKnown = true;
      round.index ??= index;
    }
    if (!isKnown) this.#options.observer.readIndexOutdated(id);
  }

  /** Lets confirmed readers go that `applied` has caught up with. */
  release(applied: Index): void {
    if (this.#asked.length === 0) return;
    this.#asked = this.#asked.filter((round) => {
      if (round.index === null || round.index > applied) return true;
      round.resolve();
      return false;
    });
  }

  tick(): void {
    const { observer, requestTimeoutTicks } = this.#options;
    this.#asked = this.#asked.filter((round) => {
      round.ticksWaited++;
      if (round.ticksWaited < requestTimeoutTicks) {
        if (round.index === null && round.ticksWaited % this.#retryTicks === 0) {
          this.#retryDue = true;
          observer.readIndexRetried(round.ids.at(-1) ?? 0n, RETRY_MS);
        }
        return true;
      }
      if (round.index === null) observer.readIndexTimedOut();
      round.reject(errors.timeout);
      return false;
    });
  }

  rejectAll(error: EtcdError): void {
    const waiting = this.#asked;
    this.#asked = [];
    for (const round of waiting) {
      if (error === errors.leaderChanged) this.#options.observer.readIndexFailed();
      round.reject(error);
    }
    if (this.#joining !== null && error === errors.stopped) {
      this.#joining.reject(error);
      this.#joining = null;
    }
  }
}
