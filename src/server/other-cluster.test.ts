import { describe, expect, it } from 'vitest';
import { HandClock } from '../../test/support/hand-clock.ts';
import type { Member } from '../replica/members.ts';
import type { ClusterId, MemberId } from '../types.ts';
import { type OtherClusterDeps, refuseOtherCluster } from './other-cluster.ts';

const [OURS, THEIRS] = [0xan, 0xbn] as ClusterId[] as [ClusterId, ClusterId];
const SELF = 1n as MemberId;

function member(id: number): Member {
  const peerUrls = [`http://10.0.0.${id}:2380`];
  return { id: BigInt(id) as MemberId, name: '', peerUrls, clientUrls: [], isLearner: false };
}

/** What each of the other members says it is of; `null`: no answer. */
function world(answers: Record<number, ClusterId | null>) {
  const clock = new HandClock();
  const ids = [1, ...Object.keys(answers).map(Number)];
  const replica = {
    memberId: SELF,
    clusterId: OURS,
    lead: null as MemberId | null,
    stateMachine: { members: { list: () => ids.map(member) } },
  };
  const peers: OtherClusterDeps['peers'] = {
    async members(url) {
      const clusterId = answers[Number(/\.(\d):/.exec(url)?.[1])] ?? null;
      if (clusterId === null) throw new Error('nobody there');
      return { clusterId, members: [] };
    },
  };
  const stop = new AbortController();
  const outcome = { value: 'pending' };
  const deps = { replica, peers, clock } as unknown as OtherClusterDeps;
  refuseOtherCluster(deps, stop.signal).then(
    () => {
      outcome.value = 'fine';
    },
    (error: Error) => {
      outcome.value = `${error.name}: ${error.message}`;
    },
  );
  return { clock, replica, answers, outcome, stop };
}

describe('a data folder', () => {
  it('of another cluster is refused when its members say so', async () => {
    const { clock, outcome } = world({ 2: THEIRS, 3: null });
    await clock.settle();
    expect(outcome.value).toBe(
      'BootstrapError: the data folder is of cluster a, its members are of cluster b',
    );
  });

  it('is asked about again as long as nobody answers', async () => {
    const { clock, answers, outcome } = world({ 2: null, 3: null });
    await clock.settle();
    await clock.advance(3900);
    expect(outcome.value).toBe('pending');
    answers[3] = THEIRS;
    await clock.advance(200);
    await clock.settle();
    expect(outcome.value).toMatch(/^BootstrapError/);
  });

  it('is the right one when one member is of its cluster, or when there is a leader', async () => {
    const { clock, replica, answers, outcome } = world({ 2: THEIRS, 3: OURS });
    await clock.advance(8000);
    expect(outcome.value).toBe('pending');
    answers[3] = null;
    replica.lead = SELF;
    await clock.advance(4100);
    expect(outcome.value).toBe('fine');
  });

  it('is asked about no more once the member has stopped', async () => {
    const { clock, outcome, stop } = world({ 2: null });
    await clock.settle();
    stop.abort();
    await clock.settle();
    expect(outcome.value).toBe('fine');
  });
});
