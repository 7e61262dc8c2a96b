/** Randomness: the system's for real members, a seeded sequence for tests and simulation. */

import { randomFillSync } from 'node:crypto';
import { assert } from '../assert.ts';
import type { Random } from '../ports.ts';

const TWO_32 = 0x1_0000_0000;
const GOLDEN_GAMMA = 0x9e37_79b9_7f4a_7c15n;

/** An integer in [0, n) from uniform 64-bit values, without the bias of a plain remainder. */
function belowFrom(u64: () => bigint, n: number): number {
  assert(Number.isSafeInteger(n) && n > 0, 'a random choice has at least one outcome');
  const size = BigInt(n);
  const fair = (1n << 64n) - ((1n << 64n) % size);
  for (;;) {
    const value = u64();
    if (value < fair) return Number(value % size);
  }
}

const entropy = Buffer.alloc(8);

function systemU64(): bigint {
  return randomFillSync(entropy).readBigUInt64LE();
}

export const systemRandom: Random = {
  below: (n) => belowFrom(systemU64, n),
  u64: systemU64,
};

/** One sequence per seed, on every machine (splitmix64 spreads it, xoshiro128** runs). */
export function seededRandom(seed: number | bigint): Random {
  const [a, b] = [splitmix(BigInt(seed), 1n), splitmix(BigInt(seed), 2n)];
  let s0 = Number(a & 0xffff_ffffn);
  let s1 = Number(a >> 32n);
  let s2 = Number(b & 0xffff_ffffn);
  let s3 = Number(b >> 32n);

  const u32 = (): number => {
    const result = Math.imul(rotate(Math.imul(s1, 5), 7), 9) >>> 0;
    const shifted = s1 << 9;
    s2 ^= s0;
    s3 ^= s1;
    s1 ^= s2;
    s0 ^= s3;
    s2 ^= shifted;
    s3 = rotate(s3, 11);
    return result;
  };
  const u64 = (): bigint => (BigInt(u32()) << 32n) | BigInt(u32());
  const below = (n: number): number => {
    if (n > TWO_32) return belowFrom(u64, n);
    assert(Number.isInteger(n) && n > 0, 'a random choice has at least one outcome');
    const fair = TWO_32 - (TWO_32 % n);
    for (;;) {
      const value = u32();
      if (value < fair) return value % n;
    }
  };
  return { below, u64 };
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

/** The `step`-th output of splitmix64; the two words taken are not both zero for any seed. */
function splitmix(seed: bigint, step: bigint): bigint {
  let z = BigInt.asUintN(64, seed + step * GOLDEN_GAMMA);
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58_476d_1ce4_e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d0_49bb_1331_11ebn);
  return z ^ (z >> 31n);
}
