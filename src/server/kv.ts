/** The KV service: checks, then a barrier and a read, or a proposal. */

import { must } from '../assert.ts';
import {
  type CompactionRequest,
  type CompactionResponse,
  type DeleteRangeRequest,
  type DeleteRangeResponse,
  decodeCompactionRequest,
  decodeDeleteRangeRequest,
  decodePutRequest,
  decodeRangeRequest,
  decodeTxnRequest,
  encodeCompactionResponse,
  encodeDeleteRangeResponse,
  encodePutResponse,
  encodeRangeResponse,
  encodeRangeStreamResponse,
  encodeTxnResponse,
  type PutRequest,
  type PutResponse,
  type RangeRequest,
  type RangeResponse,
  type RangeStreamResponse,
  type RequestOp,
  type ResponseHeader,
  type TxnRequest,
  type TxnResponse,
} from '../codec/gen/etcdserverpb.ts';
import { keyOf } from '../codec/key-value.ts';
import { EtcdError, errors } from '../errors.ts';
import { limits } from '../limits.ts';
import { afterKey } from '../mvcc/key-range.ts';
import type { RangeResult, ReadOptions } from '../mvcc/range.ts';
import type { KvStore } from '../mvcc/store.ts';
import { putCost, txnCost } from '../replica/cost.ts';
import type { Replica } from '../replica/replica.ts';
import { applyTxn } from '../replica/txn.ts';
import type { Revision } from '../types.ts';
import { checkDeleteRange, checkPut, checkRange, checkRangeStream, checkTxn } from './kv-checks.ts';
import { type Caller, type Method, type Output, serverStream, unary } from './rpc.ts';
import type { Space } from './space.ts';

export interface KvDeps {
  readonly replica: Replica;
  readonly space: Space;
  readonly txnOpsMax: number;
  readonly requestBytesMax: number;
  /** The header of an answer that speaks of `revision`. */
  readonly header: (revision: Revision) => ResponseHeader;
  /** Lets other work run between two slices of a long one. */
  readonly yieldNow: () => Promise<void>;
}

export interface Kv {
  range(request: RangeRequest): RangeResponse | Promise<RangeResponse>;
  rangeStream(request: RangeRequest, caller: Caller, output: Output<RangeStreamResponse>): void;
  put(request: PutRequest): Promise<PutResponse>;
  deleteRange(request: DeleteRangeRequest): Promise<DeleteRangeResponse>;
  txn(request: TxnRequest): TxnResponse | Promise<TxnResponse>;
  compact(request: CompactionRequest): Promise<CompactionResponse>;
}

export function createKv(deps: KvDeps): Kv {
  const { replica } = deps;
  return {
    range(request) {
      checkRange(request);
      if (request.serializable) return readRange(deps, request);
      return replica.readBarrier().then(() => readRange(deps, request));
    },

    rangeStream(request, caller, output) {
      streamRange(deps, request, caller, output).catch((error: unknown) => {
        if (error instanceof EtcdError) output.end(error);
        else throw error;
      });
    },

    async put(request) {
      await deps.space.reserve(putCost(request));
      checkPut(request);
      const { revision, prevKv } = await replica.propose('put', request);
      return { header: deps.header(revision), prevKv };
    },

    async deleteRange(request) {
      checkDeleteRange(request);
      const outcome = await replica.propose('deleteRange', request);
      const { revision, deleted, prevKvs } = outcome;
      return { header: deps.header(revision), deleted, prevKvs };
    },

    txn(request) {
      return txn(deps, request);
    },

    compact(request) {
      return compact(deps, request);
    },
  };
}

export function kvMethods(kv: Kv): readonly Method[] {
  const service = 'etcdserverpb.KV';
  return [
    unary(service, 'Range', { decode: decodeRangeRequest, encode: encodeRangeResponse }, kv.range),
    serverStream(
      service,
      'RangeStream',
      { decode: decodeRangeRequest, encode: encodeRangeStreamResponse },
      kv.rangeStream,
    ),
    unary(service, 'Put', { decode: decodePutRequest, encode: encodePutResponse }, kv.put),
    unary(
      service,
      'DeleteRange',
      { decode: decodeDeleteRangeRequest, encode: encodeDeleteRangeResponse },
      kv.deleteRange,
    ),
    unary(service, 'Txn', { decode: decodeTxnRequest, encode: encodeTxnResponse }, kv.txn),
    unary(
      service,
      'Compact',
      { decode: decodeCompactionRequest, encode: encodeCompactionResponse },
      kv.compact,
    ),
  ];
}

function readRange(deps: KvDeps, request: RangeRequest): RangeResponse | Promise<RangeResponse> {
  const { store } = deps.replica.stateMachine;
  if (request.rangeEnd === '' || (request.limit > 0 && request.limit <= limits.keysPerSliceMax)) {
    return rangeResponse(deps, store.range(request));
  }
  return readInSlices(store, request, deps.yieldNow).then((found) => rangeResponse(deps, found));
}

