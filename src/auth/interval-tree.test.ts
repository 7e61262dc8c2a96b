import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Key } from '../types.ts';
import { IntervalTree } from './interval-tree.ts';

const KEYS = [...'abcdefgh'] as Key[];
/** The empty end is beyond every key. */
const ENDS = [...KEYS, ''] as Key[];

/**
 * What etcd 3.7.1's interval tree answered: the intervals in the order in which they were added
 * (`ab` is [a, b), `a.` the key a, `a+` everything from a on), whether each key is in one of them,
 * and whether each range is covered, of every key with every end, inverted ones too.
 */
const CASES: readonly [string, string, string][] = JSON.parse(
  readFileSync(new URL('../../test/fixtures/auth/interval-tree.json', import.meta.url), 'utf8'),
);

function treeOf(intervals: string): IntervalTree {
  const tree = new IntervalTree();
  for (const [text] of intervals.matchAll(/../g)) {
    const [from = '', to] = text;
    tree.add({ from, to: to === '.' ? `${from}\x00` : to === '+' ? '' : (to ?? '') });
  }
  return tree;
}

describe('an interval tree', () => {
  it('answers about keys and ranges what that of etcd does, also about inverted ones', () => {
    for (const [intervals, keys, covered] of CASES) {
      const tree = treeOf(intervals);
      const bit = (answer: boolean): string => (answer ? '1' : '0');
      expect(KEYS.map((key) => bit(tree.hasKey(key))).join(''), intervals).toBe(keys);
      const answers = KEYS.flatMap((from) => ENDS.map((to) => bit(tree.covers({ from, to }))));
      expect(answers.join(''), intervals).toBe(covered);
    }
  });

  it('contains nothing while it is empty', () => {
    const tree = new IntervalTree();
    expect(tree.hasKey('a' as Key)).toBe(false);
    expect(tree.covers({ from: 'a', to: 'b' })).toBe(false);
    expect(tree.covers({ from: 'b', to: 'a' })).toBe(false);
  });

  it('joins intervals that touch, whoever added them', () => {
    const tree = treeOf('cdabbc');
    expect(tree.covers({ from: 'a', to: 'd' })).toBe(true);
    expect(tree.covers({ from: 'a', to: 'd\x00' })).toBe(false);
    expect(tree.covers({ from: 'a', to: '' })).toBe(false);
  });
});
