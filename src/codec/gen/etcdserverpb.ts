// Generated from proto/ by scripts/gen-codec.mjs; do not edit.

import { type ClusterId, type Key, type LeaseId, type MemberId, EMPTY_BYTES } from '../../types.ts';
import type { Reader, Writer } from '../wire.ts';
import { type UserAddOptions, decodeUserAddOptions, encodeUserAddOptions, type Permission, decodePermission, encodePermission } from './authpb.ts';
import { type ClusterVersionSetRequest, decodeClusterVersionSetRequest, encodeClusterVersionSetRequest, type ClusterMemberAttrSetRequest, decodeClusterMemberAttrSetRequest, encodeClusterMemberAttrSetRequest, type DowngradeInfoSetRequest, decodeDowngradeInfoSetRequest, encodeDowngradeInfoSetRequest } from './membershippb.ts';

export const AlarmType = {
  NONE: 0,
  NOSPACE: 1,
  CORRUPT: 2,
} as const;

export const SortOrder = {
  NONE: 0,
  ASCEND: 1,
  DESCEND: 2,
} as const;

export const SortTarget = {
  KEY: 0,
  VERSION: 1,
  CREATE: 2,
  MOD: 3,
  VALUE: 4,
} as const;

export const CompareResult = {
  EQUAL: 0,
  GREATER: 1,
  LESS: 2,
  NOT_EQUAL: 3,
} as const;

export const CompareTarget = {
  VERSION: 0,
  CREATE: 1,
  MOD: 2,
  VALUE: 3,
  LEASE: 4,
} as const;

export const FilterType = {
  NOPUT: 0,
  NODELETE: 1,
} as const;

export const AlarmAction = {
  GET: 0,
  ACTIVATE: 1,
  DEACTIVATE: 2,
} as const;

export const DowngradeAction = {
  VALIDATE: 0,
  ENABLE: 1,
  CANCEL: 2,
} as const;

export interface ResponseHeader {
  readonly clusterId: ClusterId;
  readonly memberId: MemberId;
  readonly revision: number;
  readonly raftTerm: number;
}

export function decodeResponseHeader(r: Reader): ResponseHeader {
  let clusterId = 0n as ClusterId;
  let memberId = 0n as MemberId;
  let revision = 0;
  let raftTerm = 0;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        clusterId = r.uint64Exact() as ClusterId;
        break;
      case 16:
        memberId = r.uint64Exact() as MemberId;
        break;
      case 24:
        revision = r.int64();
        break;
      case 32:
        raftTerm = r.uint64();
        break;
      default:
        r.discard(tag);
    }
  }
  return { clusterId, memberId, revision, raftTerm };
}

export function encodeResponseHeader(w: Writer, m: ResponseHeader): void {
  if (m.clusterId !== 0n) {
    w.uint32(8);
    w.int64Exact(m.clusterId);
  }
  if (m.memberId !== 0n) {
    w.uint32(16);
    w.int64Exact(m.memberId);
  }
  if (m.revision !== 0) {
    w.uint32(24);
    w.int64(m.revision);
  }
  if (m.raftTerm !== 0) {
    w.uint32(32);
    w.int64(m.raftTerm);
  }
}

export interface RangeRequest {
  readonly key: Key;
  readonly rangeEnd: Key;
  readonly limit: number;
  readonly revision: number;
  readonly sortOrder: number;
  readonly sortTarget: number;
  readonly serializable: boolean;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
  readonly minModRevision: number;
  readonly maxModRevision: number;
  readonly minCreateRevision: number;
  readonly maxCreateRevision: number;
}

export function decodeRangeRequest(r: Reader): RangeRequest {
  let key = '' as Key;
  let rangeEnd = '' as Key;
  let limit = 0;
  let revision = 0;
  let sortOrder = 0;
  let sortTarget = 0;
  let serializable = false;
  let keysOnly = false;
  let countOnly = false;
  let minModRevision = 0;
  let maxModRevision = 0;
  let minCreateRevision = 0;
  let maxCreateRevision = 0;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        key = r.key();
        break;
      case 18:
        rangeEnd = r.key();
        break;
      case 24:
        limit = r.int64();
        break;
      case 32:
        revision = r.int64();
        break;
      case 40:
        sortOrder = r.int32();
        break;
      case 48:
        sortTarget = r.int32();
        break;
      case 56:
        serializable = r.bool();
        break;
      case 64:
        keysOnly = r.bool();
        break;
      case 72:
        countOnly = r.bool();
        break;
      case 80:
        minModRevision = r.int64();
        break;
      case 88:
        maxModRevision = r.int64();
        break;
      case 96:
        minCreateRevision = r.int64();
        break;
      case 104:
        maxCreateRevision = r.int64();
        break;
      default:
        r.discard(tag);
    }
  }
  return { key, rangeEnd, limit, revision, sortOrder, sortTarget, serializable, keysOnly, countOnly, minModRevision, maxModRevision, minCreateRevision, maxCreateRevision };
}

export function encodeRangeRequest(w: Writer, m: RangeRequest): void {
  if (m.key !== '') {
    w.uint32(10);
    w.key(m.key);
  }
  if (m.rangeEnd !== '') {
    w.uint32(18);
    w.key(m.rangeEnd);
  }
  if (m.limit !== 0) {
    w.uint32(24);
    w.int64(m.limit);
  }
  if (m.revision !== 0) {
    w.uint32(32);
    w.int64(m.revision);
  }
  if (m.sortOrder !== 0) {
    w.uint32(40);
    w.int64(m.sortOrder);
  }
  if (m.sortTarget !== 0) {
    w.uint32(48);
    w.int64(m.sortTarget);
  }
  if (m.serializable) {
    w.uint32(56);
    w.bool(m.serializable);
  }
  if (m.keysOnly) {
    w.uint32(64);
    w.bool(m.keysOnly);
  }
  if (m.countOnly) {
    w.uint32(72);
    w.bool(m.countOnly);
  }
  if (m.minModRevision !== 0) {
    w.uint32(80);
    w.int64(m.minModRevision);
  }
  if (m.maxModRevision !== 0) {
    w.uint32(88);
    w.int64(m.maxModRevision);
  }
  if (m.minCreateRevision !== 0) {
    w.uint32(96);
    w.int64(m.minCreateRevision);
  }
  if (m.maxCreateRevision !== 0) {
    w.uint32(104);
    w.int64(m.maxCreateRevision);
  }
}

export interface RangeResponse {
  readonly header: ResponseHeader | null;
  readonly kvs: readonly Uint8Array[];
  readonly more: boolean;
  readonly count: number;
}

export function decodeRangeResponse(r: Reader): RangeResponse {
  let header: ResponseHeader | null = null;
  const kvs: Uint8Array[] = [];
  let more = false;
  let count = 0;
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
        kvs.push(r.bytes());
        break;
      case 24:
        more = r.bool();
        break;
      case 32:
        count = r.int64();
        break;
      default:
        r.discard(tag);
    }
  }
  return { header, kvs, more, count };
}

export function encodeRangeResponse(w: Writer, m: RangeResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  for (const item of m.kvs) {
    w.uint32(18);
    w.bytes(item);
  }
  if (m.more) {
    w.uint32(24);
    w.bool(m.more);
  }
  if (m.count !== 0) {
    w.uint32(32);
    w.int64(m.count);
  }
}

export interface PutRequest {
  readonly key: Key;
  readonly value: Uint8Array;
  readonly lease: LeaseId;
  readonly prevKv: boolean;
  readonly ignoreValue: boolean;
  readonly ignoreLease: boolean;
}

export function decodePutRequest(r: Reader): PutRequest {
  let key = '' as Key;
  let value: Uint8Array = EMPTY_BYTES;
  let lease = 0n as LeaseId;
  let prevKv = false;
  let ignoreValue = false;
  let ignoreLease = false;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        key = r.key();
        break;
      case 18:
        value = r.bytes();
        break;
      case 24:
        lease = r.int64Exact() as LeaseId;
        break;
      case 32:
        prevKv = r.bool();
        break;
      case 40:
        ignoreValue = r.bool();
        break;
      case 48:
        ignoreLease = r.bool();
        break;
      default:
        r.discard(tag);
    }
  }
  return { key, value, lease, prevKv, ignoreValue, ignoreLease };
}

export function encodePutRequest(w: Writer, m: PutRequest): void {
  if (m.key !== '') {
    w.uint32(10);
    w.key(m.key);
  }
  if (m.value.length > 0) {
    w.uint32(18);
    w.bytes(m.value);
  }
  if (m.lease !== 0n) {
    w.uint32(24);
    w.int64Exact(m.lease);
  }
  if (m.prevKv) {
    w.uint32(32);
    w.bool(m.prevKv);
  }
  if (m.ignoreValue) {
    w.uint32(40);
    w.bool(m.ignoreValue);
  }
  if (m.ignoreLease) {
    w.uint32(48);
    w.bool(m.ignoreLease);
  }
}

export interface PutResponse {
  readonly header: ResponseHeader | null;
  readonly prevKv: Uint8Array | null;
}

export function decodePutResponse(r: Reader): PutResponse {
  let header: ResponseHeader | null = null;
  let prevKv: Uint8Array | null = null;
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
        prevKv = r.bytes();
        break;
      default:
        r.discard(tag);
    }
  }
  return { header, prevKv };
}

export function encodePutResponse(w: Writer, m: PutResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  if (m.prevKv !== null) {
    w.uint32(18);
    w.bytes(m.prevKv);
  }
}

export interface DeleteRangeRequest {
  readonly key: Key;
  readonly rangeEnd: Key;
  readonly prevKv: boolean;
}

export function decodeDeleteRangeRequest(r: Reader): DeleteRangeRequest {
  let key = '' as Key;
  let rangeEnd = '' as Key;
  let prevKv = false;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        key = r.key();
        break;
      case 18:
        rangeEnd = r.key();
        break;
      case 24:
        prevKv = r.bool();
        break;
      default:
        r.discard(tag);
    }
  }
  return { key, rangeEnd, prevKv };
}

export function encodeDeleteRangeRequest(w: Writer, m: DeleteRangeRequest): void {
  if (m.key !== '') {
    w.uint32(10);
    w.key(m.key);
  }
  if (m.rangeEnd !== '') {
    w.uint32(18);
    w.key(m.rangeEnd);
  }
  if (m.prevKv) {
    w.uint32(24);
    w.bool(m.prevKv);
  }
}

export interface DeleteRangeResponse {
  readonly header: ResponseHeader | null;
  readonly deleted: number;
  readonly prevKvs: readonly Uint8Array[];
}

export function decodeDeleteRangeResponse(r: Reader): DeleteRangeResponse {
  let header: ResponseHeader | null = null;
  let deleted = 0;
  const prevKvs: Uint8Array[] = [];
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10: {
        const outer = r.enter();
        header = decodeResponseHeader(r);
        r.leave(outer);
        break;
      }
      case 16:
        deleted = r.int64();
        break;
      case 26:
        prevKvs.push(r.bytes());
        break;
      default:
        r.discard(tag);
    }
  }
  return { header, deleted, prevKvs };
}

