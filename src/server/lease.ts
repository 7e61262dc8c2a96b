/**
 * The Lease service. Grants and revokes go through the log; only the primary lessor, the leader's,
 * keeps time, so keep-alives and remaining times are asked there, over the peer port if need be.
 */

import {
  decodeLeaseGrantRequest,
  decodeLeaseKeepAliveRequest,
  decodeLeaseLeasesRequest,
  decodeLeaseRevokeRequest,
  decodeLeaseTimeToLiveRequest,
  encodeLeaseGrantResponse,
  encodeLeaseKeepAliveResponse,
  encodeLeaseLeasesResponse,
  encodeLeaseRevokeResponse,
  encodeLeaseTimeToLiveResponse,
  type LeaseGrantRequest,
  type LeaseGrantResponse,
  type LeaseKeepAliveRequest,
  type LeaseKeepAliveResponse,
  type LeaseLeasesRequest,
  type LeaseLeasesResponse,
  type LeaseRevokeRequest,
  type LeaseRevokeResponse,
  type LeaseTimeToLiveRequest,
  type LeaseTimeToLiveResponse,
  type ResponseHeader,
} from '../codec/gen/etcdserverpb.ts';
import { EtcdError, errors } from '../errors.ts';
import { limits } from '../limits.ts';
import { leaseGrantCost } from '../replica/cost.ts';
import type { Replica } from '../replica/replica.ts';
import { type LeaseId, NO_LEASE } from '../types.ts';
import type { Access } from './access.ts';
import type { AskLeader } from './leader-calls.ts';
import { checkLeases } from './lease-access.ts';
import type { LeaseTimes, PrimaryLeases } from './primary-leases.ts';
import { bidi, type Caller, drained, type Input, type Method, type Output, unary } from './rpc.ts';
import type { Space } from './space.ts';

/** How other members are asked. Both reject with `leaseNotFound` when the leader says so. */
export interface LeasePeers {
  /** The granted TTL. */
  leaseKeepAlive(url: string, id: LeaseId, signal: AbortSignal): Promise<number>;
  leaseTimeToLive(
    url: string,
    id: LeaseId,
    keys: boolean,
    signal: AbortSignal,
  ): Promise<LeaseTimes>;
}

export interface LeaseDeps {
  readonly replica: Pick<
    Replica,
    'stateMachine' | 'requestIds' | 'propose' | 'readBarrier' | 'lead' | 'memberId'
  >;
  readonly access: Access;
  readonly primary: PrimaryLeases;
  readonly askLeader: AskLeader;
  readonly peers: LeasePeers;
  /** Renews what is known without waiting for what is committed (gate FastLeaseKeepAlive). */
  readonly fastKeepAlive: boolean;
  readonly tickMs: number;
  readonly monotonic: () => number;
  readonly space: Space;
  readonly header: () => ResponseHeader;
}

export interface LeaseService {
  grant(request: LeaseGrantRequest, caller?: Caller): Promise<LeaseGrantResponse>;
  revoke(request: LeaseRevokeRequest, caller?: Caller): Promise<LeaseRevokeResponse>;
  renew(request: LeaseKeepAliveRequest, caller?: Caller): Promise<LeaseKeepAliveResponse>;
  timeToLive(request: LeaseTimeToLiveRequest, caller?: Caller): Promise<LeaseTimeToLiveResponse>;
  leases(request: LeaseLeasesRequest, caller?: Caller): Promise<LeaseLeasesResponse>;
  /** Called once per heartbeat interval. */
  tick(nowMs: number): void;
}

/** etcd: heartbeat intervals without a tick after which a leader doubts that it still is one. */
const SILENT_TICKS_MAX = 3;

