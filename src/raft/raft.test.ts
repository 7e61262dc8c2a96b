import { describe, expect, test } from 'vitest';
import type { Random } from '../ports.ts';
import type { MemberId } from '../types.ts';
import { EMPTY_CONF_STATE } from './membership.ts';
import type { Entry } from './messages.ts';
import { Raft, type RaftOptions, type RestoredState } from './raft.ts';

const ONE = 1n as MemberId;
const TWO = 2n as MemberId;
const THREE = 3n as MemberId;
const random: Random = { below: () => 0, u64: () => 0n };

function restoredWith(voters: readonly MemberId[], more: Partial<RestoredState> = {}) {
  return {
    hardState: { term: 0, vote: null, commit: 0 },
    snapshot: { index: 0, term: 0, confState: EMPTY_CONF_STATE },
    confState: { ...EMPTY_CONF_STATE, voters },
    entries: [],
    applied: 0,
    ...more,
  };
}

function raftOf(voters: readonly MemberId[], more: Partial<RaftOptions> = {}): Raft {
  return new Raft({
    id: ONE,
    electionTicks: 10,
    heartbeatTicks: 1,
    preVote: true,
    checkQuorum: true,
    random,
    appendBytesMax: 1000,
    appendsInflightMax: 8,
    applyBytesMax: 1000,
    decodeConfChange: () => null,
    restored: restoredWith(voters),
    ...more,
  });
}

function bytes(text: string): Uint8Array {
  return Buffer.from(text);
}

function texts(entries: readonly Entry[]): readonly string[] {
  return entries.map((entry) => Buffer.from(entry.data).toString());
}

/** A lone leader with its first entry applied. */
function loneLeader(more: Partial<RaftOptions> = {}): Raft {
  const raft = raftOf([ONE], more);
  expect(raft.campaign()).toBe(true);
  raft.takeReady();
  raft.persisted();
  raft.takeReady();
  raft.persisted();
  for (const entry of raft.takeReady().apply) raft.applied(entry.index);
  return raft;
}

/** A leader of three whose own entries are durable. */
function leaderOfThree(more: Partial<RaftOptions> = {}): Raft {
  const raft = raftOf([ONE, TWO, THREE], { preVote: false, ...more });
  raft.campaign();
  raft.takeReady();
  raft.persisted();
  raft.step({ type: 'vote-resp', from: TWO, to: ONE, term: 1, reject: false });
  raft.takeReady();
  raft.persisted();
  return raft;
}

