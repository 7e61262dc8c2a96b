// Two and three transports over sockets of this machine: what arrives, and what is noticed when it
// does not. Where time matters it is a clock that the test moves.
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { HandClock } from '../../test/support/hand-clock.ts';
import {
  CLUSTER,
  cleanups,
  closeAll,
  eventually,
  meet,
  type NodeOptions,
  pass,
  start,
  streams,
  type TransportNode,
} from '../../test/support/transports.ts';
import { limits } from '../limits.ts';
import type { Message } from '../raft/messages.ts';
import type { ClusterId, MemberId } from '../types.ts';
import { type PeerObserver, silentObserver } from './observer.ts';

afterEach(closeAll);

async function two(options: Partial<NodeOptions> = {}): Promise<[TransportNode, TransportNode]> {
  const nodes = [
    await start({ id: 0xa1n, ...options }),
    await start({ id: 0xb2n, ...options }),
  ] as const;
  await meet(...nodes);
  return [...nodes];
}

function heartbeat(from: TransportNode, to: { readonly id: MemberId }, commit: number): Message {
  const context = Buffer.from('ctx');
  return { type: 'heartbeat', from: from.id, to: to.id, term: 7, commit, context };
}

function append(
  from: TransportNode,
  to: { readonly id: MemberId },
  index: number,
  bytes = 100,
): Message {
  const data = Buffer.alloc(bytes, index);
  const entries = [{ type: 'normal', term: 7, index: index + 1, data }] as const;
  const [term, logTerm] = [7, 7];
  return { type: 'app', from: from.id, to: to.id, term, index, logTerm, entries, commit: index };
}

describe('members', () => {
  it('exchange messages of both streams, each in order', async () => {
    const [a, b] = await two();
    const heartbeats = Array.from({ length: 500 }, (_, i) => heartbeat(a, b, i));
    const appends = Array.from({ length: 500 }, (_, i) => append(a, b, i));
    for (let i = 0; i < 500; i += 10) {
      a.transport.send([...heartbeats.slice(i, i + 10), ...appends.slice(i, i + 10)]);
    }
    b.transport.send([heartbeat(b, a, 1)]);
    await eventually(() => b.received.length === 1000 && a.received.length === 1);
    const of = (type: string) => b.received.filter((message) => message.type === type);
    expect(of('heartbeat')).toEqual(heartbeats);
    expect(of('app')).toEqual(appends);
  });

  it('send what does not fit into a socket bit by bit, in order', async () => {
    const [a, b] = await two();
    const appends = Array.from({ length: 60 }, (_, i) => append(a, b, i, 1024 * 1024));
    a.transport.send(appends);
    await eventually(() => b.received.length === appends.length);
    expect(b.received.map((message) => 'index' in message && message.index)).toEqual(
      appends.map((_, i) => i),
    );
    expect(a.unreachable).toEqual([]);
  });

  it('of a cluster of three send each what is meant for it', async () => {
    const nodes = [
      await start({ id: 1n }),
      await start({ id: 2n }),
      await start({ id: 3n }),
    ] as const;
    const [a, b, c] = nodes;
    await meet(...nodes);
    a.transport.send([
      heartbeat(a, b, 2),
      heartbeat(a, c, 3),
      heartbeat(a, { id: 9n as MemberId }, 4),
    ]);
    await eventually(() => b.received.length === 1 && c.received.length === 1);
    expect(b.received).toMatchObject([{ to: 2n, commit: 2 }]);
    expect(c.received).toMatchObject([{ to: 3n, commit: 3 }]);
  });

  it('post messages to whom has not dialled them', async () => {
    const [a, b] = [await start({ id: 0xa1n }), await start({ id: 0xb2n })];
    // Only one of them knows the other, so that one is not let in, and has no stream either.
    a.knows(b);
    a.transport.send([heartbeat(a, b, 1), append(a, b, 5)]);
    await eventually(() => b.received.length === 2);
    expect(a.streamsTo(b)).toBe(0);
    // The other has heard of it by then, and can answer.
    b.transport.send([heartbeat(b, a, 2)]);
    await eventually(() => a.received.length === 1);
  });

  it('know since when they reach each other', async () => {
    const clock = new HandClock();
    await clock.advance(1000);
    const [a, b] = [await start({ id: 0xa1n, clock }), await start({ id: 0xb2n, clock })];
    a.knows(b);
    b.knows(a);
    await pass(clock, () => a.isActive(b));
    const since = a.transport.activeSinceMs(b.id);
    expect(since).toBeGreaterThanOrEqual(1000);
    await clock.advance(500);
    expect(a.transport.activeSinceMs(b.id)).toBe(since);
    expect(a.transport.activeSinceMs(a.id)).toBeNull();
    expect(a.transport.activeSinceMs(77n as MemberId)).toBeNull();
    await b.close();
    await pass(clock, () => !a.isActive(b));
  });
});

