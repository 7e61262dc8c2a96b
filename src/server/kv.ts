/** The KV service: checks, then a barrier and a read, or a proposal. */

import { type Identity, NOBODY } from '../auth/identity.ts';
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
import type { EncodedKeyValue } from '../codec/key-value.ts';
import { EtcdError, errors } from '../errors.ts';
import { limits } from '../limits.ts';
import type { RangeResult, ReadOptions } from '../mvcc/range.ts';
import { checkTxnAccess } from '../replica/auth-apply.ts';
import { putCost, txnCost } from '../replica/cost.ts';
import type { TxnOutcome } from '../replica/outcome.ts';
import type { Replica } from '../replica/replica.ts';
import { applyTxn } from '../replica/txn.ts';
import type { Key, Revision } from '../types.ts';
import type { Access } from './access.ts';
import { checkDeleteRange, checkPut, checkRange, checkRangeStream, checkTxn } from './kv-checks.ts';
import {
  type Caller,
  drained,
  endWith,
  type Method,
  type Output,
  serverStream,
  unary,
} from './rpc.ts';
import type { Space } from './space.ts';

/** Reads that do not go through the log; times are in seconds. */
export interface KvObserver {
  /** One range was read from the store. */
  rangeRead(seconds: number, ok: boolean): void;
  /** A read was answered, so long after it was asked for. */
  readAnswered(kind: 'range' | 'readonlyTxn', seconds: number, ok: boolean): void;
  /** What a range was answered with, and the milliseconds since it was asked for. */
  rangeDone(request: RangeRequest, found: RangeResult | EtcdError, ms: number): void;
  /** The same of a transaction that only reads, without the wait for its turn. */
  txnDone(request: TxnRequest, outcome: TxnOutcome | EtcdError, ms: number): void;
}

export interface KvDeps {
  readonly replica: Replica;
  readonly access: Access;
  readonly space: Space;
  readonly txnOpsMax: number;
  readonly requestBytesMax: number;
  /** The header of an answer that speaks of `revision`. */
  readonly header: (revision: Revision) => ResponseHeader;
  /** Lets other work run between two slices of a long one. */
  readonly yieldNow: () => Promise<void>;
  readonly observer: KvObserver;
  readonly monotonic: () => number;
  readonly onFatal: (error: unknown) => void;
}

export interface Kv {
  /** A caller that goes away ends a long read. */
  range(request: RangeRequest, caller?: Caller): RangeResponse | Promise<RangeResponse>;
  rangeStream(request: RangeRequest, caller: Caller, output: Output<RangeStreamResponse>): void;
  put(request: PutRequest, caller?: Caller): Promise<PutResponse>;
  deleteRange(request: DeleteRangeRequest, caller?: Caller): Promise<DeleteRangeResponse>;
  txn(request: TxnRequest, caller?: Caller): TxnResponse | Promise<TxnResponse>;
  compact(request: CompactionRequest, caller?: Caller): Promise<CompactionResponse>;
}

