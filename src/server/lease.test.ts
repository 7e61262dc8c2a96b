import { beforeEach, describe, expect, it } from 'vitest';
import { putRequest } from '../../test/support/lone-replica.ts';
import {
  type OpenStream,
  REQUEST_TIMEOUT_MS,
  type Services,
  startServices,
} from '../../test/support/services.ts';
import {
  decodeLeaseKeepAliveResponse,
  encodeLeaseKeepAliveRequest,
  type LeaseKeepAliveRequest,
  type LeaseKeepAliveResponse,
} from '../codec/gen/etcdserverpb.ts';
import { errors } from '../errors.ts';
import { limits } from '../limits.ts';
import { EMPTY_KEY, keyFromText, type LeaseId, type MemberId, NO_LEASE } from '../types.ts';
import { addition } from './member-changes.ts';

const k = keyFromText;
const id = (value: bigint): LeaseId => value as LeaseId;

let services: Services;
let stream: OpenStream<LeaseKeepAliveRequest, LeaseKeepAliveResponse>;

beforeEach(async () => {
  services = await startServices();
  stream = openStream();
});

function openStream(): OpenStream<LeaseKeepAliveRequest, LeaseKeepAliveResponse> {
  return services.open('LeaseKeepAlive', encodeLeaseKeepAliveRequest, decodeLeaseKeepAliveResponse);
}

const grant = (lease: LeaseId, ttl = 10) => services.run(services.lease.grant({ id: lease, ttl }));
const put = (key: string, lease: LeaseId) =>
  services.run(services.kv.put(putRequest(key, 'v', lease)));
const ask = (lease: bigint): void => stream.input.message({ id: id(lease) });
const answers = () => stream.output.take().map((answer) => [answer.id, answer.ttl]);

describe('granting', () => {
  it('picks a positive id when none is asked for', async () => {
    const granted = await grant(NO_LEASE);
    expect(granted.id > 0n).toBe(true);
    expect(granted.id < 1n << 63n).toBe(true);
    expect((await grant(NO_LEASE)).id).not.toBe(granted.id);
    expect(granted).toMatchObject({ ttl: 10, error: '', header: { revision: 1 } });
  });

  it('takes any other id as given, raises short TTLs and refuses long ones', async () => {
    expect(await grant(id(-5n), -1)).toMatchObject({ id: -5n, ttl: 2 });
    await expect(grant(id(-5n))).rejects.toBe(errors.leaseExist);
    await expect(grant(id(6n), limits.leaseTtlSecondsMax + 1)).rejects.toBe(
      errors.leaseTtlTooLarge,
    );
  });
});

describe('the time to live', () => {
  it('counts down, and knows the keys when asked', async () => {
    await grant(id(7n));
    await put('b', id(7n));
    await put('a', id(7n));
    await services.clock.advance(2500);
    const told = await services.run(services.lease.timeToLive({ id: id(7n), keys: true }));
    expect(told).toMatchObject({ id: 7n, ttl: 7, grantedTtl: 10 });
    expect([...told.keys].sort()).toEqual(['a', 'b']);
    const short = await services.run(services.lease.timeToLive({ id: id(7n), keys: false }));
    expect(short.keys).toEqual([]);
  });

  it('of a missing lease is -1', async () => {
    const told = await services.run(services.lease.timeToLive({ id: id(9n), keys: true }));
    expect(told).toMatchObject({ id: 9n, ttl: -1, grantedTtl: 0, keys: [] });
  });
});

describe('the list', () => {
  it('begins with the lease that ends first', async () => {
    for (const [lease, ttl] of [
      [1n, 30],
      [2n, 10],
      [3n, 20],
    ] as const) {
      await grant(id(lease), ttl);
    }
    const { leases } = await services.lease.leases({});
    expect(leases).toEqual([{ id: 2n }, { id: 3n }, { id: 1n }]);
  });
});

describe('revoking', () => {
  it('deletes the keys and tells the revision after', async () => {
    await grant(id(7n));
    await put('a', id(7n));
    const revoked = await services.run(services.lease.revoke({ id: id(7n) }));
    expect(revoked.header?.revision).toBe(3);
    await expect(services.run(services.lease.revoke({ id: id(7n) }))).rejects.toBe(
      errors.leaseNotFound,
    );
  });
});

