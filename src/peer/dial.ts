/**
 * The one place that opens connections to other members, and that knows what their URLs mean.
 *
 * A request goes either over a connection of its own, which ends with it, or over one that is kept
 * for the next. etcd's members close connections on which nothing was said for five seconds, so
 * these are let go a little earlier.
 */

import { Agent, type ClientRequest, type RequestOptions, request } from 'node:http';
import type { Duplex } from 'node:stream';
import { splitUrl } from '../config/url.ts';
import type { ClientTls } from '../tls/client-tls.ts';

const KEPT_IDLE_MS = 4000;
const KEPT_MAX = 16;
const KEPT = { keepAlive: true, maxFreeSockets: KEPT_MAX, timeout: KEPT_IDLE_MS };

export interface DialOptions {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly connection: 'own' | 'kept';
}

export class Dialer {
  readonly #tls: ClientTls | null;
  readonly #kept = new Agent(KEPT);
  readonly #keptSecure = new Agent(KEPT);

  /** `tls` is for secure URLs; without it they cannot be dialled. */
  constructor(tls: ClientTls | null = null) {
    this.#tls = tls;
    // Node's agents ask a method of their own for connections; it may be replaced.
    Object.assign(this.#keptSecure, { createConnection: this.#connect });
  }

  /** Nothing is sent before the request is written to or ended. Throws for a URL that is none. */
  open({ url, method, path, headers, connection }: DialOptions): ClientRequest {
    const { secure, address, host, port, scheme } = splitUrl(url);
    const isUnix = scheme === 'unix' || scheme === 'unixs';
    const target = isUnix ? { socketPath: address } : { hostname: host, port };
    const opened = request({
      ...target,
      method,
      path,
      headers,
      ...(secure ? { defaultPort: 443 } : {}),
      // A connection of its own is not announced as such: etcd's streams are not.
      ...(connection === 'kept'
        ? { agent: secure ? this.#keptSecure : this.#kept }
        : { headers: { ...headers, Connection: 'keep-alive' }, ...this.#ownConnection(secure) }),
    });
    opened.setNoDelay(true);
    return opened;
  }

  /** Ends the connections that are kept. */
  close(): void {
    this.#kept.destroy();
    this.#keptSecure.destroy();
  }

  #ownConnection(secure: boolean): RequestOptions {
    // The types know only connections that are there at once.
    return secure
      ? { createConnection: this.#connect as RequestOptions['createConnection'] }
      : { agent: false };
  }

  #connect = (options: RequestOptions, onConnected: OnSocket): undefined => {
    const { hostname, socketPath } = options;
    if (this.#tls === null) throw new Error('there is no TLS to other members');
    this.#tls.connect(
      { host: hostname ?? '', port: Number(options.port), path: socketPath ?? null },
      onConnected,
    );
  };
}

type OnSocket = (error: Error | null, socket: Duplex | null) => void;
