/** The rules by which a member takes or refuses a message, as tables. */

import { describe, expect, test } from 'vitest';
import type { Random } from '../ports.ts';
import { EMPTY_BYTES, type MemberId } from '../types.ts';
import { EMPTY_CONF_STATE } from './membership.ts';
import type { Entry, Message } from './messages.ts';
import { Raft, type RaftOptions } from './raft.ts';

const ONE = 1n as MemberId;
const TWO = 2n as MemberId;
const THREE = 3n as MemberId;
const random: Random = { below: () => 0, u64: () => 0n };
const TRANSFER = Buffer.from('CampaignTransfer');

/** Member 1 of three at term 5 with a log that ends at 2/4. */
function memberOne(options: {
  readonly vote?: MemberId;
  readonly lead?: MemberId;
  readonly settings?: Partial<RaftOptions>;
}): Raft {
  const entries: Entry[] = [1, 4].map((term, at) => ({
    type: 'normal',
    term,
    index: at + 1,
    data: EMPTY_BYTES,
  }));
  const raft = new Raft({
    id: ONE,
    electionTicks: 10,
    heartbeatTicks: 1,
    preVote: false,
    checkQuorum: false,
    random,
    appendBytesMax: 1000,
    appendsInflightMax: 8,
    applyBytesMax: 1000,
    decodeConfChange: () => null,
    restored: {
      hardState: { term: 5, vote: options.vote ?? null, commit: 1 },
      snapshot: { index: 0, term: 0, confState: EMPTY_CONF_STATE },
      confState: { ...EMPTY_CONF_STATE, voters: [ONE, TWO, THREE] },
      entries,
      applied: 1,
    },
    ...options.settings,
  });
  if (options.lead !== undefined) {
    const head = { type: 'heartbeat', to: ONE, term: 5, commit: 0 } as const;
    raft.step({ ...head, from: options.lead, context: EMPTY_BYTES });
  }
  raft.takeReady();
  return raft;
}

/** Everything sent, whether it waits for the disk or not. */
function answers(raft: Raft): readonly Message[] {
  const { send, persist } = raft.takeReady();
  return [...send, ...(persist?.thenSend ?? [])];
}

function request(
  type: 'vote' | 'pre-vote',
  term: number,
  log: { readonly index: number; readonly logTerm: number },
  context: Uint8Array = EMPTY_BYTES,
): Message {
  return { type, from: TWO, to: ONE, term, ...log, context };
}

const longer = { index: 3, logTerm: 4 };
const same = { index: 2, logTerm: 4 };
const shorter = { index: 1, logTerm: 4 };
const older = { index: 9, logTerm: 3 };

describe('votes', () => {
  test.each([
    ['a free vote', {}, 5, same, 'yes'],
    ['a longer log', {}, 5, longer, 'yes'],
    ['a shorter log', {}, 5, shorter, 'no'],
    ['a longer log of an older term', {}, 5, older, 'no'],
    ['the same vote again', { vote: TWO }, 5, same, 'yes'],
    ['a vote that was given away', { vote: THREE }, 5, same, 'no'],
    ['a leader of the term is known', { lead: THREE }, 5, same, 'no'],
    ['a vote given away in an earlier term', { vote: THREE }, 6, same, 'yes'],
    ['a later term but a shorter log', {}, 6, shorter, 'no'],
    ['an earlier term', {}, 4, longer, 'silence'],
  ] as const)('%s', (_name, options, term, log, expected) => {
    const raft = memberOne(options);
    raft.step(request('vote', term, log));
    const [answer] = answers(raft);
    if (expected === 'silence') expect(answer).toBeUndefined();
    else expect(answer).toMatchObject({ type: 'vote-resp', term, reject: expected === 'no' });
    expect(raft.vote === TWO).toBe(expected === 'yes');
  });

  test.each([
    // name, options, term, log, term of the answer, granted
    ['a future term', {}, 6, same, 6, true],
    ['a future term though the vote is given away', { vote: THREE }, 6, same, 6, true],
    ['a shorter log', {}, 6, shorter, 5, false],
    ['the own term, vote given away', { vote: THREE }, 5, same, 5, false],
    ['an earlier term', {}, 4, longer, 5, false],
  ] as const)('pre-vote: %s', (_name, options, term, log, answerTerm, granted) => {
    const raft = memberOne(options);
    const vote = raft.vote;
    raft.step(request('pre-vote', term, log));
    expect(answers(raft)).toMatchObject([
      { type: 'pre-vote-resp', term: answerTerm, reject: !granted },
    ]);
    expect([raft.term, raft.vote]).toEqual([5, vote]);
  });
});

