/** gRPC as one way to call the methods: calls of the HTTP/2 transport in, answers out. */

import { DecodeError } from '../codec/wire.ts';
import { Code, EtcdError } from '../errors.ts';
import type { GrpcCall } from './h2/grpc-call.ts';
import type { RequestStats } from './request-stats.ts';
import type { Caller, Input, Method, Output, StreamMethod, UnaryMethod } from './rpc.ts';
import type { RpcGate } from './rpc-gate.ts';

/** Counts per method. */
export interface GrpcObserver {
  started(method: Method, clientApiVersion: string | null): void;
  received(method: Method, bytes: number): void;
  sent(method: Method, bytes: number): void;
  handled(method: Method, code: Code, seconds: number): void;
  readonly stats: Pick<RequestStats, 'limitMs' | 'tell'>;
  /** A stream got what is no message of its kind. */
  receiveFailed(method: Method): void;
}

export interface GrpcDeps {
  readonly methods: ReadonlyMap<string, Method>;
  readonly gate: RpcGate;
  readonly observer: GrpcObserver;
  readonly monotonic: () => number;
  readonly onFatal: (error: unknown) => void;
}

export function createGrpc(deps: GrpcDeps): (call: GrpcCall) => void {
  return (call) => {
    const method = deps.methods.get(call.path);
    if (method === undefined) return refuseUnknown(deps, call);
    deps.observer.started(method, call.metadata.get('client-api-version') ?? null);
    if (method.kind === 'unary') serveUnary(deps, method, call);
    else serveStream(deps, method, call);
  };
}

function refuseUnknown({ methods }: GrpcDeps, call: GrpcCall): void {
  const [, service = '', name = ''] = /^\/(.*)\/([^/]*)$/.exec(call.path) ?? [];
  const known = [...methods.keys()].some((path) => path.startsWith(`/${service}/`));
  const text = known
    ? `unknown method ${name} for service ${service}`
    : `unknown service ${service}`;
  call.end(Code.UNIMPLEMENTED, service === '' ? `malformed method name: "${call.path}"` : text);
}

/** What the client is told; `null` for a bug, which ends the member instead. */
function toldError(error: unknown, unaryRequest: boolean): EtcdError | null {
  if (error instanceof EtcdError) return error;
  if (!(error instanceof DecodeError)) return null;
  const prefix = unaryRequest
    ? 'grpc: error unmarshalling request'
    : 'grpc: failed to unmarshal the received message';
  return new EtcdError(Code.INTERNAL, `${prefix}: ${error.message}`);
}

function serveUnary(deps: GrpcDeps, method: UnaryMethod, call: GrpcCall): void {
  const started = deps.monotonic();
  let answered = false;
  let asked: Uint8Array | null = null;
  const finish = (code: Code, message: string, response: Uint8Array | null = null): void => {
    const ms = deps.monotonic() - started;
    deps.observer.handled(method, code, ms / 1000);
    if (ms > deps.observer.stats.limitMs && asked !== null) {
      deps.observer.stats.tell({ method, request: asked, response, ms, remote: call.peer });
    }
    answered = true;
    if (code !== Code.OK && !call.cancelled) call.end(code, message);
  };
  const fail = (error: unknown): void => {
    const told = toldError(error, true);
    if (told === null) deps.onFatal(error);
    else finish(told.code, told.message);
  };
  const answer = (response: Uint8Array): void => {
    if (!call.cancelled) {
      deps.observer.sent(method, response.length);
      call.reply(response);
    }
    finish(Code.OK, '', response);
  };
  const caller = new GrpcCaller(call);
  call.truncatedCode = Code.UNKNOWN;
  call.onCancel = () => caller.cancel();
  call.onMessage = (request) => {
    if (asked !== null) return;
    asked = request;
    deps.observer.received(method, request.length);
    try {
      const response = deps.gate.unary(method, request, caller);
      if (response instanceof Promise) response.then(answer, fail);
      else answer(response);
    } catch (error) {
      fail(error);
    }
  };
  call.onHalfClose = () => {
    if (asked === null && !answered) finish(Code.UNKNOWN, 'EOF');
  };
}

function serveStream(deps: GrpcDeps, method: StreamMethod, call: GrpcCall): void {
  const started = deps.monotonic();
  const caller = new GrpcCaller(call);
  let input: Input<Uint8Array> | null = null;
  let over = false;
  const close = (code: Code): void => {
    if (over) return;
    over = true;
    deps.observer.handled(method, code, (deps.monotonic() - started) / 1000);
    input?.close();
  };
  const output = new GrpcOutput(deps, method, call, close);
  const guard = (step: () => void): void => {
    try {
      step();
    } catch (error) {
      const told = toldError(error, false);
      if (error instanceof DecodeError) deps.observer.receiveFailed(method);
      if (told === null) deps.onFatal(error);
      else output.end(told);
    }
  };
  call.onCancel = () => {
    caller.cancel();
    close(Code.CANCELED);
  };
  call.onDrain = () => output.drained();
  call.onMessage = (request) => {
    deps.observer.received(method, request.length);
    if (!over) guard(() => input?.message(request));
  };
  call.onHalfClose = () => {
    if (!over) guard(() => input?.halfClose());
  };
  guard(() => {
    const opened = deps.gate.stream(method, caller, output);
    // The method may have ended the stream at once.
    if (over) opened.close();
    else input = opened;
  });
}

class GrpcOutput implements Output<Uint8Array> {
  readonly #deps: GrpcDeps;
  readonly #method: Method;
  readonly #call: GrpcCall;
  readonly #onEnd: (code: Code) => void;
  #onDrain: (() => void)[] = [];
  #ended = false;

  constructor(deps: GrpcDeps, method: Method, call: GrpcCall, onEnd: (code: Code) => void) {
    this.#deps = deps;
    this.#method = method;
    this.#call = call;
    this.#onEnd = onEnd;
  }

  get bufferedBytes(): number {
    return this.#call.bufferedBytes;
  }

  send(message: Uint8Array): void {
    if (this.#ended || this.#call.cancelled) return;
    this.#deps.observer.sent(this.#method, message.length);
    this.#call.send(message);
  }

  onDrain(fn: () => void): void {
    this.#onDrain.push(fn);
  }

  drained(): void {
    const waiting = this.#onDrain;
    this.#onDrain = [];
    for (const fn of waiting) fn();
  }

  end(error: EtcdError | null): void {
    if (this.#ended) return;
    this.#ended = true;
    const code = error?.code ?? Code.OK;
    if (!this.#call.cancelled) this.#call.end(code, error?.message ?? '');
    this.#onEnd(code);
  }
}

class GrpcCaller implements Caller {
  readonly overGateway = false;
  readonly #call: GrpcCall;
  #onCancel: Set<() => void> | null = null;

  constructor(call: GrpcCall) {
    this.#call = call;
  }

  get cancelled(): boolean {
    return this.#call.cancelled;
  }

  get address(): string {
    return this.#call.peer;
  }

  metadata(name: string): string | null {
    return this.#call.metadata.get(name) ?? null;
  }

  get commonName(): string {
    // etcd: a call that says that it comes through a gateway is not its client's own.
    return this.#call.metadata.has('grpcgateway-accept') ? '' : this.#call.commonName;
  }

  onCancel(fn: () => void): () => void {
    this.#onCancel ??= new Set();
    this.#onCancel.add(fn);
    return () => this.#onCancel?.delete(fn);
  }

  cancel(): void {
    const waiting = this.#onCancel;
    this.#onCancel = null;
    if (waiting !== null) for (const fn of waiting) fn();
  }
}
