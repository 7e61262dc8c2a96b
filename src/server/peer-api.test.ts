import { beforeEach, describe, expect, it } from 'vitest';
import { putRequest } from '../../test/support/lone-replica.ts';
import { type Services, startServices } from '../../test/support/services.ts';
import { errors } from '../errors.ts';
import type { PeerApi } from '../peer/peer-api.ts';
import type { Member } from '../replica/members.ts';
import type { LeaseId, MemberId } from '../types.ts';
import { createPeerApi } from './peer-api.ts';
import { createPrimaryLeases } from './primary-leases.ts';

const lease = 7n as LeaseId;
const LEARNER: Member = {
  id: 0xf000_0000_0000_0001n as MemberId,
  name: '',
  peerUrls: ['http://b:1'],
  clientUrls: [],
  isLearner: true,
};

let services: Services;
let api: PeerApi;
let promoted: [bigint, string | null][];

beforeEach(async () => {
  services = await startServices();
  promoted = [];
  const { replica, store } = services;
  api = createPeerApi({
    replica,
    cluster: {
      async memberPromote({ id }, caller) {
        promoted.push([id, caller?.metadata('token') ?? null]);
        return { header: null, members: [LEARNER] };
      },
    },
    primary: createPrimaryLeases({ replica, checkpoints: false }),
    maintenance: {
      async hashKv({ revision }) {
        const hash = await store.hashKv(revision);
        if (hash instanceof Error) throw hash;
        return { header: null, ...hash };
      },
    },
  });
  await services.run(services.lease.grant({ id: lease, ttl: 10 }));
  await services.run(services.kv.put(putRequest('a', 'v', lease)));
});

describe('another member', () => {
  it('learns who the members are', () => {
    const { memberId } = services.replica;
    const own = `{"id":${memberId},"peerURLs":["http://127.0.0.1:2380"],"name":"one"}`;
    expect(api.members()).toBe(`[${own}]\n`);
    expect(api.clusterId).toBe(services.replica.clusterId);
  });

  it('learns the versions', () => {
    const undecided = '{"etcdserver":"3.7.1","etcdcluster":"not_decided","storage":"unknown"}';
    expect(api.version()).toBe(undecided);
  });

  it('has a learner promoted in the name of its caller', async () => {
    const list = '[{"id":17293822569102704641,"peerURLs":["http://b:1"],"isLearner":true}]\n';
    expect(await api.promote(LEARNER.id, 'secret')).toBe(list);
    expect(promoted).toEqual([[LEARNER.id, 'secret']]);
  });

  it('has leases renewed', async () => {
    await services.clock.advance(5000);
    expect(await api.leaseKeepAlive(lease)).toBe(10);
    expect(await api.leaseTimeToLive(lease, true)).toEqual({ ttl: 9, grantedTtl: 10, keys: ['a'] });
    expect(await api.leaseTimeToLive(lease, false)).toEqual({ ttl: 9, grantedTtl: 10, keys: [] });
  });

  it('is told of leases that are missing', async () => {
    const none = 8n as LeaseId;
    await expect(api.leaseKeepAlive(none)).rejects.toBe(errors.leaseNotFound);
    await expect(api.leaseTimeToLive(none, true)).rejects.toBe(errors.leaseNotFound);
  });

  it('is told when this member does not keep the time', async () => {
    services.replica.stateMachine.lessor.demote();
    await expect(api.leaseKeepAlive(lease)).rejects.toBe(errors.notPrimaryLessor);
    await expect(api.leaseTimeToLive(lease, true)).rejects.toBe(errors.notPrimaryLessor);
    // Which is only known of leases that exist.
    await expect(api.leaseTimeToLive(8n as LeaseId, true)).rejects.toBe(errors.leaseNotFound);
  });

  it('waits until what is committed is applied, for a second', async () => {
    services.replica.whenApplied = () => Promise.reject(errors.timeoutWaitAppliedIndex);
    await expect(api.leaseKeepAlive(lease)).rejects.toBe(errors.timeoutWaitAppliedIndex);
    await expect(api.leaseTimeToLive(lease, true)).rejects.toBe(errors.timeoutWaitAppliedIndex);
  });

  it('compares hashes', async () => {
    const hash = await services.run(api.hashKv(0));
    expect(hash).toMatchObject({ hashRevision: 2, compactRevision: -1 });
    await expect(services.run(api.hashKv(9))).rejects.toBe(errors.futureRev);
  });

  it('learns whether there is a downgrade, from a member that is up to date', async () => {
    expect(await services.run(api.downgradeEnabled())).toBe(false);
    const started = { enabled: true, ver: '3.6.0' };
    await services.run(services.replica.propose('downgradeInfoSet', started));
    expect(await services.run(api.downgradeEnabled())).toBe(true);
    services.replica.readBarrier = () => Promise.reject(errors.timeout);
    await expect(api.downgradeEnabled()).rejects.toBe(errors.timeout);
  });
});
