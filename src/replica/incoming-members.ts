/**
 * Who the members are in a state that was received. Raft's configuration in the message decides;
 * the file says what their URLs and names are. etcd: files of 3.4 may still hold members of a
 * cluster that they were once restored from, and up to 3.5 a learner that was promoted may have
 * stayed one in the file; the message then says it right, in the v2 store's JSON.
 */

import type { StagedRows } from '../ports.ts';
import type { Snapshot } from '../raft/messages.ts';
import { hexId, type MemberId } from '../types.ts';
import { type Member, Members } from './members.ts';
import { parseMembershipStore } from './membership-store.ts';

/** Throws when neither the file nor the message knows the members of the configuration. */
export async function reconcileMembers(
  rows: StagedRows,
  { metadata, data }: Snapshot,
): Promise<void> {
  const table = await Members.open(rows, { learnersMax: 0 });
  const learners = new Set([...metadata.confState.learners, ...metadata.confState.learnersNext]);
  const ids = new Set([...metadata.confState.voters, ...learners]);
  const asConfigured = (member: Member): Member => ({
    ...member,
    isLearner: learners.has(member.id),
  });
  if (agree(table.list(), ids)) {
    const members = table.list();
    if (members.every(({ id, isLearner }) => isLearner === learners.has(id))) return;
    table.replace(members.map(asConfigured), table.removed());
    return;
  }
  const told = data.length === 0 ? null : parseMembershipStore(data);
  if (told === null || !agree(told.members, ids)) {
    const found = namesOf(table.list());
    throw new Error(`it has the members ${found}, the configuration ${namesIn(ids)}`);
  }
  table.replace(told.members.map(asConfigured), told.removed);
}

function agree(members: readonly Member[], ids: ReadonlySet<MemberId>): boolean {
  return members.length === ids.size && members.every(({ id }) => ids.has(id));
}

function namesOf(members: readonly Member[]): string {
  return namesIn(members.map(({ id }) => id));
}

function namesIn(ids: Iterable<MemberId>): string {
  return `[${[...ids].map(hexId).join(' ')}]`;
}
