import { describe, expect, it } from 'vitest';
import { putRequest } from '../../test/support/lone-replica.ts';
import {
  CompareResult,
  CompareTarget,
  type RangeRequest,
  type RequestOp,
  SortOrder,
  SortTarget,
  type TxnRequest,
} from '../codec/gen/etcdserverpb.ts';
import { type EtcdError, errors } from '../errors.ts';
import { FROM_KEY } from '../mvcc/key-range.ts';
import { readOptions } from '../mvcc/range.ts';
import { EMPTY_KEY, type Key, keyFromText, type LeaseId } from '../types.ts';
import { checkDeleteRange, checkPut, checkRange, checkRangeStream, checkTxn } from './kv-checks.ts';

const k = keyFromText;
const LEASE = 1n as LeaseId;

const rangeOf = (more: Partial<RangeRequest> = {}): RangeRequest => ({
  ...readOptions(k('a')),
  serializable: false,
  ...more,
});

const put = (key: string, more = {}): RequestOp => ({
  request: { case: 'requestPut', value: putRequest(key, '', undefined, more) },
});
const del = (key: string, rangeEnd: Key = EMPTY_KEY): RequestOp => ({
  request: { case: 'requestDeleteRange', value: { key: k(key), rangeEnd, prevKv: false } },
});
const get = (more: Partial<RangeRequest> = {}): RequestOp => ({
  request: { case: 'requestRange', value: rangeOf(more) },
});
const txn = (more: Partial<TxnRequest>): TxnRequest => ({
  compare: [],
  success: [],
  failure: [],
  ...more,
});
const nested = (success: RequestOp[], failure: RequestOp[] = []): RequestOp => ({
  request: { case: 'requestTxn', value: txn({ success, failure }) },
});
const compare = (key: string) => ({
  result: CompareResult.EQUAL,
  target: CompareTarget.VERSION,
  key: k(key),
  rangeEnd: EMPTY_KEY,
  targetUnion: null,
});

function refusal(check: () => void): EtcdError | null {
  try {
    check();
    return null;
  } catch (error) {
    return error as EtcdError;
  }
}

describe('a range', () => {
  it.each([
    ['no key comes first', { key: EMPTY_KEY, sortOrder: 9 }, errors.emptyKey],
    ['order', { sortOrder: 3 }, errors.invalidSortOption],
    ['target', { sortTarget: 5 }, errors.invalidSortOption],
    ['all is well', { sortOrder: SortOrder.DESCEND, sortTarget: SortTarget.VALUE }, null],
  ] as const)('%s', (_name, more, expected) => {
    expect(refusal(() => checkRange(rangeOf(more)))).toBe(expected);
  });

  it.each([
    ['bad options first', { sortOrder: 7, minModRevision: 1 }, errors.invalidSortOption],
    [
      'order before filters',
      { sortOrder: SortOrder.DESCEND, minModRevision: 1 },
      errors.rangeStreamSort,
    ],
    [
      'ascending by another target',
      { sortOrder: SortOrder.ASCEND, sortTarget: SortTarget.MOD },
      errors.rangeStreamSort,
    ],
    ['min mod', { minModRevision: 1 }, errors.rangeStreamFilter],
    ['max mod', { maxModRevision: 1 }, errors.rangeStreamFilter],
    ['min create', { minCreateRevision: 1 }, errors.rangeStreamFilter],
    ['max create', { maxCreateRevision: -1 }, errors.rangeStreamFilter],
    ['ascending by key', { sortOrder: SortOrder.ASCEND }, null],
    ['no order with a target slips through', { sortTarget: SortTarget.VALUE }, null],
  ] as const)('as a stream: %s', (_name, more, expected) => {
    expect(refusal(() => checkRangeStream(rangeOf(more)))).toBe(expected);
  });
});

