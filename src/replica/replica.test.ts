import { describe, expect, it } from 'vitest';
import { LoneReplica, putRequest } from '../../test/support/lone-replica.ts';
import { AlarmAction, AlarmType } from '../codec/gen/etcdserverpb.ts';
import { encodeConfChange } from '../codec/raftpb.ts';
import { errors } from '../errors.ts';
import { limits } from '../limits.ts';
import type { PeerEvents, Peers } from '../ports.ts';
import type { Message } from '../raft/messages.ts';
import { EMPTY_BYTES, type Key, keyFromText, type LeaseId, type MemberId } from '../types.ts';
import { BootstrapError } from './founding.ts';
import { memberJson } from './members.ts';
import { storedPosition } from './position.ts';

const LEASE = 0x77n as LeaseId;
const OTHER = 2n as MemberId;

/** What a promise has come to so far. */
function outcomeOf(promise: Promise<unknown>): { value: unknown } {
  const outcome = { value: 'pending' as unknown };
  promise.then(
    () => {
      outcome.value = 'done';
    },
    (error: unknown) => {
      outcome.value = error;
    },
  );
  return outcome;
}

class SilentPeers implements Peers {
  readonly sent: Message[] = [];
  deliver: (message: Message) => void = () => {};
  send(messages: readonly Message[]): void {
    this.sent.push(...messages);
  }
  start({ message }: PeerEvents): void {
    this.deliver = message;
  }
  activeSinceMs(): number {
    return 0;
  }
  setMembers(): void {}
  sendSnapshot(): Promise<boolean> {
    return Promise.resolve(false);
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** A leader whose second voter never answers. */
async function withDeafPeer(): Promise<{ lone: LoneReplica; peers: SilentPeers }> {
  const peers = new SilentPeers();
  const lone = await LoneReplica.start({ peers });
  const context = memberJson({
    id: OTHER,
    name: '',
    peerUrls: ['http://127.0.0.1:12380'],
    clientUrls: [],
    isLearner: false,
  });
  const change = {
    id: 1n,
    type: 'add-node',
    nodeId: OTHER,
    context: Buffer.from(context),
  } as const;
  expect(lone.started.raft.proposeMembership('conf-change', encodeConfChange(change))).toBe(true);
  await lone.whileRunning(lone.put('first'));
  await lone.clock.settle();
  expect(lone.replica.confState.voters).toContain(OTHER);
  return { lone, peers };
}

describe('proposals', () => {
  it('of one turn share one write and one sync', async () => {
    const lone = await LoneReplica.start();
    const before = lone.syncs;
    const puts = Array.from({ length: 50 }, (_, i) => lone.put(`k${i}`));
    expect(lone.replica.pendingProposals).toBe(50);
    await lone.clock.settle();
    const revisions = (await Promise.all(puts)).map(({ revision }) => revision);
    expect(revisions).toEqual(Array.from({ length: 50 }, (_, i) => i + 2));
    expect(lone.syncs - before).toBe(1);
    expect(lone.replica.pendingProposals).toBe(0);
  });

  it('are answered only after the sync', async () => {
    const lone = await LoneReplica.start();
    let release = (): void => {};
    const file = lone.started.wal;
    const append = file.append.bind(file);
    file.append = (batch) => {
      append(batch);
      return new Promise((resolve) => {
        release = resolve;
      });
    };
    const put = outcomeOf(lone.put('a'));
    await lone.clock.settle();
    expect(put.value).toBe('pending');
    expect(lone.value('a')).toBeNull();
    release();
    await lone.clock.settle();
    expect(put.value).toBe('done');
  });

  it('that are too large are refused at once', async () => {
    const lone = await LoneReplica.start({ replica: { requestBytesMax: 1000 } });
    await expect(lone.put('a', 'x'.repeat(1000))).rejects.toBe(errors.requestTooLarge);
    await expect(lone.whileRunning(lone.put('a', 'x'.repeat(900)))).resolves.toBeTruthy();
  });

  it('are refused while the engine is far behind', async () => {
    const lone = await LoneReplica.start();
    Object.defineProperty(lone.rows, 'stagedBytes', { value: limits.stagedBytesMax + 1 });
    await expect(lone.put('a')).rejects.toBe(errors.tooManyRequests);
  });

  it('carry the outcome of applying them', async () => {
    const lone = await LoneReplica.start();
    const put = lone.replica.propose('put', putRequest('a', 'v', LEASE));
    await expect(lone.whileRunning(put)).rejects.toBe(errors.leaseNotFound);
  });
});

describe('without a quorum', () => {
  it('what was accepted and lost ends as a timeout, what nobody took as a deadline', async () => {
    const { lone } = await withDeafPeer();
    const accepted = outcomeOf(lone.put('a'));
    await lone.clock.advance(3000);
    expect(lone.replica.lead).toBeNull();
    const untaken = outcomeOf(lone.put('b'));
    await lone.clock.advance(4100);
    expect(accepted.value).toBe(errors.timeout);
    expect(untaken.value).toBe('pending');
    await lone.clock.advance(2900);
    expect(untaken.value).toBe(errors.deadlineExceeded);
    expect(lone.replica.pendingProposals).toBe(0);
  });

  it('a read hears of the next leader, or times out', async () => {
    const { lone, peers } = await withDeafPeer();
    const early = outcomeOf(lone.replica.readBarrier());
    await lone.clock.advance(3000);
    expect(lone.replica.lead).toBeNull();
    const late = outcomeOf(lone.replica.readBarrier());
    await lone.clock.advance(3900);
    expect(early.value).toBe('pending');
    await lone.clock.advance(200);
    expect(early.value).toBe(errors.timeout);
    expect(late.value).toBe('pending');
    peers.deliver({
      type: 'heartbeat',
      from: OTHER,
      to: lone.replica.memberId,
      term: lone.replica.term + 5,
      commit: 0,
      context: EMPTY_BYTES,
    });
    await lone.clock.settle();
    expect(late.value).toBe(errors.leaderChanged);
  });

  it('a request from shortly before an election blames the former leader', async () => {
    const { lone, peers } = await withDeafPeer();
    await lone.clock.advance(3000);
    const before = outcomeOf(lone.put('b'));
    await lone.clock.advance(1000);
    peers.deliver({
      type: 'heartbeat',
      from: OTHER,
      to: lone.replica.memberId,
      term: lone.replica.term + 5,
      commit: 0,
      context: EMPTY_BYTES,
    });
    await lone.clock.settle();
    expect(lone.replica.lead).toBe(OTHER);
    expect(peers.sent.some(({ type }) => type === 'prop')).toBe(true);
    const after = outcomeOf(lone.put('c'));
    for (let i = 0; i < 70; i++) {
      await lone.clock.advance(100);
      peers.deliver({
        type: 'heartbeat',
        from: OTHER,
        to: lone.replica.memberId,
        term: lone.replica.term,
        commit: 0,
        context: EMPTY_BYTES,
      });
    }
    await lone.clock.advance(100);
    expect(before.value).toBe(errors.timeoutDueToLeaderFail);
    expect(after.value).toBe(errors.timeout);
  });

  it('takes no more than so many messages in one turn', async () => {
    const { lone, peers } = await withDeafPeer();
    const heartbeat: Message = {
      type: 'heartbeat',
      from: OTHER,
      to: lone.replica.memberId,
      term: lone.replica.term + 5,
      commit: 0,
      context: EMPTY_BYTES,
    };
    for (let i = 0; i < limits.messagesQueuedMax + 5; i++) peers.deliver(heartbeat);
    await lone.clock.settle();
    const answers = peers.sent.filter(({ type }) => type === 'heartbeat-resp');
    expect(answers).toHaveLength(limits.messagesQueuedMax);
  });

  it('refuses more than so many waiting proposals', async () => {
    const { lone } = await withDeafPeer();
    await lone.clock.advance(3000);
    const waiting = Array.from({ length: limits.proposalsQueuedMax + 1 }, () => lone.put('a'));
    for (const put of waiting) outcomeOf(put);
    await expect(lone.put('a')).rejects.toBe(errors.tooManyRequests);
  });

  it('a wait for applying is bounded by a second', async () => {
    const { lone } = await withDeafPeer();
    const wait = outcomeOf(lone.replica.whenApplied(lone.replica.applied + 1));
    await lone.clock.advance(900);
    expect(wait.value).toBe('pending');
    await lone.clock.advance(200);
    expect(wait.value).toBe(errors.timeoutWaitAppliedIndex);
  });
});

describe('a read barrier', () => {
  it('lets a read see every write that was acknowledged', async () => {
    const lone = await LoneReplica.start();
    await lone.whileRunning(lone.put('a', 'one'));
    await lone.whileRunning(lone.replica.readBarrier());
    expect(lone.value('a')).toContain('one');
  });

  it('waits for applying that is under way', async () => {
    const lone = await LoneReplica.start();
    const order: string[] = [];
    const put = lone.put('a').then(() => order.push('put'));
    const read = lone.replica.readBarrier().then(() => order.push('read'));
    await lone.clock.settle();
    await Promise.all([put, read]);
    expect(order).toHaveLength(2);
  });
});

describe('the end', () => {
  it('rejects what waits and writes what is applied', async () => {
    const lone = await LoneReplica.start();
    await lone.whileRunning(lone.put('a'));
    const put = outcomeOf(lone.put('b'));
    const read = outcomeOf(lone.replica.readBarrier());
    const wait = outcomeOf(lone.replica.whenApplied(1000));
    const { applied } = lone.replica;
    await lone.whileRunning(lone.replica.close());
    expect([put.value, read.value, wait.value]).toEqual(Array(3).fill(errors.stopped));
    await expect(lone.put('c')).rejects.toBe(errors.stopped);
    await expect(lone.replica.readBarrier()).rejects.toBe(errors.stopped);
    await expect(lone.replica.whenApplied(1000)).rejects.toBe(errors.stopped);
    expect(storedPosition((key) => lone.engine.get(key)).index).toBe(applied);
    expect(lone.clock.timerCount).toBe(0);
    expect(lone.fatal).toEqual([]);
  });

  it('waits for a compaction and for reads of history', async () => {
    const lone = await LoneReplica.start();
    for (let i = 0; i < 100; i++) void lone.put('a', `${i}`);
    await lone.clock.settle();
    const compacting = lone.replica.propose('compaction', { revision: 90, physical: false });
    await lone.clock.settle();
    await compacting;
    const { store, hub } = lone.replica.stateMachine;
    expect(store.compactionPending).toBe(true);
    hub.watch(keyFromText('a'), '' as Key, 91, { deliver: () => true, compacted() {} });
    await lone.whileRunning(lone.replica.close());
    await lone.engine.close();
    await lone.clock.settle();
    expect(lone.fatal).toEqual([]);
  });

  it('comes once, however often it is asked for', async () => {
    const lone = await LoneReplica.start();
    const [one, two] = [lone.replica.close(), lone.replica.close()];
    expect(one).toBe(two);
    await lone.whileRunning(one);
  });
});

describe('a broken disk', () => {
  it('ends the member, and nothing is acknowledged any more', async () => {
    const lone = await LoneReplica.start();
    await lone.whileRunning(lone.put('a'));
    const broken = new Error('EIO');
    lone.disk.setFault((operation) => {
      if (operation === 'sync') throw broken;
    });
    const put = outcomeOf(lone.put('b'));
    const read = outcomeOf(lone.replica.readBarrier());
    await lone.clock.settle();
    expect(lone.fatal).toEqual([broken]);
    expect([put.value, read.value]).toEqual([errors.stopped, errors.stopped]);
    expect(lone.value('b')).toBeNull();
    await expect(lone.put('c')).rejects.toBe(errors.stopped);
    await lone.clock.advance(10_000);
    expect(lone.fatal).toEqual([broken]);
    await lone.close();
  });

  it('ends the member when the engine cannot be written', async () => {
    const lone = new LoneReplica();
    const broken = new Error('EIO');
    let isBroken = false;
    lone.engine = lone.engine.restart({
      commit: async (land) => {
        if (isBroken) throw broken;
        land();
      },
    });
    await lone.open();
    isBroken = true;
    await lone.whileRunning(lone.put('a'));
    await lone.clock.advance(1000);
    expect(lone.fatal).toEqual([broken]);
    await lone.close();
  });

  it('ends the member when its bug does', async () => {
    const lone = await LoneReplica.start();
    const bug = new Error('bug');
    lone.replica.stateMachine.apply = () => {
      throw bug;
    };
    const put = outcomeOf(lone.put('a'));
    await lone.clock.settle();
    expect(lone.fatal).toEqual([bug]);
    expect(put.value).toBe(errors.stopped);
  });
});

describe('leases', () => {
  it('expire on ticks and take their keys along in one revision', async () => {
    const lone = await LoneReplica.start();
    void lone.replica.propose('leaseGrant', { id: LEASE, ttl: 3 });
    for (const key of ['b', 'a', 'c']) void lone.put(key, 'v', LEASE);
    await lone.clock.settle();
    const { store, lessor } = lone.replica.stateMachine;
    const { revision } = store;
    await lone.clock.advance(2900);
    expect(lessor.has(LEASE)).toBe(true);
    await lone.clock.advance(800);
    expect(lessor.has(LEASE)).toBe(false);
    expect(store.revision).toBe(revision + 1);
    expect([lone.value('a'), lone.value('b'), lone.value('c')]).toEqual([null, null, null]);
    const history = await store.eventsBetween(revision + 1, revision + 1);
    expect(history).toMatchObject({ events: [{ key: 'a' }, { key: 'b' }, { key: 'c' }] });
    expect(lone.leasesExpired).toBe(1);
  });

  it('begin their time anew after a restart', async () => {
    const lone = await LoneReplica.start();
    void lone.replica.propose('leaseGrant', { id: LEASE, ttl: 3 });
    void lone.put('a', 'v', LEASE);
    await lone.clock.advance(2000);
    await lone.restart();
    await lone.clock.advance(2900);
    expect(lone.value('a')).not.toBeNull();
    await lone.clock.advance(2000);
    expect(lone.value('a')).toBeNull();
  });

  it('make a renewal that waits for a revoke end with the member', async () => {
    const lone = await LoneReplica.start();
    void lone.replica.propose('leaseGrant', { id: LEASE, ttl: 3 });
    await lone.clock.settle();
    const { lessor } = lone.replica.stateMachine;
    const renewal = outcomeOf(lessor.renewed(LEASE, lone.replica.ticks + 1000));
    await lone.whileRunning(lone.replica.close());
    await lone.clock.settle();
    expect(renewal.value).toBe(errors.notPrimaryLessor);
  });
});

describe('the quota', () => {
  it('lets the request that crosses it take effect, refuses it, and raises the alarm', async () => {
    const lone = await LoneReplica.start();
    lone.roomBytes = 300;
    const { alarms, store } = lone.replica.stateMachine;
    const crossing = lone.whileRunning(lone.put('a', 'x'.repeat(100)));
    await expect(crossing).rejects.toBe(errors.noSpace);
    expect(lone.value('a')).not.toBeNull();
    const alarm = { memberId: lone.replica.memberId, alarm: AlarmType.NOSPACE };
    expect(alarms.list()).toEqual([alarm]);
    const { revision } = store;
    lone.roomBytes = Number.POSITIVE_INFINITY;
    await expect(lone.whileRunning(lone.put('b'))).rejects.toBe(errors.noSpace);
    expect(store.revision).toBe(revision);
    await lone.whileRunning(
      lone.replica.propose('alarm', { action: AlarmAction.DEACTIVATE, ...alarm }),
    );
    await expect(lone.whileRunning(lone.put('b'))).resolves.toBeTruthy();
  });
});

describe('snapshots', () => {
  it('mark the WAL every so many entries, and a restart begins there', async () => {
    const options = { replica: { snapshotEntries: 20, catchUpEntries: 5 } };
    const lone = await LoneReplica.start(options);
    for (let i = 0; i < 100; i++) {
      void lone.put('a', `${i}`);
      await lone.clock.advance(20);
    }
    await lone.clock.advance(500);
    expect(lone.snapshots.length).toBeGreaterThan(2);
    const marked = lone.snapshots.at(-1) ?? 0;
    expect(marked).toBeGreaterThan(60);
    await lone.restart(options);
    expect(lone.started.snapshotIndex).toBeGreaterThanOrEqual(marked);
    expect(lone.started.restarted).toBe(true);
    expect(lone.value('a')).toContain('99');
  });
});

describe('bootstrap', () => {
  it('refuses a name that is not in the initial cluster', async () => {
    const initialCluster = [{ name: 'one', peerUrls: ['http://127.0.0.1:2380'] }];
    const founding = { kind: 'new', name: 'two', clusterToken: 'token', initialCluster } as const;
    const start = LoneReplica.start({ bootstrap: { start: founding } });
    await expect(start).rejects.toThrow(BootstrapError);
    await expect(start).rejects.toThrow('couldn\'t find local name "two"');
  });

  it('builds a deleted database again from a whole log', async () => {
    const lone = await LoneReplica.start();
    await lone.whileRunning(lone.put('a', 'kept'));
    await lone.close();
    lone.engine = new LoneReplica().engine;
    await lone.open();
    expect(lone.value('a')).toContain('kept');
    expect(lone.replica.stateMachine.members.list()).toHaveLength(1);
  });

  it('refuses a deleted database when the log begins later', async () => {
    const lone = await LoneReplica.start({ replica: { snapshotEntries: 2 } });
    for (let i = 0; i < 10; i++) {
      void lone.put('a');
      await lone.clock.advance(200);
    }
    await lone.close();
    lone.engine = new LoneReplica().engine;
    await expect(lone.open()).rejects.toThrow(/^database is at index 0, before the snapshot at/);
  });

  it('refuses a log that was cut off behind the database', async () => {
    const lone = await LoneReplica.start();
    await lone.whileRunning(lone.put('a'));
    await lone.close();
    const other = await LoneReplica.start();
    await other.close();
    other.engine = lone.engine.restart();
    await expect(other.open()).rejects.toThrow(/^database is at index \d+, beyond the last entry/);
  });

  it('leaves nothing open that would keep the next start from working', async () => {
    const lone = await LoneReplica.start();
    await lone.close();
    const { engine } = lone;
    lone.engine = engine.restart();
    Object.defineProperty(lone.engine, 'scan', { value: () => Promise.reject(new Error('EIO')) });
    await expect(lone.open()).rejects.toThrow('EIO');
    lone.engine = engine.restart();
    await lone.open();
    await expect(lone.whileRunning(lone.put('a'))).resolves.toBeTruthy();
  });

  it('founds again when the power went before the founding entries were durable', async () => {
    const lone = new LoneReplica();
    lone.disk.setFault((operation, path) => {
      if (operation === 'sync' && path === 'data') throw new Error('power');
    });
    await expect(lone.open()).rejects.toThrow('power');
    lone.crash(() => false);
    await lone.open();
    await expect(lone.whileRunning(lone.put('a'))).resolves.toMatchObject({ revision: 2 });
    expect(lone.replica.stateMachine.members.list()).toHaveLength(1);
  });
});
