import { beforeEach, describe, expect, it } from 'vitest';
import { putRequest } from '../../test/support/lone-replica.ts';
import {
  FakeCaller,
  type OpenStream,
  type ServiceOptions,
  type Services,
  startServices,
} from '../../test/support/services.ts';
import {
  AlarmAction,
  AlarmType,
  decodeRangeResponse,
  decodeRangeStreamResponse,
  encodeRangeRequest,
  type RangeRequest,
  type RangeResponse,
  type RangeStreamResponse,
  type RequestOp,
  SortOrder,
  SortTarget,
} from '../codec/gen/etcdserverpb.ts';
import { keyOf } from '../codec/key-value.ts';
import { errors } from '../errors.ts';
import { limits } from '../limits.ts';
import { FROM_KEY } from '../mvcc/key-range.ts';
import { readOptions } from '../mvcc/range.ts';
import { EMPTY_KEY, keyFromText, type LeaseId } from '../types.ts';

const k = keyFromText;
let services: Services;

beforeEach(() => begin());

async function begin(options: ServiceOptions = {}): Promise<void> {
  services = await startServices(options);
}

function rangeOf(key: string, more: Partial<RangeRequest> = {}): RangeRequest {
  return { ...readOptions(k(key)), serializable: false, ...more };
}

const all = { rangeEnd: FROM_KEY };

function range(key: string, more: Partial<RangeRequest> = {}): Promise<RangeResponse> {
  return services.run(services.kv.range(rangeOf(key, more)));
}

async function fill(count: number, value = 'v'): Promise<void> {
  const puts = Array.from({ length: count }, (_, i) =>
    services.kv.put(putRequest(`k${String(i).padStart(6, '0')}`, value)),
  );
  await services.run(Promise.all(puts));
}

function compact(revision: number, physical = false) {
  return services.kv.compact({ revision, physical });
}

const put = (key: string): RequestOp => ({
  request: { case: 'requestPut', value: putRequest(key) },
});

describe('ranges', () => {
  it('see what was written, under the revision of the store', async () => {
    await fill(3);
    const { header, kvs, count, more } = await range('k', { ...all, limit: 2 });
    expect(header?.revision).toBe(4);
    expect([kvs.length, count, more]).toEqual([2, 3, true]);
    expect((await range('k000001', { revision: 2 })).kvs).toEqual([]);
    expect((await range('k', { ...all, revision: 2 })).header?.revision).toBe(4);
  });

  it('are refused before anything is looked up', () => {
    expect(() => services.kv.range(rangeOf(''))).toThrow(errors.emptyKey);
    expect(() => services.kv.range(rangeOf('a', { sortOrder: 9 }))).toThrow(
      errors.invalidSortOption,
    );
  });

  it('are refused beyond the ends of history', async () => {
    await fill(5);
    await expect(range('a', { revision: 7 })).rejects.toBe(errors.futureRev);
    await services.run(compact(4));
    await expect(range('a', { revision: 3 })).rejects.toBe(errors.compacted);
    expect((await range('k', { ...all, revision: 4 })).count).toBe(3);
    expect((await range('k', { ...all, revision: -5 })).count).toBe(5);
  });

  it('are answered locally when serializable, and at once when short', () => {
    const answer = services.kv.range(rangeOf('a', { ...all, serializable: true }));
    expect(answer).not.toBeInstanceOf(Promise);
  });

  it('that are long give way, and show one moment all the same', async () => {
    const keys = 3 * limits.keysPerSliceMax;
    await fill(keys);
    services.yields.count = 0;
    services.yields.between = () => {
      services.kv.put(putRequest(`k${services.yields.count}`)).catch(() => {});
    };
    const { kvs, count, header } = await range('k', all);
    expect(services.yields.count).toBeGreaterThanOrEqual(2);
    expect([kvs.length, count, header?.revision]).toEqual([keys, keys, keys + 1]);
    services.yields.count = 0;
    const sorted = await range('k', {
      ...all,
      limit: 1,
      sortOrder: SortOrder.DESCEND,
      sortTarget: SortTarget.MOD,
    });
    expect(services.yields.count).toBeGreaterThanOrEqual(2);
    expect(sorted.kvs).toHaveLength(1);
  });

  it('that are long end when compaction overtakes them', async () => {
    await fill(3 * limits.keysPerSliceMax);
    const { revision } = services.store;
    services.yields.between = () => {
      services.yields.between = () => {};
      services.store.compact(revision);
    };
    await expect(range('k', { ...all, revision: revision - 1 })).rejects.toBe(errors.compacted);
  });

  it('that are long end with their caller', async () => {
    await fill(3 * limits.keysPerSliceMax);
    const caller = new FakeCaller();
    services.yields.between = () => caller.cancel();
    const call = services.call(
      'Range',
      { encode: encodeRangeRequest, decode: decodeRangeResponse },
      rangeOf('k', all),
      caller,
    );
    await expect(services.run(call)).rejects.toBe(errors.contextCanceled);
    expect(services.yields.count).toBe(1);
  });
});

