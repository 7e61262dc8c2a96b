// Generated from proto/ by scripts/gen-codec.mjs; do not edit.

import { type Key, type LeaseId, EMPTY_BYTES } from '../../types.ts';
import type { Reader, Writer } from '../wire.ts';
import { type ResponseHeader, decodeResponseHeader, encodeResponseHeader } from './etcdserverpb.ts';

export interface CampaignRequest {
  readonly name: Key;
  readonly lease: LeaseId;
  readonly value: Uint8Array;
}

export function decodeCampaignRequest(r: Reader): CampaignRequest {
  let name = '' as Key;
  let lease = 0n as LeaseId;
  let value: Uint8Array = EMPTY_BYTES;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        name = r.key();
        break;
      case 16:
        lease = r.int64Exact() as LeaseId;
        break;
      case 26:
        value = r.bytes();
        break;
      default:
        r.discard(tag);
    }
  }
  return { name, lease, value };
}

export function encodeCampaignRequest(w: Writer, m: CampaignRequest): void {
  if (m.name !== '') {
    w.uint32(10);
    w.key(m.name);
  }
  if (m.lease !== 0n) {
    w.uint32(16);
    w.int64Exact(m.lease);
  }
  if (m.value.length > 0) {
    w.uint32(26);
    w.bytes(m.value);
  }
}

export interface CampaignResponse {
  readonly header: ResponseHeader | null;
  readonly leader: LeaderKey | null;
}

export function decodeCampaignResponse(r: Reader): CampaignResponse {
  let header: ResponseHeader | null = null;
  let leader: LeaderKey | null = null;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10: {
        const outer = r.enter();
        header = decodeResponseHeader(r);
        r.leave(outer);
        break;
      }
      case 18: {
        const outer = r.enter();
        leader = decodeLeaderKey(r);
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { header, leader };
}

export function encodeCampaignResponse(w: Writer, m: CampaignResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  if (m.leader !== null) {
    w.uint32(18);
    const start = w.open();
    encodeLeaderKey(w, m.leader);
    w.close(start);
  }
}

export interface LeaderKey {
  readonly name: Key;
  readonly key: Key;
  readonly rev: number;
  readonly lease: LeaseId;
}

export function decodeLeaderKey(r: Reader): LeaderKey {
  let name = '' as Key;
  let key = '' as Key;
  let rev = 0;
  let lease = 0n as LeaseId;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        name = r.key();
        break;
      case 18:
        key = r.key();
        break;
      case 24:
        rev = r.int64();
        break;
      case 32:
        lease = r.int64Exact() as LeaseId;
        break;
      default:
        r.discard(tag);
    }
  }
  return { name, key, rev, lease };
}

export function encodeLeaderKey(w: Writer, m: LeaderKey): void {
  if (m.name !== '') {
    w.uint32(10);
    w.key(m.name);
  }
  if (m.key !== '') {
    w.uint32(18);
    w.key(m.key);
  }
  if (m.rev !== 0) {
    w.uint32(24);
    w.int64(m.rev);
  }
  if (m.lease !== 0n) {
    w.uint32(32);
    w.int64Exact(m.lease);
  }
}

export interface LeaderRequest {
  readonly name: Key;
}

export function decodeLeaderRequest(r: Reader): LeaderRequest {
  let name = '' as Key;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        name = r.key();
        break;
      default:
        r.discard(tag);
    }
  }
  return { name };
}

export function encodeLeaderRequest(w: Writer, m: LeaderRequest): void {
  if (m.name !== '') {
    w.uint32(10);
    w.key(m.name);
  }
}

export interface LeaderResponse {
  readonly header: ResponseHeader | null;
  readonly kv: Uint8Array | null;
}

export function decodeLeaderResponse(r: Reader): LeaderResponse {
  let header: ResponseHeader | null = null;
  let kv: Uint8Array | null = null;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10: {
        const outer = r.enter();
        header = decodeResponseHeader(r);
        r.leave(outer);
        break;
      }
      case 18:
        kv = r.bytes();
        break;
      default:
        r.discard(tag);
    }
  }
  return { header, kv };
}

export function encodeLeaderResponse(w: Writer, m: LeaderResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  if (m.kv !== null) {
    w.uint32(18);
    w.bytes(m.kv);
  }
}

export interface ResignRequest {
  readonly leader: LeaderKey | null;
}

export function decodeResignRequest(r: Reader): ResignRequest {
  let leader: LeaderKey | null = null;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10: {
        const outer = r.enter();
        leader = decodeLeaderKey(r);
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { leader };
}

export function encodeResignRequest(w: Writer, m: ResignRequest): void {
  if (m.leader !== null) {
    w.uint32(10);
    const start = w.open();
    encodeLeaderKey(w, m.leader);
    w.close(start);
  }
}

export interface ResignResponse {
  readonly header: ResponseHeader | null;
}

export function decodeResignResponse(r: Reader): ResignResponse {
  let header: ResponseHeader | null = null;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10: {
        const outer = r.enter();
        header = decodeResponseHeader(r);
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { header };
}

export function encodeResignResponse(w: Writer, m: ResignResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
}

export interface ProclaimRequest {
  readonly leader: LeaderKey | null;
  readonly value: Uint8Array;
}

export function decodeProclaimRequest(r: Reader): ProclaimRequest {
  let leader: LeaderKey | null = null;
  let value: Uint8Array = EMPTY_BYTES;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10: {
        const outer = r.enter();
        leader = decodeLeaderKey(r);
        r.leave(outer);
        break;
      }
      case 18:
        value = r.bytes();
        break;
      default:
        r.discard(tag);
    }
  }
  return { leader, value };
}

export function encodeProclaimRequest(w: Writer, m: ProclaimRequest): void {
  if (m.leader !== null) {
    w.uint32(10);
    const start = w.open();
    encodeLeaderKey(w, m.leader);
    w.close(start);
  }
  if (m.value.length > 0) {
    w.uint32(18);
    w.bytes(m.value);
  }
}

export interface ProclaimResponse {
  readonly header: ResponseHeader | null;
}

export function decodeProclaimResponse(r: Reader): ProclaimResponse {
  let header: ResponseHeader | null = null;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10: {
        const outer = r.enter();
        header = decodeResponseHeader(r);
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { header };
}

export function encodeProclaimResponse(w: Writer, m: ProclaimResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
}
