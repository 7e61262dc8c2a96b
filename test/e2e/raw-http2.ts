// gRPC calls with bodies no gRPC library would send: node:http2 carries the frames, the body is the
// caller's. The outcome is read from trailers, or from the headers of a trailers-only answer.
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2';

const ANSWER_MS_MAX = 10_000;

export interface RawCall {
  readonly path: string;
  readonly body: Buffer;
  /** Whether the request ends after the body; a stream that stays open must be answered too. */
  readonly end?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A gRPC frame; the flag and the length may be lies. */
export function grpcFrame(message: Buffer, flag = 0, length = message.length): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

/** Answers `<http status> <grpc-status> <grpc-message>`, or what broke instead. */
export function rawCall(port: number, call: RawCall): Promise<string> {
  return new Promise((resolve) => {
    const session = connect(`http://127.0.0.1:${port}`);
    const seen: IncomingHttpHeaders = {};
    const done = (outcome: string) => {
      clearTimeout(timer);
      session.destroy();
      resolve(outcome);
    };
    const timer = setTimeout(() => done('no answer'), ANSWER_MS_MAX);
    session.on('error', (error) => done(`session: ${error.message}`));
    const stream = session.request({
      ':method': 'POST',
      ':path': call.path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...call.headers,
    });
    stream.on('response', (headers) => Object.assign(seen, headers));
    stream.on('trailers', (trailers) => Object.assign(seen, trailers));
    stream.on('error', (error) => done(`stream: ${error.message}`));
    stream.on('close', () => done(outcomeOf(seen)));
    stream.resume();
    stream.write(call.body);
    if (call.end !== false) stream.end();
  });
}

/** A client that speaks HTTP/2 and does nothing with it. */
export async function idleSession(port: number): Promise<ClientHttp2Session> {
  const session = connect(`http://127.0.0.1:${port}`);
  await new Promise<void>((resolve, reject) => {
    session.once('error', reject);
    session.once('remoteSettings', () => resolve());
  });
  session.on('error', () => undefined); // Torn down on purpose later.
  return session;
}

function outcomeOf(seen: IncomingHttpHeaders): string {
  const message = decodeURIComponent(String(seen['grpc-message'] ?? ''));
  // etcd: protobuf-go writes a plain or a no-break space after its prefix, by build.
  return `${seen[':status']} ${seen['grpc-status']} ${message.replace(/\u00a0/g, ' ')}`.trim();
}
