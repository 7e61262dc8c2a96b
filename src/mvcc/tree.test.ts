import { describe, expect, it } from 'vitest';
import { seededRandom } from '../platform/random.ts';
import { Tree } from './tree.ts';

interface Item {
  readonly key: string;
  weight: number;
}

const newTree = () => new Tree<Item>((item) => item.weight);

function keysBetween(tree: Tree<Item>, from: string, to: string | null): string[] {
  const keys: string[] = [];
  tree.scan(from, to, (item) => {
    keys.push(item.key);
    return true;
  });
  return keys;
}

function expectedBetween(model: Map<string, Item>, from: string, to: string | null): string[] {
  const inside = (key: string) => key >= from && (to === null || key < to);
  return [...model.keys()].filter(inside).sort();
}

describe.each([1, 2, 3, 4])('seed %d: against a map', (seed) => {
  const random = seededRandom(seed);
  const tree = newTree();
  const model = new Map<string, Item>();
  const randomKey = () => random.below(4000).toString(seed % 2 === 0 ? 2 : 36);

  function change(): void {
    const key = randomKey();
    const item = model.get(key);
    if (item === undefined) {
      const added = { key, weight: random.below(3) };
      expect(tree.insert(key, added)).toBeNull();
      model.set(key, added);
    } else if (random.below(3) === 0) {
      const weight = random.below(3);
      const delta = weight - item.weight;
      item.weight = weight;
      tree.reweigh(key, delta);
    } else {
      expect(tree.delete(key)).toBe(true);
      model.delete(key);
    }
  }

  function check(): void {
    tree.assertInvariants();
    expect(tree.size).toBe(model.size);
    for (let i = 0; i < 20; i++) {
      const from = randomKey();
      const to = random.below(5) === 0 ? null : randomKey();
      const keys = expectedBetween(model, from, to);
      expect(keysBetween(tree, from, to)).toEqual(keys);
      const weight = keys.reduce((sum, key) => sum + (model.get(key)?.weight ?? 0), 0);
      expect(tree.weightBetween(from, to)).toBe(weight);
      expect(tree.get(from)).toBe(model.get(from) ?? null);
    }
  }

  it('agrees while it grows and shrinks', () => {
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 500; i++) change();
      check();
    }
  });

  it('agrees while everything is removed', () => {
    const keys = [...model.keys()].sort(() => random.below(3) - 1);
    keys.forEach((key, i) => {
      expect(tree.delete(key)).toBe(true);
      model.delete(key);
      if (i % 300 === 0) check();
    });
    check();
    expect(tree.size).toBe(0);
    expect(tree.weight).toBe(0);
  });
});

it.each(['ascending', 'descending'])('takes thousands of %s keys', (order) => {
  const tree = newTree();
  const keys = Array.from({ length: 20_000 }, (_, i) => String(i).padStart(8, '0'));
  for (const key of order === 'ascending' ? keys : keys.toReversed()) {
    tree.insert(key, { key, weight: 1 });
  }
  tree.assertInvariants();
  expect(keysBetween(tree, '', null)).toEqual(keys);
  expect(tree.weightBetween('00000100', '00010100')).toBe(10_000);
  for (const key of keys) tree.delete(key);
  tree.assertInvariants();
  expect(tree.size).toBe(0);
});

it('an inverted or empty range holds nothing', () => {
  const tree = newTree();
  for (const key of ['a', 'b', 'c']) tree.insert(key, { key, weight: 1 });
  expect(keysBetween(tree, 'c', 'a')).toEqual([]);
  expect(tree.weightBetween('c', 'a')).toBe(0);
  expect(keysBetween(tree, 'b', 'b')).toEqual([]);
});

it('a visitor stops the scan', () => {
  const tree = newTree();
  for (let i = 0; i < 500; i++) tree.insert(`${i}`, { key: `${i}`, weight: 1 });
  let visited = 0;
  tree.scan('', null, () => ++visited < 70);
  expect(visited).toBe(70);
});

it('deleting a key that is absent changes nothing', () => {
  const tree = newTree();
  tree.insert('a', { key: 'a', weight: 1 });
  expect(tree.delete('b')).toBe(false);
  expect(tree.size).toBe(1);
});

it('inserting a key again changes nothing, and tells what is there', () => {
  const tree = newTree();
  for (let i = 0; i < 200; i++) tree.insert(`${i}`, { key: `${i}`, weight: 1 });
  const present = tree.get('70');
  expect(tree.insert('70', { key: '70', weight: 5 })).toBe(present);
  expect(tree.get('70')).toBe(present);
  expect(tree.weight).toBe(200);
  tree.assertInvariants();
});
