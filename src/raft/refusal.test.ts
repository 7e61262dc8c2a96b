// Messages that no member sends: they change nothing, are not answered, and end nobody.
import { beforeEach, describe, expect, it } from 'vitest';
import type { MemberId } from '../types.ts';
import { EMPTY_CONF_STATE } from './membership.ts';
import type { Entry, Message } from './messages.ts';
import { Raft } from './raft.ts';

const SELF = 1n as MemberId;
const OTHER = 2n as MemberId;
const NOTHING = new Uint8Array(0);

function entry(index: number, term: number, data = ''): Entry {
  return { type: 'normal', term, index, data: Buffer.from(data) };
}

function append(fields: Partial<Extract<Message, { type: 'app' }>>): Message {
  const base = { from: OTHER, to: SELF, term: 5, index: 2, logTerm: 3, commit: 0 };
  return { type: 'app', entries: [], ...base, ...fields };
}

describe('refused', () => {
  let raft: Raft;

  beforeEach(() => {
    raft = new Raft({
      id: SELF,
      electionTicks: 10,
      heartbeatTicks: 1,
      preVote: true,
      checkQuorum: true,
      random: { below: () => 0, u64: () => 0n },
      appendBytesMax: 1000,
      appendsInflightMax: 10,
      applyBytesMax: 1000,
      decodeConfChange: () => null,
      entryProblem: ({ data }) => (data.length === 3 ? 'it is bad' : null),
      restored: {
        hardState: { term: 5, vote: null, commit: 1 },
        snapshot: { index: 0, term: 0, confState: EMPTY_CONF_STATE },
        confState: { ...EMPTY_CONF_STATE, voters: [SELF, OTHER] },
        entries: [entry(1, 3), entry(2, 3)],
        applied: 1,
      },
    });
    raft.takeReady();
  });

  const context = NOTHING;
  const heartbeat = { type: 'heartbeat', from: OTHER, to: SELF, term: 5, context } as const;
  const both = { ...EMPTY_CONF_STATE, voters: [SELF], learners: [SELF] };
  const metadata = { index: 9, term: 5, confState: { ...EMPTY_CONF_STATE, voters: [SELF] } };
  const snap = { type: 'snap', from: OTHER, to: SELF, term: 5 } as const;
  const messages: readonly (readonly [string, Message])[] = [
    ['what says to be from here', append({ from: SELF })],
    ['what is from nobody', append({ from: 0n as MemberId })],
    ['a term that nobody has reached', append({ term: Number.MAX_SAFE_INTEGER })],
    ['entries with a gap', append({ entries: [entry(3, 5), entry(5, 5)] })],
    ['entries that do not follow', append({ entries: [entry(9, 5)] })],
    ['entries whose terms fall', append({ entries: [entry(3, 5), entry(4, 4)] })],
    ['entries before their predecessor', append({ entries: [entry(3, 2)] })],
    ['entries of a later term', append({ entries: [entry(3, 6)] })],
    ['entries that cannot be applied', append({ entries: [entry(3, 5, 'bad')] })],
    ['such proposals', { type: 'prop', from: OTHER, to: SELF, entries: [entry(0, 0, 'bad')] }],
    ['a commit beyond the log', { ...heartbeat, commit: 3 }],
    ['the same in a later term', { ...heartbeat, term: 6, commit: 3 }],
    [
      'a state of a later term',
      { ...snap, snapshot: { metadata: { ...metadata, term: 6 }, data: NOTHING } },
    ],
    [
      'a state with no configuration',
      { ...snap, snapshot: { metadata: { ...metadata, confState: both }, data: NOTHING } },
    ],
    [
      'a state at no index',
      { ...snap, snapshot: { metadata: { ...metadata, index: 2 ** 53 - 1 }, data: NOTHING } },
    ],
  ];

  for (const [what, message] of messages) {
    it(what, () => {
      expect(raft.step(message)).not.toBe(null);
      expect(raft.hasReady()).toBe(false);
      expect({ term: raft.term, lead: raft.lead, last: raft.lastIndex }).toEqual({
        term: 5,
        lead: null,
        last: 2,
      });
    });
  }

  it('is nothing that a leader says', () => {
    expect(raft.step(append({ entries: [entry(3, 4), entry(4, 5)], commit: 9 }))).toBe(null);
    expect(raft.step({ ...heartbeat, commit: 4 })).toBe(null);
    expect(raft.lead).toBe(OTHER);
    expect(raft.commit).toBe(4);
  });

  it('is not what an earlier leader says: it must hear of the later term', () => {
    expect(raft.step({ ...heartbeat, term: 4, commit: 9 })).toBe(null);
    raft.takeReady();
    expect(raft.term).toBe(5);
  });

  it('is not a request to hand over to this member itself', () => {
    const message: Message = { type: 'transfer-leader', from: SELF, to: SELF, term: 0 };
    expect(raft.step(message)).toBe(null);
  });

  it('but a change in the log that cannot be made changes nothing', () => {
    const before = raft.confState;
    const leave = { transition: 'auto', changes: [], context: NOTHING } as const;
    expect(raft.applyConfChange(leave)).toEqual(before);
  });
});
