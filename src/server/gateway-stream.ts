/**
 * Streams over the JSON gateway: requests are the JSON values of the body, and every answer is a
 * line of its own, in a chunk of its own.
 */

import { jsonFromWire } from '../codec/json.ts';
import { JsonSplitter } from '../codec/json-splitter.ts';
import type { MethodSchema } from '../codec/schema.ts';
import { DecodeError } from '../codec/wire.ts';
import { Code, type EtcdError, errors } from '../errors.ts';
import { httpStatus, streamErrorBody, toldError } from './gateway-errors.ts';
import { requestFromJson, textBytesMax } from './gateway-request.ts';
import type { GrpcObserver } from './grpc.ts';
import { HttpCaller } from './http-caller.ts';
import type { Deadlines } from './http-deadlines.ts';
import { answerError, type Exchange, JSON_TYPE, readBody } from './http-exchange.ts';
import type { Caller, Input, Output, StreamMethod } from './rpc.ts';
import type { RpcGate } from './rpc-gate.ts';

export interface StreamDeps {
  readonly gate: RpcGate;
  readonly requestBytesMax: number;
  readonly deadlines: Deadlines;
  /** etcd: a call of the gateway is a gRPC call, and counts as one. */
  readonly observer: GrpcObserver;
  readonly monotonic: () => number;
  /** Hears of exceptions that are no answers; ends the member. */
  readonly onFatal: (error: unknown) => void;
}

/** Where the lines of a stream go. */
export interface LineSink {
  send(line: string): void;
  /** Bytes accepted and not yet taken by the network. */
  readonly bufferedBytes: number;
  onDrain(fn: () => void): void;
  /** Nothing follows; `null` means OK. */
  end(error: EtcdError | null): void;
}

/** One request, which is the body; many answers. */
export function answerServerStream(
  deps: StreamDeps,
  schema: MethodSchema,
  method: StreamMethod,
  exchange: Exchange,
  timeoutMs: number | null,
): void {
  const caller = new HttpCaller(exchange.request);
  readBody(deps.requestBytesMax, exchange.request, (body) => {
    if (caller.cancelled) return;
    try {
      const message = requestFromJson(deps, schema, body);
      const stream = new JsonStream(deps, schema, method, caller, httpLines(exchange));
      deps.deadlines.add(timeoutMs, exchange.response, () => stream.expire());
      stream.message(message);
      stream.halfClose();
    } catch (error) {
      const told = toldError(error);
      if (told === null) deps.onFatal(error);
      else answerError(exchange, told);
    }
  });
}

export function answerBidi(
  deps: StreamDeps,
  schema: MethodSchema,
  method: StreamMethod,
  exchange: Exchange,
  timeoutMs: number | null,
): void {
  const { request } = exchange;
  const caller = new HttpCaller(request);
  const stream = new JsonStream(deps, schema, method, caller, httpLines(exchange));
  deps.deadlines.add(timeoutMs, exchange.response, () => stream.expire());
  const requests = new JsonRequests(deps, schema, stream);
  request.setEncoding('utf8');
  request.on('data', (chunk: string) => requests.push(chunk));
  request.on('end', () => requests.end());
}

/**
 * The requests within a text that grows.
 *
 * etcd: what is no request ends the requests, not the answers.
 */
export class JsonRequests {
  readonly #deps: StreamDeps;
  readonly #schema: MethodSchema;
  readonly #stream: JsonStream;
  readonly #splitter: JsonSplitter;
  #over = false;

  constructor(deps: StreamDeps, schema: MethodSchema, stream: JsonStream) {
    this.#deps = deps;
    this.#schema = schema;
    this.#stream = stream;
    this.#splitter = new JsonSplitter(textBytesMax(deps.requestBytesMax));
  }

