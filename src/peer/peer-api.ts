/**
 * What a member answers to others beside Raft, as the peer port needs it: values and texts.
 * Refusals are errors of the catalogue.
 */

import type { HashKVResponse } from '../codec/gen/etcdserverpb.ts';
import type { ClusterId, Key, LeaseId, MemberId, Revision } from '../types.ts';

export interface PeerApi {
  readonly clusterId: ClusterId;
  /** etcd's JSON list of all members, with the newline that Go ends it with. */
  members(): string;
  /** The text of `/version`. */
  version(): string;
  /**
   * The list of members afterwards. Rejects with `memberNotFound`, `memberNotLearner`,
   * `learnerNotReady`, or anything else that a promotion may end with.
   */
  promote(id: MemberId, token: string | null): Promise<string>;
  /** The granted TTL. Rejects as `leaseTimeToLive` does. */
  leaseKeepAlive(id: LeaseId): Promise<number>;
  /** Rejects with `leaseNotFound`, `notPrimaryLessor`, `timeoutWaitAppliedIndex`. */
  leaseTimeToLive(id: LeaseId, keys: boolean): Promise<LeaseTimes>;
  /** Rejects with `compacted` or `futureRev`. */
  hashKv(revision: Revision): Promise<HashKVResponse>;
  /** Rejects as a linearizable read does. */
  downgradeEnabled(): Promise<boolean>;
}

export interface LeaseTimes {
  /** Seconds left. */
  readonly ttl: number;
  readonly grantedTtl: number;
  readonly keys: readonly Key[];
}
