/**
 * etcd's JSON gateway: the same methods as gRPC, called with transcoded bodies. Every route takes a
 * POST whose body is the request message; streams answer one JSON object per line.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { methodSchemas } from '../codec/gen/schema.ts';
import { jsonFromWire, wireFromJson } from '../codec/json.ts';
import { JsonSplitter } from '../codec/json-scanner.ts';
import type { MethodSchema } from '../codec/schema.ts';
import { DecodeError } from '../codec/wire.ts';
import { Code, EtcdError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Caller, Input, Method, Output, StreamMethod, UnaryMethod } from './rpc.ts';
import type { RpcGate } from './rpc-gate.ts';

export interface GatewayDeps {
  readonly methods: ReadonlyMap<string, Method>;
  readonly gate: RpcGate;
  readonly requestBytesMax: number;
  /** Hears of exceptions that are no answers; ends the member. */
  readonly onFatal: (error: unknown) => void;
}

/** gRPC code to HTTP status, as grpc-gateway v2 maps them. */
const HTTP_STATUS: Readonly<Record<number, number>> = {
  [Code.OK]: 200,
  [Code.CANCELED]: 499,
  [Code.UNKNOWN]: 500,
  [Code.INVALID_ARGUMENT]: 400,
  [Code.DEADLINE_EXCEEDED]: 504,
  [Code.NOT_FOUND]: 404,
  [Code.ALREADY_EXISTS]: 409,
  [Code.PERMISSION_DENIED]: 403,
  [Code.RESOURCE_EXHAUSTED]: 429,
  [Code.FAILED_PRECONDITION]: 400,
  [Code.ABORTED]: 409,
  [Code.OUT_OF_RANGE]: 400,
  [Code.UNIMPLEMENTED]: 501,
  [Code.INTERNAL]: 500,
  [Code.UNAVAILABLE]: 503,
  [Code.DATA_LOSS]: 500,
  [Code.UNAUTHENTICATED]: 401,
};

interface Route {
  readonly schema: MethodSchema;
  readonly method: Method;
}

export type Gateway = (path: string, request: IncomingMessage, response: ServerResponse) => void;

export function createGateway(deps: GatewayDeps): Gateway {
  const routes = new Map<string, Route>();
  for (const schema of methodSchemas) {
    const method = deps.methods.get(`/${schema.service}/${schema.name}`);
    if (method === undefined) continue;
    for (const path of schema.routes) routes.set(path, { schema, method });
  }
  return (path, request, response) => {
    const route = routes.get(path);
    if (route === undefined) {
      answerError(response, new EtcdError(Code.NOT_FOUND, 'Not Found'), 404);
    } else if (request.method !== 'POST') {
      answerError(response, new EtcdError(Code.UNIMPLEMENTED, 'Method Not Allowed'), 501);
    } else if (route.method.kind === 'unary') {
      answerUnary(deps, route.schema, route.method, request, response);
    } else {
      answerStream(deps, route.schema, route.method, request, response);
    }
  };
}

function answerUnary(
  deps: GatewayDeps,
  schema: MethodSchema,
  method: UnaryMethod,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const caller = new HttpCaller(request, response);
  const fail = (error: unknown): void => {
    const told = toldError(error);
    if (told === null) deps.onFatal(error);
    else answerError(response, told);
  };
  readBody(deps, request, (error, body) => {
    if (error !== null) return fail(error);
    try {
      const answer = deps.gate.unary(method, wireFromJson(schema.request, body), caller);
      if (answer instanceof Promise) {
        answer.then((bytes) => answerJson(response, jsonFromWire(schema.response, bytes)), fail);
      } else {
        answerJson(response, jsonFromWire(schema.response, answer));
      }
    } catch (thrown) {
      fail(thrown);
    }
  });
}

function answerJson(response: ServerResponse, text: string): void {
  if (response.destroyed) return;
  response.writeHead(200, {
    'Content-Type': 'application/json',
    'Grpc-Metadata-Content-Type': 'application/grpc',
    'Content-Length': Buffer.byteLength(text),
  });
  response.end(text);
}

function answerError(response: ServerResponse, error: EtcdError, status?: number): void {
  if (response.destroyed || response.headersSent) return;
  const text = JSON.stringify(errorBody(error));
  const headers: Record<string, string | number> = {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
  };
  if (error.code === Code.UNAUTHENTICATED) headers['WWW-Authenticate'] = error.message;
  response.writeHead(status ?? HTTP_STATUS[error.code] ?? 500, headers);
  response.end(text);
}

/** The union of what the gateways of 3.4 to 3.7 answer; clients of every age find their key. */
function errorBody({ code, message }: EtcdError): object {
  return { error: message, code, message };
}

