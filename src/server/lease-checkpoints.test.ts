import { beforeEach, describe, expect, it } from 'vitest';
import { type Services, startServices } from '../../test/support/services.ts';
import { errors } from '../errors.ts';
import { limits } from '../limits.ts';
import type { LeaseId } from '../types.ts';
import { LeaseCheckpoints } from './lease-checkpoints.ts';

const TICK_MS = 100;
const INTERVAL_MS = 300_000;

let services: Services;
/** The leases of each entry. */
let told: { readonly id: LeaseId; readonly remainingTtl: number }[][];
let fatal: unknown[];
let refuse: Error | null;

beforeEach(async () => {
  services = await startServices({ leaseCheckpoints: true });
  told = [];
  fatal = [];
  refuse = null;
  const { replica, clock } = services;
  const { propose } = replica;
  replica.propose = ((kind: never, value: never) => {
    if (kind === 'leaseCheckpoint') {
      told.push([...(value as { checkpoints: (typeof told)[number] }).checkpoints]);
      if (refuse !== null) return Promise.reject(refuse);
    }
    return propose.call(replica, kind, value);
  }) as typeof propose;
  const checkpoints = new LeaseCheckpoints({
    replica,
    tickMs: TICK_MS,
    onFatal: (error) => fatal.push(error),
  });
  clock.every(TICK_MS, () => checkpoints.tick());
});

const id = (value: number): LeaseId => BigInt(value) as LeaseId;
const grant = (lease: number, ttl: number) =>
  services.run(services.lease.grant({ id: id(lease), ttl }));
const remaining = (lease: number): number =>
  services.replica.stateMachine.lessor.get(id(lease))?.remainingTtl ?? -1;

describe('the time that leases have left', () => {
  it('is told every five minutes, of those that are long', async () => {
    await grant(1, 1000);
    await grant(2, 301);
    await grant(3, 300);
    await services.clock.advance(INTERVAL_MS - TICK_MS);
    expect(told).toEqual([]);
    await services.clock.advance(2 * TICK_MS);
    expect(told).toEqual([
      [
        { id: 2n, remainingTtl: 1 },
        { id: 1n, remainingTtl: 700 },
      ],
    ]);
    expect([1, 2].map(remaining)).toEqual([700, 1]);
    await services.clock.advance(INTERVAL_MS);
    expect(told[1]).toEqual([{ id: 1n, remainingTtl: 400 }]);
  });

  it('counts for the next leader', async () => {
    await grant(1, 1000);
    await services.clock.advance(INTERVAL_MS + TICK_MS);
    const { lessor } = services.replica.stateMachine;
    lessor.demote();
    lessor.promote(services.replica.ticks, 10);
    const left = await services.run(services.lease.timeToLive({ id: id(1), keys: false }));
    expect(left).toMatchObject({ ttl: 700, grantedTtl: 1000 });
  });

  it('is taken back when a lease is renewed, once', async () => {
    await grant(1, 1000);
    await services.clock.advance(INTERVAL_MS + TICK_MS);
    told = [];
    expect(await services.run(services.lease.renew({ id: id(1) }))).toMatchObject({ ttl: 1000 });
    expect(told).toEqual([[{ id: 1n, remainingTtl: 0 }]]);
    await services.run(services.lease.renew({ id: id(1) }));
    expect(told).toHaveLength(1);
    expect(remaining(1)).toBe(0);
  });

  it('is not told of a lease that has just been renewed', async () => {
    await grant(1, 1000);
    await services.clock.advance(INTERVAL_MS - TICK_MS);
    await services.run(services.lease.renew({ id: id(1) }));
    await services.clock.advance(2 * TICK_MS);
    expect(told).toEqual([]);
  });

  it('is told in entries of bounded length', async () => {
    const many = limits.leaseCheckpointsPerEntryMax + 1;
    const { lessor } = services.replica.stateMachine;
    for (let i = 1; i <= many; i++) lessor.grant(id(i), 1000);
    await services.clock.advance(INTERVAL_MS + TICK_MS);
    expect(told.map(({ length }) => length)).toEqual([many - 1, 1]);
  });

  it('is told by the leader only, whose five minutes begin with its leadership', async () => {
    await grant(1, 1000);
    const { lessor } = services.replica.stateMachine;
    await services.clock.advance(INTERVAL_MS / 2);
    lessor.demote();
    await services.clock.advance(INTERVAL_MS);
    expect(told).toEqual([]);
    lessor.promote(services.replica.ticks, 10);
    await services.clock.advance(INTERVAL_MS - TICK_MS);
    expect(told).toEqual([]);
    await services.clock.advance(3 * TICK_MS);
    expect(told).toHaveLength(1);
  });

  it('may be told the next time when it could not be told now', async () => {
    await grant(1, 1000);
    refuse = errors.timeout;
    await services.clock.advance(INTERVAL_MS + TICK_MS);
    expect(fatal).toEqual([]);
    const bug = new Error('bug');
    refuse = bug;
    await services.clock.advance(INTERVAL_MS);
    expect(fatal).toEqual([bug]);
    expect(told).toHaveLength(2);
  });
});