export function encodeDeleteRangeResponse(w: Writer, m: DeleteRangeResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  if (m.deleted !== 0) {
    w.uint32(16);
    w.int64(m.deleted);
  }
  for (const item of m.prevKvs) {
    w.uint32(26);
    w.bytes(item);
  }
}

export interface RequestOp {
  readonly request:
    | { readonly case: 'requestRange'; readonly value: RangeRequest }
    | { readonly case: 'requestPut'; readonly value: PutRequest }
    | { readonly case: 'requestDeleteRange'; readonly value: DeleteRangeRequest }
    | { readonly case: 'requestTxn'; readonly value: TxnRequest }
    | null;
}

export function decodeRequestOp(r: Reader): RequestOp {
  let request: RequestOp['request'] = null;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10: {
        const outer = r.enter();
        request = { case: 'requestRange', value: decodeRangeRequest(r) };
        r.leave(outer);
        break;
      }
      case 18: {
        const outer = r.enter();
        request = { case: 'requestPut', value: decodePutRequest(r) };
        r.leave(outer);
        break;
      }
      case 26: {
        const outer = r.enter();
        request = { case: 'requestDeleteRange', value: decodeDeleteRangeRequest(r) };
        r.leave(outer);
        break;
      }
      case 34: {
        const outer = r.enter();
        request = { case: 'requestTxn', value: decodeTxnRequest(r) };
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { request };
}

export function encodeRequestOp(w: Writer, m: RequestOp): void {
  if (m.request?.case === 'requestRange') {
    w.uint32(10);
    const start = w.open();
    encodeRangeRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'requestPut') {
    w.uint32(18);
    const start = w.open();
    encodePutRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'requestDeleteRange') {
    w.uint32(26);
    const start = w.open();
    encodeDeleteRangeRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'requestTxn') {
    w.uint32(34);
    const start = w.open();
    encodeTxnRequest(w, m.request.value);
    w.close(start);
  }
}

export interface ResponseOp {
  readonly response:
    | { readonly case: 'responseRange'; readonly value: RangeResponse }
    | { readonly case: 'responsePut'; readonly value: PutResponse }
    | { readonly case: 'responseDeleteRange'; readonly value: DeleteRangeResponse }
    | { readonly case: 'responseTxn'; readonly value: TxnResponse }
    | null;
}

export function decodeResponseOp(r: Reader): ResponseOp {
  let response: ResponseOp['response'] = null;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10: {
        const outer = r.enter();
        response = { case: 'responseRange', value: decodeRangeResponse(r) };
        r.leave(outer);
        break;
      }
      case 18: {
        const outer = r.enter();
        response = { case: 'responsePut', value: decodePutResponse(r) };
        r.leave(outer);
        break;
      }
      case 26: {
        const outer = r.enter();
        response = { case: 'responseDeleteRange', value: decodeDeleteRangeResponse(r) };
        r.leave(outer);
        break;
      }
      case 34: {
        const outer = r.enter();
        response = { case: 'responseTxn', value: decodeTxnResponse(r) };
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { response };
}

export function encodeResponseOp(w: Writer, m: ResponseOp): void {
  if (m.response?.case === 'responseRange') {
    w.uint32(10);
    const start = w.open();
    encodeRangeResponse(w, m.response.value);
    w.close(start);
  }
  if (m.response?.case === 'responsePut') {
    w.uint32(18);
    const start = w.open();
    encodePutResponse(w, m.response.value);
    w.close(start);
  }
  if (m.response?.case === 'responseDeleteRange') {
    w.uint32(26);
    const start = w.open();
    encodeDeleteRangeResponse(w, m.response.value);
    w.close(start);
  }
  if (m.response?.case === 'responseTxn') {
    w.uint32(34);
    const start = w.open();
    encodeTxnResponse(w, m.response.value);
    w.close(start);
  }
}

export interface Compare {
  readonly result: number;
  readonly target: number;
  readonly key: Key;
  readonly rangeEnd: Key;
  readonly targetUnion:
    | { readonly case: 'version'; readonly value: number }
    | { readonly case: 'createRevision'; readonly value: number }
    | { readonly case: 'modRevision'; readonly value: number }
    | { readonly case: 'value'; readonly value: Uint8Array }
    | { readonly case: 'lease'; readonly value: LeaseId }
    | null;
}

export function decodeCompare(r: Reader): Compare {
  let result = 0;
  let target = 0;
  let key = '' as Key;
  let targetUnion: Compare['targetUnion'] = null;
  let rangeEnd = '' as Key;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        result = r.int32();
        break;
      case 16:
        target = r.int32();
        break;
      case 26:
        key = r.key();
        break;
      case 32:
        targetUnion = { case: 'version', value: r.int64() };
        break;
      case 40:
        targetUnion = { case: 'createRevision', value: r.int64() };
        break;
      case 48:
        targetUnion = { case: 'modRevision', value: r.int64() };
        break;
      case 58:
        targetUnion = { case: 'value', value: r.bytes() };
        break;
      case 64:
        targetUnion = { case: 'lease', value: r.int64Exact() as LeaseId };
        break;
      case 514:
        rangeEnd = r.key();
        break;
      default:
        r.discard(tag);
    }
  }
  return { result, target, key, targetUnion, rangeEnd };
}

export function encodeCompare(w: Writer, m: Compare): void {
  if (m.result !== 0) {
    w.uint32(8);
    w.int64(m.result);
  }
  if (m.target !== 0) {
    w.uint32(16);
    w.int64(m.target);
  }
  if (m.key !== '') {
    w.uint32(26);
    w.key(m.key);
  }
  if (m.targetUnion?.case === 'version') {
    w.uint32(32);
    w.int64(m.targetUnion.value);
  }
  if (m.targetUnion?.case === 'createRevision') {
    w.uint32(40);
    w.int64(m.targetUnion.value);
  }
  if (m.targetUnion?.case === 'modRevision') {
    w.uint32(48);
    w.int64(m.targetUnion.value);
  }
  if (m.targetUnion?.case === 'value') {
    w.uint32(58);
    w.bytes(m.targetUnion.value);
  }
  if (m.targetUnion?.case === 'lease') {
    w.uint32(64);
    w.int64Exact(m.targetUnion.value);
  }
  if (m.rangeEnd !== '') {
    w.uint32(514);
    w.key(m.rangeEnd);
  }
}

export interface TxnRequest {
  readonly compare: readonly Compare[];
  readonly success: readonly RequestOp[];
  readonly failure: readonly RequestOp[];
}

export function decodeTxnRequest(r: Reader): TxnRequest {
  const compare: Compare[] = [];
  const success: RequestOp[] = [];
  const failure: RequestOp[] = [];
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10: {
        const outer = r.enter();
        compare.push(decodeCompare(r));
        r.leave(outer);
        break;
      }
      case 18: {
        const outer = r.enter();
        success.push(decodeRequestOp(r));
        r.leave(outer);
        break;
      }
      case 26: {
        const outer = r.enter();
        failure.push(decodeRequestOp(r));
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { compare, success, failure };
}

export function encodeTxnRequest(w: Writer, m: TxnRequest): void {
  for (const item of m.compare) {
    w.uint32(10);
    const start = w.open();
    encodeCompare(w, item);
    w.close(start);
  }
  for (const item of m.success) {
    w.uint32(18);
    const start = w.open();
    encodeRequestOp(w, item);
    w.close(start);
  }
  for (const item of m.failure) {
    w.uint32(26);
    const start = w.open();
    encodeRequestOp(w, item);
    w.close(start);
  }
}

export interface TxnResponse {
  readonly header: ResponseHeader | null;
  readonly succeeded: boolean;
  readonly responses: readonly ResponseOp[];
}

export function decodeTxnResponse(r: Reader): TxnResponse {
  let header: ResponseHeader | null = null;
  let succeeded = false;
  const responses: ResponseOp[] = [];
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10: {
        const outer = r.enter();
        header = decodeResponseHeader(r);
        r.leave(outer);
        break;
      }
      case 16:
        succeeded = r.bool();
        break;
      case 26: {
        const outer = r.enter();
        responses.push(decodeResponseOp(r));
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { header, succeeded, responses };
}

export function encodeTxnResponse(w: Writer, m: TxnResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  if (m.succeeded) {
    w.uint32(16);
    w.bool(m.succeeded);
  }
  for (const item of m.responses) {
    w.uint32(26);
    const start = w.open();
    encodeResponseOp(w, item);
    w.close(start);
  }
}

export interface CompactionRequest {
  readonly revision: number;
  readonly physical: boolean;
}

export function decodeCompactionRequest(r: Reader): CompactionRequest {
  let revision = 0;
  let physical = false;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        revision = r.int64();
        break;
      case 16:
        physical = r.bool();
        break;
      default:
        r.discard(tag);
    }
  }
  return { revision, physical };
}

export function encodeCompactionRequest(w: Writer, m: CompactionRequest): void {
  if (m.revision !== 0) {
    w.uint32(8);
    w.int64(m.revision);
  }
  if (m.physical) {
    w.uint32(16);
    w.bool(m.physical);
  }
}

export interface CompactionResponse {
  readonly header: ResponseHeader | null;
}

export function decodeCompactionResponse(r: Reader): CompactionResponse {
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

export function encodeCompactionResponse(w: Writer, m: CompactionResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
}

export interface HashRequest {
}

export function decodeHashRequest(r: Reader): HashRequest {
  while (!r.done) r.discard(r.tag());
  return {};
}

export function encodeHashRequest(_w: Writer, _m: HashRequest): void {}

export interface HashKVRequest {
  readonly revision: number;
}

export function decodeHashKVRequest(r: Reader): HashKVRequest {
  let revision = 0;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        revision = r.int64();
        break;
      default:
        r.discard(tag);
    }
  }
  return { revision };
}

export function encodeHashKVRequest(w: Writer, m: HashKVRequest): void {
  if (m.revision !== 0) {
    w.uint32(8);
    w.int64(m.revision);
  }
}

export interface HashKVResponse {
  readonly header: ResponseHeader | null;
  readonly hash: number;
  readonly compactRevision: number;
  readonly hashRevision: number;
}

export function decodeHashKVResponse(r: Reader): HashKVResponse {
  let header: ResponseHeader | null = null;
  let hash = 0;
  let compactRevision = 0;
  let hashRevision = 0;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10: {
        const outer = r.enter();
        header = decodeResponseHeader(r);
        r.leave(outer);
        break;
      }
      case 16:
        hash = r.uint32();
        break;
      case 24:
        compactRevision = r.int64();
        break;
      case 32:
        hashRevision = r.int64();
        break;
      default:
        r.discard(tag);
    }
  }
  return { header, hash, compactRevision, hashRevision };
}

export function encodeHashKVResponse(w: Writer, m: HashKVResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  if (m.hash !== 0) {
    w.uint32(16);
    w.uint32(m.hash);
  }
  if (m.compactRevision !== 0) {
    w.uint32(24);
    w.int64(m.compactRevision);
  }
  if (m.hashRevision !== 0) {
    w.uint32(32);
    w.int64(m.hashRevision);
  }
}

