import { beforeEach, describe, expect, it } from 'vitest';
import { putRequest } from '../../test/support/lone-replica.ts';
import { MemoryRows } from '../../test/support/memory-rows.ts';
import type { RangeRequest, RequestOp, TxnRequest } from '../codec/gen/etcdserverpb.ts';
import { leaseOf, valueBytesOf } from '../codec/key-value.ts';
import { errors } from '../errors.ts';
import { Lessor } from '../lease/lessor.ts';
import { FROM_KEY } from '../mvcc/key-range.ts';
import { readOptions } from '../mvcc/range.ts';
import { KvStore } from '../mvcc/store.ts';
import { WatchHub } from '../mvcc/watch-hub.ts';
import { keyFromText, type LeaseId, NO_LEASE } from '../types.ts';
import { applyTxn, type TxnState } from './txn.ts';

const k = keyFromText;
const LEASE = 7n as LeaseId;
const UNKNOWN_LEASE = 8n as LeaseId;
let state: TxnState;

beforeEach(async () => {
  const rows = new MemoryRows();
  const store = await KvStore.open(rows);
  const lessor = new Lessor({ rows, minTtlSeconds: 1, tickMs: 100, retryTicks: 70 });
  const onError = (error: unknown) => {
    throw error;
  };
  const hub = new WatchHub(store, { breathe: () => Promise.resolve(), onError });
  const counts = { puts: 0, deletes: 0, txns: 0, ranges: 0, putBytes: 0 };
  state = { store, lessor, hub, counts };
});

function put(key: string, value: string, options: { ignoreValue?: true; ignoreLease?: true } = {}) {
  const request = { ...putRequest(key, value, NO_LEASE), ...options };
  return { request: { case: 'requestPut', value: request } } satisfies RequestOp;
}

function leasedPut(key: string, lease: LeaseId): RequestOp {
  return { request: { case: 'requestPut', value: putRequest(key, 'v', lease) } };
}

function range(key: string, revision: number): RequestOp {
  const value: RangeRequest = { ...readOptions(k(key)), revision, serializable: false };
  return { request: { case: 'requestRange', value } };
}

function deleteFrom(key: string): RequestOp {
  const value = { key: k(key), rangeEnd: FROM_KEY, prevKv: false };
  return { request: { case: 'requestDeleteRange', value } };
}

function apply(...success: RequestOp[]) {
  const request: TxnRequest = { compare: [], success, failure: [] };
  return applyTxn(request, state, { readOnly: false });
}

function stored(key: string): string | null {
  const found = state.store.latest(k(key));
  return found === null ? null : `${Buffer.from(valueBytesOf(found))} lease ${leaseOf(found)}`;
}

describe('a put that keeps what the same transaction has deleted', () => {
  // etcd 3.7.1 panics: an open-ended delete does not count as overlapping the put.
  it('has no value to keep', () => {
    apply(put('a', 'old'));
    const outcome = apply(deleteFrom('a'), put('a', '', { ignoreValue: true }));
    expect(outcome).toMatchObject({ revision: 3, succeeded: true });
    expect(stored('a')).toBe(' lease 0');
  });

  it('has no lease to keep', () => {
    expect(state.lessor.grant(LEASE, 100)).toEqual({ ttlSeconds: 100 });
    apply(leasedPut('a', LEASE));
    expect(apply(deleteFrom('a'), put('a', 'new', { ignoreLease: true }))).toMatchObject({
      revision: 3,
    });
    expect(stored('a')).toBe('new lease 0');
  });

  it('is refused when the key was missing before', () => {
    expect(apply(deleteFrom('a'), put('a', '', { ignoreValue: true }))).toBe(errors.keyNotFound);
  });
});

describe('a transaction with operations that must fail', () => {
  const failing = {
    lease: [leasedPut('x', UNKNOWN_LEASE), errors.leaseNotFound],
    key: [put('nope', '', { ignoreValue: true }), errors.keyNotFound],
    future: [range('a', 99), errors.futureRev],
    compacted: [range('a', 1), errors.compacted],
  } as const;

  it('fails with the first of them, in their order', () => {
    for (const value of ['1', '2', '3']) apply(put('a', value));
    expect(state.store.compact(3)).toBeNull();
    for (const [first, error] of Object.values(failing)) {
      for (const [second] of Object.values(failing)) {
        expect(apply(put('b', 'fine'), first, second)).toBe(error);
      }
    }
  });

  it('writes nothing and uses no revision', () => {
    apply(put('a', '1'));
    expect(apply(put('b', '1'), deleteFrom('a'), failing.future[0])).toBe(errors.futureRev);
    expect(state.store.revision).toBe(2);
    expect([stored('a'), stored('b')]).toEqual(['1 lease 0', null]);
  });

  it('fails in nested transactions too, but only on the path that is taken', () => {
    const nest = (success: RequestOp[], failure: RequestOp[]): RequestOp => {
      return { request: { case: 'requestTxn', value: { compare: [], success, failure } } };
    };
    const [future] = failing.future;
    expect(apply(put('a', '1'), nest([future], []))).toBe(errors.futureRev);
    expect(apply(put('a', '1'), nest([], [future]))).toMatchObject({ revision: 2 });
  });
});
