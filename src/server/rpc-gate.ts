/**
 * What every call passes before its service sees it, whichever way it came (etcd's interceptors):
 * the client API version must be text, and who requires a leader gets none of the waiting.
 */

import { errors } from '../errors.ts';
import type { Replica } from '../replica/replica.ts';
import type { Caller, Input, Output, StreamMethod, UnaryMethod } from './rpc.ts';

export interface RpcGate {
  unary(method: UnaryMethod, request: Uint8Array, caller: Caller): Uint8Array | Promise<Uint8Array>;
  stream(method: StreamMethod, caller: Caller, output: Output<Uint8Array>): Input<Uint8Array>;
}

export function createRpcGate(replica: Pick<Replica, 'lead'>): RpcGate {
  const admit = (caller: Caller): void => {
    const version = caller.metadata('client-api-version');
    if (version !== null && !isUtf8(version)) throw errors.invalidClientApiVersion;
    if (caller.metadata('hasleader') === 'true' && replica.lead === null) throw errors.noLeader;
  };
  return {
    unary(method, request, caller) {
      admit(caller);
      return method.call(request, caller);
    },
    stream(method, caller, output) {
      admit(caller);
      return method.open(caller, output);
    },
  };
}

/** Header values arrive as latin1, one character per byte. */
function isUtf8(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) >= 0x80) {
      const bytes = Buffer.from(text, 'latin1');
      return Buffer.from(bytes.toString('utf8')).equals(bytes);
    }
  }
  return true;
}
