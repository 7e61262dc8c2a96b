// Bad input over raw sockets, and clients that vanish: the answers are etcd's, and afterwards the
// server still answers and has given back its descriptors and memory.
// CONNECTIONS sets the number of idle connections (10000 in a long run).
import { readdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodeCommand } from '../compat/binaries.ts';
import { GrpcClient } from '../compat/client.ts';
import { httpRequest, LineStream } from '../compat/http-client.ts';
import { Server, until } from '../compat/servers.ts';
import { FAULTS } from './fault-table.ts';
import { idleSession, rawCall } from './raw-http2.ts';

const CONNECTIONS = Number(process.env['CONNECTIONS'] ?? 1_000);
const MIB = 1024 * 1024;
const MEMORY_MIB_ABOVE_MAX = 200;
const DESCRIPTORS_ABOVE_MAX = 12;
const RECOVERY_MS_MAX = 30_000;
let server: Server;

beforeAll(async () => {
  server = await Server.start({ label: 'server', command: nodeCommand() });
}, 60_000);

afterAll(async () => {
  await server?.close();
});

describe('broken gRPC requests', () => {
  for (const fault of FAULTS) {
    it(fault.name, async () => {
      expect(await rawCall(server.port, fault)).toBe(fault.answer);
    });
  }

  it('refuses a request above the limits in the two ways of etcd', async () => {
    const client = new GrpcClient(server.endpoint);
    const put = (bytes: number) =>
      client.unary('KV/Put', { key: Buffer.from('k'), value: Buffer.alloc(bytes, 120) });
    const results = [await put(1.4 * MIB), await put(1.6 * MIB), await put(2.1 * MIB)];
    client.close();
    expect(results.map(({ code, text }) => `${code} ${text}`)).toEqual([
      '0 ',
      '3 etcdserver: request is too large',
      '8 grpc: received message larger than max (2202017 vs. 2097152)',
    ]);
  });

  it('refuses the same sizes over JSON', async () => {
    const answers: string[] = [];
    for (const size of [1.6 * MIB, 2.1 * MIB]) {
      const value = Buffer.alloc(size, 120).toString('base64');
      const body = JSON.stringify({ key: 'aw==', value });
      const answer = await httpRequest(server.port, { method: 'POST', path: '/v3/kv/put', body });
      const { code, message } = JSON.parse(answer.body) as { code: number; message: string };
      answers.push(`${answer.status} ${code} ${message}`);
    }
    expect(answers).toEqual([
      '400 3 etcdserver: request is too large',
      '429 8 grpc: received message larger than max (2202017 vs. 2097152)',
    ]);
  });
});

