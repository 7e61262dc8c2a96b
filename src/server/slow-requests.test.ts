import { beforeEach, expect, it } from 'vitest';
import { recordedLog } from '../../test/support/fake-cluster.ts';
import { LoneReplica } from '../../test/support/lone-replica.ts';
import { errors } from '../errors.ts';
import { readOptions } from '../mvcc/range.ts';
import { keyFromText, type LeaseId } from '../types.ts';
import { SlowRequests } from './slow-requests.ts';

let lone: LoneReplica;
let lines: Record<string, unknown>[];
let slow: SlowRequests;
let counted: number;

beforeEach(async () => {
  const recorded = recordedLog();
  lines = recorded.lines;
  counted = 0;
  slow = new SlowRequests({ log: recorded.log, limitMs: 100, slow: () => counted++ });
  lone = await LoneReplica.start({
    observer: {
      entryApplied: (applied, seconds, entry) => slow.applied(applied, entry, seconds),
    },
  });
  lines.length = 0;
  counted = 0;
});

it('tells of a request that was slow to apply, by the clock, and counts it', async () => {
  await lone.whileRunning(lone.put('a', 'hello'));
  expect(lines).toEqual([]);
  lone.clock.msPerLook = 100;
  await lone.whileRunning(lone.put('a', 'hello'));
  expect(lines).toEqual([]);
  lone.clock.msPerLook = 101.5;
  await lone.whileRunning(lone.put('a', 'hello'));
  expect(counted).toBe(1);
  expect(lines).toEqual([
    {
      level: 'warn',
      msg: 'apply request took too long',
      took: '101.5ms',
      'expected-duration': '100ms',
      prefix: '',
      request: expect.stringMatching(/^header:<ID:\d+> put:<key:"a" value_size:5 >$/),
      response: 'size:4',
    },
  ]);
});

it('tells of a request that could not be applied, however quickly', async () => {
  const put = lone.whileRunning(lone.put('a', 'v', 5n as LeaseId));
  await expect(put).rejects.toBe(errors.leaseNotFound);
  const late = { revision: 1, physical: false };
  await lone.whileRunning(lone.put('a'));
  await lone.whileRunning(lone.replica.propose('compaction', late));
  // etcd: a compaction that is too late does no harm.
  const again = lone.whileRunning(lone.replica.propose('compaction', late));
  await expect(again).rejects.toBe(errors.compacted);
  expect(counted).toBe(0);
  expect(lines).toMatchObject([
    { msg: 'failed to apply request', response: '', error: 'lease not found' },
  ]);
});

it('tells of slow reads', async () => {
  await lone.whileRunning(lone.put('a', 'hello'));
  const request = { ...readOptions(keyFromText('a')), serializable: true };
  const found = lone.replica.stateMachine.store.range(request);
  slow.rangeRead(request, found, 100);
  expect(lines).toEqual([]);
  slow.rangeRead(request, found, 150);
  slow.rangeRead(request, errors.futureRev, 150);
  const range = { request: { case: 'requestRange', value: request } } as never;
  const txn = { compare: [], success: [range], failure: [] };
  slow.txnRead(txn, { revision: 2, succeeded: true, responses: [] }, 150);
  expect(counted).toBe(3);
  const told = lines.map(({ prefix, request: asked, response, error }) => {
    return [prefix, asked, response, error];
  });
  expect(told).toEqual([
    ['read-only range ', 'key:"a" serializable:true', 'range_response_count:1 size:24', undefined],
    [
      'read-only range ',
      'key:"a" serializable:true',
      '',
      'mvcc: required revision is a future revision',
    ],
    [
      'read-only txn ',
      'compare:<> success:<request_range:{key:"a" serializable:true}> failure:<>',
      'responses:<> size:6',
      undefined,
    ],
  ]);
});
