import { describe, expect, test } from 'vitest';
import type { ConfState, Entry, Message } from '../raft/messages.ts';
import type { MemberId } from '../types.ts';
import {
  decodeConfChange,
  decodeConfChangeV2,
  decodeConfState,
  decodeEntry,
  decodeHardState,
  decodeMessage,
  decodeSnapshot,
  encodeConfChange,
  encodeConfChangeV2,
  encodeConfState,
  encodeEntry,
  encodeHardState,
  encodeMessage,
  encodeSnapshot,
  putVarint,
  varintSize,
} from './raftpb.ts';
import { DecodeError } from './wire.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const bytes = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const A = 0xda9af9ca5be139a2n as MemberId;
const B = 0xffff_ffff_ffff_ffffn as MemberId;
const C = 1n as MemberId;

describe('varints', () => {
  test.each([
    0,
    1,
    127,
    128,
    16383,
    16384,
    2 ** 28,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 35,
    2 ** 53 - 1,
  ])('%i has the size and the bytes of protobuf', (value) => {
    const target = Buffer.alloc(12, 0xee);
    const end = putVarint(target, 0, value);
    expect(end).toBe(varintSize(value));
    let back = 0n;
    for (let i = end - 1; i >= 0; i--) back = (back << 7n) | BigInt(target.readUInt8(i) & 0x7f);
    expect(back).toBe(BigInt(value));
    expect(target.readUInt8(end - 1)).toBeLessThan(0x80);
  });
});

describe('entries and state', () => {
  // Bytes seen in files of etcd 3.4.23.
  test.each<[string, Entry]>([
    ['0800 1002 1802', { type: 'normal', term: 2, index: 2, data: Buffer.alloc(0) }],
    [
      '0800 1002 1805 2203 010203',
      { type: 'normal', term: 2, index: 5, data: Buffer.from([1, 2, 3]) },
    ],
    [
      '0801 1001 18f82e 2201 ff',
      { type: 'conf-change', term: 1, index: 6008, data: Buffer.from([255]) },
    ],
  ])('%s', (text, entry) => {
    expect(hex(encodeEntry(entry))).toBe(hex(bytes(text)));
    const back = decodeEntry(bytes(text));
    expect({ ...back, data: hex(back.data) }).toEqual({ ...entry, data: hex(entry.data) });
  });

  test('an entry as 3.7 writes it, without the zero type, is the same', () => {
    expect(decodeEntry(bytes('1002 1802'))).toMatchObject({ type: 'normal', term: 2, index: 2 });
  });

  test('an entry type that nobody knows is refused', () => {
    expect(() => decodeEntry(bytes('0803 1002 1802'))).toThrow(DecodeError);
  });

  test('hard state', () => {
    const state = { term: 2, vote: A, commit: 5 };
    expect(hex(encodeHardState(state))).toBe(hex(bytes('0802 10a2f384dfa5b9becdda01 1805')));
    expect(decodeHardState(encodeHardState(state))).toEqual(state);
    const blank = { term: 2, vote: null, commit: 0 };
    expect(hex(encodeHardState(blank))).toBe('080210001800');
    expect(decodeHardState(bytes('0802'))).toEqual(blank);
  });
});

describe('membership', () => {
  const joint: ConfState = {
    voters: [A, B],
    learners: [C],
    votersOutgoing: [C, A],
    learnersNext: [B],
    autoLeave: true,
  };

  test('configuration, plain and packed', () => {
    expect(decodeConfState(encodeConfState(joint))).toEqual(joint);
    const one = {
      voters: [C],
      learners: [],
      votersOutgoing: [],
      learnersNext: [],
      autoLeave: false,
    };
    expect(hex(encodeConfState(one))).toBe('08012800');
    expect(decodeConfState(bytes('0a02 0105'))).toEqual({ ...one, voters: [1n, 5n] });
  });

  test('a change as etcd 3.7 bootstraps with it', () => {
    const change = { id: 0n, type: 'add-node', nodeId: A, context: Buffer.from('{}') } as const;
    expect(hex(encodeConfChange(change))).toBe(hex(bytes('1000 18a2f384dfa5b9becdda01 2202 7b7d')));
    expect(decodeConfChange(encodeConfChange(change))).toEqual(change);
    expect(decodeConfChange(bytes('1001'))).toMatchObject({ type: 'remove-node', nodeId: null });
    expect(() => decodeConfChange(bytes('1004'))).toThrow(DecodeError);
  });

  test('a joint change, and the empty one that leaves it', () => {
    const change = {
      transition: 'joint-explicit',
      changes: [
        { type: 'add-learner-node', nodeId: B },
        { type: 'add-node', nodeId: C },
      ],
      context: Buffer.from('x'),
    } as const;
    expect(decodeConfChangeV2(encodeConfChangeV2(change))).toEqual(change);
    expect(decodeConfChangeV2(Buffer.alloc(0))).toMatchObject({ transition: 'auto', changes: [] });
  });

  test('snapshot', () => {
    const snapshot = {
      metadata: { index: 6005, term: 2, confState: joint },
      data: Buffer.alloc(300, 1),
    };
    expect(decodeSnapshot(encodeSnapshot(snapshot))).toEqual(snapshot);
  });
});