describe('range streams', () => {
  let stream: OpenStream<RangeRequest, RangeStreamResponse>;

  async function read(key: string, more: Partial<RangeRequest> = {}): Promise<RangeResponse[]> {
    stream = services.open('RangeStream', encodeRangeRequest, decodeRangeStreamResponse);
    stream.input.message(rangeOf(key, more));
    stream.input.halfClose();
    while (stream.output.ended === undefined) await services.clock.settle();
    return stream.output.take().flatMap(({ rangeResponse }) => rangeResponse ?? []);
  }

  it('come in chunks that double while they are small', async () => {
    await fill(100);
    const chunks = await read('k', all);
    expect(chunks.map(({ kvs }) => kvs.length)).toEqual([10, 20, 40, 30]);
    expect(chunks.map(({ header, count, more }) => [header?.revision, count, more])).toEqual([
      [undefined, 0, false],
      [undefined, 0, false],
      [undefined, 0, false],
      [101, 100, false],
    ]);
    const keys = chunks.flatMap(({ kvs }) => kvs.map(keyOf));
    expect(keys).toEqual([...keys].sort());
    expect(new Set(keys).size).toBe(100);
    expect(stream.output.ended).toBeNull();
  });

  it('have smaller chunks when they are large, but never none', async () => {
    await begin({ requestBytesMax: 1000 });
    await fill(40, 'x'.repeat(300));
    const chunks = await read('k', all);
    expect(chunks.map(({ kvs }) => kvs.length)).toEqual([10, 5, 5, 5, 5, 5, 5]);
  });

  it('tell how many there are beyond the limit', async () => {
    await fill(25);
    const chunks = await read('k', { ...all, limit: 12 });
    expect(chunks.map(({ kvs }) => kvs.length)).toEqual([10, 2]);
    expect(chunks.at(-1)).toMatchObject({ more: true, count: 25 });
    expect((await read('k', { ...all, limit: 25 })).at(-1)).toMatchObject({
      more: false,
      count: 25,
    });
    expect((await read('k', { ...all, limit: 10 })).at(-1)).toMatchObject({
      more: true,
      count: 25,
    });
  });

  it.each([
    ['nothing', 'zzz', {}, [0], 0],
    ['a count', 'k', { ...all, countOnly: true, limit: 3 }, [0], 25],
    ['a negative limit', 'k', { ...all, limit: -1 }, [25], 25],
    ['one key', 'k000003', {}, [1], 1],
    ['a target without an order', 'k', { ...all, sortTarget: SortTarget.MOD }, [10, 15], 25],
  ] as const)('of %s', async (_name, key, more, sizes, count) => {
    await fill(25);
    const chunks = await read(key, more);
    expect(chunks.map(({ kvs }) => kvs.length)).toEqual(sizes);
    expect(chunks.at(-1)).toMatchObject({ header: { revision: 26 }, count, more: false });
  });

  it.each([0, -3, 40])('of revision %d show one moment while writes go on', async (revision) => {
    await fill(50);
    services.yields.between = () => {
      services.kv.put(putRequest(`k0000${services.yields.count}x`)).catch(() => {});
      services.kv
        .deleteRange({ key: k('k000045'), rangeEnd: EMPTY_KEY, prevKv: false })
        .catch(() => {});
    };
    const chunks = await read('k', { ...all, revision });
    const keys = chunks.flatMap(({ kvs }) => kvs.map(keyOf));
    expect(keys).toHaveLength(revision === 40 ? 39 : 50);
    expect(chunks.at(-1)).toMatchObject({ header: { revision: 51 }, count: keys.length });
  });

  it('skip what is long gone without an empty chunk', async () => {
    await fill(3 * limits.keysPerSliceMax);
    const last = `k${String(3 * limits.keysPerSliceMax - 1).padStart(6, '0')}`;
    const request = { key: k('k000005'), rangeEnd: k(last), prevKv: false };
    await services.run(services.kv.deleteRange(request));
    const chunks = await read('k', all);
    expect(chunks.map(({ kvs }) => kvs.length)).toEqual([6]);
  });

  it('end when compaction overtakes them', async () => {
    await fill(50);
    services.yields.between = () => {
      services.yields.between = () => {};
      services.store.compact(45);
    };
    await read('k', { ...all, revision: 40 });
    expect(stream.output.ended).toBe(errors.compacted);
  });

  it('wait for a slow client', async () => {
    await fill(50);
    stream = services.open('RangeStream', encodeRangeRequest, decodeRangeStreamResponse);
    stream.output.bufferedBytes = limits.streamBufferedBytesMax + 1;
    stream.input.message(rangeOf('k', all));
    stream.input.halfClose();
    await services.clock.settle();
    expect(stream.output.take()).toHaveLength(1);
    stream.output.drain();
    await services.clock.settle();
    expect(stream.output.take()).toHaveLength(2);
    expect(stream.output.ended).toBeNull();
  });

  it('begin when the client has ended its side, and take one request', async () => {
    await fill(1);
    const open = () => services.open('RangeStream', encodeRangeRequest, decodeRangeStreamResponse);
    stream = open();
    stream.input.message(rangeOf('k', all));
    await services.clock.settle();
    expect(stream.output.take()).toEqual([]);
    const several = /^cardinality violation: received multiple request messages/;
    expect(() => stream.input.message(rangeOf('k', all))).toThrow(several);
    const none = /^cardinality violation: received no request message/;
    expect(() => open().input.halfClose()).toThrow(none);
  });

  it('end with a client that goes away while they wait', async () => {
    await fill(50);
    stream = services.open('RangeStream', encodeRangeRequest, decodeRangeStreamResponse);
    stream.output.bufferedBytes = limits.streamBufferedBytesMax + 1;
    stream.input.message(rangeOf('k', all));
    stream.input.halfClose();
    await services.clock.settle();
    stream.caller.cancel();
    await services.clock.settle();
    expect(stream.output.take()).toHaveLength(1);
    expect(services.member.fatal).toEqual([]);
  });

  it('are refused like ranges, and for what they cannot do', async () => {
    await read('');
    expect(stream.output.ended).toBe(errors.emptyKey);
    await read('a', { sortOrder: SortOrder.DESCEND });
    expect(stream.output.ended).toBe(errors.rangeStreamSort);
    await read('a', { revision: 99 });
    expect(stream.output.ended).toBe(errors.futureRev);
  });

  it('end the member when they meet a bug', async () => {
    const bug = new Error('bug');
    services.store.chunk = () => {
      throw bug;
    };
    stream = services.open('RangeStream', encodeRangeRequest, decodeRangeStreamResponse);
    stream.input.message(rangeOf('k', all));
    stream.input.halfClose();
    await services.clock.settle();
    expect(services.member.fatal).toEqual([bug]);
  });
});

