import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import {
  data,
  frame,
  grpcMessage,
  Http2Peer,
  headerBlock,
  REQUEST_FIELDS,
  request,
  settings,
  word,
} from '../../../test/support/http2-peer.ts';
import { Code } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { CLIENT_PREFACE, ErrorCode, Flag, FrameType, Setting } from './frames.ts';

const END_BOTH = Flag.END_HEADERS | Flag.END_STREAM;
const HELLO = Buffer.from('hello');

function zeros(bytes: number): Buffer {
  return Buffer.alloc(bytes);
}

const { PROTOCOL_ERROR, FRAME_SIZE_ERROR, FLOW_CONTROL_ERROR, COMPRESSION_ERROR } = ErrorCode;
const { ENHANCE_YOUR_CALM } = ErrorCode;

const half = frame(FrameType.HEADERS, 0, 1, headerBlock(REQUEST_FIELDS.slice(0, 2)));
const badBlock = frame(FrameType.HEADERS, Flag.END_HEADERS, 1, Buffer.from([0xff, 0xff]));
const padded = frame(FrameType.DATA, Flag.PADDED, 1, Buffer.from([9, 1]));

const VIOLATIONS: readonly [name: string, code: ErrorCode, ...frames: Buffer[]][] = [
  ['DATA without a stream', PROTOCOL_ERROR, data(0, HELLO)],
  ['DATA on an idle stream', PROTOCOL_ERROR, data(1, HELLO)],
  ['DATA padded beyond its end', PROTOCOL_ERROR, request(1), padded],
  ['HEADERS without a stream', PROTOCOL_ERROR, request(0)],
  ['HEADERS on an even stream', PROTOCOL_ERROR, request(2)],
  ['HEADERS on an older stream', PROTOCOL_ERROR, request(5, [], END_BOTH), request(3)],
  ['HEADERS shorter than priority', PROTOCOL_ERROR, frame(FrameType.HEADERS, 0x24, 1, zeros(2))],
  ['a malformed header block', COMPRESSION_ERROR, badBlock],
  ['a header block that is interrupted', PROTOCOL_ERROR, half, settings()],
  [
    'a header block continued for another stream',
    PROTOCOL_ERROR,
    half,
    frame(FrameType.CONTINUATION, 0, 3),
  ],
  ['CONTINUATION without HEADERS', PROTOCOL_ERROR, frame(FrameType.CONTINUATION, 0, 1)],
  [
    'too many CONTINUATIONs',
    ENHANCE_YOUR_CALM,
    half,
    ...new Array<Buffer>(limits.h2ContinuationsMax + 1).fill(frame(FrameType.CONTINUATION, 0, 1)),
  ],
  [
    'too large a header block',
    ENHANCE_YOUR_CALM,
    half,
    ...new Array<Buffer>(5).fill(frame(FrameType.CONTINUATION, 0, 1, zeros(16_000))),
  ],
  ['PRIORITY without a stream', PROTOCOL_ERROR, frame(FrameType.PRIORITY, 0, 0, zeros(5))],
  ['PRIORITY of a wrong length', FRAME_SIZE_ERROR, frame(FrameType.PRIORITY, 0, 1, zeros(4))],
  ['RST_STREAM on an idle stream', PROTOCOL_ERROR, frame(FrameType.RST_STREAM, 0, 1, word(8))],
  ['RST_STREAM without a stream', PROTOCOL_ERROR, frame(FrameType.RST_STREAM, 0, 0, word(8))],
  ['RST_STREAM of a wrong length', FRAME_SIZE_ERROR, frame(FrameType.RST_STREAM, 0, 1, zeros(3))],
  ['SETTINGS on a stream', PROTOCOL_ERROR, frame(FrameType.SETTINGS, 0, 1)],
  ['SETTINGS of a wrong length', FRAME_SIZE_ERROR, frame(FrameType.SETTINGS, 0, 0, zeros(7))],
  ['SETTINGS that acknowledge with a payload', FRAME_SIZE_ERROR, frame(4, Flag.ACK, 0, zeros(6))],
  ['ENABLE_PUSH of 2', PROTOCOL_ERROR, settings([Setting.ENABLE_PUSH, 2])],
  ['too large a window', FLOW_CONTROL_ERROR, settings([Setting.INITIAL_WINDOW_SIZE, 2 ** 31])],
  ['too small frames', PROTOCOL_ERROR, settings([Setting.MAX_FRAME_SIZE, 16_383])],
  ['too large frames', PROTOCOL_ERROR, settings([Setting.MAX_FRAME_SIZE, 2 ** 24])],
  ['PUSH_PROMISE', PROTOCOL_ERROR, frame(FrameType.PUSH_PROMISE, 0, 1, zeros(4))],
  ['PING on a stream', PROTOCOL_ERROR, frame(FrameType.PING, 0, 1, zeros(8))],
  ['PING of a wrong length', FRAME_SIZE_ERROR, frame(FrameType.PING, 0, 0, zeros(7))],
  ['GOAWAY on a stream', PROTOCOL_ERROR, frame(FrameType.GOAWAY, 0, 1, zeros(8))],
  ['GOAWAY of a wrong length', FRAME_SIZE_ERROR, frame(FrameType.GOAWAY, 0, 0, zeros(7))],
  ['WINDOW_UPDATE of a wrong length', FRAME_SIZE_ERROR, frame(FrameType.WINDOW_UPDATE, 0, 0)],
  ['WINDOW_UPDATE of 0', PROTOCOL_ERROR, frame(FrameType.WINDOW_UPDATE, 0, 0, word(0))],
  [
    'WINDOW_UPDATE on an idle stream',
    PROTOCOL_ERROR,
    frame(FrameType.WINDOW_UPDATE, 0, 1, word(1)),
  ],
  [
    'an overflow of the window',
    FLOW_CONTROL_ERROR,
    frame(FrameType.WINDOW_UPDATE, 0, 0, word(0x7fffffff)),
  ],
  [
    'an overflow of the windows of streams',
    FLOW_CONTROL_ERROR,
    request(1),
    frame(FrameType.WINDOW_UPDATE, 0, 1, word(100)),
    settings([Setting.INITIAL_WINDOW_SIZE, 0x7fffffff]),
  ],
  ['a frame larger than allowed', FRAME_SIZE_ERROR, frame(FrameType.DATA, 0, 1, zeros(16_385))],
];

