// What a member answers under /raft, row by row. Statuses and texts are etcd's.
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CLUSTER, eventually, TransportNode } from '../../test/support/transports.ts';
import { encodeMessage } from '../codec/raftpb.ts';
import { limits } from '../limits.ts';
import type { Message } from '../raft/messages.ts';
import type { MemberId } from '../types.ts';

const SELF = 0xa1n as MemberId;
const PEER = 0xb2n as MemberId;
const GONE = 0xc3n as MemberId;
const STRANGER = 0xd4n as MemberId;

interface Asked {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly body?: Uint8Array;
}

interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

let node: TransportNode;
let states: { readonly message: Message; readonly bytes: Buffer }[] = [];

beforeAll(async () => {
  node = await TransportNode.start({
    id: SELF,
    snapshot: async (message, body) => {
      if (message.snapshot.metadata.index === 13) throw new Error('it is no database');
      const pieces: Uint8Array[] = [];
      for await (const piece of body) pieces.push(piece);
      states.push({ message, bytes: Buffer.concat(pieces) });
    },
  });
  // Nobody listens there: only what is asked of this member matters.
  const members = [{ id: PEER, peerUrls: ['http://127.0.0.1:9'] }];
  node.transport.setMembers(members, new Set([GONE]));
});

afterEach(() => {
  node.received.length = 0;
  states = [];
});

afterAll(() => node.close());

const HEADERS: Readonly<Record<string, string>> = {
  'X-Server-From': PEER.toString(16),
  'X-Server-Version': '3.7.1',
  'X-Min-Cluster-Version': '3.0.0',
  'X-Etcd-Cluster-ID': CLUSTER.toString(16),
  'X-Raft-To': SELF.toString(16),
};

/** Rejects when the connection is cut without an answer. Only the head of an endless one. */
function ask({ method = 'GET', path, headers = {}, body }: Asked): Promise<Answered> {
  const all = { ...HEADERS, ...headers };
  const sent = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      `${node.url}${path}`,
      { method, headers: sent as Record<string, string>, agent: false },
      (response) => {
        const pieces: Buffer[] = [];
        const done = (): void => {
          const { statusCode: status = 0, headers: answered } = response;
          resolve({ status, headers: answered, text: Buffer.concat(pieces).toString() });
          request.destroy();
        };
        response.on('error', () => {});
        if (response.statusCode === 200 && path.startsWith('/raft/stream/')) return done();
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('end', done);
      },
    );
    request.on('error', reject);
    if (body !== undefined) request.setHeader('Content-Length', body.length);
    request.end(body);
  });
}

const message: Message = {
  type: 'heartbeat',
  from: PEER,
  to: SELF,
  term: 3,
  commit: 2,
  context: new Uint8Array(0),
};

const CHECKS: readonly (readonly [string, Asked['headers'], number, string])[] = [
  ['no version at all', { 'X-Server-Version': undefined }, 412, 'incompatible version\n'],
  ['a version before 3.0', { 'X-Server-Version': '2.3.0' }, 412, 'incompatible version\n'],
  ['a higher lowest version', { 'X-Min-Cluster-Version': '3.8.0' }, 412, 'incompatible version\n'],
  ['another cluster', { 'X-Etcd-Cluster-ID': 'cafe' }, 412, 'cluster ID mismatch\n'],
  ['no cluster', { 'X-Etcd-Cluster-ID': undefined }, 412, 'cluster ID mismatch\n'],
  [
    'another cluster by its upper case',
    { 'X-Etcd-Cluster-ID': CLUSTER.toString(16).toUpperCase() },
    412,
    'cluster ID mismatch\n',
  ],
];