describe('a member that was away', () => {
  it('is reached again at the same address', async () => {
    const [a, b] = await two();
    await b.close();
    await eventually(() => !a.isActive(b));
    const again = await start({ id: b.id, port: b.port });
    again.knows(a);
    await eventually(() => a.streamsTo(b) === 4 && again.streamsTo(a) >= 2);
    a.transport.send([append(a, again, 1)]);
    again.transport.send([heartbeat(again, a, 3)]);
    await eventually(() => again.received.length === 1 && a.received.length === 1);
    expect(a.isActive(again)).toBe(true);
  });

  it('is reached at its other URL, and where it has moved to', async () => {
    const [a, b] = [await start({ id: 0xa1n }), await start({ id: 0xb2n })];
    b.knows(a);
    const dead = 'http://127.0.0.1:9';
    a.transport.setMembers([{ id: b.id, peerUrls: [dead, b.url] }], new Set());
    await streams(a, b);
    await b.close();
    await eventually(() => !a.isActive(b));
    const moved = await start({ id: b.id });
    moved.knows(a);
    a.transport.setMembers([{ id: b.id, peerUrls: [moved.url] }], new Set());
    await eventually(() => a.streamsTo(b) === 4 && moved.streamsTo(a) >= 2);
  });

  it('misses messages, of which Raft hears', async () => {
    const [a, b] = await two();
    await b.close();
    await eventually(() => !a.isActive(b));
    a.transport.send([heartbeat(a, b, 1)]);
    await eventually(() => a.unreachable.includes(b.id));
  });
});

describe('a stream', () => {
  it('is replaced by a newer one of the same kind and member', async () => {
    const [a, b] = await two();
    const socket = await dialled(a, b.id, 'message');
    await eventually(() => a.streamsTo(b) === 3);
    a.transport.send([heartbeat(a, b, 9)]);
    // The member notices the end of its stream, dials again and takes the place back.
    await eventually(() => a.streamsTo(b) === 4);
    await eventually(() => socket.text().includes('\r\n0\r\n\r\n'));
    expect(socket.text()).toMatch(/^HTTP\/1.1 200 OK\r\n/);
    a.transport.send([heartbeat(a, b, 10)]);
    await eventually(() => b.received.some((m) => m.type === 'heartbeat' && m.commit === 10));
  });

  it('carries a sign of life every 5/3 seconds', async () => {
    const clock = new HandClock();
    const a = await start({ id: 0xa1n, clock });
    const id = 0xb2n as MemberId;
    a.transport.setMembers([{ id, peerUrls: ['http://127.0.0.1:9'] }], new Set());
    const messages = await dialled(a, id, 'message');
    const appends = await dialled(a, id, 'msgapp');
    await eventually(() => a.streamsTo({ id }) === 2);
    await clock.advance(1650);
    expect(messages.body()).toBe('');
    await clock.advance(50);
    await eventually(() => messages.body() !== '' && appends.body() !== '');
    expect(messages.body()).toBe('0000000a\r\n\0\0\0\0\0\0\0\x02\x08\x08\r\n');
    expect(appends.body()).toBe('00000001\r\n\0\r\n');
  });

  it('on which nothing is heard for five seconds is given up', async () => {
    const clock = new HandClock();
    const deaf = await halfOpen();
    const a = await start({ id: 0xa1n, clock });
    const id = 0xb2n as MemberId;
    a.transport.setMembers([{ id, peerUrls: [deaf.url] }], new Set());
    await clock.advance(50);
    await eventually(() => deaf.answered() === 2 && a.isActive({ id }));
    const since = clock.monotonic();
    while (a.isActive({ id })) await clock.advance(50);
    expect(clock.monotonic() - since).toBeGreaterThanOrEqual(4900);
    expect(clock.monotonic() - since).toBeLessThanOrEqual(5200);
    await eventually(() => deaf.answered() >= 3);
  });

  it('that takes nothing for five seconds is given up, and what waits for it', async () => {
    const clock = new HandClock();
    const a = await start({ id: 0xa1n, clock });
    const id = 0xb2n as MemberId;
    a.transport.setMembers([{ id, peerUrls: ['http://127.0.0.1:9'] }], new Set());
    const stuck = await dialled(a, id, 'msgapp');
    await eventually(() => a.streamsTo({ id }) === 1);
    stuck.socket.pause();
    const megabytes = Array.from({ length: 32 }, (_, i) => append(a, { id }, i, 1024 * 1024));
    a.transport.send(megabytes);
    await clock.advance(4900);
    expect(lost(a)).toHaveLength(0);
    a.unreachable.length = 0;
    await clock.advance(200);
    await eventually(() => lost(a).length === 1 && a.unreachable.includes(id));
  });

  it('whose queue is full drops, and Raft hears of it', async () => {
    const clock = new HandClock();
    const a = await start({ id: 0xa1n, clock });
    const id = 0xb2n as MemberId;
    a.transport.setMembers([{ id, peerUrls: ['http://127.0.0.1:9'] }], new Set());
    const stuck = await dialled(a, id, 'msgapp');
    await eventually(() => a.streamsTo({ id }) === 1);
    stuck.socket.pause();
    a.unreachable.length = 0;
    // So that the socket is full, and nothing leaves the queue any more.
    for (let i = 0; i < 32; i++) a.transport.send([append(a, { id }, i, 1024 * 1024)]);
    await clock.settle();
    const small = Array.from({ length: limits.peerStreamQueueMax + 1 }, (_, i) =>
      append(a, { id }, i),
    );
    a.transport.send(small);
    // Not from within the call, but right after it.
    expect(a.unreachable).toEqual([]);
    await clock.settle();
    expect(a.unreachable).toEqual([id]);
    const dropped = 'dropped internal Raft message since sending buffer is full';
    expect(a.lines.some(({ msg }) => msg === dropped)).toBe(true);
  });

  it('with noise on it is given up without harm', async () => {
    const clock = new HandClock();
    const noisy = await halfOpen(Buffer.from('000000000000000a0affffffffffffffffff', 'hex'));
    const a = await start({ id: 0xa1n, clock });
    const id = 0xb2n as MemberId;
    a.transport.setMembers([{ id, peerUrls: [noisy.url] }], new Set());
    await clock.advance(50);
    await eventually(() => a.lines.some(({ msg }) => msg.startsWith('lost TCP streaming')));
    expect(a.isActive({ id })).toBe(false);
    expect(a.received).toEqual([]);
  });

  it('is dialled at most ten times a second', async () => {
    const clock = new HandClock();
    const refusing = await halfOpen(null);
    const a = await start({ id: 0xa1n, clock });
    a.transport.setMembers([{ id: 0xb2n as MemberId, peerUrls: [refusing.url] }], new Set());
    for (let ms = 0; ms < 2000; ms += 50) {
      await clock.advance(50);
      const open = refusing.answered();
      // Lets an attempt come back before the next tick.
      for (let i = 0; i < 20; i++) await clock.settle();
      expect(refusing.answered()).toBeGreaterThanOrEqual(open);
    }
    await eventually(() => refusing.answered() > 10);
    expect(refusing.answered()).toBeLessThanOrEqual(2 * 20 + 2);
  });
});

