/**
 * The messages of gRPC's own health service, which is no part of etcd's protos
 * (grpc.health.v1): three small shapes, written by hand.
 */

import type { Reader, Writer } from './wire.ts';

export const ServingStatus = { SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } as const;

export interface HealthCheckRequest {
  readonly service: string;
}

export interface HealthCheckResponse {
  readonly status: number;
}

export interface HealthListResponse {
  readonly statuses: ReadonlyMap<string, HealthCheckResponse>;
}

export function decodeHealthCheckRequest(r: Reader): HealthCheckRequest {
  let service = '';
  while (!r.done) {
    const tag = r.tag();
    if (tag === 10) service = r.string();
    else r.discard(tag);
  }
  return { service };
}

/** HealthListRequest has no fields. */
export function decodeHealthListRequest(r: Reader): null {
  while (!r.done) r.discard(r.tag());
  return null;
}

export function encodeHealthCheckResponse(w: Writer, { status }: HealthCheckResponse): void {
  if (status === 0) return;
  w.uint32(8);
  w.int64(status);
}

/** A map entry carries key and value even when they are empty. */
export function encodeHealthListResponse(w: Writer, { statuses }: HealthListResponse): void {
  for (const [service, response] of statuses) {
    w.uint32(10);
    const entry = w.open();
    w.uint32(10);
    w.string(service);
    w.uint32(18);
    const value = w.open();
    encodeHealthCheckResponse(w, response);
    w.close(value);
    w.close(entry);
  }
}
