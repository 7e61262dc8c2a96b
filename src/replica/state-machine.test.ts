import { beforeEach, describe, expect, it } from 'vitest';
import { LoneReplica, putRequest } from '../../test/support/lone-replica.ts';
import { must } from '../assert.ts';
import {
  AlarmAction,
  AlarmType,
  type Compare,
  CompareResult,
  CompareTarget,
  type DeleteRangeRequest,
  type PutRequest,
  type RangeRequest,
  type RequestOp,
  type ResponseOp,
} from '../codec/gen/etcdserverpb.ts';
import { decodeKeyValue, type EncodedKeyValue } from '../codec/key-value.ts';
import { errors } from '../errors.ts';
import type { Event } from '../mvcc/event.ts';
import { FROM_KEY } from '../mvcc/key-range.ts';
import { readOptions } from '../mvcc/range.ts';
import { EMPTY_KEY, type Key, keyFromText, type LeaseId, type MemberId } from '../types.ts';
import type { TxnOutcome } from './outcome.ts';

const k = keyFromText;
const LEASE = 0x1an as LeaseId;
const OTHER_LEASE = 0x1bn as LeaseId;
const NO_MEMBER = 0n as MemberId;

let lone: LoneReplica;

beforeEach(async () => {
  lone = await LoneReplica.start();
});

const store = () => lone.replica.stateMachine.store;
const put = (key: string, value = 'v', lease?: LeaseId, more: Partial<PutRequest> = {}) =>
  lone.whileRunning(lone.replica.propose('put', putRequest(key, value, lease, more)));
const remove = (key: string, more: Partial<DeleteRangeRequest> = {}) =>
  lone.whileRunning(
    lone.replica.propose('deleteRange', {
      key: k(key),
      rangeEnd: EMPTY_KEY,
      prevKv: false,
      ...more,
    }),
  );
const grant = (id: LeaseId, ttl = 60) =>
  lone.whileRunning(lone.replica.propose('leaseGrant', { id, ttl }));
const revoke = (id: LeaseId) => lone.whileRunning(lone.replica.propose('leaseRevoke', { id }));
const alarm = (action: number, type: number, memberId = NO_MEMBER) =>
  lone.whileRunning(lone.replica.propose('alarm', { action, memberId, alarm: type }));

const putOp = (key: string, value = 'v', lease?: LeaseId, more = {}): RequestOp => ({
  request: { case: 'requestPut', value: putRequest(key, value, lease, more) },
});
const delOp = (key: string, rangeEnd: Key = EMPTY_KEY, prevKv = false): RequestOp => ({
  request: { case: 'requestDeleteRange', value: { key: k(key), rangeEnd, prevKv } },
});
const getOp = (key: string, more: Partial<RangeRequest> = {}): RequestOp => ({
  request: {
    case: 'requestRange',
    value: { ...readOptions(k(key)), serializable: false, ...more },
  },
});
const txnOp = (success: RequestOp[], failure: RequestOp[] = [], compare: Compare[] = []) =>
  ({ request: { case: 'requestTxn', value: { compare, success, failure } } }) as const;

function txn(
  success: RequestOp[],
  { compare = [], failure = [] }: { compare?: Compare[]; failure?: RequestOp[] } = {},
): Promise<TxnOutcome> {
  return lone.whileRunning(lone.replica.propose('txn', { compare, success, failure }));
}

const compareOf = (
  key: string,
  target: number,
  targetUnion: Compare['targetUnion'],
  more: Partial<Compare> = {},
): Compare => ({
  key: k(key),
  rangeEnd: EMPTY_KEY,
  target,
  result: CompareResult.EQUAL,
  targetUnion,
  ...more,
});

function pair(kv: EncodedKeyValue | null | undefined): string {
  const { key, value, createRevision, modRevision, version, lease } = decodeKeyValue(
    must(kv, 'a pair'),
  );
  const text = Buffer.from(value).toString();
  const attached = lease === 0n ? '' : ` ${lease}`;
  return `${key}=${text} ${createRevision}/${modRevision}/${version}${attached}`;
}

const current = (key: string): string | null => {
  const kv = store().latest(k(key));
  return kv === null ? null : pair(kv);
};

