/** The lock and the election service, which share a recipe. */

import { beforeEach, describe, expect, it } from 'vitest';
import { putRequest } from '../../test/support/lone-replica.ts';
import { FakeCaller, type Services, startServices } from '../../test/support/services.ts';
import {
  decodeCampaignResponse,
  decodeLeaderResponse,
  decodeProclaimResponse,
  decodeResignResponse,
  encodeCampaignRequest,
  encodeLeaderRequest,
  encodeProclaimRequest,
  encodeResignRequest,
  type LeaderKey,
} from '../codec/gen/v3electionpb.ts';
import {
  decodeLockResponse,
  decodeUnlockResponse,
  encodeLockRequest,
  encodeUnlockRequest,
  type LockResponse,
} from '../codec/gen/v3lockpb.ts';
import { keyOf, valueBytesOf } from '../codec/key-value.ts';
import { Code } from '../errors.ts';
import { limits } from '../limits.ts';
import { FROM_KEY } from '../mvcc/key-range.ts';
import { EMPTY_KEY, type Key, keyFromText, type LeaseId, NO_LEASE } from '../types.ts';

const k = keyFromText;
const id = (value: number): LeaseId => BigInt(value) as LeaseId;

let services: Services;

beforeEach(async () => {
  services = await startServices();
  for (const lease of [1, 2, 3, 0x1a]) {
    await services.run(services.lease.grant({ id: id(lease), ttl: 3600 }));
  }
});

/** A call under way, and what has become of it. */
interface Call<T> {
  readonly caller: FakeCaller;
  value: T | null;
  error: unknown;
}

async function begin<T>(start: (caller: FakeCaller) => Promise<T>): Promise<Call<T>> {
  const caller = new FakeCaller();
  const call: Call<T> = { caller, value: null, error: null };
  start(caller).then(
    (value) => {
      call.value = value;
    },
    (error: unknown) => {
      call.error = error;
    },
  );
  await services.clock.settle();
  return call;
}

const lock = (lease: number, name = 'n'): Promise<Call<LockResponse>> =>
  begin((caller) =>
    services.call(
      'Lock',
      { encode: encodeLockRequest, decode: decodeLockResponse },
      { name: k(name), lease: id(lease) },
      caller,
    ),
  );

const unlock = (key: Key) =>
  begin(() =>
    services.call('Unlock', { encode: encodeUnlockRequest, decode: decodeUnlockResponse }, { key }),
  );

const campaign = (lease: number, value: string, name = 'e') =>
  begin((caller) =>
    services.call(
      'Campaign',
      { encode: encodeCampaignRequest, decode: decodeCampaignResponse },
      { name: k(name), lease: id(lease), value: Buffer.from(value) },
      caller,
    ),
  );

const resign = (leader: LeaderKey | null) =>
  begin(() =>
    services.call(
      'Resign',
      { encode: encodeResignRequest, decode: decodeResignResponse },
      { leader },
    ),
  );

const proclaim = (leader: LeaderKey | null, value: string) =>
  begin(() =>
    services.call(
      'Proclaim',
      { encode: encodeProclaimRequest, decode: decodeProclaimResponse },
      { leader, value: Buffer.from(value) },
    ),
  );

const leader = (name = 'e') =>
  begin(() =>
    services.call(
      'Leader',
      { encode: encodeLeaderRequest, decode: decodeLeaderResponse },
      { name: k(name) },
    ),
  );

const revoke = async (lease: number): Promise<void> => {
  await services.run(services.lease.revoke({ id: id(lease) }));
  await services.clock.settle();
};

function keys(): string[] {
  const found: string[] = [];
  services.store.forEachLive(k('\x00'), FROM_KEY, ({ key }) => found.push(key) > 0);
  return found;
}

const unknown = (message: string) => ({ code: Code.UNKNOWN, message });