describe('a group of one voter', () => {
  test('elects itself in two writes: its vote, then the entry that opens the term', () => {
    const raft = raftOf([ONE]);
    expect(raft.campaign()).toBe(true);
    const vote = raft.takeReady();
    expect(vote.persist?.hardState).toEqual({ term: 1, vote: ONE, commit: 0 });
    expect(vote.role?.state).toBe('candidate');
    raft.persisted();
    const opening = raft.takeReady();
    expect(opening.role).toEqual({ state: 'leader', lead: ONE, term: 1 });
    expect(opening.persist?.entries.length).toBe(1);
    expect(opening.persist?.hardState).toBeNull();
    expect(opening.apply).toEqual([]);
    raft.persisted();
    expect(raft.takeReady().apply.length).toBe(1);
  });

  test('commits a batch with exactly one write', () => {
    const raft = loneLeader();
    expect(raft.proposeBatch([bytes('a'), bytes('b')])).toBe(2);
    expect(raft.propose(bytes('c'))).toBe(true);
    const first = raft.takeReady();
    expect(texts(first.persist?.entries ?? [])).toEqual(['a', 'b', 'c']);
    expect(first.persist?.mustSync).toBe(true);
    expect(first.apply).toEqual([]);
    raft.persisted();
    const second = raft.takeReady();
    expect(texts(second.apply)).toEqual(['a', 'b', 'c']);
    expect(second.persist).toBeNull();
    raft.applied(4);
    expect(raft.hasReady()).toBe(false);
  });

  test('gathers proposals while a write is in flight into the next one', () => {
    const raft = loneLeader();
    raft.propose(bytes('a'));
    raft.takeReady();
    raft.propose(bytes('b'));
    raft.propose(bytes('c'));
    expect(raft.takeReady().persist).toBeNull();
    raft.persisted();
    const next = raft.takeReady();
    expect(texts(next.apply)).toEqual(['a']);
    expect(texts(next.persist?.entries ?? [])).toEqual(['b', 'c']);
    expect(next.persist?.hardState?.commit).toBe(2);
  });

  test('writes a commit mark on its own only at a tick, and without a sync', () => {
    const raft = loneLeader();
    expect(raft.takeReady().persist).toBeNull();
    raft.tick();
    expect(raft.takeReady().persist).toEqual({
      hardState: { term: 1, vote: ONE, commit: 1 },
      entries: [],
      snapshot: null,
      mustSync: false,
      thenSend: [],
    });
    raft.persisted();
    raft.tick();
    expect(raft.takeReady().persist).toBeNull();
  });

  test('hands out what to apply in batches of bounded bytes, one at a time', () => {
    const raft = loneLeader({ applyBytesMax: 60 });
    for (const text of ['a', 'b', 'c']) raft.propose(bytes(text));
    raft.takeReady();
    raft.persisted();
    expect(texts(raft.takeReady().apply)).toEqual(['a', 'b']);
    expect(raft.takeReady().apply).toEqual([]);
    raft.applied(3);
    expect(raft.hasReady()).toBe(true);
    expect(texts(raft.takeReady().apply)).toEqual(['c']);
  });

  test('does not answer a read before it has committed in its term', () => {
    const entries: Entry[] = [{ type: 'normal', term: 1, index: 1, data: bytes('a') }];
    const restored = restoredWith([ONE], {
      hardState: { term: 1, vote: ONE, commit: 0 },
      entries,
    });
    const raft = raftOf([ONE], { restored });
    raft.campaign();
    raft.takeReady();
    raft.persisted();
    expect(raft.requestRead(bytes('r'))).toBe(true);
    expect(raft.takeReady().reads).toEqual([]);
    raft.persisted();
    expect(raft.takeReady().reads).toEqual([{ context: bytes('r'), index: 2 }]);
    expect(raft.requestRead(bytes('s'))).toBe(true);
    expect(raft.takeReady().reads).toEqual([{ context: bytes('s'), index: 2 }]);
  });

  test('a slow disk does not cost it its leadership', () => {
    const raft = loneLeader();
    raft.propose(bytes('a'));
    raft.takeReady();
    for (let i = 0; i < 50; i++) raft.tick();
    expect(raft.state).toBe('leader');
  });

  test('refuses proposals beyond the bytes it may keep uncommitted, but never the first', () => {
    const raft = loneLeader({ uncommittedBytesMax: 4 });
    expect(raft.propose(bytes('12345'))).toBe(true);
    expect(raft.propose(bytes('6'))).toBe(false);
    raft.takeReady();
    raft.persisted();
    raft.takeReady();
    raft.applied(2);
    expect(raft.propose(bytes('6'))).toBe(true);
  });
});

describe('recovery', () => {
  const entries: Entry[] = [
    { type: 'normal', term: 1, index: 1, data: bytes('a') },
    { type: 'normal', term: 1, index: 2, data: bytes('b') },
  ];

  test('a commit mark behind the state machine is raised to it', () => {
    const restored = restoredWith([ONE], {
      hardState: { term: 1, vote: ONE, commit: 0 },
      entries,
      applied: 1,
    });
    const raft = raftOf([ONE], { restored });
    expect(raft.commit).toBe(1);
    expect(raft.takeReady().apply).toEqual([]);
  });

  test('what was committed but not applied is handed out at once', () => {
    const restored = restoredWith([ONE], {
      hardState: { term: 1, vote: ONE, commit: 2 },
      entries,
      applied: 1,
    });
    expect(texts(raftOf([ONE], { restored }).takeReady().apply)).toEqual(['b']);
  });

  test('a log that does not reach what was applied is not accepted', () => {
    const restored = restoredWith([ONE], { entries, applied: 3 });
    expect(() => raftOf([ONE], { restored })).toThrow('what is applied is in the log');
  });
});

