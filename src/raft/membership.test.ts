import { describe, expect, test } from 'vitest';
import type { MemberId } from '../types.ts';
import {
  type ChangeResult,
  changeMembership,
  EMPTY_CONF_STATE,
  enterJoint,
  leaveJoint,
  type MemberChange,
  normalize,
  simpleChange,
} from './membership.ts';
import type { ConfState } from './messages.ts';

function ids(...numbers: readonly number[]): readonly MemberId[] {
  return numbers.map((n) => BigInt(n) as MemberId);
}

/** `+1 -2 l3 u4`, and `+0` for a change that was found invalid. */
function changes(text: string): readonly MemberChange[] {
  const types = { '+': 'add-node', '-': 'remove-node', l: 'add-learner-node' } as const;
  return text
    .split(' ')
    .filter((word) => word !== '')
    .map((word) => {
      const id = BigInt(word.slice(1)) as MemberId;
      const type = types[word[0] as '+'] ?? 'update-node';
      return { type, nodeId: id === 0n ? null : id };
    });
}

function show(result: ChangeResult): string {
  if (!result.ok) return result.reason;
  const { voters, votersOutgoing, learners, learnersNext, autoLeave } = result.config;
  const parts = [`(${voters.join(' ')})`];
  if (votersOutgoing.length > 0) parts.push(`&& (${votersOutgoing.join(' ')})`);
  if (learners.length > 0) parts.push(`learners (${learners.join(' ')})`);
  if (learnersNext.length > 0) parts.push(`next (${learnersNext.join(' ')})`);
  if (autoLeave) parts.push('auto');
  return parts.join(' ');
}

const three: ConfState = { ...EMPTY_CONF_STATE, voters: ids(1, 2, 3) };

describe('simple', () => {
  test.each([
    ['+4', '(1 2 3 4)'],
    ['-1', '(2 3)'],
    ['l4', '(1 2 3) learners (4)'],
    ['l3', '(1 2) learners (3)'],
    ['+2', '(1 2 3)'],
    ['-9', '(1 2 3)'],
    ['u2', '(1 2 3)'],
    ['+0', '(1 2 3)'],
    ['l4 l5 l6', '(1 2 3) learners (4 5 6)'],
    ['+4 l4', '(1 2 3) learners (4)'],
    ['+4 +5', 'more than one voter changed without entering joint config'],
    ['-1 -2 -3', 'removed all voters'],
    ['l1 l2 l3', 'removed all voters'],
    ['l1 +1', '(1 2 3)'],
    ['+4 l4 l5 -5', '(1 2 3) learners (4)'],
    ['-1 +5', 'more than one voter changed without entering joint config'],
    ['l1 +5', 'more than one voter changed without entering joint config'],
    ['u1 u9 +4', '(1 2 3 4)'],
    ['+0 -0 l0', '(1 2 3)'],
  ])('%s', (text, expected) => {
    expect(show(simpleChange(three, changes(text)))).toBe(expected);
  });

  test('the first voter joins an empty group, but nobody leaves it empty', () => {
    expect(show(simpleChange(EMPTY_CONF_STATE, changes('+1')))).toBe('(1)');
    const one: ConfState = { ...EMPTY_CONF_STATE, voters: ids(1) };
    expect(show(simpleChange(one, changes('-1')))).toBe('removed all voters');
  });

  test('a learner is promoted', () => {
    const config: ConfState = { ...three, learners: ids(4) };
    expect(show(simpleChange(config, changes('+4')))).toBe('(1 2 3 4)');
  });
});

