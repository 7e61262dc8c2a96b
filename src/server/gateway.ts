/**
 * etcd's JSON gateway: the same methods as gRPC, called with transcoded bodies. Every route takes a
 * POST whose body is the request message. This file finds the route and answers unary methods;
 * streams are in `gateway-stream.ts`.
 */

import { methodSchemas } from '../codec/gen/schema.ts';
import { jsonFromWire } from '../codec/json.ts';
import type { MethodSchema } from '../codec/schema.ts';
import { Code, EtcdError, errors } from '../errors.ts';
import { toldError } from './gateway-errors.ts';
import { requestFromJson, textBytesMax } from './gateway-request.ts';
import {
  answerBidi,
  answerServerStream,
  JsonRequests,
  JsonStream,
  type LineSink,
  type StreamDeps,
} from './gateway-stream.ts';
import { grpcTimeoutMs, HttpCaller } from './http-caller.ts';
import { Deadlines } from './http-deadlines.ts';
import { answerError, answerJson, type Exchange, readBody } from './http-exchange.ts';
import type { Caller, Method, UnaryMethod } from './rpc.ts';

export interface GatewayDeps extends Omit<StreamDeps, 'deadlines'> {
  readonly methods: ReadonlyMap<string, Method>;
}

interface Route {
  readonly schema: MethodSchema;
  readonly method: Method;
}

export interface Gateway {
  answer(path: string, exchange: Exchange): void;
  /** Opens a stream whose requests come as text; `null` when there is none on that path. */
  open(path: string, caller: Caller, sink: LineSink): JsonRequests | null;
  /** Whether `open` would find one. */
  canOpen(path: string): boolean;
  /** Bytes that the text of one request may have. */
  readonly textBytesMax: number;
  /** Called often with the monotonic time; ends the calls whose deadline has passed. */
  tick(nowMs: number): void;
}

export function createGateway(given: GatewayDeps): Gateway {
  const deadlines = new Deadlines(given.monotonic);
  const deps = { ...given, deadlines };
  const routes = new Map<string, Route>();
  for (const schema of methodSchemas) {
    const method = deps.methods.get(`/${schema.service}/${schema.name}`);
    if (method === undefined) continue;
    for (const path of schema.routes) routes.set(path, { schema, method });
  }
  return {
    textBytesMax: textBytesMax(deps.requestBytesMax),
    tick: (nowMs) => deadlines.tick(nowMs),
    canOpen: (path) => routes.get(path)?.method.kind === 'bidi',
    open(path, caller, sink) {
      const route = routes.get(path);
      if (route === undefined || route.method.kind !== 'bidi') return null;
      const stream = new JsonStream(deps, route.schema, route.method, caller, sink);
      return new JsonRequests(deps, route.schema, stream);
    },
    answer(path, exchange) {
      const route = routes.get(path);
      if (route === undefined) return answerError(exchange, NOT_FOUND);
      const { request } = exchange;
      if (request.method !== 'POST') return answerError(exchange, METHOD_NOT_ALLOWED);
      const timeoutMs = grpcTimeoutMs(request);
      if (timeoutMs instanceof EtcdError) return answerError(exchange, timeoutMs);
      const { method, schema } = route;
      switch (method.kind) {
        case 'unary':
          return answerUnary(deps, schema, method, exchange, timeoutMs);
        case 'server-stream':
          return answerServerStream(deps, schema, method, exchange, timeoutMs);
        case 'bidi':
          return answerBidi(deps, schema, method, exchange, timeoutMs);
      }
    },
  };
}

const NOT_FOUND = new EtcdError(Code.NOT_FOUND, 'Not Found');
const METHOD_NOT_ALLOWED = new EtcdError(Code.UNIMPLEMENTED, 'Method Not Allowed');

function answerUnary(
  deps: StreamDeps,
  schema: MethodSchema,
  method: UnaryMethod,
  exchange: Exchange,
  timeoutMs: number | null,
): void {
  const caller = new HttpCaller(exchange.request);
  const { observer } = deps;
  let asked: { readonly request: Uint8Array; readonly ms: number } | null = null;
  const handled = (code: Code, response: Uint8Array | null): void => {
    if (asked === null) return;
    const ms = deps.monotonic() - asked.ms;
    observer.handled(method, code, ms / 1000);
    if (ms <= observer.stats.limitMs) return;
    const { request } = asked;
    observer.stats.tell({ method, request, response, ms, remote: caller.address });
  };
  const fail = (error: unknown): void => {
    const told = toldError(error);
    if (told === null) return deps.onFatal(error);
    handled(told.code, null);
    answerError(exchange, told);
  };
  const answer = (bytes: Uint8Array): void => {
    observer.sent(method, bytes.length);
    handled(Code.OK, bytes);
    try {
      answerJson(exchange, jsonFromWire(schema.response, bytes));
    } catch (error) {
      deps.onFatal(error);
    }
  };
  deps.deadlines.add(timeoutMs, exchange.response, () => {
    answerError(exchange, errors.deadlineExceeded);
    caller.cancel();
  });
  readBody(deps.requestBytesMax, exchange.request, (body) => {
    if (caller.cancelled) return;
    try {
      const message = requestFromJson(deps, schema, body);
      asked = { request: message, ms: deps.monotonic() };
      observer.started(method, caller.metadata('client-api-version'));
      observer.received(method, message.length);
      const answered = deps.gate.unary(method, message, caller);
      if (answered instanceof Promise) answered.then(answer, fail);
      else answer(answered);
    } catch (error) {
      fail(error);
    }
  });
}