export interface HashResponse {
  readonly header: ResponseHeader | null;
  readonly hash: number;
}

export function decodeHashResponse(r: Reader): HashResponse {
  let header: ResponseHeader | null = null;
  let hash = 0;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10: {
        const outer = r.enter();
        header = decodeResponseHeader(r);
        r.leave(outer);
        break;
      }
      case 16:
        hash = r.uint32();
        break;
      default:
        r.discard(tag);
    }
  }
  return { header, hash };
}

export function encodeHashResponse(w: Writer, m: HashResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  if (m.hash !== 0) {
    w.uint32(16);
    w.uint32(m.hash);
  }
}

export interface SnapshotRequest {
}

export function decodeSnapshotRequest(r: Reader): SnapshotRequest {
  while (!r.done) r.discard(r.tag());
  return {};
}

export function encodeSnapshotRequest(_w: Writer, _m: SnapshotRequest): void {}

export interface SnapshotResponse {
  readonly header: ResponseHeader | null;
  readonly remainingBytes: number;
  readonly blob: Uint8Array;
  readonly version: string;
}

export function decodeSnapshotResponse(r: Reader): SnapshotResponse {
  let header: ResponseHeader | null = null;
  let remainingBytes = 0;
  let blob: Uint8Array = EMPTY_BYTES;
  let version = '';
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10: {
        const outer = r.enter();
        header = decodeResponseHeader(r);
        r.leave(outer);
        break;
      }
      case 16:
        remainingBytes = r.uint64();
        break;
      case 26:
        blob = r.bytes();
        break;
      case 34:
        version = r.string();
        break;
      default:
        r.discard(tag);
    }
  }
  return { header, remainingBytes, blob, version };
}

export function encodeSnapshotResponse(w: Writer, m: SnapshotResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  if (m.remainingBytes !== 0) {
    w.uint32(16);
    w.int64(m.remainingBytes);
  }
  if (m.blob.length > 0) {
    w.uint32(26);
    w.bytes(m.blob);
  }
  if (m.version !== '') {
    w.uint32(34);
    w.string(m.version);
  }
}

export interface WatchRequest {
  readonly requestUnion:
    | { readonly case: 'createRequest'; readonly value: WatchCreateRequest }
    | { readonly case: 'cancelRequest'; readonly value: WatchCancelRequest }
    | { readonly case: 'progressRequest'; readonly value: WatchProgressRequest }
    | null;
}

export function decodeWatchRequest(r: Reader): WatchRequest {
  let requestUnion: WatchRequest['requestUnion'] = null;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10: {
        const outer = r.enter();
        requestUnion = { case: 'createRequest', value: decodeWatchCreateRequest(r) };
        r.leave(outer);
        break;
      }
      case 18: {
        const outer = r.enter();
        requestUnion = { case: 'cancelRequest', value: decodeWatchCancelRequest(r) };
        r.leave(outer);
        break;
      }
      case 26: {
        const outer = r.enter();
        requestUnion = { case: 'progressRequest', value: decodeWatchProgressRequest(r) };
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { requestUnion };
}

export function encodeWatchRequest(w: Writer, m: WatchRequest): void {
  if (m.requestUnion?.case === 'createRequest') {
    w.uint32(10);
    const start = w.open();
    encodeWatchCreateRequest(w, m.requestUnion.value);
    w.close(start);
  }
  if (m.requestUnion?.case === 'cancelRequest') {
    w.uint32(18);
    const start = w.open();
    encodeWatchCancelRequest(w, m.requestUnion.value);
    w.close(start);
  }
  if (m.requestUnion?.case === 'progressRequest') {
    w.uint32(26);
    const start = w.open();
    encodeWatchProgressRequest(w, m.requestUnion.value);
    w.close(start);
  }
}

export interface WatchCreateRequest {
  readonly key: Key;
  readonly rangeEnd: Key;
  readonly startRevision: number;
  readonly progressNotify: boolean;
  readonly filters: readonly number[];
  readonly prevKv: boolean;
  readonly watchId: number;
  readonly fragment: boolean;
}

export function decodeWatchCreateRequest(r: Reader): WatchCreateRequest {
  let key = '' as Key;
  let rangeEnd = '' as Key;
  let startRevision = 0;
  let progressNotify = false;
  const filters: number[] = [];
  let prevKv = false;
  let watchId = 0;
  let fragment = false;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        key = r.key();
        break;
      case 18:
        rangeEnd = r.key();
        break;
      case 24:
        startRevision = r.int64();
        break;
      case 32:
        progressNotify = r.bool();
        break;
      case 40:
        filters.push(r.int32());
        break;
      case 42: {
        const outer = r.enter();
        while (!r.done) filters.push(r.int32());
        r.leave(outer);
        break;
      }
      case 48:
        prevKv = r.bool();
        break;
      case 56:
        watchId = r.int64();
        break;
      case 64:
        fragment = r.bool();
        break;
      default:
        r.discard(tag);
    }
  }
  return { key, rangeEnd, startRevision, progressNotify, filters, prevKv, watchId, fragment };
}

export function encodeWatchCreateRequest(w: Writer, m: WatchCreateRequest): void {
  if (m.key !== '') {
    w.uint32(10);
    w.key(m.key);
  }
  if (m.rangeEnd !== '') {
    w.uint32(18);
    w.key(m.rangeEnd);
  }
  if (m.startRevision !== 0) {
    w.uint32(24);
    w.int64(m.startRevision);
  }
  if (m.progressNotify) {
    w.uint32(32);
    w.bool(m.progressNotify);
  }
  if (m.filters.length > 0) {
    w.uint32(42);
    const start = w.open();
    for (const item of m.filters) w.int64(item);
    w.close(start);
  }
  if (m.prevKv) {
    w.uint32(48);
    w.bool(m.prevKv);
  }
  if (m.watchId !== 0) {
    w.uint32(56);
    w.int64(m.watchId);
  }
  if (m.fragment) {
    w.uint32(64);
    w.bool(m.fragment);
  }
}

export interface WatchCancelRequest {
  readonly watchId: number;
}

export function decodeWatchCancelRequest(r: Reader): WatchCancelRequest {
  let watchId = 0;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        watchId = r.int64();
        break;
      default:
        r.discard(tag);
    }
  }
  return { watchId };
}

export function encodeWatchCancelRequest(w: Writer, m: WatchCancelRequest): void {
  if (m.watchId !== 0) {
    w.uint32(8);
    w.int64(m.watchId);
  }
}

export interface WatchProgressRequest {
}

export function decodeWatchProgressRequest(r: Reader): WatchProgressRequest {
  while (!r.done) r.discard(r.tag());
  return {};
}

export function encodeWatchProgressRequest(_w: Writer, _m: WatchProgressRequest): void {}

export interface WatchResponse {
  readonly header: ResponseHeader | null;
  readonly watchId: number;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compactRevision: number;
  readonly cancelReason: string;
  readonly fragment: boolean;
  readonly events: readonly Uint8Array[];
}

export function decodeWatchResponse(r: Reader): WatchResponse {
  let header: ResponseHeader | null = null;
  let watchId = 0;
  let created = false;
  let canceled = false;
  let compactRevision = 0;
  let cancelReason = '';
  let fragment = false;
  const events: Uint8Array[] = [];
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10: {
        const outer = r.enter();
        header = decodeResponseHeader(r);
        r.leave(outer);
        break;
      }
      case 16:
        watchId = r.int64();
        break;
      case 24:
        created = r.bool();
        break;
      case 32:
        canceled = r.bool();
        break;
      case 40:
        compactRevision = r.int64();
        break;
      case 50:
        cancelReason = r.string();
        break;
      case 56:
        fragment = r.bool();
        break;
      case 90:
        events.push(r.bytes());
        break;
      default:
        r.discard(tag);
    }
  }
  return { header, watchId, created, canceled, compactRevision, cancelReason, fragment, events };
}

export function encodeWatchResponse(w: Writer, m: WatchResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  if (m.watchId !== 0) {
    w.uint32(16);
    w.int64(m.watchId);
  }
  if (m.created) {
    w.uint32(24);
    w.bool(m.created);
  }
  if (m.canceled) {
    w.uint32(32);
    w.bool(m.canceled);
  }
  if (m.compactRevision !== 0) {
    w.uint32(40);
    w.int64(m.compactRevision);
  }
  if (m.cancelReason !== '') {
    w.uint32(50);
    w.string(m.cancelReason);
  }
  if (m.fragment) {
    w.uint32(56);
    w.bool(m.fragment);
  }
  for (const item of m.events) {
    w.uint32(90);
    w.bytes(item);
  }
}

export interface LeaseGrantRequest {
  readonly ttl: number;
  readonly id: LeaseId;
}

export function decodeLeaseGrantRequest(r: Reader): LeaseGrantRequest {
  let ttl = 0;
  let id = 0n as LeaseId;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        ttl = r.int64();
        break;
      case 16:
        id = r.int64Exact() as LeaseId;
        break;
      default:
        r.discard(tag);
    }
  }
  return { ttl, id };
}

export function encodeLeaseGrantRequest(w: Writer, m: LeaseGrantRequest): void {
  if (m.ttl !== 0) {
    w.uint32(8);
    w.int64(m.ttl);
  }
  if (m.id !== 0n) {
    w.uint32(16);
    w.int64Exact(m.id);
  }
}

export interface LeaseGrantResponse {
  readonly header: ResponseHeader | null;
  readonly id: LeaseId;
  readonly ttl: number;
  readonly error: string;
}

export function decodeLeaseGrantResponse(r: Reader): LeaseGrantResponse {
  let header: ResponseHeader | null = null;
  let id = 0n as LeaseId;
  let ttl = 0;
  let error = '';
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10: {
        const outer = r.enter();
        header = decodeResponseHeader(r);
        r.leave(outer);
        break;
      }
      case 16:
        id = r.int64Exact() as LeaseId;
        break;
      case 24:
        ttl = r.int64();
        break;
      case 34:
        error = r.string();
        break;
      default:
        r.discard(tag);
    }
  }
  return { header, id, ttl, error };
}

export function encodeLeaseGrantResponse(w: Writer, m: LeaseGrantResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  if (m.id !== 0n) {
    w.uint32(16);
    w.int64Exact(m.id);
  }
  if (m.ttl !== 0) {
    w.uint32(24);
    w.int64(m.ttl);
  }
  if (m.error !== '') {
    w.uint32(34);
    w.string(m.error);
  }
}

export interface LeaseRevokeRequest {
  readonly id: LeaseId;
}

export function decodeLeaseRevokeRequest(r: Reader): LeaseRevokeRequest {
  let id = 0n as LeaseId;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        id = r.int64Exact() as LeaseId;
        break;
      default:
        r.discard(tag);
    }
  }
  return { id };
}

export function encodeLeaseRevokeRequest(w: Writer, m: LeaseRevokeRequest): void {
  if (m.id !== 0n) {
    w.uint32(8);
    w.int64Exact(m.id);
  }
}

export interface LeaseRevokeResponse {
  readonly header: ResponseHeader | null;
}