describe('a stream', () => {
  const stream = `/raft/stream/message/${PEER.toString(16)}`;

  it.each(['message', 'msgapp'])('of kind %s begins at once and does not end', async (kind) => {
    const { status, headers } = await ask({ path: `/raft/stream/${kind}/b2` });
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'x-server-version': '3.7.1',
      'x-etcd-cluster-id': CLUSTER.toString(16),
      'transfer-encoding': 'chunked',
    });
  });

  it('may be asked for by any 3.x that this one reaches', async () => {
    const later = { 'X-Server-Version': '9.9.9', 'X-Min-Cluster-Version': '3.7.0' };
    expect((await ask({ path: stream, headers: later })).status).toBe(200);
    const early = { 'X-Server-Version': '3.0.0', 'X-Min-Cluster-Version': undefined };
    expect((await ask({ path: stream, headers: early })).status).toBe(200);
  });

  it('is only to be got', async () => {
    const { status, headers, text } = await ask({ method: 'POST', path: stream });
    expect([status, headers['allow'], text]).toEqual([405, 'GET', 'Method Not Allowed\n']);
  });

  it.each(CHECKS)('is refused for %s', async (_, headers, status, text) => {
    const answered = await ask({ path: stream, headers: headers ?? {} });
    expect([answered.status, answered.text]).toEqual([status, text]);
    expect(answered.headers).toMatchObject({
      'x-server-version': '3.7.1',
      'x-etcd-cluster-id': CLUSTER.toString(16),
      'content-type': 'text/plain; charset=utf-8',
      'x-content-type-options': 'nosniff',
    });
  });

  it.each<[string, string, Asked['headers'], number, string]>([
    ['of another kind', '/raft/stream/other/b2', {}, 404, 'invalid path\n'],
    ['below another path', '/raft/stream/message/x/b2', {}, 404, 'invalid path\n'],
    ['for nobody', '/raft/stream/message/', {}, 404, 'invalid from\n'],
    ['for no id', '/raft/stream/message/0xb2', {}, 404, 'invalid from\n'],
    ['for too long an id', '/raft/stream/message/10000000000000000', {}, 404, 'invalid from\n'],
    ['for a removed member', '/raft/stream/msgapp/c3', {}, 410, 'removed member\n'],
    ['for a stranger', '/raft/stream/message/d4', {}, 404, 'error sender not found\n'],
    ['to another', stream, { 'X-Raft-To': 'a2' }, 412, 'to field mismatch\n'],
    ['to this one, padded', stream, { 'X-Raft-To': '00a1' }, 412, 'to field mismatch\n'],
    ['to nobody', stream, { 'X-Raft-To': undefined }, 412, 'to field mismatch\n'],
  ])('%s is refused', async (_, path, headers, status, text) => {
    const answered = await ask({ path, headers: headers ?? {} });
    expect([answered.status, answered.text]).toEqual([status, text]);
  });

  it('is refused by the first check that fails', async () => {
    const all = { 'X-Server-Version': '2.0.0', 'X-Etcd-Cluster-ID': '1', 'X-Raft-To': '1' };
    const ask2 = async (headers: Asked['headers'], path: string) =>
      (await ask({ path, headers: headers ?? {} })).text;
    expect(await ask2(all, '/raft/stream/no/c3')).toBe('incompatible version\n');
    const { 'X-Server-Version': _, ...noVersion } = all;
    expect(await ask2(noVersion, '/raft/stream/no/c3')).toBe('cluster ID mismatch\n');
    expect(await ask2({ 'X-Raft-To': '1' }, '/raft/stream/no/zz')).toBe('invalid path\n');
    expect(await ask2({ 'X-Raft-To': '1' }, '/raft/stream/message/zz')).toBe('invalid from\n');
    expect(await ask2({ 'X-Raft-To': '1' }, '/raft/stream/message/c3')).toBe('removed member\n');
    expect(await ask2({ 'X-Raft-To': '1' }, '/raft/stream/message/d4')).toBe(
      'error sender not found\n',
    );
  });

  it.each<[string, Asked['headers'], string]>([
    ['a version that is none', { 'X-Server-Version': 'new' }, stream],
    ['a lowest version that is none', { 'X-Min-Cluster-Version': '3' }, stream],
    ['a stranger with URLs that are none', { 'X-PeerURLs': 'nowhere' }, '/raft/stream/message/d4'],
  ])('is cut for %s', async (_, headers, path) => {
    await expect(ask({ path, headers: headers ?? {} })).rejects.toThrow(/hang up|ECONNRESET/);
  });

  it('of a stranger makes its URLs known', async () => {
    const path = `/raft/stream/message/${STRANGER.toString(16)}`;
    await ask({ path, headers: { 'X-PeerURLs': 'http://127.0.0.1:9,http://127.0.0.1:10' } });
    const added = node.lines.filter(({ msg }) => msg === 'added new remote peer');
    expect(added.map(({ fields }) => fields['remote-peer-id'])).toContain('d4');
  });

  it('of strangers without end does not fill the memory', async () => {
    for (let id = 0x1000; id < 0x1000 + limits.peerRemotesMax + 10; id++) {
      const path = `/raft/stream/message/${id.toString(16)}`;
      await ask({ path, headers: { 'X-PeerURLs': 'http://127.0.0.1:9' } });
    }
    const added = node.lines.filter(({ msg }) => msg === 'added new remote peer');
    expect(added).toHaveLength(limits.peerRemotesMax);
  });
});

