/**
 * gRPC's health service. etcd knows one service, the empty name, which serves from the start: it
 * would stop only for a defragmentation, and ours does not stop the member.
 */

import {
  decodeHealthCheckRequest,
  decodeHealthListRequest,
  encodeHealthCheckResponse,
  encodeHealthListResponse,
  ServingStatus,
} from '../codec/grpc-health.ts';
import { Code, EtcdError } from '../errors.ts';
import { type Method, serverStream, unary } from './rpc.ts';

const SERVICE = 'grpc.health.v1.Health';
const SERVING = { status: ServingStatus.SERVING };
const unknownService = new EtcdError(Code.NOT_FOUND, 'unknown service');

export function grpcHealthMethods(): readonly Method[] {
  const check = { decode: decodeHealthCheckRequest, encode: encodeHealthCheckResponse };
  const list = { decode: decodeHealthListRequest, encode: encodeHealthListResponse };
  return [
    unary(SERVICE, 'Check', check, ({ service }) => {
      if (service !== '') throw unknownService;
      return SERVING;
    }),
    unary(SERVICE, 'List', list, () => ({ statuses: new Map([['', SERVING]]) })),
    // The state never changes: each watcher hears it once and stays until it leaves.
    serverStream(SERVICE, 'Watch', check, ({ service }, _caller, output) => {
      output.send(service === '' ? SERVING : { status: ServingStatus.SERVICE_UNKNOWN });
    }),
  ];
}
