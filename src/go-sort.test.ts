import { expect, it } from 'vitest';
import { goSort } from './go-sort.ts';

interface Item {
  readonly key: number;
  readonly id: number;
}

/** FNV-1a over the order in which elements came out, two bytes each. */
function digest(orders: Iterable<readonly number[]>): number {
  let hash = 0x811c9dc5;
  for (const ids of orders) {
    for (const id of ids) {
      for (const byte of [id & 0xff, id >> 8]) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
    }
  }
  return hash;
}

let seed = 1;

function chance(n: number): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed * n) / 0x1_0000_0000);
}

const SHAPES: readonly ((i: number, n: number, keys: number) => number)[] = [
  (_i, _n, keys) => chance(keys),
  (i, n, keys) => Math.floor((i * keys) / n),
  (i, n, keys) => Math.floor(((n - i) * keys) / n),
  (i, n, keys) => (i === n - 1 ? chance(keys) : Math.floor((i * keys) / n)),
  (i, n, keys) => Math.min(i, n - i) % keys,
];

// Orders that Go's sort.Sort has left: random, rising, falling, rising but for the last, and up
// and down, each with so many different keys, for all lengths below 400.
const FROM_GO: readonly (readonly [shape: number, keys: number, digest: number])[] = [
  [0, 1, 0xc9f5b115],
  [0, 2, 0xf2a7c6e1],
  [0, 3, 0xf6c7f189],
  [0, 7, 0xec819465],
  [0, 20, 0xc4b367d1],
  [0, 1000, 0x96987d5d],
  [1, 1, 0xc9f5b115],
  [1, 2, 0xc9f5b115],
  [1, 3, 0xc9f5b115],
  [1, 7, 0xc9f5b115],
  [1, 20, 0xc9f5b115],
  [1, 1000, 0xc9f5b115],
  [2, 1, 0x4cacf2bd],
  [2, 2, 0x273480b5],
  [2, 3, 0xc3900759],
  [2, 7, 0x7c6f69c5],
  [2, 20, 0x346059fd],
  [2, 1000, 0xddd88685],
  [3, 1, 0xc9f5b115],
  [3, 2, 0x0ddd54f5],
  [3, 3, 0xd9e3139d],
  [3, 7, 0x6c7714f9],
  [3, 20, 0xf0310115],
  [3, 1000, 0xc2575811],
  [4, 1, 0xc9f5b115],
  [4, 2, 0xd8a20cc1],
  [4, 3, 0x82ea8921],
  [4, 7, 0x91846ae1],
  [4, 20, 0x51ef57fd],
  [4, 1000, 0x7ca88531],
];

it('leaves equal elements where Go leaves them', () => {
  for (const [shape, keys, expected] of FROM_GO) {
    const keyOf = SHAPES[shape] ?? (() => 0);
    const orders = function* () {
      for (let n = 0; n < 400; n++) {
        const items = Array.from({ length: n }, (_, id): Item => ({ key: keyOf(id, n, keys), id }));
        goSort(items, (a, b) => a.key < b.key);
        expect(items.every(({ key }, i) => i === 0 || (items[i - 1]?.key ?? 0) <= key)).toBe(true);
        yield items.map(({ id }) => id);
      }
    };
    expect([shape, keys, digest(orders())]).toEqual([shape, keys, expected]);
  }
});

// McIlroy's adversary decides what is smaller while it is asked, so that every pivot is bad.
it.each([
  [50, 0xb8a301bc],
  [300, 0x2c936dc1],
  [1000, 0xf700ea49],
])('goes the way of Go against an adversary with %i elements', (n, expected) => {
  const values = Array<number>(n).fill(n);
  const order = Array.from({ length: n }, (_, i) => i);
  let solid = 0;
  let candidate = 0;
  goSort(order, (x, y) => {
    if (values[x] === n && values[y] === n) values[x === candidate ? x : y] = solid++;
    if (values[x] === n) candidate = x;
    else if (values[y] === n) candidate = y;
    return (values[x] ?? 0) < (values[y] ?? 0);
  });
  expect(digest([order])).toBe(expected);
});