export function decodeLeaseRevokeResponse(r: Reader): LeaseRevokeResponse {
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

export function encodeLeaseRevokeResponse(w: Writer, m: LeaseRevokeResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
}

export interface LeaseCheckpoint {
  readonly id: LeaseId;
  readonly remainingTtl: number;
}

export function decodeLeaseCheckpoint(r: Reader): LeaseCheckpoint {
  let id = 0n as LeaseId;
  let remainingTtl = 0;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        id = r.int64Exact() as LeaseId;
        break;
      case 16:
        remainingTtl = r.int64();
        break;
      default:
        r.discard(tag);
    }
  }
  return { id, remainingTtl };
}

export function encodeLeaseCheckpoint(w: Writer, m: LeaseCheckpoint): void {
  if (m.id !== 0n) {
    w.uint32(8);
    w.int64Exact(m.id);
  }
  if (m.remainingTtl !== 0) {
    w.uint32(16);
    w.int64(m.remainingTtl);
  }
}

export interface LeaseCheckpointRequest {
  readonly checkpoints: readonly LeaseCheckpoint[];
}

export function decodeLeaseCheckpointRequest(r: Reader): LeaseCheckpointRequest {
  const checkpoints: LeaseCheckpoint[] = [];
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10: {
        const outer = r.enter();
        checkpoints.push(decodeLeaseCheckpoint(r));
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { checkpoints };
}

export function encodeLeaseCheckpointRequest(w: Writer, m: LeaseCheckpointRequest): void {
  for (const item of m.checkpoints) {
    w.uint32(10);
    const start = w.open();
    encodeLeaseCheckpoint(w, item);
    w.close(start);
  }
}

export interface LeaseCheckpointResponse {
  readonly header: ResponseHeader | null;
}

export function decodeLeaseCheckpointResponse(r: Reader): LeaseCheckpointResponse {
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

export function encodeLeaseCheckpointResponse(w: Writer, m: LeaseCheckpointResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
}

export interface LeaseKeepAliveRequest {
  readonly id: LeaseId;
}

export function decodeLeaseKeepAliveRequest(r: Reader): LeaseKeepAliveRequest {
  let id = 0n as LeaseId;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        id = r.int64Exact() as LeaseId;
        break;
      default:
        r.discard(tag);
    }
  }
  return { id };
}

export function encodeLeaseKeepAliveRequest(w: Writer, m: LeaseKeepAliveRequest): void {
  if (m.id !== 0n) {
    w.uint32(8);
    w.int64Exact(m.id);
  }
}

export interface LeaseKeepAliveResponse {
  readonly header: ResponseHeader | null;
  readonly id: LeaseId;
  readonly ttl: number;
}

export function decodeLeaseKeepAliveResponse(r: Reader): LeaseKeepAliveResponse {
  let header: ResponseHeader | null = null;
  let id = 0n as LeaseId;
  let ttl = 0;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10: {
        const outer = r.enter();
        header = decodeResponseHeader(r);
        r.leave(outer);
        break;
      }
      case 16:
        id = r.int64Exact() as LeaseId;
        break;
      case 24:
        ttl = r.int64();
        break;
      default:
        r.discard(tag);
    }
  }
  return { header, id, ttl };
}

export function encodeLeaseKeepAliveResponse(w: Writer, m: LeaseKeepAliveResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  if (m.id !== 0n) {
    w.uint32(16);
    w.int64Exact(m.id);
  }
  if (m.ttl !== 0) {
    w.uint32(24);
    w.int64(m.ttl);
  }
}

export interface LeaseTimeToLiveRequest {
  readonly id: LeaseId;
  readonly keys: boolean;
}

export function decodeLeaseTimeToLiveRequest(r: Reader): LeaseTimeToLiveRequest {
  let id = 0n as LeaseId;
  let keys = false;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        id = r.int64Exact() as LeaseId;
        break;
      case 16:
        keys = r.bool();
        break;
      default:
        r.discard(tag);
    }
  }
  return { id, keys };
}

export function encodeLeaseTimeToLiveRequest(w: Writer, m: LeaseTimeToLiveRequest): void {
  if (m.id !== 0n) {
    w.uint32(8);
    w.int64Exact(m.id);
  }
  if (m.keys) {
    w.uint32(16);
    w.bool(m.keys);
  }
}

export interface LeaseTimeToLiveResponse {
  readonly header: ResponseHeader | null;
  readonly id: LeaseId;
  readonly ttl: number;
  readonly grantedTtl: number;
  readonly keys: readonly Key[];
}

export function decodeLeaseTimeToLiveResponse(r: Reader): LeaseTimeToLiveResponse {
  let header: ResponseHeader | null = null;
  let id = 0n as LeaseId;
  let ttl = 0;
  let grantedTtl = 0;
  const keys: Key[] = [];
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10: {
        const outer = r.enter();
        header = decodeResponseHeader(r);
        r.leave(outer);
        break;
      }
      case 16:
        id = r.int64Exact() as LeaseId;
        break;
      case 24:
        ttl = r.int64();
        break;
      case 32:
        grantedTtl = r.int64();
        break;
      case 42:
        keys.push(r.key());
        break;
      default:
        r.discard(tag);
    }
  }
  return { header, id, ttl, grantedTtl, keys };
}

export function encodeLeaseTimeToLiveResponse(w: Writer, m: LeaseTimeToLiveResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  if (m.id !== 0n) {
    w.uint32(16);
    w.int64Exact(m.id);
  }
  if (m.ttl !== 0) {
    w.uint32(24);
    w.int64(m.ttl);
  }
  if (m.grantedTtl !== 0) {
    w.uint32(32);
    w.int64(m.grantedTtl);
  }
  for (const item of m.keys) {
    w.uint32(42);
    w.key(item);
  }
}

export interface LeaseLeasesRequest {
}

export function decodeLeaseLeasesRequest(r: Reader): LeaseLeasesRequest {
  while (!r.done) r.discard(r.tag());
  return {};
}

export function encodeLeaseLeasesRequest(_w: Writer, _m: LeaseLeasesRequest): void {}

export interface LeaseStatus {
  readonly id: LeaseId;
}

export function decodeLeaseStatus(r: Reader): LeaseStatus {
  let id = 0n as LeaseId;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        id = r.int64Exact() as LeaseId;
        break;
      default:
        r.discard(tag);
    }
  }
  return { id };
}

export function encodeLeaseStatus(w: Writer, m: LeaseStatus): void {
  if (m.id !== 0n) {
    w.uint32(8);
    w.int64Exact(m.id);
  }
}

export interface LeaseLeasesResponse {
  readonly header: ResponseHeader | null;
  readonly leases: readonly LeaseStatus[];
}

export function decodeLeaseLeasesResponse(r: Reader): LeaseLeasesResponse {
  let header: ResponseHeader | null = null;
  const leases: LeaseStatus[] = [];
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
        leases.push(decodeLeaseStatus(r));
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { header, leases };
}

export function encodeLeaseLeasesResponse(w: Writer, m: LeaseLeasesResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  for (const item of m.leases) {
    w.uint32(18);
    const start = w.open();
    encodeLeaseStatus(w, item);
    w.close(start);
  }
}

export interface Member {
  readonly id: MemberId;
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly isLearner: boolean;
}

export function decodeMember(r: Reader): Member {
  let id = 0n as MemberId;
  let name = '';
  const peerUrls: string[] = [];
  const clientUrls: string[] = [];
  let isLearner = false;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        id = r.uint64Exact() as MemberId;
        break;
      case 18:
        name = r.string();
        break;
      case 26:
        peerUrls.push(r.string());
        break;
      case 34:
        clientUrls.push(r.string());
        break;
      case 40:
        isLearner = r.bool();
        break;
      default:
        r.discard(tag);
    }
  }
  return { id, name, peerUrls, clientUrls, isLearner };
}

export function encodeMember(w: Writer, m: Member): void {
  if (m.id !== 0n) {
    w.uint32(8);
    w.int64Exact(m.id);
  }
  if (m.name !== '') {
    w.uint32(18);
    w.string(m.name);
  }
  for (const item of m.peerUrls) {
    w.uint32(26);
    w.string(item);
  }
  for (const item of m.clientUrls) {
    w.uint32(34);
    w.string(item);
  }
  if (m.isLearner) {
    w.uint32(40);
    w.bool(m.isLearner);
  }
}

export interface MemberAddRequest {
  readonly peerUrls: readonly string[];
  readonly isLearner: boolean;
}

export function decodeMemberAddRequest(r: Reader): MemberAddRequest {
  const peerUrls: string[] = [];
  let isLearner = false;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        peerUrls.push(r.string());
        break;
      case 16:
        isLearner = r.bool();
        break;
      default:
        r.discard(tag);
    }
  }
  return { peerUrls, isLearner };
}

export function encodeMemberAddRequest(w: Writer, m: MemberAddRequest): void {
  for (const item of m.peerUrls) {
    w.uint32(10);
    w.string(item);
  }
  if (m.isLearner) {
    w.uint32(16);
    w.bool(m.isLearner);
  }
}

export interface MemberAddResponse {
  readonly header: ResponseHeader | null;
  readonly member: Member | null;
  readonly members: readonly Member[];
}

export function decodeMemberAddResponse(r: Reader): MemberAddResponse {
  let header: ResponseHeader | null = null;
  let member: Member | null = null;
  const members: Member[] = [];
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
        member = decodeMember(r);
        r.leave(outer);
        break;
      }
      case 26: {
        const outer = r.enter();
        members.push(decodeMember(r));
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { header, member, members };
}

export function encodeMemberAddResponse(w: Writer, m: MemberAddResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  if (m.member !== null) {
    w.uint32(18);
    const start = w.open();
    encodeMember(w, m.member);
    w.close(start);
  }
  for (const item of m.members) {
    w.uint32(26);
    const start = w.open();
    encodeMember(w, item);
    w.close(start);
  }
}

export interface MemberRemoveRequest {
  readonly id: MemberId;
}

export function decodeMemberRemoveRequest(r: Reader): MemberRemoveRequest {
  let id = 0n as MemberId;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        id = r.uint64Exact() as MemberId;
        break;
      default:
        r.discard(tag);
    }
  }
  return { id };
}

export function encodeMemberRemoveRequest(w: Writer, m: MemberRemoveRequest): void {
  if (m.id !== 0n) {
    w.uint32(8);
    w.int64Exact(m.id);
  }
}

export interface MemberRemoveResponse {
  readonly header: ResponseHeader | null;
  readonly members: readonly Member[];
}

export function decodeMemberRemoveResponse(r: Reader): MemberRemoveResponse {
  let header: ResponseHeader | null = null;
  const members: Member[] = [];
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
        members.push(decodeMember(r));
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { header, members };
}

export function encodeMemberRemoveResponse(w: Writer, m: MemberRemoveResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  for (const item of m.members) {
    w.uint32(18);
    const start = w.open();
    encodeMember(w, item);
    w.close(start);
  }
}

export interface MemberUpdateRequest {
  readonly id: MemberId;
  readonly peerUrls: readonly string[];
}

