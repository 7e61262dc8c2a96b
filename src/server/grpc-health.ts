/**
 * gRPC's health service. etcd knows one service, the empty name, which serves from the start; with
 * the feature gate `StopGRPCServiceOnDefrag` it says that it does not while a defragmentation runs.
 */

import {
  decodeHealthCheckRequest,
  decodeHealthListRequest,
  encodeHealthCheckResponse,
  encodeHealthListResponse,
  type HealthCheckResponse,
  ServingStatus,
} from '../codec/grpc-health.ts';
import { Code, EtcdError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Stop } from '../ports.ts';
import { type Method, serverStream, unary } from './rpc.ts';

const SERVICE = 'grpc.health.v1.Health';
const SERVING: HealthCheckResponse = { status: ServingStatus.SERVING };
const NOT_SERVING: HealthCheckResponse = { status: ServingStatus.NOT_SERVING };
const unknownService = new EtcdError(Code.NOT_FOUND, 'unknown service');

/** etcd: the service without a name stands for all, and only the end of serving has a reason. */
export function logServingStatus(log: Log, status: 'SERVING' | 'NOT_SERVING', reason = ''): void {
  const fields = { service: '', status };
  const text = 'grpc service status changed';
  if (reason === '') log.info(text, fields);
  else log.warn(text, { ...fields, reason });
}

/** Whether the member says that it serves, and who wants to hear of a change. */
export class Serving {
  #isServing = true;
  readonly #watchers = new Set<(response: HealthCheckResponse) => void>();

  get response(): HealthCheckResponse {
    return this.#isServing ? SERVING : NOT_SERVING;
  }

  set(isServing: boolean): void {
    if (isServing === this.#isServing) return;
    this.#isServing = isServing;
    for (const watcher of this.#watchers) watcher(this.response);
  }

  watch(watcher: (response: HealthCheckResponse) => void): Stop {
    this.#watchers.add(watcher);
    watcher(this.response);
    return () => this.#watchers.delete(watcher);
  }
}

export function grpcHealthMethods(serving = new Serving()): readonly Method[] {
  const check = { decode: decodeHealthCheckRequest, encode: encodeHealthCheckResponse };
  const list = { decode: decodeHealthListRequest, encode: encodeHealthListResponse };
  return [
    unary(SERVICE, 'Check', check, ({ service }) => {
      if (service !== '') throw unknownService;
      return serving.response;
    }),
    unary(SERVICE, 'List', list, () => ({ statuses: new Map([['', serving.response]]) })),
    // Each watcher hears the state, then every change, and stays until it leaves.
    serverStream(SERVICE, 'Watch', check, ({ service }, caller, output) => {
      if (service !== '') output.send({ status: ServingStatus.SERVICE_UNKNOWN });
      else caller.onCancel(serving.watch((response) => output.send(response)));
    }),
  ];
}
