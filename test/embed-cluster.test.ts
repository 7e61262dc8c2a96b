/** A whole cluster inside another program: what `startCluster` promises. */

import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { type Etcd, type EtcdCluster, startCluster, startEtcd } from '../src/index.ts';
import { readOptions } from '../src/mvcc/range.ts';
import { keyFromText, type MemberId, NO_LEASE } from '../src/types.ts';

const FAST = { memory: true, heartbeatInterval: 20, electionTimeout: 200 } as const;

async function put(etcd: Etcd, key: string, value = 'v'): Promise<number> {
  const { header } = await etcd.services.kv.put({
    key: keyFromText(key),
    value: Buffer.from(value),
    lease: NO_LEASE,
    prevKv: false,
    ignoreValue: false,
    ignoreLease: false,
  });
  return header?.revision ?? 0;
}

async function count(etcd: Etcd, prefix: string, serializable = false): Promise<number> {
  const rangeEnd = keyFromText(`${prefix}\xff`);
  const request = { ...readOptions(keyFromText(prefix), rangeEnd), serializable };
  return (await etcd.services.kv.range(request)).count;
}

function others(cluster: EtcdCluster, etcd: Etcd): readonly string[] {
  return cluster.names.filter((name) => name !== etcd.name);
}

describe('a cluster of three in memory', () => {
  it('answers on every member', async () => {
    await using cluster = await startCluster(3, FAST);
    let revision = 1;
    for (const name of cluster.names) {
      expect(await put(cluster.member(name), `k/${name}`)).toBe(++revision);
    }
    for (const name of cluster.names) {
      expect(await count(cluster.member(name), 'k/')).toBe(3);
    }
    const ids = cluster.names.map((name) => cluster.member(name).clusterId);
    expect(new Set(ids).size).toBe(1);
    expect(cluster.clientUrls).toHaveLength(3);
  });

  it('goes on without its leader, which catches up when it comes back', async () => {
    await using cluster = await startCluster(3, FAST);
    const first = await cluster.leader();
    await put(first, 'k/a');
    await cluster.stop(first.name);
    const second = await cluster.leader();
    expect(second.name).not.toBe(first.name);
    await put(second, 'k/b');
    const back = await cluster.restart(first.name);
    expect(back.memberId).toBe(first.memberId);
    expect(await count(back, 'k/')).toBe(2);
  });

  it('writes only where there is a majority, and agrees after the partition', async () => {
    await using cluster = await startCluster(3, FAST);
    const lonely = await cluster.leader();
    const [left = '', right = ''] = others(cluster, lonely);
    cluster.partition([lonely.name], [left, right]);
    const lost = put(lonely, 'lost').then(
      () => 'written',
      (error: Error) => error.message,
    );
    const majority = await untilLeads(cluster, [left, right]);
    await put(majority, 'kept');
    expect(await count(lonely, 'kept', true)).toBe(0);
    cluster.heal();
    expect(await lost).toMatch(/^etcdserver: request timed out|^etcdserver: leader changed/);
    expect(await count(lonely, 'kept')).toBe(1);
    expect(await count(lonely, 'lost')).toBe(0);
  });
});

describe('several members at once', () => {
  it('are exchanged in one step, and the new ones have everything', async () => {
    await using cluster = await startCluster(3, { ...FAST, strictReconfigCheck: false });
    const leader = await cluster.leader();
    await put(leader, 'k/a');
    const [leaving = ''] = others(cluster, leader);
    const url = await unusedUrl();
    const left = cluster.member(leaving).memberId;
    const ids = await leader.changeMembers([{ remove: left }, { add: [url] }]);
    expect(ids).toHaveLength(3);
    expect(ids).not.toContain(left);
    const stay = cluster.names.filter((name) => name !== leaving);
    const names = stay.map((name) => `${name}=${cluster.member(name).peerUrls[0]}`);
    await using joiner = await startEtcd({
      ...FAST,
      name: 'm4',
      listenPeerUrls: [url],
      initialCluster: [...names, `m4=${url}`].join(','),
      initialClusterState: 'existing',
    });
    expect(ids).toContain(joiner.memberId);
    expect(await count(joiner, 'k/')).toBe(1);
    expect(await put(joiner, 'k/b')).toBe(3);
    expect(await count(leader, 'k/')).toBe(2);
  });
});

describe('a follower that removes itself', () => {
  it('is answered before it ends', async () => {
    await using cluster = await startCluster(3, { ...FAST, strictReconfigCheck: false });
    const leader = await cluster.leader();
    const name = cluster.names.find((one) => one !== leader.name) ?? '';
    const follower = cluster.member(name);
    const id = BigInt(`0x${follower.memberId}`) as MemberId;
    const { members } = await follower.services.cluster.memberRemove({ id });
    expect(members.map((member) => member.name)).not.toContain(name);
    expect(members).toHaveLength(2);
  });
});

describe('a cluster of three on disk', () => {
  it('survives a stop of all its members', async () => {
    await using cluster = await startCluster(3, { heartbeatInterval: 20, electionTimeout: 200 });
    await put(await cluster.leader(), 'k/a', 'x'.repeat(1000));
    for (const name of cluster.names) await cluster.stop(name);
    expect(cluster.clientUrls).toEqual([]);
    await Promise.all(cluster.names.map((name) => cluster.restart(name)));
    for (const name of cluster.names) expect(await count(cluster.member(name), 'k/')).toBe(1);
  });
});

/** A peer URL on which nobody listens. */
async function unusedUrl(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

/** A leader among `names`; another one may still believe that it leads. */
async function untilLeads(cluster: EtcdCluster, names: readonly string[]): Promise<Etcd> {
  for (;;) {
    const found = names.map((name) => cluster.member(name)).find(({ isLeader }) => isLeader);
    if (found !== undefined) return found;
    // Answered or refused: it takes its time either way, which is all that is wanted of it.
    await count(cluster.member(names[0] ?? ''), 'k/').catch(() => {});
  }
}
