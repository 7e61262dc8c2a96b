/** Whole clusters under seeded faults; `npm run sim -- --seed N` repeats one seed. */

import { describe, expect, it } from 'vitest';
import { CI_SEEDS } from './ci-seeds.ts';
import { simulate } from './simulation.ts';

const SEEDS_PER_TEST = 20;
const TIMEOUT_MS = 300_000;

const happened = new Map<string, number>();
const batches = Array.from(
  { length: Math.ceil((CI_SEEDS.last - CI_SEEDS.first + 1) / SEEDS_PER_TEST) },
  (_, i) => CI_SEEDS.first + i * SEEDS_PER_TEST,
);

describe('no acknowledged write is lost, histories are linearizable, healed clusters go on', () => {
  it.each(batches)(
    `from seed %d on`,
    async (first) => {
      const last = Math.min(first + SEEDS_PER_TEST - 1, CI_SEEDS.last);
      for (let seed = first; seed <= last; seed++) {
        const { failure, counts } = await simulate(seed);
        if (failure !== null) throw new Error(`seed ${seed}`, { cause: failure });
        for (const [name, count] of counts) happened.set(name, (happened.get(name) ?? 0) + count);
      }
    },
    TIMEOUT_MS,
  );

  // Faults that prevent everything, or do not come about, would show nothing.
  it('under all the faults there are', () => {
    for (const name of [
      'heard ok',
      'heard unknown',
      'leaders',
      'members joined',
      'states installed',
      'snapshots',
      'leases kept alive',
      'leases expired',
      'watches compacted',
      'messages repeated',
      'fault: power loss in an operation',
      'fault: kill, then power loss',
      'fault: disk errors',
      'fault: one-way cut',
    ]) {
      expect(happened.get(name) ?? 0, name).toBeGreaterThan(10);
    }
  });
});

describe('the same seed', () => {
  it.each([1, 2, 3, 4, 5, 8, 13])('%d gives the same trace', async (seed) => {
    const once = await simulate(seed);
    const again = await simulate(seed, { isVerbose: true });
    expect(again.traceHash).toBe(once.traceHash);
    expect(again.events).toBe(once.events);
    expect(again.lines.length).toBeGreaterThan(100);
  });

  it('gives another trace than other seeds', async () => {
    const hashes = new Set<string>();
    for (const seed of [21, 23, 25]) hashes.add((await simulate(seed)).traceHash);
    expect(hashes.size).toBe(3);
  });
});
