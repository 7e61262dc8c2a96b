/**
 * The one place that opens connections to other members, and that knows what their URLs mean.
 *
 * A request goes either over a connection of its own, which ends with it, or over one that is kept
 * for the next. etcd's members close connections on which nothing was said for five seconds, so
 * these are let go a little earlier.
 */

import { Agent, type ClientRequest, type RequestOptions, request } from 'node:http';

const KEPT_IDLE_MS = 4000;
const KEPT_MAX = 16;

export interface DialOptions {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly connection: 'own' | 'kept';
}

export class Dialer {
  readonly #kept = new Agent({ keepAlive: true, maxFreeSockets: KEPT_MAX, timeout: KEPT_IDLE_MS });

  /** Nothing is sent before the request is written to or ended. Throws for a URL that is none. */
  open({ url, method, path, headers, connection }: DialOptions): ClientRequest {
    const opened = request({
      ...addressOf(url),
      method,
      path,
      headers,
      // A connection of its own is not announced as such: etcd's streams are not.
      ...(connection === 'kept'
        ? { agent: this.#kept }
        : { agent: false, headers: { ...headers, Connection: 'keep-alive' } }),
    });
    opened.setNoDelay(true);
    return opened;
  }

  /** Ends the connections that are kept. */
  close(): void {
    this.#kept.destroy();
  }
}

function addressOf(text: string): RequestOptions {
  const url = new URL(text);
  if (url.protocol === 'unix:') return { socketPath: url.host + url.pathname };
  if (url.protocol !== 'http:') throw new Error(`unsupported scheme in ${text}`);
  return { hostname: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? 80 : url.port };
}
