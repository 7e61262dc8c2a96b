/**
 * What a service is to a transport: a table of methods over bytes. gRPC, the JSON gateway and the
 * embedding API call the same methods; no service knows which of them did.
 */

import { decode, encode, type Reader, type Writer } from '../codec/wire.ts';
import { Code, EtcdError } from '../errors.ts';
import type { Stop } from '../ports.ts';

/** Who calls, as far as a service may know. */
export interface Caller {
  /** First value of a request header, by its lower-case name. */
  metadata(name: string): string | null;
  /**
   * Common name in the verified certificate of a gRPC client, where `--client-cert-auth` makes it a
   * user's name; '' otherwise, and always for JSON and embedded callers.
   */
  readonly commonName: string;
  /** Whether it is a call of the JSON gateway. */
  readonly overGateway: boolean;
  /** `host:port` of its end of the connection; absent for embedded callers. */
  readonly address?: string;
  /** True once the caller has gone away; checked by long work between its slices. */
  readonly cancelled: boolean;
  /** Calls `fn` once when the caller goes away before its answer, unless stopped before. */
  onCancel(fn: () => void): Stop;
}

/** The answering half of a stream. */
export interface Output<Res> {
  send(response: Res): void;
  /** Bytes accepted and not yet taken by the network; a producer holds back while it is high. */
  readonly bufferedBytes: number;
  /** Called when `bufferedBytes` has fallen again. */
  onDrain(fn: () => void): void;
  /** Ends the stream: `null` means OK. */
  end(error: EtcdError | null): void;
}

/** The asking half of a stream, called by the transport. */
export interface Input<Req> {
  message(request: Req): void;
  halfClose(): void;
  /** The caller is gone or the stream is over; called exactly once, after which nothing follows. */
  close(): void;
}

export interface UnaryMethod {
  readonly kind: 'unary';
  readonly service: string;
  readonly name: string;
  /** Rejects or throws an `EtcdError`; a `DecodeError` when the bytes are malformed. */
  call(request: Uint8Array, caller: Caller): Uint8Array | Promise<Uint8Array>;
}

export interface StreamMethod {
  readonly kind: 'server-stream' | 'bidi';
  readonly service: string;
  readonly name: string;
  open(caller: Caller, output: Output<Uint8Array>): Input<Uint8Array>;
}

export type Method = UnaryMethod | StreamMethod;

interface Shape<Req, Res> {
  readonly decode: (r: Reader) => Req;
  readonly encode: (w: Writer, response: Res) => void;
}

export function unary<Req, Res>(
  service: string,
  name: string,
  shape: Shape<Req, Res>,
  handle: (request: Req, caller: Caller) => Res | Promise<Res>,
): UnaryMethod {
  return {
    kind: 'unary',
    service,
    name,
    call(request, caller) {
      const response = handle(decode(shape.decode, request), caller);
      if (response instanceof Promise) return response.then((value) => encode(shape.encode, value));
      return encode(shape.encode, response);
    },
  };
}

const noRequest = new EtcdError(
  Code.INTERNAL,
  'cardinality violation: received no request message from non-client-streaming RPC',
);
const severalRequests = new EtcdError(
  Code.INTERNAL,
  'cardinality violation: received multiple request messages for non-client-streaming RPC',
);

/**
 * One request, many responses. etcd: the method runs once the caller has ended its side, since only
 * then is it certain that there is no second request.
 */
export function serverStream<Req, Res>(
  service: string,
  name: string,
  shape: Shape<Req, Res>,
  handle: (request: Req, caller: Caller, output: Output<Res>) => void,
): StreamMethod {
  return {
    kind: 'server-stream',
    service,
    name,
    open(caller, output) {
      let asked: { readonly request: Req } | null = null;
      return {
        message(bytes) {
          const request = decode(shape.decode, bytes);
          if (asked !== null) throw severalRequests;
          asked = { request };
        },
        halfClose() {
          if (asked === null) throw noRequest;
          handle(asked.request, caller, encoded(output, shape.encode));
        },
        close() {},
      };
    },
  };
}

export function bidi<Req, Res>(
  service: string,
  name: string,
  shape: Shape<Req, Res>,
  open: (caller: Caller, output: Output<Res>) => Input<Req>,
): StreamMethod {
  return {
    kind: 'bidi',
    service,
    name,
    open(caller, output) {
      const input = open(caller, encoded(output, shape.encode));
      return {
        message: (request) => input.message(decode(shape.decode, request)),
        halfClose: () => input.halfClose(),
        close: () => input.close(),
      };
    },
  };
}

/**
 * What becomes of an error in the asynchronous part of a stream, which no transport can catch: an
 * expected one ends the stream, anything else is a bug or a broken disk and ends the member.
 */
export function endWith<Res>(
  output: Output<Res>,
  onFatal: (error: unknown) => void,
): (error: unknown) => void {
  return (error) => {
    if (error instanceof EtcdError) output.end(error);
    else onFatal(error);
  };
}

/** Resolves when the output has room again, or the caller is gone. */
export function drained<Res>(output: Output<Res>, caller: Caller): Promise<void> {
  if (caller.cancelled) return Promise.resolve();
  return new Promise((resolve) => {
    const stop = caller.onCancel(resolve);
    output.onDrain(() => {
      stop();
      resolve();
    });
  });
}

/** A method that exists in the API and comes later here. */
export function unimplemented(service: string, name: string): UnaryMethod {
  const error = new EtcdError(Code.UNIMPLEMENTED, `unknown method ${name} for service ${service}`);
  return {
    kind: 'unary',
    service,
    name,
    call() {
      throw error;
    },
  };
}

function encoded<Res>(
  output: Output<Uint8Array>,
  encoder: (w: Writer, response: Res) => void,
): Output<Res> {
  return {
    send: (response) => output.send(encode(encoder, response)),
    get bufferedBytes() {
      return output.bufferedBytes;
    },
    onDrain: (fn) => output.onDrain(fn),
    end: (error) => output.end(error),
  };
}