describe('the lease', () => {
  const settings = { checkQuorum: true };

  test.each(['vote', 'pre-vote'] as const)('ignores a %s while a leader is heard of', (type) => {
    const raft = memberOne({ lead: THREE, settings });
    raft.step(request(type, 6, longer));
    expect(answers(raft)).toEqual([]);
    expect(raft.term).toBe(5);
  });

  test('yields to a transfer, and when it has run out', () => {
    const transferred = memberOne({ lead: THREE, settings });
    transferred.step(request('vote', 6, longer, TRANSFER));
    expect(transferred.vote).toBe(TWO);
    const patient = new Array(10).fill(0);
    // The own election would come at the same tick, so this member draws a longer timeout.
    const late = memberOne({ lead: THREE, settings: { ...settings, random: lateRandom } });
    for (const _ of patient) late.tick();
    late.step(request('vote', 6, longer));
    expect(late.vote).toBe(TWO);
  });

  test('does not hold without check-quorum', () => {
    const raft = memberOne({ lead: THREE });
    raft.step(request('vote', 6, longer));
    expect(raft.vote).toBe(TWO);
  });
});

const lateRandom: Random = { below: (n) => n - 1, u64: () => 0n };

describe('terms', () => {
  const app = { type: 'app', from: TWO, to: ONE, entries: [], commit: 0, index: 2 } as const;
  const heartbeat = { type: 'heartbeat', from: TWO, to: ONE, commit: 0 } as const;

  test.each([
    ['app', { ...app, logTerm: 4, term: 7 }, TWO],
    ['heartbeat', { ...heartbeat, context: EMPTY_BYTES, term: 7 }, TWO],
    ['vote-resp', { type: 'vote-resp', from: TWO, to: ONE, term: 7, reject: true }, null],
    [
      'pre-vote-resp no',
      { type: 'pre-vote-resp', from: TWO, to: ONE, term: 7, reject: true },
      null,
    ],
  ] as const)('a later %s makes a follower of its term', (_name, message, lead) => {
    const raft = memberOne({ lead: THREE });
    raft.step(message);
    expect([raft.term, raft.lead, raft.state]).toEqual([7, lead, 'follower']);
  });

  test('a granted pre-vote does not move the term, however late', () => {
    const raft = memberOne({});
    raft.step({ type: 'pre-vote-resp', from: TWO, to: ONE, term: 9, reject: false });
    expect(raft.term).toBe(5);
  });

  test.each([
    [{}, 0],
    [{ checkQuorum: true }, 1],
    [{ preVote: true }, 1],
  ])('a leader of an earlier term is told of ours with %j', (settings, count) => {
    const raft = memberOne({ settings });
    raft.step({ ...heartbeat, context: EMPTY_BYTES, term: 4 });
    raft.step({ ...app, logTerm: 4, term: 3 });
    const answer = { type: 'app-resp', term: 5, index: 0, reject: false };
    expect(answers(raft)).toMatchObject(new Array(count).fill(answer));
  });

  test('what is addressed to another, or answers from a stranger, changes nothing', () => {
    const raft = memberOne({});
    raft.step({ ...heartbeat, to: THREE, context: EMPTY_BYTES, term: 9 });
    const stranger = 9n as MemberId;
    raft.step({ type: 'vote-resp', from: stranger, to: ONE, term: 9, reject: false });
    expect(raft.term).toBe(5);
  });
});

