/**
 * HTTP/1.1 and what is spoken within it: malformed heads and bodies, the JSON gateway with requests
 * that are right, odd or broken, WebSockets, and clients that take their time.
 */

import type { Prng } from '../compat/random.ts';
import type { Attack } from './attack.ts';
import { mutate, noise } from './messages.ts';
import { pause, Wire } from './wire.ts';

const PATHS = [
  '/',
  '/health',
  '/version',
  '/metrics',
  '/v3/kv/range',
  '/v2/keys',
  '/livez',
  '/%00',
];
const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH', 'FOO', 'CONNECT'];
const HEAD_LINES = [
  'Host: fuzz',
  'Connection: keep-alive',
  'Connection: close',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: gzip, chunked',
  'Content-Length: 0',
  'Content-Length: 10',
  'Content-Length: -1',
  'Content-Length: 99999999999999999999',
  'Expect: 100-continue',
  'Upgrade: h2c',
  'Authorization: x.1',
  'Grpc-Timeout: 1n',
  'Grpc-Metadata-hasleader: true',
  'Origin: http://elsewhere',
  'Access-Control-Request-Method: POST',
  ' folded: yes',
  'No colon',
  `Long: ${'x'.repeat(20_000)}`,
  'Null: \0',
  'Accept-Encoding: gzip',
  'Range: bytes=0-',
];

export const requests: Attack = async ({ random, client, corpus }) => {
  const wire = new Wire(client, ['http/1.1']);
  if (!(await wire.opened)) return 0;
  const known = corpus.get('http1') ?? [];
  let sent = 0;
  for (; sent < 20 && wire.socket.writable; sent++) {
    const bytes =
      known.length > 0 && random.chance(30)
        ? random.pick(known)
        : Buffer.from(text(random), 'latin1');
    await wire.send(random.chance(30) ? mutate(random, bytes) : bytes);
    if (random.chance(50)) await wire.heard(20);
  }
  wire.end();
  return sent;
};

function text(random: Prng): string {
  const lines = [`${random.pick(METHODS)} ${random.pick(PATHS)} HTTP/1.${random.below(3)}`];
  for (let i = random.below(6); i > 0; i--) lines.push(random.pick(HEAD_LINES));
  const body = random.pick([
    '',
    '{}',
    '5\r\nhello\r\n0\r\n\r\n',
    'fffffffff\r\n',
    '0\r\n\r\n',
    '{"key":',
  ]);
  return `${lines.join(random.chance(5) ? '\n' : '\r\n')}\r\n\r\n${body}`;
}

/** One request of the gateway; `path` is part of the head. */
function post(path: string, body: Buffer, more = ''): Buffer {
  const length = `Content-Length: ${body.length}\r\n`;
  const head = `POST ${path} HTTP/1.1\r\nHost: fuzz\r\n${length}${more}\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), body]);
}

export const gateway: Attack = async ({ random, client, messages }) => {
  const wire = new Wire(client, ['http/1.1']);
  if (!(await wire.opened)) return 0;
  let sent = 0;
  for (; sent < 25 && wire.socket.writable; sent++) {
    const { path, request } = random.pick(messages.routes);
    const json = Buffer.from(messages.json(random, request, random.pick([0, 10, 40])));
    const body = random.chance(30) ? mutate(random, json) : json;
    const deep = random.chance(2);
    const bytes = deep ? Buffer.from('[{"a":'.repeat(random.pick([100, 20_000]))) : body;
    await wire.send(post(path, bytes, random.chance(5) ? 'Authorization: a.b\r\n' : ''));
    await wire.heard(30);
  }
  wire.end();
  return sent;
};

const UPGRADE =
  'GET /v3/watch HTTP/1.1\r\nHost: fuzz\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';

export const webSockets: Attack = async ({ random, client, messages }) => {
  const wire = new Wire(client, ['http/1.1']);
  if (!(await wire.opened)) return 0;
  const upgrade = Buffer.from(UPGRADE);
  await wire.send(random.chance(10) ? mutate(random, upgrade) : upgrade);
  await wire.heard(100);
  let sent = 1;
  for (; sent < 20 && wire.socket.writable; sent++) {
    const json = Buffer.from(messages.json(random, 'etcdserverpb.WatchRequest'));
    const made = webSocketFrame(random, json);
    await wire.send(random.chance(30) ? mutate(random, made) : made);
  }
  await wire.heard(30);
  wire.end();
  return sent;
};

function webSocketFrame(random: Prng, payload: Buffer): Buffer {
  const opcode = random.pick([1, 1, 1, 2, 0, 8, 9, 10, 3, 15]);
  const first = (random.chance(80) ? 0x80 : 0) | (random.chance(5) ? 0x70 : 0) | opcode;
  const isMasked = random.chance(90) ? 0x80 : 0;
  const mask = noise(random, 4);
  const masked = payload.map((byte, i) => byte ^ (mask[i % 4] ?? 0));
  const length = Buffer.from([first, isMasked | 126, payload.length >> 8, payload.length & 255]);
  const huge = Buffer.from([first, isMasked | 127, random.below(256), 0, 0, 1, 0, 0, 0, 0]);
  return Buffer.concat([random.chance(3) ? huge : length, mask, masked]);
}

/** Heads and bodies that come a few bytes at a time and never to an end. */
export const slowRequests: Attack = async ({ random, client }) => {
  const wires = Array.from({ length: 30 }, () => new Wire(client, ['http/1.1']));
  await Promise.all(wires.map(({ opened }) => opened));
  const begin = random.chance(50)
    ? 'GET /version HTTP/1.1\r\n'
    : 'POST /v3/kv/put HTTP/1.1\r\nContent-Length: 1000\r\n\r\n';
  for (const wire of wires) await wire.send(Buffer.from(begin));
  for (let i = 0; i < 20; i++) {
    for (const wire of wires) await wire.send(Buffer.from('x-a: b\r\n'));
    await pause(20);
  }
  for (const wire of wires) wire.end();
  return wires.length;
};
