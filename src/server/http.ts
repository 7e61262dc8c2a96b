/**
 * HTTP/1.1 on the client port: what comes before the gateway, and the plain endpoints. Order and
 * texts are those of etcd's access controller and Go's ServeMux.
 */

import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { must } from '../assert.ts';
import { limits } from '../limits.ts';
import { SERVER_VERSION } from '../version.ts';
import type { Gateway } from './gateway.ts';
import type { Health } from './health.ts';
import { HttpCaller } from './http-caller.ts';
import { type Exchange, JSON_TYPE } from './http-exchange.ts';
import { requestPath } from './http-path.ts';
import { acceptWebSocket, isWebSocket, webSocketToken } from './websocket.ts';

export interface HttpDeps {
  /** `null` with --enable-grpc-gateway=false. */
  readonly gateway: Gateway | null;
  readonly health: Health;
  readonly cors: readonly string[];
  readonly hostWhitelist: readonly string[];
  /** Common name in a client's certificate where it would make a user on gRPC; otherwise ''. */
  readonly certificateUser: (socket: Socket) => string;
  /** Empty until decided. */
  readonly clusterVersion: () => string;
  readonly renderMetrics: () => Promise<string>;
  readonly debugVars: () => string;
  /** Hears of exceptions that are no answers; ends the member. */
  readonly onFatal: (error: unknown) => void;
}

/** Answers only /metrics and the health endpoints, for --listen-metrics-urls. */
export type HttpScope = 'client' | 'metrics';

export function createHttp(deps: HttpDeps, scope: HttpScope): Server {
  const options = {
    keepAliveTimeout: 0,
    requestTimeout: 0,
    headersTimeout: limits.httpHeadersTimeoutMs,
    maxHeaderSize: limits.httpHeaderBytesMax,
  };
  const server = createServer(options, (request, response) => {
    if (scope === 'metrics') return route(deps, scope, { request, response, common: [] });
    if (!hostAllowed(deps.hostWhitelist, request)) {
      return answerText({ request, response, common: [] }, 421, HOST_REFUSED);
    }
    if (mistakenForUser(deps, request)) {
      return answerText({ request, response, common: [] }, 400, COMMON_NAME_REFUSED);
    }
    const exchange = { request, response, common: corsHeaders(deps.cors, request) };
    if (request.method === 'OPTIONS') return answer(exchange, 200, [], '');
    route(deps, scope, exchange);
  });
  server.maxRequestsPerSocket = 0;
  server.timeout = 0;
  if (scope === 'client') {
    server.on('upgrade', (request, socket, head) => {
      if (!upgrade(deps, request, socket, head)) replay(server, request, socket, head);
    });
  }
  return server;
}

/** False when this is no WebSocket for a stream. */
function upgrade(
  { gateway, hostWhitelist }: HttpDeps,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): boolean {
  const found = requestPath(request.url ?? '/');
  if (gateway === null || found.kind !== 'path' || !gateway.canOpen(found.path)) return false;
  if (!isWebSocket(request) || !hostAllowed(hostWhitelist, request)) return false;
  const token = webSocketToken(request);
  const caller = new HttpCaller({
    headers: token === null ? {} : { authorization: token },
    headersDistinct: {},
    socket: request.socket,
  });
  acceptWebSocket(request, socket, head, gateway.textBytesMax, (sink) => {
    const requests = must(gateway.open(found.path, caller, sink), 'a stream that can be opened');
    return { push: (text) => requests.push(text), close: () => caller.cancel() };
  });
  return true;
}

/**
 * The server may decline an upgrade, and some clients offer HTTP/2 with their first request. Node
 * has let go of the connection by then, so the request is read again without the offer.
 */