export function createKv(deps: KvDeps): Kv {
  const { replica, access } = deps;
  return {
    range(request, caller) {
      checkRange(request);
      const asked = { atMs: deps.monotonic(), caller };
      const { key, rangeEnd } = request;
      const failed = (error: EtcdError): void => {
        const ms = deps.monotonic() - asked.atMs;
        deps.observer.readAnswered('range', ms / 1000, false);
        deps.observer.rangeDone(request, error, ms);
      };
      const mayRead = (who: Identity): EtcdError | null => {
        const refused = access.auth.check(who, 'read', key, rangeEnd);
        if (refused !== null) failed(refused);
        return refused;
      };
      const read = () => access.guard(caller, mayRead, () => readRange(deps, request, asked));
      if (request.serializable) return read();
      return replica.readBarrier().then(read, (error: unknown) => {
        if (error instanceof EtcdError) failed(error);
        throw error;
      });
    },

    rangeStream(request, caller, output) {
      streamRange(deps, request, caller, output).catch(endWith(output, deps.onFatal));
    },

    async put(request, caller) {
      if (!deps.space.fits(putCost(request))) await deps.space.refuse();
      checkPut(request);
      const who = access.enabled ? await access.identify(caller) : NOBODY;
      const { revision, prevKv } = await replica.propose('put', request, who);
      return { header: deps.header(revision), prevKv };
    },

    async deleteRange(request, caller) {
      checkDeleteRange(request);
      const who = access.enabled ? await access.identify(caller) : NOBODY;
      const outcome = await replica.propose('deleteRange', request, who);
      const { revision, deleted, prevKvs } = outcome;
      return { header: deps.header(revision), deleted, prevKvs };
    },

    txn(request, caller) {
      return txn(deps, request, caller);
    },

    compact(request, caller) {
      return compact(deps, request, caller);
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

/** Short ranges are answered at once; long ones give way to heartbeats and other clients. */
function readRange(
  deps: KvDeps,
  request: RangeRequest,
  asked: { readonly atMs: number; readonly caller: Caller | undefined },
): RangeResponse | Promise<RangeResponse> {
  const { store } = deps.replica.stateMachine;
  const startedMs = deps.monotonic();
  const answer = (found: RangeResult | EtcdError): RangeResponse => {
    const endedMs = deps.monotonic();
    const ok = !(found instanceof EtcdError);
    deps.observer.rangeRead((endedMs - startedMs) / 1000, ok);
    deps.observer.readAnswered('range', (endedMs - asked.atMs) / 1000, ok);
    deps.observer.rangeDone(request, found, endedMs - asked.atMs);
    deps.replica.stateMachine.counts.ranges++;
    return rangeResponse(deps, found);
  };
  if (request.rangeEnd === '') return answer(store.range(request));
  const slices = store.rangeSlices(request);
  const first = slices.next();
  if (first.done === true) return answer(first.value);
  return readOn(slices, deps.yieldNow, asked.caller).then(answer);
}

async function readOn(
  slices: Generator<void, RangeResult | EtcdError>,
  yieldNow: () => Promise<void>,
  caller?: Caller,
): Promise<RangeResult | EtcdError> {
  for (;;) {
    await yieldNow();
    if (caller?.cancelled === true) return errors.contextCanceled;
    const step = slices.next();
    if (step.done === true) return step.value;
  }
}

function rangeResponse(deps: KvDeps, found: RangeResult | EtcdError): RangeResponse {
  if (found instanceof EtcdError) throw found;
  const { kvs, more, count, revision } = found;
  return { header: deps.header(revision), kvs, more, count };
}

async function txn(
  deps: KvDeps,
  request: TxnRequest,
  caller: Caller | undefined,
): Promise<TxnResponse> {
  const { replica, access } = deps;
  if (!deps.space.fits(txnCost(request))) await deps.space.refuse();
  checkTxn(request, deps.txnOpsMax);
  const ops = [...request.success, ...request.failure];
  const outcome = ops.every(isRange)
    ? await readTxn(deps, request, ops, caller)
    : await replica.propose(
        'txn',
        request,
        access.enabled ? await access.identify(caller) : NOBODY,
      );
  const { revision, succeeded, responses } = outcome;
  return { header: deps.header(revision), succeeded, responses };
}

async function readTxn(
  deps: KvDeps,
  request: TxnRequest,
  ops: readonly RequestOp[],
  caller: Caller | undefined,
) {
  const { replica, access } = deps;
  const { stateMachine } = replica;
  const askedMs = deps.monotonic();
  // etcd: with no operations at all "every operation is serializable" holds, so a transaction of
  // comparisons alone is answered locally.
  if (!ops.every(isSerializable)) await replica.readBarrier();
  const startedMs = deps.monotonic();
  const outcome = await access.guard(
    caller,
    (who) => checkTxnAccess(request, who, stateMachine),
    () => applyTxn(request, stateMachine, { readOnly: true }),
  );
  const ok = !(outcome instanceof EtcdError);
  const endedMs = deps.monotonic();
  deps.observer.readAnswered('readonlyTxn', (endedMs - askedMs) / 1000, ok);
  deps.observer.txnDone(request, outcome, endedMs - startedMs);
  if (outcome instanceof EtcdError) throw outcome;
  return outcome;
}

function isRange(op: RequestOp): boolean {
  return op.request?.case === 'requestRange';
}

function isSerializable(op: RequestOp): boolean {
  return op.request?.case === 'requestRange' && op.request.value.serializable;
}

async function compact(
  deps: KvDeps,
  request: CompactionRequest,
  caller: Caller | undefined,
): Promise<CompactionResponse> {
  const { replica, access } = deps;
  const who = access.enabled ? await access.admin(caller) : NOBODY;
  const { store } = replica.stateMachine;
  try {
    const { revision } = await replica.propose('compaction', request, who);
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
  const { auth } = deps.access;
  await deps.access.guard(
    caller,
    (who) => auth.check(who, 'read', request.key, request.rangeEnd),
    () => streamChecked(deps, request, caller, output),
  );
  output.end(null);
}

async function streamChecked(
  deps: KvDeps,
  request: RangeRequest,
  caller: Caller,
  output: Output<RangeStreamResponse>,
): Promise<void> {
  const { store } = deps.replica.stateMachine;
  // Every chunk reads at the revision of the first one.
  const revision = request.revision > 0 ? request.revision : store.revision;
  const stream = { deps, caller, output, header: deps.header(store.revision) };
  const range = { ...request, revision, sortOrder: 0, sortTarget: 0, limit: 0 };
  // etcd: a negative limit is below the size of a chunk, and means everything at once.
  if (request.countOnly || request.limit < 0) await streamAtOnce(stream, range);
  else await streamChunks(stream, range, request.limit);
}

interface RangeStream {
  readonly deps: KvDeps;
  readonly caller: Caller;
  readonly output: Output<RangeStreamResponse>;
  readonly header: ResponseHeader;
}

async function streamAtOnce(stream: RangeStream, range: ReadOptions): Promise<void> {
  const { kvs, count } = await readWhole(stream, range);
  stream.output.send({ rangeResponse: { header: stream.header, kvs, more: false, count } });
}

async function readWhole({ deps, caller }: RangeStream, range: ReadOptions): Promise<RangeResult> {
  const { store } = deps.replica.stateMachine;
  const found = await readOn(store.rangeSlices(range), deps.yieldNow, caller);
  if (found instanceof EtcdError) throw found;
  return found;
}

/** `limit` 0: none. */
async function streamChunks(stream: RangeStream, range: ReadOptions, limit: number): Promise<void> {
  const { deps, caller, output, header } = stream;
  let keys = FIRST_CHUNK_KEYS;
  let delivered = 0;
  let from = range.key;
  while (!caller.cancelled) {
    if (limit > 0) keys = Math.min(limit - delivered, keys);
    const { kvs, next } = await readChunk(stream, { ...range, key: from }, keys);
    delivered += kvs.length;
    if (next === null || delivered === limit) {
      const rest = next === null ? 0 : await countFrom(stream, range, next);
      output.send({ rangeResponse: { header, kvs, more: rest > 0, count: delivered + rest } });
      return;
    }
    output.send({ rangeResponse: { header: null, kvs, more: false, count: 0 } });
    from = next;
    keys = nextChunk(keys, { kvs, revision: header.revision }, deps.requestBytesMax);
    await (output.bufferedBytes > limits.streamBufferedBytesMax
      ? drained(output, caller)
      : deps.yieldNow());
  }
}

/** So many pairs, or what there is to the end; `next` is the key of the pair that follows. */
async function readChunk(
  { deps, caller }: RangeStream,
  range: ReadOptions,
  keys: number,
): Promise<{ kvs: readonly EncodedKeyValue[]; next: Key | null }> {
  const { store } = deps.replica.stateMachine;
  const kvs: EncodedKeyValue[] = [];
  let from = range.key;
  for (;;) {
    const found = store.chunk({ ...range, key: from }, keys - kvs.length);
    if (found instanceof EtcdError) throw found;
    for (const kv of found.kvs) kvs.push(kv);
    if (found.next === null || found.isFull) return { kvs, next: found.next };
    from = found.next;
    await deps.yieldNow();
    if (caller.cancelled) throw errors.contextCanceled;
  }
}

async function countFrom(stream: RangeStream, range: ReadOptions, key: Key): Promise<number> {
  return (await readWhole(stream, { ...range, key, countOnly: true })).count;
}

/** etcd: sizes are those of a whole range response, with a header of only the revision. */
function nextChunk(
  keys: number,
  { kvs, revision }: { readonly kvs: readonly EncodedKeyValue[]; readonly revision: Revision },
  requestBytesMax: number,
): number {
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