describe('a posted message', () => {
  const post = (over: Partial<Asked> = {}): Promise<Answered> =>
    ask({ method: 'POST', path: '/raft', body: encodeMessage(message), ...over });

  it('reaches this member', async () => {
    const { status, text, headers } = await post();
    expect([status, text, headers['x-etcd-cluster-id']]).toEqual([204, '', CLUSTER.toString(16)]);
    expect(node.received).toEqual([message]);
  });

  it('is only to be posted', async () => {
    const { status, headers, text } = await ask({ path: '/raft' });
    expect([status, headers['allow'], text]).toEqual([405, 'POST', 'Method Not Allowed\n']);
  });

  it.each(CHECKS)('is refused for %s', async (_, headers, status, text) => {
    const answered = await post({ headers: headers ?? {} });
    expect([answered.status, answered.text]).toEqual([status, text]);
    expect(node.received).toEqual([]);
  });

  it.each<[string, Message]>([
    ['of a removed member', { ...message, from: GONE }],
    ['to another member', { ...message, to: PEER }],
  ])('%s is refused, and the connection cut', async (_, other) => {
    const { status, text, headers } = await post({ body: encodeMessage(other) });
    expect([status, text]).toEqual([500, 'error processing raft message\n']);
    expect(headers['connection']).toBe('close');
    expect(node.received).toEqual([]);
  });

  it.each([
    ['no protobuf', Buffer.from('0aff', 'hex')],
    ['half of one', encodeMessage(message).subarray(0, 9)],
  ])('that is %s is refused', async (_, body) => {
    const { status, text } = await post({ body });
    expect([status, text]).toEqual([400, 'error unmarshalling raft message\n']);
  });

  it('of a type that does not travel is passed over', async () => {
    expect((await post({ body: Buffer.from('0800', 'hex') })).status).toBe(204);
    expect(node.received).toEqual([]);
  });

  it('may not bring a snapshot: that comes with its database', async () => {
    expect((await post({ body: encodeMessage(snapshotMessage(5)) })).status).toBe(204);
    expect(node.received).toEqual([]);
    expect(states).toEqual([]);
  });

  it('that breaks off changes nothing', async () => {
    const socket = connect(node.port, '127.0.0.1');
    const head = Object.entries(HEADERS).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`POST /raft HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n${head.join('')}\r\nabc`);
    const failed = () => node.lines.filter(({ msg }) => msg === 'failed to read Raft message');
    const before = failed().length;
    socket.on('connect', () => socket.end());
    await eventually(() => failed().length > before);
    socket.destroy();
    expect(node.received).toEqual([]);
  });
});

function snapshotMessage(index: number): Extract<Message, { type: 'snap' }> {
  const confState = {
    voters: [SELF, PEER],
    learners: [],
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  };
  const metadata = { index, term: 3, confState };
  const snapshot = { metadata, data: Buffer.from('{}') };
  return { type: 'snap', from: PEER, to: SELF, term: 3, snapshot };
}

function framed(of: Message): Buffer {
  const bytes = encodeMessage(of);
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(bytes.length));
  return Buffer.concat([length, bytes]);
}

describe('a posted snapshot', () => {
  const database = Buffer.alloc(300_000, 7);
  const post = (over: Partial<Asked> = {}): Promise<Answered> => {
    const body = Buffer.concat([framed(snapshotMessage(12)), database]);
    return ask({ method: 'POST', path: '/raft/snapshot', body, ...over });
  };

  it('reaches this member, message and database', async () => {
    expect(await post()).toMatchObject({ status: 204, text: '' });
    expect(states).toEqual([{ message: snapshotMessage(12), bytes: database }]);
  });

  it('is only to be posted', async () => {
    expect((await ask({ path: '/raft/snapshot' })).status).toBe(405);
  });

  it.each(CHECKS)('is refused for %s', async (_, headers, status, text) => {
    const answered = await post({ headers: headers ?? {}, body: framed(snapshotMessage(12)) });
    expect([answered.status, answered.text]).toEqual([status, text]);
    expect(states).toEqual([]);
  });

  it.each<[string, Buffer, number, string]>([
    ['nothing', Buffer.alloc(0), 400, 'failed to decode raft message (EOF)\n'],
    [
      'half of a message',
      framed(snapshotMessage(12)).subarray(0, 20),
      400,
      'failed to decode raft message (unexpected EOF)\n',
    ],
    [
      'a message of an absurd length',
      Buffer.alloc(16, 0xff),
      400,
      'failed to decode raft message (rafthttp: error limit exceeded)\n',
    ],
    ['another message', framed(message), 400, 'wrong raft message type\n'],
    [
      'what the member cannot use',
      framed(snapshotMessage(13)),
      500,
      'failed to save KV snapshot (it is no database)\n',
    ],
    [
      'a message to another member',
      framed({ ...snapshotMessage(12), to: PEER }),
      500,
      'failed to save KV snapshot (cannot process message to mismatch member)\n',
    ],
  ])('is refused for %s', async (_, body, status, text) => {
    const answered = await post({ body });
    expect([answered.status, answered.text]).toEqual([status, text]);
    expect(states).toEqual([]);
  });
});

describe('everything else', () => {
  it('a probe tells the time', async () => {
    const { status, text, headers } = await ask({ path: '/raft/probing' });
    expect([status, headers['content-type']]).toEqual([200, 'text/plain; charset=utf-8']);
    const { OK, Now } = JSON.parse(text) as { OK: boolean; Now: string };
    expect(OK).toBe(true);
    expect(Math.abs(Date.parse(Now) - Date.now())).toBeLessThan(5000);
    expect(text.endsWith('}\n')).toBe(true);
  });

  it.each(['/raft/', '/raft/stream', '/raft/snapshot/x', '/raft/probing/x', '/raftx', '/'])(
    '%s is not there',
    async (path) => {
      expect(await ask({ path })).toMatchObject({ status: 404, text: '404 page not found\n' });
    },
  );

  it('nothing of this was a bug', () => {
    expect(node.fatal).toEqual([]);
  });
});
