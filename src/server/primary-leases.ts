/**
 * What the primary lessor, the leader's, is asked: by its own clients, and by other members for
 * theirs. Answers that depend on which leases exist wait until everything committed is applied.
 */

import { EtcdError, errors } from '../errors.ts';
import type { Replica } from '../replica/replica.ts';
import type { StateMachine } from '../replica/state-machine.ts';
import type { Key, LeaseId } from '../types.ts';

export interface PrimaryLeasesDeps {
  readonly replica: Pick<Replica, 'commit' | 'whenApplied' | 'ticks' | 'propose'> & {
    readonly stateMachine: Pick<StateMachine, 'lessor'>;
  };
  /** Whether remaining times are told to the other members (feature gate LeaseCheckpoint). */
  readonly checkpoints: boolean;
}

export interface LeaseTimes {
  /** Whole seconds that remain; not positive just before the end. */
  readonly ttl: number;
  readonly grantedTtl: number;
  readonly keys: readonly Key[];
}

export interface PrimaryLeases {
  /** Rejects with `timeoutWaitAppliedIndex` after a second. */
  caughtUp(): Promise<void>;
  /**
   * The granted TTL after a renewal; 0 for a lease that is missing, also one that had expired and
   * is revoked at last. Rejects with `notPrimaryLessor`.
   */
  renew(id: LeaseId): Promise<number>;
  /** `null` for a missing lease. Rejects with `notPrimaryLessor`. */
  timeToLive(id: LeaseId): Promise<LeaseTimes | null>;
}

export function createPrimaryLeases({ replica, checkpoints }: PrimaryLeasesDeps): PrimaryLeases {
  const { lessor } = replica.stateMachine;
  const caughtUp = (): Promise<void> => replica.whenApplied(replica.commit);
  return {
    caughtUp,

    async renew(id) {
      const lease = lessor.get(id);
      // Read before, for the renewal forgets it here and only here.
      const isCheckpointed = checkpoints && lease !== null && lease.remainingTtl > 0;
      const ttl = await lessor.renewed(id, replica.ticks);
      if (isCheckpointed && ttl > 0) await forgetCheckpoint(replica, id);
      return ttl;
    },

    async timeToLive(id) {
      await caughtUp();
      const found = lessor.timeToLive(id, replica.ticks);
      if (found === null) return null;
      if (!lessor.isPrimary) throw errors.notPrimaryLessor;
      return {
        ttl: found.remainingSeconds,
        grantedTtl: found.grantedTtl,
        // Copied only for who asks: a lease may hold very many.
        get keys() {
          return found.keys;
        },
      };
    },
  };
}

/** etcd: a failure is not the client's affair; the next leader then counts less time. */
async function forgetCheckpoint(replica: Pick<Replica, 'propose'>, id: LeaseId): Promise<void> {
  try {
    await replica.propose('leaseCheckpoint', { checkpoints: [{ id, remainingTtl: 0 }] });
  } catch (error) {
    if (!(error instanceof EtcdError)) throw error;
  }
}
