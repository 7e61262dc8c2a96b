/** A request message from its JSON text, within the size that gRPC allows. */

import { wireFromJson } from '../codec/json.ts';
import type { MethodSchema } from '../codec/schema.ts';
import { EtcdError } from '../errors.ts';
import { limits } from '../limits.ts';
import { oversized } from './gateway-errors.ts';

/** Throws `DecodeError` and `EtcdError`. */
export function requestFromJson(
  { requestBytesMax }: { readonly requestBytesMax: number },
  schema: MethodSchema,
  body: Buffer | EtcdError,
): Uint8Array {
  if (body instanceof EtcdError) throw body;
  const message = wireFromJson(schema.request, body);
  const bytesMax = requestBytesMax + limits.grpcOverheadBytes;
  if (message.length > bytesMax) throw oversized(message.length, bytesMax);
  return message;
}

/** Base64 grows by a third and JSON has names; beyond this the request cannot fit. */
export function textBytesMax(requestBytesMax: number): number {
  return 2 * requestBytesMax + limits.jsonOverheadBytes;
}
