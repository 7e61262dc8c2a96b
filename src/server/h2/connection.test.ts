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
import type { GrpcCall } from './grpc-call.ts';

const END_BOTH = Flag.END_HEADERS | Flag.END_STREAM;
const HELLO = Buffer.from('hello');

/** Answers each message with itself, as a unary method does. */
function echo(call: GrpcCall): void {
  call.onMessage = (message) => call.reply(message);
}

function zeros(bytes: number): Buffer {
  return Buffer.alloc(bytes);
}

describe('the beginning', () => {
  it('greets before the client does', async () => {
    const peer = new Http2Peer();
    const { payload } = await peer.frame(FrameType.SETTINGS, 0);
    expect(payload.readUInt16BE(0)).toBe(Setting.INITIAL_WINDOW_SIZE);
    expect(payload.readUInt32BE(2)).toBe(limits.h2StreamWindowBytes);
    const window = await peer.frame(FrameType.WINDOW_UPDATE, 0);
    expect(window.payload.readUInt32BE(0) + 65_535).toBe(limits.h2ConnectionWindowBytes);
  });

  it('takes everything byte by byte', async () => {
    const peer = new Http2Peer(echo);
    const all = [
      CLIENT_PREFACE,
      settings(),
      request(1),
      data(1, grpcMessage(HELLO)),
      data(1, zeros(0), Flag.END_STREAM),
    ];
    for (const byte of Buffer.concat(all)) peer.send(Buffer.from([byte]));
    const answer = await peer.frame(FrameType.DATA, 1);
    expect(answer.payload).toEqual(grpcMessage(HELLO));
    await peer.frame(FrameType.HEADERS, 1, Flag.END_STREAM);
  });

  it('takes what was read before as the beginning', async () => {
    const peer = new Http2Peer();
    peer.send(CLIENT_PREFACE.subarray(0, 5));
    peer.send(CLIENT_PREFACE.subarray(5), settings());
    await peer.frame(FrameType.SETTINGS, 0, Flag.ACK);
  });

  it('gives up on a client that never begins', () => {
    const peer = new Http2Peer();
    peer.connection.tick(peer.nowMs + limits.h2EstablishTimeoutMs - 1);
    expect(peer.closed).toBe(false);
    peer.connection.tick(peer.nowMs + limits.h2EstablishTimeoutMs);
    expect(peer.closed).toBe(true);
  });
});

describe('a unary call', () => {
  it('is answered by headers, one message and trailers', async () => {
    const peer = await Http2Peer.greeted(echo);
    peer.send(request(1, [['token', 'abc']]), data(1, grpcMessage(HELLO), Flag.END_STREAM));
    await peer.frame(FrameType.HEADERS, 1, Flag.END_STREAM);
    expect(peer.frames.map((f) => f.type)).toEqual([
      FrameType.HEADERS,
      FrameType.DATA,
      FrameType.HEADERS,
    ]);
    const [first, , last] = peer.frames;
    expect(first && peer.headers(first)).toEqual({
      ':status': '200',
      'content-type': 'application/grpc',
    });
    expect(last && peer.headers(last)).toEqual({ 'grpc-status': '0', 'grpc-message': '' });
    const [call] = peer.calls;
    expect(call?.path).toBe('/test.Service/Method');
    expect(call?.peer).toBe('127.0.0.1:4711');
    expect(call?.timeoutMs).toBeNull();
    expect(call?.metadata.get('token')).toBe('abc');
    expect(call?.metadata.get(':authority')).toBe('localhost');
    expect(call?.metadata.has('hasleader')).toBe(false);
    expect(peer.connection.streamCount).toBe(0);
  });

  it('needs no reset when the client ends its side in the same turn', async () => {
    const peer = await Http2Peer.greeted(echo);
    peer.send(request(1), data(1, grpcMessage(HELLO)), data(1, zeros(0), Flag.END_STREAM));
    await peer.settled();
    expect(peer.find(FrameType.RST_STREAM, 1)).toBeUndefined();
    expect(peer.connection.streamCount).toBe(0);
  });

  it('is reset after its answer when the client goes on', async () => {
    const peer = await Http2Peer.greeted(echo);
    peer.send(request(1), data(1, grpcMessage(HELLO)));
    expect(await peer.resetCode(1)).toBe(ErrorCode.NO_ERROR);
    expect(peer.find(FrameType.HEADERS, 1, Flag.END_STREAM)).toBeDefined();
    peer.send(data(1, grpcMessage(HELLO)));
    await peer.settled();
    expect(peer.find(FrameType.GOAWAY, 0)).toBeUndefined();
    expect(peer.connection.streamCount).toBe(0);
  });

  it('may fail at once, in one frame', async () => {
    const peer = await Http2Peer.greeted((call) => call.end(Code.NOT_FOUND, 'nö: 100%\n'));
    peer.send(request(1, [], END_BOTH));
    const answer = await peer.frame(FrameType.HEADERS, 1, Flag.END_STREAM);
    expect(peer.headers(answer)).toEqual({
      ':status': '200',
      'content-type': 'application/grpc',
      'grpc-status': '5',
      'grpc-message': 'n%C3%B6: 100%25%0A',
    });
  });

  it('shares parsed headers between calls, which stay apart', async () => {
    const peer = await Http2Peer.greeted(echo);
    for (const id of [1, 3, 5]) {
      peer.send(request(id, [['x', 'same']]), data(id, grpcMessage(HELLO), Flag.END_STREAM));
    }
    peer.send(request(7, [['x', 'diff']], END_BOTH));
    await peer.settled();
    expect(peer.calls.map((call) => call.metadata.get('x'))).toEqual([
      'same',
      'same',
      'same',
      'diff',
    ]);
    expect(peer.calls[0]?.metadata).toBe(peer.calls[2]?.metadata);
  });
});