describe('the quota', () => {
  beforeEach(() => begin({ quotaBytes: 100 }));

  it('comes before all other checks, and raises the alarm', async () => {
    await expect(services.run(services.kv.put(putRequest('')))).rejects.toBe(errors.noSpace);
    const { alarms } = services.replica.stateMachine;
    expect(alarms.list()).toEqual([
      { memberId: services.replica.memberId, alarm: AlarmType.NOSPACE },
    ]);
    const txn = services.kv.txn({ compare: [], success: [put('')], failure: [] });
    await expect(services.run(txn)).rejects.toBe(errors.noSpace);
    expect(services.store.revision).toBe(1);
  });

  it('does not stop what costs nothing', async () => {
    const remove = services.kv.deleteRange({ key: k('a'), rangeEnd: EMPTY_KEY, prevKv: false });
    expect(await services.run(remove)).toMatchObject({ deleted: 0, header: { revision: 1 } });
    const txn = services.kv.txn({
      compare: [],
      success: [{ request: { case: 'requestRange', value: rangeOf('a') } }],
      failure: [],
    });
    expect(await services.run(txn)).toMatchObject({ succeeded: true });
  });
});

describe('requests', () => {
  it('are checked before they are proposed', async () => {
    await expect(services.kv.put(putRequest(''))).rejects.toBe(errors.emptyKey);
    const remove = { key: EMPTY_KEY, rangeEnd: EMPTY_KEY, prevKv: false };
    await expect(services.kv.deleteRange(remove)).rejects.toBe(errors.emptyKey);
    const txn = services.kv.txn({ compare: [], success: [put('a'), put('a')], failure: [] });
    await expect(services.run(txn)).rejects.toBe(errors.duplicateKey);
  });

  it('are refused at apply while the cluster is corrupt, but not reads', async () => {
    const alarm = { action: AlarmAction.ACTIVATE, memberId: 0n as never, alarm: AlarmType.CORRUPT };
    await services.run(services.replica.propose('alarm', alarm));
    const unknown = putRequest('a', 'v', 9n as LeaseId);
    await expect(services.run(services.kv.put(unknown))).rejects.toBe(errors.corrupt);
    await expect(services.run(compact(99))).rejects.toBe(errors.corrupt);
    expect(await range('a')).toMatchObject({ count: 0 });
  });

  it('for a transaction of reads only need no log, and none at all when serializable', async () => {
    const { commit } = services.replica;
    const op = (serializable: boolean): RequestOp => ({
      request: { case: 'requestRange', value: rangeOf('a', { serializable }) },
    });
    for (const success of [[op(false)], [op(true)], []]) {
      const txn = services.kv.txn({ compare: [], success, failure: [] });
      expect(await services.run(txn)).toMatchObject({ succeeded: true, header: { revision: 1 } });
    }
    expect(services.replica.commit).toBe(commit);
    const nested = {
      request: { case: 'requestTxn', value: { compare: [], success: [], failure: [] } },
    } as const;
    await services.run(services.kv.txn({ compare: [], success: [nested], failure: [] }));
    expect(services.replica.commit).toBe(commit + 1);
  });
});

