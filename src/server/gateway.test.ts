import { request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  decodePutRequest,
  decodeRangeRequest,
  decodeWatchRequest,
  encodePutResponse,
  encodeRangeResponse,
  encodeSnapshotResponse,
  encodeWatchResponse,
  type WatchRequest,
  type WatchResponse,
} from '../codec/gen/etcdserverpb.ts';
import { errors } from '../errors.ts';
import { type ClusterId, keyFromText, type MemberId } from '../types.ts';
import { createGateway, type Gateway } from './gateway.ts';
import { createHttp } from './http.ts';
import { bidi, type Caller, type Method, type Output, serverStream, unary } from './rpc.ts';
import { createRpcGate } from './rpc-gate.ts';

const REQUEST_BYTES_MAX = 1 << 20;
const HEADER = {
  clusterId: 1n as ClusterId,
  memberId: 18446744073709551615n as MemberId,
  revision: 7,
  raftTerm: 2,
};

const BUG = keyFromText('bug');
const HANG = keyFromText('hang');

/** A watch stream as the service saw it. */
interface SeenStream {
  readonly requests: WatchRequest[];
  readonly output: Output<WatchResponse>;
  halfClosed: boolean;
  closed: number;
}

let server: Server;
let port: number;
let fatal: unknown[];
let streams: SeenStream[];
let callers: Caller[];
let certificateUser = '';
let leader: MemberId | null;
let gateway: Gateway;
let nowMs: number;
let counted: string[];
/** Called by the hanging method once it runs. */
let onHang: () => void;

const methods: readonly Method[] = [
  unary(
    'etcdserverpb.KV',
    'Range',
    { decode: decodeRangeRequest, encode: encodeRangeResponse },
    ({ key }, caller) => {
      callers.push(caller);
      if (key === '') throw errors.emptyKey;
      if (key === BUG) throw new TypeError('a bug');
      return { header: HEADER, kvs: [], more: false, count: key.length };
    },
  ),
  unary(
    'etcdserverpb.KV',
    'Put',
    { decode: decodePutRequest, encode: encodePutResponse },
    ({ key }, caller) =>
      new Promise((resolve, reject) => {
        callers.push(caller);
        if (key === HANG) caller.onCancel(() => reject(errors.canceled));
        else if (key === BUG) reject(new TypeError('a bug'));
        else resolve({ header: HEADER, prevKv: null });
        onHang();
      }),
  ),
  bidi(
    'etcdserverpb.Watch',
    'Watch',
    { decode: decodeWatchRequest, encode: encodeWatchResponse },
    (_caller, output) => {
      const seen: SeenStream = { requests: [], output, halfClosed: false, closed: 0 };
      streams.push(seen);
      return {
        message: (request) => seen.requests.push(request),
        halfClose: () => {
          seen.halfClosed = true;
        },
        close: () => {
          seen.closed++;
        },
      };
    },
  ),
  serverStream(
    'etcdserverpb.Maintenance',
    'Snapshot',
    { decode: () => ({}), encode: encodeSnapshotResponse },
    (_request, _caller, output) => {
      const empty = { header: null, blob: Buffer.from('ab'), version: '' };
      output.send({ ...empty, remainingBytes: 1 });
      output.send({ ...empty, remainingBytes: 0 });
      output.end(null);
    },
  ),
];