describe('a lock', () => {
  it('is held under a key that names the lease, and again by the same lease', async () => {
    const held = await lock(0x1a);
    expect(held.value).toMatchObject({ key: 'n/1a', header: { revision: 2 } });
    const again = await lock(0x1a);
    expect(again.value).toMatchObject({ key: 'n/1a' });
    expect(keys()).toEqual(['n/1a']);
  });

  it('goes from one to the next in the order of asking', async () => {
    const [one, two, three] = [await lock(1), await lock(2), await lock(3)];
    expect([one.value?.key, two.value, three.value]).toEqual(['n/1', null, null]);
    await unlock(k('n/1'));
    expect([two.value?.key, three.value]).toEqual(['n/2', null]);
    await unlock(k('n/2'));
    expect(three.value).toMatchObject({ key: 'n/3', header: { revision: 6 } });
    expect(services.hub.watcherCount).toBe(0);
    expect(three.caller.listenerCount).toBe(0);
  });

  it('is not confused by names that begin alike', async () => {
    const [one, two] = [await lock(1, 'n'), await lock(2, 'n2')];
    expect([one.value?.key, two.value?.key]).toEqual(['n/1', 'n2/2']);
  });

  it('passes on when a lease ends, also that of somebody in the middle', async () => {
    const [, two, three] = [await lock(1), await lock(2), await lock(3)];
    await revoke(2);
    expect(two.value).toBeNull();
    expect(three.value).toBeNull();
    await revoke(1);
    expect(two.error).toMatchObject(unknown('mutex: session is expired'));
    expect(three.value).toMatchObject({ key: 'n/3' });
  });

  it('is not waited for any more by who goes away', async () => {
    const [, two, three] = [await lock(1), await lock(2), await lock(3)];
    two.caller.cancel();
    await services.clock.settle();
    expect(two.error).toMatchObject({ code: Code.CANCELED });
    expect(keys()).toEqual(['n/1', 'n/3']);
    await unlock(k('n/1'));
    expect(three.value).toMatchObject({ key: 'n/3' });
  });

  it('leaves no key of who went away during the first step', async () => {
    await lock(1);
    const caller = new FakeCaller();
    const gone = services.call(
      'Lock',
      { encode: encodeLockRequest, decode: decodeLockResponse },
      { name: k('n'), lease: id(2) },
      caller,
    );
    const failed = gone.catch((error: unknown) => error);
    caller.cancel();
    await services.clock.settle();
    expect(await failed).toMatchObject({ code: Code.CANCELED });
    expect(keys()).toEqual(['n/1']);
    expect(services.hub.watcherCount).toBe(0);
  });

  it('comes with a lease of its own when none is given', async () => {
    const { value } = await lock(0);
    const [, lease] = /^n\/([0-9a-f]+)$/.exec(value?.key ?? '') ?? [];
    const told = await services.run(
      services.lease.timeToLive({ id: BigInt(`0x${lease}`) as LeaseId, keys: true }),
    );
    expect(told).toMatchObject({ grantedTtl: 60, keys: [value?.key] });
  });

  it('refreshes the given lease once, and no more while it waits', async () => {
    await services.run(services.lease.grant({ id: id(9), ttl: 10 }));
    await services.clock.advance(8000);
    await lock(1);
    const waiting = await lock(9);
    await services.clock.advance(8000);
    expect(keys()).toEqual(['n/1', 'n/9']);
    await services.clock.advance(4000);
    expect(keys()).toEqual(['n/1']);
    await unlock(k('n/1'));
    expect(waiting.error).toMatchObject(unknown('mutex: session is expired'));
  });

  it('fails with texts under the code Unknown', async () => {
    expect((await lock(77)).error).toMatchObject(unknown('etcdserver: requested lease not found'));
    expect((await unlock(EMPTY_KEY)).error).toMatchObject(
      unknown('etcdserver: key is not provided'),
    );
    expect((await unlock(k('n/77'))).value).toMatchObject({ header: { revision: 1 } });
  });
});

describe('an election', () => {
  it('is won in the order of campaigning', async () => {
    const one = await campaign(1, 'one');
    const two = await campaign(2, 'two');
    expect(one.value).toMatchObject({
      header: { revision: 2 },
      leader: { name: 'e', key: 'e/1', rev: 2, lease: 1n },
    });
    expect(two.value).toBeNull();
    const led = await leader();
    expect(led.value?.kv && Buffer.from(valueBytesOf(led.value.kv)).toString()).toBe('one');
    await resign(one.value?.leader ?? null);
    // etcd: the header is that of the first step.
    expect(two.value).toMatchObject({ header: { revision: 3 }, leader: { key: 'e/2', rev: 3 } });
  });

  it('takes another value of a candidate that is there already', async () => {
    await campaign(1, 'one');
    const again = await campaign(1, 'more');
    expect(again.value).toMatchObject({ leader: { key: 'e/1', rev: 2 } });
    expect(Buffer.from(services.store.latest(k('e/1')) ?? []).toString()).toContain('more');
    expect(services.store.revision).toBe(3);
    await campaign(1, 'more');
    expect(services.store.revision).toBe(3);
  });

  it('proclaims while it leads, and resigns without a complaint', async () => {
    const { value } = await campaign(1, 'one');
    const key = value?.leader ?? null;
    expect((await proclaim(key, 'two')).value).toMatchObject({ header: { revision: 3 } });
    await revoke(1);
    expect((await proclaim(key, 'three')).error).toMatchObject(unknown('election: not leader'));
    expect((await resign(key)).value).toMatchObject({ header: { revision: 4 } });
    const missing = unknown('"leader" field must be provided');
    expect((await proclaim(null, 'x')).error).toMatchObject(missing);
    expect((await resign(null)).error).toMatchObject(missing);
  });

  it('without candidates has no leader', async () => {
    expect((await leader()).error).toMatchObject(unknown('election: no leader'));
  });

  it('forgets a candidate who goes away', async () => {
    const one = await campaign(1, 'one');
    const two = await campaign(2, 'two');
    two.caller.cancel();
    await services.clock.settle();
    expect(two.error).toMatchObject({ code: Code.CANCELED });
    expect(keys()).toEqual(['e/1']);
    expect(one.value).not.toBeNull();
  });
});