describe('a connection ends with GOAWAY after', () => {
  it.each(VIOLATIONS)('%s', async (_, code, ...frames) => {
    let cancelled = 0;
    const peer = await Http2Peer.greeted((call) => {
      call.onCancel = () => cancelled++;
    });
    peer.send(...frames);
    expect((await peer.goaway()).code).toBe(code);
    await peer.until(() => peer.closed);
    expect(peer.connection.streamCount).toBe(0);
    expect(cancelled).toBe(peer.calls.length);
  });

  it.each([
    ['a bad preface', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
    ['no settings', Buffer.concat([CLIENT_PREFACE, request(1)])],
    ['only acknowledged settings', Buffer.concat([CLIENT_PREFACE, frame(4, Flag.ACK, 0)])],
  ])('%s', async (_, bytes) => {
    const peer = new Http2Peer();
    peer.send(bytes);
    expect((await peer.goaway()).code).toBe(PROTOCOL_ERROR);
    await peer.until(() => peer.closed);
    expect(peer.calls).toEqual([]);
  });

  it('more resets than a client needs', async () => {
    const peer = await Http2Peer.greeted();
    const count = limits.h2ResetsBurstMax + 1;
    for (let i = 0; i < count; i++) {
      const id = 2 * i + 1;
      peer.send(request(id), frame(FrameType.RST_STREAM, 0, id, word(ErrorCode.CANCEL)));
    }
    expect((await peer.goaway()).code).toBe(ENHANCE_YOUR_CALM);
    expect(peer.calls.length).toBeLessThan(count);
    expect(peer.calls.every((call) => call.cancelled)).toBe(true);
  });

  it('but not when they come over a longer time', async () => {
    const peer = await Http2Peer.greeted();
    for (let i = 0; i < limits.h2ResetsBurstMax * 2; i++) {
      const id = 2 * i + 1;
      peer.nowMs += 1;
      peer.send(request(id), frame(FrameType.RST_STREAM, 0, id, word(ErrorCode.CANCEL)));
    }
    await peer.settled();
    expect(peer.find(FrameType.GOAWAY, 0)).toBeUndefined();
  });
});

describe('a stream is reset after', () => {
  it.each([
    ['a header that belongs to HTTP/1.1', [['connection', 'close']], PROTOCOL_ERROR],
    ['a name in upper case', [['Token', 'x']], PROTOCOL_ERROR],
    ['a line feed in a value', [['token', 'a\nb']], PROTOCOL_ERROR],
    ['an unknown pseudo header', [[':token', 'x']], PROTOCOL_ERROR],
    [
      'more headers than allowed',
      new Array<[string, string]>(110).fill(['x', 'x'.repeat(126)]),
      FRAME_SIZE_ERROR,
    ],
  ] as [string, [string, string][], ErrorCode][])('%s', async (_, fields, code) => {
    const peer = await Http2Peer.greeted();
    peer.send(request(1, fields));
    expect(await peer.resetCode(1)).toBe(code);
    peer.send(request(3));
    await peer.until(() => peer.calls.length === 1);
    expect(peer.connection.streamCount).toBe(1);
  });

  it('a pseudo header among the others', async () => {
    const peer = await Http2Peer.greeted();
    const block = headerBlock([...REQUEST_FIELDS, [':scheme', 'http']]);
    peer.send(frame(FrameType.HEADERS, END_BOTH, 1, block));
    expect(await peer.resetCode(1)).toBe(PROTOCOL_ERROR);
  });

  it('a header bomb, which costs nothing', async () => {
    const peer = await Http2Peer.greeted();
    const value = Buffer.concat([
      Buffer.from('4001787fe01e', 'hex'),
      Buffer.alloc(127 + 3936, 'x'),
    ]);
    const bomb = Buffer.concat([value, Buffer.alloc(12_000, 0xbe)]);
    peer.send(frame(FrameType.HEADERS, END_BOTH, 1, bomb));
    expect(await peer.resetCode(1)).toBe(FRAME_SIZE_ERROR);
    expect(peer.calls).toEqual([]);
  });

  it('data after its end', async () => {
    const peer = await Http2Peer.greeted();
    peer.send(request(1, [], END_BOTH), data(1, HELLO));
    expect(await peer.resetCode(1)).toBe(ErrorCode.STREAM_CLOSED);
    expect(peer.calls[0]?.cancelled).toBe(true);
  });

  it('one too many at a time', async () => {
    const peer = await Http2Peer.greeted(undefined, { maxConcurrentStreams: 2 });
    peer.send(request(1), request(3), request(5));
    expect(await peer.resetCode(5)).toBe(ErrorCode.REFUSED_STREAM);
    peer.calls[0]?.end(Code.OK, '');
    await peer.settled();
    peer.send(request(7));
    await peer.until(() => peer.calls.length === 3);
  });

  it.each([0, 0x7fffffff])('a window update of %d', async (increment) => {
    const peer = await Http2Peer.greeted();
    peer.send(request(1), frame(FrameType.WINDOW_UPDATE, 0, 1, word(increment)));
    expect(await peer.resetCode(1)).toBe(increment === 0 ? PROTOCOL_ERROR : FLOW_CONTROL_ERROR);
    expect(peer.calls[0]?.cancelled).toBe(true);
  });
});

describe('a request is refused, in the words of grpc-go,', () => {
  it.each([
    [
      [['content-type', 'application/json']],
      415,
      Code.INVALID_ARGUMENT,
      'invalid gRPC request content-type "application/json"',
    ],
    [
      [[':method', 'GET']],
      405,
      Code.INTERNAL,
      'Received a HEADERS frame with :method "GET" which should be POST',
    ],
    [
      [['grpc-timeout', '12x']],
      400,
      Code.INTERNAL,
      'malformed grpc-timeout: transport: timeout unit is not recognized: "12x"',
    ],
    [
      [['grpc-timeout', '1']],
      400,
      Code.INTERNAL,
      'malformed grpc-timeout: transport: timeout string is too short: "1"',
    ],
    [
      [['grpc-timeout', '1234567890S']],
      400,
      Code.INTERNAL,
      'malformed grpc-timeout: transport: timeout string is too long: "1234567890S"',
    ],
    [
      [['grpc-timeout', 'x2S']],
      400,
      Code.INTERNAL,
      'malformed grpc-timeout: strconv.ParseUint: parsing "x2": invalid syntax',
    ],
    [[['grpc-timeout', '0S']], 200, Code.DEADLINE_EXCEEDED, 'context deadline exceeded'],
    [
      [['x-bin', '!!!']],
      400,
      Code.INTERNAL,
      'malformed binary metadata "!!!" in header "x-bin": illegal base64 data at input byte 0',
    ],
    [
      [['grpc-encoding', 'foo']],
      200,
      Code.UNIMPLEMENTED,
      'grpc: Decompressor is not installed for grpc-encoding "foo"',
    ],
  ] as [[string, string][], number, Code, string][])('%j', async (fields, status, code, text) => {
    const peer = await Http2Peer.greeted();
    peer.send(request(1, fields, END_BOTH));
    expect(peer.headers(await peer.frame(FrameType.HEADERS, 1, Flag.END_STREAM))).toEqual({
      ':status': String(status),
      'content-type': 'application/grpc',
      'grpc-status': String(code),
      'grpc-message': text,
    });
    expect(peer.calls).toEqual([]);
    expect(peer.find(FrameType.RST_STREAM, 1)).toBeUndefined();
  });

  const BYTES_MAX = 1000;
  const packed = (bytes: number): Buffer => grpcMessage(gzipSync(zeros(bytes)), 1);

  it.each([
    [
      'too large',
      '',
      grpcMessage(zeros(1001)),
      8,
      'grpc: received message larger than max (1001 vs. 1000)',
    ],
    ['truncated', '', grpcMessage(zeros(9)).subarray(0, 8), 13, 'unexpected EOF'],
    [
      'an unknown format',
      '',
      grpcMessage(HELLO, 2),
      13,
      'grpc: received unexpected payload format 2',
    ],
    [
      'compressed without saying how',
      '',
      grpcMessage(HELLO, 1),
      13,
      'grpc: compressed flag set with identity or empty encoding',
    ],
    [
      'not what it says',
      'gzip',
      grpcMessage(zeros(20), 1),
      13,
      'grpc: failed to decompress the message: gzip: invalid header',
    ],
    [
      'shorter than it says',
      'gzip',
      grpcMessage(gzipSync(HELLO).subarray(0, 20), 1),
      13,
      'grpc: failed to read decompressed data: unexpected EOF',
    ],
    [
      'a bomb',
      'gzip',
      packed(1001),
      8,
      'grpc: received message after decompression larger than max 1000',
    ],
  ])('a message that is %s', async (_, encoding, bytes, code, text) => {
    const told: string[] = [];
    const peer = await Http2Peer.greeted(
      (call) => {
        call.onMessage = () => told.push('message');
        call.onHalfClose = () => told.push('half-close');
        call.onCancel = () => told.push('cancel');
      },
      { messageBytesMax: BYTES_MAX },
    );
    const fields: [string, string][] = encoding === '' ? [] : [['grpc-encoding', encoding]];
    peer.send(request(1, fields), data(1, bytes, Flag.END_STREAM));
    const answer = peer.headers(await peer.frame(FrameType.HEADERS, 1, Flag.END_STREAM));
    expect([answer['grpc-status'], answer['grpc-message']]).toEqual([String(code), text]);
    expect(told).toEqual(['cancel']);
    expect(peer.connection.streamCount).toBe(0);
  });

  it('but a compressed message within the limit is taken', async () => {
    const peer = await Http2Peer.greeted(
      (call) => {
        call.onMessage = (message) => call.reply(message);
      },
      { messageBytesMax: BYTES_MAX },
    );
    peer.send(request(1, [['grpc-encoding', 'gzip']]), data(1, packed(1000), Flag.END_STREAM));
    await peer.until(() => peer.dataBytes(1) === 1005);
  });
});
