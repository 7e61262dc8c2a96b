import { describe, expect, test } from 'vitest';
import type { Random } from '../ports.ts';
import { seededRandom, systemRandom } from './random.ts';

describe.each<[string, () => Random]>([
  ['system', () => systemRandom],
  ['seeded', () => seededRandom(42)],
])('%s random', (_, make) => {
  test('reaches every outcome about equally often, and none else', () => {
    const random = make();
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < 7000; i++) {
      const outcome = random.below(7);
      counts[outcome] = (counts[outcome] ?? Number.NaN) + 1;
    }
    expect(counts).toHaveLength(7);
    // Six standard deviations: by chance once in a hundred million runs.
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(180);
    expect(random.below(1)).toBe(0);
    expect(random.below(Number.MAX_SAFE_INTEGER)).toBeLessThan(Number.MAX_SAFE_INTEGER);
    expect(() => random.below(0)).toThrow('outcome');
  });

  test('u64 fills all 64 bits', () => {
    const random = make();
    let seen = 0n;
    for (let i = 0; i < 200; i++) seen |= random.u64();
    expect(seen).toBe(0xffff_ffff_ffff_ffffn);
  });
});

test('a seed gives one sequence, another seed another one', () => {
  const take = (seed: number | bigint) => {
    const random = seededRandom(seed);
    return Array.from({ length: 20 }, () => random.below(1_000_000));
  };
  expect(take(5)).toEqual(take(5n));
  expect(take(5)).not.toEqual(take(6));
  expect(new Set(take(0)).size).toBeGreaterThan(15);
});