describe('observing', () => {
  function observe() {
    const stream = services.open('Observe', encodeLeaderRequest, decodeLeaderResponse);
    stream.input.message({ name: k('e') });
    stream.input.halfClose();
    return stream;
  }

  function seen(stream: ReturnType<typeof observe>): string[] {
    return stream.output.take().map(({ header, kv }) => {
      if (kv === null) return 'nothing';
      return `${keyOf(kv)}=${Buffer.from(valueBytesOf(kv)).toString()}@${header?.revision}`;
    });
  }

  it('follows values and leaders, from none on', async () => {
    const stream = observe();
    await services.clock.settle();
    expect(seen(stream)).toEqual([]);
    const one = await campaign(1, 'one');
    const two = await campaign(2, 'two');
    expect(seen(stream)).toEqual(['e/1=one@2']);
    await proclaim(one.value?.leader ?? null, 'uno');
    expect(seen(stream)).toEqual(['e/1=uno@4']);
    await resign(one.value?.leader ?? null);
    expect(seen(stream)).toEqual(['e/2=two@5']);
    await resign(two.value?.leader ?? null);
    await campaign(3, 'three');
    expect(seen(stream)).toEqual(['e/3=three@7']);
    expect(services.hub.watcherCount).toBe(1);
  });

  it('sees a leader that comes and goes within one revision', async () => {
    await campaign(1, 'one');
    const stream = observe();
    await services.clock.settle();
    const success = [
      { request: { case: 'requestPut', value: putRequest('e/1', 'uno') } },
      {
        request: {
          case: 'requestDeleteRange',
          value: { key: k('e/'), rangeEnd: FROM_KEY, prevKv: false },
        },
      },
    ] as const;
    await services.run(services.kv.txn({ compare: [], success, failure: [] }));
    await campaign(2, 'two');
    expect(seen(stream)).toEqual(['e/1=one@2', 'e/1=uno@3', 'e/2=two@4']);
  });

  it('holds back for a slow client and misses nothing', async () => {
    const { value } = await campaign(1, 'one');
    const stream = observe();
    await services.clock.settle();
    stream.output.bufferedBytes = limits.watchBytesBufferedMax + 1;
    for (const text of ['a', 'b', 'c']) await proclaim(value?.leader ?? null, text);
    expect(seen(stream)).toEqual(['e/1=one@2']);
    stream.output.drain();
    await services.clock.settle();
    expect(seen(stream)).toEqual(['e/1=a@3', 'e/1=b@4', 'e/1=c@5']);
  });

  it('leaves nothing when the caller goes away', async () => {
    const [idle, following] = [observe(), observe()];
    await services.clock.settle();
    await campaign(1, 'one');
    expect(services.hub.watcherCount).toBe(2);
    for (const { caller } of [idle, following]) caller.cancel();
    await services.clock.settle();
    expect(services.hub.watcherCount).toBe(0);
    expect(idle.output.ended).toMatchObject({ code: Code.CANCELED });
    expect(services.member.fatal).toEqual([]);
  });

  it('ends when the history it needs is gone', async () => {
    const { value } = await campaign(1, 'one');
    const stream = observe();
    await services.clock.settle();
    stream.output.bufferedBytes = limits.watchBytesBufferedMax + 1;
    for (const text of ['a', 'b', 'c']) await proclaim(value?.leader ?? null, text);
    await services.run(services.kv.compact({ revision: 5, physical: false }));
    stream.output.drain();
    await services.clock.settle();
    expect(stream.output.ended).toMatchObject(
      unknown('etcdserver: mvcc: required revision has been compacted'),
    );
  });
});

describe('without a lease given', () => {
  it('campaigns with one of its own', async () => {
    const { value } = await campaign(Number(NO_LEASE), 'one');
    expect(value?.leader?.lease).not.toBe(0n);
    expect(value?.leader?.key).toBe(`e/${value?.leader?.lease.toString(16)}`);
  });
});