describe('broken connections', () => {
  const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
  const head = 'POST /v3/kv/range HTTP/1.1\r\nHost: a\r\n';
  const cases: readonly [string, Buffer | string, RegExp][] = [
    ['bytes of no protocol', 'garbage\r\n\r\n', /^(HTTP\/1\.1 400|$)/],
    ['binary bytes', Buffer.from([0, 1, 2, 3, 4, 5, 6, 7, 13, 10, 13, 10]), /^(HTTP\/1\.1 400|$)/],
    ['a wrong HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n', /^(HTTP\/1\.1|$)/],
    ['a preface and garbage', Buffer.concat([Buffer.from(PREFACE), Buffer.alloc(300, 255)]), /^/],
    ['no host', 'GET /version HTTP/1.1\r\n\r\n', /^HTTP\/1\.1 400 Bad Request/],
    ['a bad length', `${head}Content-Length: x\r\n\r\n`, /^HTTP\/1\.1 400 Bad Request/],
    [
      'a bad chunk',
      `${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
      /^HTTP\/1\.1 400 Bad Request/,
    ],
    ['endless headers', `${head}X: ${'a'.repeat(2 * MIB)}\r\n\r\n`, /^(HTTP\/1\.1 431|$)/],
  ];
  for (const [name, bytes, answer] of cases) {
    it(`closes a connection with ${name}`, async () => {
      expect(await closedAfter(bytes)).toMatch(answer);
    });
  }

  it('answers after all of that', async () => {
    await expectAlive();
  });
});

describe('many and vanishing clients', { timeout: 120_000 }, () => {
  it(`gives back what ${CONNECTIONS} idle connections took`, async () => {
    const before = await usage();
    const sockets: Socket[] = [];
    while (sockets.length < CONNECTIONS) {
      const batch = Array.from({ length: 50 }, () => openSocket(server.port));
      sockets.push(...(await Promise.all(batch)));
    }
    await expectAlive();
    for (const socket of sockets) socket.destroy();
    await expectBack(before);
  });

  it('gives back what idle HTTP/2 sessions took', async () => {
    const before = await usage();
    const sessions = await Promise.all(
      Array.from({ length: Math.min(CONNECTIONS, 500) }, () => idleSession(server.port)),
    );
    await expectAlive();
    for (const session of sessions) session.destroy();
    await expectBack(before);
  });

  it('forgets watchers and keepalives whose clients vanished', async () => {
    const before = await usage();
    const clients = Array.from({ length: 60 }, () => new GrpcClient(server.endpoint));
    const streams = clients.flatMap((client) => {
      const watches = Array.from({ length: 5 }, () => client.bidi('Watch/Watch'));
      const keepAlive = client.bidi('Lease/LeaseKeepAlive');
      for (const watch of watches) {
        watch.send({ create_request: { key: Buffer.from([0]), range_end: Buffer.from([0]) } });
      }
      keepAlive.send({ ID: '5' });
      return [...watches, keepAlive];
    });
    const lines = Array.from({ length: 40 }, () => {
      const body = '{"create_request":{"key":"AA==","range_end":"AA=="}}';
      return new LineStream(server.port, { method: 'POST', path: '/v3/watch', body });
    });
    await until('first answers', () =>
      streams.every(({ messages }) => messages.length > 0) &&
      lines.every((stream) => stream.lines.length > 0)
        ? true
        : null,
    );
    await expectAlive();
    for (const stream of streams) stream.cancel();
    for (const client of clients) client.close();
    for (const line of lines) line.close();
    await expectBack(before);
  });

  it('survives requests that are given up half way', async () => {
    const before = await usage();
    const sockets = await Promise.all(Array.from({ length: 200 }, () => openSocket(server.port)));
    for (const socket of sockets) {
      socket.write('POST /v3/kv/put HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n{"key":');
      socket.destroy();
    }
    await expectBack(before);
  });
});

async function expectAlive(): Promise<void> {
  const call = { method: 'POST', path: '/v3/kv/put', body: '{"key":"YWxpdmU=","value":"eQ=="}' };
  expect((await httpRequest(server.port, call)).status).toBe(200);
  const client = new GrpcClient(server.endpoint);
  expect((await client.unary('KV/Range', { key: Buffer.from('alive') })).code).toBe(0);
  client.close();
}

interface Usage {
  readonly descriptors: number;
  readonly memoryMib: number;
}

async function usage(): Promise<Usage> {
  await expectAlive();
  const status = readFileSync(`/proc/${server.pid}/status`, 'utf8');
  const memoryMib = Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024;
  return { descriptors: readdirSync(`/proc/${server.pid}/fd`).length, memoryMib };
}

async function expectBack(before: Usage): Promise<void> {
  await until(
    `use near ${JSON.stringify(before)}`,
    async () => {
      const now = await usage();
      const near =
        now.descriptors <= before.descriptors + DESCRIPTORS_ABOVE_MAX &&
        now.memoryMib <= before.memoryMib + MEMORY_MIB_ABOVE_MAX;
      return near ? now : null;
    },
    RECOVERY_MS_MAX,
  );
}

function openSocket(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket));
    socket.on('error', reject);
  });
}

/** Everything the server says until it closes the connection. */
async function closedAfter(bytes: Buffer | string): Promise<string> {
  const socket = await openSocket(server.port);
  socket.removeAllListeners('error');
  return new Promise((resolve, reject) => {
    let said = '';
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`the connection stays open after ${JSON.stringify(said.slice(0, 200))}`));
    }, 10_000);
    socket.on('data', (chunk) => {
      said += chunk.toString('latin1');
    });
    socket.on('error', () => undefined); // A reset is a way to close.
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(said);
    });
    socket.write(bytes);
  });
}
