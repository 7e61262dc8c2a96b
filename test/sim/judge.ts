/**
 * Watches all members from outside and knows what must hold among them at every moment: Raft's
 * invariants, equal states from equal entries, leases that live as long as was promised. On the way
 * it writes down what the cluster did: its log of events by revision.
 */

import { assert, must } from '../../src/assert.ts';
import { decodeInternalRaftRequest } from '../../src/codec/gen/etcdserverpb.ts';
import { decodeKeyValue } from '../../src/codec/key-value.ts';
import { decode } from '../../src/codec/wire.ts';
import { EtcdError } from '../../src/errors.ts';
import type { Event as StoreEvent } from '../../src/mvcc/event.ts';
import { InvariantChecker } from '../../src/raft/invariants.ts';
import type { Entry } from '../../src/raft/messages.ts';
import type { Bootstrapped } from '../../src/replica/bootstrap.ts';
import type { Applied, StateMachine } from '../../src/replica/state-machine.ts';
import type { Index, LeaseId, MemberId, Revision } from '../../src/types.ts';
import type { Event } from '../support/model.ts';
import type { Timeline } from './timeline.ts';
import type { Trace } from './trace.ts';

/** What a client was promised of a lease. */
interface Promised {
  readonly ttlMs: number;
  /** When the last request that was acknowledged began. */
  sinceMs: number;
  /** A client has asked for its end. */
  isRevoked: boolean;
}

export class Judge {
  readonly #timeline: Timeline;
  readonly #trace: Trace;
  readonly #checker = new InvariantChecker();
  /** What applying each entry did, told by the first member that did it. */
  readonly #effects = new Map<Index, string>();
  readonly #revisions = new Map<Revision, string>();
  readonly log: Event[] = [];
  readonly #leases = new Map<LeaseId, Promised>();
  /** Members that some member knows to be removed for good. */
  readonly removed = new Set<MemberId>();

  constructor(timeline: Timeline, trace: Trace) {
    this.#timeline = timeline;
    this.#trace = trace;
  }

  /** A process has read what its disk holds, and is about to begin. */
  joined({ stateMachine, memberId }: Bootstrapped): void {
    this.#checker.restarted(memberId);
    const { hub } = stateMachine;
    const apply = stateMachine.apply.bind(stateMachine);
    stateMachine.apply = (entry) => {
      const applied = apply(entry);
      this.#applied(entry, applied, stateMachine);
      return applied;
    };
    const publish = hub.publish.bind(hub);
    hub.publish = (revision, events) => {
      this.#published(revision, events);
      publish(revision, events);
    };
  }

  /** Something has happened in a process. */
  check({ raft }: Bootstrapped): void {
    this.#checker.check([raft]);
  }

  ended(id: MemberId): void {
    this.#checker.restarted(id);
  }

  promised(id: LeaseId, ttlSeconds: number, sinceMs: number): void {
    const known = this.#leases.get(id);
    if (known !== undefined) known.sinceMs = Math.max(known.sinceMs, sinceMs);
    else this.#leases.set(id, { ttlMs: ttlSeconds * 1000, sinceMs, isRevoked: false });
  }

  revoking(id: LeaseId): void {
    const lease = this.#leases.get(id);
    if (lease !== undefined) lease.isRevoked = true;
  }

  #applied(entry: Entry, { kind, result }: Applied, { store, members }: StateMachine): void {
    const verdict = result instanceof EtcdError ? result.message : 'done';
    const effect = `${entry.term} ${kind} ${verdict}, revision ${store.revision}`;
    const known = this.#effects.get(entry.index);
    if (known !== undefined) {
      if (known !== effect) {
        throw new Error(`entry ${entry.index} did "${known}" and elsewhere "${effect}"`);
      }
      return;
    }
    this.#effects.set(entry.index, effect);
    this.#trace.count(`applied ${kind}`);
    this.#trace.add(this.#timeline.nowMs, `entry ${entry.index}: ${effect}`);
    if (entry.type !== 'normal') for (const id of members.removed()) this.removed.add(id);
    if (kind === 'leaseRevoke' && verdict === 'done') this.#leaseEnded(entry);
  }

  #leaseEnded(entry: Entry): void {
    const { request } = decode(decodeInternalRaftRequest, entry.data);
    assert(request?.case === 'leaseRevoke', 'the entry is what it was applied as');
    const lease = this.#leases.get(request.value.id);
    if (lease === undefined || lease.isRevoked) return;
    const livedMs = this.#timeline.nowMs - lease.sinceMs;
    this.#trace.count('leases expired');
    if (livedMs < lease.ttlMs) {
      throw new Error(
        `lease ${request.value.id} ended after ${livedMs} ms, promised were ${lease.ttlMs}`,
      );
    }
  }

  #published(revision: Revision, events: readonly StoreEvent[]): void {
    const seen = events.map((event) => readEvent(event));
    const text = seen
      .map((event) => `${event.key}=${event.type === 'put' ? event.value : '-'}`)
      .join();
    const known = this.#revisions.get(revision);
    if (known !== undefined) {
      if (known !== text) {
        throw new Error(`revision ${revision} is "${known}" and elsewhere "${text}"`);
      }
      return;
    }
    this.#revisions.set(revision, text);
    for (const event of seen) this.log.push(event);
  }
}

function readEvent({ type, key, revision, kv, lease }: StoreEvent): Event {
  if (type === 'delete') return { type, revision, key };
  const value = Buffer.from(must(decodeKeyValue(kv).value, 'a put has a value')).toString();
  return { type, revision, key, value, lease };
}
