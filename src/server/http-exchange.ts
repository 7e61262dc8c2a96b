/** One exchange of the JSON gateway: the body in, a JSON answer or an error out. */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { Code, EtcdError } from '../errors.ts';
import { limits } from '../limits.ts';
import { requestMemory } from '../memory-budget.ts';
import { errorBody, httpStatus, oversized } from './gateway-errors.ts';
import { textBytesMax } from './gateway-request.ts';

export const JSON_TYPE = 'application/json';

/** A request and what answers it. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Headers of every answer, as names and values in turn. */
  readonly common: readonly string[];
}

export function answerJson({ response, common }: Exchange, text: string): void {
  if (response.destroyed || response.headersSent) return;
  const bytes = Buffer.byteLength(text);
  response.writeHead(200, [
    ...common,
    'Content-Type',
    JSON_TYPE,
    'Grpc-Metadata-Content-Type',
    'application/grpc',
    'Content-Length',
    String(bytes),
  ]);
  // Text that is ASCII is copied without being converted.
  response.end(text, bytes === text.length ? 'latin1' : 'utf8');
}

export function answerError({ response, common }: Exchange, error: EtcdError): void {
  if (response.destroyed || response.headersSent) return;
  const text = JSON.stringify(errorBody(error));
  const headers = [...common, 'Content-Type', JSON_TYPE];
  if (error.code === Code.UNAUTHENTICATED) headers.push('WWW-Authenticate', error.message);
  headers.push('Content-Length', String(Buffer.byteLength(text)));
  response.writeHead(httpStatus(error.code), headers);
  response.end(text);
}

/**
 * Hears the whole body once, or why it is refused. Of what is too large nothing is kept, but it is
 * read to its end: a client that still writes would not read the answer.
 */
export function readBody(
  requestBytesMax: number,
  request: IncomingMessage,
  done: (body: Buffer | EtcdError) => void,
): void {
  const bytesMax = textBytesMax(requestBytesMax);
  let first: Buffer | null = null;
  let more: Buffer[] = [];
  let bytes = 0;
  let kept = 0;
  let isOverloaded = false;
  const forget = (): void => {
    requestMemory.add(-kept);
    kept = 0;
    first = null;
    more = [];
  };
  request.once('close', forget);
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    isOverloaded ||= requestMemory.isFull;
    if (bytes > bytesMax || isOverloaded) return forget();
    kept += chunk.length;
    requestMemory.add(chunk.length);
    if (first === null) first = chunk;
    else more.push(chunk);
  });
  request.on('end', () => {
    if (isOverloaded) done(OVERLOADED);
    else if (bytes > bytesMax) done(oversized(bytes, requestBytesMax + limits.grpcOverheadBytes));
    else if (first === null) done(NO_BODY);
    else done(more.length === 0 ? first : Buffer.concat([first, ...more], bytes));
  });
}

const NO_BODY = Buffer.alloc(0);
/** etcd: its clients know this one, and may try again. */
const OVERLOADED = new EtcdError(Code.RESOURCE_EXHAUSTED, 'etcdserver: too many requests');
