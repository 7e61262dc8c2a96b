// The questions of members beside Raft, both ends of them: what the client makes of an answer, and
// what is answered byte by byte. Statuses and texts are etcd's.
import { createServer, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { HandClock } from '../../test/support/hand-clock.ts';
import { CLUSTER, silentApi, TransportNode } from '../../test/support/transports.ts';
import { type EtcdError, errors } from '../errors.ts';
import { limits } from '../limits.ts';
import { systemClock } from '../platform/clock.ts';
import type { ClusterId, Key, LeaseId, MemberId } from '../types.ts';
import { PeerClient } from './client.ts';
import { parseMembers } from './member-list.ts';
import type { PeerApi } from './peer-api.ts';

const ID = 14_814_482_222_513_300_965n as MemberId;
const LEASE = 0x7fff_ffff_ffff_fff1n as LeaseId;
const MEMBERS =
  `[{"id":${ID},"peerURLs":["http://127.0.0.1:2380"],"name":"a \\u003c b",` +
  `"clientURLs":["http://127.0.0.1:2379"]},` +
  `{"id":18446744073709551615,"peerURLs":["http://h:1","http://h:2"],"isLearner":true}]\n`;

let api: PeerApi;
let node: TransportNode;
let client: PeerClient;
const promoted: unknown[] = [];

function answering(over: Partial<PeerApi>): void {
  api = { ...silentApi, members: () => MEMBERS, ...over };
}

beforeAll(async () => {
  answering({});
  const current: PeerApi = {
    clusterId: CLUSTER,
    members: () => api.members(),
    version: () => api.version(),
    promote: (id, token) => api.promote(id, token),
    leaseKeepAlive: (id) => api.leaseKeepAlive(id),
    leaseTimeToLive: (id, keys) => api.leaseTimeToLive(id, keys),
    hashKv: (revision) => api.hashKv(revision),
    downgradeEnabled: () => api.downgradeEnabled(),
  };
  node = await TransportNode.start({ id: 0xa1n, api: current });
  client = new PeerClient({ clock: systemClock });
});

afterEach(() => {
  answering({});
  promoted.length = 0;
  expect(node.fatal).toEqual([]);
});

afterAll(async () => {
  client.close();
  await node.close();
});

const never = new AbortController().signal;

interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

function ask(
  method: string,
  path: string,
  body: string | Uint8Array = '',
  headers: Readonly<Record<string, string>> = {},
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const length = { 'Content-Length': String(Buffer.byteLength(body)) };
    const options = { method, headers: { ...length, ...headers }, agent: false };
    const request = httpRequest(`${node.url}${path}`, options, (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('end', () => {
        const { statusCode: status = 0, headers: answered } = response;
        resolve({ status, headers: answered, text: Buffer.concat(pieces).toString('latin1') });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

describe('the list of members', () => {
  it('is understood with exact ids', async () => {
    const { clusterId, members } = await client.members(node.url, 1000);
    expect(clusterId).toBe(CLUSTER);
    expect(members).toEqual([
      {
        id: ID,
        name: 'a < b',
        peerUrls: ['http://127.0.0.1:2380'],
        clientUrls: ['http://127.0.0.1:2379'],
        isLearner: false,
      },
      {
        id: 0xffff_ffff_ffff_ffffn,
        name: '',
        peerUrls: ['http://h:1', 'http://h:2'],
        clientUrls: [],
        isLearner: true,
      },
    ]);
  });

  it('comes with the id of the cluster', async () => {
    const { status, headers, text } = await ask('GET', '/members');
    expect([status, text]).toEqual([200, MEMBERS]);
    expect(headers).toMatchObject({
      'x-etcd-cluster-id': CLUSTER.toString(16),
      'content-type': 'application/json',
    });
  });

  it.each([
    ['POST', '/members', 405, 'Method Not Allowed\n'],
    ['GET', '/members/', 404, '404 page not found\n'],
    ['GET', '/members/x', 404, '404 page not found\n'],
    ['POST', '/version', 405, 'Method Not Allowed\n'],
  ])('%s %s is refused', async (method, path, status, text) => {
    expect(await ask(method, path)).toMatchObject({ status, text });
  });

  it.each(['null', '[]', '[{"id":1,"peerURLs":null,"unknown":{"a":[1,{}]}}]'])(
    'may be %s',
    (text) => {
      expect(parseMembers(text).length).toBe(text.includes('id') ? 1 : 0);
    },
  );

  it.each([
    '',
    '{}',
    '[1]',
    '[{"id":-1}]',
    '[{"id":1.5}]',
    '[{"id":"1"}]',
    '[{"id":18446744073709551616}]',
    '[{"id":1,"peerURLs":"x"}]',
    '[{"id":1,"name":2}]',
    '[{"id":1}] x',
    '[{"id":1}',
  ])('must not be %s', (text) => {
    expect(() => parseMembers(text)).toThrow();
  });
});

describe('versions', () => {
  it('are those of server and cluster', async () => {
    const text = '{"etcdserver":"3.4.23","etcdcluster":"3.4.0"}';
    answering({ version: () => text });
    const versions = { server: '3.4.23', cluster: '3.4.0', jointChanges: true };
    expect(await client.version(node.url, 1000)).toEqual(versions);
    const answered = await ask('GET', '/version');
    expect(answered).toMatchObject({ status: 200, text });
    expect(answered.headers['content-type']).toBe('application/json');
  });

  it('of etcd do not come with joint changes', async () => {
    const etcd = createServer((_, response) => {
      response.end('{"etcdserver":"3.7.1","etcdcluster":"3.7.0","storage":"3.7.0"}');
    });
    await new Promise<void>((resolve) => etcd.listen(0, '127.0.0.1', resolve));
    const { port } = etcd.address() as AddressInfo;
    expect(await client.version(`http://127.0.0.1:${port}`, 1000)).toEqual({
      server: '3.7.1',
      cluster: '3.7.0',
      jointChanges: false,
    });
    etcd.closeAllConnections();
    await new Promise((resolve) => etcd.close(resolve));
  });

  it.each(['', 'null', '[]', '{}', '{"etcdserver":3}', '{"etcdserver":"3.4.0"}'])(
    'are not in %s',
    async (text) => {
      answering({ version: () => text });
      await expect(client.version(node.url, 1000)).rejects.toThrow();
    },
  );
});

describe('a promotion', () => {
  it('passes on the id in decimal and the token', async () => {
    answering({
      promote: async (id, token) => {
        promoted.push([id, token]);
        return MEMBERS;
      },
    });
    const members = await client.promote(node.url, ID, 'token.1', never);
    expect(members.map(({ id }) => id)).toEqual([ID, 0xffff_ffff_ffff_ffffn]);
    await client.promote(node.url, ID, null, never);
    expect(promoted).toEqual([
      [ID, 'token.1'],
      [ID, null],
    ]);
  });

  it.each<[EtcdError, number, string]>([
    [errors.memberNotFound, 404, 'membership: ID not found\n'],
    [errors.memberNotLearner, 412, 'membership: can only promote a learner member\n'],
    [
      errors.learnerNotReady,
      412,
      'etcdserver: can only promote a learner member which is in sync with leader\n',
    ],
  ])('ends with %s', async (error, status, text) => {
    answering({ promote: () => Promise.reject(error) });
    await expect(client.promote(node.url, ID, null, never)).rejects.toBe(error);
    const answered = await ask('POST', `/members/promote/${ID}`);
    expect(answered).toMatchObject({ status, text });
    expect(answered.headers['x-etcd-cluster-id']).toBe(CLUSTER.toString(16));
  });

  it('that ends otherwise is an error of the server', async () => {
    answering({ promote: () => Promise.reject(errors.notLeader) });
    await expect(client.promote(node.url, ID, null, never)).rejects.toThrow(
      'member promote: unknown error({"message":"Internal Server Error"})',
    );
    const { status, text, headers } = await ask('POST', '/members/promote/1');
    expect([status, text]).toEqual([500, '{"message":"Internal Server Error"}']);
    expect(headers['content-type']).toBe('application/json');
  });

  it.each(['', 'x', '-1', '1x', '18446744073709551616', 'ff'])('of %j finds none', async (id) => {
    expect(await ask('POST', `/members/promote/${id}`)).toMatchObject({
      status: 404,
      text: `member ${id} not found in cluster\n`,
    });
  });

  it('is only to be posted', async () => {
    const { status, headers } = await ask('GET', '/members/promote/1');
    expect([status, headers['allow']]).toEqual([405, 'POST']);
  });
});

describe('a lease', () => {
  it('is renewed', async () => {
    answering({ leaseKeepAlive: async (id) => (id === LEASE ? 60 : 0) });
    expect(await client.leaseKeepAlive(node.url, LEASE, never)).toBe(60);
    const { headers, text } = await ask('POST', '/leases', Buffer.from('0805', 'hex'));
    expect(headers['content-type']).toBe('application/protobuf');
    // Only the id: a TTL of 0 and the header are left out.
    expect(Buffer.from(text, 'latin1').toString('hex')).toBe('1005');
  });

  it('tells its times', async () => {
    const keys = ['a' as Key, '\xff' as Key];
    const times = { ttl: 12, grantedTtl: 60, keys };
    answering({
      leaseTimeToLive: async (_, asked) => (asked ? times : { ...times, keys: [], ttl: -1 }),
    });
    expect(await client.leaseTimeToLive(node.url, LEASE, true, never)).toEqual(times);
    const without = { ttl: -1, grantedTtl: 60, keys: [] };
    expect(await client.leaseTimeToLive(node.url, LEASE, false, never)).toEqual(without);
  });

  it.each<[EtcdError, number, string, number]>([
    [errors.leaseNotFound, 404, 'lease not found\n', 404],
    [
      errors.timeoutWaitAppliedIndex,
      408,
      'waiting for node to catch up its applied index has timed out\n',
      408,
    ],
    [errors.notPrimaryLessor, 400, 'not a primary lessor\n', 500],
  ])('ends with %s', async (error, status, text, statusForTimes) => {
    const leaseKeepAlive = () => Promise.reject(error);
    answering({ leaseKeepAlive, leaseTimeToLive: leaseKeepAlive });
    const id = Buffer.from('0805', 'hex');
    expect(await ask('POST', '/leases', id)).toMatchObject({ status, text });
    const internal = Buffer.from('0a020805', 'hex');
    expect(await ask('POST', '/leases/internal', internal)).toMatchObject({
      status: statusForTimes,
      text,
    });
    const renewal = client.leaseKeepAlive(node.url, LEASE, never);
    const times = client.leaseTimeToLive(node.url, LEASE, true, never);
    if (error === errors.notPrimaryLessor) {
      await expect(renewal).rejects.toThrow('lease: unknown error(not a primary lessor\n)');
      await expect(times).rejects.toThrow('lease: unknown error(not a primary lessor\n)');
    } else {
      await expect(renewal).rejects.toBe(error);
      await expect(times).rejects.toBe(error);
    }
  });

  it.each(['/leases', '/leases/internal'])('%s: bad requests', async (path) => {
    expect((await ask('GET', path)).status).toBe(405);
    expect(await ask('POST', path, Buffer.from('0aff', 'hex'))).toMatchObject({
      status: 400,
      text: 'error unmarshalling request\n',
    });
    const long = Buffer.alloc(limits.peerRequestBytesMax + 1);
    expect(await ask('POST', path, long)).toMatchObject({
      status: 413,
      text: 'request body too large\n',
    });
  });

  it('of another id than the one asked for is no answer', async () => {
    answering({ leaseKeepAlive: async () => 5 });
    expect(await client.leaseKeepAlive(node.url, 1n as LeaseId, never)).toBe(5);
    await expect(ask('POST', '/leases/internal', '')).rejects.toThrow();
  });
});

describe('a hash', () => {
  const hashed = { header: null, hash: 77, compactRevision: 3, hashRevision: 9 };
  const header = { clusterId: CLUSTER, memberId: ID, revision: 12, raftTerm: 4 };

  it('is that of a revision', async () => {
    const asked: number[] = [];
    answering({
      hashKv: async (revision) => {
        asked.push(revision);
        return { ...hashed, header };
      },
    });
    const answer = { revision: 12, hash: 77, compactRevision: 3, hashRevision: 9 };
    expect(await client.hashKv(node.url, 9, CLUSTER, 1000)).toEqual(answer);
    expect(await client.hashKv(node.url, 0, CLUSTER, 1000)).toEqual(answer);
    expect(asked).toEqual([9, 0]);
    const { text, headers } = await ask('GET', '/members/hashkv', '{"revision":9}');
    expect(text).toBe(
      '{"header":{"revision":12},"hash":77,"compact_revision":3,"hash_revision":9}',
    );
    expect(headers['x-etcd-cluster-id']).toBe(CLUSTER.toString(16));
  });

  it('leaves out what is zero', async () => {
    const none = { hash: 0, compactRevision: 0, hashRevision: 0 };
    answering({ hashKv: async () => ({ ...none, header: { ...header, revision: 1 } }) });
    const { text } = await ask('GET', '/members/hashkv', '{}');
    expect(text).toBe('{"header":{"revision":1}}');
    expect(await client.hashKv(node.url, 0, CLUSTER, 1000)).toEqual({ ...none, revision: 1 });
  });

  it.each<[EtcdError, string]>([
    [errors.compacted, 'mvcc: required revision has been compacted\n'],
    [errors.futureRev, 'mvcc: required revision is a future revision\n'],
  ])('ends with %s', async (error, text) => {
    answering({ hashKv: () => Promise.reject(error) });
    await expect(client.hashKv(node.url, 5, CLUSTER, 1000)).rejects.toBe(error);
    expect(await ask('GET', '/members/hashkv', '{}')).toMatchObject({ status: 400, text });
  });

  it('of another cluster is not told', async () => {
    await expect(client.hashKv(node.url, 5, 1n as ClusterId, 1000)).rejects.toBe(
      errors.clusterIdMismatch,
    );
    const other = { 'X-Etcd-Cluster-ID': '1' };
    const answered = await ask('GET', '/members/hashkv', '{}', other);
    expect(answered).toMatchObject({ status: 412, text: 'cluster ID mismatch\n' });
    expect(answered.headers['x-etcd-cluster-id']).toBeUndefined();
  });

  it.each(['', 'x', '[]', '{"revision":"5"}', '{"revision":1.5}'])(
    'is not asked for by %j',
    async (body) => {
      expect(await ask('GET', '/members/hashkv', body)).toMatchObject({
        status: 400,
        text: 'error unmarshalling request\n',
      });
    },
  );
});

describe('a downgrade', () => {
  it('is under way or not', async () => {
    expect(await client.downgradeEnabled(node.url, 1000)).toBe(false);
    expect(await ask('GET', '/downgrade/enabled')).toMatchObject({ status: 200, text: 'false' });
    answering({ downgradeEnabled: async () => true });
    expect(await client.downgradeEnabled(node.url, 1000)).toBe(true);
  });

  it('cannot be told without a leader', async () => {
    answering({ downgradeEnabled: () => Promise.reject(errors.timeout) });
    expect(await ask('GET', '/downgrade/enabled')).toMatchObject({
      status: 500,
      text: 'failed linearized read: etcdserver: request timed out\n',
    });
    await expect(client.downgradeEnabled(node.url, 1000)).rejects.toThrow('unexpected status 500');
  });
});

describe('a question', () => {
  it('without an answer ends in its time', async () => {
    answering({ downgradeEnabled: () => new Promise(() => {}) });
    const clock = new HandClock();
    const patient = new PeerClient({ clock });
    const asked = patient.downgradeEnabled(node.url, 700);
    const ended = expect(asked).rejects.toThrow('request timed out');
    await clock.advance(600);
    expect(clock.timerCount).toBe(1);
    await clock.advance(100);
    await ended;
    expect(clock.timerCount).toBe(0);
    patient.close();
  });

  it('ends with its signal', async () => {
    answering({ leaseKeepAlive: () => new Promise(() => {}) });
    const stop = new AbortController();
    const asked = client.leaseKeepAlive(node.url, LEASE, stop.signal);
    const ended = expect(asked).rejects.toThrow('request was given up');
    stop.abort();
    await ended;
    await expect(client.leaseKeepAlive(node.url, LEASE, stop.signal)).rejects.toThrow();
  });

  it.each(['http://127.0.0.1:9', 'https://127.0.0.1:9', 'nowhere'])(
    'to %s rejects',
    async (url) => {
      await expect(client.version(url, 1000)).rejects.toThrow();
    },
  );
});