/** What an operation answered: its header's revision, and what it found. */
function told({ response }: ResponseOp): unknown {
  switch (response?.case) {
    case 'responseRange':
      return ['range', response.value.header?.revision, ...response.value.kvs.map(pair)];
    case 'responsePut':
      return ['put', response.value.header?.revision];
    case 'responseDeleteRange':
      return ['delete', response.value.header?.revision, response.value.deleted];
    case 'responseTxn':
      return ['txn', response.value.header?.revision, response.value.responses.map(told)];
    default:
      return null;
  }
}

describe('puts and deletions', () => {
  it('count revisions and versions as etcd does', async () => {
    await put('a', '1');
    expect(current('a')).toBe('a=1 2/2/1');
    await put('a', '1');
    expect(current('a')).toBe('a=1 2/3/2');
    expect(await remove('b')).toMatchObject({ deleted: 0, revision: 3 });
    expect(await remove('a')).toMatchObject({ deleted: 1, revision: 4 });
    await put('a', '2');
    expect(current('a')).toBe('a=2 5/5/1');
  });

  it('return the pairs before when asked', async () => {
    expect(await put('a', '1', undefined, { prevKv: true })).toMatchObject({ prevKv: null });
    const { prevKv } = await put('a', '2', undefined, { prevKv: true });
    expect(pair(prevKv)).toBe('a=1 2/2/1');
    await put('b', '3');
    const { prevKvs } = await remove('a', { rangeEnd: FROM_KEY, prevKv: true });
    expect(prevKvs.map(pair)).toEqual(['a=2 2/3/2', 'b=3 4/4/1']);
  });

  it('keep value or lease of what is there', async () => {
    const missing = put('a', '', undefined, { ignoreValue: true });
    await expect(missing).rejects.toBe(errors.keyNotFound);
    await expect(put('a', 'v', undefined, { ignoreLease: true })).rejects.toBe(errors.keyNotFound);
    expect(store().revision).toBe(1);
    await grant(LEASE);
    await grant(OTHER_LEASE);
    await put('a', '1', LEASE);
    await put('a', '2', undefined, { ignoreLease: true });
    expect(current('a')).toBe('a=2 2/3/2 26');
    await put('a', '', OTHER_LEASE, { ignoreValue: true });
    expect(current('a')).toBe('a=2 2/4/3 27');
    const { lessor } = lone.replica.stateMachine;
    expect(lessor.leaseOf(k('a'))).toBe(OTHER_LEASE);
    await put('a', '', undefined, { ignoreValue: true });
    expect(lessor.leaseOf(k('a'))).toBe(0n);
  });

  it('need an existing lease, which is looked for before the key', async () => {
    const both = put('a', '', LEASE, { ignoreValue: true });
    await expect(both).rejects.toBe(errors.leaseNotFound);
  });
});

describe('leases', () => {
  it('move with their keys, and take them along in one revision', async () => {
    await grant(LEASE);
    await grant(OTHER_LEASE);
    for (const key of ['b', 'a', 'c', 'd']) await put(key, 'v', LEASE);
    await put('c', 'v', OTHER_LEASE);
    await put('d');
    const { revision } = store();
    const seen: Event[] = [];
    lone.replica.stateMachine.hub.watch(k('a'), FROM_KEY, 0, {
      deliver: (_watcher, events) => seen.push(...events) > 0,
      compacted() {},
    });
    await revoke(LEASE);
    expect(store().revision).toBe(revision + 1);
    expect(seen.map(({ type, key }) => `${type} ${key}`)).toEqual(['delete a', 'delete b']);
    expect([current('a'), current('b')]).toEqual([null, null]);
    expect(current('c')).toContain(' 27');
    await expect(revoke(LEASE)).rejects.toBe(errors.leaseNotFound);
  });

  it('without keys cost no revision', async () => {
    await grant(LEASE);
    await revoke(LEASE);
    expect(store().revision).toBe(1);
  });

  it('are refused when they exist or live too long', async () => {
    expect(await grant(LEASE, 1)).toEqual({ id: LEASE, ttlSeconds: 2 });
    await expect(grant(LEASE)).rejects.toBe(errors.leaseExist);
    await expect(grant(OTHER_LEASE, 9_000_000_001)).rejects.toBe(errors.leaseTtlTooLarge);
  });

  it('lose keys that are deleted', async () => {
    await grant(LEASE);
    await put('a', 'v', LEASE);
    await remove('a');
    await put('a');
    await revoke(LEASE);
    expect(current('a')).not.toBeNull();
  });
});

