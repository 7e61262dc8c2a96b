/** Everything that listens: client, HTTP-only, metrics and peer URLs, bound early, served late. */

import { createServer, type Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';
import type { Settings } from '../config/flags.ts';
import { effective, listenerProblem } from '../config/start.ts';
import { splitUrl } from '../config/url.ts';
import { limits } from '../limits.ts';
import type { Log } from '../log.ts';
import { openFilesLimit } from '../metrics/process-families.ts';
import { systemClock } from '../platform/clock.ts';
import type { Replica } from '../replica/replica.ts';
import { peerCommonName } from '../tls/certificate.ts';
import type { ServerTls } from '../tls/server-tls.ts';
import { type AuditFile, audited, openAuditFile } from './audit.ts';
import { ConnectionLimit, clientConnectionsMax } from './connection-limit.ts';
import { createGateway, type Gateway } from './gateway.ts';
import { createGrpc } from './grpc.ts';
import { logServingStatus } from './grpc-health.ts';
import { serveHttp2 } from './h2/connection.ts';
import type { Http2Connection } from './h2/options.ts';
import { createHealth } from './health.ts';
import { createHttp, type HttpDeps } from './http.ts';
import type { Kv } from './kv.ts';
import { ListenError, type Listener, type ListenerHandlers, listen } from './listener.ts';
import type { Observation } from './observation.ts';
import type { Caller, Method } from './rpc.ts';
import { createRpcGate, type RpcGate } from './rpc-gate.ts';
import type { Security } from './security.ts';
import { traced } from './tracing.ts';
import { limitedPerUser } from './user-limits.ts';

export interface Served {
  readonly methods: readonly Method[];
  /** The name that a caller goes by; '' for none. */
  readonly nameOf: (caller: Caller) => string;
  readonly replica: Replica;
  readonly kv: Pick<Kv, 'range'>;
  readonly observation: Observation;
  readonly debugVars: () => string;
  readonly monotonic: () => number;
  readonly onFatal: (error: unknown) => void;
}

export interface Frontend {
  /** As listened on, with the ports that were chosen for port 0. */
  readonly clientUrls: readonly string[];
  readonly advertisedUrls: readonly string[];
  readonly peerUrls: readonly string[];
  /** Other members are answered before clients: a quorum is what clients wait for. */
  servePeers(http: HttpServer): void;
  serve(served: Served): void;
  /** Called once per heartbeat interval, until it is closed. */
  tick(nowMs: number): void;
  /**
   * Accepts and starts nothing of clients any more, ends their streams, and waits for a bounded
   * time until the requests under way are answered. Other members are still served.
   */
  drain(): Promise<void>;
  /** Ends every connection. */
  close(): Promise<void>;
}

export async function openFrontend(
  config: Settings,
  log: Log,
  security: Security,
): Promise<Frontend> {
  const opened: Listener[] = [];
  const audit = openAuditFile(config.extAuditLogPath, config.name, log);
  let peers: readonly Listener[] | null = null;
  const clientLimit = new ConnectionLimit(clientConnectionsMax(openFilesLimit()));
  const peerLimit = new ConnectionLimit(limits.peerConnectionsMax);
  const open = async (
    urls: readonly string[],
    tlsOf: () => ServerTls,
    limit: ConnectionLimit = clientLimit,
  ): Promise<readonly Listener[]> => {
    const listeners: Listener[] = [];
    for (const url of urls) {
      const listener = await listen(url, splitUrl(url).secure ? tlsOf() : null, limit);
      opened.push(listener);
      listeners.push(listener);
    }
    return listeners;
  };
  try {
    log.info('configuring peer listeners', { 'listen-peer-urls': config.listenPeerUrls });
    security.announcePeers();
    peers = await open(config.listenPeerUrls, security.forPeers, peerLimit);
    const http = notReady();
    for (const listener of peers) listener.serve({ onHttp2: null, http });
    log.info('configuring client listeners', { 'listen-client-urls': config.listenClientUrls });
    security.announceClients();
    const problem = listenerProblem(config);
    if (problem !== null) throw new ListenError(problem);
    const clients = await open(config.listenClientUrls, security.forClients);
    const httpOnly = await open(config.listenClientHttpUrls, security.forClients);
    const metrics = await open(config.listenMetricsUrls, security.forMetrics);
    return frontendOf({ config, log, audit, opened, peers, clients, httpOnly, metrics });
  } catch (error) {
    audit?.close();
    await giveUp({ log, opened, peers }, error);
    throw error;
  }
}

interface Given {
  readonly log: Log;
  readonly opened: readonly Listener[];
  /** `null`: it was one of these that could not be opened. */
  readonly peers: readonly Listener[] | null;
}

async function giveUp({ log, opened, peers }: Given, error: unknown): Promise<void> {
  const reason = { error: error instanceof Error ? error.message : String(error) };
  if (peers === null) log.error('creating peer listener failed', reason);
  for (const listener of [...opened].reverse()) {
    await listener.close();
    if (peers === null || peers.includes(listener)) continue;
    log.warn('closing client listener', { address: addressOf(listener), ...reason });
  }
}

/**
 * For other members until this one knows who it is. They would wait for an answer, and with it keep
 * themselves from starting.
 */
function notReady(): HttpServer {
  const server = createServer((_request, response) => {
    response.writeHead(503, { Connection: 'close', 'Content-Type': 'text/plain; charset=utf-8' });
    response.end('member is starting\n');
  });
  server.emit('listening');
  return server;
}

interface Opened {
  readonly config: Settings;
  readonly log: Log;
  readonly audit: AuditFile | null;
  readonly opened: readonly Listener[];
  readonly peers: readonly Listener[];
  readonly clients: readonly Listener[];
  readonly httpOnly: readonly Listener[];
  readonly metrics: readonly Listener[];
}

function frontendOf(given: Opened): Frontend {
  const { config, log, opened, peers, clients, httpOnly, metrics } = given;
  const connections = new Set<Http2Connection>();
  const https: HttpServer[] = [];
  let peerServer: HttpServer | null = null;
  let gateway: Gateway | null = null;
  let gate: RpcGate | null = null;
  let end: Ending | null = null;
  const forClients = opened.filter((listener) => !peers.includes(listener));
  return {
    clientUrls: clients.map(({ url }) => url),
    advertisedUrls: config.advertiseClientUrls.map((url) => withPort(url, clients)),
    peerUrls: peers.map(({ url }) => url),
    servePeers(http) {
      peerServer = http;
      http.emit('listening');
      for (const listener of peers) {
        listener.serve({ onHttp2: null, http });
        log.info('serving peer traffic', { address: addressOf(listener) });
      }
    },
    serve(served) {
      gate = gateOf(given, served);
      const http = httpDeps(config, served, gate);
      gateway = http.gateway;
      const clientHttp = createHttp(http, 'client');
      const metricsHttp = createHttp(http, 'metrics');
      https.push(clientHttp, metricsHttp);
      // Node's server keeps account of its connections, and of their timeouts, once it listens;
      // ours get their connections from elsewhere.
      for (const server of https) server.emit('listening');
      const onHttp2 = http2Handler(config, { served, gate, connections });
      const split = httpOnly.length > 0;
      for (const listener of metrics) listener.serve({ onHttp2: null, http: metricsHttp });
      for (const listener of httpOnly) listener.serve({ onHttp2: null, http: clientHttp });
      const handlers: ListenerHandlers = { onHttp2, http: split ? null : clientHttp };
      for (const listener of [...clients, ...httpOnly]) {
        if (clients.includes(listener)) listener.serve(handlers);
        log.info('ready to serve client requests');
        if (clients.includes(listener)) logServingStatus(log, 'SERVING');
        const { secure, address } = splitUrl(listener.url);
        const how = secure ? 'securely' : 'insecurely; this is strongly discouraged!';
        const traffic = clients.includes(listener) ? (split ? 'grpc' : 'grpc+http') : 'http';
        log.info(`serving client traffic ${how}`, { traffic, address });
      }
    },
    tick(nowMs) {
      for (const connection of connections) connection.tick(nowMs);
      gate?.tick();
      gateway?.tick(nowMs);
      if (end === null) return;
      // Requests that were under way have left their connections idle meanwhile.
      for (const http of https) http.closeIdleConnections();
      end.deadlineMs ??= nowMs + limits.closeGraceMs;
      if (nowMs >= end.deadlineMs) end.giveUp();
    },
    async drain() {
      for (const listener of forClients) listener.stopAccepting();
      if (gate === null) return;
      gate.close();
      for (const connection of connections) connection.goaway();
      for (const http of https) http.close();
      await new Promise<void>((resolve, reject) => {
        end = { deadlineMs: null, giveUp: resolve };
        Promise.all(forClients.map((listener) => listener.whenEmpty())).then(
          () => resolve(),
          reject,
        );
      });
    },
    async close() {
      const tell = (msg: string): void => {
        if (peerServer === null) return;
        for (const listener of peers) log.info(msg, { address: addressOf(listener) });
      };
      tell('stopping serving peer traffic');
      peerServer?.close();
      await Promise.all(opened.map((listener) => listener.close()));
      given.audit?.close();
      tell('stopped serving peer traffic');
    },
  };
}

function addressOf({ url }: Listener): string {
  return url.replace(/^\w+:\/\//, '');
}

/** What is under way when the member stops may finish until a deadline, which ticks tell. */
interface Ending {
  deadlineMs: number | null;
  readonly giveUp: () => void;
}

/** A URL advertised with port 0 means the port that was chosen. */
function withPort(url: string, clients: readonly Listener[]): string {
  const port = clients[0] === undefined ? '' : new URL(clients[0].url).port;
  return url.replace(/:0$/, `:${port}`);
}

/** The outermost sees every call: what is refused is audited too. */
function gateOf({ config, log, audit }: Opened, served: Served): RpcGate {
  const { nameOf, monotonic } = served;
  const { tracer } = served.observation;
  const perSecond = config.extUserRequestsPerSecond;
  let gate = createRpcGate(served.replica, effective(config));
  if (tracer !== null) gate = traced(gate, tracer);
  if (perSecond > 0) gate = limitedPerUser(gate, { perSecond, nameOf, monotonic });
  if (audit === null) return gate;
  return audited(gate, { write: audit.write, nameOf, now: () => systemClock.now(), log });
}

interface Http2Parts {
  readonly served: Served;
  readonly gate: RpcGate;
  readonly connections: Set<Http2Connection>;
}

function http2Handler(config: Settings, { served, gate, connections }: Http2Parts) {
  const options = {
    onCall: createGrpc({
      methods: byPath(served.methods),
      gate,
      observer: served.observation.grpc,
      monotonic: served.monotonic,
      onFatal: served.onFatal,
    }),
    messageBytesMax: config.maxRequestBytes + limits.grpcOverheadBytes,
    maxConcurrentStreams: config.maxConcurrentStreams,
    headerBytesMax: limits.headerBytesMax,
    callBufferedBytesMax: limits.streamBufferedBytesMax,
    monotonic: served.monotonic,
    onClose: (connection: Http2Connection) => connections.delete(connection),
    keepalive: {
      minTimeMs: config.grpcKeepaliveMinTime,
      intervalMs: config.grpcKeepaliveInterval,
      timeoutMs: config.grpcKeepaliveTimeout,
    },
  };
  return (socket: Socket, head: Buffer, commonName: string): void => {
    connections.add(serveHttp2(socket, options, head, commonName));
  };
}

function byPath(methods: readonly Method[]): ReadonlyMap<string, Method> {
  return new Map(methods.map((method) => [`/${method.service}/${method.name}`, method]));
}

function httpDeps(config: Settings, served: Served, gate: RpcGate): HttpDeps {
  const { replica, observation, onFatal, debugVars } = served;
  const gateway = createGateway({
    methods: byPath(served.methods),
    gate,
    requestBytesMax: config.maxRequestBytes,
    observer: observation.grpc,
    monotonic: served.monotonic,
    onFatal,
  });
  return {
    gateway: config.enableGrpcGateway ? gateway : null,
    health: createHealth(replica, served.kv, observation.health),
    cors: config.cors,
    hostWhitelist: config.hostWhitelist,
    certificateUser: (socket) =>
      config.clientCertAuth && replica.stateMachine.auth.enabled ? peerCommonName(socket) : '',
    clusterVersion: () => replica.stateMachine.clusterVersion,
    renderMetrics: () => observation.renderMetrics(),
    debugVars,
    onFatal,
  };
}
