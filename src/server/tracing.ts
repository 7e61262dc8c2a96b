/**
 * Distributed tracing behind etcd's flags: a span for every call that is sampled, and one for the
 * work that it asks for, as etcd exports them. A caller's trace goes on here when it says so.
 *
 * Without the flag there is no tracer, and calls do not come by. Spans wait in a bounded queue;
 * what does not fit is not exported, and no call ever waits for the collector.
 */

import type { Attributes, Scope, Span, SpanEvent } from '../codec/otlp.ts';
import { encodeTraces } from '../codec/otlp.ts';
import { DecodeError } from '../codec/wire.ts';
import type { Settings } from '../config/flags.ts';
import { Code, EtcdError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Log } from '../log.ts';
import { systemClock } from '../platform/clock.ts';
import { createOtlpExporter, type SpanExporter } from '../platform/otlp-exporter.ts';
import { systemRandom } from '../platform/random.ts';
import type { Clock, Random } from '../ports.ts';
import { bytesFromU64 } from '../u64.ts';
import type { Caller, Input, Output, StreamMethod, UnaryMethod } from './rpc.ts';
import type { RpcGate } from './rpc-gate.ts';
import { type Work, workOf } from './span-attributes.ts';

type Method = UnaryMethod | StreamMethod;

export interface TracerDeps {
  readonly config: Pick<
    Settings,
    | 'distributedTracingServiceName'
    | 'distributedTracingInstanceId'
    | 'distributedTracingSamplingRate'
  >;
  readonly exporter: SpanExporter;
  readonly clock: Pick<Clock, 'now' | 'monotonic'>;
  readonly random: Pick<Random, 'u64'>;
  readonly log: Log;
}

/** OpenTelemetry's defaults for a batch. */
const EXPORT_INTERVAL_MS = 5000;
const BATCH_SPANS = 512;
const EXPORT_TIMEOUT_MS = 10_000;
const RATE_MAX = 1_000_000;
/** The names under which etcd's spans are known. */
const WORK: Scope = { name: 'go.etcd.io/etcd', version: '' };
const CALLS: Scope = {
  name: 'go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc',
  version: '0.68.0',
};

type Told = Pick<Span, 'attributes' | 'events' | 'failure'>;
type OpenSpan = Omit<Span, 'endNs' | keyof Told>;

interface Context {
  readonly traceId: Uint8Array;
  readonly parentId: Uint8Array | null;
}

export class Tracer {
  readonly #deps: TracerDeps;
  readonly #resource: Attributes;
  /** Wall clock less monotonic clock, so that a span cannot end before it began. */
  readonly #epochMs: number;
  #waiting: Span[] = [];
  #exporting: Promise<void> | null = null;
  #nextExportMs: number;
  #hasFailed = false;

  constructor(deps: TracerDeps) {
    this.#deps = deps;
    const { distributedTracingServiceName: name, distributedTracingInstanceId: id } = deps.config;
    const service = ['service.name', name] as const;
    this.#resource = id === '' ? [service] : [['service.instance.id', id], service];
    this.#epochMs = deps.clock.now() - deps.clock.monotonic();
    this.#nextExportMs = deps.clock.monotonic() + EXPORT_INTERVAL_MS;
  }

  /** `null` when this call is not sampled. */
  call(method: Method, caller: Caller): CallSpan | null {
    const context = this.#sample(caller.metadata('traceparent'));
    return context === null ? null : new CallSpan(this, method, context);
  }

