import { describe, expect, it } from 'vitest';
import { seededRandom } from '../platform/random.ts';
import type { Key } from '../types.ts';
import { IntervalMap, type KeyInterval } from './interval-map.ts';

function membersAt(map: IntervalMap<string>, key: string): string[] {
  const found: string[] = [];
  map.forEachAt(key as Key, (member) => found.push(member));
  return found.sort();
}

const interval = (from: string, to: string | null): KeyInterval => ({ from: from as Key, to });

describe('an interval map', () => {
  it('contains the start and not the end', () => {
    const map = new IntervalMap<string>();
    map.add(interval('b', 'd'), 'x');
    expect(['a', 'b', 'c', 'c\xff', 'd'].map((key) => membersAt(map, key).length)).toEqual([
      0, 1, 1, 1, 0,
    ]);
  });

  it('knows ranges without an end, and inverted ones that hold nothing', () => {
    const map = new IntervalMap<string>();
    map.add(interval('b', null), 'open');
    map.add(interval('z', 'c'), 'inverted');
    expect(membersAt(map, 'a')).toEqual([]);
    expect(membersAt(map, 'd')).toEqual(['open']);
    expect(membersAt(map, '\xff\xff')).toEqual(['open']);
  });

  it('keeps members of equal ranges apart, and does not confuse similar ranges', () => {
    const map = new IntervalMap<string>();
    map.add(interval('a', 'bc'), 'one');
    map.add(interval('a', 'bc'), 'two');
    map.add(interval('ab', 'c'), 'three');
    map.delete(interval('a', 'bc'), 'one');
    expect(membersAt(map, 'a')).toEqual(['two']);
    expect(membersAt(map, 'ab')).toEqual(['three', 'two']);
    map.delete(interval('a', 'bc'), 'two');
    expect(membersAt(map, 'a')).toEqual([]);
  });

  it('lets visitors remove and add members', () => {
    const map = new IntervalMap<string>();
    for (const name of ['p', 'q', 'r']) map.add(interval('a', null), name);
    const seen: string[] = [];
    map.forEachAt('b' as Key, (member) => {
      seen.push(member);
      for (const name of ['p', 'q', 'r']) map.delete(interval('a', null), name);
      map.add(interval('b', 'c'), 'new');
    });
    expect(seen).toEqual(['p']);
    expect(membersAt(map, 'b')).toEqual(['new']);
  });
});

describe.each(Array.from({ length: 10 }, (_, i) => i + 1))('seed %d', (seed) => {
  it('agrees with looking at every range', () => {
    const random = seededRandom(seed);
    const word = (): Key =>
      Array.from({ length: 1 + random.below(3) }, () => 'abcd\xff'[random.below(5)]).join(
        '',
      ) as Key;
    const map = new IntervalMap<number>();
    const plain = new Map<number, KeyInterval>();
    for (let step = 0; step < 400; step++) {
      const dice = random.below(10);
      if (dice < 4) {
        const range = { from: word(), to: random.below(4) === 0 ? null : word() };
        map.add(range, step);
        plain.set(step, range);
      } else if (dice < 6) {
        const [member, range] = [...plain][random.below(Math.max(1, plain.size))] ?? [];
        if (member !== undefined && range !== undefined) {
          map.delete(range, member);
          plain.delete(member);
        }
      } else {
        const key = word();
        const found: number[] = [];
        map.forEachAt(key, (member) => found.push(member));
        const expected = [...plain]
          .filter(([, { from, to }]) => from <= key && (to === null || key < to))
          .map(([member]) => member);
        expect(found.sort((a, b) => a - b)).toEqual(expected);
      }
    }
  });
});
