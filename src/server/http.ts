/**
 * HTTP/1.1 on the client port: what comes before the gateway, and the plain endpoints. Order and
 * texts are those of etcd's access controller and Go's ServeMux.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { limits } from '../limits.ts';
import { SERVER_VERSION } from '../version.ts';
import type { Gateway } from './gateway.ts';
import type { Health, HealthAnswer } from './health.ts';

export interface HttpDeps {
  /** `null` with --enable-grpc-gateway=false. */
  readonly gateway: Gateway | null;
  readonly health: Health;
  readonly cors: readonly string[];
  readonly hostWhitelist: readonly string[];
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
  const server = createServer(
    { keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: limits.httpHeadersTimeoutMs },
    (request, response) => {
      if (scope === 'client' && !admit(deps, request, response)) return;
      route(deps, scope, request, response);
    },
  );
  server.maxRequestsPerSocket = 0;
  server.timeout = 0;
  return server;
}

/** False when the request is answered already. */
function admit(deps: HttpDeps, request: IncomingMessage, response: ServerResponse): boolean {
  if (!hostAllowed(deps.hostWhitelist, request.headers.host ?? '')) {
    answerText(response, 421, HOST_REFUSED);
    return false;
  }
  addCorsHeaders(deps.cors, request, response);
  if (request.method !== 'OPTIONS') return true;
  response.writeHead(200).end();
  return false;
}

const HOST_REFUSED =
  'invalid Host header: this request is refused to protect against DNS rebinding ' +
  '(CVE-2018-5702); see --host-whitelist\n';

function isAny(list: readonly string[]): boolean {
  return list.length === 0 || list.includes('*');
}

function hostAllowed(whitelist: readonly string[], host: string): boolean {
  if (isAny(whitelist)) return true;
  const name = /^(\[[^\]]*\]|[^:]*)/.exec(host)?.[1] ?? '';
  return whitelist.includes(name);
}

function addCorsHeaders(
  origins: readonly string[],
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { origin } = request.headers;
  const allowed = isAny(origins) ? '*' : origin !== undefined && origins.includes(origin) && origin;
  if (allowed === false) return;
  response.setHeader('Access-Control-Allow-Methods', 'POST, GET, OPTIONS, PUT, DELETE');
  response.setHeader('Access-Control-Allow-Origin', allowed);
  response.setHeader('Access-Control-Allow-Headers', 'accept, content-type, authorization');
}

function route(
  deps: HttpDeps,
  scope: HttpScope,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const target = request.url ?? '/';
  const end = target.indexOf('?');
  let path = end < 0 ? target : target.slice(0, end);
  if (scope === 'client') {
    // etcd: the gateway's former prefix still works.
    if (path.startsWith('/v3beta/')) path = path.replace('/v3beta/', '/v3/');
    if (path.startsWith('/v3/') && deps.gateway !== null) {
      return deps.gateway(path, request, response);
    }
  }
  const endpoint = endpointOf(deps, scope, path);
  if (endpoint === null) return answerText(response, 404, '404 page not found\n');
  if (request.method !== 'GET') {
    response.setHeader('Allow', 'GET');
    return answerText(response, 405, 'Method Not Allowed\n');
  }
  const query = new URLSearchParams(end < 0 ? '' : target.slice(end + 1));
  endpoint(query, response).catch(deps.onFatal);
}

type Endpoint = (query: URLSearchParams, response: ServerResponse) => Promise<void>;

function endpointOf(deps: HttpDeps, scope: HttpScope, path: string): Endpoint | null {
  switch (path) {
    case '/metrics':
      return async (_query, response) => {
        const text = await deps.renderMetrics();
        response.setHeader('Content-Type', 'text/plain; version=0.0.4; charset=utf-8');
        response.end(text);
      };
    case '/health':
      return async (query, response) => {
        const answer = await deps.health.health(query);
        if (answer.ok) answerText(response, 200, answer.body, { nosniff: false });
        else answerText(response, 503, answer.body);
      };
    case '/version':
      return scope === 'metrics' ? null : versionEndpoint(deps);
    case '/debug/vars':
      return scope === 'metrics'
        ? null
        : async (_query, response) => {
            response.setHeader('Content-Type', 'application/json; charset=utf-8');
            response.end(deps.debugVars());
          };
    default:
      return probeEndpoint(deps, path);
  }
}

function versionEndpoint(deps: HttpDeps): Endpoint {
  return async (_query, response) => {
    response.setHeader('Content-Type', 'application/json');
    response.end(versionText(deps.clusterVersion()));
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
  const match = /^\/(livez|readyz)(?:\/([^/]*))?$/.exec(path);
  if (match === null) return null;
  const type = match[1] === 'livez' ? 'livez' : 'readyz';
  const name = match[2] ?? '';
  return async (query, response) => {
    const answer: HealthAnswer | null = await deps.health.probe(type, name, query);
    if (answer === null) answerText(response, 404, '404 page not found\n');
    else answerText(response, answer.ok ? 200 : 503, answer.body);
  };
}

function answerText(
  response: ServerResponse,
  status: number,
  text: string,
  { nosniff = true }: { readonly nosniff?: boolean } = {},
): void {
  if (nosniff) response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.writeHead(status).end(text);
}
