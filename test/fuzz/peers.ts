/**
 * The peer port, from one who knows the ids of cluster and members: requests with changed heads,
 * posted messages, states, and streams, which the member dials and the attacker answers.
 *
 * What a member may say, the attacker may say: terms rise and leaders change. So these attacks
 * disturb the service, and must not end it. Not said is what ends a member by right: that it was
 * removed (status 410, or the entry that removes it).
 */

import { createServer, type ServerResponse } from 'node:http';
import type { Prng } from '../compat/random.ts';
import type { Attack, AttackContext } from './attack.ts';
import { mutate, noise, varint } from './messages.ts';
import { pause, Wire } from './wire.ts';

const STREAM_ROUND_MS = 1500;
const ENTRY_TYPES = 3;
const TYPES = 20;

interface Position {
  readonly term: number;
  readonly index: number;
}

/** Where the member's log stands, as far as it tells. */
async function positionOf({ client }: AttackContext): Promise<Position> {
  const scheme = client.isTls ? 'https' : 'http';
  try {
    const url = `${scheme}://127.0.0.1:${client.port}/v3/maintenance/status`;
    const answer = await fetch(url, {
      method: 'POST',
      body: '{}',
      signal: AbortSignal.timeout(1000),
    });
    const status = (await answer.json()) as { raftTerm?: string; raftIndex?: string };
    return { term: Number(status.raftTerm ?? 1), index: Number(status.raftIndex ?? 1) };
  } catch {
    return { term: 2, index: 10 };
  }
}

function int(field: number, value: number | bigint): Buffer {
  return Buffer.concat([varint(field << 3), varint(value)]);
}

function nested(field: number, bytes: Buffer): Buffer {
  return Buffer.concat([varint((field << 3) | 2), varint(bytes.length), bytes]);
}

function near(random: Prng, value: number): number | bigint {
  const far = [0, 1, 2 ** 31, 2 ** 53, (1n << 63n) - 1n, (1n << 64n) - 1n];
  if (random.chance(6)) return random.pick(far);
  return Math.max(0, value + random.pick([-2, -1, 0, 0, 0, 0, 1, 2, 100]));
}

/** Terms mostly stay: whoever raises them ends every leadership. */
function nearTerm(random: Prng, term: number): number | bigint {
  return random.chance(60) ? term : near(random, term);
}

/** The data of an entry: a request, a change of members, or nothing of the kind. */
function entryData(context: AttackContext): Buffer {
  const { random, messages } = context;
  const kind = random.weighted({ request: 5, change: 2, nothing: 2, noise: 1 });
  if (kind === 'request') {
    const made = messages.wire(random, 'etcdserverpb.InternalRaftRequest', 5);
    return random.chance(20) ? mutate(random, made) : made;
  }
  if (kind === 'change') return messages.wire(random, 'raftpb.ConfChange', 10);
  return kind === 'nothing' ? Buffer.alloc(0) : noise(random, random.below(60));
}

function raftMessage(context: AttackContext, at: Position, type: number): Buffer {
  const { random, peer } = context;
  const term = nearTerm(random, at.term);
  const index = near(random, at.index);
  const parts = [
    int(1, type),
    int(2, random.chance(97) ? peer.memberId : random.u64()),
    int(3, random.chance(90) ? peer.ownId : random.pick([peer.memberId, 0n, random.u64()])),
    int(4, term),
    int(5, nearTerm(random, at.term)),
    int(6, index),
  ];
  const entries = [3, 2].includes(type) || random.chance(10) ? random.below(4) : 0;
  for (let i = 0; i < entries; i++) {
    const follows = typeof index === 'number' ? index + 1 + i : index;
    const entry = [
      int(1, random.chance(95) ? random.below(ENTRY_TYPES) : random.below(9)),
      int(2, nearTerm(random, at.term)),
      int(3, random.chance(90) ? follows : near(random, at.index)),
      nested(4, entryData(context)),
    ];
    parts.push(nested(7, Buffer.concat(entry)));
  }
  if (type === 15 || type === 16) parts.push(nested(7, nested(4, noise(random, 8))));
  parts.push(int(8, near(random, at.index)));
  if (type === 7 || random.chance(3)) parts.push(nested(9, snapshot(context, at)));
  parts.push(int(10, random.below(2)), int(11, near(random, at.index)));
  if (random.chance(30))
    parts.push(nested(12, random.chance(50) ? Buffer.from('CampaignTransfer') : noise(random, 8)));
  const message = Buffer.concat(parts);
  return random.chance(15) ? mutate(random, message) : message;
}

