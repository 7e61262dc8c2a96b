/** Elections from every state and in groups of every size, as tables. */

import { describe, expect, test } from 'vitest';
import type { Random } from '../ports.ts';
import { EMPTY_BYTES, type MemberId } from '../types.ts';
import { EMPTY_CONF_STATE } from './membership.ts';
import type { Message } from './messages.ts';
import { Raft, type RaftOptions, type StateName } from './raft.ts';

const [ONE, TWO, THREE] = [1n as MemberId, 2n as MemberId, 3n as MemberId];
const ELECTION_TICKS = 10;
const states = ['follower', 'pre-candidate', 'candidate', 'leader'] as const;

function voters(size: number): readonly MemberId[] {
  return Array.from({ length: size }, (_, at) => BigInt(at + 1) as MemberId);
}

function drawing(number: number): Random {
  return { below: () => number, u64: () => 0n };
}

/** Member 1 of a group at term 1 with an empty log. */
function memberOne(size: number, more: Partial<RaftOptions> = {}): Raft {
  const raft = new Raft({
    id: ONE,
    electionTicks: ELECTION_TICKS,
    heartbeatTicks: 1,
    preVote: false,
    checkQuorum: false,
    random: drawing(0),
    appendBytesMax: 1000,
    appendsInflightMax: 8,
    applyBytesMax: 1000,
    decodeConfChange: () => null,
    restored: {
      hardState: { term: 1, vote: null, commit: 0 },
      snapshot: { index: 0, term: 0, confState: EMPTY_CONF_STATE },
      confState: { ...EMPTY_CONF_STATE, voters: voters(size) },
      entries: [],
      applied: 0,
    },
    ...more,
  });
  raft.takeReady();
  return raft;
}

/** Completes everything that waits for the disk, and returns what was sent. */
function settle(raft: Raft): readonly Message[] {
  const sent: Message[] = [];
  while (raft.hasReady()) {
    const { send, persist } = raft.takeReady();
    sent.push(...send);
    if (persist === null) continue;
    sent.push(...persist.thenSend);
    raft.persisted();
  }
  return sent;
}

function voteOf(from: MemberId, term: number, reject = false): Message {
  return { type: 'vote-resp', from, to: ONE, term, reject };
}

/** Member 1 of three in a state, at term 2 if it campaigned and at term 1 otherwise. */
function memberIn(state: StateName): Raft {
  const raft = memberOne(3, { preVote: state === 'pre-candidate' });
  if (state !== 'follower') raft.campaign();
  settle(raft);
  if (state === 'leader') raft.step(voteOf(TWO, 2));
  settle(raft);
  expect(raft.state).toBe(state);
  return raft;
}

describe('an election in one round', () => {
  test.each<[number, number, number, StateName]>([
    // size, others that grant, others that reject, state
    [1, 0, 0, 'leader'],
    [2, 0, 0, 'candidate'],
    [2, 1, 0, 'leader'],
    [2, 0, 1, 'follower'],
    [3, 1, 0, 'leader'],
    [3, 0, 1, 'candidate'],
    [3, 0, 2, 'follower'],
    [4, 1, 1, 'candidate'],
    [4, 2, 0, 'leader'],
    [4, 1, 2, 'follower'],
    [5, 1, 2, 'candidate'],
    [5, 2, 2, 'leader'],
    [5, 1, 3, 'follower'],
    [7, 3, 0, 'leader'],
    [7, 2, 3, 'candidate'],
    [7, 0, 4, 'follower'],
  ])('of %i with %i for and %i against makes a %3$s', (size, granted, rejected, state) => {
    const raft = memberOne(size);
    raft.campaign();
    const asked = settle(raft).filter((message) => message.type === 'vote');
    expect(asked.map((message) => message.to)).toEqual(voters(size).slice(1));
    const others = voters(size).slice(1);
    for (const id of others.slice(0, granted)) raft.step(voteOf(id, 2));
    for (const id of others.slice(granted, granted + rejected)) raft.step(voteOf(id, 2, true));
    expect([raft.state, raft.term]).toEqual([state, 2]);
  });

  test('counts the first answer of each', () => {
    const raft = memberOne(5);
    raft.campaign();
    settle(raft);
    for (let i = 0; i < 3; i++) raft.step(voteOf(TWO, 2));
    raft.step(voteOf(THREE, 2, true));
    raft.step(voteOf(THREE, 2));
    expect(raft.state).toBe('candidate');
  });
});