describe('transactions', () => {
  it('make all their changes in one revision', async () => {
    const { revision } = await txn([putOp('a'), putOp('b')]);
    expect(revision).toBe(2);
    expect([current('a'), current('b')]).toEqual(['a=v 2/2/1', 'b=v 2/2/1']);
  });

  it('that change nothing cost no revision', async () => {
    expect(await txn([delOp('a'), delOp('a')])).toMatchObject({ revision: 1 });
    expect(await txn([txnOp([getOp('a')])])).toMatchObject({ revision: 1 });
  });

  it('delete a key once', async () => {
    await put('a');
    const { responses } = await txn([delOp('a'), delOp('a')]);
    expect(responses.map(told)).toEqual([
      ['delete', 3, 1],
      ['delete', 3, 0],
    ]);
  });

  it('tell the revision as it was at each operation', async () => {
    const later = await txn([putOp('a', '1'), getOp('a')]);
    expect(later.responses.map(told)).toEqual([
      ['put', 2],
      ['range', 2, 'a=1 2/2/1'],
    ]);
    const earlier = await txn([getOp('a'), delOp('x'), putOp('a', '2'), getOp('a')]);
    expect(earlier.revision).toBe(3);
    expect(earlier.responses.map(told)).toEqual([
      ['range', 2, 'a=1 2/2/1'],
      ['delete', 2, 0],
      ['put', 3],
      ['range', 3, 'a=2 2/3/2'],
    ]);
  });

  it('may nest, with an empty header inside', async () => {
    const { responses } = await txn([
      txnOp([putOp('a', '1'), txnOp([getOp('a')])], [putOp('a', '2')]),
      getOp('a'),
    ]);
    expect(responses.map(told)).toEqual([
      [
        'txn',
        0,
        [
          ['put', 2],
          ['txn', 0, [['range', 2, 'a=1 2/2/1']]],
        ],
      ],
      ['range', 2, 'a=1 2/2/1'],
    ]);
  });

  it('compare with the state before, also inside', async () => {
    const isNew = compareOf('a', CompareTarget.VERSION, { case: 'version', value: 0 });
    const { responses } = await txn([
      putOp('a', '1'),
      txnOp([putOp('b', 'new')], [putOp('b', 'old')], [isNew]),
    ]);
    expect(responses).toHaveLength(2);
    expect(current('b')).toContain('new');
  });

  it('delete from a key on, after a put in the same revision', async () => {
    await txn([putOp('b'), delOp('a', FROM_KEY)]);
    expect(current('b')).toBeNull();
    expect(store().revision).toBe(2);
  });

  it('keep nothing of a key that they have deleted before', async () => {
    await grant(LEASE);
    await put('b', 'old', LEASE);
    await txn([delOp('a', FROM_KEY), putOp('b', '', undefined, { ignoreValue: true })]);
    expect(current('b')).toBe('b= 3/3/1');
    await put('b', 'old', LEASE);
    await txn([delOp('a', FROM_KEY), putOp('b', 'new', undefined, { ignoreLease: true })]);
    expect(current('b')).toBe('b=new 5/5/1');
    expect(lone.replica.stateMachine.lessor.get(LEASE)?.keys.size).toBe(0);
  });

  it.each<[string, RequestOp[], unknown]>([
    ['an unknown lease', [putOp('b', 'v', LEASE)], errors.leaseNotFound],
    [
      'a missing key to keep',
      [putOp('b', '', undefined, { ignoreValue: true })],
      errors.keyNotFound,
    ],
    ['a future revision', [getOp('a', { revision: 4 })], errors.futureRev],
    ['its own revision', [putOp('b'), getOp('a', { revision: 4 })], errors.futureRev],
    ['a compacted revision', [getOp('a', { revision: 2 })], errors.compacted],
    ['a negative revision', [getOp('a', { revision: -1 })], errors.compacted],
    ['a nested refusal', [txnOp([txnOp([putOp('b', 'v', LEASE)])])], errors.leaseNotFound],
  ])('write nothing when there is %s', async (_name, ops, expected) => {
    await put('a', '1');
    await put('a', '2');
    await lone.whileRunning(lone.replica.propose('compaction', { revision: 3, physical: false }));
    await expect(txn([putOp('x'), ...ops])).rejects.toBe(expected);
    expect(store().revision).toBe(3);
    expect(current('x')).toBeNull();
    // The branch that is not taken is not looked at.
    const isNew = compareOf('a', CompareTarget.VERSION, { case: 'version', value: 0 });
    expect(await txn(ops, { compare: [isNew] })).toMatchObject({ succeeded: false });
  });

  it('may read a negative revision as long as nothing was compacted', async () => {
    await put('a', '1');
    expect(await txn([putOp('b'), getOp('a', { revision: -1 })])).toMatchObject({ revision: 3 });
    await expect(txn([putOp('b'), getOp('a', { revision: -2 })])).rejects.toBe(errors.compacted);
  });

  it('attach and detach leases', async () => {
    await grant(LEASE);
    await txn([putOp('a', 'v', LEASE), putOp('b', 'v', LEASE)]);
    await txn([putOp('a')]);
    await revoke(LEASE);
    expect([current('a'), current('b')]).toEqual(['a=v 2/3/2', null]);
  });
});

