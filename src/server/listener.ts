/**
 * One port, two protocols: the first bytes of a connection, within TLS where there is TLS, tell
 * whether it speaks HTTP/2 with prior knowledge (gRPC) or HTTP/1.1. Connections are accepted from
 * the start and answered once the member is ready, as etcd does it.
 */

import { rm } from 'node:fs/promises';
import type { Server as HttpServer } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { limits } from '../limits.ts';
import type { Protocols, ServerTls } from '../tls/server-tls.ts';
import type { ConnectionLimit } from './connection-limit.ts';

/** How an HTTP/2 client begins. etcd: with one byte of it wrong, it speaks HTTP/1.1. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export interface ListenerHandlers {
  /** `null`: this listener serves HTTP/1.1 only. `head` is what was read already. */
  readonly onHttp2: ((socket: Socket, head: Buffer, commonName: string) => void) | null;
  /** `null`: this listener serves gRPC only. */
  readonly http: HttpServer | null;
}

export interface Listener {
  /** As listened on, with the port that was chosen for port 0. */
  readonly url: string;
  /** Answers the connections that wait, and those to come. */
  serve(handlers: ListenerHandlers): void;
  readonly connectionCount: number;
  /** Stops accepting; connections on which something was said stay. */
  stopAccepting(): void;
  /** Resolves when there is no connection left. */
  whenEmpty(): Promise<void>;
  /** Ends every connection. */
  close(): Promise<void>;
}

/**
 * `tls` is for secure URLs, `limit` for all listeners of one side. Rejects with a `ListenError`
 * when the address cannot be bound.
 */
export async function listen(
  url: string,
  tls: ServerTls | null = null,
  limit: ConnectionLimit | null = null,
): Promise<Listener> {
  const sockets = new Set<Socket>();
  // Accepted, and not handed to a protocol yet.
  const silent = new Set<Socket>();
  let handlers: ListenerHandlers | null = null;
  let onEmpty: (() => void)[] = [];
  const serve = (socket: Socket, ready: ListenerHandlers): void => {
    const onHanded = (): unknown => silent.delete(socket);
    if (tls === null) return greet(socket, ready, '', onHanded);
    tls.accept(socket, protocolsOf(ready), (secured, commonName) =>
      greet(secured, ready, commonName, onHanded),
    );
  };
  const server = createServer({ noDelay: true, pauseOnConnect: true }, (socket) => {
    sockets.add(socket);
    silent.add(socket);
    limit?.opened();
    socket.on('close', () => {
      limit?.closed();
      sockets.delete(socket);
      silent.delete(socket);
      if (sockets.size > 0) return;
      for (const tell of onEmpty) tell();
      onEmpty = [];
    });
    // A client that vanishes is no event for the server; whoever serves it hears 'close'.
    socket.on('error', () => socket.destroy());
    if (limit?.isExceeded === true) makeRoom(silent);
    if (socket.destroyed) return;
    if (handlers !== null) serve(socket, handlers);
    else if (silent.size > limits.connectionsWaitingMax) socket.destroy();
  });
  const bound = await bind(server, url);
  // A connection that could not be accepted is the client's loss, and it tries again.
  server.on('error', () => {});
  return {
    url: bound,
    serve(ready) {
      handlers = ready;
      for (const socket of [...silent]) serve(socket, ready);
    },
    get connectionCount() {
      return sockets.size;
    },
    stopAccepting() {
      server.close();
      for (const socket of silent) socket.destroy();
    },
    whenEmpty() {
      if (sockets.size === 0) return Promise.resolve();
      return new Promise((resolve) => onEmpty.push(resolve));
    },
    close() {
      return new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      });
    },
  };
}

/** The one goes that has said nothing for longest, which may be the one that has just come. */
function makeRoom(silent: Set<Socket>): void {
  const [oldest] = silent;
  if (oldest === undefined) return;
  silent.delete(oldest);
  oldest.destroy();
}

/**
 * What clients are offered within TLS. Those that speak both are HTTP clients, and all of HTTP is
 * served over HTTP/1.1; those of gRPC ask for HTTP/2 alone.
 */
function protocolsOf({ http, onHttp2 }: ListenerHandlers): Protocols {
  if (onHttp2 === null) return ['http/1.1'];
  return http === null ? ['h2'] : ['http/1.1', 'h2'];
}

/** Hands a connection to the protocol that its first bytes show. */
function greet(
  socket: Socket,
  { http, onHttp2 }: ListenerHandlers,
  commonName: string,
  onHanded: () => void,
): void {
  if (onHttp2 === null) {
    onHanded();
    http?.emit('connection', socket);
    socket.resume();
    return;
  }
  let head: Buffer = Buffer.alloc(0);
  const take = (chunk: Buffer): void => {
    head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
    const compared = Math.min(head.length, PREFACE.length);
    const speaksHttp2 = head.compare(PREFACE, 0, compared, 0, compared) === 0;
    if (speaksHttp2 && compared < PREFACE.length) return;
    socket.off('data', take);
    onHanded();
    if (speaksHttp2 || http === null) {
      onHttp2(socket, head, commonName);
      return;
    }
    // The head goes back into the stream, from which the HTTP server reads it.
    socket.pause();
    socket.unshift(head);
    http.emit('connection', socket);
    socket.resume();
  };
  socket.on('data', take);
  socket.resume();
}

async function bind(server: Server, url: string): Promise<string> {
  const { protocol, hostname, port, host, pathname } = new URL(url);
  const isUnix = protocol === 'unix:' || protocol === 'unixs:';
  // etcd: the file's name is the URL's host and path, and one that a former life has left goes.
  if (isUnix) await rm(host + pathname, { force: true });
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(bindError(error, host)));
    const done = (): void => {
      server.removeAllListeners('error');
      const address = server.address();
      const actual = address !== null && typeof address === 'object' ? address.port : port;
      resolve(isUnix ? url : `${protocol}//${hostname}:${actual}`);
    };
    if (isUnix) server.listen(host + pathname, done);
    else server.listen(portOf(protocol, port), hostname.replace(/^\[|\]$/g, ''), done);
  });
}

/** A URL leaves out the port that goes without saying. */
function portOf(protocol: string, port: string): number {
  if (port !== '') return Number(port);
  return protocol === 'https:' ? 443 : 80;
}

const BIND_REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'address already in use',
  EADDRNOTAVAIL: 'cannot assign requested address',
  EACCES: 'permission denied',
};

/** An address cannot be listened on; the text is Go's. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

function bindError(error: NodeJS.ErrnoException, address: string): ListenError {
  const reason = BIND_REASONS[error.code ?? ''] ?? error.message;
  return new ListenError(`listen tcp ${address}: bind: ${reason}`, { cause: error });
}
