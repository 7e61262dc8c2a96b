import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import protobuf from 'protobufjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Etcd, startEtcd } from '../index.ts';

/** The part of OpenTelemetry's schema that is looked at. */
const { root } = protobuf.parse(`
  syntax = "proto3";
  message Request { repeated ResourceSpans resource_spans = 1; }
  message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
  message Resource { repeated KeyValue attributes = 1; }
  message ScopeSpans { Scope scope = 1; repeated Span spans = 2; }
  message Scope { string name = 1; string version = 2; }
  message KeyValue { string key = 1; Value value = 2; }
  message Value { oneof value { string s = 1; bool b = 2; int64 i = 3; } }
  message Event { fixed64 time = 1; string name = 2; }
  message Status { string message = 2; int32 code = 3; }
  message Span {
    bytes trace_id = 1; bytes span_id = 2; bytes parent_span_id = 4; string name = 5;
    int32 kind = 6; fixed64 start = 7; fixed64 end = 8; repeated KeyValue attributes = 9;
    repeated Event events = 11; Status status = 15; fixed32 flags = 16;
  }
`);

interface SeenSpan {
  readonly scope: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: number;
  readonly flags: number;
  readonly start: string;
  readonly end: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: readonly string[];
  readonly status: { readonly code?: number; readonly message?: string };
}

let collector: Http2Server;
let spans: SeenSpan[];
let resource: Readonly<Record<string, unknown>>;
let grpcStatus: string;
let etcd: Etcd;

beforeEach(async () => {
  spans = [];
  resource = {};
  grpcStatus = '0';
  collector = createServer();
  collector.on('stream', take);
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  await start(1_000_000);
});

afterEach(async () => {
  await etcd.close();
  await new Promise((resolve) => collector.close(resolve));
});

async function start(rate: number): Promise<void> {
  const { port } = collector.address() as AddressInfo;
  etcd = await startEtcd({
    memory: true,
    enableDistributedTracing: true,
    distributedTracingAddress: `127.0.0.1:${port}`,
    distributedTracingInstanceId: 'here',
    distributedTracingSamplingRate: rate,
  });
}

function take(stream: ServerHttp2Stream): void {
  const parts: Buffer[] = [];
  stream.on('data', (part: Buffer) => parts.push(part));
  stream.on('end', () => {
    note(Buffer.concat(parts).subarray(5));
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc' },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': grpcStatus }));
    stream.end(Buffer.alloc(5));
  });
}

interface Encoded {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

function attributesOf(list: readonly Encoded[] = []): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    list.map(({ key, value }) => [key, value['s'] ?? value['b'] ?? value['i']]),
  );
}

interface DecodedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly attributes?: readonly Encoded[];
  readonly events?: readonly { readonly name: string }[];
}

interface Decoded {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Encoded[] };
    readonly scopeSpans: readonly {
      readonly scope: { readonly name: string };
      readonly spans: readonly (Omit<SeenSpan, keyof DecodedSpan | 'scope'> & DecodedSpan)[];
    }[];
  }[];
}

function note(bytes: Uint8Array): void {
  const type = root.lookupType('Request');
  const hex = (value = ''): string => Buffer.from(value, 'base64').toString('hex');
  const message = type.toObject(type.decode(bytes), { longs: String, bytes: String }) as Decoded;
  for (const group of message.resourceSpans) {
    resource = attributesOf(group.resource.attributes);
    for (const { scope, spans: own } of group.scopeSpans) {
      for (const span of own) {
        spans.push({
          ...span,
          scope: scope.name,
          traceId: hex(span.traceId),
          spanId: hex(span.spanId),
          parentSpanId: hex(span.parentSpanId),
          attributes: attributesOf(span.attributes),
          events: (span.events ?? []).map(({ name }) => name),
        });
      }
    }
  }
}