function lost(node: TransportNode) {
  return node.lines.filter(
    ({ msg, fields }) => msg.startsWith('lost TCP') && 'stream-writer-type' in fields,
  );
}

interface Dialled {
  readonly socket: Socket;
  text(): string;
  body(): string;
}

/** A stream as a member with that id would dial it, byte by byte. */
async function dialled(node: TransportNode, id: MemberId, kind: string): Promise<Dialled> {
  const socket = connect(node.port, '127.0.0.1');
  let text = '';
  socket.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1');
  });
  socket.on('error', () => {});
  cleanups.unshift(async () => void socket.destroy());
  socket.write(
    [
      `GET /raft/stream/${kind}/${id.toString(16)} HTTP/1.1`,
      'Host: x',
      `X-Server-From: ${id.toString(16)}`,
      'X-Server-Version: 3.7.1',
      'X-Min-Cluster-Version: 3.0.0',
      `X-Etcd-Cluster-ID: ${CLUSTER.toString(16)}`,
      `X-Raft-To: ${node.id.toString(16)}`,
      '\r\n',
    ].join('\r\n'),
  );
  await eventually(() => text.includes('\r\n\r\n'));
  return { socket, text: () => text, body: () => text.slice(text.indexOf('\r\n\r\n') + 4) };
}

/**
 * Something that answers streams, says `first` on them and then nothing more; `null`: it does not
 * know who asks.
 */
