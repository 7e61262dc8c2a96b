import { createServer as createHttpServer, type Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { limits } from '../limits.ts';
import { ConnectionLimit, clientConnectionsMax } from './connection-limit.ts';
import { type Listener, type ListenerHandlers, listen } from './listener.ts';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

let listener: Listener;
let http: Server;
let heads: string[] = [];
let onHead: () => void = () => {};
let clients: Socket[] = [];

beforeEach(async () => {
  listener = await listen('http://127.0.0.1:0');
  http = createHttpServer((request, response) => response.end(`${request.method} ${request.url}`));
  heads = [];
  onHead = () => {};
  clients = [];
});

afterEach(async () => {
  for (const client of clients) client.destroy();
  await listener.close();
});

const handlers = (more: Partial<ListenerHandlers> = {}): ListenerHandlers => ({
  onHttp2: (_socket, head) => {
    heads.push(head.toString('latin1'));
    onHead();
  },
  http,
  ...more,
});

async function client(): Promise<Socket> {
  const { hostname, port } = new URL(listener.url);
  const socket = connect(Number(port), hostname);
  socket.setNoDelay(true);
  clients.push(socket);
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return socket;
}

/** Sends the pieces as packets of their own. */
async function send(socket: Socket, pieces: readonly string[]): Promise<void> {
  for (const piece of pieces) {
    await new Promise((resolve) => socket.write(piece, resolve));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const answerOf = (socket: Socket): Promise<string> =>
  new Promise((resolve) => socket.once('data', (chunk: Buffer) => resolve(chunk.toString())));

const whenHead = (): Promise<void> =>
  new Promise((resolve) => {
    onHead = resolve;
  });

describe('the first bytes tell the protocol', () => {
  it.each([
    ['in one packet', [`${PREFACE}rest`]],
    ['byte by byte', [...PREFACE]],
    ['cut within the first line', ['PRI * HT', PREFACE.slice(8)]],
  ])('HTTP/2, %s', async (_name, pieces) => {
    listener.serve(handlers());
    const handed = whenHead();
    await send(await client(), pieces);
    await handed;
    expect(heads).toHaveLength(1);
    expect(heads[0]?.startsWith(PREFACE)).toBe(true);
  });

  it.each([
    ['in one packet', ['GET /a HTTP/1.1\r\nHost: x\r\n\r\n'], 'GET /a'],
    ['after one byte', ['G', 'ET /a HTTP/1.1\r\nHost: x\r\n\r\n'], 'GET /a'],
    [
      'that begins like the preface',
      ['P', 'R', 'OPFIND /a HTTP/1.1\r\nHost: x\r\n\r\n'],
      'PROPFIND /a',
    ],
    ['byte by byte', [...'PUT /a HTTP/1.1\r\nHost: x\r\n\r\n'], 'PUT /a'],
  ])('HTTP/1.1, %s', async (_name, pieces, expected) => {
    listener.serve(handlers());
    const socket = await client();
    const answer = answerOf(socket);
    await send(socket, pieces);
    expect(await answer).toContain(expected);
    expect(heads).toEqual([]);
  });

  it('refuses garbage as HTTP/1.1 does', async () => {
    listener.serve(handlers());
    const socket = await client();
    const answer = answerOf(socket);
    await send(socket, ['\x00\x01\x02\xff garbage\r\n\r\n']);
    expect(await answer).toContain('400 Bad Request');
  });

  it('gives everything to the only protocol there is', async () => {
    listener.serve(handlers({ http: null }));
    const handed = whenHead();
    await send(await client(), ['GET / HTTP/1.1\r\n']);
    await handed;
    expect(heads).toEqual(['GET / HTTP/1.1\r\n']);
    const { port } = new URL(listener.url);
    await listener.close();
    listener = await listen(`http://127.0.0.1:${port}`);
    listener.serve(handlers({ onHttp2: null }));
    const socket = await client();
    const answer = answerOf(socket);
    await send(socket, [PREFACE]);
    expect(await answer).toContain('400 Bad Request');
  });
});

describe('connections', () => {
  it('wait until the member is ready', async () => {
    const socket = await client();
    const answer = answerOf(socket);
    await send(socket, ['GET /early HTTP/1.1\r\nHost: x\r\n\r\n']);
    listener.serve(handlers());
    expect(await answer).toContain('GET /early');
  });

  it('may say nothing, or go away without a word', async () => {
    listener.serve(handlers());
    const [silent, gone, reset] = [await client(), await client(), await client()];
    gone.end();
    reset.resetAndDestroy();
    await new Promise((resolve) => gone.once('close', resolve));
    const other = await client();
    const answer = answerOf(other);
    await send(other, ['GET /a HTTP/1.1\r\nHost: x\r\n\r\n']);
    expect(await answer).toContain('GET /a');
    expect(silent.destroyed).toBe(false);
  });

  it('that said nothing end with accepting, others when they are done', async () => {
    listener.serve(handlers());
    const [silent, talking] = [await client(), await client()];
    const answer = answerOf(talking);
    await send(talking, ['GET /a HTTP/1.1\r\nHost: x\r\n\r\n']);
    await answer;
    const silentEnds = new Promise((resolve) => silent.once('close', resolve));
    listener.stopAccepting();
    await silentEnds;
    expect(talking.destroyed).toBe(false);
    const empty = listener.whenEmpty();
    talking.end();
    await empty;
    expect(listener.connectionCount).toBe(0);
    await listener.whenEmpty();
    await expect(client()).rejects.toThrow();
  });

  it('are all ended by close', async () => {
    listener.serve(handlers());
    const socket = await client();
    const ends = new Promise((resolve) => socket.once('close', resolve));
    await listener.close();
    await ends;
    await listener.close();
  });
});

describe('addresses', () => {
  it('tell the port that was chosen', () => {
    expect(listener.url).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
  });

  it('that are taken are refused in words', async () => {
    await expect(listen(listener.url)).rejects.toThrow(
      `listen tcp ${new URL(listener.url).host}: bind: address already in use`,
    );
  });

  it('may be files, even if a former life has left one', async () => {
    const path = join(tmpdir(), `listener-${process.pid}.sock`);
    const first = await listen(`unix://${path}`);
    const second = await listen(`unix://${path}`);
    second.serve(handlers());
    const socket = connect(path);
    clients.push(socket);
    const answer = answerOf(socket);
    socket.write('GET /a HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(await answer).toContain('GET /a');
    await first.close();
    await second.close();
  });
});

describe('beyond the limit of its side', () => {
  const closed = (socket: Socket): Promise<void> =>
    new Promise((resolve) => socket.once('close', () => resolve()));

  async function limited(max: number): Promise<void> {
    await listener.close();
    listener = await listen('http://127.0.0.1:0', null, new ConnectionLimit(max));
    listener.serve(handlers());
  }

  it('who has said nothing for longest makes room', async () => {
    await limited(2);
    const [speaking, oldest] = [await client(), await client()];
    await send(speaking, ['GET /speaking HTTP/1.1\r\nHost: x\r\n\r\n']);
    await answerOf(speaking);
    const gone = closed(oldest);
    const latest = await client();
    await gone;
    await send(latest, ['GET /latest HTTP/1.1\r\nHost: x\r\n\r\n']);
    expect(await answerOf(latest)).toContain('GET /latest');
    expect(speaking.destroyed).toBe(false);
  });

  it('where all are served, the one that comes is refused, until one goes', async () => {
    await limited(1);
    const first = await client();
    await send(first, ['GET /first HTTP/1.1\r\nHost: x\r\n\r\n']);
    await answerOf(first);
    await closed(await client());
    first.destroy();
    await listener.whenEmpty();
    const next = await client();
    await send(next, ['GET /next HTTP/1.1\r\nHost: x\r\n\r\n']);
    expect(await answerOf(next)).toContain('GET /next');
  });

  it('there are always descriptors left for the log and the database', () => {
    expect(clientConnectionsMax(1024)).toBe(512);
    expect(clientConnectionsMax(10_000)).toBe(10_000 - limits.descriptorsReserved);
    expect(clientConnectionsMax(1_000_000)).toBe(limits.connectionsMax);
    expect(clientConnectionsMax(null)).toBe(limits.connectionsMax);
  });
});