describe('joint', () => {
  test.each([
    ['', '(1 2 3) && (1 2 3)', '(1 2 3)'],
    ['-1 -2 +4', '(3 4) && (1 2 3)', '(3 4)'],
    ['l1 l4', '(2 3) && (1 2 3) learners (4) next (1)', '(2 3) learners (1 4)'],
    ['l1 +1', '(1 2 3) && (1 2 3)', '(1 2 3)'],
    ['l1 -1', '(2 3) && (1 2 3)', '(2 3)'],
    ['-9 -1 -1', '(2 3) && (1 2 3)', '(2 3)'],
    ['+4 +4 l5 l5 l1 l1', '(2 3 4) && (1 2 3) learners (5) next (1)', '(2 3 4) learners (1 5)'],
    ['-1 -2 -3', 'removed all voters', ''],
  ])('%s', (text, joint, after) => {
    const entered = enterJoint(three, changes(text), false);
    expect(show(entered)).toBe(joint);
    if (entered.ok) expect(show(leaveJoint(entered.config))).toBe(after);
  });

  test('is not entered twice, not left when not in it, and takes no simple change', () => {
    const entered = enterJoint(three, changes('+4'), true);
    expect(show(entered)).toBe('(1 2 3 4) && (1 2 3) auto');
    if (!entered.ok) return;
    expect(show(enterJoint(entered.config, [], false))).toBe('config is already joint');
    expect(show(simpleChange(entered.config, changes('+5')))).toBe(
      "can't apply simple config change in joint config",
    );
    expect(show(leaveJoint(three))).toBe("can't leave a non-joint config");
    expect(show(enterJoint(EMPTY_CONF_STATE, [], false))).toBe(
      "can't make a zero-voter config joint",
    );
  });
});

describe('a change decides by its form', () => {
  const context = new Uint8Array(0);
  const add = (n: number) => ({ type: 'add-node', nodeId: BigInt(n) as MemberId }) as const;

  test.each([
    ['auto', [4], '(1 2 3 4)'],
    ['auto', [4, 5], '(1 2 3 4 5) && (1 2 3) auto'],
    ['joint-implicit', [4], '(1 2 3 4) && (1 2 3) auto'],
    ['joint-explicit', [4], '(1 2 3 4) && (1 2 3)'],
    ['auto', [], "can't leave a non-joint config"],
  ] as const)('%s with %j', (transition, added, expected) => {
    const change = { transition, changes: added.map(add), context };
    expect(show(changeMembership(three, change))).toBe(expected);
  });

  test('the older form is always simple, and null changes nothing', () => {
    const change = { id: 1n, type: 'remove-node', nodeId: null, context } as const;
    expect(show(changeMembership(three, change))).toBe('(1 2 3)');
  });
});

/** Numbers that are spread out and the same each time. */
function seeded(seed: number): (n: number) => number {
  let state = seed + 1;
  return (n) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state >> 8) % n;
  };
}

test('a joint change comes to the same as its parts one by one', () => {
  let compared = 0;
  for (let seed = 0; seed < 500; seed++) {
    const below = seeded(seed);
    const count = 1 + below(5);
    const words = Array.from({ length: count }, () => `${'+-lu'[below(4)]}${1 + below(6)}`);
    const joint = enterJoint(three, changes(words.join(' ')), below(2) === 0);
    let single: ChangeResult = { ok: true, config: three };
    for (const word of words) {
      if (single.ok) single = simpleChange(single.config, changes(word));
    }
    // On the way a group may lose its last voter and win another; a joint change does not.
    if (!single.ok || !joint.ok) continue;
    expect([words, show(leaveJoint(joint.config))]).toEqual([words, show(single)]);
    compared++;
  }
  expect(compared).toBeGreaterThan(400);
});

test('a configuration read back is the same, in whatever order its lists were written', () => {
  const written: ConfState = {
    voters: ids(3, 1, 2),
    votersOutgoing: ids(4, 2, 1),
    learners: ids(7, 5),
    learnersNext: ids(4),
    autoLeave: true,
  };
  const read = normalize(written);
  expect(show({ ok: true, config: read })).toBe('(1 2 3) && (1 2 4) learners (5 7) next (4) auto');
  expect(normalize(read)).toEqual(read);
});

test.each([
  ['a learner that votes', { learners: ids(1) }],
  ['a learner that votes in the old half', { votersOutgoing: ids(4), learners: ids(4) }],
  ['a staged learner that does not vote yet', { votersOutgoing: ids(1), learnersNext: ids(4) }],
  ['a staged learner outside a joint configuration', { learnersNext: ids(4) }],
  ['leaving where there is nothing to leave', { autoLeave: true }],
])('%s is not a configuration', (_name, wrong) => {
  expect(() => normalize({ ...three, ...wrong })).toThrow('keeps its invariants');
});
