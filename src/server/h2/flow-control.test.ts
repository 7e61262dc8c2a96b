import { describe, expect, it } from 'vitest';
import {
  data,
  frame,
  grpcMessage,
  Http2Peer,
  request,
  settings,
  word,
} from '../../../test/support/http2-peer.ts';
import { must } from '../../assert.ts';
import { Code } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { ErrorCode, Flag, FrameType, Setting } from './frames.ts';
import type { GrpcCall } from './grpc-call.ts';

function windowUpdate(streamId: number, bytes: number): Buffer {
  return frame(FrameType.WINDOW_UPDATE, 0, streamId, word(bytes));
}

function initialWindow(bytes: number): Buffer {
  return settings([Setting.INITIAL_WINDOW_SIZE, bytes]);
}

function firstCall(peer: Http2Peer): GrpcCall {
  return must(peer.calls[0], 'a call has come');
}

describe('what is sent', () => {
  it('keeps to the window of the stream, also when it shrinks below nothing', async () => {
    const peer = await Http2Peer.greeted(undefined, {}, [Setting.INITIAL_WINDOW_SIZE, 50]);
    peer.send(request(1));
    await peer.settled();
    const call = firstCall(peer);
    call.send(Buffer.alloc(195, 'x'));
    await peer.until(() => peer.dataBytes(1) === 50);
    expect(call.bufferedBytes).toBe(150);
    peer.send(initialWindow(20), windowUpdate(1, 30));
    await peer.settled();
    expect(peer.dataBytes(1)).toBe(50);
    peer.send(windowUpdate(1, 1));
    await peer.until(() => peer.dataBytes(1) === 51);
    peer.send(initialWindow(1000));
    await peer.until(() => peer.dataBytes(1) === 200);
    expect(call.bufferedBytes).toBe(0);
    const sent = peer.frames.filter((f) => f.type === FrameType.DATA).map((f) => f.payload);
    expect(Buffer.concat(sent)).toEqual(grpcMessage(Buffer.alloc(195, 'x')));
  });

  it('keeps to the window of the connection, which streams share in turn', async () => {
    const peer = await Http2Peer.greeted(undefined, {}, [Setting.INITIAL_WINDOW_SIZE, 1_000_000]);
    peer.send(request(1), request(3));
    await peer.settled();
    for (const call of peer.calls) {
      call.send(Buffer.alloc(99_995));
      call.end(Code.OK, '');
    }
    await peer.until(() => peer.dataBytes(1) + peer.dataBytes(3) === 65_535);
    await peer.settled();
    expect(peer.dataBytes(1)).toBe(65_535);
    peer.send(windowUpdate(0, 34_465 + 100));
    await peer.frame(FrameType.HEADERS, 1, Flag.END_STREAM);
    expect(peer.dataBytes(3)).toBe(100);
    peer.send(windowUpdate(0, 100_000));
    await peer.frame(FrameType.HEADERS, 3, Flag.END_STREAM);
    expect([peer.dataBytes(1), peer.dataBytes(3)]).toEqual([100_000, 100_000]);
  });

  it('is cut into frames that every peer takes', async () => {
    const peer = await Http2Peer.greeted();
    peer.send(request(1));
    await peer.settled();
    firstCall(peer).send(Buffer.alloc(40_000));
    await peer.until(() => peer.dataBytes(1) === 40_005);
    const sizes = peer.frames.filter((f) => f.type === FrameType.DATA).map((f) => f.payload.length);
    expect(sizes).toEqual([16_384, 16_384, 7237]);
  });

  it('waits in the call, which says when it is too much and when it is gone', async () => {
    let drained = 0;
    const peer = await Http2Peer.greeted(
      (call) => {
        call.onDrain = () => drained++;
      },
      { callBufferedBytesMax: 1000 },
      [Setting.INITIAL_WINDOW_SIZE, 0],
    );
    peer.send(request(1));
    await peer.settled();
    const call = firstCall(peer);
    expect(call.send(Buffer.alloc(995))).toBe(true);
    expect(call.send(Buffer.alloc(1))).toBe(false);
    expect(call.bufferedBytes).toBe(1006);
    peer.send(windowUpdate(1, 1005));
    await peer.settled();
    expect(drained).toBe(0);
    peer.send(windowUpdate(1, 1));
    await peer.settled();
    expect(drained).toBe(1);
    expect(call.bufferedBytes).toBe(0);
  });

  it('stays in the calls while the client does not read', async () => {
    const window = 0x7fffffff;
    const peer = await Http2Peer.greeted(undefined, {}, [Setting.INITIAL_WINDOW_SIZE, window]);
    peer.send(request(1), windowUpdate(0, window - 65_535));
    await peer.settled();
    peer.socket.pause();
    const call = firstCall(peer);
    let sent = 0;
    while (call.send(Buffer.alloc(99_995))) sent++;
    expect(sent * 100_000).toBeGreaterThan(limits.h2SendBufferBytesMax / 2);
    expect(sent * 100_000).toBeLessThan(limits.h2SendBufferBytesMax * 2);
    peer.socket.resume();
    await peer.until(() => peer.dataBytes(1) === (sent + 1) * 100_000);
  });

  it('does not grow by what a client asks for that does not read', async () => {
    const peer = await Http2Peer.greeted();
    peer.socket.pause();
    const count = 30_000;
    for (let i = 0; i < count; i++) peer.send(request(2 * i + 1, [['grpc-timeout', 'bad']]));
    await peer.until(() => peer.serverSocket.isPaused());
    expect(peer.serverSocket.writableLength).toBeGreaterThan(limits.h2UnreadBytesMax);
    expect(peer.serverSocket.writableLength).toBeLessThan(limits.h2UnreadBytesMax + 100_000);
    peer.socket.resume();
    const last = 2 * count - 1;
    await peer.until(() => peer.find(FrameType.RST_STREAM, last) !== undefined);
  });
});

