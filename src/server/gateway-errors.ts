/** What the JSON gateway says when it cannot do as asked: statuses, bodies and texts. */

import { DecodeError } from '../codec/wire.ts';
import { Code, EtcdError } from '../errors.ts';

/** gRPC code to HTTP status, as grpc-gateway v2 maps them. */
const HTTP_STATUS: Readonly<Record<Code, number>> = {
  [Code.OK]: 200,
  [Code.CANCELED]: 499,
  [Code.UNKNOWN]: 500,
  [Code.INVALID_ARGUMENT]: 400,
  [Code.DEADLINE_EXCEEDED]: 504,
  [Code.NOT_FOUND]: 404,
  [Code.ALREADY_EXISTS]: 409,
  [Code.PERMISSION_DENIED]: 403,
  [Code.RESOURCE_EXHAUSTED]: 429,
  [Code.FAILED_PRECONDITION]: 400,
  [Code.ABORTED]: 409,
  [Code.OUT_OF_RANGE]: 400,
  [Code.UNIMPLEMENTED]: 501,
  [Code.INTERNAL]: 500,
  [Code.UNAVAILABLE]: 503,
  [Code.DATA_LOSS]: 500,
  [Code.UNAUTHENTICATED]: 401,
};

export function httpStatus(code: Code): number {
  return HTTP_STATUS[code];
}

/**
 * The union of what the gateways of 3.4 to 3.7 answer, in the order of 3.4; clients of every age
 * find their key.
 */
export function errorBody({ code, message }: EtcdError): object {
  return { error: message, message, code };
}

/** As in `errorBody`, with the names that 3.4 and 3.5 use inside a stream. */
export function streamErrorBody({ code, message }: EtcdError): object {
  return { code, message, grpc_code: code, http_code: httpStatus(code) };
}

/** `null` for what no client may be told: a bug, which ends the member. */
export function toldError(error: unknown): EtcdError | null {
  if (error instanceof EtcdError) return error;
  if (error instanceof DecodeError) return new EtcdError(Code.INVALID_ARGUMENT, error.message);
  return null;
}

/** etcd: the gateway is a gRPC client, so a message that is too large meets gRPC's own limit. */
export function oversized(bytes: number, bytesMax: number): EtcdError {
  const text = `grpc: received message larger than max (${bytes} vs. ${bytesMax})`;
  return new EtcdError(Code.RESOURCE_EXHAUSTED, text);
}