describe('a put and a deletion', () => {
  it("are checked in etcd's order", () => {
    const all = { ignoreValue: true, ignoreLease: true, lease: LEASE };
    const value = Buffer.from('v');
    expect(refusal(() => checkPut(putRequest('', 'v', LEASE, all)))).toBe(errors.emptyKey);
    expect(refusal(() => checkPut({ ...putRequest('a', ''), ...all, value }))).toBe(
      errors.valueProvided,
    );
    expect(refusal(() => checkPut(putRequest('a', '', LEASE, all)))).toBe(errors.leaseProvided);
    expect(
      refusal(() => checkPut(putRequest('a', '', undefined, { ignoreLease: true }))),
    ).toBeNull();
    const nothing = { key: EMPTY_KEY, rangeEnd: FROM_KEY, prevKv: false };
    expect(refusal(() => checkDeleteRange(nothing))).toBe(errors.emptyKey);
  });
});

describe('a transaction', () => {
  const many = (n: number): RequestOp[] => Array.from({ length: n }, (_, i) => put(`k${i}`));
  const empty: RequestOp = { request: null };

  it.each<[string, Partial<TxnRequest>, EtcdError | null]>([
    ['128 operations', { success: many(128) }, null],
    ['129 operations', { success: many(129) }, errors.tooManyOps],
    [
      '129 comparisons',
      { compare: Array.from({ length: 129 }, () => compare('a')) },
      errors.tooManyOps,
    ],
    [
      '128 comparisons and something nested',
      { compare: Array.from({ length: 128 }, () => compare('a')), success: [nested([put('a')])] },
      errors.tooManyOps,
    ],
    [
      '128 comparisons and nothing nested',
      { compare: Array.from({ length: 128 }, () => compare('a')), success: [nested([])] },
      null,
    ],
    ['what is left for nested ones', { success: [nested(many(127))] }, null],
    ['more than what is left', { success: [nested(many(128))] }, errors.tooManyOps],
    ['an operation that is none', { success: [empty] }, errors.keyNotFound],
    ['a nested operation that is none', { failure: [nested([], [empty])] }, errors.keyNotFound],
    ['a comparison without key', { compare: [compare('')], success: [empty] }, errors.emptyKey],
    ['success before failure', { success: [put('')], failure: [empty] }, errors.emptyKey],
    ['a bad range', { success: [get({ sortOrder: 7 })] }, errors.invalidSortOption],
    ['a bad deletion', { failure: [del('')] }, errors.emptyKey],
    ['operations before duplicates', { success: [put('a'), put('a'), put('')] }, errors.emptyKey],
  ])('with %s', (_name, request, expected) => {
    expect(refusal(() => checkTxn(txn(request), 128))).toBe(expected);
  });

  it.each<[string, RequestOp[], boolean]>([
    ['put a, put a', [put('a'), put('a')], true],
    ['put a, put b', [put('a'), put('b')], false],
    ['delete a, delete a', [del('a'), del('a')], false],
    ['put b, delete [a, c)', [put('b'), del('a', k('c'))], true],
    ['delete [a, c), put b', [del('a', k('c')), put('b')], true],
    ['delete [a, c), put c', [del('a', k('c')), put('c')], false],
    ['put b, delete from a on', [put('b'), del('a', FROM_KEY)], false],
    ['delete a, put a', [del('a'), put('a')], true],
    ['both branches of a child', [nested([put('a')], [put('a')])], false],
    ['a child and its parent', [nested([put('a')]), put('a')], true],
    ['a parent and its child', [put('a'), nested([], [put('a')])], true],
    ['two children', [nested([put('a')]), nested([put('a')])], true],
    ['a child and the deletion beside it', [nested([put('a')]), del('a')], true],
    ['a put and the deletion in a child', [put('a'), nested([del('a')])], true],
    ['an earlier child deletes', [nested([], [del('a')]), nested([put('a')])], true],
    ['a later child deletes', [nested([put('a')]), nested([del('a')])], false],
    ['deep down', [nested([nested([put('a')])]), put('a')], true],
    ['within a child', [nested([put('a'), del('a')])], true],
  ])('with %s', (_name, ops, refused) => {
    const expected = refused ? errors.duplicateKey : null;
    expect(refusal(() => checkTxn(txn({ success: ops }), 128))).toBe(expected);
    expect(refusal(() => checkTxn(txn({ failure: ops }), 128))).toBe(expected);
  });

  it('may have the same keys in its two branches', () => {
    const request = txn({ success: [put('a')], failure: [put('a'), del('b')] });
    expect(refusal(() => checkTxn(request, 128))).toBeNull();
  });
});
