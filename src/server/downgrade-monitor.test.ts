import { beforeEach, expect, it } from 'vitest';
import { recordedLog } from '../../test/support/fake-cluster.ts';
import { errors } from '../errors.ts';
import { NO_DOWNGRADE } from '../replica/downgrade-info.ts';
import type { MemberId } from '../types.ts';
import { DowngradeMonitor } from './downgrade-monitor.ts';
import { Periodic } from './periodic.ts';

const settle = () => new Promise((resolve) => setImmediate(resolve));
let answers: (string | null)[];
let proposed: unknown[];
let verdict: Error | null;
let bugs: unknown[];
let looks: number;
const replica = {
  isLeader: true,
  stateMachine: { downgradeInfo: { enabled: true, targetVersion: '3.7.0' } },
  async propose(kind: string, value: unknown) {
    proposed.push({ kind, value });
    if (verdict !== null) throw verdict;
    return null;
  },
};

beforeEach(() => {
  [answers, proposed, verdict, bugs, looks] = [['3.7.1'], [], null, [], 0];
  Object.assign(replica, {
    isLeader: true,
    stateMachine: { downgradeInfo: { enabled: true, targetVersion: '3.7.0' } },
  });
});

function start(intervalMs = 5000) {
  const { log, lines } = recordedLog();
  const monitor = new DowngradeMonitor({
    replica: replica as never,
    async versions() {
      looks++;
      return answers.map((server, i) => ({ id: BigInt(i + 10) as MemberId, server }));
    },
    log,
  });
  const periodic = new Periodic({ intervalMs, run: () => monitor.cancelIfDone() });
  let now = 0;
  const pass = async (ms: number): Promise<void> => {
    for (const until = now + ms; now < until; ) {
      now += 100;
      periodic.tick(now, (error) => bugs.push(error));
      await settle();
    }
  };
  return { lines, pass };
}

const cancelled = { kind: 'downgradeInfoSet', value: { enabled: false, ver: '' } };

it('ends a downgrade when all members are of its version, at the interval', async () => {
  answers = ['3.7.1', '3.7.0'];
  const { lines, pass } = start();
  await pass(5000);
  expect(proposed).toEqual([]);
  await pass(100);
  expect(proposed).toEqual([cancelled]);
  expect(lines).toEqual([
    { level: 'info', msg: 'the cluster has been downgraded', 'cluster-version': '3.7.0' },
  ]);
});

it('goes on while a member is of another version, or does not answer', async () => {
  answers = ['3.7.1', '3.8.2'];
  const { lines, pass } = start();
  await pass(5100);
  expect(lines).toEqual([
    {
      level: 'warn',
      msg: 'remotes server has mismatching etcd version',
      'remote-member-id': 'b',
      'current-server-version': '3.8.0',
      'target-version': '3.7.0',
    },
  ]);
  answers = ['3.7.1', null];
  await pass(5100);
  expect(looks).toBe(2);
  expect(proposed).toEqual([]);
});

it('asks nobody without a downgrade, when it does not lead, or when it is off', async () => {
  const { pass } = start();
  replica.isLeader = false;
  await pass(6000);
  Object.assign(replica, { isLeader: true, stateMachine: { downgradeInfo: NO_DOWNGRADE } });
  await pass(6000);
  replica.stateMachine.downgradeInfo = { enabled: true, targetVersion: '3.7.0' };
  await start(0).pass(6000);
  expect(looks).toBe(0);
});

it('takes a refusal in its stride, and nothing else', async () => {
  const { lines, pass } = start();
  verdict = errors.timeout;
  await pass(5100);
  expect(lines.at(-1)).toMatchObject({ msg: 'failed to cancel downgrade' });
  expect(bugs).toEqual([]);
  verdict = new Error('bug');
  await pass(5100);
  expect(bugs).toEqual([verdict]);
});
