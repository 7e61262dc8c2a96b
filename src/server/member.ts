/**
 * A whole member, put together in a straight line: listeners, folder, log and state, services. It
 * keeps only what it must close.
 */

import { availableParallelism } from 'node:os';
import { must } from '../assert.ts';
import type { Settings } from '../config/flags.ts';
import { effective, startFields } from '../config/start.ts';
import { EtcdError, errors } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Registry } from '../metrics/prom-registry.ts';
import { pause } from '../pause.ts';
import { PeerClient } from '../peer/client.ts';
import { createPeerServer } from '../peer/server.ts';
import { Transport } from '../peer/transport.ts';
import { systemClock } from '../platform/clock.ts';
import { systemDisk } from '../platform/disk.ts';
import { resolveHost } from '../platform/resolve.ts';
import type { Replica } from '../replica/replica.ts';
import { type ClusterId, hexId, type MemberId } from '../types.ts';
import { Wal } from '../wal/wal.ts';
import { ClusterVersion } from './cluster-version.ts';
import { type MemoryFolder, openDataFolder } from './data-folder.ts';
import { debugVars } from './debug-vars.ts';
import { FatalErrors } from './fatal.ts';
import { type Frontend, openFrontend } from './frontend.ts';
import { chooseStart } from './join.ts';
import type { LeaderTransfer } from './leader-transfer.ts';
import { Observation } from './observation.ts';
import { createServices, type Services } from './services.ts';
import { type Links, SeverablePeers } from './severable-peers.ts';
import { openStorage, type Storage } from './storage.ts';

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
  readonly metricsRegistry: () => Promise<Registry>;
  close(): Promise<void>;
}

export async function openMember(options: MemberOptions): Promise<OpenedMember> {
  const { log } = options;
  const frontend = await openFrontend(options.config, log);
  return {
    clientUrls: frontend.clientUrls,
    peerUrls: frontend.peerUrls,
    async start(config) {
      const fatal = new FatalErrors(log, options.onFatal);
      try {
        await logStart({ ...options, config });
        return await startBehind(frontend, fatal, { ...options, config });
      } catch (error) {
        await frontend.close();
        throw fatal.reasonFor(error);
      }
    },
    close: () => frontend.close(),
  };
}

export async function startMember(options: MemberOptions): Promise<Member> {
  const opened = await openMember(options);
  return opened.start(options.config);
}

async function startBehind(
  frontend: Frontend,
  fatal: FatalErrors,
  options: MemberOptions,
): Promise<Member> {
  const { config, log } = options;
  const derived = effective(config);
  const onFatal = fatal.report;
  const observation = new Observation(config, log);
  const peerClient = new PeerClient({ clock: systemClock });
  const { transport, storage } = await openMemberStorage(
    { ...options, onFatal },
    observation,
    peerClient,
  );
  const { replica } = storage;
  const { services, methods, peerApi, leaderTransfer, tick } = createServices({
    config,
    derived,
    log,
    storage,
    observation,
    peerCalls: peerClient,
    onFatal,
  });
  const { quotaBytes, requestTimeoutMs } = derived;
  observation.observe({ replica, size: storage.size, watch: services.watch, quotaBytes });
  const clusterVersion = new ClusterVersion({
    replica,
    peers: peerClient,
    remotes: storage.remotes,
    requestTimeoutMs,
    monotonic: () => systemClock.monotonic(),
    log,
  });
  frontend.servePeers(createPeerServer(transport, peerApi));
  replica.start();
  const stopTicking = systemClock.every(config.heartbeatInterval, () => {
    const now = systemClock.monotonic();
    tick(now);
    frontend.tick(now);
    clusterVersion.tick(now, onFatal);
  });
  const stop = once(async () => {
    fatal.closing();
    await frontend.drain();
    await handOver(leaderTransfer, log);
    stopTicking();
    // Who still waits for an answer is told that the server stops, before the connections end.
    await storage.close();
    peerClient.close();
    await frontend.close();
    observation.close();
  });
  try {
    await publish(replica, clusterVersion, config, frontend.advertisedUrls);
  } catch (error) {
    await stop();
    throw error;
  }
  logServing(options, frontend, replica);
  frontend.serve({
    methods,
    replica,
    observation,
    debugVars: () => debugVars(replica),
    monotonic: () => systemClock.monotonic(),
    onFatal,
  });
  fatal.started();
  const { memberId, clusterId } = replica;
  return {
    memberId,
    clusterId,
    clientUrls: frontend.clientUrls,
    peerUrls: frontend.peerUrls,
    replica,
    services,
    metricsRegistry: () => observation.metricsRegistry(),
    close: stop,
  };
}

