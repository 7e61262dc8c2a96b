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
  type Key,
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
  /** Requests to delete, however many keys each took. */
  deletes: number;
  /** Accesses to the store with more than one operation. */
  txns: number;
  /** Reads, also those of compares and of previous values. */
  ranges: number;
  /** Of keys and values. */
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
  const before = operations(state.counts);
  const path = choosePath(request, state);
  const refused = checkOps(path, state);
  if (refused === null && options.readOnly) {
    const responses = path.ops.map((op) => readOp(op, state));
    countTxn(state.counts, before);
    return { revision: state.store.revision, succeeded: path.succeeded, responses };
  }
  // etcd: what is compared and checked before a write is an access of its own.
  countTxn(state.counts, before);
  if (refused !== null) return refused;
  const change = begin(state);
  const responses = runOps(path, change);
  return { revision: finish(change), succeeded: path.succeeded, responses };
}

export function applyPut(request: PutRequest, state: TxnState): PutOutcome | EtcdError {
  const before = operations(state.counts);
  const refused = checkPut(request, state);
  if (refused !== null) return refused;
  const change = { ...begin(state), before };
  const prevKv = put(request, change);
  return { revision: finish(change), prevKv };
}

export function applyDeleteRange(request: DeleteRangeRequest, state: TxnState): DeleteRangeOutcome {
  const change = begin(state);
  const deleted = deleteRange(request, change);
  return { revision: finish(change), ...deleted };
}

/** Deletes the keys that go with a lease. */
export function deleteKeys(keys: readonly Key[], state: TxnState): void {
  const change = begin(state);
  for (const key of keys) {
    state.counts.deletes++;
    change.write.deleteRange(key, EMPTY_KEY);
  }
  finish(change);
}

/** A change of the store under way. */
interface Change {
  readonly write: WriteTxn;
  readonly state: TxnState;
  /** Operations counted before it. */
  readonly before: number;
}

function begin(state: TxnState): Change {
  return { write: state.store.write(), state, before: operations(state.counts) };
}

/** Ends a write and tells watchers, with nothing in between. Returns the store revision. */
function finish({ write, state, before }: Change): Revision {
  const { revision, events } = write.end();
  countTxn(state.counts, before);
  if (events.length > 0) state.hub.publish(revision, events);
  return revision;
}

function operations({ ranges, puts, deletes }: MvccCounts): number {
  return ranges + puts + deletes;
}

function countTxn(counts: MvccCounts, before: number): void {
  if (operations(counts) - before > 1) counts.txns++;
}

function choosePath(request: TxnRequest, state: TxnState): Path {
  const succeeded = request.compare.every((compare) => {
    state.counts.ranges++;
    return holds(compare, state.store);
  });
  const ops = succeeded ? request.success : request.failure;
  const nested = new Map<TxnRequest, Path>();
  for (const op of ops) {
    if (op.request?.case === 'requestTxn') {
      nested.set(op.request.value, choosePath(op.request.value, state));
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

/** etcd: reads the pair before once when it checks, and within a transaction again when it puts. */
function checkPut(request: PutRequest, { store, lessor, counts }: TxnState): EtcdError | null {
  if (request.lease !== NO_LEASE && !lessor.has(request.lease)) return errors.leaseNotFound;
  if (readsBefore(request)) counts.ranges++;
  if (request.ignoreValue || request.ignoreLease) {
    if (store.get(request.key) === null) return errors.keyNotFound;
  }
  return null;
}

function readsBefore({ prevKv, ignoreValue, ignoreLease }: PutRequest): boolean {
  return prevKv || ignoreValue || ignoreLease;
}

function runOps(path: Path, change: Change): ResponseOp[] {
  const { write, state } = change;
  return path.ops.map((op): ResponseOp => {
    switch (op.request?.case) {
      case 'requestRange':
        return {
          response: { case: 'responseRange', value: range(op.request.value, write, state) },
        };
      case 'requestPut': {
        if (readsBefore(op.request.value)) state.counts.ranges++;
        const prevKv = put(op.request.value, change);
        const value = { header: nestedHeader(write.revision), prevKv };
        return { response: { case: 'responsePut', value } };
      }
      case 'requestDeleteRange': {
        const { deleted, prevKvs } = deleteRange(op.request.value, change);
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
          responses: runOps(nested, change),
        };
        return { response: { case: 'responseTxn', value } };
      }
      default:
        return { response: null };
    }
  });
}

function readOp(op: RequestOp, state: TxnState): ResponseOp {
  if (op.request?.case !== 'requestRange') return { response: null };
  const value = range(op.request.value, state.store, state);
  return { response: { case: 'responseRange', value } };
}

function range(request: RangeRequest, view: Pick<WriteTxn, 'range'>, { counts }: TxnState) {
  counts.ranges++;
  const found = view.range(request);
  if (found instanceof EtcdError) throw found;
  return {
    header: nestedHeader(found.revision),
    kvs: found.kvs,
    more: found.more,
    count: found.count,
  };
}

function put(request: PutRequest, { write, state }: Change): EncodedKeyValue | null {
  const { lessor, counts } = state;
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
  counts.puts++;
  counts.putBytes += request.key.length + value.length;
  const { prev, prevLease } = write.put(request.key, value, leaseId, request.prevKv);
  if (prevLease !== leaseId) {
    if (prevLease !== NO_LEASE) lessor.detach(request.key);
    if (leaseId !== NO_LEASE) lessor.attach(leaseId, request.key);
  }
  return prev;
}

function deleteRange(request: DeleteRangeRequest, { write, state }: Change) {
  const { lessor, counts } = state;
  if (request.prevKv) counts.ranges++;
  counts.deletes++;
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