describe('patience', () => {
  test.each([0, 1, 5, ELECTION_TICKS - 1])('with %i drawn lasts as much longer', (drawn) => {
    const raft = memberOne(3, { random: drawing(drawn) });
    for (const term of [2, 3, 4]) {
      for (let tick = 1; tick < ELECTION_TICKS + drawn; tick++) raft.tick();
      expect(raft.term).toBe(term - 1);
      raft.tick();
      expect([raft.term, raft.state]).toEqual([term, 'candidate']);
    }
  });

  test('is drawn from as many values as an election has ticks', () => {
    const asked: number[] = [];
    const random: Random = { below: (n) => asked.push(n) * 0, u64: () => 0n };
    memberOne(3, { random }).campaign();
    expect(new Set(asked)).toEqual(new Set([ELECTION_TICKS]));
    expect(asked.length).toBeGreaterThan(1);
  });

  test.each(['app', 'heartbeat', 'vote'] as const)('begins anew with a %s', (type) => {
    const raft = memberOne(3);
    for (let tick = 1; tick < ELECTION_TICKS; tick++) raft.tick();
    const head = { from: TWO, to: ONE, term: 1, index: 0, logTerm: 0, context: EMPTY_BYTES };
    raft.step({ ...head, type, entries: [], commit: 0 });
    for (let tick = 1; tick < ELECTION_TICKS; tick++) raft.tick();
    expect(raft.state).toBe('follower');
    raft.tick();
    expect(raft.state).toBe('candidate');
  });
});

describe('in every state', () => {
  const log = { index: 5, logTerm: 3, context: EMPTY_BYTES } as const;

  test.each(states)('a %s grants a vote of a later term, and follows nobody yet', (state) => {
    const raft = memberIn(state);
    raft.step({ type: 'vote', from: TWO, to: ONE, term: 7, ...log });
    expect([raft.state, raft.term, raft.vote, raft.lead]).toEqual(['follower', 7, TWO, null]);
    expect(settle(raft)).toMatchObject([{ type: 'vote-resp', term: 7, reject: false }]);
  });

  test.each(states)('a %s grants a pre-vote of a later term, and stays what it is', (state) => {
    const raft = memberIn(state);
    const before = [raft.state, raft.term, raft.vote, raft.lead];
    raft.step({ type: 'pre-vote', from: TWO, to: ONE, term: 7, ...log });
    expect([raft.state, raft.term, raft.vote, raft.lead]).toEqual(before);
    expect(settle(raft)).toMatchObject([{ type: 'pre-vote-resp', term: 7, reject: false }]);
  });

  test.each(states)('a %s follows the leader of a later term', (state) => {
    const raft = memberIn(state);
    const append = { index: 0, logTerm: 0, entries: [], commit: 0 } as const;
    raft.step({ type: 'app', from: TWO, to: ONE, term: 7, ...append });
    expect([raft.state, raft.term, raft.lead]).toEqual(['follower', 7, TWO]);
  });

  test.each(['pre-candidate', 'candidate'] as const)('a %s gives up for its term', (state) => {
    const raft = memberIn(state);
    const { term } = raft;
    raft.step({ type: 'heartbeat', from: TWO, to: ONE, term, commit: 0, context: EMPTY_BYTES });
    expect([raft.state, raft.term, raft.lead]).toEqual(['follower', term, TWO]);
  });

  test.each(states)('a %s does nothing about an answer of an earlier term', (state) => {
    const raft = memberIn(state);
    const before = raft.status();
    raft.step(voteOf(TWO, 0));
    raft.step({ type: 'heartbeat-resp', from: TWO, to: ONE, term: 0, context: EMPTY_BYTES });
    expect(raft.status()).toEqual(before);
    expect(settle(raft)).toEqual([]);
  });
});

describe('asked to take over', () => {
  const timeoutNow: Message = { type: 'timeout-now', from: TWO, to: ONE, term: 1 };

  test('a voter campaigns at once, past pre-votes', () => {
    const raft = memberOne(3, { preVote: true });
    raft.step(timeoutNow);
    expect([raft.state, raft.term]).toEqual(['candidate', 2]);
  });

  test.each([
    ['a learner', { ...EMPTY_CONF_STATE, voters: [TWO, THREE], learners: [ONE] }],
    ['who is not of the group', { ...EMPTY_CONF_STATE, voters: [TWO, THREE] }],
  ])('%s does not', (_name, confState) => {
    const hardState = { term: 1, vote: null, commit: 0 };
    const snapshot = { index: 0, term: 0, confState: EMPTY_CONF_STATE };
    const restored = { hardState, snapshot, confState, entries: [], applied: 0 };
    const raft = memberOne(3, { restored });
    raft.step(timeoutNow);
    for (let tick = 0; tick < 3 * ELECTION_TICKS; tick++) raft.tick();
    expect([raft.state, raft.term]).toEqual(['follower', 1]);
  });

  test('a candidate goes on as it is', () => {
    const raft = memberIn('candidate');
    raft.step({ ...timeoutNow, term: 2 });
    expect([raft.state, raft.term]).toEqual(['candidate', 2]);
  });
});

test('a leader sends heartbeats at its interval, whatever else it sends', () => {
  const raft = memberOne(3, { heartbeatTicks: 3 });
  raft.campaign();
  settle(raft);
  raft.step(voteOf(TWO, 2));
  settle(raft);
  const ticks: number[] = [];
  for (let tick = 1; tick <= 9; tick++) {
    raft.tick();
    raft.propose(Buffer.from('a'));
    if (settle(raft).some((message) => message.type === 'heartbeat')) ticks.push(tick);
  }
  expect(ticks).toEqual([3, 6, 9]);
});
