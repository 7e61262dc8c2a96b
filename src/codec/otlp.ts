/**
 * Spans in OpenTelemetry's wire form (`opentelemetry.proto.collector.trace.v1`), as far as this
 * server writes them. It is never read here.
 */

import { encode, type Writer } from './wire.ts';

export type AttributeValue = string | bigint | boolean;
export type Attributes = readonly (readonly [name: string, value: AttributeValue])[];

export interface SpanEvent {
  readonly name: string;
  readonly atNs: bigint;
}

export interface Span {
  readonly scope: Scope;
  /** 16 bytes. */
  readonly traceId: Uint8Array;
  /** 8 bytes. */
  readonly spanId: Uint8Array;
  readonly parentId: Uint8Array | null;
  readonly name: string;
  readonly kind: 'internal' | 'server';
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly attributes: Attributes;
  readonly events: readonly SpanEvent[];
  /** The text of an error of the server's; `null` when it is none. */
  readonly failure: string | null;
}

export interface Scope {
  readonly name: string;
  readonly version: string;
}

const KINDS = { internal: 1, server: 2 } as const;
/** Sampled, and known whether the parent is elsewhere. */
const FLAGS_LOCAL = 0x101;
const FLAGS_REMOTE = 0x301;
const STATUS_ERROR = 2;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;

/** An ExportTraceServiceRequest. */
export function encodeTraces(resource: Attributes, spans: readonly Span[]): Uint8Array {
  return encode((w) => {
    message(w, 1, () => {
      message(w, 1, () => attributes(w, 1, resource));
      for (const [scope, own] of byScope(spans)) {
        message(w, 2, () => {
          message(w, 1, () => {
            text(w, 1, scope.name);
            if (scope.version !== '') text(w, 2, scope.version);
          });
          for (const span of own) message(w, 2, () => encodeSpan(w, span));
        });
      }
    });
  }, null);
}

function byScope(spans: readonly Span[]): ReadonlyMap<Scope, readonly Span[]> {
  const scopes = new Map<Scope, Span[]>();
  for (const span of spans) {
    const own = scopes.get(span.scope);
    if (own === undefined) scopes.set(span.scope, [span]);
    else own.push(span);
  }
  return scopes;
}

function encodeSpan(w: Writer, span: Span): void {
  bytes(w, 1, span.traceId);
  bytes(w, 2, span.spanId);
  if (span.parentId !== null) bytes(w, 4, span.parentId);
  text(w, 5, span.name);
  w.uint32(6 << 3);
  w.uint32(KINDS[span.kind]);
  fixed64(w, 7, span.startNs);
  fixed64(w, 8, span.endNs);
  attributes(w, 9, span.attributes);
  for (const event of span.events) {
    message(w, 11, () => {
      fixed64(w, 1, event.atNs);
      text(w, 2, event.name);
    });
  }
  message(w, 15, () => {
    if (span.failure === null) return;
    text(w, 2, span.failure);
    w.uint32(3 << 3);
    w.uint32(STATUS_ERROR);
  });
  const flags = Buffer.alloc(4);
  flags.writeUInt32LE(span.kind === 'server' ? FLAGS_REMOTE : FLAGS_LOCAL);
  w.uint32((16 << 3) | FIXED32);
  w.raw(flags);
}

function attributes(w: Writer, field: number, list: Attributes): void {
  for (const [name, value] of list) {
    message(w, field, () => {
      text(w, 1, name);
      message(w, 2, () => attributeValue(w, value));
    });
  }
}

function attributeValue(w: Writer, value: AttributeValue): void {
  if (typeof value === 'string') return text(w, 1, value);
  if (typeof value === 'boolean') {
    w.uint32(2 << 3);
    return w.bool(value);
  }
  w.uint32(3 << 3);
  w.int64Exact(value);
}

function message(w: Writer, field: number, body: () => void): void {
  w.uint32((field << 3) | LENGTH);
  const start = w.open();
  body();
  w.close(start);
}

function text(w: Writer, field: number, value: string): void {
  w.uint32((field << 3) | LENGTH);
  w.string(value);
}

function bytes(w: Writer, field: number, value: Uint8Array): void {
  w.uint32((field << 3) | LENGTH);
  w.bytes(value);
}

function fixed64(w: Writer, field: number, value: bigint): void {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(value);
  w.uint32((field << 3) | FIXED64);
  w.raw(buffer);
}
