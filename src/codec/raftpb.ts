/**
 * Raft's messages, entries and state between their protobuf bytes (`proto/raftpb/raft.proto`) and
 * the types of `raft/messages.ts`.
 *
 * Written is the form of etcd 3.4 to 3.6: every scalar, even when zero. All versions accept it, and
 * the tools of 3.7 need it in the log. Read are all forms: a missing scalar is zero. Terms and
 * indexes saturate at 2^53-1, ids are exact.
 */

import { must, unreachable } from '../assert.ts';
import type {
  ConfChange,
  ConfChangeTransition,
  ConfChangeType,
  ConfChangeV2,
  ConfState,
  Entry,
  EntryType,
  HardState,
  Message,
  MessageType,
  Snapshot,
  SnapshotMetadata,
} from '../raft/messages.ts';
import { EMPTY_BYTES, type MemberId } from '../types.ts';
import { DecodeError, decode, encode, Reader, type Writer } from './wire.ts';

const TWO_32 = 0x1_0000_0000;

const ENTRY_TYPES: readonly EntryType[] = ['normal', 'conf-change', 'conf-change-v2'];
const CONF_CHANGE_TYPES: readonly ConfChangeType[] = [
  'add-node',
  'remove-node',
  'update-node',
  'add-learner-node',
];
const TRANSITIONS: readonly ConfChangeTransition[] = ['auto', 'joint-implicit', 'joint-explicit'];

const MESSAGE_NUMBERS: Readonly<Record<MessageType, number>> = {
  prop: 2,
  app: 3,
  'app-resp': 4,
  vote: 5,
  'vote-resp': 6,
  snap: 7,
  heartbeat: 8,
  'heartbeat-resp': 9,
  'transfer-leader': 13,
  'timeout-now': 14,
  'read-index': 15,
  'read-index-resp': 16,
  'pre-vote': 17,
  'pre-vote-resp': 18,
};
const MESSAGE_TYPES: ReadonlyMap<number, MessageType> = new Map(
  Object.entries(MESSAGE_NUMBERS).map(([type, number]) => [number, type as MessageType]),
);

export const EMPTY_CONF_STATE: ConfState = {
  voters: [],
  learners: [],
  votersOutgoing: [],
  learnersNext: [],
  autoLeave: false,
};

function named<T>(names: readonly T[], number: number, what: string): T {
  const name = names[number];
  if (name === undefined) throw new DecodeError(`raftpb: unknown ${what} ${number}`);
  return name;
}

function optionalId(id: bigint): MemberId | null {
  return id === 0n ? null : (id as MemberId);
}

// Entry: sized and written by hand into a plain buffer, because it is the hot path of log and
// stream; everything else goes through `Writer`.

/** Bytes of a safe non-negative integer as a varint. */
export function varintSize(value: number): number {
  let size = 1;
  let rest = value;
  while (rest >= TWO_32) {
    rest = Math.floor(rest / 0x80);
    size++;
  }
  for (rest >>>= 0; rest >= 0x80; rest >>>= 7) size++;
  return size;
}

