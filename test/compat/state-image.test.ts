// The state that one member sends to another, between this member and etcd. Ours becomes a data
// directory, as etcd makes one of a state that it has received, and an etcd goes on from there;
// etcd's is received here.
import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { must } from '../../src/assert.ts';
import { BboltReader } from '../../src/bbolt/reader.ts';
import { EMPTY_CONF_STATE, encodeSnapshot } from '../../src/codec/raftpb.ts';
import { crc32c } from '../../src/crc32c.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { systemDisk } from '../../src/platform/disk.ts';
import type { SnapMessage } from '../../src/ports.ts';
import { receiveState } from '../../src/replica/incoming-state.ts';
import { memberJson } from '../../src/replica/members.ts';
import { openStateImage } from '../../src/replica/state-image.ts';
import type { LeaseId, MemberId } from '../../src/types.ts';
import { Wal } from '../../src/wal/wal.ts';
import { sourceOf } from '../support/bytes-source.ts';
import { FOLLOWER, Follower, piecesOf, startLeader } from '../support/follower.ts';
import { LoneReplica } from '../support/lone-replica.ts';
import { findBinaries } from './binaries.ts';
import { GrpcClient } from './client.ts';
import { decode, type Message, method } from './proto.ts';
import { ADVERTISED_PEER_URL, olderThan, Server } from './servers.ts';

const LEASE = 0x7001n as LeaseId;
const REMOVED = 0x99n as MemberId;
const { restorers, ctls } = await findBinaries();
const run = promisify(execFile);

async function leaderOf(clusterVersion: string): Promise<LoneReplica> {
  const leader = await LoneReplica.start({
    bootstrap: {
      start: {
        kind: 'new',
        name: 'twin',
        clusterToken: 'twin-token',
        initialCluster: [{ name: 'twin', peerUrls: [ADVERTISED_PEER_URL] }],
      },
    },
  });
  const { replica } = leader;
  const { memberId } = replica;
  const memberAttributes = { name: 'twin <&>', clientUrls: ['http://127.0.0.1:1?a=1&b=2'] };
  const proposals: (() => Promise<unknown>)[] = [
    () => replica.propose('clusterMemberAttrSet', { memberId, memberAttributes }),
    () => replica.propose('clusterVersionSet', { ver: clusterVersion }),
    () => replica.propose('leaseGrant', { id: LEASE, ttl: 1000 }),
    () => leader.put('leased', 'v', LEASE),
    () => replica.propose('compaction', { revision: 2, physical: false }),
  ];
  for (let i = 0; i < 500; i++) proposals.push(() => leader.put(`key${i % 70}`, 'x'.repeat(i)));
  const learner = {
    id: REMOVED,
    name: '',
    peerUrls: ['http://x:1'],
    clientUrls: [],
    isLearner: true,
  };
  const context = Buffer.from(memberJson(learner));
  for (const type of ['add-learner-node', 'remove-node'] as const) {
    proposals.push(() => replica.changeMembership({ type, nodeId: REMOVED, context }));
  }
  for (const propose of proposals) await leader.whileRunning(propose());
  await leader.whileRunning(replica.flush());
  return leader;
}

/** What etcd has in its data directory once it has received a state. */
async function receiveInto(dataDir: string, leader: LoneReplica): Promise<void> {
  const { metadata, membership, image } = await openStateImage(leader.engine, async () => {});
  const snap = join(dataDir, 'member', 'snap');
  await mkdir(snap, { recursive: true });
  const pieces: Uint8Array[] = [];
  for await (const piece of image.read()) pieces.push(piece);
  await image.close();
  await writeFile(join(snap, 'db'), Buffer.concat(pieces));
  const hex = (n: number): string => n.toString(16).padStart(16, '0');
  const data = encodeSnapshot({ metadata, data: membership });
  const file = Buffer.concat([
    varintField(0x08, crc32c(data)),
    varintField(0x12, data.length),
    data,
  ]);
  await writeFile(join(snap, `${hex(metadata.term)}-${hex(metadata.index)}.snap`), file);

  const { memberId, clusterId } = leader.replica;
  const walDir = join(dataDir, 'member', 'wal');
  const wal = await Wal.create(systemDisk, walDir, { memberId, clusterId }, { clock: systemClock });
  await wal.saveSnapshot(metadata, {
    term: metadata.term,
    vote: memberId,
    commit: metadata.index,
  });
  await wal.close();
}

