/**
 * Tells the other members every five minutes how much time long leases have left, so that a change
 * of the leader does not give them their whole TTL again (feature gate LeaseCheckpoint).
 *
 * All leases are looked at in one go, where etcd keeps a deadline for each: no more than five
 * minutes of a lease's time get lost either way. What a renewal makes void is taken back there.
 */

import { EtcdError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Replica } from '../replica/replica.ts';
import type { StateMachine } from '../replica/state-machine.ts';
import type { LeaseId } from '../types.ts';

export interface LeaseCheckpointsDeps {
  readonly replica: Pick<Replica, 'ticks' | 'propose'> & {
    readonly stateMachine: Pick<StateMachine, 'lessor'>;
  };
  readonly tickMs: number;
  readonly onFatal: (error: unknown) => void;
}

interface Checkpoint {
  readonly id: LeaseId;
  readonly remainingTtl: number;
}

/** etcd: between checkpoints, and the TTL that is too short to have any. */
const INTERVAL_SECONDS = 300;

export class LeaseCheckpoints {
  readonly #deps: LeaseCheckpointsDeps;
  readonly #intervalTicks: number;
  /** `null` while another member keeps the time. */
  #nextTick: number | null = null;
  #telling = false;

  constructor(deps: LeaseCheckpointsDeps) {
    this.#deps = deps;
    this.#intervalTicks = Math.ceil((INTERVAL_SECONDS * 1000) / deps.tickMs);
  }

  /** Called once per heartbeat interval. */
  tick(): void {
    const { replica, onFatal } = this.#deps;
    if (!replica.stateMachine.lessor.isPrimary) {
      this.#nextTick = null;
      return;
    }
    this.#nextTick ??= replica.ticks + this.#intervalTicks;
    if (this.#telling || replica.ticks < this.#nextTick) return;
    this.#nextTick = replica.ticks + this.#intervalTicks;
    this.#telling = true;
    this.#tell().then(
      () => {
        this.#telling = false;
      },
      (error: unknown) => {
        this.#telling = false;
        // A refusal, or the end of this leadership: the next time tells more.
        if (!(error instanceof EtcdError)) onFatal(error);
      },
    );
  }

  async #tell(): Promise<void> {
    const due = this.#due();
    const most = limits.leaseCheckpointsPerEntryMax;
    for (let from = 0; from < due.length; from += most) {
      const checkpoints = due.slice(from, from + most);
      await this.#deps.replica.propose('leaseCheckpoint', { checkpoints });
    }
  }

  #due(): readonly Checkpoint[] {
    const { replica } = this.#deps;
    const { lessor } = replica.stateMachine;
    const due: Checkpoint[] = [];
    for (const id of lessor.leases()) {
      const lease = lessor.get(id);
      const left = lessor.timeToLive(id, replica.ticks);
      if (lease === null || left === null || left.remainingSeconds < 0) continue;
      if ((lease.remainingTtl || lease.ttlSeconds) <= INTERVAL_SECONDS) continue;
      // Rounded up: a part of a second that was granted is not taken away.
      const remainingTtl = left.remainingSeconds + 1;
      if (remainingTtl < lease.ttlSeconds) due.push({ id, remainingTtl });
    }
    return due;
  }
}