beforeEach(async () => {
  fatal = [];
  streams = [];
  callers = [];
  leader = HEADER.memberId;
  onHang = () => {};
  const onFatal = (error: unknown): void => void fatal.push(error);
  const gate = createRpcGate({
    get lead() {
      return leader;
    },
    isLearner: false,
  });
  nowMs = 1000;
  counted = [];
  const note = (what: string) => (method: Method, value: unknown) =>
    void counted.push(`${method.name} ${what} ${String(value)}`);
  const observer = {
    started: note('started'),
    received: note('received'),
    sent: note('sent'),
    handled: note('handled'),
    stats: { limitMs: Number.POSITIVE_INFINITY, tell() {} },
    receiveFailed() {},
  };
  gateway = createGateway({
    methods: new Map(methods.map((method) => [`/${method.service}/${method.name}`, method])),
    gate,
    requestBytesMax: REQUEST_BYTES_MAX,
    observer,
    monotonic: () => nowMs,
    onFatal,
  });
  server = createHttp(
    {
      gateway,
      health: {
        health: async () => ({ ok: false, body: 'ill\n' }),
        has: (_type, name) => name === '',
        probe: async () => ({ ok: true, body: 'ok\n' }),
      },
      cors: ['http://known'],
      hostWhitelist: ['localhost', '127.0.0.1'],
      certificateUser: () => certificateUser,
      clusterVersion: () => '3.7.0',
      renderMetrics: async () => 'm 1\n',
      debugVars: () => '{}',
      onFatal,
    },
    'client',
  );
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  ({ port } = server.address() as AddressInfo);
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => {
    server.close(resolve);
  });
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

function post(path: string, body: string, headers: Record<string, string> = {}): Promise<Answer> {
  return call('POST', path, body, headers);
}

function call(
  method: string,
  path: string,
  body = '',
  headers: Record<string, string> = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ port, method, path, headers, agent: false }, (incoming) => {
      let text = '';
      incoming.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      incoming.on('error', reject);
      incoming.on('end', () =>
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: text }),
      );
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** A connection of its own, with all that came over it. */
class Raw {
  readonly socket: Socket;
  received = '';

  constructor(text: string) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('data', (chunk) => {
      this.received += chunk.toString('latin1');
    });
    this.socket.write(text);
  }

  async until(text: string): Promise<void> {
    await until(() => this.received.includes(text));
  }
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('waited in vain');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function stream(at = 0): SeenStream {
  const seen = streams[at];
  if (seen === undefined) throw new Error(`no stream ${at}`);
  return seen;
}

const HEAD = 'Host: 127.0.0.1\r\n';
const CREATE = '{"create_request":{"key":"YQ=="}}';
const created = { created: true, canceled: false, compactRevision: 0, cancelReason: '' };
const line = (watchId: number): WatchResponse => {
  return { ...created, header: null, watchId, fragment: false, events: [] };
};

function chunked(path: string): string {
  return `POST ${path} HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n`;
}

function chunk(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}

function plain(path: string, body: string): string {
  return `POST ${path} HTTP/1.1\r\n${HEAD}Content-Length: ${body.length}\r\n\r\n${body}`;
}

describe('what is counted', () => {
  it('is a gRPC call for every call that was understood', async () => {
    await post('/v3/kv/range', '{"key":"YWI="}');
    const answer = counted.splice(0);
    expect(answer).toEqual([
      'Range started null',
      'Range received 4',
      expect.stringMatching(/^Range sent \d+$/),
      'Range handled 0',
    ]);
    await post('/v3/kv/range', '{"key":""}');
    expect(counted.splice(0)).toEqual([
      'Range started null',
      'Range received 0',
      'Range handled 3',
    ]);
    await post('/v3/kv/range', '{"key":');
    expect(counted).toEqual([]);
  });

  it('is a stream from its opening until it ends', async () => {
    const raw = new Raw(`${chunked('/v3/watch')}${chunk(CREATE)}`);
    await until(() => streams[0]?.requests.length === 1);
    expect(counted).toEqual(['Watch started null', 'Watch received 5']);
    raw.socket.destroy();
    await until(() => counted.includes('Watch handled 1'));
  });
});

