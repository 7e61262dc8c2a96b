/**
 * Leases, the keys attached to them, and on the primary (the leader) their expiry.
 *
 * Time is the replica's count of ticks; nothing here measures it. Grants, revokes and checkpoints
 * come from applied entries and are the same on every member; renewal, promotion and expiry exist
 * on the primary only. The lessor never deletes a key: `revoke` returns the keys to delete, and
 * `expired` returns the leases to revoke.
 *
 * Invariant: a key is attached to at most one lease, and only to an existing one.
 * Invariant: on the primary every lease has an entry in the heap that is not later than its expiry.
 * Renewals only extend, so they need not touch the heap: an entry that surfaces early goes back in.
 * Safety: a lease granted or renewed between two ticks lives one tick longer than its TTL, so that
 * it never ends early.
 */

import { assert, must } from '../assert.ts';
import { buckets, rowKey } from '../buckets.ts';
import { decodeLease, encodeLease } from '../codec/gen/leasepb.ts';
import { decode, encode } from '../codec/wire.ts';
import { type EtcdError, errors } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Row, Rows } from '../ports.ts';
import { type Key, type LeaseId, NO_LEASE, type RowKey } from '../types.ts';
import { bytesFromU64 } from '../u64.ts';
import { DeadlineHeap } from './deadline-heap.ts';

export interface LessorOptions {
  readonly rows: Rows;
  readonly tickMs: number;
  readonly minTtlSeconds: number;
  /** Ticks after which an expired lease that is still there is handed out again. */
  readonly retryTicks: number;
}

export interface LeaseView {
  readonly id: LeaseId;
  readonly ttlSeconds: number;
  /** What a checkpoint left of the TTL; 0 when there is none. */
  readonly remainingTtl: number;
  readonly keys: ReadonlySet<Key>;
}

export interface TimeToLive {
  /** Truncated as in Go: 0 in the last second, negative when the revoke is overdue. */
  readonly remainingSeconds: number;
  readonly grantedTtl: number;
  readonly keys: readonly Key[];
}

/**
 * `expired`: the lease is past its expiry but not revoked yet, so only `renewed` can tell the end.
 * `checkpointed`: other members hold a shorter TTL; a checkpoint of 0 makes them forget it.
 */
export type Renewal =
  | { readonly case: 'renewed'; readonly ttlSeconds: number; readonly checkpointed: boolean }
  | { readonly case: 'missing' }
  | { readonly case: 'expired' }
  | { readonly case: 'not-primary' };

interface Waiter {
  readonly resolve: (ttlSeconds: number) => void;
  readonly reject: (error: EtcdError) => void;
}

interface Lease extends LeaseView {
  remainingTtl: number;
  /** Infinite unless this lessor is primary. */
  expiryTick: number;
  /** Once handed out as expired: when it is handed out again. */
  retryTick: number;
  readonly keys: Set<Key>;
  /** Renewals that wait for the revoke of the expired lease; mostly there are none. */
  waiters: Waiter[] | null;
}

const NO_WAITERS: readonly Waiter[] = [];
const FOREVER = Number.POSITIVE_INFINITY;
/** Heap entries of revoked leases that may pile up before the heap is built anew. */
const STALE_ENTRIES_MAX = 1024;

export class Lessor {
  readonly #options: LessorOptions;
  #leases = new Map<LeaseId, Lease>();
  #leaseOfKey = new Map<Key, Lease>();
  readonly #heap = new DeadlineHeap<Lease>();
  #nowTicks = 0;
  #primary = false;
  #renewals = 0;

  constructor(options: LessorOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#leases.size;
  }

  /** Entries of the expiry heap: leases and what revoked ones left behind. */
  get heapSize(): number {
    return this.#heap.size;
  }

  /** Renewals granted here since the start. */
  get renewals(): number {
    return this.#renewals;
  }

  get isPrimary(): boolean {
    return this.#primary;
  }

