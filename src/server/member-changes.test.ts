import { createHash } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { FakeCluster, memberId, recordedLog } from '../../test/support/fake-cluster.ts';
import { errors } from '../errors.ts';
import type { MemberId } from '../types.ts';
import { MemberChanges } from './member-changes.ts';

const NOW_MS = 1_700_000_000_900;
const URL_4 = 'http://127.0.0.1:10004';
const NOT_CONNECTED = 'local member has not been connected to';
const BREAKS_QUORUM = 'reconfigure breaks active quorum';

let cluster: FakeCluster;
let lines: Record<string, unknown>[];
/** Monotonic. */
let nowMs: number;

beforeEach(async () => {
  cluster = await FakeCluster.of(3);
  nowMs = 60_000;
});

function changes(strict = true): MemberChanges {
  const recorded = recordedLog();
  lines = recorded.lines;
  const clock = { now: () => NOW_MS, monotonic: () => nowMs };
  return new MemberChanges({ replica: cluster, strict, clock, log: recorded.log });
}

const contexts = (): string[] =>
  cluster.proposed.map(({ context }) => Buffer.from(context).toString());
const disconnect = (...ids: number[]): void => {
  for (const id of ids) cluster.active.delete(memberId(id));
};
/** As after MemberAdd: there, and not started. */
const addUnstarted = (id: number): void => cluster.add({ id: memberId(id), name: '' });

