import { describe, expect, it } from 'vitest';
import { LoneReplica } from '../../test/support/lone-replica.ts';
import { buckets, rowKey } from '../buckets.ts';
import { errors } from '../errors.ts';
import type { MemberId } from '../types.ts';
import { encodeJointChange, type MemberChange } from './joint-change.ts';
import { encodeV2Attributes, encodeV2ClusterVersion } from './v2-request.ts';

const learner = (id: bigint, url: string): MemberChange => ({
  type: 'add-learner-node',
  nodeId: id as MemberId,
  member: {
    id: id as MemberId,
    name: '',
    peerUrls: [url],
    clientUrls: [],
    isLearner: true,
  },
});

describe('a joint change', () => {
  it('reaches table and configuration in one step, and survives', async () => {
    const lone = await LoneReplica.start({ bootstrap: { learnersMax: 2 } });
    const changes = [learner(7n, 'http://c:1'), learner(8n, 'http://d:1')];
    await lone.whileRunning(
      lone.replica.proposeEncoded('conf-change-v2', (id) => encodeJointChange(id, changes)),
    );
    expect(lone.replica.stateMachine.members.list()).toHaveLength(3);
    await lone.clock.settle();
    expect(lone.replica.confState).toMatchObject({
      voters: [lone.replica.memberId],
      learners: [7n, 8n],
      votersOutgoing: [],
    });
    await lone.restart({ bootstrap: { learnersMax: 2 } });
    await lone.whileRunning(lone.put('a'));
    expect(lone.replica.confState.learners).toEqual([7n, 8n]);
    expect(lone.fatal).toEqual([]);
    await lone.close();
  });

  it('that is refused changes neither, and says why', async () => {
    const lone = await LoneReplica.start();
    const changes = [learner(7n, 'http://c:1'), learner(8n, 'http://c:1')];
    const refused = lone.whileRunning(
      lone.replica.proposeEncoded('conf-change-v2', (id) => encodeJointChange(id, changes)),
    );
    await expect(refused).rejects.toBe(errors.peerUrlExist);
    expect(lone.replica.stateMachine.members.list()).toHaveLength(1);
    expect(lone.replica.confState).toMatchObject({ learners: [], votersOutgoing: [] });
    await expect(lone.whileRunning(lone.put('a'))).resolves.toBeTruthy();
    expect(lone.fatal).toEqual([]);
    await lone.close();
  });
});

describe('a request in the form of 3.4', () => {
  it('names a member and sets the cluster version, and answers who proposed it', async () => {
    const lone = await LoneReplica.start();
    const { replica } = lone;
    const { memberId, stateMachine } = replica;
    const memberAttributes = { name: 'other', clientUrls: ['http://127.0.0.1:1'] };
    await lone.whileRunning(
      replica.proposeEncoded('normal', (id) =>
        encodeV2Attributes(id, { memberId, memberAttributes }),
      ),
    );
    expect(stateMachine.members.get(memberId)).toMatchObject(memberAttributes);
    await lone.whileRunning(
      replica.proposeEncoded('normal', (id) => encodeV2ClusterVersion(id, '3.4.0')),
    );
    expect(stateMachine.clusterVersion).toBe('3.4.0');
    await lone.close();
  });
});

describe('the cluster version', () => {
  it('of a later line ends the member, and keeps it from starting', async () => {
    const lone = await LoneReplica.start();
    const setting = lone.replica.propose('clusterVersionSet', { ver: '3.8.0' });
    await expect(lone.whileRunning(setting)).rejects.toBe(errors.stopped);
    const problem = 'invalid downgrade; server version is lower than determined cluster version';
    expect(String(lone.fatal[0])).toContain(problem);

    const stored = await LoneReplica.start();
    stored.rows.put(rowKey(buckets.cluster, 'clusterVersion'), Buffer.from('3.8.0'));
    await expect(stored.restart()).rejects.toThrow(problem);
  });
});