  /** Takes in rows of the lease bucket at start, before keys are attached. */
  load(rows: readonly Row[]): void {
    for (const { value } of rows) {
      const { id, ttl, remainingTtl } = decode(decodeLease, value);
      const ttlSeconds = Math.max(ttl, this.#options.minTtlSeconds);
      this.#leases.set(id, newLease(id, ttlSeconds, remainingTtl));
    }
  }

  /**
   * Takes over the leases and keys of another lessor, which is not used any more. Only a member
   * that follows gets other content, and where it follows, no lease has an end.
   */
  adopt(other: Lessor): void {
    assert(!this.#primary && !other.#primary, 'leases are replaced where no time is kept');
    this.#leases = other.#leases;
    this.#leaseOfKey = other.#leaseOfKey;
  }

  tick(nowTicks: number): void {
    assert(nowTicks >= this.#nowTicks, 'ticks never go back');
    this.#nowTicks = nowTicks;
  }

  /** etcd: a TTL below the minimum, also 0 or negative, is raised without a word. */
  grant(id: LeaseId, ttl: number): { readonly ttlSeconds: number } | EtcdError {
    if (id === NO_LEASE) return errors.leaseNotFound;
    if (ttl > limits.leaseTtlSecondsMax) return errors.leaseTtlTooLarge;
    if (this.#leases.has(id)) return errors.leaseExist;
    const lease = newLease(id, Math.max(ttl, this.#options.minTtlSeconds), 0);
    this.#leases.set(id, lease);
    if (this.#primary) this.#schedule(lease, this.#expiryAfter(lease.ttlSeconds));
    this.#store(lease);
    return { ttlSeconds: lease.ttlSeconds };
  }

  /** Forgets the lease. Returns the keys that go with it, sorted, for the caller to delete. */
  revoke(id: LeaseId): readonly Key[] | EtcdError {
    const lease = this.#leases.get(id);
    if (lease === undefined) return errors.leaseNotFound;
    this.#leases.delete(id);
    this.#options.rows.delete(leaseRow(id));
    for (const key of lease.keys) this.#leaseOfKey.delete(key);
    for (const waiter of takeWaiters(lease)) waiter.resolve(0);
    if (this.#heap.size > 2 * this.#leases.size + STALE_ENTRIES_MAX) this.#rebuildHeap();
    return [...lease.keys].sort();
  }

  /** Notes what was left of the TTL on the primary; it counts when another one takes over. */
  checkpoint(id: LeaseId, remainingTtl: number): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) return;
    lease.remainingTtl = remainingTtl;
    this.#store(lease);
  }

  has(id: LeaseId): boolean {
    return this.#leases.has(id);
  }

  get(id: LeaseId): LeaseView | null {
    return this.#leases.get(id) ?? null;
  }

  /** On the primary the next to expire comes first. */
  leases(): readonly LeaseId[] {
    if (!this.#primary) return [...this.#leases.keys()];
    return this.#byExpiry().map((lease) => lease.id);
  }

  /** Moves the key from its present lease, if any. False when the lease does not exist. */
  attach(id: LeaseId, key: Key): boolean {
    this.detach(key);
    const lease = this.#leases.get(id);
    if (lease === undefined) return false;
    lease.keys.add(key);
    this.#leaseOfKey.set(key, lease);
    return true;
  }

  detach(key: Key): void {
    const lease = this.#leaseOfKey.get(key);
    if (lease === undefined) return;
    lease.keys.delete(key);
    this.#leaseOfKey.delete(key);
  }

  leaseOf(key: Key): LeaseId {
    return this.#leaseOfKey.get(key)?.id ?? NO_LEASE;
  }

  renew(id: LeaseId, nowTicks: number): Renewal {
    if (!this.#primary) return { case: 'not-primary' };
    const lease = this.#leases.get(id);
    if (lease === undefined) return { case: 'missing' };
    this.tick(nowTicks);
    if (nowTicks >= lease.expiryTick) return { case: 'expired' };
    this.#renewals++;
    const checkpointed = lease.remainingTtl > 0;
    lease.remainingTtl = 0;
    // A lease that a promotion has spread out may already live longer than that.
    lease.expiryTick = Math.max(lease.expiryTick, this.#expiryAfter(lease.ttlSeconds));
    return { case: 'renewed', ttlSeconds: lease.ttlSeconds, checkpointed };
  }

  /**
   * Renews and tells the granted TTL, or 0 for a missing lease. An expired one waits for its revoke
   * (then 0); demotion ends that wait as `notPrimaryLessor`, and so does asking a follower.
   */
  renewed(id: LeaseId, nowTicks: number): Promise<number> {
    const renewal = this.renew(id, nowTicks);
    switch (renewal.case) {
      case 'renewed':
        return Promise.resolve(renewal.ttlSeconds);
      case 'missing':
        return Promise.resolve(0);
      case 'not-primary':
        return Promise.reject(errors.notPrimaryLessor);
      case 'expired':
        return new Promise((resolve, reject) => {
          const lease = must(this.#leases.get(id), 'an expired lease is there');
          lease.waiters ??= [];
          lease.waiters.push({ resolve, reject });
        });
    }
  }

  /** Null when missing. Only the primary knows the time; elsewhere the TTL looks untouched. */
  timeToLive(id: LeaseId, nowTicks: number): TimeToLive | null {
    const lease = this.#leases.get(id);
    if (lease === undefined) return null;
    const { keys } = lease;
    return {
      remainingSeconds: this.#primary ? this.#remainingSeconds(lease, nowTicks) : lease.ttlSeconds,
      grantedTtl: lease.ttlSeconds,
      // Copied only for who asks: a lease may hold very many.
      get keys() {
        return [...keys];
      },
    };
  }

  /**
   * This member keeps the time from now on. Nobody knows how long ago the leases were renewed, so
   * each starts again with its full (or checkpointed) TTL and `extendTicks` on top.
   */
  promote(nowTicks: number, extendTicks: number): void {
    this.tick(nowTicks);
    this.#primary = true;
    for (const lease of this.#leases.values()) {
      const seconds = lease.remainingTtl > 0 ? lease.remainingTtl : lease.ttlSeconds;
      lease.expiryTick = this.#expiryAfter(seconds) + extendTicks;
      lease.retryTick = 0;
    }
    if (this.#leases.size >= limits.leasesSpreadMin) this.#spread();
    this.#rebuildHeap();
  }

  demote(): void {
    this.#primary = false;
    this.#heap.clear();
    for (const lease of this.#leases.values()) {
      lease.expiryTick = FOREVER;
      for (const waiter of takeWaiters(lease)) waiter.reject(errors.notPrimaryLessor);
    }
  }

  /**
   * Leases past their expiry, at most `max`. Each is handed out again after `retryTicks` if its
   * revoke has not come through by then.
   */
  expired(nowTicks: number, max: number): readonly LeaseId[] {
    this.tick(nowTicks);
    const due: LeaseId[] = [];
    while (due.length < max && this.#heap.earliest <= nowTicks) {
      const lease = this.#heap.pop();
      if (lease === null) break;
      // Revoked since, and perhaps granted again as another one.
      if (this.#leases.get(lease.id) !== lease) continue;
      if (lease.expiryTick > nowTicks) this.#heap.push(lease.expiryTick, lease);
      else {
        due.push(lease.id);
        lease.retryTick = nowTicks + this.#options.retryTicks;
        this.#heap.push(lease.retryTick, lease);
      }
    }
    return due;
  }

  /** The first tick at which `seconds` have certainly passed, wherever between ticks we are now. */
  #expiryAfter(seconds: number): number {
    return this.#nowTicks + Math.ceil((seconds * 1000) / this.#options.tickMs) + 1;
  }

  #remainingSeconds(lease: Lease, nowTicks: number): number {
    const seconds = ((lease.expiryTick - 1 - nowTicks) * this.#options.tickMs) / 1000;
    // Some part of the current tick has passed, so what remains is below `seconds`. Go truncates
    // toward zero.
    return seconds > 0 ? Math.ceil(seconds) - 1 : Math.ceil(seconds) + 0;
  }

  #schedule(lease: Lease, expiryTick: number): void {
    lease.expiryTick = expiryTick;
    this.#heap.push(expiryTick, lease);
  }

  #rebuildHeap(): void {
    this.#heap.clear();
    if (!this.#primary) return;
    for (const lease of this.#leases.values()) {
      this.#heap.push(Math.max(lease.expiryTick, lease.retryTick), lease);
    }
  }

  /** etcd: leases that would all expire at once after a promotion are moved apart. */
  #spread(): void {
    const ticksPerLease = 1000 / this.#options.tickMs / limits.leaseSpreadPerSecond;
    let earliest = 0;
    for (const lease of this.#byExpiry()) {
      const due = Math.max(lease.expiryTick, earliest);
      lease.expiryTick = Math.floor(due);
      earliest = due + ticksPerLease;
    }
  }

  #byExpiry(): readonly Lease[] {
    return [...this.#leases.values()].sort((a, b) => a.expiryTick - b.expiryTick);
  }

  #store(lease: Lease): void {
    const { id, ttlSeconds: ttl, remainingTtl } = lease;
    this.#options.rows.put(leaseRow(id), encode(encodeLease, { id, ttl, remainingTtl }));
  }
}

function newLease(id: LeaseId, ttlSeconds: number, remainingTtl: number): Lease {
  return {
    id,
    ttlSeconds,
    remainingTtl,
    expiryTick: FOREVER,
    retryTick: 0,
    keys: new Set(),
    waiters: null,
  };
}

function takeWaiters(lease: Lease): readonly Waiter[] {
  const waiters = lease.waiters ?? NO_WAITERS;
  lease.waiters = null;
  return waiters;
}

function leaseRow(id: LeaseId): RowKey {
  return rowKey(buckets.lease, Buffer.from(bytesFromU64(id)).toString('latin1'));
}