describe('request bytes', () => {
  async function receive(...parts: readonly Buffer[]): Promise<string[]> {
    const seen: string[] = [];
    const peer = await Http2Peer.greeted((call) => {
      call.onMessage = (message) => seen.push(Buffer.from(message).toString());
      call.onHalfClose = () => seen.push('half-closed');
    });
    peer.send(...parts);
    await peer.settled();
    return seen;
  }

  const two = Buffer.concat([grpcMessage(HELLO), grpcMessage(Buffer.from('world'))]);

  it('may hold several messages in one frame', async () => {
    const seen = await receive(request(1), data(1, two, Flag.END_STREAM));
    expect(seen).toEqual(['hello', 'world', 'half-closed']);
  });

  it('may cut messages anywhere', async () => {
    for (let cut = 1; cut < two.length; cut++) {
      const parts = [data(1, two.subarray(0, cut)), data(1, two.subarray(cut), Flag.END_STREAM)];
      expect(await receive(request(1), ...parts)).toEqual(['hello', 'world', 'half-closed']);
    }
  });

  it('may be padded, prioritised and continued', async () => {
    const block = headerBlock(REQUEST_FIELDS);
    const padded = Buffer.concat([Buffer.from([3]), zeros(5), block.subarray(0, 9), zeros(3)]);
    const seen = await receive(
      frame(FrameType.PRIORITY, 0, 9, zeros(5)),
      frame(FrameType.HEADERS, Flag.PADDED | Flag.PRIORITY, 1, padded),
      frame(FrameType.CONTINUATION, 0, 1, block.subarray(9, 20)),
      frame(FrameType.CONTINUATION, Flag.END_HEADERS, 1, block.subarray(20)),
      data(1, Buffer.concat([Buffer.from([4]), grpcMessage(HELLO), zeros(4)]), Flag.PADDED),
      frame(0xfe, 0, 1, HELLO),
      frame(FrameType.HEADERS, END_BOTH, 1, headerBlock([['trailer', 'x']])),
    );
    expect(seen).toEqual(['hello', 'half-closed']);
  });

  it('may end within a prefix, which counts as nothing', async () => {
    expect(await receive(request(1), data(1, zeros(3), Flag.END_STREAM))).toEqual(['half-closed']);
  });
});

describe('the end of a call by the client', () => {
  it('is told once, and nothing is sent after it', async () => {
    let cancelled = 0;
    const peer = await Http2Peer.greeted((call) => {
      call.onCancel = () => cancelled++;
    });
    peer.send(request(1), frame(FrameType.RST_STREAM, 0, 1, word(ErrorCode.CANCEL)));
    await peer.until(() => cancelled === 1);
    const [call] = peer.calls;
    expect(call?.cancelled).toBe(true);
    call?.reply(HELLO);
    expect(call?.send(HELLO)).toBe(false);
    peer.send(frame(FrameType.RST_STREAM, 0, 1, word(ErrorCode.CANCEL)));
    await peer.settled();
    peer.socket.destroy();
    await peer.until(() => peer.closed);
    expect(peer.frames).toEqual([]);
    expect(cancelled).toBe(1);
  });

  it('is not told once the call has ended', async () => {
    let cancelled = 0;
    const peer = await Http2Peer.greeted(
      (call) => {
        call.onCancel = () => cancelled++;
        call.send(zeros(100));
        call.end(Code.OK, '');
      },
      {},
      [Setting.INITIAL_WINDOW_SIZE, 10],
    );
    peer.send(request(1));
    await peer.until(() => peer.dataBytes(1) === 10);
    expect(peer.calls[0]?.bufferedBytes).toBe(95);
    peer.send(frame(FrameType.RST_STREAM, 0, 1, word(ErrorCode.CANCEL)));
    await peer.settled();
    expect(cancelled).toBe(0);
    expect(peer.calls[0]?.bufferedBytes).toBe(0);
  });

  it('comes to all calls with the end of the connection', async () => {
    const cancelled: number[] = [];
    const peer = await Http2Peer.greeted((call) => {
      const n = peer.calls.length;
      call.onCancel = () => cancelled.push(n);
    });
    peer.send(request(1), request(3));
    await peer.settled();
    peer.socket.destroy();
    await peer.until(() => peer.closed);
    expect(cancelled).toEqual([1, 2]);
  });

  it('comes with its deadline', async () => {
    let cancelled = false;
    const peer = await Http2Peer.greeted((call) => {
      call.onCancel = () => {
        cancelled = true;
      };
    });
    peer.send(request(1, [['grpc-timeout', '250m']]));
    await peer.settled();
    expect(peer.calls[0]?.timeoutMs).toBe(250);
    peer.connection.tick(peer.nowMs + 249);
    expect(cancelled).toBe(false);
    peer.connection.tick(peer.nowMs + 250);
    expect(cancelled).toBe(true);
    expect(await peer.resetCode(1)).toBe(ErrorCode.CANCEL);
  });
});

