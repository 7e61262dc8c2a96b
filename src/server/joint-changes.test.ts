import { beforeEach, describe, expect, it } from 'vitest';
import { FakeCluster, memberId, recordedLog } from '../../test/support/fake-cluster.ts';
import { errors } from '../errors.ts';
import { type ChangeMembers, createJointChanges, type MemberStep } from './joint-changes.ts';
import { MemberChanges } from './member-changes.ts';

let cluster: FakeCluster;
let asked: string[];
let knows: (url: string) => Promise<boolean>;
let lines: Record<string, unknown>[];

beforeEach(async () => {
  cluster = await FakeCluster.of(3, 1);
  asked = [];
  knows = () => Promise.resolve(true);
});

function joint(strict = true): ChangeMembers {
  const { log, lines: recorded } = recordedLog();
  lines = recorded;
  const clock = { now: () => 1_700_000_000_000, monotonic: () => 60_000 };
  return createJointChanges({
    replica: cluster,
    changes: new MemberChanges({ replica: cluster, strict, clock, log }),
    peers: {
      async version(url) {
        asked.push(url);
        const own = { server: '3.7.1', cluster: '3.7.0' };
        // Others say nothing of it.
        return (await knows(url)) ? { ...own, jointChanges: true } : own;
      },
    },
    requestTimeoutMs: 7000,
    log,
  });
}

const add = (port: number, isLearner = false): MemberStep => {
  return { add: [`http://127.0.0.1:${port}`], isLearner };
};
const remove = (id: number): MemberStep => ({ remove: memberId(id) });
const promote = (id: number): MemberStep => ({ promote: memberId(id) });
const disconnect = (...ids: number[]): void => {
  for (const id of ids) cluster.active.delete(memberId(id));
};

describe('several changes at once', () => {
  it('are one entry, and take effect together', async () => {
    const members = await joint()([remove(3), promote(4), add(5000)]);
    expect(cluster.joint).toEqual(['conf-change-v2 auto']);
    expect(members.filter(({ isLearner }) => isLearner)).toEqual([]);
    const urls = members.flatMap(({ peerUrls }) => peerUrls).sort();
    const kept = [1, 2, 4].map((id) => `http://127.0.0.1:${10_000 + id}`);
    expect(urls).toEqual([...kept, 'http://127.0.0.1:5000'].sort());
    expect(lines.at(-1)).toMatchObject({
      msg: 'applied a joint configuration change through raft',
      'local-member-id': '1',
    });
  });

  it('are only made where every member knows them', async () => {
    await joint()([remove(3), promote(4)]);
    expect(asked.sort()).toEqual([2, 3, 4].map((id) => `http://127.0.0.1:${10_000 + id}`));
    cluster = await FakeCluster.of(3, 1);
    knows = async (url) => !url.endsWith('10003');
    await expect(joint()([remove(3), promote(4)])).rejects.toBe(errors.notCapable);
    knows = (url) => (url.endsWith('10002') ? Promise.reject(new Error('down')) : knowsAll());
    await expect(joint(false)([remove(3), promote(4)])).rejects.toBe(errors.notCapable);
    expect(lines).toMatchObject([{ level: 'warn', 'remote-member-id': '2', error: 'down' }]);
    expect(cluster.joint).toEqual([]);
  });

  it('are none when there are none', async () => {
    expect(await joint()([])).toHaveLength(4);
    expect(cluster.joint).toEqual([]);
  });

  it('need a quorum of what will be to have started, and to be there', async () => {
    await expect(joint()([add(5000), add(5001), add(5002), add(5003)])).rejects.toBe(
      errors.memberNotEnoughStarted,
    );
    await joint()([add(5000), add(5001)]);
    cluster = await FakeCluster.of(3, 1);
    disconnect(2);
    await expect(joint()([add(5000), add(5001)])).rejects.toBe(errors.unhealthy);
    // One that is away may leave.
    await joint()([remove(2), promote(4)]);
    expect(cluster.joint).toHaveLength(1);
  });

  it('never remove all voters', async () => {
    const all = [remove(1), remove(2), remove(3)];
    await expect(joint()(all)).rejects.toBe(errors.memberNotEnoughStarted);
  });

  it('are checked one by one where that is possible before', async () => {
    await expect(joint()([remove(3), { add: [] }])).rejects.toBe(errors.memberBadUrls);
    await expect(joint()([remove(3), promote(9)])).rejects.toBe(errors.memberNotFound);
    cluster.match.set(memberId(4), 10);
    await expect(joint()([remove(3), promote(4)])).rejects.toBe(errors.learnerNotReady);
    cluster.lead = memberId(2);
    await expect(joint()([remove(3), promote(4)])).rejects.toBe(errors.notLeader);
    expect(asked).toEqual([]);
  });

  it('end with the verdict on the entry, as a whole', async () => {
    await expect(joint()([remove(3), remove(9)])).rejects.toBe(errors.memberNotFound);
    const clash = [remove(3), add(10_002)];
    await expect(joint()(clash)).rejects.toBe(errors.peerUrlExist);
    expect(cluster.stateMachine.members.list()).toHaveLength(4);
    // The URL of a member that leaves is free for one that comes.
    await joint()([remove(3), add(10_003)]);
  });
});

function knowsAll(): Promise<boolean> {
  return Promise.resolve(true);
}
