import { beforeEach, describe, expect, it } from 'vitest';
import { FakeCluster, memberId, recordedLog } from '../../test/support/fake-cluster.ts';
import { errors } from '../errors.ts';
import { createLeaderTransfer, type LeaderTransfer } from './leader-transfer.ts';

let cluster: FakeCluster;
let lines: Record<string, unknown>[];
let nowMs: number;

beforeEach(async () => {
  cluster = await FakeCluster.of(3, 1);
  nowMs = 1000;
});

function transfer(): LeaderTransfer {
  const recorded = recordedLog();
  lines = recorded.lines;
  return createLeaderTransfer({
    replica: cluster,
    clock: { monotonic: () => nowMs },
    log: recorded.log,
    electionTicks: 10,
  });
}

describe('moving the leadership', () => {
  it('says when it starts and when it is done', async () => {
    cluster.transfer = async () => {
      nowMs += 12;
    };
    await transfer().moveLeader(memberId(2));
    expect(cluster.transferred).toEqual([2n]);
    expect(lines).toEqual([
      {
        level: 'info',
        msg: 'leadership transfer starting',
        'local-member-id': '1',
        'current-leader-member-id': '1',
        'transferee-member-id': '2',
      },
      {
        level: 'info',
        msg: 'leadership transfer finished',
        'local-member-id': '1',
        'old-leader-member-id': '1',
        'new-leader-member-id': '2',
        took: '12ms',
      },
    ]);
  });

  it('begins at the leader and ends at a voter, and is checked in this order', async () => {
    await expect(transfer().moveLeader(memberId(4))).rejects.toBe(errors.badLeaderTransferee);
    await expect(transfer().moveLeader(memberId(9))).rejects.toBe(errors.badLeaderTransferee);
    cluster.lead = memberId(2);
    await expect(transfer().moveLeader(memberId(9))).rejects.toBe(errors.notLeader);
    cluster.lead = null;
    await expect(transfer().moveLeader(memberId(2))).rejects.toBe(errors.notLeader);
    expect(cluster.transferred).toEqual([]);
  });

  it('tells when it takes too long', async () => {
    cluster.transfer = () => Promise.reject(errors.timeoutLeaderTransfer);
    await expect(transfer().moveLeader(memberId(2))).rejects.toBe(errors.timeoutLeaderTransfer);
    expect(lines.map(({ msg }) => msg)).toEqual(['leadership transfer starting']);
  });
});

describe('a member that stops', () => {
  it('hands over to the voter that has been connected longest', async () => {
    cluster.active.set(memberId(2), 500);
    cluster.active.set(memberId(3), 400);
    cluster.active.set(memberId(4), 100);
    await transfer().handOver();
    expect(cluster.transferred).toEqual([3n]);
  });

  it('does not count on who is away', async () => {
    cluster.active.delete(memberId(2));
    await transfer().handOver();
    expect(cluster.transferred).toEqual([3n]);
    cluster.lead = memberId(1);
    cluster.active.delete(memberId(3));
    await expect(transfer().handOver()).rejects.toBe(errors.unhealthy);
  });

  it('has nothing to hand over when another one leads', async () => {
    cluster.lead = memberId(3);
    await transfer().handOver();
    cluster.lead = null;
    const first = lines;
    await transfer().handOver();
    expect([...first, ...lines]).toEqual([
      {
        level: 'info',
        msg: 'skipped leadership transfer; local server is not leader',
        'local-member-id': '1',
        'current-leader-member-id': '3',
      },
      expect.objectContaining({ 'current-leader-member-id': '0' }),
    ]);
    expect(cluster.transferred).toEqual([]);
  });

  it('has nobody to hand over to when it is the only voter', async () => {
    cluster = await FakeCluster.of(1, 1);
    await transfer().handOver();
    expect(lines).toMatchObject([
      { msg: 'skipped leadership transfer for single voting member cluster' },
    ]);
    expect(cluster.transferred).toEqual([]);
  });
});
