import { beforeEach, describe, expect, it } from 'vitest';
import { FakeCluster, memberId } from '../../test/support/fake-cluster.ts';
import { HandClock } from '../../test/support/hand-clock.ts';
import { AssertionError } from '../assert.ts';
import { type EtcdError, errors } from '../errors.ts';
import { type AskLeader, createLeaderCalls } from './leader-calls.ts';

const TIMEOUT_MS = 7000;

let cluster: FakeCluster;
let clock: HandClock;
let ask: AskLeader;
/** The URLs asked, in order. */
let asked: string[];
let here: () => Promise<string>;
let there: (url: string, signal: AbortSignal) => Promise<string>;
let stop: AbortController;

beforeEach(async () => {
  cluster = await FakeCluster.of(3);
  clock = new HandClock();
  asked = [];
  here = () => Promise.resolve('here');
  there = (url) => Promise.resolve(url);
  stop = new AbortController();
  const { memberId: self, stateMachine } = cluster;
  ask = createLeaderCalls({
    replica: {
      memberId: self,
      get lead() {
        return cluster.lead;
      },
      stopping: stop.signal,
      stateMachine,
    },
    clock,
    requestTimeoutMs: TIMEOUT_MS,
  });
});

function call(answers: readonly EtcdError[] = []): {
  ended: () => unknown;
  promise: Promise<string>;
} {
  let ended: unknown = 'pending';
  const promise = ask({
    here: () => here(),
    notHere: errors.notLeader,
    there: (url, signal) => {
      asked.push(url);
      return there(url, signal);
    },
    answers,
  });
  promise.then(
    (value) => {
      ended = value;
    },
    (error: unknown) => {
      ended = error;
    },
  );
  return { ended: () => ended, promise };
}

/** A question under way, waiting for time to pass. */
async function begun(answers: readonly EtcdError[] = []): Promise<() => unknown> {
  const { ended } = call(answers);
  await clock.settle();
  return ended;
}

const refuse = (error: unknown) => () => Promise.reject(error);
const unreachable = refuse(new Error('ECONNREFUSED'));

describe('a question to the leader', () => {
  it('is answered here when this member leads, be it an error', async () => {
    expect(await call().promise).toBe('here');
    here = refuse(errors.learnerNotReady);
    await expect(call().promise).rejects.toBe(errors.learnerNotReady);
    expect(asked).toEqual([]);
    expect(clock.timerCount).toBe(0);
  });

  it('goes to the URLs of the leader, one after the other', async () => {
    cluster.add({ id: memberId(4), peerUrls: ['http://a:1', 'http://b:1', 'http://c:1'] });
    cluster.lead = memberId(4);
    there = (url) => (url === 'http://b:1' ? Promise.resolve(url) : unreachable());
    expect(await call().promise).toBe('http://b:1');
    expect(asked).toEqual(['http://a:1', 'http://b:1']);
    expect(clock.timerCount).toBe(0);
  });

  it('is asked again, after a pause, of whoever leads then', async () => {
    cluster.lead = memberId(2);
    there = unreachable;
    const ended = await begun();
    await clock.advance(120);
    expect(asked).toEqual(Array(3).fill('http://127.0.0.1:10002'));
    cluster.lead = memberId(3);
    there = (url) => Promise.resolve(url);
    await clock.advance(50);
    expect(ended()).toBe('http://127.0.0.1:10003');
  });

  it('ends with an answer that is an error, and with no other', async () => {
    cluster.lead = memberId(2);
    there = refuse(errors.leaseNotFound);
    await expect(call([errors.leaseNotFound]).promise).rejects.toBe(errors.leaseNotFound);
    const other = await begun([errors.memberNotFound]);
    await clock.advance(TIMEOUT_MS - 1);
    expect(other()).toBe('pending');
    await clock.advance(1);
    expect(other()).toBe(errors.timeout);
    expect(clock.timerCount).toBe(0);
  });

  it('comes back here when this member is elected, once it leads indeed', async () => {
    cluster.lead = null;
    const ended = await begun();
    await clock.advance(1000);
    here = refuse(errors.notLeader);
    cluster.lead = memberId(1);
    await clock.advance(1000);
    expect(ended()).toBe('pending');
    here = () => Promise.resolve('here');
    await clock.advance(50);
    expect(ended()).toBe('here');
    expect(asked).toEqual([]);
  });

  it('ends without a leader when the time is up', async () => {
    cluster.lead = null;
    const ended = await begun();
    await clock.advance(TIMEOUT_MS - 1);
    expect(ended()).toBe('pending');
    await clock.advance(1);
    expect(ended()).toBe(errors.noLeader);
  });

  it('waits for a leader that it has not heard of as a member', async () => {
    cluster.lead = memberId(9);
    const ended = await begun();
    await clock.advance(TIMEOUT_MS);
    expect(ended()).toBe(errors.noLeader);
  });

  it('tells the one who is asked when the time is up, and when the member stops', async () => {
    cluster.lead = memberId(2);
    const signals: AbortSignal[] = [];
    there = (_url, signal) =>
      new Promise((_resolve, reject) => {
        signals.push(signal);
        signal.addEventListener('abort', () => reject(new Error('aborted')));
      });
    const late = await begun();
    await clock.advance(TIMEOUT_MS);
    expect(late()).toBe(errors.timeout);
    const stopped = await begun();
    stop.abort();
    await clock.settle();
    expect(stopped()).toBe(errors.stopped);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
    await expect(call().promise).rejects.toBe(errors.stopped);
    expect(clock.timerCount).toBe(0);
  });

  it('never hides a bug', async () => {
    cluster.lead = memberId(2);
    const bug = new AssertionError('broken');
    there = refuse(bug);
    await expect(call().promise).rejects.toBe(bug);
  });
});
