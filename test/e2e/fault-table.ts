// Broken gRPC requests and the exact answers of etcd 3.7.1 (grpc-go 1.8x, protobuf-go), as recorded
// from it. A client library that reports these texts must see the same from this server.
import { grpcFrame, type RawCall } from './raw-http2.ts';

export interface Fault extends RawCall {
  readonly name: string;
  /** HTTP status, gRPC code and text. */
  readonly answer: string;
}

const RANGE = '/etcdserverpb.KV/Range';
const TXN = '/etcdserverpb.KV/Txn';
const WATCH = '/etcdserverpb.Watch/Watch';
const KEEP_ALIVE = '/etcdserverpb.Lease/LeaseKeepAlive';
const ROLE_ADD = '/etcdserverpb.Auth/RoleAdd';
const GOOD = grpcFrame(hex('0a0161'));

const UNPARSABLE =
  '200 13 grpc: error unmarshalling request: proto: cannot parse invalid wire-format data';
const UNPARSABLE_STREAM =
  '200 13 grpc: failed to unmarshal the received message: ' +
  'proto: cannot parse invalid wire-format data';
const NOT_UTF8 = '200 13 grpc: error unmarshalling request: string field contains invalid UTF-8';
const TOO_DEEP =
  '200 13 grpc: error unmarshalling request: proto: exceeded maximum recursion depth';

const MESSAGES: readonly Fault[] = [
  { name: 'field longer than the message', body: frameOf('0a0561'), answer: UNPARSABLE },
  { name: 'tag without end', body: frameOf('ff'), answer: UNPARSABLE },
  { name: 'field number 0', body: frameOf('0000'), answer: UNPARSABLE },
  { name: 'wire type 6', body: frameOf('0e'), answer: UNPARSABLE },
  { name: 'wire type 7', body: frameOf('0f'), answer: UNPARSABLE },
  { name: 'group without end', body: frameOf('0a01619b06'), answer: UNPARSABLE },
  { name: 'group, unknown but whole', body: frameOf('0a01619b069c06'), answer: '200 0' },
  { name: 'end of no group', body: frameOf('9c06'), answer: UNPARSABLE },
  { name: 'varint of 11 bytes', body: frameOf('18ffffffffffffffffffff01'), answer: UNPARSABLE },
  { name: 'length above int32', body: frameOf('0affffffff0f'), answer: UNPARSABLE },
  {
    name: 'key as a varint is an unknown field',
    body: frameOf('0805'),
    answer: '200 3 etcdserver: key is not provided',
  },
  { name: 'limit as bytes is an unknown field', body: frameOf('0a01611a0178'), answer: '200 0' },
  {
    name: 'limit as fixed64 is an unknown field',
    body: frameOf('0a0161190100000000000000'),
    answer: '200 0',
  },
].map((fault) => ({ path: RANGE, ...fault }));

const FRAMES: readonly Fault[] = [
  { name: 'frame cut short', body: hex('00000000100a0161'), answer: '200 2 unexpected EOF' },
  { name: 'frame header cut short', body: hex('0000'), answer: '200 2 EOF' },
  { name: 'no frame', body: Buffer.alloc(0), answer: '200 2 EOF' },
  { name: 'a second message is ignored', body: Buffer.concat([GOOD, GOOD]), answer: '200 0' },
  {
    name: 'compressed without encoding',
    body: grpcFrame(hex('0a0161'), 1),
    answer: '200 13 grpc: compressed flag set with identity or empty encoding',
  },
  {
    name: 'unknown payload format',
    body: grpcFrame(hex('0a0161'), 2),
    answer: '200 13 grpc: received unexpected payload format 2',
  },
  {
    name: 'unknown compression',
    body: GOOD,
    headers: { 'grpc-encoding': 'snappy' },
    answer: '200 12 grpc: Decompressor is not installed for grpc-encoding "snappy"',
  },
  {
    name: 'one byte too large',
    body: hex('0000200001'),
    end: false,
    answer: '200 8 grpc: received message larger than max (2097153 vs. 2097152)',
  },
  { name: 'largest, cut short', body: hex('0000200000ff'), answer: '200 2 unexpected EOF' },
  {
    name: 'length of 4 GiB',
    body: hex('00ffffffff'),
    end: false,
    answer: '200 8 grpc: received message larger than max (4294967295 vs. 2097152)',
  },
].map((fault) => ({ path: RANGE, ...fault }));

const PATHS: readonly Fault[] = [
  {
    name: 'unknown method',
    path: '/etcdserverpb.KV/Nope',
    body: GOOD,
    answer: '200 12 unknown method Nope for service etcdserverpb.KV',
  },
  {
    name: 'empty method',
    path: '/etcdserverpb.KV/',
    body: GOOD,
    answer: '200 12 unknown method  for service etcdserverpb.KV',
  },
  {
    name: 'unknown service',
    path: '/nope.KV/Range',
    body: GOOD,
    answer: '200 12 unknown service nope.KV',
  },
  {
    name: 'no method',
    path: '/foo',
    body: GOOD,
    answer: '200 12 malformed method name: "/foo"',
  },
  { name: 'root path', path: '/', body: GOOD, answer: '200 12 malformed method name: "/"' },
];

