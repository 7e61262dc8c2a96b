/**
 * Ids of requests, and of leases when the client leaves the choice to us, made as etcd makes them
 * (`pkg/idutil`): the low 16 bits of the member id, then 48 bits that start from the wall clock in
 * milliseconds shifted by 8, so that a restarted member does not repeat the ids of its last life.
 */

import type { LeaseId, MemberId } from '../types.ts';

const SUFFIX_BITS = 48n;
const SUFFIX_MASK = (1n << SUFFIX_BITS) - 1n;
const MILLIS_MASK = (1n << 40n) - 1n;

export class RequestIds {
  readonly #prefix: bigint;
  #suffix: bigint;

  constructor(memberId: MemberId, nowMs: number) {
    this.#prefix = (memberId & 0xffffn) << SUFFIX_BITS;
    this.#suffix = (BigInt(Math.floor(nowMs)) & MILLIS_MASK) << 8n;
  }

  next(): bigint {
    this.#suffix = (this.#suffix + 1n) & SUFFIX_MASK;
    return this.#prefix | this.#suffix;
  }

  /** A positive 63-bit lease id. */
  nextLease(): LeaseId {
    return BigInt.asUintN(63, this.next()) as LeaseId;
  }
}
