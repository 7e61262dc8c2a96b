import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { MemoryEngine } from '../platform/memory-engine.ts';
import { RowTable } from '../platform/rows.ts';
import type { Snapshot } from '../raft/messages.ts';
import type { MemberId } from '../types.ts';
import { reconcileMembers } from './incoming-members.ts';
import { type Member, Members } from './members.ts';
import { membershipStoreJson, parseMembershipStore } from './membership-store.ts';

const id = (n: bigint) => n as MemberId;
const member = (n: bigint, changes: Partial<Member> = {}): Member => ({
  id: id(n),
  name: `m${n}`,
  peerUrls: [`http://127.0.0.1:${2380n + n}`],
  clientUrls: [`http://127.0.0.1:${12380n + n}`],
  isLearner: false,
  ...changes,
});

async function rowsWith(members: readonly Member[], removed: readonly bigint[]): Promise<RowTable> {
  const rows = await RowTable.open(new MemoryEngine());
  const table = await Members.open(rows, { learnersMax: 1 });
  table.replace(members, new Set(removed.map(id)));
  return rows;
}

function snapshotOf(
  voters: readonly bigint[],
  learners: readonly bigint[],
  data: Uint8Array,
): Snapshot {
  const confState = {
    voters: voters.map(id),
    learners: learners.map(id),
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  };
  return { metadata: { index: 5, term: 1, confState }, data };
}

const NOTHING = Buffer.alloc(0);

it('believes the file when it has the members of the configuration', async () => {
  const members = [member(1n), member(2n, { isLearner: true })];
  const rows = await rowsWith(members, [9n]);
  await reconcileMembers(rows, snapshotOf([1n], [2n], NOTHING));
  const table = await Members.open(rows, { learnersMax: 1 });
  expect(table.list()).toEqual(members);
  expect([...table.removed()]).toEqual([9n]);
});

it('lets the configuration say who is a learner', async () => {
  const rows = await rowsWith([member(1n), member(2n, { isLearner: true })], []);
  await reconcileMembers(rows, snapshotOf([1n, 2n], [], NOTHING));
  expect((await Members.view(rows)).list()).toEqual([member(1n), member(2n)]);
});

it('believes the message when the file has members of another cluster', async () => {
  const rows = await rowsWith([member(7n), member(1n, { name: 'old' })], [8n]);
  const data = membershipStoreJson({
    members: [member(1n), member(2n)],
    removed: new Set([id(9n)]),
    clusterVersion: '3.4.0',
  });
  await reconcileMembers(rows, snapshotOf([1n], [2n], data));
  const table = await Members.view(rows);
  expect(table.list()).toEqual([member(1n), member(2n, { isLearner: true })]);
  expect([...table.removed()]).toEqual([9n]);
});

it('refuses when neither has them', async () => {
  const rows = await rowsWith([member(7n)], []);
  const data = membershipStoreJson({
    members: [member(1n), member(2n)],
    removed: new Set(),
    clusterVersion: '',
  });
  const expected = 'it has the members [7], the configuration [1]';
  await expect(reconcileMembers(rows, snapshotOf([1n], [], data))).rejects.toThrow(expected);
  await expect(reconcileMembers(rows, snapshotOf([1n], [], NOTHING))).rejects.toThrow(expected);
});

it('reads the store as etcd 3.4.23 sends it', () => {
  const folder = new URL('../../test/fixtures/peer/', import.meta.url);
  const { members, removed } = parseMembershipStore(
    readFileSync(new URL('v2store-from-go-3.4.23.json', folder)),
  );
  expect(removed.size).toBe(0);
  expect(members).toContainEqual({
    id: id(0x76289e71d0434b15n),
    name: 'm1',
    peerUrls: ['http://127.0.0.1:21471'],
    clientUrls: ['http://127.0.0.1:21491'],
    isLearner: false,
  });
  expect(members).toContainEqual({
    id: id(0xcd979d17443ea5e5n),
    name: '',
    peerUrls: ['http://127.0.0.1:21474'],
    clientUrls: [],
    isLearner: false,
  });
  expect(members).toHaveLength(4);
});