function replay(server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`];
  const { rawHeaders } = request;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    if (!/^(upgrade|connection|http2-settings)$/i.test(name)) {
      lines.push(`${name}: ${rawHeaders[i + 1]}`);
    }
  }
  socket.pause();
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
  server.emit('connection', socket);
  socket.resume();
}

const HOST_REFUSED =
  'invalid Host header: this request is refused to protect against DNS rebinding ' +
  '(CVE-2018-5702); see --host-whitelist\n';

const COMMON_NAME_REFUSED =
  'CommonName of client sending a request against gateway will be ignored and ' +
  'not used as expected\n';

/** etcd: users of the gateway have tokens; who hopes for the name in its certificate is told. */
function mistakenForUser(
  { gateway, certificateUser }: HttpDeps,
  request: IncomingMessage,
): boolean {
  if (gateway === null || !/^\/v3(beta)?\//.test(request.url ?? '')) return false;
  return certificateUser(request.socket) !== '';
}

function isAny(list: readonly string[]): boolean {
  return list.length === 0 || list.includes('*');
}

/** etcd: within TLS any host will do, since the certificate has said which one this is. */
function hostAllowed(whitelist: readonly string[], { headers, socket }: IncomingMessage): boolean {
  if (isAny(whitelist) || 'encrypted' in socket) return true;
  const host = headers.host ?? '';
  const name = /^(\[[^\]]*\]|[^:]*)/.exec(host)?.[1] ?? '';
  return whitelist.includes(name);
}

const CORS_ANY = corsOf('*');

function corsOf(origin: string): readonly string[] {
  return [
    'Access-Control-Allow-Headers',
    'accept, content-type, authorization',
    'Access-Control-Allow-Methods',
    'POST, GET, OPTIONS, PUT, DELETE',
    'Access-Control-Allow-Origin',
    origin,
  ];
}

function corsHeaders(origins: readonly string[], request: IncomingMessage): readonly string[] {
  if (isAny(origins)) return CORS_ANY;
  const { origin } = request.headers;
  return origin !== undefined && origins.includes(origin) ? corsOf(origin) : [];
}

function route(deps: HttpDeps, scope: HttpScope, exchange: Exchange): void {
  const { request } = exchange;
  const target = request.url ?? '/';
  const found = requestPath(target);
  if (found.kind === 'malformed') return answerText(exchange, 400, '400 Bad Request');
  if (found.kind === 'redirect') return redirect(exchange, found.location);
  let { path } = found;
  if (scope === 'client' && deps.gateway !== null) {
    // etcd: the gateway's former prefix still works.
    if (path.startsWith('/v3beta/')) path = path.replace('/v3beta/', '/v3/');
    if (path.startsWith('/v3/')) return deps.gateway.answer(path, exchange);
    if (path === '/v3') return redirect(exchange, target.replace('/v3', '/v3/'));
  }
  const endpoint = endpointOf(deps, scope, path);
  if (endpoint === null) return answerText(exchange, 404, '404 page not found\n');
  if (!endpoint.anyVerb && request.method !== 'GET') {
    return answerText(exchange, 405, 'Method Not Allowed\n', ['Allow', 'GET']);
  }
  const query = new URLSearchParams(/\?(.*)/.exec(target)?.[1] ?? '');
  endpoint.answer(query, exchange).catch(deps.onFatal);
}

interface Endpoint {
  readonly anyVerb: boolean;
  readonly answer: (query: URLSearchParams, exchange: Exchange) => Promise<void>;
}

function endpointOf(deps: HttpDeps, scope: HttpScope, path: string): Endpoint | null {
  switch (path) {
    case '/metrics':
      return metricsEndpoint(deps);
    case '/health':
      return healthEndpoint(deps);
    case '/version':
      return scope === 'metrics' ? null : versionEndpoint(deps);
    case '/debug/vars':
      return scope === 'metrics' ? null : variablesEndpoint(deps);
    default:
      return probeEndpoint(deps, path);
  }
}

/** etcd: Prometheus' own handler, which takes any verb. */
function metricsEndpoint(deps: HttpDeps): Endpoint {
  return {
    anyVerb: true,
    async answer(_query, exchange) {
      const type = 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores';
      answer(exchange, 200, ['Content-Type', type], await deps.renderMetrics());
    },
  };
}

function healthEndpoint(deps: HttpDeps): Endpoint {
  return {
    anyVerb: false,
    async answer(query, exchange) {
      const { ok, body } = await deps.health.health(query);
      if (ok) answer(exchange, 200, ['Content-Type', TEXT_TYPE], body);
      else answerText(exchange, 503, body);
    },
  };
}

function versionEndpoint(deps: HttpDeps): Endpoint {
  return {
    anyVerb: false,
    async answer(_query, exchange) {
      answer(exchange, 200, ['Content-Type', JSON_TYPE], versionText(deps.clusterVersion()));
    },
  };
}

function variablesEndpoint(deps: HttpDeps): Endpoint {
  return {
    anyVerb: false,
    async answer(_query, exchange) {
      const type = 'application/json; charset=utf-8';
      answer(exchange, 200, ['Content-Type', type], deps.debugVars());
    },
  };
}

/** `clusterVersion` is empty until it is decided. */
export function versionText(clusterVersion: string): string {
  return JSON.stringify({
    etcdserver: SERVER_VERSION,
    etcdcluster: clusterVersion === '' ? 'not_decided' : clusterVersion,
    storage: clusterVersion === '' ? 'unknown' : clusterVersion,
  });
}

function probeEndpoint(deps: HttpDeps, path: string): Endpoint | null {
  const match = /^\/(livez|readyz)(?:\/([^/]+))?$/.exec(path);
  if (match === null) return null;
  const type = match[1] === 'livez' ? 'livez' : 'readyz';
  const name = match[2] ?? '';
  if (!deps.health.has(type, name)) return null;
  return {
    anyVerb: false,
    async answer(query, exchange) {
      const { ok, body } = await deps.health.probe(type, name, query);
      answerText(exchange, ok ? 200 : 503, body);
    },
  };
}

const TEXT_TYPE = 'text/plain; charset=utf-8';

/** As Go's http.Error writes it. */
function answerText(
  exchange: Exchange,
  status: number,
  text: string,
  headers: readonly string[] = [],
): void {
  const type = ['Content-Type', TEXT_TYPE, 'X-Content-Type-Options', 'nosniff'];
  answer(exchange, status, [...headers, ...type], text);
}

/** As Go's http.Redirect writes it. */
function redirect(exchange: Exchange, location: string): void {
  const { method } = exchange.request;
  if (method !== 'GET' && method !== 'HEAD') {
    return answer(exchange, 307, ['Location', location], '');
  }
  const escaped = location.replace(/[&"<>']/g, (found) => `&#${found.charCodeAt(0)};`);
  const body = `<a href="${escaped}">Temporary Redirect</a>.\n\n`;
  answer(exchange, 307, ['Content-Type', 'text/html; charset=utf-8', 'Location', location], body);
}

function answer(
  { response, common }: Exchange,
  status: number,
  headers: readonly string[],
  text: string,
): void {
  if (response.destroyed) return;
  const length = ['Content-Length', String(Buffer.byteLength(text))];
  response.writeHead(status, [...common, ...headers, ...length]);
  response.end(text);
}