describe('a unary call', () => {
  it('is answered in JSON, with the headers of the gateway', async () => {
    const { status, headers, body } = await post('/v3/kv/range', '{"key":"YWI="}');
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('application/json');
    expect(headers['grpc-metadata-content-type']).toBe('application/grpc');
    expect(headers['content-length']).toBe(String(body.length));
    expect(body).toBe(
      '{"header":{"cluster_id":"1","member_id":"18446744073709551615","revision":"7",' +
        '"raft_term":"2"},"count":"2"}',
    );
  });

  it('says an error under the names of every generation', async () => {
    const { status, body } = await post('/v3/kv/range', '');
    expect(status).toBe(400);
    const text = 'etcdserver: key is not provided';
    expect(JSON.parse(body)).toEqual({ error: text, code: 3, message: text });
  });

  it('reports what is no answer, thrown or rejected', async () => {
    for (const path of ['/v3/kv/range', '/v3/kv/put']) {
      const before = fatal.length;
      const open = new Raw(plain(path, '{"key":"YnVn"}'));
      await until(() => fatal.length > before);
      open.socket.destroy();
    }
    expect(fatal.map(String)).toEqual(['TypeError: a bug', 'TypeError: a bug']);
  });

  it('takes a body in chunks and after an invitation', async () => {
    const open = new Raw(chunked('/v3/kv/range') + chunk('{"key":') + chunk('"YQ=="}') + chunk(''));
    await open.until('"count":"1"');
    const asking = new Raw(
      `POST /v3/kv/range HTTP/1.1\r\n${HEAD}Expect: 100-continue\r\nContent-Length: 14\r\n\r\n`,
    );
    await asking.until('100 Continue');
    asking.socket.write('{"key":"YWI="}');
    await asking.until('"count":"2"');
    for (const { socket } of [open, asking]) socket.destroy();
  });

  it('answers requests that were sent at once in their order', async () => {
    const requests = ['YQ==', 'YWI=', 'YWJj'].map((key) =>
      plain('/v3/kv/range', `{"key":"${key}"}`),
    );
    const open = new Raw(requests.join(''));
    await open.until('"count":"3"');
    const counts = [...open.received.matchAll(/"count":"(\d)"/g)].map((match) => match[1]);
    expect(counts).toEqual(['1', '2', '3']);
    open.socket.destroy();
  });

  it('is refused beyond the size of a gRPC message, and its body is not kept', async () => {
    const bytes = REQUEST_BYTES_MAX + 600 * 1024;
    const value = Buffer.alloc(bytes).toString('base64');
    const answer = await post('/v3/kv/put', `{"key":"YQ==","value":"${value}"}`);
    expect(answer.status).toBe(429);
    expect(answer.body).toContain(
      `grpc: received message larger than max (${bytes + 7} vs. ${REQUEST_BYTES_MAX + 524288})`,
    );
    const huge = await post('/v3/kv/put', ' '.repeat(4 * REQUEST_BYTES_MAX));
    expect(huge.status).toBe(429);
    expect(callers).toHaveLength(0);
  });

  it('hears of a client that leaves', async () => {
    const open = new Raw(plain('/v3/kv/put', '{"key":"aGFuZw=="}'));
    await until(() => callers.length === 1);
    expect(callers[0]?.cancelled).toBe(false);
    open.socket.destroy();
    await until(() => callers[0]?.cancelled === true);
    expect(fatal).toEqual([]);
  });

  it('ends at its deadline', async () => {
    const answered = post('/v3/kv/put', '{"key":"aGFuZw=="}', { 'grpc-timeout': '20m' });
    await until(() => callers.length === 1);
    gateway.tick(nowMs + 19);
    expect(callers[0]?.cancelled).toBe(false);
    gateway.tick(nowMs + 20);
    const answer = await answered;
    expect(answer.status).toBe(504);
    expect(JSON.parse(answer.body)).toMatchObject({
      code: 4,
      message: 'context deadline exceeded',
    });
    expect(callers[0]?.cancelled).toBe(true);
    for (const timeout of ['1n', '-5S']) {
      const late = await post('/v3/kv/range', '{"key":"YQ=="}', { 'grpc-timeout': timeout });
      expect(late.status).toBe(504);
    }
    for (const timeout of ['0m', '5S', '9999999H']) {
      const early = await post('/v3/kv/range', '{"key":"YQ=="}', { 'grpc-timeout': timeout });
      expect(early.status).toBe(200);
    }
    const bad = await post('/v3/kv/range', '{"key":"YQ=="}', { 'grpc-timeout': '5' });
    expect(JSON.parse(bad.body)).toMatchObject({ code: 3, message: 'invalid grpc-timeout: 5' });
  });

  it('sees headers as metadata', async () => {
    await post('/v3/kv/range', '{"key":"YQ=="}', {
      authorization: 'Bearer t',
      'Grpc-Metadata-Token': 'u',
      accept: 'text/html',
    });
    const [caller] = callers;
    expect(caller?.metadata('authorization')).toBe('Bearer t');
    expect(caller?.metadata('token')).toBe('u');
    expect(caller?.metadata('grpcgateway-accept')).toBe('text/html');
    expect(caller?.metadata('accept')).toBe(null);
    leader = null;
    const answer = await post('/v3/kv/range', '{"key":"YQ=="}', {
      'grpc-metadata-hasleader': 'true',
    });
    expect(answer.status).toBe(503);
  });
});