async function halfOpen(first: Buffer | null = Buffer.alloc(0)) {
  let answered = 0;
  const server = createServer((_, response) => {
    response.setHeader('X-Server-Version', '3.7.1');
    answered++;
    if (first === null) return void response.writeHead(404).end('error sender not found\n');
    response.writeHead(200);
    response.flushHeaders();
    if (first.length > 0) response.write(first);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, answered: () => answered };
}

describe('a member that does not belong', () => {
  it('of another cluster is refused, and says so', async () => {
    const a = await start({ id: 0xa1n });
    const b = await start({ id: 0xb2n, clusterId: 5n as ClusterId });
    a.knows(b);
    b.knows(a);
    const says = (node: TransportNode) =>
      node.lines.some(({ msg }) => msg.endsWith('due to cluster ID mismatch'));
    await eventually(() => says(a) && says(b));
    b.transport.send([heartbeat(b, a, 1)]);
    await eventually(() => b.unreachable.includes(a.id));
    expect([a.received, a.isActive(b), b.isActive(a)]).toEqual([[], false, false]);
  });

  it('that was removed hears of it, and is heard no more', async () => {
    const [a, b] = await two();
    a.transport.setMembers([], new Set([b.id]));
    await eventually(() => b.removed > 0);
    b.transport.send([heartbeat(b, a, 1)]);
    await eventually(() => b.unreachable.includes(a.id));
    expect(a.received).toEqual([]);
    expect(a.isActive(b)).toBe(false);
  });

  it('under the address of another is not taken for it', async () => {
    const a = await start({ id: 0xa1n });
    const b = await start({ id: 0xb2n });
    b.knows(a);
    a.transport.setMembers([{ id: 0xeen as MemberId, peerUrls: [b.url] }], new Set());
    await eventually(() =>
      b.lines.some(
        ({ msg }) =>
          msg === 'ignored streaming request; ID mismatch' ||
          msg === 'failed to find remote peer in cluster',
      ),
    );
    expect(a.isActive({ id: 0xeen as MemberId })).toBe(false);
  });
});

describe('an observer', () => {
  it('hears of bytes, connections and round trips', async () => {
    const seen: string[] = [];
    let sent = 0;
    let received = 0;
    const clock = new HandClock();
    const observer: PeerObserver = {
      ...silentObserver,
      sent: (to, bytes) => {
        if (to === 0xb2n) sent += bytes;
      },
      received: (from, bytes) => {
        if (from === 0xa1n) received += bytes;
      },
      activeChanged: (peer, isActive) => seen.push(`${peer.toString(16)} ${isActive}`),
      roundTrip: (to) => seen.push(`round trip ${to.toString(16)}`),
    };
    const [a, b] = [
      await start({ id: 0xa1n, clock, observer }),
      await start({ id: 0xb2n, clock, observer }),
    ];
    a.knows(b);
    b.knows(a);
    await pass(clock, () => a.streamsTo(b) >= 2);
    a.transport.send(Array.from({ length: 10 }, (_, i) => heartbeat(a, b, i)));
    await eventually(() => b.received.length === 10);
    expect(sent).toBeGreaterThan(10 * 16);
    expect(received).toBeGreaterThan(10 * 8);
    expect(seen).toEqual(expect.arrayContaining(['a1 true', 'b2 true']));
    await pass(clock, () => seen.filter((what) => what.startsWith('round trip')).length >= 4);
    expect(a.lines.some(({ msg }) => msg === 'prober detected unhealthy status')).toBe(false);
    expect(a.lines.some(({ msg }) => msg === 'prober found high clock drift')).toBe(false);
  });
});

it('tells of heartbeats that leave late', async () => {
  const clock = new HandClock();
  let late = 0;
  const observer = { ...silentObserver, heartbeatLate: () => void late++ };
  const [a, b] = [await start({ id: 0xa1n, clock, observer }), await start({ id: 0xb2n, clock })];
  a.transport.send([heartbeat(a, b, 1)]);
  await clock.advance(200);
  a.transport.send([heartbeat(a, b, 2)]);
  expect(late).toBe(0);
  await clock.advance(1250);
  a.transport.send([heartbeat(a, b, 3)]);
  expect(late).toBe(1);
  const text =
    'leader failed to send out heartbeat on time; took too long, ' +
    'leader is overloaded likely from slow disk';
  expect(a.lines.find(({ msg }) => msg === text)?.fields).toEqual({
    to: 'b2',
    'heartbeat-interval': '100ms',
    'expected-duration': '200ms',
    'exceeded-duration': '1.05s',
  });
});

it('leaves nothing behind when it is closed', async () => {
  const [a, b] = await two();
  a.transport.send([heartbeat(a, b, 1)]);
  await eventually(() => b.received.length === 1);
  await a.close();
  await b.close();
  const open = () =>
    process.getActiveResourcesInfo().filter((kind) => /TCP|Timeout|Pipe(?!Wrap)/.test(kind));
  const kinds = (): string =>
    open()
      .filter((kind) => kind.startsWith('TCP'))
      .join();
  await eventually(() => kinds() === '');
  a.transport.send([heartbeat(a, b, 2)]);
  a.knows(b);
  expect(kinds()).toBe('');
});
