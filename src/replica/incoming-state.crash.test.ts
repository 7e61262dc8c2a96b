/**
 * Power cuts at every operation of disk and engine while another member's state is received and
 * installed, in a log that holds entries of a leader that nobody followed: afterwards the member
 * has the state before or the new one, as a whole, with a log that belongs to it.
 */

import { expect, it } from 'vitest';
import {
  DIR,
  FOLLOWER,
  Follower,
  type Sent,
  startLeader,
  stateOf,
} from '../../test/support/follower.ts';
import type { LoneReplica } from '../../test/support/lone-replica.ts';
import { must } from '../assert.ts';
import { MemoryEngine } from '../platform/memory-engine.ts';
import { seededRandom } from '../platform/random.ts';
import type { Message } from '../raft/messages.ts';
import type { Index, MemberId } from '../types.ts';

/** Lets operations pass until its last one, which may take effect, and none after that. */
class Power {
  operations = 0;
  isOn = true;
  /** Null: measures. */
  lastOperation: number | null = null;
  landsLast = false;

  readonly use = (): void => {
    this.operations++;
    if (this.operations === this.lastOperation) this.isOn = false;
    if (!this.isOn) throw new Error('power');
  };

  readonly commit = async (land: () => void): Promise<void> => {
    const wasOn = this.isOn;
    try {
      this.use();
    } catch (error) {
      if (wasOn && this.landsLast) land();
      throw error;
    }
    land();
  };
}

interface Story {
  readonly leader: LoneReplica;
  readonly first: Sent;
  readonly second: Sent;
  readonly hashes: ReadonlyMap<Index, number>;
}

async function hashOf(lone: LoneReplica): Promise<number> {
  const result = await lone.whileRunning(lone.replica.stateMachine.store.hashKv(0));
  if (!('hash' in result)) throw result;
  return result.hash;
}

async function tell(): Promise<Story> {
  const leader = await startLeader();
  const hashes = new Map<Index, number>();
  const states: Sent[] = [];
  for (const round of ['first', 'second']) {
    for (let i = 0; i < 30; i++) await leader.whileRunning(leader.put(`key${i}`, round));
    await leader.whileRunning(leader.put(round));
    states.push(await stateOf(leader));
    hashes.set(leader.replica.applied, await hashOf(leader));
  }
  const [first, second] = states.map((sent, round) => ({
    ...sent,
    // The second one comes from the leader after the one that nobody followed.
    message: { ...sent.message, term: sent.message.term + 2 * round },
  }));
  return { leader, first: must(first, 'two'), second: must(second, 'two'), hashes };
}

/** Entries that a leader without followers has sent: they were never committed. */
function staleAppend({ message }: Sent, count: number): Message {
  const { index, term } = message.snapshot.metadata;
  return {
    type: 'app',
    from: 0x99n as MemberId,
    to: FOLLOWER,
    term: message.term + 1,
    index,
    logTerm: term,
    commit: index,
    entries: Array.from({ length: count }, (_, i) => ({
      type: 'normal',
      term: message.term + 1,
      index: index + 1 + i,
      data: Buffer.alloc(0),
    })),
  };
}

/** A member with the first state and a stale log, which then receives the second state. */
async function live(story: Story, stale: number, power: Power): Promise<Follower> {
  const follower = new Follower(story.leader);
  const { lone } = follower;
  const armed = { isOn: false };
  lone.engine = new MemoryEngine({
    commit: (land) => (armed.isOn ? power.commit(land) : Promise.resolve(land())),
  });
  await follower.open();
  await follower.receive(story.first);
  await follower.settle();
  must(follower.wire.events, 'started').message(staleAppend(story.first, stale));
  await follower.settle();
  expect(lone.started.wal.lastIndex).toBe(lone.replica.applied + stale);
  expect(lone.fatal).toEqual([]);
  armed.isOn = true;
  lone.disk.setFault(power.use);
  await follower.receive(story.second).catch((error: unknown) => {
    expect(String(error)).toContain('power');
  });
  await follower.settle();
  return follower;
}

// The log ends before the new state, or beyond it.
it.each([3, 60])(
  'never leaves a member between two states, with %d stale entries',
  async (stale) => {
    const story = await tell();
    const { leader, second, hashes } = story;
    const { index: secondIndex } = second.message.snapshot.metadata;
    const measured = new Power();
    const unharmed = await live(story, stale, measured);
    expect(unharmed.lone.replica.applied).toBe(secondIndex);
    expect(unharmed.lone.started.raft.status().last).toBe(secondIndex);
    expect(measured.operations).toBeGreaterThan(10);
    const random = seededRandom(3);
    const outcomes = new Map<Index, number>();
    for (let operation = 1; operation <= measured.operations; operation++) {
      for (const landsLast of [false, true]) {
        const power = new Power();
        power.lastOperation = operation;
        power.landsLast = landsLast;
        const follower = await live(story, stale, power);
        const { lone } = follower;
        expect(power.isOn).toBe(false);
        lone.fatal.length = 0;
        const survives = random.below(3);
        lone.crash(() => survives === 0 || (survives === 1 && random.below(2) === 0));
        await follower.open();

        const { applied } = lone.replica;
        outcomes.set(applied, (outcomes.get(applied) ?? 0) + 1);
        expect(await hashOf(lone)).toBe(hashes.get(applied));
        expect(await lone.disk.list(DIR)).toEqual(['wal']);
        const { last, term } = lone.started.raft.status();
        if (applied === secondIndex) expect(last).toBe(secondIndex);
        expect(term).toBeGreaterThanOrEqual(second.message.snapshot.metadata.term);
        // It goes on from there: with the state again, and with entries behind it.
        await follower.receive(second);
        await follower.settle();
        expect(lone.fatal).toEqual([]);
        expect(lone.replica.applied).toBe(secondIndex);
        await lone.close();
        lone.crash(() => true);
        await follower.open();
        expect(lone.replica.applied).toBe(secondIndex);
        expect(lone.started.raft.status().last).toBe(secondIndex);
        expect(await hashOf(lone)).toBe(hashes.get(secondIndex));
        await lone.close();
      }
    }
    // Both outcomes are met, and no other.
    expect([...outcomes.keys()].sort((a, b) => a - b)).toEqual([...hashes.keys()]);
    await unharmed.lone.close();
    await leader.close();
  },
);