describe('the end of a connection by the server', () => {
  it('lets calls finish and takes new ones until the client knows', async () => {
    const peer = await Http2Peer.greeted();
    peer.send(request(1));
    await peer.settled();
    peer.connection.goaway();
    const first = await peer.goaway();
    expect(first).toEqual({
      lastStreamId: 0x7fffffff,
      code: ErrorCode.NO_ERROR,
      text: 'server_stop',
    });
    const ping = await peer.frame(FrameType.PING, 0);
    peer.frames.length = 0;
    peer.send(request(3), frame(FrameType.PING, Flag.ACK, 0, ping.payload), request(5));
    expect((await peer.goaway()).lastStreamId).toBe(3);
    expect(peer.calls.length).toBe(2);
    for (const call of peer.calls) call.end(Code.OK, '');
    await peer.frame(FrameType.HEADERS, 3, Flag.END_STREAM);
    await peer.until(() => peer.closed);
  });

  it('does not wait for ever for the client to know', async () => {
    const peer = await Http2Peer.greeted();
    peer.connection.goaway();
    peer.connection.tick(peer.nowMs + limits.h2DrainTimeoutMs);
    await peer.until(() => peer.closed);
    expect(peer.frames.filter((f) => f.type === FrameType.GOAWAY).length).toBe(2);
  });

  it('may be at once', async () => {
    let cancelled = false;
    const peer = await Http2Peer.greeted((call) => {
      call.onCancel = () => {
        cancelled = true;
      };
    });
    peer.send(request(1));
    await peer.settled();
    peer.connection.destroy();
    expect(cancelled).toBe(true);
    expect(peer.closed).toBe(true);
  });
});

describe('pings', () => {
  const ping = frame(FrameType.PING, 0, 0, Buffer.from('12345678'));

  it('are answered with their own bytes', async () => {
    const peer = await Http2Peer.greeted();
    peer.send(ping);
    expect((await peer.frame(FrameType.PING, 0, Flag.ACK)).payload.toString()).toBe('12345678');
  });

  it('without calls may come three times', async () => {
    const peer = await Http2Peer.greeted();
    peer.send(ping, ping, ping);
    await peer.until(() => peer.frames.length === 3);
    peer.send(ping);
    const { code, text } = await peer.goaway();
    expect([code, text]).toEqual([ErrorCode.ENHANCE_YOUR_CALM, 'too_many_pings']);
    expect(peer.frames.filter((f) => f.type === FrameType.PING).length).toBe(4);
  });

  it('with a call may come as often as allowed, or after each answer', async () => {
    const peer = await Http2Peer.greeted((call) => {
      call.onMessage = (message) => call.send(message);
    });
    peer.send(request(1));
    for (let i = 0; i < 10; i++) {
      peer.send(ping);
      await peer.until(() => peer.frames.length === i + 1);
      peer.nowMs += 5000;
    }
    for (let i = 0; i < 10; i++) {
      peer.frames.length = 0;
      peer.send(data(1, grpcMessage(HELLO)), ping, ping, ping);
      await peer.until(() => peer.frames.filter((f) => f.type === FrameType.PING).length === 3);
    }
    expect(peer.find(FrameType.GOAWAY, 0)).toBeUndefined();
    peer.send(ping, ping, ping);
    expect((await peer.goaway()).code).toBe(ErrorCode.ENHANCE_YOUR_CALM);
  });

  it('ask a silent client, and end the connection of a dead one', async () => {
    const peer = await Http2Peer.greeted();
    peer.connection.tick(peer.nowMs);
    peer.connection.tick(peer.nowMs + 60_000);
    const asked = await peer.frame(FrameType.PING, 0);
    peer.connection.tick(peer.nowMs + 79_999);
    expect(peer.closed).toBe(false);
    peer.send(frame(FrameType.PING, Flag.ACK, 0, asked.payload));
    await peer.settled();
    peer.connection.tick(peer.nowMs + 80_000);
    peer.connection.tick(peer.nowMs + 140_000);
    peer.connection.tick(peer.nowMs + 160_000);
    expect(peer.closed).toBe(true);
  });
});
