import { beforeEach, describe, expect, it } from 'vitest';
import { authOptions } from '../../test/support/auth.ts';
import { FakeCluster, memberId, recordedLog } from '../../test/support/fake-cluster.ts';
import { HandClock } from '../../test/support/hand-clock.ts';
import { LoneReplica } from '../../test/support/lone-replica.ts';
import { MemoryRows } from '../../test/support/memory-rows.ts';
import { FakeCaller } from '../../test/support/services.ts';
import { AuthStore } from '../auth/auth-store.ts';
import {
  decodeMemberPromoteResponse,
  encodeMemberPromoteRequest,
  type ResponseHeader,
} from '../codec/gen/etcdserverpb.ts';
import { decode, encode } from '../codec/wire.ts';
import { errors } from '../errors.ts';
import type { Member } from '../replica/members.ts';
import { Access } from './access.ts';
import { type ClusterService, clusterMethods, createCluster } from './cluster.ts';
import { createLeaderCalls } from './leader-calls.ts';
import { MemberChanges } from './member-changes.ts';

let fake: FakeCluster;
let clock: HandClock;
let service: ClusterService;
let auth: AuthStore;
/** What the leader is asked elsewhere: URL, member, token. */
let asked: [string, bigint, string | null][];
let answer: () => Promise<readonly Member[]>;
let barriers: number;

const header = (): ResponseHeader => ({
  clusterId: fake.clusterId,
  memberId: fake.memberId,
  revision: 0,
  raftTerm: 5,
});

let promotions: string[];

beforeEach(async () => {
  promotions = [];
  fake = await FakeCluster.of(3, 1);
  clock = new HandClock();
  await clock.advance(60_000);
  asked = [];
  barriers = 0;
  answer = async () => fake.stateMachine.members.list();
  const replica = Object.assign(fake, {
    async readBarrier() {
      barriers++;
    },
  });
  const options = authOptions();
  const { tokens } = options;
  auth = new AuthStore({ ...options, rows: new MemoryRows() });
  service = createCluster({
    promoted: (error) => promotions.push(error?.message ?? ''),
    replica,
    access: new Access({
      replica: {
        stateMachine: { auth },
        applied: 1,
        whenApplied: () => Promise.reject(errors.timeoutWaitAppliedIndex),
      },
      tokens,
    }),
    changes: new MemberChanges({ replica, strict: true, clock, log: recordedLog().log }),
    askLeader: createLeaderCalls({ replica, clock, requestTimeoutMs: 7000 }),
    peers: {
      promote(url, id, token) {
        asked.push([url, id, token]);
        return answer();
      },
    },
    header,
  });
});

const ids = (members: readonly { readonly id: bigint }[]): bigint[] => members.map(({ id }) => id);

describe('changes', () => {
  it('are answered with all members, an addition with the new one as well', async () => {
    const added = await service.memberAdd({ peerUrls: ['http://a:1'], isLearner: false });
    expect(added.header).toEqual(header());
    expect(added.member).toMatchObject({ name: '', peerUrls: ['http://a:1'], clientUrls: [] });
    expect(added.members).toHaveLength(5);
    expect(added.members).toContainEqual(added.member);
    const id = added.member?.id ?? memberId(0);
    const updated = await service.memberUpdate({ id, peerUrls: ['http://b:1'] });
    expect(updated.members.find((member) => member.id === id)?.peerUrls).toEqual(['http://b:1']);
    const removed = await service.memberRemove({ id });
    expect(ids(removed.members)).toEqual([1n, 2n, 3n, 4n]);
  });

  it('that are refused answer with the reason', async () => {
    const bad = service.memberAdd({ peerUrls: [], isLearner: true });
    await expect(bad).rejects.toBe(errors.memberBadUrls);
    await expect(service.memberRemove({ id: memberId(9) })).rejects.toBe(errors.memberNotFound);
  });
});

describe('the outcome of a promotion', () => {
  it('is told to who counts', async () => {
    const missing = service.memberPromote({ id: memberId(9) });
    await expect(missing).rejects.toBe(errors.memberNotFound);
    await service.memberPromote({ id: memberId(4) }).catch(() => {});
    expect(promotions).toEqual([errors.memberNotFound.message, '']);
  });
});

describe('a change that finds no quorum', () => {
  it('ends with the time of a request', async () => {
    const urls = ['http://127.0.0.1:2380', 'http://127.0.0.1:2381'];
    const initialCluster = urls.map((url, i) => {
      return { name: ['one', 'two'][i] ?? '', peerUrls: [url] };
    });
    const start = { kind: 'new', name: 'one', clusterToken: 'token', initialCluster } as const;
    const lone = await LoneReplica.start({ bootstrap: { start } });
    const { replica } = lone;
    const changes = new MemberChanges({
      replica,
      strict: false,
      clock: lone.clock,
      log: recordedLog().log,
    });
    const ended = changes.remove(replica.memberId).catch((error: unknown) => error);
    await lone.clock.settle();
    await lone.clock.advance(7000);
    expect(await ended).toBe(errors.deadlineExceeded);
    await lone.close();
  });
});

describe('the list', () => {
  it('waits for the leader only when asked to', async () => {
    const { members } = await service.memberList({ linearizable: false });
    expect(ids(members)).toEqual([1n, 2n, 3n, 4n]);
    expect(members[3]?.isLearner).toBe(true);
    expect(barriers).toBe(0);
    await service.memberList({ linearizable: true });
    expect(barriers).toBe(1);
  });
});

describe('a promotion', () => {
  it('happens here when this member leads', async () => {
    const { members } = await service.memberPromote({ id: memberId(4) });
    expect(members.filter(({ isLearner }) => isLearner)).toEqual([]);
    expect(asked).toEqual([]);
  });

  it('is passed on to the leader with the token of the caller', async () => {
    fake.lead = memberId(2);
    const method = clusterMethods(service).find(({ name }) => name === 'MemberPromote');
    if (method?.kind !== 'unary') throw new Error('no such method');
    const request = encode(encodeMemberPromoteRequest, { id: memberId(4) });
    answer = async () => [{ ...fake.stateMachine.members.list()[3], id: memberId(7) } as Member];
    for (const [name, value] of [
      ['token', 'a'],
      ['authorization', 'b'],
      ['other', 'c'],
    ] as const) {
      const caller = new FakeCaller();
      caller.headers.set(name, value);
      const { members } = decode(decodeMemberPromoteResponse, await method.call(request, caller));
      expect(ids(members)).toEqual([7n]);
    }
    const url = 'http://127.0.0.1:10002';
    expect(asked).toEqual([
      [url, 4n, 'a'],
      [url, 4n, 'b'],
      [url, 4n, null],
    ]);
  });

  it.each([errors.memberNotFound, errors.memberNotLearner, errors.learnerNotReady])(
    'ends with what the leader says: %s',
    async (error) => {
      fake.lead = memberId(2);
      answer = () => Promise.reject(error);
      await expect(service.memberPromote({ id: memberId(4) })).rejects.toBe(error);
      expect(asked).toHaveLength(1);
    },
  );

  it('is tried again as long as the leader says less than that', async () => {
    fake.lead = memberId(2);
    // etcd: other refusals do not survive the way over the peer port.
    answer = () => Promise.reject(new Error('500 Internal Server Error'));
    const refused = service.memberPromote({ id: memberId(4) }).catch((error: unknown) => error);
    await clock.settle();
    await clock.advance(7000);
    expect(await refused).toBe(errors.timeout);
    expect(asked.length).toBeGreaterThan(100);
  });
});