  open(kind: 'server' | 'internal', name: string, { traceId, parentId }: Context): OpenSpan {
    const spanId = bytesFromU64(this.#deps.random.u64());
    const scope = kind === 'server' ? CALLS : WORK;
    return { scope, kind, name, traceId, spanId, parentId, startNs: this.nowNs() };
  }

  end(span: OpenSpan, told: Told): void {
    if (this.#waiting.length >= limits.tracedSpansMax) return;
    this.#waiting.push({ ...span, ...told, endNs: this.nowNs() });
    if (this.#waiting.length >= BATCH_SPANS) this.#export();
  }

  nowNs(): bigint {
    const ms = this.#epochMs + this.#deps.clock.monotonic();
    const whole = Math.floor(ms);
    return BigInt(whole) * 1_000_000n + BigInt(Math.floor((ms - whole) * 1_000_000));
  }

  /** Called often with the monotonic time. */
  tick(nowMs: number): void {
    if (nowMs < this.#nextExportMs) return;
    this.#nextExportMs = nowMs + EXPORT_INTERVAL_MS;
    this.#export();
  }

  /** Exports what is left, as long as the collector takes it. */
  async close(): Promise<void> {
    await this.#exporting;
    this.#export();
    await this.#exporting;
    this.#deps.exporter.close();
  }

  #export(): void {
    if (this.#exporting !== null || this.#waiting.length === 0) return;
    const batch = this.#waiting.splice(0, BATCH_SPANS);
    this.#exporting = this.#send(batch).finally(() => {
      this.#exporting = null;
    });
  }

  async #send(batch: readonly Span[]): Promise<void> {
    const { exporter, log } = this.#deps;
    try {
      await exporter.export(encodeTraces(this.#resource, batch));
      this.#hasFailed = false;
    } catch (error) {
      // Once until it works again: a collector that is away must not fill the log.
      if (!this.#hasFailed) {
        const text = error instanceof Error ? error.message : String(error);
        log.warn('failed to export traces', { error: text, spans: batch.length });
      }
      this.#hasFailed = true;
    }
  }

  /** W3C trace context: who began the trace has decided. */
  #sample(traceparent: string | null): Context | null {
    const given = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/.exec(
      traceparent ?? '',
    );
    if (given !== null && !/^0+$/.test(given[1] ?? '') && !/^0+$/.test(given[2] ?? '')) {
      const isSampled = (Number.parseInt(given[3] ?? '', 16) & 1) === 1;
      if (!isSampled) return null;
      const [traceId, parentId] = [Buffer.from(given[1] ?? '', 'hex'), given[2] ?? ''];
      return { traceId, parentId: Buffer.from(parentId, 'hex') };
    }
    const rate = BigInt(this.#deps.config.distributedTracingSamplingRate);
    const low = this.#deps.random.u64();
    if ((low >> 1n) * BigInt(RATE_MAX) >= rate << 63n) return null;
    const high = bytesFromU64(this.#deps.random.u64());
    return { traceId: Buffer.concat([high, bytesFromU64(low)]), parentId: null };
  }
}

/** One call, with the work that it asks for below it. */
class CallSpan {
  readonly #tracer: Tracer;
  readonly #method: Method;
  readonly #name: string;
  readonly #span: OpenSpan;
  #ended = false;

  constructor(tracer: Tracer, method: Method, context: Context) {
    this.#tracer = tracer;
    this.#method = method;
    this.#name = `${method.service}/${method.name}`;
    this.#span = tracer.open('server', this.#name, context);
  }

  /** The span of one request; what it returns ends it. */
  work(request: Uint8Array): (() => void) | null {
    const work = this.#describe(request);
    if (work === null) return null;
    const { traceId, spanId: parentId } = this.#span;
    const span = this.#tracer.open('internal', work.name, { traceId, parentId });
    const sent: SpanEvent = { name: 'Send raft proposal', atNs: span.startNs };
    return () => {
      const received = { name: 'Receive raft result', atNs: this.#tracer.nowNs() };
      const events = work.isProposed ? [sent, received] : [];
      this.#tracer.end(span, { attributes: work.attributes, events, failure: null });
    };
  }

  end(code: Code, message: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#tracer.end(this.#span, {
      attributes: [
        ['rpc.method', this.#name],
        ['rpc.system.name', 'grpc'],
        ['rpc.response.status_code', CODE_NAMES[code] ?? String(code)],
      ],
      events: [],
      failure: SERVER_ERRORS.has(code) ? message : null,
    });
  }

  #describe(request: Uint8Array): Work | null {
    try {
      return workOf(this.#method.service, this.#method.name, request);
    } catch (error) {
      // The method will say so.
      if (error instanceof DecodeError) return null;
      throw error;
    }
  }
}

/** OpenTelemetry: the other codes are the caller's doing. */
const SERVER_ERRORS: ReadonlySet<Code> = new Set([
  Code.UNKNOWN,
  Code.DEADLINE_EXCEEDED,
  Code.UNIMPLEMENTED,
  Code.INTERNAL,
  Code.UNAVAILABLE,
  Code.DATA_LOSS,
]);

const CODE_NAMES: Readonly<Record<number, string>> = {
  ...Object.fromEntries(Object.entries(Code).map(([name, code]) => [code, name])),
  [Code.CANCELED]: 'CANCELLED',
};

/** `null` unless traces are wanted. */
export function openTracer(config: Settings, log: Log): Tracer | null {
  if (!config.enableDistributedTracing) return null;
  const address = config.distributedTracingAddress;
  log.debug('distributed tracing enabled', {
    address,
    'service-name': config.distributedTracingServiceName,
    'service-instance-id': config.distributedTracingInstanceId,
    'sampling-rate': config.distributedTracingSamplingRate,
  });
  const exporter = createOtlpExporter(address, EXPORT_TIMEOUT_MS);
  return new Tracer({ config, exporter, clock: systemClock, random: systemRandom, log });
}

/** The gate, with a span for every call that comes by and is sampled. */
export function traced(gate: RpcGate, tracer: Tracer): RpcGate {
  return {
    ...gate,
    unary(method, request, caller) {
      const span = tracer.call(method, caller);
      if (span === null) return gate.unary(method, request, caller);
      return tracedUnary(span, span.work(request), () => gate.unary(method, request, caller));
    },
    stream(method, caller, output) {
      const span = tracer.call(method, caller);
      if (span === null) return gate.stream(method, caller, output);
      // A keep-alive is done with its answer; other streams are done when they end.
      const answersEach = method.name === 'LeaseKeepAlive';
      const open = (seen: Output<Uint8Array>) => gate.stream(method, caller, seen);
      return tracedStream(span, { output, answersEach }, open);
    },
  };
}

function tracedUnary(
  span: CallSpan,
  endWork: (() => void) | null,
  call: () => Uint8Array | Promise<Uint8Array>,
): Uint8Array | Promise<Uint8Array> {
  const end = (code: Code, message: string): void => {
    endWork?.();
    span.end(code, message);
  };
  const succeed = (answer: Uint8Array): Uint8Array => {
    end(Code.OK, '');
    return answer;
  };
  const fail = (error: unknown): never => {
    end(codeOf(error), error instanceof Error ? error.message : '');
    throw error;
  };
  try {
    const answer = call();
    return answer instanceof Promise ? answer.then(succeed, fail) : succeed(answer);
  } catch (error) {
    return fail(error);
  }
}

function codeOf(error: unknown): Code {
  return error instanceof EtcdError ? error.code : Code.INTERNAL;
}

function tracedStream(
  span: CallSpan,
  { output, answersEach }: { readonly output: Output<Uint8Array>; readonly answersEach: boolean },
  open: (output: Output<Uint8Array>) => Input<Uint8Array>,
): Input<Uint8Array> {
  const works: (() => void)[] = [];
  const end = (code: Code, message: string): void => {
    for (const endWork of works.splice(0)) endWork();
    span.end(code, message);
  };
  const input = open({
    send(message) {
      if (answersEach) works.shift()?.();
      output.send(message);
    },
    get bufferedBytes() {
      return output.bufferedBytes;
    },
    onDrain: (fn) => output.onDrain(fn),
    end(error) {
      end(error?.code ?? Code.OK, error?.message ?? '');
      output.end(error);
    },
  });
  return {
    message(request) {
      const endWork = works.length < limits.tracedWorksMax ? span.work(request) : null;
      if (endWork !== null) works.push(endWork);
      input.message(request);
    },
    halfClose: () => input.halfClose(),
    close() {
      end(Code.CANCELED, '');
      input.close();
    },
  };
}