export function decodeMemberUpdateRequest(r: Reader): MemberUpdateRequest {
  let id = 0n as MemberId;
  const peerUrls: string[] = [];
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        id = r.uint64Exact() as MemberId;
        break;
      case 18:
        peerUrls.push(r.string());
        break;
      default:
        r.discard(tag);
    }
  }
  return { id, peerUrls };
}

export function encodeMemberUpdateRequest(w: Writer, m: MemberUpdateRequest): void {
  if (m.id !== 0n) {
    w.uint32(8);
    w.int64Exact(m.id);
  }
  for (const item of m.peerUrls) {
    w.uint32(18);
    w.string(item);
  }
}

export interface MemberUpdateResponse {
  readonly header: ResponseHeader | null;
  readonly members: readonly Member[];
}

export function decodeMemberUpdateResponse(r: Reader): MemberUpdateResponse {
  let header: ResponseHeader | null = null;
  const members: Member[] = [];
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
        members.push(decodeMember(r));
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { header, members };
}

export function encodeMemberUpdateResponse(w: Writer, m: MemberUpdateResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  for (const item of m.members) {
    w.uint32(18);
    const start = w.open();
    encodeMember(w, item);
    w.close(start);
  }
}

export interface MemberListRequest {
  readonly linearizable: boolean;
}

export function decodeMemberListRequest(r: Reader): MemberListRequest {
  let linearizable = false;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        linearizable = r.bool();
        break;
      default:
        r.discard(tag);
    }
  }
  return { linearizable };
}

export function encodeMemberListRequest(w: Writer, m: MemberListRequest): void {
  if (m.linearizable) {
    w.uint32(8);
    w.bool(m.linearizable);
  }
}

export interface MemberListResponse {
  readonly header: ResponseHeader | null;
  readonly members: readonly Member[];
}

export function decodeMemberListResponse(r: Reader): MemberListResponse {
  let header: ResponseHeader | null = null;
  const members: Member[] = [];
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
        members.push(decodeMember(r));
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { header, members };
}

export function encodeMemberListResponse(w: Writer, m: MemberListResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  for (const item of m.members) {
    w.uint32(18);
    const start = w.open();
    encodeMember(w, item);
    w.close(start);
  }
}

export interface MemberPromoteRequest {
  readonly id: MemberId;
}

export function decodeMemberPromoteRequest(r: Reader): MemberPromoteRequest {
  let id = 0n as MemberId;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        id = r.uint64Exact() as MemberId;
        break;
      default:
        r.discard(tag);
    }
  }
  return { id };
}

export function encodeMemberPromoteRequest(w: Writer, m: MemberPromoteRequest): void {
  if (m.id !== 0n) {
    w.uint32(8);
    w.int64Exact(m.id);
  }
}

export interface MemberPromoteResponse {
  readonly header: ResponseHeader | null;
  readonly members: readonly Member[];
}

export function decodeMemberPromoteResponse(r: Reader): MemberPromoteResponse {
  let header: ResponseHeader | null = null;
  const members: Member[] = [];
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
        members.push(decodeMember(r));
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { header, members };
}

export function encodeMemberPromoteResponse(w: Writer, m: MemberPromoteResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  for (const item of m.members) {
    w.uint32(18);
    const start = w.open();
    encodeMember(w, item);
    w.close(start);
  }
}

export interface DefragmentRequest {
}

export function decodeDefragmentRequest(r: Reader): DefragmentRequest {
  while (!r.done) r.discard(r.tag());
  return {};
}

export function encodeDefragmentRequest(_w: Writer, _m: DefragmentRequest): void {}

export interface DefragmentResponse {
  readonly header: ResponseHeader | null;
}

export function decodeDefragmentResponse(r: Reader): DefragmentResponse {
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

export function encodeDefragmentResponse(w: Writer, m: DefragmentResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
}

export interface MoveLeaderRequest {
  readonly targetId: MemberId;
}

export function decodeMoveLeaderRequest(r: Reader): MoveLeaderRequest {
  let targetId = 0n as MemberId;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        targetId = r.uint64Exact() as MemberId;
        break;
      default:
        r.discard(tag);
    }
  }
  return { targetId };
}

export function encodeMoveLeaderRequest(w: Writer, m: MoveLeaderRequest): void {
  if (m.targetId !== 0n) {
    w.uint32(8);
    w.int64Exact(m.targetId);
  }
}

export interface MoveLeaderResponse {
  readonly header: ResponseHeader | null;
}

export function decodeMoveLeaderResponse(r: Reader): MoveLeaderResponse {
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

export function encodeMoveLeaderResponse(w: Writer, m: MoveLeaderResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
}

export interface AlarmRequest {
  readonly action: number;
  readonly memberId: MemberId;
  readonly alarm: number;
}

export function decodeAlarmRequest(r: Reader): AlarmRequest {
  let action = 0;
  let memberId = 0n as MemberId;
  let alarm = 0;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        action = r.int32();
        break;
      case 16:
        memberId = r.uint64Exact() as MemberId;
        break;
      case 24:
        alarm = r.int32();
        break;
      default:
        r.discard(tag);
    }
  }
  return { action, memberId, alarm };
}

export function encodeAlarmRequest(w: Writer, m: AlarmRequest): void {
  if (m.action !== 0) {
    w.uint32(8);
    w.int64(m.action);
  }
  if (m.memberId !== 0n) {
    w.uint32(16);
    w.int64Exact(m.memberId);
  }
  if (m.alarm !== 0) {
    w.uint32(24);
    w.int64(m.alarm);
  }
}

export interface AlarmMember {
  readonly memberId: MemberId;
  readonly alarm: number;
}

export function decodeAlarmMember(r: Reader): AlarmMember {
  let memberId = 0n as MemberId;
  let alarm = 0;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        memberId = r.uint64Exact() as MemberId;
        break;
      case 16:
        alarm = r.int32();
        break;
      default:
        r.discard(tag);
    }
  }
  return { memberId, alarm };
}

export function encodeAlarmMember(w: Writer, m: AlarmMember): void {
  if (m.memberId !== 0n) {
    w.uint32(8);
    w.int64Exact(m.memberId);
  }
  if (m.alarm !== 0) {
    w.uint32(16);
    w.int64(m.alarm);
  }
}

export interface AlarmResponse {
  readonly header: ResponseHeader | null;
  readonly alarms: readonly AlarmMember[];
}

export function decodeAlarmResponse(r: Reader): AlarmResponse {
  let header: ResponseHeader | null = null;
  const alarms: AlarmMember[] = [];
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
        alarms.push(decodeAlarmMember(r));
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { header, alarms };
}

export function encodeAlarmResponse(w: Writer, m: AlarmResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  for (const item of m.alarms) {
    w.uint32(18);
    const start = w.open();
    encodeAlarmMember(w, item);
    w.close(start);
  }
}

export interface DowngradeRequest {
  readonly action: number;
  readonly version: string;
}

export function decodeDowngradeRequest(r: Reader): DowngradeRequest {
  let action = 0;
  let version = '';
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        action = r.int32();
        break;
      case 18:
        version = r.string();
        break;
      default:
        r.discard(tag);
    }
  }
  return { action, version };
}

export function encodeDowngradeRequest(w: Writer, m: DowngradeRequest): void {
  if (m.action !== 0) {
    w.uint32(8);
    w.int64(m.action);
  }
  if (m.version !== '') {
    w.uint32(18);
    w.string(m.version);
  }
}

export interface DowngradeResponse {
  readonly header: ResponseHeader | null;
  readonly version: string;
}

export function decodeDowngradeResponse(r: Reader): DowngradeResponse {
  let header: ResponseHeader | null = null;
  let version = '';
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
        version = r.string();
        break;
      default:
        r.discard(tag);
    }
  }
  return { header, version };
}

export function encodeDowngradeResponse(w: Writer, m: DowngradeResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  if (m.version !== '') {
    w.uint32(18);
    w.string(m.version);
  }
}

export interface DowngradeVersionTestRequest {
  readonly ver: string;
}

export function decodeDowngradeVersionTestRequest(r: Reader): DowngradeVersionTestRequest {
  let ver = '';
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        ver = r.string();
        break;
      default:
        r.discard(tag);
    }
  }
  return { ver };
}

export function encodeDowngradeVersionTestRequest(w: Writer, m: DowngradeVersionTestRequest): void {
  if (m.ver !== '') {
    w.uint32(10);
    w.string(m.ver);
  }
}

export interface StatusRequest {
}

export function decodeStatusRequest(r: Reader): StatusRequest {
  while (!r.done) r.discard(r.tag());
  return {};
}

export function encodeStatusRequest(_w: Writer, _m: StatusRequest): void {}

export interface StatusResponse {
  readonly header: ResponseHeader | null;
  readonly version: string;
  readonly dbSize: number;
  readonly leader: MemberId;
  readonly raftIndex: number;
  readonly raftTerm: number;
  readonly raftAppliedIndex: number;
  readonly errors: readonly string[];
  readonly dbSizeInUse: number;
  readonly isLearner: boolean;
  readonly storageVersion: string;
  readonly dbSizeQuota: number;
  readonly downgradeInfo: DowngradeInfo | null;
}

export function decodeStatusResponse(r: Reader): StatusResponse {
  let header: ResponseHeader | null = null;
  let version = '';
  let dbSize = 0;
  let leader = 0n as MemberId;
  let raftIndex = 0;
  let raftTerm = 0;
  let raftAppliedIndex = 0;
  const errors: string[] = [];
  let dbSizeInUse = 0;
  let isLearner = false;
  let storageVersion = '';
  let dbSizeQuota = 0;
  let downgradeInfo: DowngradeInfo | null = null;
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
        version = r.string();
        break;
      case 24:
        dbSize = r.int64();
        break;
      case 32:
        leader = r.uint64Exact() as MemberId;
        break;
      case 40:
        raftIndex = r.uint64();
        break;
      case 48:
        raftTerm = r.uint64();
        break;
      case 56:
        raftAppliedIndex = r.uint64();
        break;
      case 66:
        errors.push(r.string());
        break;
      case 72:
        dbSizeInUse = r.int64();
        break;
      case 80:
        isLearner = r.bool();
        break;
      case 90:
        storageVersion = r.string();
        break;
      case 96:
        dbSizeQuota = r.int64();
        break;
      case 106: {
        const outer = r.enter();
        downgradeInfo = decodeDowngradeInfo(r);
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { header, version, dbSize, leader, raftIndex, raftTerm, raftAppliedIndex, errors, dbSizeInUse, isLearner, storageVersion, dbSizeQuota, downgradeInfo };
}

export function encodeStatusResponse(w: Writer, m: StatusResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  if (m.version !== '') {
    w.uint32(18);
    w.string(m.version);
  }
  if (m.dbSize !== 0) {
    w.uint32(24);
    w.int64(m.dbSize);
  }
  if (m.leader !== 0n) {
    w.uint32(32);
    w.int64Exact(m.leader);
  }
  if (m.raftIndex !== 0) {
    w.uint32(40);
    w.int64(m.raftIndex);
  }
  if (m.raftTerm !== 0) {
    w.uint32(48);
    w.int64(m.raftTerm);
  }
  if (m.raftAppliedIndex !== 0) {
    w.uint32(56);
    w.int64(m.raftAppliedIndex);
  }
  for (const item of m.errors) {
    w.uint32(66);
    w.string(item);
  }
  if (m.dbSizeInUse !== 0) {
    w.uint32(72);
    w.int64(m.dbSizeInUse);
  }
  if (m.isLearner) {
    w.uint32(80);
    w.bool(m.isLearner);
  }
  if (m.storageVersion !== '') {
    w.uint32(90);
    w.string(m.storageVersion);
  }
  if (m.dbSizeQuota !== 0) {
    w.uint32(96);
    w.int64(m.dbSizeQuota);
  }
  if (m.downgradeInfo !== null) {
    w.uint32(106);
    const start = w.open();
    encodeDowngradeInfo(w, m.downgradeInfo);
    w.close(start);
  }
}

export interface DowngradeInfo {
  readonly enabled: boolean;
  readonly targetVersion: string;
}

export function decodeDowngradeInfo(r: Reader): DowngradeInfo {
  let enabled = false;
  let targetVersion = '';
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        enabled = r.bool();
        break;
      case 18:
        targetVersion = r.string();
        break;
      default:
        r.discard(tag);
    }
  }
  return { enabled, targetVersion };
}