async function fill(etcd: Server): Promise<void> {
  await ask(etcd, 'Lease/LeaseGrant', { ID: String(LEASE), TTL: '1000' });
  await ask(etcd, 'KV/Put', { key: Buffer.from('leased'), lease: String(LEASE) });
  for (let i = 0; i < 100; i++) {
    const key = Buffer.from(`key${i % 40}`);
    await ask(etcd, 'KV/Put', { key, value: Buffer.alloc(i * 50, i) });
  }
  await ask(etcd, 'KV/DeleteRange', { key: Buffer.from('key7') });
  await ask(etcd, 'KV/Compact', { revision: '60', physical: true });
  await ask(etcd, 'KV/Put', { key: Buffer.from('last') });
}

/** What etcd would say of such a file: it stands where its rows say. */
async function messageFor(etcd: Server, body: Buffer): Promise<SnapMessage> {
  const { members } = await ask(etcd, 'Cluster/MemberList', {});
  const [member] = members as { ID: string }[];
  const voter = BigInt(must(member, 'a member').ID) as MemberId;
  const reader = await BboltReader.open(sourceOf(body));
  const meta = must(
    (await reader.buckets()).find(({ name }) => name === 'meta'),
    'meta',
  );
  const rows = new Map<string, Uint8Array>();
  for await (const items of reader.items(meta)) {
    for (const { key, value } of items) rows.set(key, value);
  }
  const number = (name: string): number =>
    Number(Buffer.from(rows.get(name) ?? Buffer.alloc(8)).readBigUInt64BE(0));
  const [index, term] = [number('consistent_index'), number('term')];
  const confState = { ...EMPTY_CONF_STATE, voters: [voter] };
  const snapshot = { metadata: { index, term, confState }, data: Buffer.alloc(0) };
  return { type: 'snap', from: voter, to: FOLLOWER, term, snapshot };
}

function varintField(tag: number, value: number): Buffer {
  const bytes = [tag];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return Buffer.from([...bytes, rest]);
}

async function ask(server: Server, name: string, request: Message): Promise<Message> {
  const client = new GrpcClient(server.endpoint);
  try {
    const { code, text, messages } = await client.unary(name, request);
    expect({ name, code, text }).toEqual({ name, code: 0, text: '' });
    return decode(method(name).response, messages[0] ?? Buffer.alloc(0));
  } finally {
    client.close();
  }
}

describe.runIf(restorers.length > 0)('a state sent to another member', () => {
  for (const { server, version } of restorers) {
    it(`is one that etcd ${version} goes on from`, async () => {
      const leader = await leaderOf(olderThan(version, 3, 6) ? '3.4.0' : '3.7.0');
      const etcd = await Server.start({
        label: `etcd ${version}`,
        command: [server],
        prepare: (dataDir) => receiveInto(dataDir, leader),
      });
      try {
        const { store } = leader.replica.stateMachine;
        const expected = await leader.whileRunning(store.hashKv(0));
        const hash = await ask(etcd, 'Maintenance/HashKV', {});
        expect(hash).toMatchObject({ hash: 'hash' in expected ? expected.hash : null });
        const { members } = await ask(etcd, 'Cluster/MemberList', {});
        expect(members).toMatchObject([
          { ID: String(leader.replica.memberId), peerURLs: [ADVERTISED_PEER_URL] },
        ]);
        const lease = await ask(etcd, 'Lease/LeaseTimeToLive', { ID: String(LEASE), keys: true });
        expect((lease['keys'] as Buffer[]).map(String)).toEqual(['leased']);
        await ask(etcd, 'KV/Put', { key: Buffer.from('new'), value: Buffer.from('v') });
      } finally {
        await etcd.close();
        await leader.close();
      }
    });

    it(`is received from etcd ${version}`, async () => {
      const etcd = await Server.start({ label: `etcd ${version}`, command: [server] });
      const follower = await Follower.start(await startLeader());
      const { lone } = follower;
      try {
        await fill(etcd);
        const file = join(etcd.dataDir, 'saved.db');
        const ctl = must(ctls.at(-1), 'an etcdctl').path;
        await run(ctl, ['snapshot', 'save', file, `--endpoints=${etcd.endpoint}`]);
        const body = await readFile(file);
        const message = await messageFor(etcd, body);
        const { signal } = new AbortController();
        const options = follower.incomingOptions;
        const state = await receiveState(options, message, piecesOf(body, 60_000), signal);
        await state.install();
        const { stateMachine } = lone.started;
        const hash = await lone.whileRunning(stateMachine.store.hashKv(0));
        const theirs = await ask(etcd, 'Maintenance/HashKV', {});
        expect(theirs).toMatchObject({ hash: 'hash' in hash ? hash.hash : null });
        expect(theirs['compact_revision']).toBe(String(stateMachine.store.compactRevision));
        expect(stateMachine.members.list()).toMatchObject([{ name: 'twin', isLearner: false }]);
        expect([...must(stateMachine.lessor.get(LEASE), 'the lease').keys]).toEqual(['leased']);
      } finally {
        await etcd.close();
        await lone.close();
      }
    });
  }
});