describe('keeping alive', () => {
  it('answers each request in order, with the whole TTL or 0', async () => {
    await grant(id(7n), 10);
    await grant(id(8n), 20);
    for (const lease of [8n, 9n, 7n, 8n]) ask(lease);
    await services.clock.settle();
    expect(answers()).toEqual([
      [8n, 20],
      [9n, 0],
      [7n, 10],
      [8n, 20],
    ]);
    expect(stream.output.ended).toBeUndefined();
  });

  it('keeps a lease', async () => {
    await grant(id(7n), 3);
    await put('a', id(7n));
    for (let i = 0; i < 5; i++) {
      await services.clock.advance(2000);
      ask(7n);
    }
    await services.clock.settle();
    expect(services.store.get(k('a'))).not.toBeNull();
    await services.clock.advance(4000);
    expect(services.store.get(k('a'))).toBeNull();
    ask(7n);
    await services.clock.settle();
    expect(answers().at(-1)).toEqual([7n, 0]);
  });

  it('of an expired lease waits for its revoke', async () => {
    await grant(id(7n), 3);
    const { lessor } = services.replica.stateMachine;
    const { revision } = services.store;
    lessor.expired = () => [];
    await services.clock.advance(4000);
    ask(7n);
    ask(8n);
    await services.clock.advance(1000);
    expect(answers()).toEqual([]);
    await services.run(services.lease.revoke({ id: id(7n) }));
    await services.clock.settle();
    const [first, second] = stream.output.take();
    expect(first).toMatchObject({ id: 7n, ttl: 0, header: { revision } });
    expect(second).toMatchObject({ id: 8n, ttl: 0 });
  });

  it('ends when the requests have ended and are answered', async () => {
    await grant(id(7n));
    stream.input.halfClose();
    expect(stream.output.ended).toBeNull();
    stream = openStream();
    ask(7n);
    stream.input.halfClose();
    expect(stream.output.ended).toBeUndefined();
    await services.clock.settle();
    expect(answers()).toEqual([[7n, 10]]);
    expect(stream.output.ended).toBeNull();
  });

  it('ends with the first error, and answers nothing after it', async () => {
    await grant(id(7n));
    services.replica.stateMachine.lessor.demote();
    ask(7n);
    ask(7n);
    // etcd: who leads and is not the primary is about to be, or to see another leader.
    await services.clock.advance(REQUEST_TIMEOUT_MS - 100);
    expect(stream.output.ended).toBeUndefined();
    await services.clock.advance(200);
    expect(stream.output.ended).toBe(errors.timeout);
    expect(answers()).toEqual([]);
    ask(7n);
    await services.clock.settle();
    expect(answers()).toEqual([]);
  });

  it('holds back for a slow client, and bounds what waits', async () => {
    stream.output.bufferedBytes = limits.streamBufferedBytesMax + 1;
    ask(1n);
    ask(2n);
    await services.clock.settle();
    expect(answers()).toEqual([[1n, 0]]);
    stream.output.drain();
    await services.clock.settle();
    expect(answers()).toEqual([[2n, 0]]);
    stream.output.bufferedBytes = limits.streamBufferedBytesMax + 1;
    for (let i = 0; i < limits.keepAlivesQueuedMax + 2; i++) ask(1n);
    expect(stream.output.ended).toBe(errors.tooManyRequests);
  });

  it('goes on with nothing once the stream is gone', async () => {
    ask(1n);
    stream.input.close();
    await services.clock.settle();
    expect(answers()).toEqual([]);
  });

  it('ends the member when it meets a bug', async () => {
    const bug = new Error('bug');
    services.replica.stateMachine.lessor.renewed = () => Promise.reject(bug);
    ask(1n);
    await services.clock.settle();
    expect(services.member.fatal).toEqual([bug]);
  });
});

