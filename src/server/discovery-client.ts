/**
 * A client of the etcd that serves as discovery service: the three calls that discovery needs, over
 * gRPC on Node's own HTTP/2. It is made for a handful of calls at a first start and then closed.
 *
 * Invariants: at most one connection; every call ends with its signal. It refuses to know what the
 * keys mean, and tries no call again: only connecting is repeated, endpoint by endpoint.
 */

import { readFileSync } from 'node:fs';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import { connect as connectPlain } from 'node:net';
import { type ConnectionOptions, connect as connectSecure } from 'node:tls';
import {
  decodeAuthenticateResponse,
  decodePutResponse,
  decodeRangeResponse,
  decodeWatchResponse,
  encodeAuthenticateRequest,
  encodePutRequest,
  encodeRangeRequest,
  encodeWatchRequest,
} from '../codec/gen/etcdserverpb.ts';
import { decodeKeyValue } from '../codec/key-value.ts';
import { decode, encode } from '../codec/wire.ts';
import type { Settings } from '../config/flags.ts';
import { limits } from '../limits.ts';
import { pause } from '../pause.ts';
import type { Clock } from '../ports.ts';
import {
  bytesFromKey,
  EMPTY_KEY,
  type Key,
  keyFromText,
  NO_LEASE,
  type Revision,
} from '../types.ts';

export interface StoredPair {
  readonly key: string;
  readonly value: string;
  readonly createRevision: Revision;
}

export interface DiscoveryStore {
  /** One key, or all that begin with it. */
  get(key: string, isPrefix: boolean, signal: AbortSignal): Promise<StoredPairs>;
  put(key: string, value: string, signal: AbortSignal): Promise<void>;
  /** Resolves once a key that begins so has changed, at that revision or later. */
  changed(prefix: string, from: Revision, signal: AbortSignal): Promise<void>;
  close(): void;
}

export interface StoredPairs {
  readonly pairs: readonly StoredPair[];
  readonly revision: Revision;
}

/** The service has refused a call; the text is as Go's client has it. */
class CallError extends Error {
  override readonly name = 'CallError';
  readonly code: number;

  constructor(code: number, text: string) {
    const isKnown = text.startsWith('etcdserver: ') || text.startsWith('auth: ');
    super(isKnown ? text : `rpc error: code = ${CODES[code] ?? `Code(${code})`} desc = ${text}`);
    this.code = code;
  }
}

const CODES = (
  'OK Canceled Unknown InvalidArgument DeadlineExceeded NotFound AlreadyExists PermissionDenied ' +
  'ResourceExhausted FailedPrecondition Aborted OutOfRange Unimplemented Internal Unavailable ' +
  'DataLoss Unauthenticated'
).split(' ');
const UNAUTHENTICATED = 16;
const AUTH_NOT_ENABLED = 'etcdserver: authentication is not enabled';

/** etcd: between two rounds of trying to connect. */
const RECONNECT_MS = 1000;
/** gRPC asks no more often, whatever it is told. */
const KEEPALIVE_MS_MIN = 10_000;
const FRAME_HEAD_BYTES = 5;

/** Throws when the files of its certificates cannot be read. */
export class DiscoveryClient implements DiscoveryStore {
  readonly #settings: Settings;
  readonly #clock: Pick<Clock, 'every'>;
  readonly #tls: ConnectionOptions | null;
  #session: ClientHttp2Session | null = null;
  #endpoint = 0;
  #token: string | null = null;

  constructor(settings: Settings, clock: Pick<Clock, 'every'>) {
    this.#settings = settings;
    this.#clock = clock;
    this.#tls = tlsOptions(settings);
  }

