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
import { CLIENT_PREFACE, Flag, FrameType, Setting } from './frames.ts';

/** A small generator with a fixed seed, so that a failure can be repeated. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const TRAFFIC = Buffer.concat([
  settings([Setting.INITIAL_WINDOW_SIZE, 1000], [Setting.HEADER_TABLE_SIZE, 0]),
  request(1, [['grpc-timeout', '10S']]),
  data(1, grpcMessage(Buffer.from('hello'))),
  request(3, [['data-bin', 'AAEC']]),
  data(3, Buffer.concat([grpcMessage(Buffer.alloc(300)), grpcMessage(Buffer.alloc(3))])),
  frame(FrameType.WINDOW_UPDATE, 0, 3, word(100)),
  data(3, grpcMessage(Buffer.from('last')), Flag.END_STREAM),
  frame(FrameType.PING, 0, 0, Buffer.from('12345678')),
  frame(FrameType.RST_STREAM, 0, 1, word(8)),
  request(5, [], Flag.END_HEADERS | Flag.END_STREAM),
  frame(FrameType.WINDOW_UPDATE, 0, 0, word(1000)),
]);

describe('damaged bytes', () => {
  it('never break more than their connection', async () => {
    const below = random(20_231_010);
    let refused = 0;
    for (let round = 0; round < 2000; round++) {
      const open = new Set<unknown>();
      const peer = new Http2Peer((call) => {
        open.add(call);
        call.onMessage = (message) => {
          if (!call.cancelled) call.send(message);
        };
        call.onHalfClose = () => {
          open.delete(call);
          call.end(0, '');
        };
        call.onCancel = () => open.delete(call);
      });
      const bytes = Buffer.from(TRAFFIC);
      for (let hits = 1 + below(3); hits > 0; hits--) bytes[below(bytes.length)] = below(256);
      const cut = below(bytes.length);
      peer.send(CLIENT_PREFACE, bytes.subarray(0, cut));
      peer.send(bytes.subarray(cut));
      await new Promise((resolve) => setImmediate(resolve));
      if (peer.find(FrameType.GOAWAY, 0) !== undefined) refused++;
      peer.connection.destroy();
      expect(peer.connection.streamCount).toBe(0);
      expect(open.size).toBe(0);
    }
    expect(refused).toBeGreaterThan(200);
    expect(refused).toBeLessThan(2000);
  });
});
