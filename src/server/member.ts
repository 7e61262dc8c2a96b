/**
 * A whole member, put together in a straight line: listeners, folder, log and state, services. It
 * keeps only what it must close.
 */

import { availableParallelism } from 'node:os';
import type { Settings } from '../config/flags.ts';
import { effective, startFields } from '../config/start.ts';
import { EtcdError, errors } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Registry } from '../metrics/prom-registry.ts';
import { systemClock } from '../platform/clock.ts';
import { systemDisk } from '../platform/disk.ts';
import type { Replica } from '../replica/replica.ts';
import { type ClusterId, hexId, type MemberId } from '../types.ts';
import { CLUSTER_VERSION } from '../version.ts';
import { Wal } from '../wal/wal.ts';
import { debugVars } from './debug-vars.ts';
import { FatalErrors } from './fatal.ts';
import { type Frontend, openFrontend } from './frontend.ts';
import { Observation } from './observation.ts';
import { createServices, type Services } from './services.ts';
import { openStorage } from './storage.ts';

export type { Services } from './services.ts';

export interface MemberOptions {
  readonly config: Settings;
  readonly log: Log;
  /** Keeps everything in memory; nothing survives the member. */
  readonly memory: boolean;
  /** Hears of a bug or a broken disk: the member answers nothing any more and should end. */
  readonly onFatal: (error: unknown) => void;
}

export interface Member {
  readonly memberId: MemberId;
  readonly clusterId: ClusterId;
  /** As listened on, with the ports that were chosen for port 0. */
  readonly clientUrls: readonly string[];
  readonly services: Services;
  readonly metricsRegistry: () => Promise<Registry>;
  close(): Promise<void>;
}

/** Resolves when the member has published itself, so that the next linearizable write succeeds. */
export async function startMember(options: MemberOptions): Promise<Member> {
  const { config, log } = options;
  const frontend = await openFrontend(config, log);
  const fatal = new FatalErrors(log, options.onFatal);
  try {
    await logStart(options);
    return await startBehind(frontend, fatal, options);
  } catch (error) {
    await frontend.close();
    throw fatal.reasonFor(error);
  }
}

async function startBehind(
  frontend: Frontend,
  fatal: FatalErrors,
  options: MemberOptions,
): Promise<Member> {
  const { config, log, memory } = options;
  const derived = effective(config);
  const onFatal = fatal.report;
  const observation = new Observation(config, log);
  const storage = await openStorage({ config, derived, memory, observation, onFatal });
  const { replica } = storage;
  const { services, methods, tick } = createServices({
    config,
    derived,
    log,
    storage,
    observation,
    peerCalls: null,
    onFatal,
  });
  const { quotaBytes } = derived;
  observation.observe({ replica, size: storage.size, watch: services.watch, quotaBytes });
  replica.start();
  const stopTicking = systemClock.every(config.heartbeatInterval, () => {
    const now = systemClock.monotonic();
    tick(now);
    frontend.tick(now);
  });
  const stop = once(async () => {
    fatal.closing();
    await frontend.drain();
    stopTicking();
    // Who still waits for an answer is told that the server stops, before the connections end.
    await storage.close();
    await frontend.close();
    observation.close();
  });
  try {
    await publish(replica, config, frontend.advertisedUrls);
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
    services,
    metricsRegistry: () => observation.metricsRegistry(),
    close: stop,
  };
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

/** etcd: a member tells its name and client URLs; the leader of a new cluster sets its version. */
async function publish(
  replica: Replica,
  config: Settings,
  clientUrls: readonly string[],
): Promise<void> {
  const memberAttributes = { name: config.name, clientUrls };
  await persistently(config, () =>
    replica.propose('clusterMemberAttrSet', { memberId: replica.memberId, memberAttributes }),
  );
  if (replica.isLeader && replica.stateMachine.clusterVersion === '') {
    await persistently(config, () =>
      replica.propose('clusterVersionSet', { ver: CLUSTER_VERSION }),
    );
  }
}

/** Without a leader an attempt times out; etcd tries until the member is stopped. */
async function persistently(config: Settings, attempt: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await attempt();
      return;
    } catch (error) {
      if (!(error instanceof EtcdError) || error === errors.stopped) throw error;
    }
    // A refusal comes at once: without a pause nothing else would get its turn.
    await nextTick(config);
  }
}

function nextTick({ heartbeatInterval }: Settings): Promise<void> {
  return new Promise((resolve) => {
    const stop = systemClock.every(heartbeatInterval, () => {
      stop();
      resolve();
    });
  });
}

function once(fn: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | null = null;
  return () => {
    running ??= fn();
    return running;
  };
}
