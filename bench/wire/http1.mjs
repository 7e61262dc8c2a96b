// An HTTP/1.1 keep-alive client over node:net with one request in flight per connection, as Patroni
// and curl use the JSON gateway. Requests are built once; the answer's body is handed over as text.
// Invariant: an answer is passed on only when it is complete and well-formed; anything else fails
// the connection.
// It refuses to know JSON and etcd.

import { connect } from 'node:net';

const HEAD_END = '\r\n\r\n';
const READ_AREA = Buffer.allocUnsafeSlow(256 * 1024);
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
const OPEN_TIMEOUT_MS = 10_000;

/**
 * @param {{ path: string, body: string, host: string }} request
 */
export function httpPost({ path, body, host }) {
  return Buffer.from(
    `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

/**
 * The answer at the start of `text`, or null while it is incomplete. `text` is latin1, so that one
 * character is one byte.
 * @param {string} text
 */
export function parseAnswer(text) {
  const headEnd = text.indexOf(HEAD_END);
  if (headEnd < 0) return null;
  if (!text.startsWith('HTTP/1.1 ')) throw new Error(`not HTTP: ${text.slice(0, 40)}`);
  const status = Number(text.slice(9, 12));
  const head = text.slice(0, headEnd).toLowerCase();
  const start = headEnd + HEAD_END.length;
  const lengthAt = head.indexOf('\r\ncontent-length:');
  if (lengthAt >= 0) {
    const length = Number.parseInt(head.slice(lengthAt + 17), 10);
    if (text.length < start + length) return null;
    return { status, body: text.slice(start, start + length), bytes: start + length };
  }
  if (!head.includes('\r\ntransfer-encoding: chunked')) throw new Error('answer without length');
  let body = '';
  for (let at = start; ; ) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd < 0) return null;
    const length = Number.parseInt(text.slice(at, lineEnd), 16);
    if (!(length >= 0)) throw new Error('bad chunk length');
    const next = lineEnd + 2 + length + 2;
    if (text.length < next) return null;
    if (length === 0) return { status, body, bytes: next };
    body += text.slice(lineEnd + 2, lineEnd + 2 + length);
    at = next;
  }
}

export class Http1Connection {
  /** @type {import('node:net').Socket} */
  #socket;
  #text = '';
  #closed = false;
  #onAnswer;
  #onFailure;

  /**
   * @param {{ host: string, port: number, onFailure: (error: Error) => void,
   *   onAnswer: (status: number, body: string) => void }} options
   * @returns {Promise<Http1Connection>}
   */
  static open(options) {
    return new Promise((resolve, reject) => {
      let opened = false;
      const connection = new Http1Connection({
        ...options,
        onFailure: (error) => (opened ? options.onFailure(error) : reject(error)),
      });
      const timer = setTimeout(() => connection.#fail(new Error('no connection')), OPEN_TIMEOUT_MS);
      connection.#socket.on('connect', () => {
        clearTimeout(timer);
        opened = true;
        resolve(connection);
      });
    });
  }

  /**
   * @param {{ host: string, port: number, onFailure: (error: Error) => void,
   *   onAnswer: (status: number, body: string) => void }} options
   */
  constructor({ host, port, onFailure, onAnswer }) {
    this.#onAnswer = onAnswer;
    this.#onFailure = onFailure;
    this.#socket = connect({
      host,
      port,
      noDelay: true,
      onread: {
        buffer: READ_AREA,
        callback: (length) => {
          this.#onBytes(length);
          return true;
        },
      },
    });
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error('connection closed by the server')));
  }

  /** @param {Uint8Array} request not changed until the answer has come */
  send(request) {
    this.#socket.write(request);
  }

  close() {
    this.#closed = true;
    this.#socket.destroy();
  }

  /** @param {number} length */
  #onBytes(length) {
    if (this.#closed) return;
    this.#text += READ_AREA.toString('latin1', 0, length);
    if (this.#text.length > ANSWER_BYTES_MAX) {
      this.#fail(new Error('answer too long'));
      return;
    }
    try {
      const answer = parseAnswer(this.#text);
      if (answer === null) return;
      if (answer.bytes !== this.#text.length) throw new Error('bytes after the answer');
      this.#text = '';
      this.#onAnswer(answer.status, answer.body);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** @param {Error} error */
  #fail(error) {
    if (this.#closed) return;
    this.close();
    this.#onFailure(error);
  }
}