function snapshot({ random, peer }: AttackContext, at: Position): Buffer {
  const ids = [peer.memberId, peer.ownId, random.u64(), 0n].slice(random.below(2));
  const conf = Buffer.concat(ids.map((id) => int(random.pick([1, 1, 1, 2, 3, 4]), id)));
  const metadata = [
    nested(1, conf),
    int(2, near(random, at.index + 50)),
    int(3, nearTerm(random, at.term)),
  ];
  return Buffer.concat([
    nested(1, noise(random, random.below(30))),
    nested(2, Buffer.concat(metadata)),
  ]);
}

function anyMessage(context: AttackContext, at: Position): Buffer {
  const { random, corpus } = context;
  const known = corpus.get('raft') ?? [];
  if (known.length > 0 && random.chance(5)) return mutate(random, random.pick(known));
  return raftMessage(
    context,
    at,
    random.chance(60) ? random.pick([3, 4, 8, 9]) : random.below(TYPES),
  );
}

function heads({ random, peer }: AttackContext): string {
  const odd = random.chance(10);
  const cluster = odd && random.chance(50) ? random.u64() : peer.clusterId;
  const version = odd ? random.pick(['3.7.1', '2.0.0', '9.9.9', 'x', '3.4.23']) : '3.7.1';
  const urls = odd ? random.pick(['', 'http://127.0.0.1:1', ':::', 'http://x']) : '';
  return (
    `X-Server-From: ${(odd ? random.u64() : peer.ownId).toString(16)}\r\n` +
    `X-Server-Version: ${version}\r\nX-Min-Cluster-Version: 3.0.0\r\n` +
    `X-Etcd-Cluster-ID: ${cluster.toString(16)}\r\nX-Raft-To: ${peer.memberId.toString(16)}\r\n` +
    (urls === '' ? '' : `X-PeerURLs: ${urls}\r\n`)
  );
}

function post(context: AttackContext, path: string, body: Buffer): Buffer {
  const head = `POST ${path} HTTP/1.1\r\nHost: p\r\nContent-Length: ${body.length}\r\n`;
  return Buffer.concat([Buffer.from(`${head}${heads(context)}\r\n`, 'latin1'), body]);
}

/** Messages of all kinds, posted. */
export const posts: Attack = async (context) => {
  const at = await positionOf(context);
  const wire = new Wire(context.peer.door);
  if (!(await wire.opened)) return 0;
  let sent = 0;
  for (; sent < 40 && wire.socket.writable; sent++) {
    await wire.send(post(context, '/raft', anyMessage(context, at)));
    await wire.heard(30);
  }
  wire.end();
  return sent;
};

const PATHS = [
  '/raft',
  '/raft/snapshot',
  '/raft/probing',
  '/raft/stream/message/1',
  '/raft/stream/msgapp/zz',
  '/raft/stream/other/1',
  '/members',
  '/members/hashkv',
  '/members/promote/1',
  '/members/promote/x',
  '/leases',
  '/leases/internal',
  '/version',
  '/downgrade/enabled',
];

/** Everything else that is asked at this port, with changed bytes. */
export const peerRequests: Attack = async (context) => {
  const { random, messages } = context;
  let sent = 0;
  for (; sent < 20; sent++) {
    const wire = new Wire(context.peer.door);
    if (!(await wire.opened)) continue;
    const body = random.weighted({ lease: 2, ttl: 2, json: 1, noise: 1 });
    const bytes = {
      lease: messages.wire(random, 'etcdserverpb.LeaseKeepAliveRequest', 20),
      ttl: messages.wire(random, 'leasepb.LeaseInternalRequest', 20),
      json: Buffer.from('{"revision": 1e30}'),
      noise: noise(random, random.below(300)),
    }[body];
    const request = post(context, random.pick(PATHS), bytes);
    const verb = random.chance(50)
      ? request
      : Buffer.concat([Buffer.from('GET'), request.subarray(4)]);
    await wire.send(random.chance(40) ? mutate(random, verb) : verb);
    await wire.heard(50);
    wire.end();
  }
  return sent;
};

