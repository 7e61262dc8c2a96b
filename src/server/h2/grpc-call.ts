/** What the transport offers to whoever serves gRPC calls. It knows no message and no service. */

import type { Code } from '../../errors.ts';

/** Request headers by lower-case name. Never changed; calls that sent the same ones share them. */
export interface Metadata {
  /** First value: latin1 text, or the decoded bytes as latin1 when the name ends in `-bin`. */
  get(name: string): string | undefined;
  has(name: string): boolean;
}

/**
 * One call. The handlers are set in `onCall`, before anything arrives. Once `cancelled`, what is
 * sent goes nowhere and is no error.
 *
 * Bytes of a message are never changed after they were handed over, so both sides may keep them. A
 * received message may share the memory (up to 64 KiB) of the read in which it came: copy small
 * parts that live long.
 */
export interface GrpcCall {
  /** `/package.Service/Method`, as the client sent it. */
  readonly path: string;
  readonly metadata: Metadata;
  /** Address and port of the client, as Go prints them. */
  readonly peer: string;
  /** Common name in the client's certificate; '' when it does not count or there is none. */
  readonly commonName: string;
  /** From `grpc-timeout`. The transport cancels the call by itself when it is over. */
  readonly timeoutMs: number | null;
  readonly cancelled: boolean;
  /** Bytes sent that the connection has not taken yet. */
  readonly bufferedBytes: number;
  /** etcd: unary methods say Unknown where a request ends within a message, others Internal. */
  truncatedCode: Code;
  /** One complete, uncompressed message. */
  onMessage: (message: Uint8Array) => void;
  onHalfClose: () => void;
  /**
   * The call is over before its answer: reset by the client, deadline, connection lost, or a
   * request that the transport has refused. At most once, and never after `end` or `reply`.
   */
  onCancel: () => void;
  /** `bufferedBytes` has fallen to 0 again. */
  onDrain: () => void;
  /** One message of a stream; false when the call has buffered too much: wait for `onDrain`. */
  send(message: Uint8Array): boolean;
  /** The only message of an answer, and success. */
  reply(message: Uint8Array): void;
  /** Ends the call, after what was sent before. */
  end(code: Code, message: string): void;
  /** No more credit for request messages; what the client was allowed to send still arrives. */
  pause(): void;
  resume(): void;
}
