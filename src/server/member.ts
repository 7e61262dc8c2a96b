/**
 * A whole member, put together in a straight line: listeners, folder, log and state, services. It
 * keeps only what it must close.
 */

import { availableParallelism } from 'node:os';
import type { Settings } from '../config/flags.ts';
import { inertSettings } from '../config/inert.ts';
import { closingFields, effective, localAddress, startFields } from '../config/start.ts';
import { EtcdError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Registry } from '../metrics/prom-registry.ts';
import { PeerClient } from '../peer/client.ts';
import { createPeerServer } from '../peer/server.ts';
import type { Transport } from '../peer/transport.ts';
import { systemClock } from '../platform/clock.ts';
import { systemDisk } from '../platform/disk.ts';
import { serviceResolver } from '../platform/resolve.ts';
import type { Replica } from '../replica/replica.ts';
import { type ClusterId, hexId, type MemberId } from '../types.ts';
import { Wal } from '../wal/wal.ts';
import { type AuthParts, openAuth } from './auth-parts.ts';
import { ClusterVersion } from './cluster-version.ts';
import type { MemoryFolder } from './data-folder.ts';
import { debugVars } from './debug-vars.ts';
import { FatalErrors } from './fatal.ts';
import { type Frontend, openFrontend } from './frontend.ts';
import { withInitialCluster } from './initial-cluster.ts';
import type { ChangeMembers } from './joint-changes.ts';
import type { LeaderTransfer } from './leader-transfer.ts';
import { openLinkedStorage } from './linked-storage.ts';
import { createMonitors, type Monitors } from './monitors.ts';
import { Observation } from './observation.ts';
import { refuseOtherCluster } from './other-cluster.ts';
import { publish } from './publish.ts';
import { openSecurity, type Security } from './security.ts';
import { createServices, type Served, type Services } from './services.ts';
import type { Links } from './severable-peers.ts';
import type { Storage } from './storage.ts';

export type { Services } from './services.ts';

export interface MemberOptions {
  readonly config: Settings;
  readonly log: Log;
  /** Where a member in memory keeps its state; `null`: in its data folder. */
  readonly memory: MemoryFolder | null;
  /** For tests that cut the links to other members. */
  readonly links: Links | null;
  /** Hears of a bug or a broken disk: the member answers nothing any more and should end. */
  readonly onFatal: (error: unknown) => void;
  /** The cluster has removed this member for good: it should be closed. */
  readonly onRemoved: () => void;
}

/** A member that listens, and has not looked at its data folder yet. */
export interface OpenedMember {
  /** As listened on, with the ports that were chosen for port 0. */
  readonly clientUrls: readonly string[];
  readonly peerUrls: readonly string[];
  /**
   * Resolves when the member has published itself, so that the next linearizable write succeeds;
   * a cluster of several must have a quorum for that. Closes the listeners when it fails.
   */
  start(config: Settings): Promise<Member>;
  close(): Promise<void>;
}

export interface Member {
  readonly memberId: MemberId;
  readonly clusterId: ClusterId;
  /** As listened on, with the ports that were chosen for port 0. */
  readonly clientUrls: readonly string[];
  readonly peerUrls: readonly string[];
  readonly replica: Replica;
  readonly services: Services;
  readonly changeMembers: ChangeMembers;
  readonly metricsRegistry: () => Promise<Registry>;
  close(): Promise<void>;
}

export async function openMember(options: MemberOptions): Promise<OpenedMember> {
  const { log } = options;
  const security = openSecurity(options.config, log, options.memory !== null);
  const frontend = await openListeners(options, security);
  const stopping = new AbortController();
  return {
    clientUrls: frontend.clientUrls,
    peerUrls: frontend.peerUrls,
    async start(config) {
      const fatal = new FatalErrors(log, options.onFatal);
      try {
        const found = await foundSettings(options, config, stopping);
        const secured = { ...options, config: found, security };
        return await startBehind(frontend, fatal, secured, stopping.signal);
      } catch (error) {
        await closing({ config, log }, () => frontend.close());
        throw fatal.reasonFor(error);
      }
    },
    close() {
      stopping.abort();
      return frontend.close();
    },
  };
}