describe('a stream of requests and answers', () => {
  it('sends each answer as a line in a chunk of its own', async () => {
    const open = new Raw(chunked('/v3/watch') + chunk(CREATE));
    await until(() => streams[0]?.requests.length === 1);
    expect(open.received).toBe('');
    stream().output.send(line(1));
    stream().output.send(line(2));
    const text = (id: number): string => `{"result":{"watch_id":"${id}","created":true}}\n`;
    await open.until(chunk(text(1)) + chunk(text(2)));
    expect(open.received).toMatch(/^HTTP\/1.1 200 OK\r\n/);
    open.socket.destroy();
  });

  it('takes values however the body is cut, and answers on after its end', async () => {
    const open = new Raw(chunked('/v3/watch'));
    const body = `${CREATE}\n {}{"cancel_request":{"watch_id":"3"}}`;
    for (const character of body) open.socket.write(chunk(character));
    await until(() => streams[0]?.requests.length === 3);
    expect(stream().requests.map(({ requestUnion }) => requestUnion?.case)).toEqual([
      'createRequest',
      undefined,
      'cancelRequest',
    ]);
    open.socket.write(chunk(''));
    await until(() => stream().halfClosed);
    stream().output.send(line(5));
    await open.until('"watch_id":"5"');
    expect(stream().closed).toBe(0);
    open.socket.destroy();
    await until(() => stream().closed === 1);
  });

  it('hears nothing more after a value that is no request', async () => {
    const open = new Raw(chunked('/v3/watch') + chunk(`${CREATE}{"create_request":5}${CREATE}`));
    await until(() => streams[0]?.halfClosed === true);
    open.socket.write(chunk(CREATE));
    stream().output.send(line(6));
    await open.until('"watch_id":"6"');
    expect(stream().requests).toHaveLength(1);
    open.socket.destroy();
  });

  it('closes its input once when the client leaves, even behind another answer', async () => {
    const hang = plain('/v3/kv/put', '{"key":"aGFuZw=="}');
    const open = new Raw(hang + chunked('/v3/watch') + chunk(CREATE));
    await until(() => streams[0]?.requests.length === 1);
    open.socket.destroy();
    await until(() => stream().closed === 1);
    stream().output.send(line(1));
    stream().output.end(null);
    expect(stream().closed).toBe(1);
    expect(fatal).toEqual([]);
  });

  it('says an error as its last line, or with a status before the first', async () => {
    const open = new Raw(chunked('/v3/watch'));
    await until(() => streams.length === 1);
    stream().output.send(line(1));
    stream().output.end(errors.noLeader);
    const error =
      '{"error":{"code":14,"message":"etcdserver: no leader","grpc_code":14,"http_code":503}}\n';
    await open.until(`${chunk(error)}0\r\n\r\n`);
    expect(stream().closed).toBe(1);
    leader = null;
    const refused = await post('/v3/watch', CREATE, { 'grpc-metadata-hasleader': 'true' });
    expect(refused.status).toBe(503);
    expect(refused.body).toBe(error);
    open.socket.destroy();
  });

  it('ends at its deadline', async () => {
    const answered = post('/v3/watch', CREATE, { 'grpc-timeout': '20m' });
    await until(() => streams[0]?.halfClosed === true);
    gateway.tick(nowMs + 20);
    const answer = await answered;
    expect(answer.status).toBe(504);
    expect(answer.body).toContain('context deadline exceeded');
    expect(stream().closed).toBe(1);
  });

  it('sends all answers to one request', async () => {
    const answer = await post('/v3/maintenance/snapshot', '');
    expect(answer.status).toBe(200);
    expect(answer.body).toBe(
      '{"result":{"remaining_bytes":"1","blob":"YWI="}}\n{"result":{"blob":"YWI="}}\n',
    );
    const bad = await post('/v3/maintenance/snapshot', '{x');
    expect(JSON.parse(bad.body)).toMatchObject({
      message: "invalid character 'x' looking for beginning of object key string",
    });
  });
});

