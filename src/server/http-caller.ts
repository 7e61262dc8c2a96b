/** Who calls through HTTP/1.1, and for how long: request headers as gRPC metadata. */

import type { IncomingMessage } from 'node:http';
import { Code, EtcdError } from '../errors.ts';
import type { Stop } from '../ports.ts';
import type { Caller } from './rpc.ts';

const GATEWAY_PREFIX = 'grpcgateway-';

export type RequestHead = Pick<IncomingMessage, 'headers' | 'headersDistinct' | 'socket'>;

/**
 * etcd: `Authorization` keeps its name, `Grpc-Metadata-X` becomes `x`, and what browsers and
 * clients send on their own gets the prefix `grpcgateway-`.
 *
 * The connection tells when the caller is gone: of two requests that were sent at once, the second
 * has a response without a socket, which hears nothing.
 */
export class HttpCaller implements Caller {
  readonly commonName = '';
  readonly overGateway = true;
  readonly #request: RequestHead;
  #cancelled = false;
  #onCancel: Set<() => void> | null = null;

  constructor(request: RequestHead) {
    this.#request = request;
  }

  get cancelled(): boolean {
    return this.#cancelled || this.#request.socket.destroyed;
  }

  /** `host:port` of the connection's other end, as Go prints it. */
  get address(): string {
    const { remoteAddress = '', remotePort = 0 } = this.#request.socket;
    return `${remoteAddress.includes(':') ? `[${remoteAddress}]` : remoteAddress}:${remotePort}`;
  }

  metadata(name: string): string | null {
    const prefixed = prefixedName(name);
    const { headers } = this.#request;
    if (headers[prefixed] !== undefined) {
      return this.#request.headersDistinct[prefixed]?.[0] ?? null;
    }
    const header = name.startsWith(GATEWAY_PREFIX) ? name.slice(GATEWAY_PREFIX.length) : name;
    if (header === name && name !== 'authorization') return null;
    const value = headers[header];
    return (Array.isArray(value) ? value[0] : value) ?? null;
  }

  onCancel(fn: () => void): Stop {
    if (this.#onCancel === null) {
      this.#onCancel = new Set();
      this.#request.socket.once('close', this.#onClose);
    }
    this.#onCancel.add(fn);
    return () => {
      this.#onCancel?.delete(fn);
      // A connection outlives its calls, so an answered call leaves no listener on it.
      if (this.#onCancel?.size === 0) this.#forget();
    };
  }

  /** The caller has no more interest, or no more time. */
  cancel(): void {
    this.#cancelled = true;
    const waiting = this.#onCancel;
    this.#forget();
    if (waiting !== null) for (const fn of waiting) fn();
  }

  #onClose = (): void => this.cancel();

  #forget(): void {
    this.#onCancel = null;
    this.#request.socket.off('close', this.#onClose);
  }
}

// Services ask for the same few names on every call.
const prefixedNames = new Map<string, string>();

function prefixedName(name: string): string {
  let prefixed = prefixedNames.get(name);
  if (prefixed === undefined) {
    prefixed = `grpc-metadata-${name}`;
    prefixedNames.set(name, prefixed);
  }
  return prefixed;
}

const UNITS_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};
/** From `Grpc-Timeout`; 0 and none at all mean that there is no deadline. */
export function grpcTimeoutMs({ headers }: IncomingMessage): number | null | EtcdError {
  const text = headers['grpc-timeout'];
  if (text === undefined || text === '') return null;
  const match = /^([+-]?\d+)([HMSmun])$/.exec(String(text));
  const unit = UNITS_MS[match?.[2] ?? ''];
  if (match === null || unit === undefined) {
    return new EtcdError(Code.INVALID_ARGUMENT, `invalid grpc-timeout: ${String(text)}`);
  }
  const ms = Number(match[1]) * unit;
  return ms === 0 ? null : ms;
}
