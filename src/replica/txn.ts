/**
 * Transactions at apply, as etcd runs them: every compare along the chosen path sees the state
 * before the transaction, then every operation of that path is checked, and only then is anything
 * written. A failing check rejects the whole transaction without using up a revision.
 */

import { assert, must } from '../assert.ts';
import {
  type Compare,
  CompareResult,
  CompareTarget,
  type DeleteRangeRequest,
  type PutRequest,
  type RangeRequest,
  type RequestOp,
  type ResponseHeader,
  type ResponseOp,
  type TxnRequest,
} from '../codec/gen/etcdserverpb.ts';
import { type EncodedKeyValue, leaseOf, valueBytesOf } from '../codec/key-value.ts';
import { EtcdError, errors } from '../errors.ts';
import type { Lessor } from '../lease/lessor.ts';
import type { KeyState } from '../mvcc/key-index.ts';
import { readOptions } from '../mvcc/range.ts';
import type { KvStore } from '../mvcc/store.ts';
import type { WatchHub } from '../mvcc/watch-hub.ts';
import type { WriteTxn } from '../mvcc/write-txn.ts';
import {
  type ClusterId,
  EMPTY_BYTES,
  EMPTY_KEY,
  type MemberId,
  NO_LEASE,
  type Revision,
} from '../types.ts';
import type { DeleteRangeOutcome, PutOutcome, TxnOutcome } from './outcome.ts';

export interface TxnState {
  readonly store: KvStore;
  readonly lessor: Lessor;
  readonly hub: WatchHub;
  readonly counts: MvccCounts;
}

/** What was done to the store since the start; metrics read it. */
export interface MvccCounts {
  puts: number;
  deletes: number;
  /** Transactions with more than one change. */
  txns: number;
  ranges: number;
  putBytes: number;
}

/** Which branch each transaction of the tree takes, in the order in which they run. */
interface Path {
  readonly succeeded: boolean;
  readonly ops: readonly RequestOp[];
  readonly nested: ReadonlyMap<TxnRequest, Path>;
}

/** `readOnly` transactions answer from the current state and never open a write. */
export function applyTxn(
  request: TxnRequest,
  state: TxnState,
  options: { readonly readOnly: boolean },
): TxnOutcome | EtcdError {
  const path = choosePath(request, state.store);
  const refused = checkOps(path, state);
  if (refused !== null) return refused;
  if (options.readOnly) {
    const responses = path.ops.map((op) => readOp(op, state.store));
    return { revision: state.store.revision, succeeded: path.succeeded, responses };
  }
  const write = state.store.write();
  const responses = runOps(path, write, state.lessor);
  return { revision: finish(write, state), succeeded: path.succeeded, responses };
}

export function applyPut(request: PutRequest, state: TxnState): PutOutcome | EtcdError {
  const refused = checkPut(request, state);
  if (refused !== null) return refused;
  const write = state.store.write();
  const prevKv = put(request, write, state.lessor);
  return { revision: finish(write, state), prevKv };
}

export function applyDeleteRange(request: DeleteRangeRequest, state: TxnState): DeleteRangeOutcome {
  const write = state.store.write();
  const deleted = deleteRange(request, write, state.lessor);
  return { revision: finish(write, state), ...deleted };
}

/** Ends a write and tells watchers, with nothing in between. Returns the store revision. */
export function finish(write: WriteTxn, { hub, counts }: TxnState): Revision {
  const { revision, events } = write.end();
  for (const event of events) {
    if (event.type === 'put') {
      counts.puts++;
      counts.putBytes += event.kv.length;
    } else {
      counts.deletes++;
    }
  }
  if (events.length > 1) counts.txns++;
  if (events.length > 0) hub.publish(revision, events);
  return revision;
}

function choosePath(request: TxnRequest, store: KvStore): Path {
  const succeeded = request.compare.every((compare) => holds(compare, store));
  const ops = succeeded ? request.success : request.failure;
  const nested = new Map<TxnRequest, Path>();
  for (const op of ops) {
    if (op.request?.case === 'requestTxn') {
      nested.set(op.request.value, choosePath(op.request.value, store));
    }
  }
  return { succeeded, ops, nested };
}

function holds(compare: Compare, store: KvStore): boolean {
  if (compare.rangeEnd === EMPTY_KEY) {
    const state = store.get(compare.key);
    return state === null ? holdsForMissing(compare) : holdsFor(compare, state, store);
  }
  let found = false;
  let all = true;
  store.forEachLive(compare.key, compare.rangeEnd, (state) => {
    found = true;
    all = holdsFor(compare, state, store);
    return all;
  });
  return found ? all : holdsForMissing(compare);
}

// etcd: a missing key has version, revisions and lease 0, but no value that anything could equal
// or differ from.
function holdsForMissing(compare: Compare): boolean {
  if (compare.target === CompareTarget.VALUE) return false;
  if (compare.target === CompareTarget.LEASE)
    return judge(compare, order(NO_LEASE, lease(compare)));
  return judge(compare, order(0, given(compare)));
}

function holdsFor(compare: Compare, state: KeyState, store: KvStore): boolean {
  switch (compare.target) {
    case CompareTarget.VALUE: {
      const union = compare.targetUnion;
      const wanted = union?.case === 'value' ? union.value : EMPTY_BYTES;
      const value = valueBytesOf(must(store.latest(state.key), 'a live key has a pair'));
      return judge(compare, Buffer.compare(value, wanted));
    }
    case CompareTarget.CREATE:
      return judge(compare, order(state.createRevision, given(compare)));
    case CompareTarget.MOD:
      return judge(compare, order(state.modRevision, given(compare)));
    case CompareTarget.LEASE:
      return judge(compare, order(state.lease, lease(compare)));
    case CompareTarget.VERSION:
      return judge(compare, order(state.version, given(compare)));
    default:
      // etcd: an unknown target compares nothing with nothing.
      return judge(compare, 0);
  }
}