/** A long range gives way to heartbeats and other clients between its slices. */
async function readInSlices(
  store: KvStore,
  request: ReadOptions,
  yieldNow: () => Promise<void>,
): Promise<RangeResult | EtcdError> {
  const slices = store.rangeSlices(request);
  for (;;) {
    const step = slices.next();
    if (step.done === true) return step.value;
    await yieldNow();
  }
}

function rangeResponse(deps: KvDeps, found: RangeResult | EtcdError): RangeResponse {
  if (found instanceof EtcdError) throw found;
  deps.replica.stateMachine.counts.ranges++;
  const { kvs, more, count, revision } = found;
  return { header: deps.header(revision), kvs, more, count };
}

async function txn(deps: KvDeps, request: TxnRequest): Promise<TxnResponse> {
  const { replica } = deps;
  await deps.space.reserve(txnCost(request));
  checkTxn(request, deps.txnOpsMax);
  const ops = [...request.success, ...request.failure];
  const outcome = ops.every(isRange)
    ? await readTxn(replica, request, ops)
    : await replica.propose('txn', request);
  const { revision, succeeded, responses } = outcome;
  return { header: deps.header(revision), succeeded, responses };
}

async function readTxn(replica: Replica, request: TxnRequest, ops: readonly RequestOp[]) {
  // etcd: with no operations at all "every operation is serializable" holds, so a transaction of
  // comparisons alone is answered locally.
  if (!ops.every(isSerializable)) await replica.readBarrier();
  const outcome = applyTxn(request, replica.stateMachine, { readOnly: true });
  if (outcome instanceof EtcdError) throw outcome;
  return outcome;
}

function isRange(op: RequestOp): boolean {
  return op.request?.case === 'requestRange';
}

function isSerializable(op: RequestOp): boolean {
  return op.request?.case === 'requestRange' && op.request.value.serializable;
}

async function compact(deps: KvDeps, request: CompactionRequest): Promise<CompactionResponse> {
  const { replica } = deps;
  const { store } = replica.stateMachine;
  try {
    const { revision } = await replica.propose('compaction', request);
    // The answer of a physical compaction means that the space is free on this member.
    if (request.physical) await store.whenCompacted(replica.stopping);
    return { header: deps.header(revision) };
  } catch (error) {
    if (error === errors.compacted && request.physical) await store.whenCompacted(replica.stopping);
    throw error;
  }
}

/** etcd: chunks begin with 10 keys and grow or shrink with the size of what was sent. */
const FIRST_CHUNK_KEYS = 10;

async function streamRange(
  deps: KvDeps,
  request: RangeRequest,
  caller: Caller,
  output: Output<RangeStreamResponse>,
): Promise<void> {
  checkRangeStream(request);
  if (!request.serializable) await deps.replica.readBarrier();
  const { store } = deps.replica.stateMachine;
  const pinned = request.revision > 0 ? request.revision : store.revision;
  const base = { ...request, sortOrder: 0, sortTarget: 0, revision: pinned };
  const started = store.revision;
  let chunkKeys = FIRST_CHUNK_KEYS;
  let delivered = 0;
  let from = request.key;
  while (!caller.cancelled) {
    // etcd: a negative limit is below the size of a chunk, and means everything at once.
    const limit = request.limit === 0 ? chunkKeys : Math.min(request.limit - delivered, chunkKeys);
    const found = store.range({ ...base, key: from, limit });
    if (found instanceof EtcdError) throw found;
    delivered += found.kvs.length;
    const last = !found.more || (request.limit > 0 && delivered >= request.limit);
    const remaining = found.count - found.kvs.length;
    const rangeResponse: RangeResponse = {
      header: last ? deps.header(started) : null,
      kvs: found.kvs,
      more: last && found.more,
      count: last ? delivered + remaining : 0,
    };
    output.send({ rangeResponse });
    if (last) break;
    from = afterKey(keyOf(must(found.kvs.at(-1), 'a truncated chunk holds a key')));
    chunkKeys = nextChunk(limit, found, deps.requestBytesMax);
    await (output.bufferedBytes > limits.streamBufferedBytesMax
      ? new Promise<void>((resolve) => output.onDrain(resolve))
      : deps.yieldNow());
  }
  output.end(null);
}

/** etcd: sizes are those of a whole range response, with a header of only the revision. */
function nextChunk(keys: number, { kvs, revision }: RangeResult, requestBytesMax: number): number {
  let bytes = 2 + (1 + varintBytes(revision)) + 2 + (1 + varintBytes(keys + 1));
  for (const kv of kvs) bytes += 1 + varintBytes(kv.length) + kv.length;
  if (bytes < Math.floor(requestBytesMax / 2)) return keys * 2;
  return bytes > requestBytesMax * 2 ? Math.max(1, Math.floor(keys / 2)) : keys;
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}
