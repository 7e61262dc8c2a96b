import { beforeEach, expect, it } from 'vitest';
import { errors } from '../errors.ts';
import { bytesFromU64 } from '../u64.ts';
import { ReadBarriers } from './read-barriers.ts';

let told: string[];
let reads: ReadBarriers;
let nextId: bigint;

beforeEach(() => {
  told = [];
  nextId = 10n;
  reads = new ReadBarriers({
    tickMs: 100,
    requestTimeoutTicks: 12,
    requestIds: { next: () => nextId++ },
    observer: {
      readIndexRetried: (id, ms) => told.push(`retried ${id} after ${ms}`),
      readIndexTimedOut: () => told.push('timed out'),
      readIndexOutdated: (id) => told.push(`outdated ${id}`),
      readIndexFailed: () => told.push('failed'),
    },
  });
});

function ticks(count: number): void {
  for (let i = 0; i < count; i++) {
    reads.tick();
    reads.open();
  }
}

it('asks again every half second, and tells of it, until the time is up', async () => {
  const read = reads.join();
  reads.open();
  ticks(4);
  expect(told).toEqual([]);
  ticks(1);
  expect(told).toEqual(['retried 10 after 500']);
  ticks(5);
  expect(told).toEqual(['retried 10 after 500', 'retried 11 after 500']);
  ticks(2);
  expect(told.at(-1)).toBe('timed out');
  await expect(read).rejects.toBe(errors.timeout);
});

it('takes the answer to any request of a round, and tells of one that comes after', async () => {
  const read = reads.join();
  reads.open();
  ticks(5);
  reads.confirm(bytesFromU64(10n), 3);
  reads.release(3);
  await read;
  told.length = 0;
  reads.confirm(bytesFromU64(11n), 3);
  expect(told).toEqual(['outdated 11']);
});

it('does not blame the leader for what is only slow to apply', async () => {
  const read = reads.join();
  reads.open();
  reads.confirm(bytesFromU64(10n), 9);
  ticks(12);
  await expect(read).rejects.toBe(errors.timeout);
  expect(told).toEqual([]);
});

it('counts reads that another leader ends', async () => {
  const read = reads.join();
  reads.open();
  reads.rejectAll(errors.leaderChanged);
  await expect(read).rejects.toBe(errors.leaderChanged);
  expect(told).toEqual(['failed']);
});
