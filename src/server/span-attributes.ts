/** What a span tells of a request: etcd's names for the work and for its attributes. */

import {
  type Compare,
  decodeCompactionRequest,
  decodeDeleteRangeRequest,
  decodeLeaseGrantRequest,
  decodeLeaseKeepAliveRequest,
  decodeLeaseRevokeRequest,
  decodePutRequest,
  decodeRangeRequest,
  decodeTxnRequest,
  decodeWatchRequest,
  type RangeRequest,
  type RequestOp,
} from '../codec/gen/etcdserverpb.ts';
import type { Attributes } from '../codec/otlp.ts';
import { decode } from '../codec/wire.ts';
import { EMPTY_KEY, type Key } from '../types.ts';

export interface Work {
  readonly name: string;
  readonly attributes: Attributes;
  /** It goes through the log. */
  readonly isProposed: boolean;
}

/** `null` for methods and messages that etcd gives no span of their own. Throws `DecodeError`. */
export function workOf(service: string, method: string, request: Uint8Array): Work | null {
  return describers[`${service}/${method}`]?.(request) ?? null;
}

type Describer = (request: Uint8Array) => Work | null;

const describers: Readonly<Record<string, Describer>> = {
  'etcdserverpb.KV/Range': (bytes) => {
    const request = decode(decodeRangeRequest, bytes);
    const attributes = [...rangeAttributes(request), ['keys_only', request.keysOnly] as const];
    return { name: 'range', attributes, isProposed: false };
  },
  'etcdserverpb.KV/RangeStream': (bytes) => {
    const attributes = rangeAttributes(decode(decodeRangeRequest, bytes));
    return { name: 'range_streaming', attributes, isProposed: false };
  },
  'etcdserverpb.KV/Put': (bytes) => {
    const { key } = decode(decodePutRequest, bytes);
    return { name: 'put', attributes: [['key', utf8(key)]], isProposed: true };
  },
  'etcdserverpb.KV/DeleteRange': (bytes) => {
    const { key, rangeEnd } = decode(decodeDeleteRangeRequest, bytes);
    const attributes = [
      ['range_begin', utf8(key)] as const,
      ['range_end', utf8(rangeEnd)] as const,
    ];
    return { name: 'delete_range', attributes, isProposed: true };
  },
  'etcdserverpb.KV/Txn': (bytes) => {
    const { compare, success, failure } = decode(decodeTxnRequest, bytes);
    const isReadOnly = [...success, ...failure].every((op) => op.request?.case === 'requestRange');
    const attributes = [
      ['compare_first_key', firstCompared(compare)] as const,
      ['success_first_key', firstKey(success)] as const,
      ['success_first_type', firstType(success)] as const,
      ['success_first_lease', firstLease(success)] as const,
      ['compare_len', BigInt(compare.length)] as const,
      ['success_len', BigInt(success.length)] as const,
      ['failure_len', BigInt(failure.length)] as const,
      ['read_only', isReadOnly] as const,
    ];
    return { name: 'txn', attributes, isProposed: !isReadOnly };
  },
  'etcdserverpb.KV/Compact': (bytes) => {
    const { physical, revision } = decode(decodeCompactionRequest, bytes);
    const attributes = [['is_physical', physical] as const, ['rev', BigInt(revision)] as const];
    return { name: 'compact', attributes, isProposed: true };
  },
  'etcdserverpb.Lease/LeaseGrant': (bytes) => {
    const { id, ttl } = decode(decodeLeaseGrantRequest, bytes);
    const attributes = [['id', BigInt(id)] as const, ['ttl', BigInt(ttl)] as const];
    return { name: 'lease_grant', attributes, isProposed: true };
  },
  'etcdserverpb.Lease/LeaseRevoke': (bytes) => {
    const { id } = decode(decodeLeaseRevokeRequest, bytes);
    return { name: 'lease_revoke', attributes: [['id', BigInt(id)]], isProposed: true };
  },
  'etcdserverpb.Lease/LeaseKeepAlive': (bytes) => {
    const { id } = decode(decodeLeaseKeepAliveRequest, bytes);
    return { name: 'lease_renew', attributes: [['id', BigInt(id)]], isProposed: false };
  },
  'etcdserverpb.Watch/Watch': (bytes) => {
    const { requestUnion } = decode(decodeWatchRequest, bytes);
    if (requestUnion?.case !== 'createRequest') return null;
    const { key, rangeEnd, startRevision, progressNotify, prevKv, fragment } = requestUnion.value;
    const attributes = [
      ['key', utf8(key)] as const,
      ['range_end', utf8(rangeEnd)] as const,
      ['start_rev', BigInt(startRevision)] as const,
      ['progress_notify', progressNotify] as const,
      ['prev_kv', prevKv] as const,
      ['fragment', fragment] as const,
    ];
    return { name: 'watch', attributes, isProposed: false };
  },
};

function rangeAttributes({ key, rangeEnd, revision, limit, countOnly }: RangeRequest): Attributes {
  return [
    ['range_begin', utf8(key)],
    ['range_end', utf8(rangeEnd)],
    ['rev', BigInt(revision)],
    ['limit', BigInt(limit)],
    ['count_only', countOnly],
  ];
}

function firstCompared(compares: readonly Compare[]): string {
  return utf8(compares.find(({ key }) => key !== EMPTY_KEY)?.key ?? EMPTY_KEY);
}

function firstKey(ops: readonly RequestOp[]): string {
  for (const { request } of ops) {
    if (request === null || request.case === 'requestTxn') continue;
    if (request.value.key !== EMPTY_KEY) return utf8(request.value.key);
  }
  return '';
}

const TYPES = {
  requestRange: 'range',
  requestPut: 'put',
  requestDeleteRange: 'delete_range',
  requestTxn: 'txn',
} as const;

function firstType(ops: readonly RequestOp[]): string {
  const first = ops.find(({ request }) => request !== null)?.request ?? null;
  return first === null ? '' : TYPES[first.case];
}

/** Of the first put; -1 without one. */
function firstLease(ops: readonly RequestOp[]): bigint {
  for (const { request } of ops) {
    if (request?.case === 'requestPut') return BigInt(request.value.lease);
  }
  return -1n;
}

/** Attributes are text; what is no UTF-8 is shown with replacement characters. */
function utf8(key: Key): string {
  return Buffer.from(key, 'latin1').toString('utf8');
}
