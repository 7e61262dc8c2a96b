/** Sends spans to an OpenTelemetry collector: one gRPC call at a time, over plain HTTP/2. */

import { type ClientHttp2Session, connect } from 'node:http2';

const PATH = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';

export interface SpanExporter {
  /** `request` is an encoded ExportTraceServiceRequest. Rejects when it was not taken in time. */
  export(request: Uint8Array): Promise<void>;
  close(): void;
}

/** `address` is host and port. Nothing is opened before the first export. */
export function createOtlpExporter(address: string, timeoutMs: number): SpanExporter {
  let session: ClientHttp2Session | null = null;
  const open = (): ClientHttp2Session => {
    if (session !== null && !session.closed && !session.destroyed) return session;
    const opened = connect(`http://${address}`);
    // What goes wrong with the connection is told by the call on it.
    opened.on('error', () => {});
    opened.on('close', () => {
      if (session === opened) session = null;
    });
    opened.unref();
    session = opened;
    return opened;
  };
  return {
    export: (request) => call(open(), request, timeoutMs),
    close() {
      session?.close();
      session = null;
    },
  };
}

function call(session: ClientHttp2Session, request: Uint8Array, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': PATH,
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-timeout': `${timeoutMs}m`,
    });
    let status: string | null = null;
    let message = '';
    const take = (headers: Readonly<Record<string, unknown>>): void => {
      if (headers['grpc-status'] !== undefined) status = String(headers['grpc-status']);
      if (headers['grpc-message'] !== undefined) message = String(headers['grpc-message']);
    };
    stream.setTimeout(timeoutMs, () => stream.destroy(new Error('context deadline exceeded')));
    stream.on('response', take);
    stream.on('trailers', take);
    stream.on('error', reject);
    stream.on('close', () => {
      if (status === '0') resolve();
      else reject(new Error(`status ${status ?? 'missing'} ${decodeURIComponent(message)}`.trim()));
    });
    stream.resume();
    const head = Buffer.alloc(5);
    head.writeUInt32BE(request.length, 1);
    stream.end(Buffer.concat([head, request]));
  });
}
