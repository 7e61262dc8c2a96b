import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  DIR,
  FOLLOWER,
  Follower,
  piecesOf,
  type Sent,
  startLeader,
  stateOf,
} from '../../test/support/follower.ts';
import type { LoneReplica } from '../../test/support/lone-replica.ts';
import { BboltWriter } from '../bbolt/writer.ts';
import { AlarmAction, AlarmType } from '../codec/gen/etcdserverpb.ts';
import { decodeKeyValue } from '../codec/key-value.ts';
import { decodeMessage } from '../codec/raftpb.ts';
import { crc32c } from '../crc32c.ts';
import { EtcdError } from '../errors.ts';
import { FROM_KEY } from '../mvcc/key-range.ts';
import { readOptions } from '../mvcc/range.ts';
import type { SnapMessage } from '../ports.ts';
import type { ConfState, SnapshotMetadata } from '../raft/messages.ts';
import { keyFromText, type LeaseId, type MemberId, type RowKey } from '../types.ts';
import { receiveState } from './incoming-state.ts';

const LEASE = 0x77n as LeaseId;
const never = new AbortController().signal;
const ALL_ROWS = { from: '"' as RowKey, to: '\xff' as RowKey, limit: 1_000_000 };

async function busyLeader(): Promise<LoneReplica> {
  const leader = await startLeader();
  const { replica } = leader;
  const done = async (...proposals: Promise<unknown>[]): Promise<unknown> =>
    leader.whileRunning(Promise.all(proposals));
  await done(replica.propose('leaseGrant', { id: LEASE, ttl: 60 }));
  for (let i = 0; i < 300; i += 100) {
    await done(
      ...Array.from({ length: 100 }, (_, n) => leader.put(`key${1000 + i + n}`, 'x'.repeat(i))),
    );
  }
  await done(leader.put('leased', 'v', LEASE), leader.put('large', 'y'.repeat(400_000)));
  await done(leader.put('key1005', 'again'));
  await done(replica.propose('compaction', { revision: 120, physical: false }));
  const range = { key: keyFromText('key101'), rangeEnd: keyFromText('key102'), prevKv: false };
  await done(replica.propose('deleteRange', range));
  await done(replica.propose('clusterVersionSet', { ver: '3.7.0' }));
  // Compactions go on in pauses.
  for (let i = 0; i < 50; i++) await leader.clock.advance(10);
  return leader;
}

/** Short enough to be compared quickly. */
function pairsOf({ replica }: LoneReplica): readonly string[] {
  const found = replica.stateMachine.store.range(readOptions(keyFromText('\0'), FROM_KEY));
  if (found instanceof EtcdError) throw found;
  return found.kvs.map((kv) => `${crc32c(kv)} ${decodeKeyValue(kv).key}`);
}

async function rowsOf({ engine }: LoneReplica): Promise<readonly string[]> {
  return (await engine.scan(ALL_ROWS)).map(({ key, value }) => `${key} ${crc32c(value)}`);
}

async function expectSame(follower: LoneReplica, leader: LoneReplica): Promise<void> {
  const [ours, theirs] = [follower.replica.stateMachine, leader.replica.stateMachine];
  expect(ours.appliedIndex).toBe(theirs.appliedIndex);
  expect(ours.appliedTerm).toBe(theirs.appliedTerm);
  expect(ours.clusterVersion).toBe(theirs.clusterVersion);
  expect(ours.members.list()).toEqual(theirs.members.list());
  expect(ours.members.removed()).toEqual(theirs.members.removed());
  expect(ours.alarms.list()).toEqual(theirs.alarms.list());
  expect(ours.lessor.leases()).toEqual(theirs.lessor.leases());
  expect([...(ours.lessor.get(LEASE)?.keys ?? [])]).toEqual([keyFromText('leased')]);
  expect(ours.lessor.leaseOf(keyFromText('leased'))).toBe(LEASE);
  expect(pairsOf(follower)).toEqual(pairsOf(leader));
  const hash = (side: LoneReplica) => side.whileRunning(side.replica.stateMachine.store.hashKv(0));
  expect(await hash(follower)).toEqual(await hash(leader));
  expect(follower.rows.liveBytes).toBe(leader.rows.liveBytes);
  expect(follower.replica.confState).toEqual(leader.replica.confState);
}