  /** etcd: a user without a password, or the reverse, is nobody. */
  async authenticate(signal: AbortSignal): Promise<void> {
    const { discoveryUser: name, discoveryPassword: password } = this.#settings;
    if (name === '' || password === '' || this.#token !== null) return;
    const request = encode(encodeAuthenticateRequest, { name, password });
    try {
      const answer = await this.#unary('Auth/Authenticate', request, signal);
      this.#token = decode(decodeAuthenticateResponse, answer).token;
    } catch (error) {
      if (!(error instanceof CallError) || error.message !== AUTH_NOT_ENABLED) throw error;
      this.#token = '';
    }
  }

  async get(text: string, isPrefix: boolean, signal: AbortSignal): Promise<StoredPairs> {
    const key = keyFromText(text);
    const request = encode(encodeRangeRequest, {
      key,
      rangeEnd: isPrefix ? endOfPrefix(key) : EMPTY_KEY,
      limit: 0,
      revision: 0,
      sortOrder: 0,
      sortTarget: 0,
      serializable: false,
      keysOnly: false,
      countOnly: false,
      minModRevision: 0,
      maxModRevision: 0,
      minCreateRevision: 0,
      maxCreateRevision: 0,
    });
    const answer = decode(decodeRangeResponse, await this.#authorized('KV/Range', request, signal));
    const pairs = answer.kvs.map((each) => {
      const { key: stored, value, createRevision } = decodeKeyValue(each);
      const shown = bytesFromKey(stored).toString();
      return { key: shown, value: Buffer.from(value).toString(), createRevision };
    });
    return { pairs, revision: answer.header?.revision ?? 0 };
  }

  async put(key: string, value: string, signal: AbortSignal): Promise<void> {
    const request = encode(encodePutRequest, {
      key: keyFromText(key),
      value: Buffer.from(value),
      lease: NO_LEASE,
      prevKv: false,
      ignoreValue: false,
      ignoreLease: false,
    });
    decode(decodePutResponse, await this.#authorized('KV/Put', request, signal));
  }

  async changed(prefix: string, from: Revision, signal: AbortSignal): Promise<void> {
    await this.authenticate(signal);
    const key = keyFromText(prefix);
    const value = {
      key,
      rangeEnd: endOfPrefix(key),
      startRevision: from,
      progressNotify: false,
      filters: [],
      prevKv: false,
      watchId: 0,
      fragment: false,
    };
    const request = { requestUnion: { case: 'createRequest' as const, value } };
    const stream = await this.#open('Watch/Watch', signal);
    stream.write(framed(encode(encodeWatchRequest, request)));
    await this.#answers(stream, signal, (message) => {
      const { events, canceled, cancelReason } = decode(decodeWatchResponse, message);
      if (canceled) throw new CallError(UNAUTHENTICATED, cancelReason);
      return events.length > 0;
    });
  }

  close(): void {
    this.#session?.destroy();
    this.#session = null;
  }

  async #authorized(method: string, body: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    await this.authenticate(signal);
    return this.#unary(method, body, signal);
  }

  async #unary(method: string, body: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const stream = await this.#open(method, signal);
    stream.end(framed(body));
    let answer: Uint8Array | null = null;
    await this.#answers(stream, signal, (message) => {
      answer = message;
      return false;
    });
    return answer ?? new Uint8Array(0);
  }

  async #open(method: string, signal: AbortSignal): Promise<ClientHttp2Stream> {
    const session = await this.#connected(signal);
    return session.request(
      {
        ':method': 'POST',
        ':path': `/etcdserverpb.${method}`,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...(this.#token ? { token: this.#token } : {}),
      },
      { endStream: false },
    );
  }

  /** Until `take` has enough, or the call ends; rejects when it ends badly. */
  #answers(
    stream: ClientHttp2Stream,
    signal: AbortSignal,
    take: (message: Uint8Array) => boolean,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      let buffered = Buffer.alloc(0);
      let status: CallError | null | undefined;
      const settle = (error: Error | null): void => {
        signal.removeEventListener('abort', onAbort);
        stream.close(constants.NGHTTP2_CANCEL);
        if (error instanceof CallError && error.code === UNAUTHENTICATED) this.#token = null;
        if (error === null) resolve();
        else reject(error);
      };
      const onAbort = (): void => settle(tooLate());
      const onStatus = (headers: Readonly<Record<string, unknown>>): void => {
        const code = headers['grpc-status'];
        const text = decodeURIComponent(String(headers['grpc-message'] ?? ''));
        if (code !== undefined)
          status = Number(code) === 0 ? null : new CallError(Number(code), text);
        else if (headers[':status'] !== undefined && headers[':status'] !== 200) {
          status = new CallError(14, `unexpected HTTP status code received: ${headers[':status']}`);
        }
      };
      if (signal.aborted) return onAbort();
      signal.addEventListener('abort', onAbort);
      stream.on('response', onStatus);
      stream.on('trailers', onStatus);
      stream.on('error', (error) => settle(error));
      stream.on('close', () => settle(status === undefined ? new Error('EOF') : status));
      stream.on('data', (chunk: Buffer) => {
        buffered = Buffer.concat([buffered, chunk]);
        try {
          for (;;) {
            const size = buffered.length < FRAME_HEAD_BYTES ? 0 : buffered.readUInt32BE(1);
            if (size > limits.discoveryAnswerBytesMax) throw new Error('the answer is too long');
            const end = FRAME_HEAD_BYTES + size;
            if (buffered.length < end) return;
            if (take(buffered.subarray(FRAME_HEAD_BYTES, end))) return settle(null);
            buffered = buffered.subarray(end);
          }
        } catch (error) {
          settle(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  }

  /** Goes on trying until the signal ends it. */
  async #connected(signal: AbortSignal): Promise<ClientHttp2Session> {
    const endpoints = this.#settings.discoveryEndpoints;
    for (;;) {
      for (let tries = 0; tries < endpoints.length; tries++) {
        if (signal.aborted) throw tooLate();
        if (this.#session !== null) return this.#session;
        const endpoint = endpoints[this.#endpoint++ % endpoints.length] ?? '';
        const session = await this.#dial(endpoint, signal);
        if (session !== null) this.#keep(session);
      }
      if (this.#session === null) await pause(this.#clock, RECONNECT_MS, signal);
    }
  }

  /** `null`: not this time. */
  #dial(endpoint: string, signal: AbortSignal): Promise<ClientHttp2Session | null> {
    const session = openSession(endpoint, this.#tls);
    return new Promise((resolve) => {
      const settle = (connected: boolean): void => {
        stop();
        signal.removeEventListener('abort', giveUp);
        if (!connected) session.destroy();
        resolve(connected ? session : null);
      };
      const giveUp = (): void => settle(false);
      const stop = this.#clock.every(this.#settings.discoveryDialTimeout || RECONNECT_MS, giveUp);
      signal.addEventListener('abort', giveUp);
      // Stays for the session's life: what happens to it shows in its calls, and in 'close'.
      session.on('error', giveUp);
      session.once('connect', () => settle(true));
    });
  }

  #keep(session: ClientHttp2Session): void {
    this.#session = session;
    const { discoveryKeepaliveTime: timeMs, discoveryKeepaliveTimeout: timeoutMs } = this.#settings;
    const stop =
      timeMs <= 0
        ? () => undefined
        : this.#clock.every(Math.max(timeMs, KEEPALIVE_MS_MIN), () => {
            const stopWaiting = this.#clock.every(timeoutMs || KEEPALIVE_MS_MIN, () => {
              stopWaiting();
              session.destroy();
            });
            if (!session.ping(stopWaiting)) stopWaiting();
          });
    const forget = (): void => {
      stop();
      if (this.#session === session) this.#session = null;
    };
    session.once('goaway', forget);
    session.once('close', forget);
  }
}

