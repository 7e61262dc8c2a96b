/**
 * Several membership changes in one step (joint consensus). Only this implementation's members may
 * meet such an entry: etcd's end themselves.
 *
 * The entry is etcd's `ConfChangeV2`. It has no room for a request id nor for one context per
 * change, so its own context holds both, as JSON: `{"requestId":"<decimal>","members":[…]}`, where
 * `members` names, change by change, the member as etcd's JSON, or null for a removal. An entry
 * without changes leaves the joint configuration and carries nothing.
 */

import { must } from '../assert.ts';
import { encodeConfChangeV2 } from '../codec/raftpb.ts';
import type { ConfChange, ConfChangeTransition, ConfChangeV2 } from '../raft/messages.ts';
import { EMPTY_BYTES, type MemberId } from '../types.ts';
import { type Member, memberJson } from './members.ts';

/** `member: null` removes. */
export interface MemberChange {
  readonly type: Exclude<ConfChange['type'], 'update-node'>;
  readonly nodeId: MemberId;
  readonly member: Member | null;
  /** A learner that is there becomes a voter. */
  readonly promote?: boolean;
}

export interface JointChange {
  readonly requestId: bigint | null;
  readonly changes: readonly ConfChange[];
}

/** The data of the entry that makes `changes` at once. */
export function encodeJointChange(
  requestId: bigint,
  changes: readonly MemberChange[],
  transition: ConfChangeTransition = 'auto',
): Uint8Array {
  const members = changes.map(({ member, promote }) =>
    member === null ? 'null' : memberJson(member, { promote: promote === true }),
  );
  return encodeConfChangeV2({
    transition,
    changes: changes.map(({ type, nodeId }) => ({ type, nodeId })),
    context: Buffer.from(`{"requestId":"${requestId}","members":[${members.join(',')}]}`),
  });
}

/** The changes one by one, each with the context that it would have in an entry of its own. */
export function jointChangeOf({ changes, context }: ConfChangeV2): JointChange {
  if (changes.length === 0) return { requestId: null, changes: [] };
  const parsed = JSON.parse(Buffer.from(context).toString('utf8')) as {
    requestId: string;
    members: readonly (object | null)[];
  };
  // The ids in `members` are rounded here; they count for nothing beside `nodeId`.
  const contextOf = (member: object | null): Uint8Array =>
    member === null ? EMPTY_BYTES : Buffer.from(JSON.stringify(member));
  return {
    requestId: BigInt(parsed.requestId),
    changes: changes.map(({ type, nodeId }, position) => {
      const member = parsed.members[position];
      const known = must(member === undefined ? null : { member }, 'one member per change');
      return { id: 0n, type, nodeId, context: contextOf(known.member) };
    }),
  };
}