describe('appends', () => {
  function append(index: number, logTerm: number, commit: number): Message {
    return { type: 'app', from: TWO, to: ONE, term: 5, index, logTerm, entries: [], commit };
  }

  test.each([
    ['below the commit: names the commit', append(0, 0, 0), { index: 1, reject: false }],
    ['matching: names what matches', append(2, 4, 0), { index: 2, reject: false }],
    ['too far: hints at the end', append(9, 5, 0), { index: 9, reject: true, rejectHint: 2 }],
    [
      'another term: hints below it',
      append(2, 3, 0),
      { index: 2, reject: true, rejectHint: 1, logTerm: 1 },
    ],
  ])('%s', (_name, message, expected) => {
    const raft = memberOne({});
    raft.step(message);
    expect(answers(raft)).toMatchObject([expected]);
  });

  test('what waits for the disk is acknowledged once', () => {
    const raft = memberOne({});
    const entry: Entry = { type: 'normal', term: 5, index: 3, data: EMPTY_BYTES };
    const head = { type: 'app', from: TWO, to: ONE, term: 5, commit: 0 } as const;
    raft.step({ ...head, index: 2, logTerm: 4, entries: [entry] });
    raft.step({ ...head, index: 3, logTerm: 5, entries: [{ ...entry, index: 4 }] });
    raft.step({ ...head, index: 9, logTerm: 5, entries: [] });
    raft.step({ ...head, index: 4, logTerm: 5, entries: [] });
    expect(answers(raft)).toMatchObject([
      { index: 4, reject: false },
      { index: 9, reject: true },
      { index: 4, reject: false },
    ]);
  });

  test('the commit index follows only as far as the logs are known to match', () => {
    const raft = memberOne({});
    raft.step(append(1, 1, 2));
    expect(raft.commit).toBe(1);
    raft.step(append(2, 4, 9));
    expect(raft.commit).toBe(2);
  });

  test('a snapshot of what the log has only moves the commit', () => {
    const raft = memberOne({});
    const confState = { ...EMPTY_CONF_STATE, voters: [ONE, TWO, THREE] };
    const metadata = { index: 2, term: 4, confState };
    const snapshot = { metadata, data: EMPTY_BYTES };
    raft.step({ type: 'snap', from: TWO, to: ONE, term: 5, snapshot });
    expect([raft.commit, raft.firstIndex]).toEqual([2, 1]);
    expect(answers(raft)).toMatchObject([{ type: 'app-resp', index: 2, reject: false }]);
  });

  test('a snapshot for a group without this member is ignored', () => {
    const raft = memberOne({});
    const confState = { ...EMPTY_CONF_STATE, voters: [TWO, THREE] };
    const snapshot = { metadata: { index: 8, term: 5, confState }, data: EMPTY_BYTES };
    raft.step({ type: 'snap', from: TWO, to: ONE, term: 5, snapshot });
    expect(raft.lastIndex).toBe(2);
    expect(answers(raft)).toMatchObject([{ type: 'app-resp', index: 1, reject: false }]);
  });
});

