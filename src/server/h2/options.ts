/** What the owner of a connection gives to it and gets from it. */

import type { Duplex } from 'node:stream';
import type { GrpcCall } from './grpc-call.ts';
import type { KeepaliveOptions } from './keepalive.ts';
import type { Address } from './peer-name.ts';

/** What the transport needs of a socket: `net.Socket` and `TLSSocket` have it. */
export interface Http2Socket extends Duplex, Address {}

export interface Http2Options {
  readonly onCall: (call: GrpcCall) => void;
  /** Once, when the connection is gone and all its calls have heard of it. */
  readonly onClose: (connection: Http2Connection) => void;
  readonly monotonic: () => number;
  readonly messageBytesMax: number;
  readonly maxConcurrentStreams: number;
  readonly headerBytesMax: number;
  /** Bytes that wait in one call from which on `send` says false. */
  readonly callBufferedBytesMax: number;
  readonly keepalive: KeepaliveOptions;
}

export interface Http2Connection {
  readonly peer: string;
  readonly streamCount: number;
  /** Ends gracefully: no new calls once the peer knows, and the end when the last one is over. */
  goaway(): void;
  /** Ends at once; calls that are open are cancelled. */
  destroy(): void;
  /** To be called a few times per second: deadlines, keepalive, and what must end. */
  tick(nowMs: number): void;
}