describe('adding a member', () => {
  it('makes its id from its URLs in order and the second', async () => {
    const urls = [' http://b:2', 'http://a:1', 'http://b:2'];
    const member = await changes().add(urls, false);
    const sorted = ['http://a:1', 'http://b:2', 'http://b:2'];
    const digest = createHash('sha1')
      .update(`${sorted.join('')}1700000000`)
      .digest();
    const id = digest.readBigUInt64BE(0) as MemberId;
    expect(member).toEqual({ id, name: '', peerUrls: sorted, clientUrls: [], isLearner: false });
    expect(cluster.proposed).toMatchObject([{ type: 'add-node', nodeId: id }]);
    expect(contexts()).toEqual([
      `{"id":${id},"peerURLs":["http://a:1","http://b:2","http://b:2"]}`,
    ]);
    expect(lines).toEqual([
      {
        level: 'info',
        msg: 'applied a configuration change through raft',
        'local-member-id': '1',
        'raft-conf-change': 'ConfChangeAddNode',
        'raft-conf-change-node-id': id.toString(16),
      },
    ]);
  });

  it('as a learner says so in the entry', async () => {
    const { id } = await changes().add([URL_4], true);
    expect(cluster.proposed).toMatchObject([{ type: 'add-learner-node', nodeId: id }]);
    expect(contexts()).toEqual([`{"id":${id},"peerURLs":["${URL_4}"],"isLearner":true}`]);
  });

  it.each([
    [[]],
    [['']],
    [['ftp://a:1']],
    [['http://a']],
    [['http://a:1/x']],
    [['http://a:1', '::']],
    [['a:1']],
  ])('refuses the URLs %j before anything else', async (urls) => {
    disconnect(2, 3);
    await expect(changes().add(urls, false)).rejects.toBe(errors.memberBadUrls);
    expect(cluster.proposed).toEqual([]);
  });

  it('wants a quorum of what will be to have started, first of all', async () => {
    cluster = await FakeCluster.of(2);
    addUnstarted(3);
    // Two of three have started; a fourth needs three.
    disconnect(2);
    await expect(changes().add([URL_4], false)).rejects.toBe(errors.memberNotEnoughStarted);
    expect(lines.map(({ msg }) => msg)).toEqual([
      'rejecting member add; started member will be less than quorum',
      'rejecting member add request; not enough healthy members',
    ]);
    expect(lines[0]).toMatchObject({
      'number-of-started-member': 2,
      quorum: 3,
      'cluster-id': 'cafe',
      'local-member-id': '1',
    });
    expect(lines[1]).toMatchObject({
      level: 'warn',
      'requested-member-add': expect.stringMatching(
        /^\{ID:[0-9a-f]+ RaftAttributes:\{PeerURLs:\[http:\S+:10004\] IsLearner:false\} Attr/,
      ),
      error: 'etcdserver: re-configuration failed due to not enough started members',
    });
  });

  it('does not count what has started for a learner', async () => {
    cluster = await FakeCluster.of(2);
    addUnstarted(3);
    await changes().add([URL_4], true);
    expect(cluster.proposed).toHaveLength(1);
  });

  it('is always possible for a lone member', async () => {
    cluster = await FakeCluster.of(1);
    await changes().add([URL_4], false);
    expect(cluster.proposed).toHaveLength(1);
  });

  it.each([
    ['all others', [], true],
    ['two of three, the new one counting as down', [3], false],
    ['nobody', [2, 3], false],
  ])('with a connection to %s', async (_which, down, possible) => {
    disconnect(...down);
    const added = changes().add([URL_4], false);
    if (possible) await added;
    else await expect(added).rejects.toBe(errors.unhealthy);
    expect(cluster.proposed).toHaveLength(possible ? 1 : 0);
  });

  it('counts connections that have lasted more than five seconds', async () => {
    cluster.active.set(memberId(2), nowMs - 5000);
    await expect(changes().add([URL_4], true)).rejects.toBe(errors.unhealthy);
    expect(lines[0]).toMatchObject({
      msg: `rejecting member add request; ${NOT_CONNECTED} majority peers, ${BREAKS_QUORUM}`,
      error: 'etcdserver: unhealthy cluster',
    });
    nowMs += 1;
    await changes().add([URL_4], true);
  });

  it('asks nothing of the sort without the strict check', async () => {
    disconnect(2, 3);
    addUnstarted(5);
    await changes(false).add([URL_4], false);
    expect(cluster.proposed).toHaveLength(1);
  });

  it('ends with the verdict on the entry', async () => {
    const used = changes().add(['http://127.0.0.1:10002'], false);
    await expect(used).rejects.toBe(errors.peerUrlExist);
    const { id } = await changes().add([URL_4], true);
    await expect(changes().add(['http://c:1'], true)).rejects.toBe(errors.tooManyLearners);
    // The same URL in the same second makes the same id.
    await expect(changes().add([URL_4], false)).rejects.toBe(errors.memberExist);
    await changes().remove(id);
    await expect(changes().add([URL_4], false)).rejects.toBe(errors.memberNotFound);
  });
});

describe('removing a member', () => {
  it('is an entry without context', async () => {
    await changes().remove(memberId(3));
    expect(cluster.proposed).toEqual([
      { type: 'remove-node', nodeId: 3n, context: new Uint8Array() },
    ]);
  });

  it('that does not exist is for the log to refuse', async () => {
    await expect(changes().remove(memberId(9))).rejects.toBe(errors.memberNotFound);
    expect(cluster.proposed).toHaveLength(1);
  });

  it('that has no id is not found', async () => {
    await expect(changes().remove(memberId(0))).rejects.toBe(errors.memberNotFound);
    expect(cluster.proposed).toEqual([]);
  });

  it('never takes the last voter', async () => {
    cluster = await FakeCluster.of(1);
    await expect(changes().remove(memberId(1))).rejects.toBe(errors.memberNotEnoughStarted);
    expect(lines.map(({ msg }) => msg)).toEqual([
      'rejecting member remove; started member will be less than quorum',
      'rejecting member remove request; not enough healthy members',
    ]);
    expect(lines[1]).toMatchObject({ 'requested-member-remove-id': '1' });
  });

  it('wants a quorum of the rest to have started', async () => {
    cluster = await FakeCluster.of(2);
    addUnstarted(3);
    await expect(changes().remove(memberId(2))).rejects.toBe(errors.memberNotEnoughStarted);
    // Without the one that never came there are two that have started.
    await changes().remove(memberId(3));
  });

  it('asks nothing about a learner', async () => {
    cluster = await FakeCluster.of(3, 1);
    disconnect(2, 3);
    await changes().remove(memberId(4));
    expect(cluster.proposed).toHaveLength(1);
  });

  it('takes one that is down whoever else is', async () => {
    disconnect(2, 3);
    await changes().remove(memberId(3));
    expect(cluster.proposed).toHaveLength(1);
  });

  it('takes one that is up only if enough others are', async () => {
    disconnect(3);
    // Two are up; without member 2 one would be left of two.
    await expect(changes().remove(memberId(2))).rejects.toBe(errors.unhealthy);
    expect(lines[0]).toMatchObject({
      msg: `rejecting member remove request; ${NOT_CONNECTED} all peers, ${BREAKS_QUORUM}`,
      'requested-member-remove': '2',
      'active-peers': 2,
    });
    // The same holds for itself, though it is not connected to itself.
    await expect(changes().remove(memberId(1))).rejects.toBe(errors.unhealthy);
    await changes(false).remove(memberId(2));
  });

  it('takes the leader too', async () => {
    await changes().remove(memberId(1));
    expect(cluster.proposed).toMatchObject([{ nodeId: 1n }]);
  });
});

describe('updating a member', () => {
  it('keeps the URLs as they were given', async () => {
    await changes().update(memberId(2), ['http://b:2', 'http://a:1']);
    expect(cluster.proposed).toMatchObject([{ type: 'update-node', nodeId: 2n }]);
    expect(contexts()).toEqual(['{"id":2,"peerURLs":["http://b:2","http://a:1"]}']);
  });

  it('asks nothing about health', async () => {
    disconnect(2, 3);
    addUnstarted(5);
    await changes().update(memberId(5), ['http://b:2']);
  });

  it('refuses what would end other members', async () => {
    await expect(changes().update(memberId(2), [])).rejects.toBe(errors.memberBadUrls);
    await expect(changes().update(memberId(2), ['b:2'])).rejects.toBe(errors.memberBadUrls);
    await expect(changes().update(memberId(9), ['b:2'])).rejects.toBe(errors.memberNotFound);
    expect(cluster.proposed).toEqual([]);
  });

  it('ends with the verdict on the entry', async () => {
    await expect(changes().update(memberId(9), ['http://b:2'])).rejects.toBe(errors.memberNotFound);
    const used = changes().update(memberId(2), ['http://127.0.0.1:10003']);
    await expect(used).rejects.toBe(errors.peerUrlExist);
  });
});

describe('promoting a learner', () => {
  beforeEach(async () => {
    cluster = await FakeCluster.of(3, 1);
  });

  it('is an entry that adds a voter', async () => {
    await changes().promote(memberId(4));
    expect(cluster.proposed).toMatchObject([{ type: 'add-node', nodeId: 4n }]);
    expect(contexts()).toEqual(['{"id":4,"peerURLs":null,"isPromote":true}']);
    expect(cluster.stateMachine.members.get(memberId(4))).toMatchObject({ isLearner: false });
  });

  it('is decided by the leader, when it has caught up with itself', async () => {
    cluster.lead = memberId(2);
    await expect(changes().promote(memberId(4))).rejects.toBe(errors.notLeader);
    cluster.applied = () => Promise.reject(errors.timeoutWaitAppliedIndex);
    await expect(changes().promote(memberId(4))).rejects.toBe(errors.timeoutWaitAppliedIndex);
  });

  it('wants the learner to exist and to follow, and others to have started', async () => {
    for (const id of [2, 3]) {
      await changes(false).remove(memberId(id));
      addUnstarted(id + 10);
    }
    addUnstarted(14);
    await expect(changes().promote(memberId(9))).rejects.toBe(errors.memberNotFound);
    cluster.match.set(memberId(4), 89);
    await expect(changes().promote(memberId(4))).rejects.toBe(errors.learnerNotReady);
    expect(lines).toEqual([
      {
        level: 'error',
        msg: 'rejecting promote learner: learner is not ready',
        'learner-ready-percent': 0.89,
        'ready-percent-threshold': 0.9,
      },
    ]);
    cluster.match.set(memberId(4), 90);
    // Of five voters then, two would have started.
    await expect(changes().promote(memberId(4))).rejects.toBe(errors.memberNotEnoughStarted);
    expect(lines.map(({ msg }) => msg)).toEqual([
      'rejecting member promote; started member will be less than quorum',
      'rejecting member promote request; not enough healthy members',
    ]);
    await changes(false).promote(memberId(4));
  });

  it('of a voter is for the log to refuse', async () => {
    await expect(changes().promote(memberId(2))).rejects.toBe(errors.memberNotLearner);
  });
});