describe('a leader', () => {
  function leader(): Raft {
    const raft = memberOne({});
    raft.campaign();
    raft.takeReady();
    raft.persisted();
    raft.step({ type: 'vote-resp', from: TWO, to: ONE, term: 6, reject: false });
    raft.takeReady();
    raft.persisted();
    raft.takeReady();
    return raft;
  }

  function rejects(rejectHint: number, logTerm: number): Message {
    const head = { type: 'app-resp', from: TWO, to: ONE, term: 6, index: 2 } as const;
    return { ...head, reject: true, rejectHint, logTerm };
  }

  test.each([
    // Our log is 1/1 2/4 3/6.
    ['a hint with a term skips what is certain to differ', 2, 3, 1],
    ['a hint of 3.4 without a term is where its log ends', 1, 0, 1],
    ['an empty log is filled from the start', 0, 0, 0],
  ])('%s', (_name, hint, logTerm, index) => {
    const raft = leader();
    raft.step(rejects(hint, logTerm));
    expect(answers(raft)).toMatchObject([{ type: 'app', to: TWO, index }]);
  });

  test('believes nobody who has more than there is', () => {
    const raft = leader();
    const head = { type: 'app-resp', from: TWO, to: ONE, term: 6, rejectHint: 0, logTerm: 0 };
    const before = raft.commit;
    raft.step({ ...head, index: 4, reject: false } as Message);
    expect(raft.commit).toBe(before);
    raft.step({ ...head, index: 3, reject: false } as Message);
    expect(raft.commit).toBe(3);
    expect(before).toBeLessThan(3);
  });

  test('takes any acknowledgement that its log can continue for the end of a snapshot', () => {
    const raft = leader();
    const ack = {
      type: 'app-resp',
      from: TWO,
      to: ONE,
      term: 6,
      rejectHint: 0,
      logTerm: 0,
    } as const;
    const three = { ...ack, from: THREE };
    raft.step({ ...three, index: 3, reject: false });
    for (let ready = raft.takeReady(); ready.apply.length > 0; ready = raft.takeReady()) {
      raft.applied(ready.apply.at(-1)?.index ?? 0);
    }
    raft.compactLog(2);
    raft.step({ ...ack, index: 2, reject: true });
    expect(answers(raft)).toMatchObject([{ type: 'snap', snapshot: { metadata: { index: 3 } } }]);
    // It got an older snapshot than the one offered, from somewhere else.
    raft.step({ ...ack, index: 1, reject: false });
    expect(raft.status().progress[1]).toMatchObject({ state: 'snapshot', match: 1 });
    raft.step({ ...ack, index: 2, reject: false });
    expect(raft.status().progress[1]).toMatchObject({ state: 'replicate', match: 2 });
    expect(answers(raft)).toMatchObject([{ type: 'app', to: TWO, index: 2, entries: [{}] }]);
  });

  test('does not campaign, nor does one with a conf change to apply', () => {
    expect(leader().campaign()).toBe(false);
    const raft = memberOne({ lead: TWO });
    const entry: Entry = { type: 'conf-change', term: 5, index: 3, data: EMPTY_BYTES };
    const head = { type: 'app', from: TWO, to: ONE, term: 5, index: 2, logTerm: 4 } as const;
    raft.step({ ...head, entries: [entry], commit: 3 });
    expect(raft.campaign()).toBe(false);
    expect(raft.takeReady().apply.length).toBe(1);
    raft.persisted();
    raft.applied(2);
    expect(raft.takeReady().apply.length).toBe(1);
    raft.applyConfChange(null);
    expect(raft.campaign()).toBe(false);
    raft.applied(3);
    expect(raft.campaign()).toBe(true);
  });

  test('malformed and impossible conf changes become empty entries', () => {
    const raft = leader();
    expect(raft.proposeMembership('conf-change', Buffer.from('garbage'))).toBe(true);
    expect(raft.entryAt(4)).toMatchObject({ type: 'normal', data: EMPTY_BYTES });
  });

  test('echoes that it cannot have asked for confirm nothing', () => {
    const raft = leader();
    const ack = { type: 'app-resp', from: TWO, to: ONE, term: 6, index: 3 } as const;
    raft.step({ ...ack, reject: false, rejectHint: 0, logTerm: 0 });
    raft.requestRead(Buffer.from('r'));
    raft.takeReady();
    const echo = { type: 'heartbeat-resp', from: TWO, to: ONE, term: 6 } as const;
    raft.step({ ...echo, context: Buffer.from('x') });
    raft.step({ ...echo, context: new Uint8Array(8).fill(255) });
    expect(raft.takeReady().reads).toEqual([]);
    raft.step({ ...echo, context: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0) });
    expect(raft.takeReady().reads).toMatchObject([{ index: 3 }]);
  });
});
