// Generated from proto/ by scripts/gen-codec.mjs; do not edit.

import { type Key, type LeaseId } from '../../types.ts';
import type { Reader, Writer } from '../wire.ts';
import { type ResponseHeader, decodeResponseHeader, encodeResponseHeader } from './etcdserverpb.ts';

export interface LockRequest {
  readonly name: Key;
  readonly lease: LeaseId;
}

export function decodeLockRequest(r: Reader): LockRequest {
  let name = '' as Key;
  let lease = 0n as LeaseId;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        name = r.key();
        break;
      case 16:
        lease = r.int64Exact() as LeaseId;
        break;
      default:
        r.discard(tag);
    }
  }
  return { name, lease };
}

export function encodeLockRequest(w: Writer, m: LockRequest): void {
  if (m.name !== '') {
    w.uint32(10);
    w.key(m.name);
  }
  if (m.lease !== 0n) {
    w.uint32(16);
    w.int64Exact(m.lease);
  }
}

export interface LockResponse {
  readonly header: ResponseHeader | null;
  readonly key: Key;
}

export function decodeLockResponse(r: Reader): LockResponse {
  let header: ResponseHeader | null = null;
  let key = '' as Key;
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
        key = r.key();
        break;
      default:
        r.discard(tag);
    }
  }
  return { header, key };
}

export function encodeLockResponse(w: Writer, m: LockResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  if (m.key !== '') {
    w.uint32(18);
    w.key(m.key);
  }
}

export interface UnlockRequest {
  readonly key: Key;
}

export function decodeUnlockRequest(r: Reader): UnlockRequest {
  let key = '' as Key;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        key = r.key();
        break;
      default:
        r.discard(tag);
    }
  }
  return { key };
}

export function encodeUnlockRequest(w: Writer, m: UnlockRequest): void {
  if (m.key !== '') {
    w.uint32(10);
    w.key(m.key);
  }
}

export interface UnlockResponse {
  readonly header: ResponseHeader | null;
}

export function decodeUnlockResponse(r: Reader): UnlockResponse {
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

export function encodeUnlockResponse(w: Writer, m: UnlockResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
}