describe('compaction', () => {
  it('answers with the current revision, and refuses what is past or future', async () => {
    expect(await services.run(compact(0))).toMatchObject({ header: { revision: 1 } });
    await expect(services.run(compact(0))).rejects.toBe(errors.compacted);
    await fill(5);
    expect(await services.run(compact(4))).toMatchObject({ header: { revision: 6 } });
    await expect(services.run(compact(4))).rejects.toBe(errors.compacted);
    await expect(services.run(compact(7))).rejects.toBe(errors.futureRev);
  });

  it('that is physical is answered when the space is free', async () => {
    for (let i = 0; i < 50; i++) await services.run(services.kv.put(putRequest('a', `${i}`)));
    let isDone = false;
    const done = compact(50, true).then(() => {
      isDone = true;
    });
    await services.clock.settle();
    expect(services.store.compactRevision).toBe(50);
    expect(isDone).toBe(false);
    const again = compact(50, true).catch((error: unknown) => [isDone, error]);
    await services.clock.advance(1000);
    await done;
    expect(services.store.compactionPending).toBe(false);
    expect(await again).toEqual([true, errors.compacted]);
  });

  it('that is physical ends with the member', async () => {
    for (let i = 0; i < 50; i++) await services.run(services.kv.put(putRequest('a', `${i}`)));
    const waiting = compact(50, true).catch((error: unknown) => error);
    await services.clock.settle();
    await services.member.close();
    expect(await waiting).toBe(errors.stopped);
  });
});