/** As Go says it. */
function tooLate(): Error {
  return new Error('context deadline exceeded');
}

function framed(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(FRAME_HEAD_BYTES + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, FRAME_HEAD_BYTES);
  return frame;
}

/** The prefixes here end in a letter. */
function endOfPrefix(key: Key): Key {
  const last = key.charCodeAt(key.length - 1);
  return `${key.slice(0, -1)}${String.fromCharCode(last + 1)}` as Key;
}

/** etcd: with none of these settings there is no TLS, unless an endpoint asks for it. */
function tlsOptions(settings: Settings): ConnectionOptions | null {
  const { discoveryCert: cert, discoveryKey: key, discoveryCacert: ca } = settings;
  const { discoveryServerName: servername, discoveryInsecureSkipTlsVerify: trusting } = settings;
  if ((cert === '') !== (key === '')) {
    throw new Error(`KeyFile and CertFile must both be present[key: ${key}, cert: ${cert}]`);
  }
  const isGiven = cert !== '' || ca !== '' || servername !== '';
  if (!isGiven && settings.discoveryInsecureTransport && !trusting) return null;
  return {
    ...(cert === '' ? {} : { cert: read(cert), key: read(key) }),
    ...(ca === '' ? {} : { ca: read(ca) }),
    ...(servername === '' ? {} : { servername }),
    rejectUnauthorized: !trusting,
    minVersion: 'TLSv1.2',
  };
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (isMissing) throw new Error(`open ${path}: no such file or directory`, { cause: error });
    throw error;
  }
}

/** etcd: `https` asks for TLS and `http` declines it; an address alone follows the settings. */
function openSession(endpoint: string, tls: ConnectionOptions | null): ClientHttp2Session {
  const [, scheme = '', rest = endpoint] = /^(\w+):(?:\/\/)?(.*)$/.exec(endpoint) ?? [];
  const isKnown = /^(https?|unixs?)$/.test(scheme);
  const address = isKnown ? rest : endpoint;
  const options =
    scheme === 'http' ? null : scheme === 'https' || scheme === 'unixs' ? (tls ?? {}) : tls;
  if (scheme === 'unix' || scheme === 'unixs') {
    const createConnection = () =>
      options === null
        ? connectPlain({ path: address })
        : connectSecure({ ...options, path: address, ALPNProtocols: ['h2'] });
    return connect('http://localhost', { createConnection });
  }
  return options === null
    ? connect(`http://${address}`)
    : connect(`https://${address}`, { ...options, ALPNProtocols: ['h2'] });
}
