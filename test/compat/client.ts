// A gRPC client that sends given bytes and hands back raw answers, so that two servers' answers
// can be compared byte by byte before anything is decoded.
import {
  type CallOptions,
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { encode, type Message, method } from './proto.ts';

const CALL_MS_MAX = 20_000;

/** How a call ended: a code with its text, and the messages that came before. */
export interface GrpcAnswer {
  readonly code: number;
  readonly text: string;
  readonly messages: readonly Buffer[];
}

export class GrpcClient {
  readonly #client: Client;
  readonly #callMsMax: number;

  constructor(endpoint: string, callMsMax = CALL_MS_MAX) {
    this.#callMsMax = callMsMax;
    this.#client = new Client(endpoint, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_retries': 0,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 500,
    });
  }

  unary(name: string, request: Buffer | Message, metadata = new Metadata()): Promise<GrpcAnswer> {
    const { path, request: type } = method(name);
    const bytes = Buffer.isBuffer(request) ? request : encode(type, request);
    return this.unaryRaw(path, bytes, metadata);
  }

  unaryRaw(path: string, bytes: Buffer, metadata = new Metadata()): Promise<GrpcAnswer> {
    return new Promise((resolve) => {
      const done = (error: ServiceError | null, value?: Buffer) => {
        if (error !== null) resolve({ code: error.code, text: error.details, messages: [] });
        else resolve({ code: 0, text: '', messages: value === undefined ? [] : [value] });
      };
      this.#client.makeUnaryRequest(
        path,
        identity,
        identity,
        bytes,
        metadata,
        this.#options(),
        done,
      );
    });
  }

  /** Reads a server stream to its end. */
  serverStream(
    name: string,
    request: Buffer | Message,
    metadata = new Metadata(),
  ): Promise<GrpcAnswer> {
    const { path, request: type } = method(name);
    const bytes = Buffer.isBuffer(request) ? request : encode(type, request);
    const call = this.#client.makeServerStreamRequest(
      path,
      identity,
      identity,
      bytes,
      metadata,
      this.#options(),
    );
    const messages: Buffer[] = [];
    return new Promise((resolve) => {
      call.on('data', (message: Buffer) => messages.push(message));
      call.on('error', () => undefined); // The status event carries the same outcome.
      call.on('status', ({ code, details }) => resolve({ code, text: details, messages }));
    });
  }

  bidi(name: string, metadata = new Metadata()): BidiStream {
    return new BidiStream(this.#client, name, metadata);
  }

  close(): void {
    this.#client.close();
  }

  #options(): CallOptions {
    return { deadline: Date.now() + this.#callMsMax };
  }
}

/** A two-way stream whose messages are collected as they come. */
export class BidiStream {
  readonly messages: Buffer[] = [];
  status: { readonly code: number; readonly text: string } | null = null;
  onMessage: ((message: Buffer) => void) | null = null;
  readonly #name: string;
  readonly #call: ClientDuplexStream<Buffer, Buffer>;

  constructor(client: Client, name: string, metadata: Metadata) {
    this.#name = name;
    this.#call = client.makeBidiStreamRequest(method(name).path, identity, identity, metadata);
    this.#call.on('data', (message: Buffer) => {
      if (this.onMessage === null) this.messages.push(message);
      else this.onMessage(message);
    });
    this.#call.on('error', () => undefined);
    this.#call.on('status', ({ code, details }) => {
      this.status = { code, text: details };
    });
  }

  send(request: Buffer | Message): void {
    const type = method(this.#name).request;
    this.#call.write(Buffer.isBuffer(request) ? request : encode(type, request));
  }

  halfClose(): void {
    this.#call.end();
  }

  /** The final status, once the server or a cancel has ended the stream. */
  finished(): Promise<{ readonly code: number; readonly text: string }> {
    if (this.status !== null) return Promise.resolve(this.status);
    return new Promise((resolve) => {
      this.#call.once('status', ({ code, details }) => resolve({ code, text: details }));
    });
  }

  cancel(): void {
    this.#call.cancel();
  }
}

function identity(bytes: Buffer): Buffer {
  return bytes;
}