/** Writes a safe non-negative integer as a varint and returns the position behind it. */
export function putVarint(target: Uint8Array, at: number, value: number): number {
  let next = at;
  let rest = value;
  while (rest >= TWO_32) {
    target[next++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  for (rest >>>= 0; rest >= 0x80; rest >>>= 7) target[next++] = (rest & 0x7f) | 0x80;
  target[next++] = rest;
  return next;
}

export function entrySize(entry: Entry): number {
  const length = entry.data.length;
  const data = length === 0 ? 0 : 1 + varintSize(length) + length;
  return 4 + varintSize(entry.term) + varintSize(entry.index) + data;
}

/** Writes `entrySize(entry)` bytes and returns the position behind them. */
export function putEntry(target: Uint8Array, at: number, entry: Entry): number {
  let next = at;
  target[next++] = 0x08;
  target[next++] = ENTRY_TYPES.indexOf(entry.type);
  target[next++] = 0x10;
  next = putVarint(target, next, entry.term);
  target[next++] = 0x18;
  next = putVarint(target, next, entry.index);
  // etcd: a leader's opening entry has no data, and then the field is absent.
  if (entry.data.length === 0) return next;
  target[next++] = 0x22;
  next = putVarint(target, next, entry.data.length);
  target.set(entry.data, next);
  return next + entry.data.length;
}

export function encodeEntry(entry: Entry): Uint8Array {
  const bytes = Buffer.allocUnsafe(entrySize(entry));
  putEntry(bytes, 0, entry);
  return bytes;
}

/** The entry's data is a view of `bytes`. */
export function decodeEntry(bytes: Uint8Array): Entry {
  return decode(readEntry, bytes);
}

export function readEntry(r: Reader): Entry {
  let type = 0;
  let term = 0;
  let index = 0;
  let data = EMPTY_BYTES;
  while (!r.done) {
    const tag = r.tag();
    if (tag === 0x08) type = r.int32();
    else if (tag === 0x10) term = r.uint64();
    else if (tag === 0x18) index = r.uint64();
    else if (tag === 0x22) data = r.bytes();
    else r.discard(tag);
  }
  return { type: named(ENTRY_TYPES, type, 'entry type'), term, index, data };
}

function writeEntry(w: Writer, entry: Entry): void {
  w.int64(0x08);
  w.int64(ENTRY_TYPES.indexOf(entry.type));
  writeNumber(w, 0x10, entry.term);
  writeNumber(w, 0x18, entry.index);
  if (entry.data.length > 0) writeBytes(w, 0x22, entry.data);
}

function writeNumber(w: Writer, tag: number, value: number): void {
  w.uint32(tag);
  w.int64(value);
}

function writeId(w: Writer, tag: number, value: bigint | null): void {
  w.uint32(tag);
  w.int64Exact(value ?? 0n);
}

function writeBytes(w: Writer, tag: number, value: Uint8Array): void {
  w.uint32(tag);
  w.bytes(value);
}

function writeNested<T>(
  w: Writer,
  tag: number,
  write: (w: Writer, message: T) => void,
  message: T,
): void {
  w.uint32(tag);
  const start = w.open();
  write(w, message);
  w.close(start);
}

function readNested<T>(r: Reader, read: (r: Reader) => T): T {
  const outer = r.enter();
  const message = read(r);
  r.leave(outer);
  return message;
}

export function encodeHardState(state: HardState): Uint8Array {
  return encode(writeHardState, state);
}

export function decodeHardState(bytes: Uint8Array): HardState {
  return decode(readHardState, bytes);
}

export function writeHardState(w: Writer, state: HardState): void {
  writeNumber(w, 0x08, state.term);
  writeId(w, 0x10, state.vote);
  writeNumber(w, 0x18, state.commit);
}

function readHardState(r: Reader): HardState {
  let term = 0;
  let vote = 0n;
  let commit = 0;
  while (!r.done) {
    const tag = r.tag();
    if (tag === 0x08) term = r.uint64();
    else if (tag === 0x10) vote = r.uint64Exact();
    else if (tag === 0x18) commit = r.uint64();
    else r.discard(tag);
  }
  return { term, vote: optionalId(vote), commit };
}

export function encodeConfState(state: ConfState): Uint8Array {
  return encode(writeConfState, state);
}

export function decodeConfState(bytes: Uint8Array): ConfState {
  return decode(readConfState, bytes);
}

export function writeConfState(w: Writer, state: ConfState): void {
  for (const id of state.voters) writeId(w, 0x08, id);
  for (const id of state.learners) writeId(w, 0x10, id);
  for (const id of state.votersOutgoing) writeId(w, 0x18, id);
  for (const id of state.learnersNext) writeId(w, 0x20, id);
  writeNumber(w, 0x28, state.autoLeave ? 1 : 0);
}

export function readConfState(r: Reader): ConfState {
  const lists: [MemberId[], MemberId[], MemberId[], MemberId[]] = [[], [], [], []];
  let autoLeave = false;
  while (!r.done) {
    const tag = r.tag();
    const field = tag >>> 3;
    const list = lists[field - 1];
    if (tag === 0x28) autoLeave = r.bool();
    else if (list !== undefined && (tag & 7) === 0) list.push(r.uint64Exact() as MemberId);
    else if (list !== undefined && (tag & 7) === 2) readPackedIds(r, list);
    else r.discard(tag);
  }
  const [voters, learners, votersOutgoing, learnersNext] = lists;
  return { voters, learners, votersOutgoing, learnersNext, autoLeave };
}

/** No etcd packs these fields, but protobuf obliges a reader to accept it. */
function readPackedIds(r: Reader, into: MemberId[]): void {
  const outer = r.enter();
  while (!r.done) into.push(r.uint64Exact() as MemberId);
  r.leave(outer);
}

export function encodeConfChange(change: ConfChange): Uint8Array {
  return encode((w, c) => {
    // Founding entries have none. etcd up to 3.6 writes a 0; both read alike.
    if (c.id !== 0n) writeId(w, 0x08, c.id);
    writeNumber(w, 0x10, CONF_CHANGE_TYPES.indexOf(c.type));
    writeId(w, 0x18, c.nodeId);
    if (c.context.length > 0) writeBytes(w, 0x22, c.context);
  }, change);
}

export function decodeConfChange(bytes: Uint8Array): ConfChange {
  const r = new Reader(bytes);
  let id = 0n;
  let type = 0;
  let nodeId = 0n;
  let context = EMPTY_BYTES;
  while (!r.done) {
    const tag = r.tag();
    if (tag === 0x08) id = r.uint64Exact();
    else if (tag === 0x10) type = r.int32();
    else if (tag === 0x18) nodeId = r.uint64Exact();
    else if (tag === 0x22) context = r.bytes();
    else r.discard(tag);
  }
  const name = named(CONF_CHANGE_TYPES, type, 'conf change type');
  return { id, type: name, nodeId: optionalId(nodeId), context };
}

type ConfChangeSingle = ConfChangeV2['changes'][number];

function writeConfChangeSingle(w: Writer, single: ConfChangeSingle): void {
  writeNumber(w, 0x08, CONF_CHANGE_TYPES.indexOf(single.type));
  writeId(w, 0x10, single.nodeId);
}

function readConfChangeSingle(r: Reader): ConfChangeSingle {
  let type = 0;
  let nodeId = 0n;
  while (!r.done) {
    const tag = r.tag();
    if (tag === 0x08) type = r.int32();
    else if (tag === 0x10) nodeId = r.uint64Exact();
    else r.discard(tag);
  }
  return { type: named(CONF_CHANGE_TYPES, type, 'conf change type'), nodeId: nodeId as MemberId };
}

export function encodeConfChangeV2(change: ConfChangeV2): Uint8Array {
  return encode((w, c) => {
    writeNumber(w, 0x08, TRANSITIONS.indexOf(c.transition));
    for (const single of c.changes) writeNested(w, 0x12, writeConfChangeSingle, single);
    if (c.context.length > 0) writeBytes(w, 0x1a, c.context);
  }, change);
}

/** Empty bytes are the change that leaves a joint configuration. */
export function decodeConfChangeV2(bytes: Uint8Array): ConfChangeV2 {
  const r = new Reader(bytes);
  let transition = 0;
  const changes: ConfChangeSingle[] = [];
  let context = EMPTY_BYTES;
  while (!r.done) {
    const tag = r.tag();
    if (tag === 0x08) transition = r.int32();
    else if (tag === 0x12) changes.push(readNested(r, readConfChangeSingle));
    else if (tag === 0x1a) context = r.bytes();
    else r.discard(tag);
  }
  return { transition: named(TRANSITIONS, transition, 'transition'), changes, context };
}

export function encodeSnapshot(snapshot: Snapshot): Uint8Array {
  return encode(writeSnapshot, snapshot);
}

export function decodeSnapshot(bytes: Uint8Array): Snapshot {
  return decode(readSnapshot, bytes);
}

function writeSnapshot(w: Writer, snapshot: Snapshot): void {
  if (snapshot.data.length > 0) writeBytes(w, 0x0a, snapshot.data);
  writeNested(w, 0x12, writeSnapshotMetadata, snapshot.metadata);
}

function writeSnapshotMetadata(w: Writer, metadata: SnapshotMetadata): void {
  writeNested(w, 0x0a, writeConfState, metadata.confState);
  writeNumber(w, 0x10, metadata.index);
  writeNumber(w, 0x18, metadata.term);
}

function readSnapshot(r: Reader): Snapshot {
  let data = EMPTY_BYTES;
  let metadata: SnapshotMetadata = { index: 0, term: 0, confState: EMPTY_CONF_STATE };
  while (!r.done) {
    const tag = r.tag();
    if (tag === 0x0a) data = r.bytes();
    else if (tag === 0x12) metadata = readNested(r, readSnapshotMetadata);
    else r.discard(tag);
  }
  return { metadata, data };
}

function readSnapshotMetadata(r: Reader): SnapshotMetadata {
  let confState = EMPTY_CONF_STATE;
  let index = 0;
  let term = 0;
  while (!r.done) {
    const tag = r.tag();
    if (tag === 0x0a) confState = readNested(r, readConfState);
    else if (tag === 0x10) index = r.uint64();
    else if (tag === 0x18) term = r.uint64();
    else r.discard(tag);
  }
  return { index, term, confState };
}

/** Every field of a message, whatever its type: how it looks on the wire. */
interface Fields {
  type: number;
  to: MemberId;
  from: MemberId;
  term: number;
  logTerm: number;
  index: number;
  entries: readonly Entry[];
  commit: number;
  snapshot: Snapshot | null;
  reject: boolean;
  rejectHint: number;
  context: Uint8Array;
}

const NOBODY = 0n as MemberId;

function blankFields(): Fields {
  return {
    type: 0,
    to: NOBODY,
    from: NOBODY,
    term: 0,
    logTerm: 0,
    index: 0,
    entries: [],
    commit: 0,
    snapshot: null,
    reject: false,
    rejectHint: 0,
    context: EMPTY_BYTES,
  };
}

/** etcd: a read request carries its context as the data of one entry without term and index. */
function contextEntry(context: Uint8Array): readonly Entry[] {
  return [{ type: 'normal', term: 0, index: 0, data: context }];
}

export function encodeMessage(message: Message): Uint8Array {
  return encode(writeMessage, message);
}

export function writeMessage(w: Writer, message: Message): void {
  const readContext =
    message.type === 'read-index' || message.type === 'read-index-resp' ? message.context : null;
  const entries =
    readContext !== null
      ? contextEntry(readContext)
      : 'entries' in message
        ? message.entries
        : undefined;
  writeNumber(w, 0x08, MESSAGE_NUMBERS[message.type]);
  writeId(w, 0x10, message.to);
  writeId(w, 0x18, message.from);
  writeNumber(w, 0x20, 'term' in message ? message.term : 0);
  writeNumber(w, 0x28, 'logTerm' in message ? message.logTerm : 0);
  writeNumber(w, 0x30, 'index' in message ? message.index : 0);
  if (entries !== undefined) for (const entry of entries) writeNested(w, 0x3a, writeEntry, entry);
  writeNumber(w, 0x40, 'commit' in message ? message.commit : 0);
  if (message.type === 'snap') writeNested(w, 0x4a, writeSnapshot, message.snapshot);
  writeNumber(w, 0x50, 'reject' in message && message.reject ? 1 : 0);
  writeNumber(w, 0x58, 'rejectHint' in message ? message.rejectHint : 0);
  if (readContext === null && 'context' in message && message.context.length > 0) {
    writeBytes(w, 0x62, message.context);
  }
}

/**
 * `null` for the types that exist only inside a member: etcd drops them silently when they come
 * from the network. Entries' data and contexts are views of `bytes`.
 */
export function decodeMessage(bytes: Uint8Array): Message | null {
  const fields = blankFields();
  const entries: Entry[] = [];
  const r = new Reader(bytes);
  while (!r.done) readMessageField(r, fields, entries);
  fields.entries = entries;
  const type = MESSAGE_TYPES.get(fields.type);
  return type === undefined ? null : messageOf(type, fields);
}

function readMessageField(r: Reader, fields: Fields, entries: Entry[]): void {
  const tag = r.tag();
  if (tag === 0x08) fields.type = r.int32();
  else if (tag === 0x10) fields.to = r.uint64Exact() as MemberId;
  else if (tag === 0x18) fields.from = r.uint64Exact() as MemberId;
  else if (tag === 0x20) fields.term = r.uint64();
  else if (tag === 0x28) fields.logTerm = r.uint64();
  else if (tag === 0x30) fields.index = r.uint64();
  else if (tag === 0x3a) entries.push(readNested(r, readEntry));
  else if (tag === 0x40) fields.commit = r.uint64();
  else if (tag === 0x4a) fields.snapshot = readNested(r, readSnapshot);
  else if (tag === 0x50) fields.reject = r.bool();
  else if (tag === 0x58) fields.rejectHint = r.uint64();
  else if (tag === 0x62) fields.context = r.bytes();
  else r.discard(tag);
}

function messageOf(type: MessageType, fields: Fields): Message {
  const { from, to, term, index, logTerm, entries, commit, reject, context } = fields;
  switch (type) {
    case 'prop':
      return { type, from, to, entries };
    case 'app':
      return { type, from, to, term, index, logTerm, entries, commit };
    case 'app-resp':
      return { type, from, to, term, index, reject, rejectHint: fields.rejectHint, logTerm };
    case 'vote':
    case 'pre-vote':
      return { type, from, to, term, index, logTerm, context };
    case 'vote-resp':
    case 'pre-vote-resp':
      return { type, from, to, term, reject };
    case 'snap':
      if (fields.snapshot === null) throw new DecodeError('raftpb: MsgSnap without a snapshot');
      return { type, from, to, term, snapshot: fields.snapshot };
    case 'heartbeat':
      return { type, from, to, term, commit, context };
    case 'heartbeat-resp':
      return { type, from, to, term, context };
    case 'timeout-now':
    case 'transfer-leader':
      return { type, from, to, term };
    case 'read-index':
      return { type, from, to, context: readContextOf(entries) };
    case 'read-index-resp':
      return { type, from, to, term, index, context: readContextOf(entries) };
    default:
      return unreachable(type);
  }
}

function readContextOf(entries: readonly Entry[]): Uint8Array {
  if (entries.length !== 1) throw new DecodeError('raftpb: a read carries exactly one entry');
  return must(entries[0], 'one entry').data;
}
