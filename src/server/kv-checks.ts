/**
 * What is wrong with a KV request before anything is looked up, in the order in which etcd looks
 * (`v3rpc/key.go`). Each function throws an `EtcdError` or returns nothing.
 */

import {
  type DeleteRangeRequest,
  type PutRequest,
  type RangeRequest,
  type RequestOp,
  SortOrder,
  SortTarget,
  type TxnRequest,
} from '../codec/gen/etcdserverpb.ts';
import { errors } from '../errors.ts';
import { type Key, NO_LEASE } from '../types.ts';

const SORT_ORDERS: ReadonlySet<number> = new Set(Object.values(SortOrder));
const SORT_TARGETS: ReadonlySet<number> = new Set(Object.values(SortTarget));

export function checkRange(request: RangeRequest): void {
  if (request.key === '') throw errors.emptyKey;
  if (!SORT_ORDERS.has(request.sortOrder)) throw errors.invalidSortOption;
  if (!SORT_TARGETS.has(request.sortTarget)) throw errors.invalidSortOption;
}

export function checkRangeStream(request: RangeRequest): void {
  checkRange(request);
  const { sortOrder, sortTarget } = request;
  const byKey = sortTarget === SortTarget.KEY && sortOrder === SortOrder.ASCEND;
  if (sortOrder !== SortOrder.NONE && !byKey) throw errors.rangeStreamSort;
  if (
    request.minModRevision !== 0 ||
    request.maxModRevision !== 0 ||
    request.minCreateRevision !== 0 ||
    request.maxCreateRevision !== 0
  ) {
    throw errors.rangeStreamFilter;
  }
}

export function checkPut(request: PutRequest): void {
  if (request.key === '') throw errors.emptyKey;
  if (request.ignoreValue && request.value.length > 0) throw errors.valueProvided;
  if (request.ignoreLease && request.lease !== NO_LEASE) throw errors.leaseProvided;
}

export function checkDeleteRange(request: DeleteRangeRequest): void {
  if (request.key === '') throw errors.emptyKey;
}

export function checkTxn(request: TxnRequest, opsMax: number): void {
  checkTxnOps(request, opsMax);
  checkIntervals(request.success);
  checkIntervals(request.failure);
}

function checkTxnOps(request: TxnRequest, opsMax: number): void {
  const ops = Math.max(request.compare.length, request.success.length, request.failure.length);
  if (ops > opsMax) throw errors.tooManyOps;
  for (const compare of request.compare) if (compare.key === '') throw errors.emptyKey;
  for (const op of request.success) checkOp(op, opsMax - ops);
  for (const op of request.failure) checkOp(op, opsMax - ops);
}

function checkOp(op: RequestOp, opsMax: number): void {
  switch (op.request?.case) {
    case 'requestRange':
      return checkRange(op.request.value);
    case 'requestPut':
      return checkPut(op.request.value);
    case 'requestDeleteRange':
      return checkDeleteRange(op.request.value);
    case 'requestTxn':
      return checkTxnOps(op.request.value, opsMax);
    default:
      // etcd: an operation without a member is a key that was not found.
      throw errors.keyNotFound;
  }
}

interface Interval {
  readonly from: Key;
  /** Exclusive; `null` for the single key `from`. */
  readonly to: Key | null;
}

interface Touched {
  readonly puts: Set<Key>;
  readonly deletes: Interval[];
}

/**
 * Refuses a put of a key that the same branch also puts or deletes.
 *
 * etcd: deletions may overlap each other; puts of a nested transaction's two branches may coincide;
 * an earlier sibling's put and a later sibling's deletion are not compared; and a deletion "from
 * key on" is an inverted interval that never conflicts.
 */
function checkIntervals(ops: readonly RequestOp[]): Touched {
  const deletes: Interval[] = [];
  for (const op of ops) {
    if (op.request?.case === 'requestDeleteRange') deletes.push(intervalOf(op.request.value));
  }
  const puts = new Set<Key>();
  for (const op of ops) {
    if (op.request?.case !== 'requestTxn') continue;
    const branches = [op.request.value.success, op.request.value.failure].map(checkIntervals);
    const nested = new Set<Key>();
    for (const branch of branches) for (const key of branch.puts) nested.add(key);
    for (const key of nested) {
      if (puts.has(key) || covered(key, deletes)) throw errors.duplicateKey;
    }
    for (const key of nested) puts.add(key);
    for (const branch of branches) deletes.push(...branch.deletes);
  }
  for (const op of ops) {
    if (op.request?.case !== 'requestPut') continue;
    const { key } = op.request.value;
    if (puts.has(key) || covered(key, deletes)) throw errors.duplicateKey;
    puts.add(key);
  }
  return { puts, deletes };
}

function intervalOf({ key, rangeEnd }: DeleteRangeRequest): Interval {
  return { from: key, to: rangeEnd === '' ? null : rangeEnd };
}

function covered(key: Key, intervals: readonly Interval[]): boolean {
  return intervals.some(({ from, to }) => (to === null ? key === from : from <= key && key < to));
}
