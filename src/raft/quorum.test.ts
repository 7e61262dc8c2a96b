import { describe, expect, test } from 'vitest';
import type { Index, MemberId } from '../types.ts';
import { EVERYTHING, jointIndex, jointVote, majorityIndex } from './quorum.ts';

/** Voters 1, 2, ... with what each has acknowledged. */
function acknowledging(indexes: readonly Index[]): {
  readonly voters: readonly MemberId[];
  readonly of: (id: MemberId) => Index;
} {
  const voters = indexes.map((_, at) => BigInt(at + 1) as MemberId);
  return { voters, of: (id) => indexes[Number(id) - 1] ?? 0 };
}

function ids(...numbers: readonly number[]): readonly MemberId[] {
  return numbers.map((n) => BigInt(n) as MemberId);
}

describe('majorityIndex', () => {
  test.each([
    [[], EVERYTHING],
    [[7], 7],
    [[0, 9], 0],
    [[5, 9], 5],
    [[1, 5, 9], 5],
    [[9, 9, 0], 9],
    [[0, 0, 9], 0],
    [[4, 3, 2, 1], 2],
    [[101, 104, 103, 103, 99], 103],
    [[5, 5, 5, 1, 1], 5],
    [[1, 2, 3, 4, 5, 6], 3],
  ])('of %j is %i', (indexes, expected) => {
    const { voters, of } = acknowledging(indexes);
    expect(majorityIndex(voters, of)).toBe(expected);
  });

  test('is the largest index that a majority has, for all small groups', () => {
    for (let code = 0; code < 4 ** 5; code++) {
      const indexes = [0, 1, 2, 3, 4].map((at) => Math.floor(code / 4 ** at) % 4);
      const { voters, of } = acknowledging(indexes);
      const index = majorityIndex(voters, of);
      expect(indexes.filter((i) => i >= index).length).toBeGreaterThanOrEqual(3);
      expect(indexes.filter((i) => i > index).length).toBeLessThan(3);
    }
  });
});

describe('jointIndex', () => {
  test.each([
    // incoming, outgoing, expected; members have acknowledged 10 times their id
    [[1, 2, 3], [], 20],
    [[], [1, 2, 3], 20],
    [[1, 2, 3], [4, 5, 6], 20],
    [[4, 5, 6], [1, 2, 3], 20],
    [[1], [6], 10],
    [[1, 2, 3], [3, 4, 5], 20],
    [[], [], EVERYTHING],
  ])('of %j and %j is %i', (incoming, outgoing, expected) => {
    const index = jointIndex(ids(...incoming), ids(...outgoing), (id) => Number(id) * 10);
    expect(index).toBe(expected);
  });
});

/** All ways to give each of the members 1 to 4 one of the values; `null` gives none. */
function* assignments<T>(values: readonly (T | null)[]): Generator<ReadonlyMap<MemberId, T>> {
  for (let code = 0; code < values.length ** 4; code++) {
    const given = new Map<MemberId, T>();
    for (const at of [0, 1, 2, 3]) {
      const value = values[Math.floor(code / values.length ** at) % values.length];
      if (value !== undefined && value !== null) given.set(BigInt(at + 1) as MemberId, value);
    }
    yield given;
  }
}

/** All groups that can be formed of the members 1 to 4, the empty one included. */
const groups = Array.from({ length: 16 }, (_, bits) =>
  ids(1, 2, 3, 4).filter((id) => ((bits >> (Number(id) - 1)) & 1) === 1),
);

function isMajority(voters: readonly MemberId[], of: (id: MemberId) => boolean): boolean {
  return voters.filter(of).length * 2 > voters.length || voters.length === 0;
}

test('a joint index is the largest that both majorities have, for all small groups', () => {
  for (const incoming of groups) {
    for (const outgoing of groups) {
      if (incoming.length + outgoing.length === 0) continue;
      for (const given of assignments([0, 1, 2])) {
        const has = (index: Index) => (id: MemberId) => (given.get(id) ?? 0) >= index;
        const both = [2, 1].find(
          (index) => isMajority(incoming, has(index)) && isMajority(outgoing, has(index)),
        );
        const index = jointIndex(incoming, outgoing, (id) => given.get(id) ?? 0);
        if (index !== (both ?? 0)) expect([incoming, outgoing, given, index]).toBe(both);
      }
    }
  }
});

test('a joint vote is decided when no missing one can change it, for all small groups', () => {
  for (const incoming of groups) {
    for (const outgoing of groups) {
      for (const given of assignments([true, false, null])) {
        const wins = (rest: boolean) => {
          const grants = (id: MemberId) => given.get(id) ?? rest;
          return isMajority(incoming, grants) && isMajority(outgoing, grants);
        };
        const expected = wins(false) ? 'won' : wins(true) ? 'pending' : 'lost';
        const result = jointVote(incoming, outgoing, given);
        if (result !== expected) expect([incoming, outgoing, given, result]).toBe(expected);
      }
    }
  }
});

describe('jointVote', () => {
  const yes = (id: number): [MemberId, boolean] => [BigInt(id) as MemberId, true];
  const no = (id: number): [MemberId, boolean] => [BigInt(id) as MemberId, false];

  test.each([
    ['nobody to ask', ids(), ids(), [], 'won'],
    ['a lone voter, not asked', ids(1), ids(), [], 'pending'],
    ['a lone voter for', ids(1), ids(), [yes(1)], 'won'],
    ['a lone voter against', ids(1), ids(), [no(1)], 'lost'],
    ['one of two for', ids(1, 2), ids(), [yes(1)], 'pending'],
    ['one of two against', ids(1, 2), ids(), [yes(1), no(2)], 'lost'],
    ['two of three for', ids(1, 2, 3), ids(), [yes(1), yes(3)], 'won'],
    ['two of three against', ids(1, 2, 3), ids(), [no(1), no(3)], 'lost'],
    ['one each of three', ids(1, 2, 3), ids(), [yes(1), no(3)], 'pending'],
    ['two of four for', ids(1, 2, 3, 4), ids(), [yes(1), yes(3)], 'pending'],
    ['two of four against', ids(1, 2, 3, 4), ids(), [no(1), no(3)], 'lost'],
    ['a vote of a stranger', ids(1, 2, 3), ids(), [yes(1), yes(9)], 'pending'],
    ['both halves for', ids(1, 2, 3), ids(3, 4, 5), [yes(1), yes(3), yes(4)], 'won'],
    ['only the new half for', ids(1, 2, 3), ids(4, 5, 6), [yes(1), yes(2)], 'pending'],
    ['the old half against', ids(1, 2, 3), ids(4, 5), [yes(1), yes(2), no(4)], 'lost'],
    ['the new half against', ids(1, 2), ids(3, 4), [no(1)], 'lost'],
  ] as const)('%s', (_name, incoming, outgoing, votes, expected) => {
    expect(jointVote(incoming, outgoing, new Map(votes))).toBe(expected);
  });
});
