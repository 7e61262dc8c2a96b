// Generated from proto/ by scripts/gen-codec.mjs; do not edit.

import { type LeaseId } from '../../types.ts';
import type { Reader, Writer } from '../wire.ts';
import { type LeaseTimeToLiveRequest, decodeLeaseTimeToLiveRequest, encodeLeaseTimeToLiveRequest, type LeaseTimeToLiveResponse, decodeLeaseTimeToLiveResponse, encodeLeaseTimeToLiveResponse } from './etcdserverpb.ts';

export interface Lease {
  readonly id: LeaseId;
  readonly ttl: number;
  readonly remainingTtl: number;
}

export function decodeLease(r: Reader): Lease {
  let id = 0n as LeaseId;
  let ttl = 0;
  let remainingTtl = 0;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        id = r.int64Exact() as LeaseId;
        break;
      case 16:
        ttl = r.int64();
        break;
      case 24:
        remainingTtl = r.int64();
        break;
      default:
        r.discard(tag);
    }
  }
  return { id, ttl, remainingTtl };
}

export function encodeLease(w: Writer, m: Lease): void {
  if (m.id !== 0n) {
    w.uint32(8);
    w.int64Exact(m.id);
  }
  if (m.ttl !== 0) {
    w.uint32(16);
    w.int64(m.ttl);
  }
  if (m.remainingTtl !== 0) {
    w.uint32(24);
    w.int64(m.remainingTtl);
  }
}

export interface LeaseInternalRequest {
  readonly leaseTimeToLiveRequest: LeaseTimeToLiveRequest | null;
}

export function decodeLeaseInternalRequest(r: Reader): LeaseInternalRequest {
  let leaseTimeToLiveRequest: LeaseTimeToLiveRequest | null = null;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10: {
        const outer = r.enter();
        leaseTimeToLiveRequest = decodeLeaseTimeToLiveRequest(r);
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { leaseTimeToLiveRequest };
}

export function encodeLeaseInternalRequest(w: Writer, m: LeaseInternalRequest): void {
  if (m.leaseTimeToLiveRequest !== null) {
    w.uint32(10);
    const start = w.open();
    encodeLeaseTimeToLiveRequest(w, m.leaseTimeToLiveRequest);
    w.close(start);
  }
}

export interface LeaseInternalResponse {
  readonly leaseTimeToLiveResponse: LeaseTimeToLiveResponse | null;
}

export function decodeLeaseInternalResponse(r: Reader): LeaseInternalResponse {
  let leaseTimeToLiveResponse: LeaseTimeToLiveResponse | null = null;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10: {
        const outer = r.enter();
        leaseTimeToLiveResponse = decodeLeaseTimeToLiveResponse(r);
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { leaseTimeToLiveResponse };
}

export function encodeLeaseInternalResponse(w: Writer, m: LeaseInternalResponse): void {
  if (m.leaseTimeToLiveResponse !== null) {
    w.uint32(10);
    const start = w.open();
    encodeLeaseTimeToLiveResponse(w, m.leaseTimeToLiveResponse);
    w.close(start);
  }
}