export function createLease(deps: LeaseDeps): LeaseService {
  const { replica, access, primary, askLeader, peers, space, header } = deps;
  const { lessor } = replica.stateMachine;
  const silentMsMax = SILENT_TICKS_MAX * deps.tickMs;
  let tickedMs = deps.monotonic();
  /** Silences so far, and the one after which this member was last known to lead. */
  let silences = 0;
  let clearedSilence = 0;

  /**
   * A process that was stopped for a while may still believe that it leads, and must not renew
   * leases that the new leader lets expire. etcd asks no more once it has ticked again, and a
   * process that goes on ticks before it looks at requests; here only a quorum ends the doubt.
   */
  async function ensureLeadership(): Promise<void> {
    const silence = silences;
    if (silence === clearedSilence && deps.monotonic() - tickedMs < silentMsMax) return;
    try {
      await replica.readBarrier();
    } catch (error) {
      if (error instanceof EtcdError) throw errors.notPrimaryLessor;
      throw error;
    }
    if (replica.lead !== replica.memberId) throw errors.notPrimaryLessor;
    clearedSilence = Math.max(clearedSilence, silence);
  }

  async function renewHere(id: LeaseId, check: () => Promise<void>): Promise<number> {
    // One that is not there may have been granted and not be applied yet.
    if (!deps.fastKeepAlive || lessor.get(id) === null) await primary.caughtUp();
    await check();
    return primary.renew(id);
  }

  async function timeToLiveHere(id: LeaseId): Promise<LeaseTimes | null> {
    try {
      return await primary.timeToLive(id);
    } catch (error) {
      throw error === errors.notPrimaryLessor ? errors.leaderChanged : error;
    }
  }

  return {
    async grant(request, caller) {
      if (!space.fits(leaseGrantCost(request))) await space.refuse();
      // The id is drawn before proposing, so that every member grants the same one.
      const id = request.id === NO_LEASE ? replica.requestIds.nextLease() : request.id;
      const who = await access.known(caller);
      const granted = await replica.propose('leaseGrant', { id, ttl: request.ttl }, who);
      return { header: header(), id: granted.id, ttl: granted.ttlSeconds, error: '' };
    },

    async revoke(request, caller) {
      await replica.propose('leaseRevoke', request, await access.known(caller));
      return { header: header() };
    },

    async renew({ id }, caller) {
      const check = () => checkLeases(access, caller, 'write', () => [lessor.get(id)]);
      // etcd: the header is older than the renewal, so that its revision cannot be beyond that of a
      // concurrent revoke.
      const before = header();
      if (replica.lead === replica.memberId) await ensureLeadership();
      else await check();
      const ttl = await askLeader({
        here: () => renewHere(id, check),
        notHere: errors.notPrimaryLessor,
        there: (url, signal) => peers.leaseKeepAlive(url, id, signal),
        answers: [errors.leaseNotFound],
      }).catch(missingAs(0));
      return { header: before, id, ttl };
    },

    async timeToLive({ id, keys }, caller) {
      await access.known(caller);
      const { revision } = access.auth;
      if (keys) await checkLeases(access, caller, 'read', () => [lessor.get(id)]);
      const found = await askLeader({
        here: () => timeToLiveHere(id),
        // etcd: who loses the leadership meanwhile says so, and clients ask again.
        notHere: null,
        there: (url, signal) => peers.leaseTimeToLive(url, id, keys, signal),
        answers: [errors.leaseNotFound],
      }).catch(missingAs(null));
      if (found === null) return { header: header(), id, ttl: -1, grantedTtl: 0, keys: [] };
      if (keys && access.enabled && revision !== access.auth.revision) {
        throw errors.authOldRevision;
      }
      const { ttl, grantedTtl } = found;
      return { header: header(), id, ttl, grantedTtl, keys: keys ? found.keys : [] };
    },

    async leases(_request, caller) {
      const ids = lessor.leases();
      await checkLeases(access, caller, 'read', () => ids.map((id) => lessor.get(id)));
      return { header: header(), leases: ids.map((id) => ({ id })) };
    },

    tick(nowMs) {
      if (nowMs - tickedMs >= silentMsMax) silences++;
      tickedMs = nowMs;
    },
  };
}

/** etcd: a lease that is not there is an answer here, not an error. */
function missingAs<T>(value: T): (error: unknown) => T {
  return (error) => {
    if (error === errors.leaseNotFound) return value;
    throw error;
  };
}

export function leaseMethods(
  lease: LeaseService,
  onFatal: (error: unknown) => void,
): readonly Method[] {
  const service = 'etcdserverpb.Lease';
  return [
    unary(
      service,
      'LeaseGrant',
      { decode: decodeLeaseGrantRequest, encode: encodeLeaseGrantResponse },
      lease.grant,
    ),
    unary(
      service,
      'LeaseRevoke',
      { decode: decodeLeaseRevokeRequest, encode: encodeLeaseRevokeResponse },
      lease.revoke,
    ),
    bidi(
      service,
      'LeaseKeepAlive',
      { decode: decodeLeaseKeepAliveRequest, encode: encodeLeaseKeepAliveResponse },
      (caller, output) => keepAlive(lease, caller, output, onFatal),
    ),
    unary(
      service,
      'LeaseTimeToLive',
      { decode: decodeLeaseTimeToLiveRequest, encode: encodeLeaseTimeToLiveResponse },
      lease.timeToLive,
    ),
    unary(
      service,
      'LeaseLeases',
      { decode: decodeLeaseLeasesRequest, encode: encodeLeaseLeasesResponse },
      lease.leases,
    ),
  ];
}

/** One answer per request, in order; after the last request and its answer the stream ends. */
function keepAlive(
  lease: LeaseService,
  caller: Caller,
  output: Output<LeaseKeepAliveResponse>,
  onFatal: (error: unknown) => void,
): Input<LeaseKeepAliveRequest> {
  const waiting: LeaseKeepAliveRequest[] = [];
  let working = false;
  let halfClosed = false;
  let over = false;
  const finish = (error: EtcdError | null): void => {
    if (over) return;
    over = true;
    output.end(error);
  };
  const work = async (): Promise<void> => {
    working = true;
    for (let next = waiting.shift(); next !== undefined && !over; next = waiting.shift()) {
      const renewed = await lease.renew(next, caller);
      if (over) return;
      output.send(renewed);
      if (output.bufferedBytes > limits.streamBufferedBytesMax) await drained(output, caller);
    }
    working = false;
    if (halfClosed) finish(null);
  };
  const start = (): void => {
    work().catch((error: unknown) => {
      if (error instanceof EtcdError) finish(error);
      else onFatal(error);
    });
  };
  return {
    message(request) {
      if (over || caller.cancelled) return;
      if (waiting.length >= limits.keepAlivesQueuedMax) return finish(errors.tooManyRequests);
      waiting.push(request);
      if (!working) start();
    },
    halfClose() {
      halfClosed = true;
      if (!working) finish(null);
    },
    close() {
      over = true;
    },
  };
}