  push(text: string): void {
    if (this.#over) return;
    this.#take(() => this.#splitter.push(text));
  }

  /** No more text. */
  end(): void {
    if (this.#over) return;
    const rest = this.#splitter.end();
    this.#take(() => (rest === null ? [] : [rest]));
    this.#halfClose();
  }

  #take(values: () => readonly string[]): void {
    try {
      for (const value of values()) {
        this.#stream.message(requestFromJson(this.#deps, this.#schema, Buffer.from(value)));
      }
    } catch (error) {
      if (error instanceof DecodeError) this.#halfClose();
      else this.#stream.fail(error);
    }
  }

  #halfClose(): void {
    if (this.#over) return;
    this.#over = true;
    this.#stream.halfClose();
  }
}

/**
 * One stream of a method. It is open from its construction until its answers end or its caller is
 * gone, whichever is first, and then closes its input once.
 */
export class JsonStream implements Output<Uint8Array> {
  readonly #deps: StreamDeps;
  readonly #schema: MethodSchema;
  readonly #method: StreamMethod;
  readonly #startedMs: number;
  readonly #sink: LineSink;
  readonly #forgetCaller: () => void;
  #input: Input<Uint8Array> | null = null;
  #over = false;

  constructor(
    deps: StreamDeps,
    schema: MethodSchema,
    method: StreamMethod,
    caller: Caller,
    sink: LineSink,
  ) {
    this.#deps = deps;
    this.#schema = schema;
    this.#method = method;
    this.#startedMs = deps.monotonic();
    this.#sink = sink;
    deps.observer.started(method, caller.metadata('client-api-version'));
    this.#forgetCaller = caller.onCancel(() => this.#close(Code.CANCELED));
    this.#guard(() => {
      const input = deps.gate.stream(method, caller, this);
      // The method may have ended the stream at once.
      if (this.#over) input.close();
      else this.#input = input;
    });
  }

  get bufferedBytes(): number {
    return this.#sink.bufferedBytes;
  }

  message(request: Uint8Array): void {
    if (!this.#over) this.#deps.observer.received(this.#method, request.length);
    this.#guard(() => this.#input?.message(request));
  }

  halfClose(): void {
    this.#guard(() => this.#input?.halfClose());
  }

  expire(): void {
    this.end(errors.deadlineExceeded);
  }

  send(message: Uint8Array): void {
    if (this.#over) return;
    this.#deps.observer.sent(this.#method, message.length);
    this.#sink.send(`{"result":${jsonFromWire(this.#schema.response, message)}}\n`);
  }

  onDrain(fn: () => void): void {
    this.#sink.onDrain(fn);
  }

  end(error: EtcdError | null): void {
    if (this.#over) return;
    this.#sink.end(error);
    this.#close(error?.code ?? Code.OK);
  }

  /** Tells the caller, or ends the member when the error is a bug. */
  fail(error: unknown): void {
    const told = toldError(error);
    if (told === null) this.#deps.onFatal(error);
    else this.end(told);
  }

  #guard(step: () => void): void {
    if (this.#over) return;
    try {
      step();
    } catch (error) {
      this.fail(error);
    }
  }

  #close(code: Code): void {
    if (this.#over) return;
    this.#over = true;
    const { observer, monotonic } = this.#deps;
    observer.handled(this.#method, code, (monotonic() - this.#startedMs) / 1000);
    this.#forgetCaller();
    this.#input?.close();
  }
}

/**
 * etcd: the head of the answer waits for the first line, and an answer without lines has no type.
 */
function httpLines({ response, common }: Exchange): LineSink {
  const start = (): void => {
    if (response.headersSent) return;
    const headers = ['Content-Type', JSON_TYPE, 'Grpc-Metadata-Content-Type', 'application/grpc'];
    response.writeHead(200, [...common, ...headers]);
  };
  return {
    send(line) {
      if (response.destroyed) return;
      start();
      response.write(line);
    },
    get bufferedBytes() {
      return response.writableLength;
    },
    onDrain(fn) {
      response.once('drain', fn);
    },
    end(error) {
      if (response.destroyed) return;
      if (error === null) {
        if (!response.headersSent) response.writeHead(200, [...common]);
        response.end();
        return;
      }
      if (!response.headersSent) {
        response.writeHead(httpStatus(error.code), [...common, 'Content-Type', JSON_TYPE]);
      }
      response.end(`${JSON.stringify({ error: streamErrorBody(error) })}\n`);
    },
  };
}