export function encodeDowngradeInfo(w: Writer, m: DowngradeInfo): void {
  if (m.enabled) {
    w.uint32(8);
    w.bool(m.enabled);
  }
  if (m.targetVersion !== '') {
    w.uint32(18);
    w.string(m.targetVersion);
  }
}

export interface AuthEnableRequest {
}

export function decodeAuthEnableRequest(r: Reader): AuthEnableRequest {
  while (!r.done) r.discard(r.tag());
  return {};
}

export function encodeAuthEnableRequest(_w: Writer, _m: AuthEnableRequest): void {}

export interface AuthDisableRequest {
}

export function decodeAuthDisableRequest(r: Reader): AuthDisableRequest {
  while (!r.done) r.discard(r.tag());
  return {};
}

export function encodeAuthDisableRequest(_w: Writer, _m: AuthDisableRequest): void {}

export interface AuthStatusRequest {
}

export function decodeAuthStatusRequest(r: Reader): AuthStatusRequest {
  while (!r.done) r.discard(r.tag());
  return {};
}

export function encodeAuthStatusRequest(_w: Writer, _m: AuthStatusRequest): void {}

export interface AuthenticateRequest {
  readonly name: string;
  readonly password: string;
}

export function decodeAuthenticateRequest(r: Reader): AuthenticateRequest {
  let name = '';
  let password = '';
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        name = r.string();
        break;
      case 18:
        password = r.string();
        break;
      default:
        r.discard(tag);
    }
  }
  return { name, password };
}

export function encodeAuthenticateRequest(w: Writer, m: AuthenticateRequest): void {
  if (m.name !== '') {
    w.uint32(10);
    w.string(m.name);
  }
  if (m.password !== '') {
    w.uint32(18);
    w.string(m.password);
  }
}

export interface AuthUserAddRequest {
  readonly name: string;
  readonly password: string;
  readonly options: UserAddOptions | null;
  readonly hashedPassword: string;
}

export function decodeAuthUserAddRequest(r: Reader): AuthUserAddRequest {
  let name = '';
  let password = '';
  let options: UserAddOptions | null = null;
  let hashedPassword = '';
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        name = r.string();
        break;
      case 18:
        password = r.string();
        break;
      case 26: {
        const outer = r.enter();
        options = decodeUserAddOptions(r);
        r.leave(outer);
        break;
      }
      case 34:
        hashedPassword = r.string();
        break;
      default:
        r.discard(tag);
    }
  }
  return { name, password, options, hashedPassword };
}

export function encodeAuthUserAddRequest(w: Writer, m: AuthUserAddRequest): void {
  if (m.name !== '') {
    w.uint32(10);
    w.string(m.name);
  }
  if (m.password !== '') {
    w.uint32(18);
    w.string(m.password);
  }
  if (m.options !== null) {
    w.uint32(26);
    const start = w.open();
    encodeUserAddOptions(w, m.options);
    w.close(start);
  }
  if (m.hashedPassword !== '') {
    w.uint32(34);
    w.string(m.hashedPassword);
  }
}

export interface AuthUserGetRequest {
  readonly name: string;
}

export function decodeAuthUserGetRequest(r: Reader): AuthUserGetRequest {
  let name = '';
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        name = r.string();
        break;
      default:
        r.discard(tag);
    }
  }
  return { name };
}

export function encodeAuthUserGetRequest(w: Writer, m: AuthUserGetRequest): void {
  if (m.name !== '') {
    w.uint32(10);
    w.string(m.name);
  }
}

export interface AuthUserDeleteRequest {
  readonly name: string;
}

export function decodeAuthUserDeleteRequest(r: Reader): AuthUserDeleteRequest {
  let name = '';
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        name = r.string();
        break;
      default:
        r.discard(tag);
    }
  }
  return { name };
}

export function encodeAuthUserDeleteRequest(w: Writer, m: AuthUserDeleteRequest): void {
  if (m.name !== '') {
    w.uint32(10);
    w.string(m.name);
  }
}

export interface AuthUserChangePasswordRequest {
  readonly name: string;
  readonly password: string;
  readonly hashedPassword: string;
}

export function decodeAuthUserChangePasswordRequest(r: Reader): AuthUserChangePasswordRequest {
  let name = '';
  let password = '';
  let hashedPassword = '';
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        name = r.string();
        break;
      case 18:
        password = r.string();
        break;
      case 26:
        hashedPassword = r.string();
        break;
      default:
        r.discard(tag);
    }
  }
  return { name, password, hashedPassword };
}

export function encodeAuthUserChangePasswordRequest(w: Writer, m: AuthUserChangePasswordRequest): void {
  if (m.name !== '') {
    w.uint32(10);
    w.string(m.name);
  }
  if (m.password !== '') {
    w.uint32(18);
    w.string(m.password);
  }
  if (m.hashedPassword !== '') {
    w.uint32(26);
    w.string(m.hashedPassword);
  }
}

export interface AuthUserGrantRoleRequest {
  readonly user: string;
  readonly role: string;
}

export function decodeAuthUserGrantRoleRequest(r: Reader): AuthUserGrantRoleRequest {
  let user = '';
  let role = '';
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        user = r.string();
        break;
      case 18:
        role = r.string();
        break;
      default:
        r.discard(tag);
    }
  }
  return { user, role };
}

export function encodeAuthUserGrantRoleRequest(w: Writer, m: AuthUserGrantRoleRequest): void {
  if (m.user !== '') {
    w.uint32(10);
    w.string(m.user);
  }
  if (m.role !== '') {
    w.uint32(18);
    w.string(m.role);
  }
}

export interface AuthUserRevokeRoleRequest {
  readonly name: string;
  readonly role: string;
}

export function decodeAuthUserRevokeRoleRequest(r: Reader): AuthUserRevokeRoleRequest {
  let name = '';
  let role = '';
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        name = r.string();
        break;
      case 18:
        role = r.string();
        break;
      default:
        r.discard(tag);
    }
  }
  return { name, role };
}

export function encodeAuthUserRevokeRoleRequest(w: Writer, m: AuthUserRevokeRoleRequest): void {
  if (m.name !== '') {
    w.uint32(10);
    w.string(m.name);
  }
  if (m.role !== '') {
    w.uint32(18);
    w.string(m.role);
  }
}

export interface AuthRoleAddRequest {
  readonly name: string;
}

export function decodeAuthRoleAddRequest(r: Reader): AuthRoleAddRequest {
  let name = '';
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        name = r.string();
        break;
      default:
        r.discard(tag);
    }
  }
  return { name };
}

export function encodeAuthRoleAddRequest(w: Writer, m: AuthRoleAddRequest): void {
  if (m.name !== '') {
    w.uint32(10);
    w.string(m.name);
  }
}

export interface AuthRoleGetRequest {
  readonly role: string;
}

export function decodeAuthRoleGetRequest(r: Reader): AuthRoleGetRequest {
  let role = '';
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        role = r.string();
        break;
      default:
        r.discard(tag);
    }
  }
  return { role };
}

export function encodeAuthRoleGetRequest(w: Writer, m: AuthRoleGetRequest): void {
  if (m.role !== '') {
    w.uint32(10);
    w.string(m.role);
  }
}

export interface AuthUserListRequest {
}

export function decodeAuthUserListRequest(r: Reader): AuthUserListRequest {
  while (!r.done) r.discard(r.tag());
  return {};
}

export function encodeAuthUserListRequest(_w: Writer, _m: AuthUserListRequest): void {}

export interface AuthRoleListRequest {
}

export function decodeAuthRoleListRequest(r: Reader): AuthRoleListRequest {
  while (!r.done) r.discard(r.tag());
  return {};
}

export function encodeAuthRoleListRequest(_w: Writer, _m: AuthRoleListRequest): void {}

export interface AuthRoleDeleteRequest {
  readonly role: string;
}

export function decodeAuthRoleDeleteRequest(r: Reader): AuthRoleDeleteRequest {
  let role = '';
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        role = r.string();
        break;
      default:
        r.discard(tag);
    }
  }
  return { role };
}

export function encodeAuthRoleDeleteRequest(w: Writer, m: AuthRoleDeleteRequest): void {
  if (m.role !== '') {
    w.uint32(10);
    w.string(m.role);
  }
}

export interface AuthRoleGrantPermissionRequest {
  readonly name: string;
  readonly perm: Permission | null;
}

export function decodeAuthRoleGrantPermissionRequest(r: Reader): AuthRoleGrantPermissionRequest {
  let name = '';
  let perm: Permission | null = null;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        name = r.string();
        break;
      case 18: {
        const outer = r.enter();
        perm = decodePermission(r);
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { name, perm };
}

export function encodeAuthRoleGrantPermissionRequest(w: Writer, m: AuthRoleGrantPermissionRequest): void {
  if (m.name !== '') {
    w.uint32(10);
    w.string(m.name);
  }
  if (m.perm !== null) {
    w.uint32(18);
    const start = w.open();
    encodePermission(w, m.perm);
    w.close(start);
  }
}

export interface AuthRoleRevokePermissionRequest {
  readonly role: string;
  readonly key: Key;
  readonly rangeEnd: Key;
}

export function decodeAuthRoleRevokePermissionRequest(r: Reader): AuthRoleRevokePermissionRequest {
  let role = '';
  let key = '' as Key;
  let rangeEnd = '' as Key;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        role = r.string();
        break;
      case 18:
        key = r.key();
        break;
      case 26:
        rangeEnd = r.key();
        break;
      default:
        r.discard(tag);
    }
  }
  return { role, key, rangeEnd };
}

export function encodeAuthRoleRevokePermissionRequest(w: Writer, m: AuthRoleRevokePermissionRequest): void {
  if (m.role !== '') {
    w.uint32(10);
    w.string(m.role);
  }
  if (m.key !== '') {
    w.uint32(18);
    w.key(m.key);
  }
  if (m.rangeEnd !== '') {
    w.uint32(26);
    w.key(m.rangeEnd);
  }
}