describe('messages', () => {
  const envelope = { from: A, to: B };
  const context = Buffer.from('4b15a1f8b663db03', 'hex');
  const entries: Entry[] = [
    { type: 'normal', term: 3, index: 8, data: Buffer.alloc(200, 2) },
    { type: 'conf-change', term: 3, index: 9, data: Buffer.from('y') },
  ];
  const confState = {
    voters: [A],
    learners: [],
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  };
  const all: Message[] = [
    { ...envelope, type: 'prop', entries },
    { ...envelope, type: 'app', term: 3, index: 7, logTerm: 2, entries, commit: 6 },
    { ...envelope, type: 'app-resp', term: 3, index: 7, reject: true, rejectHint: 5, logTerm: 1 },
    { ...envelope, type: 'vote', term: 3, index: 7, logTerm: 2, context },
    { ...envelope, type: 'pre-vote', term: 3, index: 7, logTerm: 2, context },
    { ...envelope, type: 'vote-resp', term: 3, reject: true },
    { ...envelope, type: 'pre-vote-resp', term: 3, reject: false },
    {
      ...envelope,
      type: 'snap',
      term: 3,
      snapshot: { metadata: { index: 4, term: 1, confState }, data: Buffer.from('s') },
    },
    { ...envelope, type: 'heartbeat', term: 3, commit: 6, context },
    { ...envelope, type: 'heartbeat-resp', term: 3, context },
    { ...envelope, type: 'timeout-now', term: 3 },
    { ...envelope, type: 'transfer-leader', term: 3 },
    { ...envelope, type: 'read-index', context },
    { ...envelope, type: 'read-index-resp', term: 3, index: 9, context },
  ];

  test.each(all.map((message) => [message.type, message] as const))('%s', (_, message) => {
    expect(decodeMessage(encodeMessage(message))).toEqual(message);
  });

  // Captured from 3.4.23, which writes every field, and an empty snapshot with them.
  const tail = '4a0a 1208 0a02 2800 1000 1800 5000 5800';
  test.each<[string, string, Message]>([
    [
      'vote on transfer',
      `0805 1001 1802 2003 2802 300b 4000 ${tail} 6210 43616d706169676e5472616e73666572`,
      {
        type: 'vote',
        to: C,
        from: 2n as MemberId,
        term: 3,
        logTerm: 2,
        index: 11,
        context: Buffer.from('CampaignTransfer'),
      },
    ],
    [
      'read index',
      `080f 1001 1802 2000 2800 3000 3a10 0800 1000 1800 2208 4b15a1f8b663db03 4000 ${tail}`,
      { type: 'read-index', to: C, from: 2n as MemberId, context },
    ],
    [
      'timeout now',
      `080e 1001 1802 2002 2800 3000 4000 ${tail}`,
      { type: 'timeout-now', to: C, from: 2n as MemberId, term: 2 },
    ],
  ])('%s from etcd', (_, text, message) => {
    expect(decodeMessage(bytes(text))).toEqual(message);
    // Ours is the same but for the empty snapshot.
    const ours = text.replace('4a0a 1208 0a02 2800 1000 1800 ', '');
    expect(hex(encodeMessage(message))).toBe(hex(bytes(ours)));
  });

  test('types that live inside a member are passed over', () => {
    for (const type of [0, 1, 10, 11, 12, 19, 20, 21, 22, 23, 99]) {
      expect(decodeMessage(Buffer.from([0x08, type]))).toBeNull();
    }
  });

  test('a snapshot message without one and a read without context are refused', () => {
    expect(() => decodeMessage(bytes('0807'))).toThrow(DecodeError);
    expect(() => decodeMessage(bytes('080f'))).toThrow(DecodeError);
    expect(() => decodeMessage(bytes('0803 3aff'))).toThrow(DecodeError);
  });
});
