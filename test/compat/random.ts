// A seeded generator of choices (xorshift128+), so that every run can be repeated from its seed.
export class Prng {
  #a: bigint;
  #b: bigint;

  constructor(seed: number) {
    this.#a = BigInt.asUintN(64, BigInt(seed) * 0x9e3779b97f4a7c15n + 0x1234567n);
    this.#b = BigInt.asUintN(64, this.#a ^ 0xd1b54a32d192ed03n);
    for (let i = 0; i < 8; i++) this.u64();
  }

  u64(): bigint {
    let x = this.#a;
    const y = this.#b;
    this.#a = y;
    x ^= BigInt.asUintN(64, x << 23n);
    this.#b = x ^ y ^ (x >> 17n) ^ (y >> 26n);
    return BigInt.asUintN(64, this.#b + y);
  }

  /** A whole number in [0, bound). */
  below(bound: number): number {
    return Number(this.u64() % BigInt(bound));
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(choices: readonly T[]): T {
    const chosen = choices[this.below(choices.length)];
    if (chosen === undefined) throw new Error('nothing to pick from');
    return chosen;
  }

  /** Picks a name by weight. */
  weighted<K extends string>(weights: Readonly<Record<K, number>>): K {
    const entries = Object.entries(weights) as [K, number][];
    let rest = this.below(entries.reduce((sum, [, weight]) => sum + weight, 0));
    for (const [name, weight] of entries) {
      rest -= weight;
      if (rest < 0) return name;
    }
    throw new Error('no weights');
  }
}
