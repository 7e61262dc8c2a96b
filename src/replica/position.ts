/**
 * Where a state stands, as rows of its own say it: the index and term of the last entry in it, and
 * Raft's configuration there. They are written in the same batch as what they speak of.
 */

import { assert } from '../assert.ts';
import { metaRows } from '../buckets.ts';
import { EMPTY_CONF_STATE } from '../codec/raftpb.ts';
import type { DurableRows, RowWrite } from '../ports.ts';
import type { ConfState, SnapshotMetadata } from '../raft/messages.ts';
import { EMPTY_BYTES, type Index, type MemberId, type RowKey } from '../types.ts';
import { readU64BE, u64Key } from '../u64.ts';

export type GetRow = DurableRows['get'];

export function positionRows({ index, term, confState }: SnapshotMetadata): readonly RowWrite[] {
  return [
    { key: metaRows.consistentIndex, value: Buffer.from(u64Key(index), 'latin1') },
    { key: metaRows.term, value: Buffer.from(u64Key(term), 'latin1') },
    { key: metaRows.confState, value: Buffer.from(confStateJson(confState)) },
  ];
}

/** Index 0: nothing was ever applied. */
export function storedPosition(get: GetRow): SnapshotMetadata {
  const index = storedNumber(get, metaRows.consistentIndex);
  if (index === 0) return { index, term: 0, confState: EMPTY_CONF_STATE };
  return { index, term: storedNumber(get, metaRows.term), confState: storedConfState(get) };
}

/** 0 when the row is missing. */
export function storedNumber(get: GetRow, key: RowKey): number {
  const bytes = get(key);
  return bytes === null ? 0 : readU64BE(Buffer.from(bytes).toString('latin1'), 0);
}

/** Empty when the row is missing. */
export function storedText(get: GetRow, key: RowKey): string {
  return Buffer.from(get(key) ?? EMPTY_BYTES).toString('utf8');
}

/**
 * The index of a state that was received as a whole; 0 when there was none. While it is the index
 * of the state as well, the log may not have heard of it yet.
 */
export function receivedIndex(get: GetRow): Index {
  return storedNumber(get, RECEIVED_ROW);
}

export function receivedRow(index: Index): RowWrite {
  return { key: RECEIVED_ROW, value: Buffer.from(u64Key(index), 'latin1') };
}

/** The member's own affair: below every bucket, and not counted. */
const RECEIVED_ROW = '!receivedIndex' as RowKey;

/** etcd's JSON of the configuration. */
export function confStateJson(state: ConfState): string {
  const ids = (list: ConfState['voters']): string => `[${list.join(',')}]`;
  const parts = [`"voters":${ids(state.voters)}`];
  if (state.learners.length > 0) parts.push(`"learners":${ids(state.learners)}`);
  if (state.votersOutgoing.length > 0) parts.push(`"voters_outgoing":${ids(state.votersOutgoing)}`);
  if (state.learnersNext.length > 0) parts.push(`"learners_next":${ids(state.learnersNext)}`);
  parts.push(`"auto_leave":${state.autoLeave}`);
  return `{${parts.join(',')}}`;
}

/** Ids are above 2^53, so they are read as text. */
function storedConfState(get: GetRow): ConfState {
  const text = storedText(get, metaRows.confState);
  assert(text !== '', 'a database that has applied entries knows its configuration');
  const ids = (name: string): MemberId[] => {
    const list = new RegExp(`"${name}":\\[([0-9,]*)\\]`).exec(text)?.[1] ?? '';
    return list === '' ? [] : list.split(',').map((id) => BigInt(id) as MemberId);
  };
  return {
    voters: ids('voters'),
    learners: ids('learners'),
    votersOutgoing: ids('voters_outgoing'),
    learnersNext: ids('learners_next'),
    autoLeave: text.includes('"auto_leave":true'),
  };
}