describe('a member that receives a state', () => {
  it('has it at once, and after a restart', async () => {
    const leader = await busyLeader();
    const alarm = { memberId: FOLLOWER, alarm: AlarmType.NOSPACE, action: AlarmAction.ACTIVATE };
    await leader.whileRunning(leader.replica.propose('alarm', alarm));
    const follower = await Follower.start(leader);
    const { lone } = follower;
    await follower.receive(await stateOf(leader));
    await follower.settle();
    expect(lone.fatal).toEqual([]);
    await expectSame(lone, leader);
    expect(await lone.disk.list(DIR)).toEqual(['wal']);
    expect(lone.started.wal.lastIndex).toBe(leader.replica.applied);
    await lone.close();
    lone.crash(() => true);
    await follower.open();
    await expectSame(lone, leader);
    await lone.close();
    await leader.close();
  });

  it('takes a later one over it, but none that it does not need', async () => {
    const leader = await busyLeader();
    const first = await stateOf(leader);
    const follower = await Follower.start(leader);
    await follower.receive(first);
    await follower.settle();
    await leader.whileRunning(leader.put('later'));
    await follower.receive(await stateOf(leader));
    await follower.settle();
    await expectSame(follower.lone, leader);
    await follower.receive(first);
    await follower.settle();
    await expectSame(follower.lone, leader);
    expect(follower.lone.fatal).toEqual([]);
    await follower.lone.close();
    await leader.close();
  });

  it('takes one that passed through a member that stores no terms', async () => {
    const leader = await busyLeader();
    const { message, body } = await stateOf(leader);
    const { snapshot } = message;
    const term = snapshot.metadata.term + 1;
    const metadata = { ...snapshot.metadata, term };
    const follower = await Follower.start(leader);
    await follower.receive({
      message: { ...message, term, snapshot: { ...snapshot, metadata } },
      body,
    });
    await follower.settle();
    expect(follower.lone.fatal).toEqual([]);
    expect(follower.lone.replica.applied).toBe(metadata.index);
    expect(follower.lone.replica.stateMachine.appliedTerm).toBe(term);
    expect(pairsOf(follower.lone)).toEqual(pairsOf(leader));
    await follower.lone.close();
    await leader.close();
  });

  it('shows it to who was watching', async () => {
    const leader = await busyLeader();
    const follower = await Follower.start(leader);
    await follower.receive(await stateOf(leader));
    await follower.settle();
    const seen: string[] = [];
    const sink = {
      deliver: (_: unknown, events: readonly { readonly key: string }[]) => {
        for (const event of events) seen.push(event.key);
        return true;
      },
      compacted: () => expect.unreachable('nothing was compacted'),
    };
    const { hub } = follower.lone.replica.stateMachine;
    hub.watch(keyFromText('w'), keyFromText('x'), 0, sink);
    for (const key of ['w1', 'w2', 'x', 'w3']) await leader.whileRunning(leader.put(key));
    await follower.receive(await stateOf(leader));
    await follower.settle();
    expect(seen).toEqual(['w1', 'w2', 'w3']);
    await follower.lone.close();
    await leader.close();
  });
});