describe('what waits for the disk', () => {
  test('a vote is sent after it is durable', () => {
    const raft = raftOf([ONE, TWO, THREE]);
    const none = new Uint8Array(0);
    raft.step({ type: 'vote', from: TWO, to: ONE, term: 1, index: 0, logTerm: 0, context: none });
    const ready = raft.takeReady();
    expect(ready.send).toEqual([]);
    expect(ready.persist?.hardState).toEqual({ term: 1, vote: TWO, commit: 0 });
    expect(ready.persist?.thenSend.map((m) => m.type)).toEqual(['vote-resp']);
  });

  test('an acknowledgement made during a write waits for the next one', () => {
    const raft = raftOf([ONE, TWO, THREE]);
    const entry: Entry = { type: 'normal', term: 1, index: 1, data: bytes('a') };
    const head = { type: 'app', from: TWO, to: ONE, term: 1, commit: 0 } as const;
    raft.step({ ...head, index: 0, logTerm: 0, entries: [entry] });
    expect(raft.takeReady().persist?.thenSend.length).toBe(1);
    raft.step({ ...head, index: 1, logTerm: 1, entries: [{ ...entry, index: 2 }] });
    const during = raft.takeReady();
    expect(during.send).toEqual([]);
    expect(during.persist).toBeNull();
    raft.persisted();
    expect(raft.takeReady().persist?.thenSend).toMatchObject([{ type: 'app-resp', index: 2 }]);
  });

  test('an entry overwritten while it was being written is not taken for durable', () => {
    const raft = raftOf([ONE, TWO, THREE]);
    const entry: Entry = { type: 'normal', term: 1, index: 1, data: bytes('a') };
    raft.step({
      type: 'app',
      from: TWO,
      to: ONE,
      term: 1,
      commit: 0,
      index: 0,
      logTerm: 0,
      entries: [entry],
    });
    raft.takeReady();
    raft.step({
      type: 'app',
      from: THREE,
      to: ONE,
      term: 2,
      commit: 1,
      index: 0,
      logTerm: 0,
      entries: [{ ...entry, term: 2, data: bytes('b') }],
    });
    raft.persisted();
    expect(raft.durableIndex).toBe(0);
    const ready = raft.takeReady();
    expect(ready.apply).toEqual([]);
    expect(texts(ready.persist?.entries ?? [])).toEqual(['b']);
    raft.persisted();
    expect(texts(raft.takeReady().apply)).toEqual(['b']);
  });

  test("a leader's appends leave before its own write", () => {
    const raft = leaderOfThree();
    raft.step({
      type: 'app-resp',
      from: TWO,
      to: ONE,
      term: 1,
      index: 1,
      reject: false,
      rejectHint: 0,
      logTerm: 0,
    });
    raft.takeReady();
    raft.propose(bytes('a'));
    raft.propose(bytes('b'));
    const ready = raft.takeReady();
    expect(ready.send).toMatchObject([{ type: 'app', to: TWO, entries: [{}, {}] }]);
    expect(ready.persist?.entries.length).toBe(2);
  });

  test('a leader whose disk stalls beyond an election steps down and does not campaign', () => {
    const raft = leaderOfThree({ checkQuorum: false });
    raft.propose(bytes('a'));
    raft.takeReady();
    for (let i = 0; i < 11; i++) raft.tick();
    expect(raft.state).toBe('follower');
    for (let i = 0; i < 50; i++) raft.tick();
    expect(raft.state).toBe('follower');
    raft.persisted();
    for (let i = 0; i < 10; i++) raft.tick();
    expect(raft.state).toBe('candidate');
  });
});

describe('proposals on a follower', () => {
  test('go to the leader in one message, and are dropped without one', () => {
    const raft = raftOf([ONE, TWO, THREE]);
    expect(raft.propose(bytes('a'))).toBe(false);
    const none = new Uint8Array(0);
    raft.step({ type: 'heartbeat', from: TWO, to: ONE, term: 1, commit: 0, context: none });
    expect(raft.proposeBatch([bytes('a'), bytes('b')])).toBe(2);
    const props = raft.takeReady().send.filter((m) => m.type === 'prop');
    expect(props).toMatchObject([{ to: TWO, from: ONE, entries: [{ term: 0 }, { index: 0 }] }]);
  });
});