/** The number to compare with; 0 when the union's member that belongs to the target is unset. */
function given(compare: Compare): number {
  const union = compare.targetUnion;
  const wanted = ['version', 'createRevision', 'modRevision'][compare.target];
  if (union === null || union.case !== wanted) return 0;
  return Number(union.value);
}

function lease(compare: Compare): bigint {
  return compare.targetUnion?.case === 'lease' ? compare.targetUnion.value : 0n;
}

function order<T extends number | bigint>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function judge(compare: Compare, sign: number): boolean {
  switch (compare.result) {
    case CompareResult.EQUAL:
      return sign === 0;
    case CompareResult.NOT_EQUAL:
      return sign !== 0;
    case CompareResult.GREATER:
      return sign > 0;
    case CompareResult.LESS:
      return sign < 0;
    default:
      // etcd: an unknown result is taken as true.
      return true;
  }
}

function checkOps(path: Path, state: TxnState): EtcdError | null {
  for (const op of path.ops) {
    const refused = checkOp(op, path, state);
    if (refused !== null) return refused;
  }
  return null;
}

function checkOp(op: RequestOp, path: Path, state: TxnState): EtcdError | null {
  switch (op.request?.case) {
    case 'requestRange':
      return checkRange(op.request.value, state.store);
    case 'requestPut':
      return checkPut(op.request.value, state);
    case 'requestTxn': {
      const nested = path.nested.get(op.request.value);
      return nested === undefined ? null : checkOps(nested, state);
    }
    default:
      return null;
  }
}

// etcd: unlike a plain Range, only exactly 0 means "current" here, so a negative revision is
// compacted as soon as anything has been.
function checkRange(request: RangeRequest, store: KvStore): EtcdError | null {
  if (request.revision === 0) return null;
  if (request.revision > store.revision) return errors.futureRev;
  return request.revision < store.compactRevision ? errors.compacted : null;
}

function checkPut(request: PutRequest, { store, lessor }: TxnState): EtcdError | null {
  if (request.lease !== NO_LEASE && !lessor.has(request.lease)) return errors.leaseNotFound;
  if (request.ignoreValue || request.ignoreLease) {
    if (store.get(request.key) === null) return errors.keyNotFound;
  }
  return null;
}

function runOps(path: Path, write: WriteTxn, lessor: Lessor): ResponseOp[] {
  return path.ops.map((op): ResponseOp => {
    switch (op.request?.case) {
      case 'requestRange':
        return { response: { case: 'responseRange', value: range(op.request.value, write) } };
      case 'requestPut': {
        const prevKv = put(op.request.value, write, lessor);
        const value = { header: nestedHeader(write.revision), prevKv };
        return { response: { case: 'responsePut', value } };
      }
      case 'requestDeleteRange': {
        const { deleted, prevKvs } = deleteRange(op.request.value, write, lessor);
        const value = { header: nestedHeader(write.revision), deleted, prevKvs };
        return { response: { case: 'responseDeleteRange', value } };
      }
      case 'requestTxn': {
        const nested = path.nested.get(op.request.value);
        if (nested === undefined) return { response: null };
        const value = {
          // etcd: the header of a nested transaction is present and empty.
          header: nestedHeader(0),
          succeeded: nested.succeeded,
          responses: runOps(nested, write, lessor),
        };
        return { response: { case: 'responseTxn', value } };
      }
      default:
        return { response: null };
    }
  });
}

function readOp(op: RequestOp, store: KvStore): ResponseOp {
  if (op.request?.case !== 'requestRange') return { response: null };
  return { response: { case: 'responseRange', value: range(op.request.value, store) } };
}

function range(request: RangeRequest, view: Pick<WriteTxn, 'range' | 'revision'>) {
  const found = view.range(request);
  if (found instanceof EtcdError) throw found;
  return {
    header: nestedHeader(found.revision),
    kvs: found.kvs,
    more: found.more,
    count: found.count,
  };
}

function put(request: PutRequest, write: WriteTxn, lessor: Lessor): EncodedKeyValue | null {
  let { value, lease: leaseId } = request;
  if (request.ignoreValue || request.ignoreLease) {
    const current = write.range(readOptions(request.key));
    assert(!(current instanceof EtcdError), 'the present can be read');
    const [kv] = current.kvs;
    // The key existed when it was checked, but a deletion without end in the same transaction may
    // have taken it: then there is nothing to keep. (etcd 3.7.1 panics here.)
    if (kv !== undefined && request.ignoreValue) value = valueBytesOf(kv);
    if (kv !== undefined && request.ignoreLease) leaseId = leaseOf(kv);
  }
  const { prev, prevLease } = write.put(request.key, value, leaseId, request.prevKv);
  if (prevLease !== leaseId) {
    if (prevLease !== NO_LEASE) lessor.detach(request.key);
    if (leaseId !== NO_LEASE) lessor.attach(leaseId, request.key);
  }
  return prev;
}

function deleteRange(request: DeleteRangeRequest, write: WriteTxn, lessor: Lessor) {
  const removed = write.deleteRange(request.key, request.rangeEnd, request.prevKv);
  const prevKvs: EncodedKeyValue[] = [];
  for (const { key, prev, prevLease } of removed) {
    if (prevLease !== NO_LEASE) lessor.detach(key);
    if (prev !== null) prevKvs.push(prev);
  }
  return { deleted: removed.length, prevKvs };
}

/** etcd: headers inside a transaction carry only the revision. */
function nestedHeader(revision: Revision): ResponseHeader {
  return { clusterId: 0n as ClusterId, memberId: 0n as MemberId, revision, raftTerm: 0 };
}