describe('a state that cannot be used', () => {
  const metaRow = (name: string, value: number): [string, Buffer] => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(value));
    return [name, bytes];
  };

  /** A file with these buckets and a position. */
  function fileOf(
    metadata: SnapshotMetadata,
    contents: Record<string, [string, Buffer][]>,
  ): Buffer {
    const { index, term } = metadata;
    const all: Record<string, [string, Buffer][]> = {
      key: [],
      lease: [],
      members: [],
      meta: [metaRow('consistent_index', index), metaRow('term', term)],
      ...contents,
    };
    const write = (writer: BboltWriter): ReturnType<BboltWriter['finish']> => {
      for (const [name, items] of Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1))) {
        if (name.startsWith('-')) continue;
        if (Object.hasOwn(contents, `-${name}`)) continue;
        writer.bucket(name);
        for (const [key, value] of items) writer.put(key, value);
      }
      return writer.finish();
    };
    const totals = write(new BboltWriter(null));
    const pages: Buffer[] = [];
    write(new BboltWriter({ totals, write: (bytes) => pages.push(Buffer.from(bytes)) }));
    return Buffer.concat(pages);
  }

  const revision = (main: number): string =>
    Buffer.from(`${main.toString(16).padStart(16, '0')}5f0000000000000000`, 'hex').toString(
      'latin1',
    );

  const broken: Record<string, { make: (sent: Sent) => Sent; reason: RegExp }> = {
    'is cut off': {
      make: ({ message, body }) => ({ message, body: body.subarray(0, body.length - 4096) }),
      reason: /it ends after \d+ of \d+ bytes/,
    },
    'is empty': {
      make: ({ message }) => ({ message, body: Buffer.alloc(0) }),
      reason: /not a bbolt file/,
    },
    'is no bbolt file': {
      make: ({ message, body }) => ({ message, body: Buffer.alloc(body.length, 'garbage') }),
      reason: /not a bbolt file/,
    },
    'has a page of garbage': {
      make: ({ message, body }) => {
        const damaged = Buffer.from(body);
        damaged.fill(0xa5, 2 * 4096, 3 * 4096);
        return { message, body: damaged };
      },
      reason: /page 2/,
    },
    'stands elsewhere than it says': {
      make: ({ message, body }) => {
        const { snapshot } = message;
        const metadata = { ...snapshot.metadata, index: snapshot.metadata.index + 1 };
        return { message: { ...message, snapshot: { ...snapshot, metadata } }, body };
      },
      reason: /it stands at index \d+/,
    },
    'has a later term than it says': {
      make: ({ message, body }) => {
        const { snapshot } = message;
        const metadata = { ...snapshot.metadata, term: snapshot.metadata.term - 1 };
        return { message: { ...message, snapshot: { ...snapshot, metadata } }, body };
      },
      reason: /its last entry is of term \d+, not \d+/,
    },
    'lacks a bucket': {
      make: ({ message }) => ({
        message,
        body: fileOf(message.snapshot.metadata, { '-lease': [] }),
      }),
      reason: /it has no bucket lease/,
    },
    'has other members than the configuration': {
      make: ({ message }) => ({
        message: { ...message, snapshot: { ...message.snapshot, data: Buffer.alloc(0) } },
        body: fileOf(message.snapshot.metadata, {}),
      }),
      reason: /it has the members \[\], the configuration \[[0-9a-f]+ 5a6c8ce0aa5376d1\]/,
    },
    'has no such position': {
      make: ({ message }) => ({ message, body: fileOf(message.snapshot.metadata, { meta: [] }) }),
      reason: /it stands at index 0/,
    },
    'has records that are not named by revisions': {
      make: ({ message }) => ({
        message,
        body: fileOf(message.snapshot.metadata, { key: [['foo', Buffer.from('bar')]] }),
      }),
      reason: /named by a revision/,
    },
    'has records that are not pairs': {
      make: ({ message }) => ({
        message,
        body: fileOf(message.snapshot.metadata, { key: [[revision(2), Buffer.alloc(40, 0xff)]] }),
      }),
      reason: /./,
    },
    'has leases that are not leases': {
      make: ({ message }) => ({
        message,
        body: fileOf(message.snapshot.metadata, { lease: [['12345678', Buffer.alloc(9, 0xff)]] }),
      }),
      reason: /./,
    },
  };

  for (const [name, { make, reason }] of Object.entries(broken)) {
    it(`because it ${name} changes nothing and leaves nothing`, async () => {
      const leader = await busyLeader();
      const follower = await Follower.start(leader);
      const { lone } = follower;
      await follower.receive(await stateOf(leader));
      await follower.settle();
      await leader.whileRunning(leader.put('later'));
      const good = await stateOf(leader);
      await lone.whileRunning(lone.replica.flush());
      const before = await rowsOf(lone);
      const { applied } = lone.replica;
      await expect(follower.receive(make(good))).rejects.toThrow(reason);
      await follower.settle();
      expect(lone.replica.applied).toBe(applied);
      expect(await rowsOf(lone)).toEqual(before);
      expect(await lone.disk.list(DIR)).toEqual(['wal']);
      expect(lone.fatal).toEqual([]);
      await follower.receive(good);
      await follower.settle();
      await expectSame(lone, leader);
      await lone.close();
      await leader.close();
    });
  }

  it('because its sender went away, or nobody waits for it, leaves nothing', async () => {
    const leader = await busyLeader();
    const follower = await Follower.start(leader);
    const { message, body } = await stateOf(leader);
    const stop = new AbortController();
    async function* cutOff() {
      yield body.subarray(0, 5000);
      throw new Error('socket hang up');
    }
    async function* stuck() {
      yield body.subarray(0, 5000);
      stop.abort(new Error('the member stops'));
      await new Promise(() => undefined);
    }
    const { incomingOptions } = follower;
    await expect(receiveState(incomingOptions, message, cutOff(), never)).rejects.toThrow(
      'cannot be used: socket hang up',
    );
    const stopped = receiveState(incomingOptions, message, stuck(), stop.signal);
    await expect(stopped).rejects.toThrow('the member stops');
    expect(await follower.lone.disk.list(DIR)).toEqual(['wal']);
    const state = await receiveState(incomingOptions, message, piecesOf(body), never);
    await state.discard();
    expect(follower.lone.replica.applied).toBe(0);
    await follower.lone.close();
    await leader.close();
  });
});