describe('a member that does not lead', () => {
  const leader = 'http://127.0.0.1:10002';
  let asked: unknown[];
  let fail: Error | null;

  beforeEach(async () => {
    asked = [];
    fail = null;
    const answer = <T>(value: T): Promise<T> =>
      fail === null ? Promise.resolve(value) : Promise.reject(fail);
    services = await startServices({
      leasePeers: {
        leaseKeepAlive(url, lease) {
          asked.push([url, lease]);
          return answer(77);
        },
        leaseTimeToLive(url, lease, keys) {
          asked.push([url, lease, keys]);
          return answer({ ttl: 5, grantedTtl: 9, keys: [k('a')] });
        },
      },
    });
    stream = openStream();
    await grant(id(7n), 10);
    const other = { name: 'two', clientUrls: [], peerUrls: [leader], isLearner: false };
    const { members } = services.replica.stateMachine;
    members.apply({ ...addition({ ...other, id: 2n as MemberId }), id: 0n });
    Object.defineProperty(services.replica, 'lead', { get: () => 2n });
  });

  it('has keep-alives answered by the leader, under its own header', async () => {
    ask(7n);
    ask(8n);
    await services.clock.settle();
    const [first] = stream.output.sent;
    expect(first?.header).toMatchObject({ memberId: services.replica.memberId, revision: 1 });
    expect(answers()).toEqual([
      [7n, 77],
      [8n, 77],
    ]);
    expect(asked).toEqual([
      [leader, 7n],
      [leader, 8n],
    ]);
  });

  it('has remaining times told by the leader, and keys only on request', async () => {
    const whole = await services.run(services.lease.timeToLive({ id: id(7n), keys: true }));
    expect(whole).toMatchObject({ id: 7n, ttl: 5, grantedTtl: 9, keys: ['a'] });
    const short = await services.run(services.lease.timeToLive({ id: id(7n), keys: false }));
    expect(short.keys).toEqual([]);
    expect(asked).toEqual([
      [leader, 7n, true],
      [leader, 7n, false],
    ]);
  });

  it('believes the leader that a lease is missing', async () => {
    fail = errors.leaseNotFound;
    ask(7n);
    await services.clock.settle();
    expect(answers()).toEqual([[7n, 0]]);
    expect(stream.output.ended).toBeUndefined();
    const told = await services.run(services.lease.timeToLive({ id: id(7n), keys: true }));
    expect(told).toMatchObject({ id: 7n, ttl: -1, grantedTtl: 0, keys: [] });
  });

  it('gives up with the time of a request', async () => {
    fail = new Error('ECONNREFUSED');
    ask(7n);
    await services.clock.settle();
    await services.clock.advance(REQUEST_TIMEOUT_MS);
    expect(stream.output.ended).toBe(errors.timeout);
    expect(answers()).toEqual([]);
  });

  it('lists the leases it knows itself', async () => {
    const { leases } = await services.lease.leases({});
    expect(leases).toEqual([{ id: 7n }]);
    expect(asked).toEqual([]);
  });
});

describe('a leader that was asleep', () => {
  it('makes sure that it still leads before it renews', async () => {
    await grant(id(7n));
    let barriers = 0;
    let outcome = (): Promise<void> => Promise.resolve();
    services.replica.readBarrier = () => {
      barriers++;
      return outcome();
    };
    services.lease.tick(services.clock.monotonic() - 299);
    ask(7n);
    await services.clock.settle();
    expect(barriers).toBe(0);
    services.lease.tick(services.clock.monotonic() - 300);
    ask(7n);
    await services.clock.settle();
    expect(barriers).toBe(1);
    expect(answers()).toEqual([
      [7n, 10],
      [7n, 10],
    ]);
    outcome = () => Promise.reject(errors.leaderChanged);
    ask(7n);
    await services.clock.settle();
    expect(stream.output.ended).toBe(errors.notPrimaryLessor);
  });

  it('goes on doubting after its first tick, until a quorum has confirmed it', async () => {
    await grant(id(7n));
    let barriers = 0;
    services.replica.readBarrier = () => {
      barriers++;
      return Promise.resolve();
    };
    const now = services.clock.monotonic();
    services.lease.tick(now);
    services.lease.tick(now + 300);
    for (const expected of [1, 1]) {
      ask(7n);
      await services.clock.settle();
      expect(barriers).toBe(expected);
    }
    services.lease.tick(now + 600);
    ask(7n);
    await services.clock.settle();
    expect(barriers).toBe(2);
  });

  it('does not tell times that it does not keep', async () => {
    await grant(id(7n));
    services.replica.stateMachine.lessor.demote();
    const told = services.lease.timeToLive({ id: id(7n), keys: false });
    await expect(services.run(told)).rejects.toBe(errors.leaderChanged);
    const missing = services.lease.timeToLive({ id: id(8n), keys: false });
    expect(await services.run(missing)).toMatchObject({ ttl: -1 });
  });
});

describe('deleting a key', () => {
  it('leaves its lease', async () => {
    await grant(id(7n));
    await put('a', id(7n));
    const remove = services.kv.deleteRange({ key: k('a'), rangeEnd: EMPTY_KEY, prevKv: false });
    await services.run(remove);
    const told = await services.run(services.lease.timeToLive({ id: id(7n), keys: true }));
    expect(told).toMatchObject({ ttl: 9, keys: [] });
  });
});