function post(path: string, body: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${etcd.clientUrls[0]}/v3/${path}`, { method: 'POST', body, headers });
}

const named = (name: string): SeenSpan => {
  const [span, ...others] = spans.filter((one) => one.name === name);
  if (span === undefined || others.length > 0) throw new Error(`not one ${name}: ${spans.length}`);
  return span;
};

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331';

// What is expected here is what etcd 3.7.1 exported for the same requests.
describe('a member with tracing', () => {
  it('exports each call and the work below it', async () => {
    await post('kv/put', '{"key":"YQ==","value":"Yg=="}');
    await etcd.close();
    expect(resource).toEqual({ 'service.name': 'etcd', 'service.instance.id': 'here' });
    expect(spans).toHaveLength(2);
    const [call, work] = [named('etcdserverpb.KV/Put'), named('put')];
    expect(call).toMatchObject({
      scope: 'go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc',
      kind: 2,
      flags: 0x301,
      parentSpanId: '',
      attributes: {
        'rpc.method': 'etcdserverpb.KV/Put',
        'rpc.system.name': 'grpc',
        'rpc.response.status_code': 'OK',
      },
      status: {},
    });
    expect(work).toMatchObject({
      scope: 'go.etcd.io/etcd',
      kind: 1,
      flags: 0x101,
      traceId: call.traceId,
      parentSpanId: call.spanId,
      attributes: { key: 'a' },
      events: ['Send raft proposal', 'Receive raft result'],
    });
    expect(BigInt(work.end) >= BigInt(work.start)).toBe(true);
    expect(BigInt(work.start) >= BigInt(call.start)).toBe(true);
  });

  it('goes on with the trace of its caller, who decides whether it is sampled', async () => {
    await post('kv/range', '{"key":"YQ=="}', { 'Grpc-Metadata-traceparent': `${PARENT}-01` });
    await post('kv/range', '{"key":"YQ=="}', { 'Grpc-Metadata-traceparent': `${PARENT}-00` });
    await etcd.close();
    expect(named('etcdserverpb.KV/Range')).toMatchObject({
      traceId: '0af7651916cd43dd8448eb211c80319c',
      parentSpanId: 'b7ad6b7169203331',
    });
    expect(named('range').attributes).toEqual({
      range_begin: 'a',
      range_end: '',
      rev: '0',
      limit: '0',
      count_only: false,
      keys_only: false,
    });
  });

  it('tells how a call failed, as an error where it is the member that failed', async () => {
    await post('kv/range', '{}');
    await post('kv/compaction', '{"revision":99,"physical":true}');
    const asked = '{"requests":[]}';
    await post('auth/user/get', asked);
    await etcd.close();
    const range = named('etcdserverpb.KV/Range');
    expect(range.attributes['rpc.response.status_code']).toBe('INVALID_ARGUMENT');
    expect(range.status).toEqual({});
    expect(named('etcdserverpb.KV/Compact').attributes['rpc.response.status_code']).toBe(
      'OUT_OF_RANGE',
    );
    expect(named('compact').attributes).toEqual({ is_physical: true, rev: '99' });
  });

  it('describes transactions and streams', async () => {
    const ops = '[{"request_put":{"key":"YQ==","lease":"0"}},{"request_range":{"key":"Yg=="}}]';
    await post('kv/txn', `{"compare":[{"key":"Yw=="}],"success":${ops}}`);
    await post('lease/grant', '{"TTL":100,"ID":77}');
    await post('lease/keepalive', '{"ID":77}');
    await etcd.close();
    expect(named('txn').attributes).toEqual({
      compare_first_key: 'c',
      success_first_key: 'a',
      success_first_type: 'put',
      success_first_lease: '0',
      compare_len: '1',
      success_len: '2',
      failure_len: '0',
      read_only: false,
    });
    expect(named('lease_grant').attributes).toEqual({ id: '77', ttl: '100' });
    expect(named('lease_renew').attributes).toEqual({ id: '77' });
  });

  it('exports nothing at a rate of 0', async () => {
    await etcd.close();
    spans = [];
    await start(0);
    await post('kv/put', '{"key":"YQ==","value":"Yg=="}');
    await etcd.close();
    expect(spans).toEqual([]);
  });

  it('answers and ends while the collector refuses', async () => {
    grpcStatus = '8';
    const { status } = await post('kv/put', '{"key":"YQ==","value":"Yg=="}');
    expect(status).toBe(200);
    await etcd.close();
  });
});
