/** The Lease service. Only the primary lessor keeps time, so keep-alives are answered there. */

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
import { NO_LEASE } from '../types.ts';
import { bidi, type Caller, drained, type Input, type Method, type Output, unary } from './rpc.ts';
import type { Space } from './space.ts';

export interface LeaseDeps {
  readonly replica: Replica;
  readonly space: Space;
  readonly header: () => ResponseHeader;
}

export interface LeaseService {
  grant(request: LeaseGrantRequest): Promise<LeaseGrantResponse>;
  revoke(request: LeaseRevokeRequest): Promise<LeaseRevokeResponse>;
  renew(request: LeaseKeepAliveRequest): Promise<LeaseKeepAliveResponse>;
  timeToLive(request: LeaseTimeToLiveRequest): Promise<LeaseTimeToLiveResponse>;
  leases(): LeaseLeasesResponse;
}

export function createLease({ replica, space, header }: LeaseDeps): LeaseService {
  const { lessor } = replica.stateMachine;
  return {
    async grant(request) {
      if (!space.fits(leaseGrantCost(request))) await space.refuse();
      // The id is drawn before proposing, so that every member grants the same one.
      const id = request.id === NO_LEASE ? replica.requestIds.nextLease() : request.id;
      const granted = await replica.propose('leaseGrant', { id, ttl: request.ttl });
      return { header: header(), id: granted.id, ttl: granted.ttlSeconds, error: '' };
    },

    async revoke(request) {
      await replica.propose('leaseRevoke', request);
      return { header: header() };
    },

    async renew({ id }) {
      // etcd: the header is older than the renewal, so that its revision cannot be beyond that of a
      // concurrent revoke.
      const before = header();
      if (lessor.get(id) === null) await replica.whenApplied(replica.commit);
      return { header: before, id, ttl: await lessor.renewed(id, replica.ticks) };
    },

    async timeToLive({ id, keys }) {
      await replica.whenApplied(replica.commit);
      const found = lessor.timeToLive(id, replica.ticks);
      if (found === null) return { header: header(), id, ttl: -1, grantedTtl: 0, keys: [] };
      return {
        header: header(),
        id,
        ttl: found.remainingSeconds,
        grantedTtl: found.grantedTtl,
        keys: keys ? found.keys : [],
      };
    },

    leases() {
      return { header: header(), leases: lessor.leases().map((id) => ({ id })) };
    },
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
      const renewed = await lease.renew(next);
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
