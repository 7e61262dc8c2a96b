/** How a peer port answers: Go's `http.Error` and the few other forms. */

import type { ServerResponse } from 'node:http';

export const JSON_TYPE = 'application/json';
const TEXT_TYPE = 'text/plain; charset=utf-8';

/** As Go's http.Error: the text and a line's end. */
export function answerError(response: ServerResponse, status: number, text: string): void {
  response.setHeader('X-Content-Type-Options', 'nosniff');
  answer(response, { status, type: TEXT_TYPE, body: `${text}\n` });
}

export function answerText(response: ServerResponse, text: string): void {
  answer(response, { status: 200, type: TEXT_TYPE, body: text });
}

export function answer(
  response: ServerResponse,
  {
    status,
    type,
    body,
  }: { readonly status: number; readonly type: string; readonly body: string | Uint8Array },
): void {
  if (response.destroyed || response.headersSent) return;
  response.setHeader('Content-Type', type);
  response.setHeader('Content-Length', Buffer.byteLength(body));
  response.writeHead(status).end(body);
}

/** Answers and closes the connection: what follows on it would not be understood. */
export function answerLast(response: ServerResponse, status: number, text: string): void {
  response.setHeader('Connection', 'close');
  answerError(response, status, text);
  const { req } = response;
  // The sender may not have read the answer yet; it sees it before the end.
  response.once('finish', () => req.destroy());
}

export function notFound(response: ServerResponse): void {
  answerError(response, 404, '404 page not found');
}

/** False when the method is another, which is answered. */
export function allowMethod(response: ServerResponse, method: 'GET' | 'POST'): boolean {
  if (response.req.method === method) return true;
  response.setHeader('Allow', method);
  answerError(response, 405, 'Method Not Allowed');
  return false;
}
