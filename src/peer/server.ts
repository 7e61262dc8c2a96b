/** The HTTP server of the peer port. Its connections come from whoever listens. */

import { createServer, type Server } from 'node:http';
import { limits } from '../limits.ts';
import { serveApi } from './endpoints.ts';
import type { PeerApi } from './peer-api.ts';
import { serveRaft } from './raft-endpoints.ts';
import type { Transport } from './transport.ts';

/** Longer than etcd's members keep a connection on which nothing is said. */
const KEEP_ALIVE_MS = 10_000;

export function createPeerServer(transport: Transport, api: PeerApi): Server {
  const { onFatal } = transport.context;
  const server = createServer(
    {
      keepAliveTimeout: KEEP_ALIVE_MS,
      // Streams last, and a state takes as long as it takes; both have deadlines of their own.
      requestTimeout: 0,
      headersTimeout: limits.httpHeadersTimeoutMs,
      maxHeaderSize: limits.httpHeaderBytesMax,
      noDelay: true,
    },
    (request, response) => {
      const path = (request.url ?? '/').replace(/[?#].*$/s, '');
      const served =
        path === '/raft' || path.startsWith('/raft/')
          ? serveRaft(transport, path, request, response)
          : serveApi({ transport, api }, path, request, response);
      served.catch(onFatal);
    },
  );
  server.maxRequestsPerSocket = 0;
  server.timeout = 0;
  return server;
}