describe('what is received', () => {
  const chunk = Buffer.alloc(16_384);

  function chunks(peer: Http2Peer, streamId: number, bytes: number): void {
    for (let left = bytes; left > 0; left -= chunk.length) {
      peer.send(data(streamId, chunk.subarray(0, Math.min(left, chunk.length))));
    }
  }

  function credit(peer: Http2Peer, streamId: number): number {
    return peer.frames
      .filter((f) => f.type === FrameType.WINDOW_UPDATE && f.streamId === streamId)
      .reduce((sum, f) => sum + f.payload.readUInt32BE(0), 0);
  }

  const window = limits.h2StreamWindowBytes;

  it('is credited lazily, and not while paused', async () => {
    const peer = await Http2Peer.greeted((call) => call.pause());
    peer.send(request(1));
    chunks(peer, 1, window);
    await peer.settled();
    expect(credit(peer, 1)).toBe(0);
    firstCall(peer).resume();
    await peer.settled();
    expect(credit(peer, 1)).toBe(window);
    chunks(peer, 1, window / 2 - 1);
    await peer.settled();
    expect(credit(peer, 1)).toBe(window);
    chunks(peer, 1, 1);
    await peer.settled();
    expect(credit(peer, 1)).toBe(window * 1.5);
  });

  it('must keep to the window of the stream', async () => {
    const peer = await Http2Peer.greeted((call) => call.pause());
    peer.send(request(1));
    chunks(peer, 1, window + 1);
    expect(await peer.resetCode(1)).toBe(ErrorCode.FLOW_CONTROL_ERROR);
    expect(firstCall(peer).cancelled).toBe(true);
  });

  it('is credited to the connection even when nobody wants it', async () => {
    const peer = await Http2Peer.greeted((call) => call.end(Code.OK, ''));
    peer.send(request(1));
    await peer.settled();
    chunks(peer, 1, limits.h2ConnectionWindowBytes);
    await peer.settled();
    expect(credit(peer, 0)).toBe(limits.h2ConnectionWindowBytes);
    expect(credit(peer, 1)).toBe(0);
  });

  it('takes memory only for a limited amount of incomplete messages', async () => {
    const messageBytesMax = 4 * 1024 * 1024;
    const peer = await Http2Peer.greeted(undefined, { messageBytesMax, maxConcurrentStreams: 999 });
    const count = limits.h2AssemblyBytesMax / window + 2;
    const begin = grpcMessage(Buffer.alloc(messageBytesMax)).subarray(0, window / 2);
    for (let i = 0; i < 2 * count; i++) {
      peer.send(request(2 * i + 1));
      for (let at = 0; at < begin.length; at += 16_384) {
        peer.send(data(2 * i + 1, begin.subarray(at, at + 16_384)));
      }
    }
    await peer.until(() => peer.calls.length === 2 * count);
    await peer.settled();
    const refused = peer.calls.filter((call) => call.cancelled);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThan(10);
  });
});
