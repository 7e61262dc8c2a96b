import { describe, expect, it } from 'vitest';
import { LoneReplica } from '../../test/support/lone-replica.ts';
import { decodeConfChange, EMPTY_CONF_STATE, encodeConfChangeV2 } from '../codec/raftpb.ts';
import type { Peers } from '../ports.ts';
import type { ConfState, Entry } from '../raft/messages.ts';
import { EMPTY_BYTES, type MemberId } from '../types.ts';
import { forceAlone } from './force-new-cluster.ts';
import { BootstrapError } from './founding.ts';
import { encodeJointChange } from './joint-change.ts';

const id = (value: bigint) => value as MemberId;
const [A, B, C] = [id(0xan), id(0xbn), id(0xcn)];
const metadata = { memberId: A, clusterId: 1n as never };
const config = (more: Partial<ConfState>): ConfState => ({ ...EMPTY_CONF_STATE, ...more });
const normal = (index: number): Entry => ({ type: 'normal', term: 2, index, data: EMPTY_BYTES });
const force = (entries: Entry[], commit: number, applied: number, confState: ConfState) =>
  forceAlone({ metadata, entries, hardState: { term: 4, vote: B, commit } }, applied, confState);
const told = (entries: readonly Entry[]): string[] =>
  entries.map(({ type, term, index, data }) => {
    if (type !== 'conf-change') return `${index}: ${type} of term ${term}`;
    const { type: kind, nodeId } = decodeConfChange(data);
    return `${index}: ${kind} ${nodeId?.toString(16)} of term ${term}`;
  });

describe('forceAlone', () => {
  it('drops what was not committed and removes the others', () => {
    const entries = [normal(5), normal(6), normal(7), normal(8)];
    const forced = force(entries, 6, 4, config({ voters: [A, B], learners: [C] }));
    expect(told(forced.added)).toEqual([
      '7: remove-node b of term 4',
      '8: remove-node c of term 4',
    ]);
    expect(told(forced.entries).slice(0, 2)).toEqual([
      '5: normal of term 2',
      '6: normal of term 2',
    ]);
    expect(forced).toMatchObject({ foundCommit: 6, discarded: 2 });
    expect(forced.hardState).toEqual({ term: 4, vote: B, commit: 8 });
  });

  it('counts as committed what the database has applied', () => {
    const forced = force([normal(5), normal(6), normal(7)], 5, 7, config({ voters: [A, B] }));
    expect(told(forced.added)).toEqual(['8: remove-node b of term 4']);
    expect(forced.discarded).toBe(0);
  });

  it('sees members that only the log knows', () => {
    const data = encodeJointChange(1n, [
      {
        type: 'add-node',
        nodeId: C,
        member: { id: C, name: '', peerUrls: [], clientUrls: [], isLearner: false },
      },
    ]);
    const entries: Entry[] = [{ type: 'conf-change-v2', term: 2, index: 5, data }];
    const forced = force(entries, 5, 4, config({ voters: [A] }));
    expect(told(forced.added)).toEqual(['6: remove-node c of term 4']);
  });

  it('leaves a joint configuration first', () => {
    const data = encodeConfChangeV2({
      transition: 'joint-explicit',
      changes: [
        { type: 'add-node', nodeId: C },
        { type: 'remove-node', nodeId: B },
      ],
      context: EMPTY_BYTES,
    });
    const entries: Entry[] = [{ type: 'conf-change-v2', term: 2, index: 5, data }];
    const forced = force(entries, 5, 4, config({ voters: [A, B] }));
    expect(told(forced.added)).toEqual([
      '6: conf-change-v2 of term 4',
      '7: remove-node c of term 4',
    ]);
  });

  it('makes itself a voter before the last other one goes', () => {
    const learning = force([], 4, 4, config({ voters: [B], learners: [A] }));
    expect(told(learning.added)).toEqual(['5: add-node a of term 4', '6: remove-node b of term 4']);
    const context = Buffer.from(decodeConfChange(learning.added[0]?.data ?? EMPTY_BYTES).context);
    expect(context.toString()).toContain('"isPromote":true');
    const unknown = force([], 4, 4, config({ voters: [B] }));
    expect(told(unknown.added)).toEqual(['5: add-node a of term 4', '6: remove-node b of term 4']);
  });

  it('adds nothing to who is alone', () => {
    expect(force([normal(5)], 5, 4, config({ voters: [A] })).added).toEqual([]);
  });
});

const silent: Peers = {
  start() {},
  send() {},
  sendSnapshot: () => Promise.resolve(false),
  setMembers() {},
  activeSinceMs: () => null,
  close: () => Promise.resolve(),
};

const three = {
  kind: 'new',
  name: 'm2',
  clusterToken: 'etcd-cluster',
  initialCluster: [1, 2, 3].map((i) => ({ name: `m${i}`, peerUrls: [`http://10.0.0.${i}:2380`] })),
} as const;

describe('a member of three', () => {
  it('that lost the others goes on alone, and stays alone', async () => {
    const options = { bootstrap: { start: three }, peers: silent };
    const lone = await LoneReplica.start(options);
    await lone.clock.advance(5000);
    expect(lone.replica.isLeader).toBe(false);
    expect(lone.replica.stateMachine.members.list()).toHaveLength(3);
    await lone.restart({ peers: silent, bootstrap: { start: null, forceNewCluster: true } });
    expect(lone.started.forced).toMatchObject({ foundCommit: 3 });
    await expect(lone.whileRunning(lone.put('a', 'kept'))).resolves.toBeTruthy();
    const { members } = lone.replica.stateMachine;
    expect(members.list().map(({ name }) => name)).toEqual(['m2']);
    expect(members.removed().size).toBe(2);

    await lone.restart({ peers: silent, bootstrap: { start: null } });
    await expect(lone.whileRunning(lone.put('b'))).resolves.toBeTruthy();
    expect(lone.value('a')).toContain('kept');
    expect(lone.replica.confState.voters).toEqual([lone.replica.memberId]);
    await lone.close();
  });
});

describe('a joiner', () => {
  const joining = {
    kind: 'existing',
    clusterId: 0xcd11_e863_9233_9c47n as never,
    memberId: B,
    remotes: [{ id: A, peerUrls: ['http://10.0.0.1:2380'] }],
  } as const;

  it('founds nothing, and is a joiner again after a restart', async () => {
    const lone = await LoneReplica.start({ bootstrap: { start: joining }, peers: silent });
    await lone.clock.advance(5000);
    expect(lone.started).toMatchObject({ memberId: B, remotes: joining.remotes, restarted: false });
    expect(lone.replica.raftStatus().last).toBe(0);
    await lone.restart({ peers: silent, bootstrap: { start: null } });
    await lone.clock.advance(5000);
    expect(lone.started).toMatchObject({ memberId: B, clusterId: joining.clusterId, remotes: [] });
    expect(lone.replica).toMatchObject({ isLeader: false, term: 0 });
    await lone.close();
  });

  it('has nothing to go on alone from', async () => {
    const lone = await LoneReplica.start({ bootstrap: { start: joining }, peers: silent });
    const alone = lone.restart({ bootstrap: { start: null, forceNewCluster: true } });
    await expect(alone).rejects.toThrow(BootstrapError);
  });
});