/** etcd: beside an election timeout, how long a connection to another member may take. */
const DIAL_BASE_MS = 1000;

async function openMemberStorage(
  { config, log, memory, links, onFatal, onRemoved }: MemberOptions,
  observation: Observation,
  peerClient: PeerClient,
): Promise<{ readonly storage: Storage; readonly transport: Transport }> {
  const derived = effective(config);
  const folder = await openDataFolder(config.dataDir, derived, memory);
  const transports: Transport[] = [];
  const storage = await openStorage({
    config,
    derived,
    folder,
    start: () =>
      chooseStart({
        config,
        requestTimeoutMs: derived.requestTimeoutMs,
        peers: peerClient,
        resolve: resolveHost,
        clock: systemClock,
        log,
      }),
    connect({ memberId, clusterId }) {
      const transport = new Transport({
        memberId,
        clusterId,
        peerUrls: config.initialAdvertisePeerUrls,
        dialTimeoutMs: DIAL_BASE_MS + config.electionTimeout,
        clock: systemClock,
        log,
        observer: observation.peersOf(memberId),
        onFatal,
      });
      transports.push(transport);
      return links === null ? transport : new SeverablePeers(transport, links);
    },
    observation,
    onFatal,
    onRemoved,
  });
  return { storage, transport: must(transports[0], 'the replica was connected') };
}

async function logStart({ config, log, memory }: MemberOptions): Promise<void> {
  const fields = startFields(config, {
    memberInitialized: !memory && (await Wal.exists(systemDisk, effective(config).walDir)),
    localAddress: '',
    cpus: availableParallelism(),
    runtime: process.version,
    platform: process.platform,
    arch: process.arch,
  });
  log.info('starting an etcd server', fields);
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
  const clientUrls = frontend.advertisedUrls.join(' ');
  log.info('published local member to cluster through raft', {
    'local-member-id': hexId(replica.memberId),
    'local-member-attributes': `{Name:${config.name} ClientURLs:[${clientUrls}]}`,
    'cluster-id': hexId(replica.clusterId),
    'publish-timeout': `${effective(config).requestTimeoutMs / 1000}s`,
  });
}

/**
 * etcd: a member tells its name and client URLs, and tries until it is stopped: without a quorum an
 * attempt times out. A cluster of one decides its version at once, so that it is there for the
 * first client.
 */
async function publish(
  replica: Replica,
  clusterVersion: ClusterVersion,
  config: Settings,
  clientUrls: readonly string[],
): Promise<void> {
  const attributes = { name: config.name, clientUrls };
  await persistently(replica, () => clusterVersion.publish(attributes));
  const isAlone = replica.stateMachine.members.list().length === 1;
  if (!isAlone || replica.stateMachine.clusterVersion !== '') return;
  await persistently(replica, async () => {
    await clusterVersion.decide();
    return true;
  });
}

const PUBLISH_RETRY_MS = 100;

/** Until an attempt says that it has succeeded. Rejects when the member is stopped. */
async function persistently({ stopping }: Replica, attempt: () => Promise<boolean>): Promise<void> {
  for (;;) {
    try {
      if (await attempt()) return;
    } catch (error) {
      if (!(error instanceof EtcdError) || error === errors.stopped) throw error;
    }
    if (stopping.aborted) throw errors.stopped;
    // A refusal comes at once: without a pause nothing else would get its turn.
    await pause(systemClock, PUBLISH_RETRY_MS, stopping);
  }
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