describe('an upgrade', () => {
  const upgrade = (method: string, path: string, to: string, more: string): string =>
    `${method} ${path} HTTP/1.1\r\n${HEAD}Connection: Upgrade, HTTP2-Settings\r\n` +
    `Upgrade: ${to}\r\n${more}`;
  const KEY = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';

  it('that is not taken leaves the request as it is', async () => {
    const body = 'Content-Length: 14\r\nHTTP2-Settings: AAMA\r\n\r\n{"key":"YWI="}';
    const open = new Raw(upgrade('POST', '/v3/kv/range', 'h2c', body));
    await open.until('"count":"2"');
    open.socket.write(plain('/v3/kv/range', '{"key":"YWJj"}'));
    await open.until('"count":"3"');
    const unary = new Raw(upgrade('GET', '/v3/kv/range', 'websocket', `${KEY}\r\n`));
    await unary.until('Method Not Allowed');
    for (const { socket } of [open, unary]) socket.destroy();
  });

  it('to WebSocket opens a stream, which ends with the connection', async () => {
    const open = new Raw(
      upgrade('GET', '/v3/watch', 'websocket', `${KEY}Sec-WebSocket-Protocol: Bearer, t\r\n\r\n`),
    );
    await until(() => streams.length === 1);
    open.socket.write(Buffer.from([0x81, 0x83, 0, 0, 0, 0, 0x7b, 0x7d, 0x20]));
    await until(() => stream().requests.length === 1);
    stream().output.send(line(4));
    await open.until('{"result":{"watch_id":"4","created":true}}');
    open.socket.destroy();
    await until(() => stream().closed === 1);
  });
});

describe('what is no call', () => {
  it('is told what is wrong', async () => {
    const unknown = await post('/v3/nosuch', '{}');
    expect([unknown.status, JSON.parse(unknown.body).message]).toEqual([404, 'Not Found']);
    const verb = await call('GET', '/v3/kv/range');
    expect([verb.status, JSON.parse(verb.body).message]).toEqual([501, 'Method Not Allowed']);
    const head = await call('HEAD', '/v3/kv/range');
    expect([head.status, head.body]).toEqual([501, '']);
    const wrong = await post('/version', '');
    expect([wrong.status, wrong.body, wrong.headers['allow']]).toEqual([
      405,
      'Method Not Allowed\n',
      'GET',
    ]);
    const nothing = await call('GET', '/nosuch');
    expect([nothing.status, nothing.body]).toEqual([404, '404 page not found\n']);
    const moved = await call('GET', '/v3?a=b');
    expect([moved.status, moved.headers['location']]).toEqual([307, '/v3/?a=b']);
    const ill = await call('GET', '/health');
    expect([ill.status, ill.headers['x-content-type-options']]).toEqual([503, 'nosniff']);
  });

  it('answers OPTIONS and names the origins it trusts', async () => {
    const known = await call('OPTIONS', '/anything', '', { origin: 'http://known' });
    expect(known.status).toBe(200);
    expect(known.headers['content-length']).toBe('0');
    expect(known.headers['access-control-allow-origin']).toBe('http://known');
    const other = await call('GET', '/version', '', { origin: 'http://other' });
    expect(other.headers['access-control-allow-origin']).toBe(undefined);
    const refused = await call('GET', '/version', '', { host: 'evil:1' });
    expect(refused.status).toBe(421);
  });

  it('leaves idle connections open and takes long heads', async () => {
    expect([server.keepAliveTimeout, server.requestTimeout, server.timeout]).toEqual([0, 0, 0]);
    const answer = await call('GET', '/livez', '', { authorization: 'x'.repeat(200_000) });
    expect(answer.body).toBe('ok\n');
    const endless = await call('GET', '/livez', '', { authorization: 'x'.repeat(300_000) });
    expect(endless.status).toBe(431);
  });
});

it('tells clients with a name in their certificate that it does not count', async () => {
  certificateUser = 'alice';
  try {
    for (const path of ['/v3/kv/range', '/v3beta/kv/range']) {
      const { status, body } = await post(path, '{}');
      expect(status).toBe(400);
      expect(body).toBe(
        'CommonName of client sending a request against gateway will be ignored and ' +
          'not used as expected\n',
      );
    }
    expect((await call('GET', '/version')).status).toBe(200);
  } finally {
    certificateUser = '';
  }
});
