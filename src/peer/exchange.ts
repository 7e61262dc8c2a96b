/**
 * One request to another member and its whole answer, within a bounded time and with a bounded
 * body. Redirects are answers like any other.
 */

import type { IncomingHttpHeaders } from 'node:http';
import { AssertionError } from '../assert.ts';
import type { Clock } from '../ports.ts';
import type { Dialer, DialOptions } from './dial.ts';

export interface ExchangeOptions extends DialOptions {
  readonly body: Uint8Array;
  readonly timeoutMs: number;
  readonly answerBytesMax: number;
  /** Ends the exchange early. */
  readonly signal: AbortSignal | null;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface ExchangePorts {
  readonly dialer: Dialer;
  readonly clock: Pick<Clock, 'every'>;
}

/** Rejects when there is no whole answer, with the reason of the connection's end. */
export function exchange(ports: ExchangePorts, options: ExchangeOptions): Promise<Answer> {
  return attempt(ports, options, options.connection === 'own');
}

/**
 * A kept connection may have been closed by the other end while the request was on its way to it;
 * then nothing is known of the other end yet, and a second attempt tells.
 */
function attempt(ports: ExchangePorts, options: ExchangeOptions, isLast: boolean): Promise<Answer> {
  const { method, headers, body, timeoutMs, signal } = options;
  if (signal?.aborted === true) return Promise.reject(new Error(ABORTED));
  const length =
    method === 'GET' && body.length === 0 ? {} : { 'Content-Length': String(body.length) };
  return new Promise((resolve, reject) => {
    const request = ports.dialer.open({ ...options, headers: { ...headers, ...length } });
    const stopClock = ports.clock.every(timeoutMs, () => fail(new Error(TIMEOUT)));
    const abort = (): void => fail(new Error(ABORTED));
    let isSettled = false;
    /** False the second time: ending a request makes it report an error of its own. */
    const settle = (): boolean => {
      if (isSettled) return false;
      isSettled = true;
      stopClock();
      signal?.removeEventListener('abort', abort);
      return true;
    };
    const fail = (error: Error): void => {
      if (!settle()) return;
      reject(error);
      request.destroy();
    };
    signal?.addEventListener('abort', abort);
    request.on('error', (error: NodeJS.ErrnoException) => {
      if (!request.reusedSocket || isLast || error.code !== 'ECONNRESET') return fail(error);
      if (settle()) attempt(ports, options, true).then(resolve, reject);
    });
    request.on('response', (response) => {
      const pieces: Buffer[] = [];
      let bytes = 0;
      response.on('error', fail);
      response.on('data', (piece: Buffer) => {
        bytes += piece.length;
        if (bytes > options.answerBytesMax) fail(new Error(TOO_LONG));
        else pieces.push(piece);
      });
      response.on('end', () => {
        if (!settle()) return;
        const { statusCode = 0, headers: answered } = response;
        resolve({ status: statusCode, headers: answered, body: Buffer.concat(pieces) });
      });
    });
    request.end(body);
  });
}

/** Why something did not work. A broken invariant is no such reason. */
export function reasonOf(error: unknown): string {
  if (error instanceof AssertionError) throw error;
  return error instanceof Error ? error.message : String(error);
}

const TIMEOUT = 'request timed out';
const ABORTED = 'request was given up';
const TOO_LONG = 'the answer is too long';