/** Whole states: right and wrong announcements, and bodies that are no database. */
export const states: Attack = async (context) => {
  const { random } = context;
  const at = await positionOf(context);
  let sent = 0;
  for (; sent < 8; sent++) {
    const wire = new Wire(context.peer.door);
    if (!(await wire.opened)) continue;
    const type = random.chance(85) ? 7 : random.below(TYPES);
    const message = raftMessage(context, at, type);
    const length = Buffer.alloc(8);
    length.writeUInt32BE(random.chance(95) ? message.length : random.below(2 ** 31), 4);
    if (random.chance(3)) length.writeUInt32BE(random.below(2 ** 31), 0);
    const database = random.weighted({ none: 1, noise: 2, zeros: 1, magic: 3 });
    const pages = Buffer.alloc(4096 * random.pick([1, 4, 16]));
    pages.writeUInt32LE(0xed0cdaed, 16);
    pages.writeUInt32LE(2, 20);
    pages.writeUInt32LE(4096, 24);
    const bytes = {
      none: Buffer.alloc(0),
      noise: noise(random, random.below(9000)),
      zeros: Buffer.alloc(65_536),
      magic: mutate(random, pages, 20),
    }[database];
    await wire.send(post(context, '/raft/snapshot', Buffer.concat([length, message, bytes])));
    await wire.heard(200);
    wire.end();
  }
  return sent;
};

/** Dials for the member's messages, again and again, and reads or does not. */
export const dials: Attack = async (context) => {
  const { random, peer } = context;
  const wires: Wire[] = [];
  for (let i = 0; i < 20; i++) {
    const wire = new Wire(peer.door);
    wires.push(wire);
    if (!(await wire.opened)) continue;
    if (random.chance(30)) wire.socket.pause();
    const path = `/raft/stream/${random.pick(['message', 'msgapp'])}/${peer.ownId.toString(16)}`;
    await wire.send(Buffer.from(`GET ${path} HTTP/1.1\r\nHost: p\r\n${heads(context)}\r\n`));
    await wire.heard(50);
  }
  for (const wire of wires) wire.end();
  return wires.length;
};

/** Answers the streams that the member dials with frames that are right, odd or broken. */
export const streams: Attack = async (context) => {
  const at = await positionOf(context);
  let sent = 0;
  const open = new Set<ServerResponse>();
  const { random, peer } = context;
  const server = createServer((request, response) => {
    response.on('error', () => undefined);
    if (!(request.url ?? '').startsWith('/raft/stream/')) {
      response.writeHead(random.pick([204, 200, 404, 500])).end();
      return;
    }
    response.writeHead(random.chance(95) ? 200 : random.pick([404, 412, 500]), {
      'X-Etcd-Cluster-ID': peer.clusterId.toString(16),
      'X-Server-Version': '3.7.1',
    });
    response.flushHeaders();
    const isAppends = (request.url ?? '').includes('/msgapp/');
    for (let i = 0; i < 10; i++) {
      response.write(isAppends ? appendFrame(context, at) : messageFrame(context, at));
      sent++;
    }
    open.add(response);
  });
  server.on('error', () => undefined);
  await new Promise<void>((resolve) => server.listen(peer.ownPort, '127.0.0.1', resolve));
  await pause(STREAM_ROUND_MS);
  for (const response of open) response.destroy();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  return sent;
};

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

function messageFrame(context: AttackContext, at: Position): Buffer {
  const { random } = context;
  const message = anyMessage(context, at);
  const length = random.chance(97) ? message.length : random.pick([0, 1, 2 ** 29, 2 ** 40]);
  return Buffer.concat([u64(length), message]);
}

function appendFrame(context: AttackContext, at: Position): Buffer {
  const { random } = context;
  const kind = random.weighted({ message: 5, entries: 4, heartbeat: 1, noise: 1 });
  if (kind === 'heartbeat') return Buffer.from([0]);
  if (kind === 'noise') return noise(random, 20);
  if (kind === 'message') {
    const message = raftMessage(context, at, 3);
    return Buffer.concat([Buffer.from([2]), u64(message.length), message]);
  }
  const entries: Buffer[] = [];
  const count = random.below(3);
  for (let i = 0; i < count; i++) {
    const entry = Buffer.concat([
      int(1, 0),
      int(2, nearTerm(random, at.term)),
      int(3, near(random, at.index + i)),
      nested(4, entryData(context)),
    ]);
    entries.push(u64(entry.length), entry);
  }
  const told = random.chance(95) ? count : 2 ** 30;
  return Buffer.concat([Buffer.from([1]), u64(told), ...entries, u64(at.index)]);
}