/** `null` for what no client may be told: a bug, which ends the member. */
function toldError(error: unknown): EtcdError | null {
  if (error instanceof EtcdError) return error;
  if (error instanceof DecodeError) return new EtcdError(Code.INVALID_ARGUMENT, error.message);
  return null;
}

function readBody(
  deps: GatewayDeps,
  request: IncomingMessage,
  done: (error: EtcdError | null, body: string) => void,
): void {
  const bytesMax = 2 * deps.requestBytesMax + limits.jsonOverheadBytes;
  const chunks: Buffer[] = [];
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= bytesMax) chunks.push(chunk);
    else chunks.length = 0;
  });
  request.on('end', () => {
    if (bytes <= bytesMax) return done(null, Buffer.concat(chunks).toString('utf8'));
    const text = `grpc: received message larger than max (${bytes} vs. ${bytesMax})`;
    done(new EtcdError(Code.RESOURCE_EXHAUSTED, text), '');
  });
}

/** Requests are the JSON values of the body; every answer is a line. */
function answerStream(
  deps: GatewayDeps,
  schema: MethodSchema,
  method: StreamMethod,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const output = new HttpOutput(schema, response);
  let input: Input<Uint8Array> | null = null;
  let over = false;
  const close = (): void => {
    if (over) return;
    over = true;
    input?.close();
  };
  const guard = (step: () => void): void => {
    if (over) return;
    try {
      step();
    } catch (error) {
      const told = toldError(error);
      if (told === null) return deps.onFatal(error);
      // etcd: an undecodable value ends the requests, not the answers.
      if (error instanceof DecodeError && method.kind === 'bidi') input?.halfClose();
      else output.end(told);
    }
  };
  response.on('close', close);
  guard(() => {
    input = deps.gate.stream(method, new HttpCaller(request, response), output);
  });
  const splitter = new JsonSplitter(2 * deps.requestBytesMax + limits.jsonOverheadBytes);
  const take = (text: string): void => {
    guard(() => input?.message(wireFromJson(schema.request, text)));
  };
  let messages = 0;
  request.setEncoding('utf8');
  request.on('data', (chunk: string) =>
    guard(() => {
      for (const value of splitter.push(chunk)) {
        messages++;
        take(value);
      }
    }),
  );
  request.on('end', () => {
    const rest = splitter.end();
    if (rest !== null) take(rest);
    else if (messages === 0 && method.kind === 'server-stream') take('');
    guard(() => input?.halfClose());
  });
}

class HttpOutput implements Output<Uint8Array> {
  readonly #schema: MethodSchema;
  readonly #response: ServerResponse;
  #ended = false;

  constructor(schema: MethodSchema, response: ServerResponse) {
    this.#schema = schema;
    this.#response = response;
  }

  get bufferedBytes(): number {
    return this.#response.writableLength;
  }

  send(message: Uint8Array): void {
    if (this.#ended || this.#response.destroyed) return;
    this.#start();
    this.#response.write(`{"result":${jsonFromWire(this.#schema.response, message)}}\n`);
  }

  onDrain(fn: () => void): void {
    this.#response.once('drain', fn);
  }

  end(error: EtcdError | null): void {
    if (this.#ended || this.#response.destroyed) return;
    this.#ended = true;
    if (error === null) {
      this.#start();
      this.#response.end();
      return;
    }
    if (!this.#response.headersSent) {
      const headers = { 'Content-Type': 'application/json' };
      this.#response.writeHead(HTTP_STATUS[error.code] ?? 500, headers);
    }
    this.#response.end(`${JSON.stringify({ error: streamErrorBody(error) })}\n`);
  }

  #start(): void {
    if (this.#response.headersSent) return;
    this.#response.writeHead(200, {
      'Content-Type': 'application/json',
      'Grpc-Metadata-Content-Type': 'application/grpc',
    });
  }
}

/** As in `errorBody`, with the names that 3.4 and 3.5 use inside a stream. */
function streamErrorBody({ code, message }: EtcdError): object {
  return { code, message, grpc_code: code, http_code: HTTP_STATUS[code] ?? 500 };
}

/** grpc-gateway: these headers keep their name, `Grpc-Metadata-X` becomes `x`. */
class HttpCaller implements Caller {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.#request = request;
    this.#response = response;
  }

  get cancelled(): boolean {
    return this.#response.destroyed;
  }

  metadata(name: string): string | null {
    const { headers } = this.#request;
    const value = name === 'authorization' ? headers[name] : headers[`grpc-metadata-${name}`];
    return (Array.isArray(value) ? value[0] : value) ?? null;
  }

  onCancel(fn: () => void): () => void {
    const listener = (): void => {
      if (!this.#response.writableFinished) fn();
    };
    this.#response.once('close', listener);
    return () => this.#response.off('close', listener);
  }
}