async function openListeners(
  { config, log }: MemberOptions,
  security: Security,
): Promise<Frontend> {
  const { socketReuseAddress, socketReusePort } = config;
  if (socketReuseAddress || socketReusePort) {
    log.info('configuring socket options', {
      'reuse-address': socketReuseAddress,
      'reuse-port': socketReusePort,
    });
  }
  try {
    return await openFrontend(config, log, security);
  } catch (error) {
    await closing({ config, log }, async () => {});
    throw error;
  }
}

/** etcd: these lines are also around the end of a start that has failed. */
async function closing(
  { config, log }: Pick<MemberOptions, 'config' | 'log'>,
  close: () => Promise<void>,
): Promise<void> {
  const fields = closingFields(config);
  log.info('closing etcd server', fields);
  await close();
  log.info('closed etcd server', fields);
}

export async function startMember(options: MemberOptions): Promise<Member> {
  const opened = await openMember(options);
  return opened.start(options.config);
}

interface SecuredOptions extends MemberOptions {
  readonly security: Security;
}

interface Parts {
  readonly storage: Storage;
  readonly auth: AuthParts;
  readonly transport: Transport;
  readonly peerClient: PeerClient;
  readonly observation: Observation;
  readonly served: Served;
  readonly clusterVersion: ClusterVersion;
  readonly monitors: Monitors;
}

async function openParts(options: SecuredOptions, signal: AbortSignal): Promise<Parts> {
  const { config, log, security, onFatal } = options;
  const derived = effective(config);
  const observation = new Observation(config, log);
  const peerClient = new PeerClient({ clock: systemClock, tls: security.toPeers() });
  const auth = openAuth(config, log);
  const { transport, storage } = await openLinkedStorage(
    { ...options, auth, signal },
    observation,
    peerClient,
  );
  const { replica, size, remotes } = storage;
  const served = createServices({
    config,
    derived,
    log,
    storage,
    auth,
    observation,
    peerCalls: peerClient,
    onFatal,
  });
  const { requestTimeoutMs } = derived;
  observation.observe({ replica, size, watch: served.services.watch });
  const clusterVersion = new ClusterVersion({
    replica,
    peers: peerClient,
    remotes,
    requestTimeoutMs,
    monotonic: () => systemClock.monotonic(),
    log,
  });
  const monitors = createMonitors({
    config,
    log,
    replica,
    peers: peerClient,
    requestTimeoutMs,
    clusterVersion,
    onFatal,
  });
  const rest = { peerClient, observation, served, clusterVersion, monitors };
  const parts = { storage, auth, transport, ...rest };
  try {
    await monitors.begin(storage.restarted);
  } catch (error) {
    await closeParts(parts);
    throw error;
  }
  return parts;
}

/** Who still waits for an answer is told that the server stops, before the connections end. */
async function closeParts(parts: Parts): Promise<void> {
  const { storage, auth, peerClient, observation, monitors } = parts;
  await monitors.close();
  await auth.passwords.close();
  await storage.close();
  peerClient.close();
  await observation.close();
}

async function startBehind(
  frontend: Frontend,
  fatal: FatalErrors,
  options: SecuredOptions,
  signal: AbortSignal,
): Promise<Member> {
  const { config, log } = options;
  const onFatal = fatal.report;
  const parts = await openParts({ ...options, onFatal }, signal).catch((error: unknown) => {
    log.error('bootstrap failed', { error: error instanceof Error ? error.message : `${error}` });
    throw error;
  });
  const { storage, transport, observation, served, monitors } = parts;
  const { replica } = storage;
  frontend.servePeers(createPeerServer(transport, served.peerApi));
  replica.start();
  const stopTicking = systemClock.every(config.heartbeatInterval, () => {
    const now = systemClock.monotonic();
    served.tick(now);
    frontend.tick(now);
    observation.tracer?.tick(now);
    monitors.tick(now);
  });
  const stop = once(async () => {
    fatal.closing();
    await frontend.drain();
    await handOver(served.leaderTransfer, log);
    stopTicking();
    await closeParts(parts);
    await frontend.close();
  });
  logServing(options, frontend, replica);
  try {
    await publishAmongOthers(parts, frontend, config);
  } catch (error) {
    await stop();
    throw error;
  }
  logPublished(options, frontend, replica);
  frontend.serve({
    methods: served.methods,
    nameOf: served.nameOf,
    kv: served.services.kv,
    replica,
    observation,
    debugVars: () => debugVars(replica),
    monotonic: () => systemClock.monotonic(),
    onFatal,
  });
  fatal.started();
  return memberOf(parts, frontend, () => closing(options, stop));
}

