// Real clients over loopback: grpc-js as an application uses it, node:http2 for its own HPACK.
import { connect as connectHttp2 } from 'node:http2';
import { type AddressInfo, createServer, type Server } from 'node:net';
import {
  Client,
  credentials,
  Metadata,
  type ServiceError,
  type StatusObject,
  status,
} from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Code } from '../../errors.ts';
import { type Http2Connection, serveHttp2 } from './connection.ts';
import { CLIENT_PREFACE } from './frames.ts';
import type { GrpcCall } from './grpc-call.ts';

const MIB = 1024 * 1024;
const connections = new Set<Http2Connection>();
const cancelledPaths: string[] = [];
let server: Server;
let client: Client;
let port = 0;

const handlers: Readonly<Record<string, (call: GrpcCall) => void>> = {
  '/test/Echo': (call) => {
    call.onMessage = (message) => call.reply(message);
  },
  '/test/Later': (call) => {
    call.onMessage = (message) => setImmediate(() => call.reply(message));
  },
  '/test/Count': (call) => {
    call.onMessage = (message) => {
      const total = Number(Buffer.from(message).toString());
      let sent = 0;
      const more = (): void => {
        while (sent < total) if (!call.send(Buffer.alloc(10_000, sent++ % 256))) return;
        call.end(Code.OK, '');
      };
      call.onDrain = more;
      more();
    };
  },
  '/test/Bidi': (call) => {
    call.onMessage = (message) => call.send(message);
    call.onHalfClose = () => call.end(Code.OK, '');
  },
  '/test/Fail': (call) => call.end(Code.FAILED_PRECONDITION, 'schön ✓ 100%\n'),
  '/test/Metadata': (call) => {
    call.onMessage = () => {
      const values = ['plain', 'every', 'data-bin'].map((name) => call.metadata.get(name) ?? '');
      call.reply(Buffer.from(JSON.stringify(values)));
    };
  },
  '/test/Hang': () => {},
};

beforeAll(async () => {
  server = createServer({ noDelay: true }, (socket) => {
    socket.once('data', (head: Buffer) => {
      expect(head.subarray(0, CLIENT_PREFACE.length)).toEqual(CLIENT_PREFACE);
      connections.add(serveHttp2(socket, options, head));
    });
  });
  const options = {
    onCall: (call: GrpcCall) => {
      call.onCancel = () => cancelledPaths.push(call.path);
      handlers[call.path]?.(call);
    },
    onClose: (connection: Http2Connection) => connections.delete(connection),
    monotonic: () => performance.now(),
    messageBytesMax: 8 * MIB,
    maxConcurrentStreams: 1000,
    headerBytesMax: 16_384,
    callBufferedBytesMax: MIB,
    keepalive: { minTimeMs: 5000, intervalMs: 0, timeoutMs: 0 },
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ({ port } = server.address() as AddressInfo);
  client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': -1,
    'grpc.max_send_message_length': -1,
  });
});

afterAll(async () => {
  client.close();
  for (const connection of connections) connection.destroy();
  await new Promise((resolve) => server.close(resolve));
});

const same = (bytes: Buffer): Buffer => bytes;

function unary(
  path: string,
  request: Buffer,
  { metadata = new Metadata(), deadlineMs = 20_000 } = {},
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const callOptions = { deadline: Date.now() + deadlineMs };
    client.makeUnaryRequest(path, same, same, request, metadata, callOptions, (error, value) => {
      if (error !== null) reject(error);
      else resolve(value ?? Buffer.alloc(0));
    });
  });
}

