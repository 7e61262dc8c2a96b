import { describe, expect, test } from 'vitest';
import type { MemberId } from '../types.ts';
import {
  type ChangeResult,
  changeMembership,
  EMPTY_CONF_STATE,
  enterJoint,
  leaveJoint,
  type MemberChange,
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
