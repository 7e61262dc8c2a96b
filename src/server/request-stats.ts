/**
 * etcd's line `request stats` about a call that took too long, or about every call when the log
 * tells everything. Counts and sizes are those of the messages, which are only looked into for the
 * line itself.
 */

import {
  decodeDeleteRangeRequest,
  decodeDeleteRangeResponse,
  decodePutRequest,
  decodeRangeRequest,
  decodeRangeResponse,
  decodeTxnRequest,
  decodeTxnResponse,
  encodeRequestOp,
} from '../codec/gen/etcdserverpb.ts';
import { putText, txnText } from '../codec/request-text.ts';
import { textFromWire } from '../codec/text.ts';
import { decode, encode } from '../codec/wire.ts';
import { goDuration } from '../duration.ts';
import type { Log } from '../log.ts';
import { timestamp } from '../log-line.ts';
import type { UnaryMethod } from './rpc.ts';

export interface AnsweredCall {
  readonly method: UnaryMethod;
  readonly request: Uint8Array;
  /** `null` after an error. */
  readonly response: Uint8Array | null;
  readonly ms: number;
  /** `host:port`. */
  readonly remote: string;
}

interface Stats {
  readonly requestCount: number;
  readonly requestSize: number;
  readonly responseCount: number;
  readonly content: string;
}

export class RequestStats {
  readonly #log: Log;
  /** Calls that took longer get a line. */
  readonly limitMs: number;
  readonly #level: 'debug' | 'warn';
  readonly #now: () => number;

  /** `now`: milliseconds since the epoch. */
  constructor(log: Log, warningMs: number, now: () => number) {
    this.#log = log;
    this.#level = log.enabled('debug') ? 'debug' : 'warn';
    this.limitMs = this.#level === 'debug' ? -1 : warningMs;
    this.#now = now;
  }

  tell({ method, request, response, ms, remote }: AnsweredCall): void {
    const path = `/${method.service}/${method.name}`;
    const known = statsOf(path, request, response);
    this.#log[this.#level]('request stats', {
      'start time': timestamp(this.#now() - ms),
      'time spent': goDuration(ms),
      remote,
      'response type': path,
      'request count': known?.requestCount ?? -1,
      'request size': known?.requestSize ?? -1,
      'response count': known?.responseCount ?? -1,
      'response size': known === null ? -1 : (response?.length ?? 0),
      'request content': known?.content ?? '',
    });
  }
}

/** `null` for methods of which etcd tells nothing more. */
function statsOf(path: string, request: Uint8Array, response: Uint8Array | null): Stats | null {
  const requestSize = request.length;
  switch (path) {
    case '/etcdserverpb.KV/Range':
      decode(decodeRangeRequest, request);
      return {
        requestCount: 0,
        requestSize,
        responseCount: response === null ? 0 : decode(decodeRangeResponse, response).count,
        content: textFromWire('etcdserverpb.RangeRequest', request),
      };
    case '/etcdserverpb.KV/Put': {
      const content = putText(decode(decodePutRequest, request));
      return { requestCount: 1, requestSize, responseCount: 0, content };
    }
    case '/etcdserverpb.KV/DeleteRange':
      decode(decodeDeleteRangeRequest, request);
      return {
        requestCount: 0,
        requestSize,
        responseCount: response === null ? 0 : decode(decodeDeleteRangeResponse, response).deleted,
        content: textFromWire('etcdserverpb.DeleteRangeRequest', request),
      };
    case '/etcdserverpb.KV/Txn':
      return txnStats(request, response);
    default:
      return null;
  }
}

/** etcd: of the operations that were carried out. */
function txnStats(request: Uint8Array, response: Uint8Array | null): Stats {
  if (response === null) return { requestCount: 0, requestSize: 0, responseCount: 0, content: '' };
  const asked = decode(decodeTxnRequest, request);
  const { succeeded } = decode(decodeTxnResponse, response);
  const operations = succeeded ? asked.success : asked.failure;
  const sizes = operations.map((operation) => encode(encodeRequestOp, operation).length);
  return {
    requestCount: operations.length,
    requestSize: sizes.reduce((sum, size) => sum + size, 0),
    responseCount: 0,
    content: txnText(asked),
  };
}
