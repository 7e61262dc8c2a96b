/**
 * Counts per gRPC method. A method's handle is looked up once and then counts in plain fields.
 * Methods of the core services are shown from the start with every code at zero, so that rates and
 * error ratios exist before the first request.
 */

import { must } from '../assert.ts';
import {
  type Families,
  Histogram,
  histogramSamples,
  renderLabels,
  type Sample,
} from './instruments.ts';

export type GrpcType = 'unary' | 'client_stream' | 'server_stream' | 'bidi_stream';

export interface GrpcMethod {
  /** With its package: `etcdserverpb.KV`. */
  readonly service: string;
  readonly method: string;
  readonly type: GrpcType;
  /** False for methods that show up with their first use (lock, election). */
  readonly preset: boolean;
}

/** Texts of gRPC codes 0 to 16. */
const codeTexts = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
] as const;

const UNKNOWN_CODE = 2;
const labelNames = ['grpc_method', 'grpc_service', 'grpc_type'] as const;
const handlingBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export class GrpcMethodMetrics {
  started = 0;
  received = 0;
  sent = 0;
  readonly #handled = new Float64Array(codeTexts.length);
  readonly #handling: Histogram | null;

  constructor(extensive: boolean) {
    this.#handling = extensive ? new Histogram(handlingBounds) : null;
  }

  /** At the end of a call, for a stream at the end of the stream. */
  handled(code: number, seconds: number): void {
    const slot = code >= 0 && code < codeTexts.length ? code : UNKNOWN_CODE;
    this.#handled[slot] = (this.#handled[slot] as number) + 1;
    this.#handling?.observe(seconds);
  }

  handledWith(code: number): number {
    return this.#handled[code] ?? 0;
  }

  get handling(): Histogram | null {
    return this.#handling;
  }
}

export interface GrpcMetrics {
  /** A method that was passed to `createMetrics`. */
  readonly method: (service: string, method: string) => GrpcMethodMetrics;
}

interface Entry {
  readonly spec: GrpcMethod;
  readonly labels: string;
  readonly counts: GrpcMethodMetrics;
}

export function grpcMetrics(
  families: Families,
  methods: readonly GrpcMethod[],
  extensive: boolean,
): GrpcMetrics {
  const entries = new Map<string, Entry>();
  const sorted = [...methods].sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
  for (const spec of sorted) {
    const labels = renderLabels(labelNames, [spec.method, spec.service, spec.type]);
    const counts = new GrpcMethodMetrics(extensive);
    entries.set(`${spec.service}/${spec.method}`, { spec, labels, counts });
  }
  addTotals(families, entries);
  addHandled(families, entries);
  if (extensive) addHandling(families, entries);
  return {
    method: (service, method) =>
      must(entries.get(`${service}/${method}`), 'the method was listed').counts,
  };
}

function sortKey({ method, service, type }: GrpcMethod): string {
  return `${method}\xff${service}\xff${type}`;
}

function addTotals(families: Families, entries: ReadonlyMap<string, Entry>): void {
  const rows = [
    ['started', 'started', 'Total number of RPCs started on the server.'],
    ['msg_received', 'received', 'Total number of RPC stream messages received on the server.'],
    ['msg_sent', 'sent', 'Total number of gRPC stream messages sent by the server.'],
  ] as const;
  for (const [name, field, help] of rows) {
    families.add({
      name: `grpc_server_${name}_total`,
      help,
      type: 'counter',
      labelNames,
      samples: () =>
        shown(entries, ({ counts }) => counts[field] > 0).map(({ labels, counts }) => ({
          suffix: '',
          labels,
          value: counts[field],
        })),
    });
  }
}

function addHandled(families: Families, entries: ReadonlyMap<string, Entry>): void {
  const codes = codeTexts.map((text, code) => ({ text, code }));
  codes.sort((a, b) => (a.text < b.text ? -1 : 1));
  const samples = (): Sample[] =>
    codes.flatMap(({ text, code }) =>
      shown(entries, ({ counts }) => counts.handledWith(code) > 0).map(({ labels, counts }) => ({
        suffix: '',
        labels: `grpc_code="${text}",${labels}`,
        value: counts.handledWith(code),
      })),
    );
  families.add({
    name: 'grpc_server_handled_total',
    help: 'Total number of RPCs completed on the server, regardless of success or failure.',
    type: 'counter',
    labelNames: ['grpc_code', ...labelNames],
    samples,
  });
}

function addHandling(families: Families, entries: ReadonlyMap<string, Entry>): void {
  families.add({
    name: 'grpc_server_handling_seconds',
    help:
      'Histogram of response latency (seconds) of gRPC that had been application-level handled ' +
      'by the server.',
    type: 'histogram',
    labelNames,
    samples: () =>
      shown(entries, ({ counts }) => (counts.handling?.count ?? 0) > 0).flatMap(
        ({ labels, counts: { handling } }) =>
          handling === null ? [] : histogramSamples(labels, handling),
      ),
  });
}

function shown(entries: ReadonlyMap<string, Entry>, used: (entry: Entry) => boolean): Entry[] {
  return [...entries.values()].filter((entry) => entry.spec.preset || used(entry));
}