const HEADERS: readonly Fault[] = [
  {
    name: 'content type json',
    headers: { 'content-type': 'application/json' },
    answer: '415 3 invalid gRPC request content-type "application/json"',
  },
  {
    name: 'content type grpc-web',
    headers: { 'content-type': 'application/grpc-web' },
    answer: '415 3 invalid gRPC request content-type "application/grpc-web"',
  },
  {
    name: 'content type with a suffix',
    headers: { 'content-type': 'application/grpc+proto' },
    answer: '200 0',
  },
  {
    name: 'other verb',
    headers: { ':method': 'PUT' },
    answer: '405 13 Received a HEADERS frame with :method "PUT" which should be POST',
  },
  {
    name: 'bad timeout',
    headers: { 'grpc-timeout': 'x' },
    answer: '400 13 malformed grpc-timeout: transport: timeout string is too short: "x"',
  },
  {
    name: 'timeout of nothing',
    headers: { 'grpc-timeout': '0S' },
    answer: '200 4 context deadline exceeded',
  },
  {
    name: 'timeout of a nanosecond',
    headers: { 'grpc-timeout': '1n' },
    answer: '200 4 context deadline exceeded',
  },
  {
    name: 'bad binary metadata',
    headers: { 'x-bin': '***' },
    answer:
      '400 13 malformed binary metadata "***" in header "x-bin": ' +
      'illegal base64 data at input byte 0',
  },
  {
    name: 'client version that is not UTF-8',
    headers: { 'client-api-version': '\xff\xfe' },
    answer: '200 3 etcdserver: invalid client api version',
  },
].map((fault) => ({ path: RANGE, body: GOOD, ...fault }) as Fault);

const STREAMS: readonly Fault[] = [
  { name: 'watch, unparsable', path: WATCH, body: frameOf('0a0561'), answer: UNPARSABLE_STREAM },
  {
    name: 'watch, unparsable after a good request',
    path: WATCH,
    body: Buffer.concat([frameOf('0a030a0161'), frameOf('ff')]),
    answer: UNPARSABLE_STREAM,
  },
  {
    name: 'watch, frame cut short',
    path: WATCH,
    body: Buffer.concat([frameOf('0a030a0161'), hex('0000000010')]),
    end: true,
    answer: '200 13 unexpected EOF',
  },
  {
    name: 'watch, too large',
    path: WATCH,
    body: hex('0000300000'),
    answer: '200 8 grpc: received message larger than max (3145728 vs. 2097152)',
  },
  {
    name: 'keepalive, unparsable',
    path: KEEP_ALIVE,
    body: frameOf('ff'),
    answer: UNPARSABLE_STREAM,
  },
  {
    name: 'keepalive, cut short',
    path: KEEP_ALIVE,
    body: hex('0000000010ff'),
    end: true,
    answer: '200 13 unexpected EOF',
  },
  { name: 'keepalive, empty', path: KEEP_ALIVE, body: hex(''), end: true, answer: '200 0' },
  {
    name: 'snapshot, unparsable',
    path: '/etcdserverpb.Maintenance/Snapshot',
    body: frameOf('ff'),
    answer: UNPARSABLE_STREAM,
  },
  {
    name: 'range stream with two requests',
    path: '/etcdserverpb.KV/RangeStream',
    body: Buffer.concat([GOOD, GOOD]),
    end: true,
    answer:
      '200 13 cardinality violation: ' +
      'received multiple request messages for non-client-streaming RPC',
  },
  {
    name: 'range stream without a request',
    path: '/etcdserverpb.KV/RangeStream',
    body: hex(''),
    end: true,
    answer:
      '200 13 cardinality violation: received no request message from non-client-streaming RPC',
  },
].map((fault) => ({ end: false, ...fault }));

const STRINGS: readonly Fault[] = [
  { name: 'role name', path: ROLE_ADD, body: frameOf('0a03c328ff'), answer: NOT_UTF8 },
  {
    name: 'peer URL in a list',
    path: '/etcdserverpb.Cluster/MemberAdd',
    body: frameOf('0a03c328ff'),
    answer: NOT_UTF8,
  },
  {
    name: 'downgrade version',
    path: '/etcdserverpb.Maintenance/Downgrade',
    body: frameOf('1203c328ff'),
    answer: NOT_UTF8,
  },
].map((fault) => ({ ...fault, name: `invalid UTF-8: ${fault.name}` }));

const NESTING: readonly Fault[] = [
  { name: 'broken inside a txn', body: frameOf('12040a020aff'), answer: UNPARSABLE },
  {
    name: 'txn 200 deep',
    body: grpcFrame(nestedTxn(200)),
    answer: '200 3 etcdserver: too many operations in txn request',
  },
  { name: 'txn 6000 deep', body: grpcFrame(nestedTxn(6000)), answer: TOO_DEEP },
].map((fault) => ({ path: TXN, ...fault }));

const HEALTH: readonly Fault[] = [
  {
    name: 'health of an unknown service',
    path: '/grpc.health.v1.Health/Check',
    body: frameOf('0a0178'),
    answer: '200 5 unknown service',
  },
];

export const FAULTS: readonly Fault[] = [
  ...MESSAGES,
  ...FRAMES,
  ...PATHS,
  ...HEADERS,
  ...STREAMS,
  ...STRINGS,
  ...NESTING,
  ...HEALTH,
];

function frameOf(message: string): Buffer {
  return grpcFrame(hex(message));
}

function hex(text: string): Buffer {
  return Buffer.from(text, 'hex');
}

/** Transactions inside the success lists of transactions. */
function nestedTxn(depth: number): Buffer {
  let bytes = Buffer.alloc(0);
  for (let i = 0; i < depth; i++) {
    for (const tag of [0x22, 0x12]) {
      bytes = Buffer.concat([Buffer.from([tag]), varint(bytes.length), bytes]);
    }
  }
  return bytes;
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