describe('comparisons', () => {
  beforeEach(async () => {
    await grant(LEASE);
    await put('a', '1');
    await put('a', 'm', LEASE);
    await put('b', '2');
  });

  const text = (value: string) => ({ case: 'value', value: Buffer.from(value) }) as const;
  const { EQUAL, GREATER, LESS, NOT_EQUAL } = CompareResult;
  const { VERSION, CREATE, MOD, VALUE, LEASE: LEASE_TARGET } = CompareTarget;
  const version = (value: number) => ({ case: 'version', value }) as const;
  const created = (value: number) => ({ case: 'createRevision', value }) as const;
  const modified = (value: number) => ({ case: 'modRevision', value }) as const;

  it.each<[string, Compare, boolean]>([
    ['version', compareOf('a', VERSION, version(2)), true],
    ['create', compareOf('a', CREATE, created(2)), true],
    ['mod', compareOf('a', MOD, modified(3)), true],
    ['mod, less', compareOf('a', MOD, modified(4), { result: LESS }), true],
    ['mod, greater', compareOf('a', MOD, modified(3), { result: GREATER }), false],
    ['lease', compareOf('a', LEASE_TARGET, { case: 'lease', value: LEASE }), true],
    ['value', compareOf('a', VALUE, text('m')), true],
    ['value, greater', compareOf('a', VALUE, text('l'), { result: GREATER }), true],
    ['value, greater by length', compareOf('a', VALUE, text(''), { result: GREATER }), true],
    ['value, not equal', compareOf('a', VALUE, text('m'), { result: NOT_EQUAL }), false],
    ['a missing key has version 0', compareOf('x', VERSION, version(0)), true],
    [
      'a missing key has no lease',
      compareOf('x', LEASE_TARGET, { case: 'lease', value: 0n as LeaseId }),
      true,
    ],
    ['a missing key has no value', compareOf('x', VALUE, text(''), { result: EQUAL }), false],
    ['nor another one', compareOf('x', VALUE, text('m'), { result: NOT_EQUAL }), false],
    ['another member of the union counts as 0', compareOf('a', VERSION, modified(2)), false],
    ['and so does none', compareOf('x', MOD, null), true],
    ['no value is an empty one', compareOf('a', VALUE, null, { result: GREATER }), true],
    ['an unknown result is true', compareOf('a', VERSION, version(77), { result: 9 }), true],
    ['an unknown target is equal', compareOf('a', 9, version(77)), true],
    [
      'every key of a range',
      compareOf('a', MOD, modified(1), { rangeEnd: FROM_KEY, result: GREATER }),
      true,
    ],
    ['not every key of a range', compareOf('a', VERSION, version(2), { rangeEnd: k('c') }), false],
    ['a range that ends before', compareOf('a', VERSION, version(2), { rangeEnd: k('b') }), true],
    [
      'an empty range',
      compareOf('x', CREATE, created(0), { rangeEnd: k('z'), result: GREATER }),
      false,
    ],
    ['an empty range has create 0', compareOf('x', CREATE, created(0), { rangeEnd: k('z') }), true],
    ['an inverted range', compareOf('z', VALUE, text('m'), { rangeEnd: k('a') }), false],
  ])('%s', async (_name, compare, expected) => {
    const outcome = await txn([putOp('yes')], { compare: [compare], failure: [putOp('no')] });
    expect(outcome.succeeded).toBe(expected);
    expect(current(expected ? 'yes' : 'no')).not.toBeNull();
    expect(current(expected ? 'no' : 'yes')).toBeNull();
  });

  it('must all hold', async () => {
    const compare = [compareOf('a', VERSION, version(2)), compareOf('b', VERSION, version(2))];
    expect(await txn([], { compare })).toMatchObject({ succeeded: false });
    expect(await txn([])).toMatchObject({ succeeded: true });
  });
});