describe('a state that etcd 3.4.23 made', () => {
  const fixture = (path: string): Buffer =>
    readFileSync(new URL(`../../test/fixtures/${path}`, import.meta.url));

  async function emptyFollower(): Promise<Follower> {
    return Follower.start(await startLeader());
  }

  /** What the leader would have said of a database that was saved from a lone member. */
  function messageFor(metadata: SnapshotMetadata, data: Uint8Array): SnapMessage {
    return {
      type: 'snap',
      from: 1n as MemberId,
      to: FOLLOWER,
      term: 9,
      snapshot: { metadata, data },
    };
  }

  const alone = (id: bigint): ConfState => ({
    voters: [id as MemberId],
    learners: [],
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  });

  it('as it was sent to a new member', async () => {
    const request = fixture('peer/post-raft-snapshot-body.bin');
    const length = Number(request.readBigUInt64BE(0));
    const message = decodeMessage(request.subarray(8, 8 + length));
    if (message?.type !== 'snap') throw new Error('not a snapshot');
    const { lone, incomingOptions } = await emptyFollower();
    const body = request.subarray(8 + length);
    const state = await receiveState(incomingOptions, message, piecesOf(body), never);
    await state.install();
    const { stateMachine } = lone.started;
    expect(stateMachine.appliedIndex).toBe(21);
    expect(stateMachine.appliedTerm).toBe(2);
    expect(stateMachine.clusterVersion).toBe('3.4.0');
    expect(stateMachine.members.list().map(({ name, id }) => `${name}=${id.toString(16)}`)).toEqual(
      ['m3=32bcf7f20105f8d3', 'm2=5a6c8ce0aa5376d1', 'm1=76289e71d0434b15', '=cd979d17443ea5e5'],
    );
    await lone.close();
  });

  it('with the hash that it had there', async () => {
    const { lone, incomingOptions } = await emptyFollower();
    const body = fixture('bbolt/snapshot-3keys.db');
    const metadata = { index: 7, term: 2, confState: alone(0x93c4a4ed5e77f1c2n) };
    const message = messageFor(metadata, Buffer.alloc(0));
    const state = await receiveState(incomingOptions, message, piecesOf(body), never);
    await state.install();
    const { store, members } = lone.started.stateMachine;
    expect(await lone.whileRunning(store.hashKv(0))).toMatchObject({
      hash: 1789617539,
      hashRevision: 4,
    });
    expect(members.list()).toMatchObject([{ name: 'n1', clientUrls: ['http://127.0.0.1:21379'] }]);
    await lone.close();
  });
});