async function failure(call: Promise<Buffer>): Promise<ServiceError> {
  try {
    await call;
  } catch (error) {
    return error as ServiceError;
  }
  throw new Error('the call succeeds');
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

describe('grpc-js', () => {
  it('calls a unary method, often and at once', async () => {
    const sent = Array.from({ length: 500 }, (_, i) => Buffer.from(`message ${i}`));
    const paths = ['/test/Echo', '/test/Later'];
    const answers = await Promise.all(sent.map((m, i) => unary(paths[i % 2] ?? '', m)));
    expect(answers).toEqual(sent);
  });

  it.each(['/test/Echo', '/test/Later'])('sends and gets 4 MiB through %s', async (path) => {
    const large = Buffer.alloc(4 * MIB);
    for (let i = 0; i < large.length; i += 997) large[i] = i % 251;
    const answer = await unary(path, large);
    expect(answer.equals(large)).toBe(true);
  });

  it('gets a stream that is larger than every buffer', async () => {
    const total = 2000;
    const call = client.makeServerStreamRequest('/test/Count', same, same, Buffer.from('2000'));
    let got = 0;
    for await (const message of call) {
      expect((message as Buffer)[0]).toBe(got % 256);
      got++;
    }
    expect(got).toBe(total);
  });

  it('talks in both directions', async () => {
    const call = client.makeBidiStreamRequest('/test/Bidi', same, same);
    const got: string[] = [];
    const ended = new Promise<StatusObject>((resolve) => call.on('status', resolve));
    call.on('data', (message: Buffer) => {
      got.push(message.toString());
      if (got.length < 5) call.write(Buffer.from(`m${got.length}`));
      else call.end();
    });
    call.write(Buffer.from('m0'));
    expect((await ended).code).toBe(status.OK);
    expect(got).toEqual(['m0', 'm1', 'm2', 'm3', 'm4']);
  });

  it('cancels', async () => {
    const call = client.makeBidiStreamRequest('/test/Hang', same, same);
    const ended = new Promise<ServiceError>((resolve) => call.on('error', resolve));
    call.write(Buffer.from('x'));
    await unary('/test/Echo', Buffer.from('x'));
    cancelledPaths.length = 0;
    call.cancel();
    expect((await ended).code).toBe(status.CANCELLED);
    await until(() => cancelledPaths.length > 0);
    expect(cancelledPaths).toEqual(['/test/Hang']);
  });

  it('has deadlines', async () => {
    const error = await failure(unary('/test/Hang', Buffer.from('x'), { deadlineMs: 50 }));
    expect(error.code).toBe(status.DEADLINE_EXCEEDED);
  });

  it('reads the texts of errors', async () => {
    const error = await failure(unary('/test/Fail', Buffer.from('x')));
    expect([error.code, error.details]).toEqual([status.FAILED_PRECONDITION, 'schön ✓ 100%\n']);
  });

  it('sends metadata', async () => {
    const metadata = new Metadata();
    const every = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i)).join('');
    metadata.set('plain', 'value');
    metadata.set('every', every);
    metadata.set('data-bin', Buffer.from([0, 1, 255, 254]));
    const answer = await unary('/test/Metadata', Buffer.from('x'), { metadata });
    expect(JSON.parse(answer.toString())).toEqual(['value', every, '\x00\x01\xff\xfe']);
  });

  it('is told when a message is too large', async () => {
    const error = await failure(unary('/test/Echo', Buffer.alloc(8 * MIB + 1)));
    expect([error.code, error.details]).toEqual([
      status.RESOURCE_EXHAUSTED,
      `grpc: received message larger than max (${8 * MIB + 1} vs. ${8 * MIB})`,
    ]);
  });

  it('leaves nothing behind', async () => {
    await until(() => [...connections].every((connection) => connection.streamCount === 0));
  });
});

describe('node:http2', () => {
  it('may do without a header table and with small windows', async () => {
    const session = connectHttp2(`http://127.0.0.1:${port}`, {
      settings: { headerTableSize: 0, initialWindowSize: 7, maxFrameSize: 20_000 },
    });
    const answers: string[] = [];
    for (const path of ['/test/Echo', '/test/Fail', '/test/Echo']) {
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc+proto',
      });
      const headers = new Promise<string>((resolve) =>
        stream.on('response', (h) => resolve(`${h['content-type']} ${h['grpc-status'] ?? ''}`)),
      );
      const trailers = new Promise<string>((resolve) => {
        stream.on('trailers', (t) => resolve(String(t['grpc-status'])));
        stream.on('end', () => resolve('none'));
      });
      const body: Buffer[] = [];
      stream.on('data', (part: Buffer) => body.push(part));
      stream.end(Buffer.from('\0\0\0\0\x14twenty bytes of text', 'latin1'));
      answers.push(await headers, await trailers, Buffer.concat(body).toString('latin1'));
    }
    const echoed = ['application/grpc+proto ', '0', '\0\0\0\0\x14twenty bytes of text'];
    expect(answers).toEqual([...echoed, 'application/grpc+proto 9', 'none', '', ...echoed]);
    session.close();
  });

  it('is told to leave and finishes its calls', async () => {
    const known = new Set(connections);
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/test/Bidi',
      'content-type': 'application/grpc',
    });
    stream.resume();
    stream.write(Buffer.from('\0\0\0\0\0', 'latin1'));
    await new Promise((resolve) => stream.once('response', resolve));
    const closed = new Promise((resolve) => session.once('close', resolve));
    const status = new Promise((resolve) =>
      stream.once('trailers', (t) => resolve(t['grpc-status'])),
    );
    for (const connection of connections) if (!known.has(connection)) connection.goaway();
    await new Promise((resolve) => session.once('goaway', resolve));
    stream.end();
    expect(await status).toBe('0');
    await closed;
  });
});