async function publishAmongOthers(
  { storage, peerClient, clusterVersion }: Parts,
  frontend: Frontend,
  config: Settings,
): Promise<void> {
  const { replica } = storage;
  const published = new AbortController();
  const links = { replica, peers: peerClient, clock: systemClock };
  try {
    await Promise.race([
      publish(replica, clusterVersion, config, frontend.advertisedUrls),
      // It only matters when it refuses.
      refuseOtherCluster(links, published.signal).then(() => new Promise<never>(() => {})),
    ]);
  } finally {
    published.abort();
  }
}

function memberOf(
  { storage, served, observation }: Parts,
  { clientUrls, peerUrls }: Frontend,
  close: () => Promise<void>,
): Member {
  const { replica } = storage;
  const { memberId, clusterId } = replica;
  const { services, changeMembers } = served;
  return {
    memberId,
    clusterId,
    clientUrls,
    peerUrls,
    replica,
    services,
    changeMembers,
    metricsRegistry: () => observation.metricsRegistry(),
    close: once(close),
  };
}

/** The settings that the member starts with, told in the log. */
async function foundSettings(
  { log, memory }: MemberOptions,
  given: Settings,
  { signal }: AbortController,
): Promise<Settings> {
  const memberInitialized = await Wal.exists(memory?.disk ?? systemDisk, effective(given).walDir);
  const config = memberInitialized
    ? given
    : await withInitialCluster(given, serviceResolver(signal), log);
  const fields = startFields(config, {
    memberInitialized,
    localAddress: localAddress(config, log),
    cpus: availableParallelism(),
    runtime: process.version,
    platform: process.platform,
    arch: process.arch,
  });
  log.info('starting an etcd server', fields);
  for (const flag of inertSettings(config)) {
    log.warn('setting has no effect in this server', { setting: flag });
  }
  return config;
}

function logServing({ config, log }: MemberOptions, frontend: Frontend, replica: Replica): void {
  log.info('now serving peer/client/metrics', {
    'local-member-id': hexId(replica.memberId),
    'initial-advertise-peer-urls': config.initialAdvertisePeerUrls,
    'listen-peer-urls': config.listenPeerUrls,
    'advertise-client-urls': frontend.advertisedUrls,
    'listen-client-urls': frontend.clientUrls,
    'listen-metrics-urls': config.listenMetricsUrls,
  });
}

function logPublished({ config, log }: MemberOptions, frontend: Frontend, replica: Replica): void {
  const clientUrls = frontend.advertisedUrls.join(' ');
  log.info('published local member to cluster through raft', {
    'local-member-id': hexId(replica.memberId),
    'local-member-attributes': `{Name:${config.name} ClientURLs:[${clientUrls}]}`,
    'cluster-id': hexId(replica.clusterId),
    'publish-timeout': `${effective(config).requestTimeoutMs / 1000}s`,
  });
}

/** So that the others need not wait for an election timeout. */
async function handOver(leaderTransfer: LeaderTransfer, log: Log): Promise<void> {
  try {
    await leaderTransfer.handOver();
  } catch (error) {
    if (!(error instanceof EtcdError)) throw error;
    log.warn('leadership transfer failed', { error: error.message });
  }
}

function once(fn: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | null = null;
  return () => {
    running ??= fn();
    return running;
  };
}