export interface AuthEnableResponse {
  readonly header: ResponseHeader | null;
}

export function decodeAuthEnableResponse(r: Reader): AuthEnableResponse {
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

export function encodeAuthEnableResponse(w: Writer, m: AuthEnableResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
}

export interface AuthDisableResponse {
  readonly header: ResponseHeader | null;
}

export function decodeAuthDisableResponse(r: Reader): AuthDisableResponse {
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

export function encodeAuthDisableResponse(w: Writer, m: AuthDisableResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
}

export interface AuthStatusResponse {
  readonly header: ResponseHeader | null;
  readonly enabled: boolean;
  readonly authRevision: number;
}

export function decodeAuthStatusResponse(r: Reader): AuthStatusResponse {
  let header: ResponseHeader | null = null;
  let enabled = false;
  let authRevision = 0;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10: {
        const outer = r.enter();
        header = decodeResponseHeader(r);
        r.leave(outer);
        break;
      }
      case 16:
        enabled = r.bool();
        break;
      case 24:
        authRevision = r.uint64();
        break;
      default:
        r.discard(tag);
    }
  }
  return { header, enabled, authRevision };
}

export function encodeAuthStatusResponse(w: Writer, m: AuthStatusResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  if (m.enabled) {
    w.uint32(16);
    w.bool(m.enabled);
  }
  if (m.authRevision !== 0) {
    w.uint32(24);
    w.int64(m.authRevision);
  }
}

export interface AuthenticateResponse {
  readonly header: ResponseHeader | null;
  readonly token: string;
}

export function decodeAuthenticateResponse(r: Reader): AuthenticateResponse {
  let header: ResponseHeader | null = null;
  let token = '';
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
        token = r.string();
        break;
      default:
        r.discard(tag);
    }
  }
  return { header, token };
}

export function encodeAuthenticateResponse(w: Writer, m: AuthenticateResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  if (m.token !== '') {
    w.uint32(18);
    w.string(m.token);
  }
}

export interface AuthUserAddResponse {
  readonly header: ResponseHeader | null;
}

export function decodeAuthUserAddResponse(r: Reader): AuthUserAddResponse {
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

export function encodeAuthUserAddResponse(w: Writer, m: AuthUserAddResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
}

export interface AuthUserGetResponse {
  readonly header: ResponseHeader | null;
  readonly roles: readonly string[];
}

export function decodeAuthUserGetResponse(r: Reader): AuthUserGetResponse {
  let header: ResponseHeader | null = null;
  const roles: string[] = [];
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
        roles.push(r.string());
        break;
      default:
        r.discard(tag);
    }
  }
  return { header, roles };
}

export function encodeAuthUserGetResponse(w: Writer, m: AuthUserGetResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  for (const item of m.roles) {
    w.uint32(18);
    w.string(item);
  }
}

export interface AuthUserDeleteResponse {
  readonly header: ResponseHeader | null;
}

