/**
 * etcd's lines about requests that took too long, or could not be applied. Whether one did costs a
 * comparison; everything else is found out for those that did.
 */

import {
  encodeRangeRequest,
  encodeRangeResponse,
  encodeTxnResponse,
  type RangeRequest,
  type ResponseHeader,
  type TxnRequest,
} from '../codec/gen/etcdserverpb.ts';
import { raftRequestText, txnText } from '../codec/request-text.ts';
import { textFromWire } from '../codec/text.ts';
import { encode } from '../codec/wire.ts';
import { goDuration } from '../duration.ts';
import { EtcdError, errors } from '../errors.ts';
import type { Log } from '../log.ts';
import type { RangeResult } from '../mvcc/range.ts';
import type { Entry } from '../raft/messages.ts';
import type { TxnOutcome } from '../replica/outcome.ts';
import type { Applied } from '../replica/state-machine.ts';
import { isV2Request } from '../replica/v2-request.ts';
import { appliedErrorText } from './applied-errors.ts';
import { appliedSizeText, revisionHeader } from './applied-size.ts';

export interface SlowRequestsOptions {
  readonly log: Log;
  /** etcd: --warning-apply-duration. */
  readonly limitMs: number;
  /** Counts one that was too slow. */
  readonly slow: () => void;
}

interface Slow {
  readonly ms: number;
  readonly prefix: string;
  readonly request: string;
  readonly response: string;
  readonly error: EtcdError | null;
}

export class SlowRequests {
  readonly #options: SlowRequestsOptions;
  /** A header as of now; unknown until the member has begun. */
  header: () => ResponseHeader = () => revisionHeader(0);

  constructor(options: SlowRequestsOptions) {
    this.#options = options;
  }

  applied({ kind, result }: Applied, entry: Entry, seconds: number): void {
    const ms = seconds * 1000;
    const error = result instanceof EtcdError ? result : null;
    // etcd: a compaction that is too late does no harm.
    const isFailed = error !== null && error !== errors.compacted;
    const isSlow = ms > this.#options.limitMs;
    if (!isSlow && !isFailed) return;
    const request = isV2Request(entry.data) ? '' : raftRequestText(entry.data);
    const response = appliedSizeText(kind, result, this.header());
    if (isSlow) this.#tell({ ms, prefix: '', request, response, error });
    if (!isFailed) return;
    this.#options.log.warn('failed to apply request', {
      took: goDuration(ms),
      request,
      response,
      error: appliedErrorText(error),
    });
  }

  rangeRead(request: RangeRequest, found: RangeResult | EtcdError, ms: number): void {
    if (ms <= this.#options.limitMs) return;
    const isError = found instanceof EtcdError;
    this.#tell({
      ms,
      prefix: 'read-only range ',
      request: rangeText(request),
      response: isError ? '' : rangeSize(found),
      error: isError ? found : null,
    });
  }

  txnRead(request: TxnRequest, outcome: TxnOutcome | EtcdError, ms: number): void {
    if (ms <= this.#options.limitMs) return;
    const isError = outcome instanceof EtcdError;
    this.#tell({
      ms,
      prefix: 'read-only txn ',
      request: txnText(request),
      response: isError ? '' : txnSize(outcome),
      error: isError ? outcome : null,
    });
  }

  #tell({ ms, prefix, request, response, error }: Slow): void {
    const { log, limitMs, slow } = this.#options;
    log.warn('apply request took too long', {
      took: goDuration(ms),
      'expected-duration': goDuration(limitMs),
      prefix,
      request,
      response,
      error: error === null ? undefined : appliedErrorText(error),
    });
    slow();
  }
}

export function rangeText(request: RangeRequest): string {
  return textFromWire('etcdserverpb.RangeRequest', encode(encodeRangeRequest, request));
}

function rangeSize({ kvs, more, count, revision }: RangeResult): string {
  const response = { header: revisionHeader(revision), kvs, more, count };
  return `range_response_count:${kvs.length} size:${encode(encodeRangeResponse, response).length}`;
}

function txnSize({ revision, succeeded, responses }: TxnOutcome): string {
  const counts = responses.flatMap(({ response }) =>
    response?.case === 'responseRange' ? [`range_response_count:${response.value.kvs.length}`] : [],
  );
  const whole = { header: revisionHeader(revision), succeeded, responses };
  return `responses:<${counts.join(' ')}> size:${encode(encodeTxnResponse, whole).length}`;
}