describe('alarms', () => {
  it('for space refuse what needs space, and nothing else', async () => {
    await grant(LEASE);
    await put('a', 'v', LEASE);
    await alarm(AlarmAction.ACTIVATE, AlarmType.NOSPACE);
    await expect(put('a')).rejects.toBe(errors.noSpace);
    await expect(put('a', 'v', OTHER_LEASE)).rejects.toBe(errors.noSpace);
    await expect(grant(OTHER_LEASE)).rejects.toBe(errors.noSpace);
    await expect(txn([getOp('a')], { failure: [putOp('a')] })).rejects.toBe(errors.noSpace);
    await expect(txn([txnOp([], [putOp('a')])])).rejects.toBe(errors.noSpace);
    expect(await txn([getOp('a'), delOp('x')])).toMatchObject({ succeeded: true });
    expect(await remove('a')).toMatchObject({ deleted: 1 });
    await revoke(LEASE);
  });

  it('for corruption refuse every change, before anything else', async () => {
    await alarm(AlarmAction.ACTIVATE, AlarmType.NOSPACE);
    await alarm(AlarmAction.ACTIVATE, AlarmType.CORRUPT, 5n as MemberId);
    await expect(put('a')).rejects.toBe(errors.corrupt);
    await expect(remove('a')).rejects.toBe(errors.corrupt);
    await expect(txn([delOp('a')])).rejects.toBe(errors.corrupt);
    await expect(grant(LEASE)).rejects.toBe(errors.corrupt);
    await expect(revoke(LEASE)).rejects.toBe(errors.corrupt);
    const compaction = lone.replica.propose('compaction', { revision: 1, physical: false });
    await expect(lone.whileRunning(compaction)).rejects.toBe(errors.corrupt);
    await alarm(AlarmAction.DEACTIVATE, AlarmType.CORRUPT, 5n as MemberId);
    await expect(put('a')).rejects.toBe(errors.noSpace);
  });

  it('are listed, activated once and deactivated exactly', async () => {
    const entry = { memberId: 5n as MemberId, alarm: AlarmType.NOSPACE };
    expect(await alarm(AlarmAction.ACTIVATE, AlarmType.NONE)).toEqual({ alarms: [] });
    for (let i = 0; i < 2; i++) {
      expect(await alarm(AlarmAction.ACTIVATE, AlarmType.NOSPACE, entry.memberId)).toEqual({
        alarms: [entry],
      });
    }
    expect(await alarm(AlarmAction.GET, AlarmType.NONE)).toEqual({ alarms: [entry] });
    expect(await alarm(AlarmAction.GET, AlarmType.CORRUPT, entry.memberId)).toEqual({ alarms: [] });
    expect(await alarm(AlarmAction.DEACTIVATE, AlarmType.NOSPACE)).toEqual({ alarms: [] });
    await lone.restart();
    expect(await alarm(AlarmAction.GET, AlarmType.NOSPACE)).toEqual({ alarms: [entry] });
    expect(await alarm(AlarmAction.DEACTIVATE, AlarmType.NOSPACE, entry.memberId)).toEqual({
      alarms: [entry],
    });
    expect(await alarm(AlarmAction.GET, AlarmType.NONE)).toEqual({ alarms: [] });
  });
});

describe('a restart', () => {
  it('finds what was applied, flushed or not', async () => {
    await grant(LEASE);
    await put('a', '1', LEASE);
    await lone.clock.advance(200);
    await put('b', '2', LEASE);
    lone.crash(() => false);
    await lone.open();
    expect([current('a'), current('b')]).toEqual(['a=1 2/2/1 26', 'b=2 3/3/1 26']);
    await revoke(LEASE);
    expect([current('a'), current('b')]).toEqual([null, null]);
    expect(store().revision).toBe(4);
  });
});