export function decodeAuthUserDeleteResponse(r: Reader): AuthUserDeleteResponse {
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

export function encodeAuthUserDeleteResponse(w: Writer, m: AuthUserDeleteResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
}

export interface AuthUserChangePasswordResponse {
  readonly header: ResponseHeader | null;
}

export function decodeAuthUserChangePasswordResponse(r: Reader): AuthUserChangePasswordResponse {
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

export function encodeAuthUserChangePasswordResponse(w: Writer, m: AuthUserChangePasswordResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
}

export interface AuthUserGrantRoleResponse {
  readonly header: ResponseHeader | null;
}

export function decodeAuthUserGrantRoleResponse(r: Reader): AuthUserGrantRoleResponse {
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

export function encodeAuthUserGrantRoleResponse(w: Writer, m: AuthUserGrantRoleResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
}

export interface AuthUserRevokeRoleResponse {
  readonly header: ResponseHeader | null;
}

export function decodeAuthUserRevokeRoleResponse(r: Reader): AuthUserRevokeRoleResponse {
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

export function encodeAuthUserRevokeRoleResponse(w: Writer, m: AuthUserRevokeRoleResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
}

export interface AuthRoleAddResponse {
  readonly header: ResponseHeader | null;
}

export function decodeAuthRoleAddResponse(r: Reader): AuthRoleAddResponse {
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

export function encodeAuthRoleAddResponse(w: Writer, m: AuthRoleAddResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
}

export interface AuthRoleGetResponse {
  readonly header: ResponseHeader | null;
  readonly perm: readonly Permission[];
}

export function decodeAuthRoleGetResponse(r: Reader): AuthRoleGetResponse {
  let header: ResponseHeader | null = null;
  const perm: Permission[] = [];
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
        perm.push(decodePermission(r));
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { header, perm };
}

export function encodeAuthRoleGetResponse(w: Writer, m: AuthRoleGetResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  for (const item of m.perm) {
    w.uint32(18);
    const start = w.open();
    encodePermission(w, item);
    w.close(start);
  }
}

export interface AuthRoleListResponse {
  readonly header: ResponseHeader | null;
  readonly roles: readonly string[];
}

export function decodeAuthRoleListResponse(r: Reader): AuthRoleListResponse {
  let header: ResponseHeader | null = null;
  const roles: string[] = [];
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
        roles.push(r.string());
        break;
      default:
        r.discard(tag);
    }
  }
  return { header, roles };
}

export function encodeAuthRoleListResponse(w: Writer, m: AuthRoleListResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  for (const item of m.roles) {
    w.uint32(18);
    w.string(item);
  }
}

export interface AuthUserListResponse {
  readonly header: ResponseHeader | null;
  readonly users: readonly string[];
}

export function decodeAuthUserListResponse(r: Reader): AuthUserListResponse {
  let header: ResponseHeader | null = null;
  const users: string[] = [];
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
        users.push(r.string());
        break;
      default:
        r.discard(tag);
    }
  }
  return { header, users };
}

export function encodeAuthUserListResponse(w: Writer, m: AuthUserListResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
  for (const item of m.users) {
    w.uint32(18);
    w.string(item);
  }
}

export interface AuthRoleDeleteResponse {
  readonly header: ResponseHeader | null;
}

export function decodeAuthRoleDeleteResponse(r: Reader): AuthRoleDeleteResponse {
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

export function encodeAuthRoleDeleteResponse(w: Writer, m: AuthRoleDeleteResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
}

export interface AuthRoleGrantPermissionResponse {
  readonly header: ResponseHeader | null;
}

export function decodeAuthRoleGrantPermissionResponse(r: Reader): AuthRoleGrantPermissionResponse {
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

export function encodeAuthRoleGrantPermissionResponse(w: Writer, m: AuthRoleGrantPermissionResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
}

export interface AuthRoleRevokePermissionResponse {
  readonly header: ResponseHeader | null;
}

export function decodeAuthRoleRevokePermissionResponse(r: Reader): AuthRoleRevokePermissionResponse {
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

export function encodeAuthRoleRevokePermissionResponse(w: Writer, m: AuthRoleRevokePermissionResponse): void {
  if (m.header !== null) {
    w.uint32(10);
    const start = w.open();
    encodeResponseHeader(w, m.header);
    w.close(start);
  }
}

export interface RangeStreamResponse {
  readonly rangeResponse: RangeResponse | null;
}

export function decodeRangeStreamResponse(r: Reader): RangeStreamResponse {
  let rangeResponse: RangeResponse | null = null;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10: {
        const outer = r.enter();
        rangeResponse = decodeRangeResponse(r);
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { rangeResponse };
}

export function encodeRangeStreamResponse(w: Writer, m: RangeStreamResponse): void {
  if (m.rangeResponse !== null) {
    w.uint32(10);
    const start = w.open();
    encodeRangeResponse(w, m.rangeResponse);
    w.close(start);
  }
}

export interface RequestHeader {
  readonly id: bigint;
  readonly username: string;
  readonly authRevision: number;
}

export function decodeRequestHeader(r: Reader): RequestHeader {
  let id = 0n;
  let username = '';
  let authRevision = 0;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        id = r.uint64Exact();
        break;
      case 18:
        username = r.string();
        break;
      case 24:
        authRevision = r.uint64();
        break;
      default:
        r.discard(tag);
    }
  }
  return { id, username, authRevision };
}

export function encodeRequestHeader(w: Writer, m: RequestHeader): void {
  if (m.id !== 0n) {
    w.uint32(8);
    w.int64Exact(m.id);
  }
  if (m.username !== '') {
    w.uint32(18);
    w.string(m.username);
  }
  if (m.authRevision !== 0) {
    w.uint32(24);
    w.int64(m.authRevision);
  }
}

export interface InternalRaftRequest {
  readonly id: bigint;
  readonly header: RequestHeader | null;
  readonly request:
    | { readonly case: 'range'; readonly value: RangeRequest }
    | { readonly case: 'put'; readonly value: PutRequest }
    | { readonly case: 'deleteRange'; readonly value: DeleteRangeRequest }
    | { readonly case: 'txn'; readonly value: TxnRequest }
    | { readonly case: 'compaction'; readonly value: CompactionRequest }
    | { readonly case: 'leaseGrant'; readonly value: LeaseGrantRequest }
    | { readonly case: 'leaseRevoke'; readonly value: LeaseRevokeRequest }
    | { readonly case: 'alarm'; readonly value: AlarmRequest }
    | { readonly case: 'leaseCheckpoint'; readonly value: LeaseCheckpointRequest }
    | { readonly case: 'authEnable'; readonly value: AuthEnableRequest }
    | { readonly case: 'authDisable'; readonly value: AuthDisableRequest }
    | { readonly case: 'authenticate'; readonly value: InternalAuthenticateRequest }
    | { readonly case: 'authStatus'; readonly value: AuthStatusRequest }
    | { readonly case: 'authUserAdd'; readonly value: AuthUserAddRequest }
    | { readonly case: 'authUserDelete'; readonly value: AuthUserDeleteRequest }
    | { readonly case: 'authUserGet'; readonly value: AuthUserGetRequest }
    | { readonly case: 'authUserChangePassword'; readonly value: AuthUserChangePasswordRequest }
    | { readonly case: 'authUserGrantRole'; readonly value: AuthUserGrantRoleRequest }
    | { readonly case: 'authUserRevokeRole'; readonly value: AuthUserRevokeRoleRequest }
    | { readonly case: 'authUserList'; readonly value: AuthUserListRequest }
    | { readonly case: 'authRoleList'; readonly value: AuthRoleListRequest }
    | { readonly case: 'authRoleAdd'; readonly value: AuthRoleAddRequest }
    | { readonly case: 'authRoleDelete'; readonly value: AuthRoleDeleteRequest }
    | { readonly case: 'authRoleGet'; readonly value: AuthRoleGetRequest }
    | { readonly case: 'authRoleGrantPermission'; readonly value: AuthRoleGrantPermissionRequest }
    | { readonly case: 'authRoleRevokePermission'; readonly value: AuthRoleRevokePermissionRequest }
    | { readonly case: 'clusterVersionSet'; readonly value: ClusterVersionSetRequest }
    | { readonly case: 'clusterMemberAttrSet'; readonly value: ClusterMemberAttrSetRequest }
    | { readonly case: 'downgradeInfoSet'; readonly value: DowngradeInfoSetRequest }
    | { readonly case: 'downgradeVersionTest'; readonly value: DowngradeVersionTestRequest }
    | null;
}

export function decodeInternalRaftRequest(r: Reader): InternalRaftRequest {
  let id = 0n;
  let request: InternalRaftRequest['request'] = null;
  let header: RequestHeader | null = null;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        id = r.uint64Exact();
        break;
      case 26: {
        const outer = r.enter();
        request = { case: 'range', value: decodeRangeRequest(r) };
        r.leave(outer);
        break;
      }
      case 34: {
        const outer = r.enter();
        request = { case: 'put', value: decodePutRequest(r) };
        r.leave(outer);
        break;
      }
      case 42: {
        const outer = r.enter();
        request = { case: 'deleteRange', value: decodeDeleteRangeRequest(r) };
        r.leave(outer);
        break;
      }
      case 50: {
        const outer = r.enter();
        request = { case: 'txn', value: decodeTxnRequest(r) };
        r.leave(outer);
        break;
      }
      case 58: {
        const outer = r.enter();
        request = { case: 'compaction', value: decodeCompactionRequest(r) };
        r.leave(outer);
        break;
      }
      case 66: {
        const outer = r.enter();
        request = { case: 'leaseGrant', value: decodeLeaseGrantRequest(r) };
        r.leave(outer);
        break;
      }
      case 74: {
        const outer = r.enter();
        request = { case: 'leaseRevoke', value: decodeLeaseRevokeRequest(r) };
        r.leave(outer);
        break;
      }
      case 82: {
        const outer = r.enter();
        request = { case: 'alarm', value: decodeAlarmRequest(r) };
        r.leave(outer);
        break;
      }
      case 90: {
        const outer = r.enter();
        request = { case: 'leaseCheckpoint', value: decodeLeaseCheckpointRequest(r) };
        r.leave(outer);
        break;
      }
      case 802: {
        const outer = r.enter();
        header = decodeRequestHeader(r);
        r.leave(outer);
        break;
      }
      case 8002: {
        const outer = r.enter();
        request = { case: 'authEnable', value: decodeAuthEnableRequest(r) };
        r.leave(outer);
        break;
      }
      case 8090: {
        const outer = r.enter();
        request = { case: 'authDisable', value: decodeAuthDisableRequest(r) };
        r.leave(outer);
        break;
      }
      case 8098: {
        const outer = r.enter();
        request = { case: 'authenticate', value: decodeInternalAuthenticateRequest(r) };
        r.leave(outer);
        break;
      }
      case 8106: {
        const outer = r.enter();
        request = { case: 'authStatus', value: decodeAuthStatusRequest(r) };
        r.leave(outer);
        break;
      }
      case 8802: {
        const outer = r.enter();
        request = { case: 'authUserAdd', value: decodeAuthUserAddRequest(r) };
        r.leave(outer);
        break;
      }
      case 8810: {
        const outer = r.enter();
        request = { case: 'authUserDelete', value: decodeAuthUserDeleteRequest(r) };
        r.leave(outer);
        break;
      }
      case 8818: {
        const outer = r.enter();
        request = { case: 'authUserGet', value: decodeAuthUserGetRequest(r) };
        r.leave(outer);
        break;
      }
      case 8826: {
        const outer = r.enter();
        request = { case: 'authUserChangePassword', value: decodeAuthUserChangePasswordRequest(r) };
        r.leave(outer);
        break;
      }
      case 8834: {
        const outer = r.enter();
        request = { case: 'authUserGrantRole', value: decodeAuthUserGrantRoleRequest(r) };
        r.leave(outer);
        break;
      }
      case 8842: {
        const outer = r.enter();
        request = { case: 'authUserRevokeRole', value: decodeAuthUserRevokeRoleRequest(r) };
        r.leave(outer);
        break;
      }
      case 8850: {
        const outer = r.enter();
        request = { case: 'authUserList', value: decodeAuthUserListRequest(r) };
        r.leave(outer);
        break;
      }
      case 8858: {
        const outer = r.enter();
        request = { case: 'authRoleList', value: decodeAuthRoleListRequest(r) };
        r.leave(outer);
        break;
      }
      case 9602: {
        const outer = r.enter();
        request = { case: 'authRoleAdd', value: decodeAuthRoleAddRequest(r) };
        r.leave(outer);
        break;
      }
      case 9610: {
        const outer = r.enter();
        request = { case: 'authRoleDelete', value: decodeAuthRoleDeleteRequest(r) };
        r.leave(outer);
        break;
      }
      case 9618: {
        const outer = r.enter();
        request = { case: 'authRoleGet', value: decodeAuthRoleGetRequest(r) };
        r.leave(outer);
        break;
      }
      case 9626: {
        const outer = r.enter();
        request = { case: 'authRoleGrantPermission', value: decodeAuthRoleGrantPermissionRequest(r) };
        r.leave(outer);
        break;
      }
      case 9634: {
        const outer = r.enter();
        request = { case: 'authRoleRevokePermission', value: decodeAuthRoleRevokePermissionRequest(r) };
        r.leave(outer);
        break;
      }
      case 10402: {
        const outer = r.enter();
        request = { case: 'clusterVersionSet', value: decodeClusterVersionSetRequest(r) };
        r.leave(outer);
        break;
      }
      case 10410: {
        const outer = r.enter();
        request = { case: 'clusterMemberAttrSet', value: decodeClusterMemberAttrSetRequest(r) };
        r.leave(outer);
        break;
      }
      case 10418: {
        const outer = r.enter();
        request = { case: 'downgradeInfoSet', value: decodeDowngradeInfoSetRequest(r) };
        r.leave(outer);
        break;
      }
      case 79202: {
        const outer = r.enter();
        request = { case: 'downgradeVersionTest', value: decodeDowngradeVersionTestRequest(r) };
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { id, request, header };
}

export function encodeInternalRaftRequest(w: Writer, m: InternalRaftRequest): void {
  if (m.id !== 0n) {
    w.uint32(8);
    w.int64Exact(m.id);
  }
  if (m.request?.case === 'range') {
    w.uint32(26);
    const start = w.open();
    encodeRangeRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'put') {
    w.uint32(34);
    const start = w.open();
    encodePutRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'deleteRange') {
    w.uint32(42);
    const start = w.open();
    encodeDeleteRangeRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'txn') {
    w.uint32(50);
    const start = w.open();
    encodeTxnRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'compaction') {
    w.uint32(58);
    const start = w.open();
    encodeCompactionRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'leaseGrant') {
    w.uint32(66);
    const start = w.open();
    encodeLeaseGrantRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'leaseRevoke') {
    w.uint32(74);
    const start = w.open();
    encodeLeaseRevokeRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'alarm') {
    w.uint32(82);
    const start = w.open();
    encodeAlarmRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'leaseCheckpoint') {
    w.uint32(90);
    const start = w.open();
    encodeLeaseCheckpointRequest(w, m.request.value);
    w.close(start);
  }
  if (m.header !== null) {
    w.uint32(802);
    const start = w.open();
    encodeRequestHeader(w, m.header);
    w.close(start);
  }
  if (m.request?.case === 'authEnable') {
    w.uint32(8002);
    const start = w.open();
    encodeAuthEnableRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'authDisable') {
    w.uint32(8090);
    const start = w.open();
    encodeAuthDisableRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'authenticate') {
    w.uint32(8098);
    const start = w.open();
    encodeInternalAuthenticateRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'authStatus') {
    w.uint32(8106);
    const start = w.open();
    encodeAuthStatusRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'authUserAdd') {
    w.uint32(8802);
    const start = w.open();
    encodeAuthUserAddRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'authUserDelete') {
    w.uint32(8810);
    const start = w.open();
    encodeAuthUserDeleteRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'authUserGet') {
    w.uint32(8818);
    const start = w.open();
    encodeAuthUserGetRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'authUserChangePassword') {
    w.uint32(8826);
    const start = w.open();
    encodeAuthUserChangePasswordRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'authUserGrantRole') {
    w.uint32(8834);
    const start = w.open();
    encodeAuthUserGrantRoleRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'authUserRevokeRole') {
    w.uint32(8842);
    const start = w.open();
    encodeAuthUserRevokeRoleRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'authUserList') {
    w.uint32(8850);
    const start = w.open();
    encodeAuthUserListRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'authRoleList') {
    w.uint32(8858);
    const start = w.open();
    encodeAuthRoleListRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'authRoleAdd') {
    w.uint32(9602);
    const start = w.open();
    encodeAuthRoleAddRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'authRoleDelete') {
    w.uint32(9610);
    const start = w.open();
    encodeAuthRoleDeleteRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'authRoleGet') {
    w.uint32(9618);
    const start = w.open();
    encodeAuthRoleGetRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'authRoleGrantPermission') {
    w.uint32(9626);
    const start = w.open();
    encodeAuthRoleGrantPermissionRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'authRoleRevokePermission') {
    w.uint32(9634);
    const start = w.open();
    encodeAuthRoleRevokePermissionRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'clusterVersionSet') {
    w.uint32(10402);
    const start = w.open();
    encodeClusterVersionSetRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'clusterMemberAttrSet') {
    w.uint32(10410);
    const start = w.open();
    encodeClusterMemberAttrSetRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'downgradeInfoSet') {
    w.uint32(10418);
    const start = w.open();
    encodeDowngradeInfoSetRequest(w, m.request.value);
    w.close(start);
  }
  if (m.request?.case === 'downgradeVersionTest') {
    w.uint32(79202);
    const start = w.open();
    encodeDowngradeVersionTestRequest(w, m.request.value);
    w.close(start);
  }
}

export interface EmptyResponse {
}

export function decodeEmptyResponse(r: Reader): EmptyResponse {
  while (!r.done) r.discard(r.tag());
  return {};
}

export function encodeEmptyResponse(_w: Writer, _m: EmptyResponse): void {}

export interface InternalAuthenticateRequest {
  readonly name: string;
  readonly password: string;
  readonly simpleToken: string;
}

export function decodeInternalAuthenticateRequest(r: Reader): InternalAuthenticateRequest {
  let name = '';
  let password = '';
  let simpleToken = '';
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        name = r.string();
        break;
      case 18:
        password = r.string();
        break;
      case 26:
        simpleToken = r.string();
        break;
      default:
        r.discard(tag);
    }
  }
  return { name, password, simpleToken };
}

export function encodeInternalAuthenticateRequest(w: Writer, m: InternalAuthenticateRequest): void {
  if (m.name !== '') {
    w.uint32(10);
    w.string(m.name);
  }
  if (m.password !== '') {
    w.uint32(18);
    w.string(m.password);
  }
  if (m.simpleToken !== '') {
    w.uint32(26);
    w.string(m.simpleToken);
  }
}
