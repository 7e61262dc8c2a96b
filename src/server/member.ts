/**
 * A whole member, put together in a straight line: folder, log and state, replica, services,
 * transports. It keeps only what it must close.
 */

import { availableParallelism } from 'node:os';
import type { ResponseHeader } from '../codec/gen/etcdserverpb.ts';
import type { Settings } from '../config/flags.ts';
import { effective, initialClusterUrls, startFields } from '../config/start.ts';
import { EtcdError, errors } from '../errors.ts';
import type { Log } from '../log.ts';
import { systemClock } from '../platform/clock.ts';
import { systemDisk } from '../platform/disk.ts';
import { LevelEngine } from '../platform/level-engine.ts';
import { MemoryDisk } from '../platform/memory-disk.ts';
import { MemoryEngine } from '../platform/memory-engine.ts';
import { systemRandom } from '../platform/random.ts';
import { RowTable } from '../platform/rows.ts';
import type { Disk, Engine } from '../ports.ts';
import { bootstrap } from '../replica/bootstrap.ts';
import { Replica } from '../replica/replica.ts';
import { RequestIds } from '../replica/request-ids.ts';
import { type ClusterId, hexId, type MemberId, type Revision } from '../types.ts';
import { CLUSTER_VERSION } from '../version.ts';
import { Wal } from '../wal/wal.ts';
import { authMethods } from './auth.ts';
import { clusterMethods, createCluster } from './cluster.ts';
import { debugVars } from './debug-vars.ts';
import { electionMethods } from './election.ts';
import { type Frontend, openFrontend } from './frontend.ts';
import { grpcHealthMethods } from './grpc-health.ts';
import { createKv, type Kv, kvMethods } from './kv.ts';
import { createLease, type LeaseService, leaseMethods } from './lease.ts';
import { lockMethods } from './lock.ts';
import { createMaintenance, type Maintenance, maintenanceMethods } from './maintenance.ts';
import { Observation } from './observation.ts';
import type { Method } from './rpc.ts';
import { DatabaseSize, fits, Space } from './space.ts';
import { createWatch, type WatchService } from './watch.ts';

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
  close(): Promise<void>;
}

export interface Services {
  readonly kv: Kv;
  readonly lease: LeaseService;
  readonly watch: WatchService;
  readonly maintenance: Maintenance;
}

/** Resolves when the member has published itself, so that the next linearizable write succeeds. */
export async function startMember(options: MemberOptions): Promise<Member> {
  const { config, log } = options;
  const frontend = await openFrontend(config, log);
  log.info('starting an etcd server', {
    ...startFields(config, {
      memberInitialized: await Wal.exists(systemDisk, effective(config).walDir),
      localAddress: '',
      cpus: availableParallelism(),
      runtime: process.version,
      platform: process.platform,
      arch: process.arch,
    }),
  });
  try {
    return await startBehind(frontend, options);
  } catch (error) {
    await frontend.close();
    throw error;
  }
}

async function startBehind(frontend: Frontend, options: MemberOptions): Promise<Member> {
  const { config, log } = options;
  const derived = effective(config);
  const clock = systemClock;
  const breathe = (): Promise<void> => new Promise((resolve) => clock.defer(resolve));
  const observation = new Observation(config, log);
  let failed = false;
  const onFatal = (error: unknown): void => {
    if (failed) return;
    failed = true;
    options.onFatal(error);
  };

  const { disk, engine } = await openStorage(options, derived.memberDir);
  const rows = await RowTable.open(engine);
  const size = new DatabaseSize(() => rows.liveBytes);
  const requestTimeoutTicks = Math.ceil(derived.requestTimeoutMs / config.heartbeatInterval);
  const started = await bootstrap({
    disk,
    rows,
    walDir: derived.walDir,
    walsMax: config.maxWals,
    walObserver: observation.wal,
    clock,
    random: systemRandom,
    name: config.name,
    clusterToken: config.initialClusterToken,
    initialCluster: [...initialClusterUrls(config.initialCluster)].map(([name, peerUrls]) => ({
      name,
      peerUrls,
    })),
    tickMs: config.heartbeatInterval,
    electionTicks: derived.electionTicks,
    requestTimeoutTicks,
    preVote: config.preVote,
    learnersMax: config.maxLearners,
    leaseTtlMinSeconds: leaseTtlMinSeconds(derived.electionTicks, config.heartbeatInterval),
    compactionBatchLimit: derived.compactionBatchLimit,
    breathe,
    onFatal,
    space: (cost) => fits(size, derived.quotaBytes, cost),
  });
  observation.bootstrapped(started);

  const replica = new Replica({
    memberId: started.memberId,
    clusterId: started.clusterId,
    clock,
    tickMs: config.heartbeatInterval,
    electionTicks: derived.electionTicks,
    requestTimeoutTicks,
    requestBytesMax: config.maxRequestBytes,
    snapshotEntries: derived.snapshotCount,
    catchUpEntries: config.snapshotCatchupEntries,
    compactionSleepMs: derived.compactionSleepMs,
    raft: started.raft,
    wal: started.wal,
    rows,
    stateMachine: started.stateMachine,
    requestIds: new RequestIds(started.memberId, clock.now()),
    peers: null,
    confState: started.confState,
    snapshotIndex: started.snapshotIndex,
    observer: observation.replica,
    onFatal,
  });
  const { store } = started.stateMachine;

  const header = (revision: Revision): ResponseHeader => ({
    clusterId: replica.clusterId,
    memberId: replica.memberId,
    revision,
    raftTerm: replica.term,
  });
  const currentHeader = (): ResponseHeader => header(store.revision);
  const space = new Space(replica, size, derived.quotaBytes);
  const kv = createKv({
    replica,
    space,
    txnOpsMax: config.maxTxnOps,
    requestBytesMax: config.maxRequestBytes,
    header,
    yieldNow: breathe,
  });
  const lease = createLease({ replica, space, header: currentHeader });
  const watch = createWatch({
    store,
    hub: started.stateMachine.hub,
    random: systemRandom,
    requestBytesMax: config.maxRequestBytes,
    progressIntervalMs: derived.progressNotifyMs,
    header,
  });
  const maintenance = createMaintenance({
    replica,
    engine,
    size,
    space,
    header,
    breathe,
    defragmented: (seconds) => observation.defragmented(seconds),
    monotonic: () => clock.monotonic(),
  });
  const concurrency = { kv, lease, hub: started.stateMachine.hub };
  const methods: readonly Method[] = [
    ...kvMethods(kv),
    ...watch.methods,
    ...leaseMethods(lease),
    ...clusterMethods(createCluster({ replica, header: () => header(0) })),
    ...maintenanceMethods(maintenance),
    ...authMethods(),
    ...lockMethods(concurrency),
    ...electionMethods(concurrency),
    ...grpcHealthMethods(),
  ];

  observation.observe({ replica, size, watch, quotaBytes: space.quotaBytes });
  replica.start();
  const stopTicking = clock.every(config.heartbeatInterval, () => {
    const now = clock.monotonic();
    watch.tick(now);
    frontend.tick(now);
  });
  const stop = async (): Promise<void> => {
    stopTicking();
    await frontend.close();
    observation.close();
    await replica.close();
    await started.wal.close();
    await engine.close();
  };
  try {
    await publish(replica, config, frontend.advertisedUrls);
  } catch (error) {
    await stop();
    throw error;
  }
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
    'publish-timeout': `${derived.requestTimeoutMs / 1000}s`,
  });
  frontend.serve({
    methods,
    replica,
    observation,
    debugVars: () => debugVars(replica),
    monotonic: () => clock.monotonic(),
    onFatal,
  });
  return {
    memberId: replica.memberId,
    clusterId: replica.clusterId,
    clientUrls: frontend.clientUrls,
    services: { kv, lease, watch, maintenance },
    close: once(stop),
  };
}

async function openStorage(
  { config, memory }: MemberOptions,
  memberDir: string,
): Promise<{ disk: Disk; engine: Engine }> {
  if (memory) return { disk: new MemoryDisk(), engine: new MemoryEngine() };
  await systemDisk.makeDir(config.dataDir);
  await systemDisk.makeDir(memberDir);
  await systemDisk.makeDir(`${memberDir}/snap`);
  await systemDisk.syncDir(config.dataDir);
  return { disk: systemDisk, engine: await LevelEngine.open(`${memberDir}/snap/db`) };
}

/** etcd: one and a half election timeouts, in whole seconds. */
function leaseTtlMinSeconds(electionTicks: number, tickMs: number): number {
  return Math.ceil((Math.floor((3 * electionTicks) / 2) * tickMs) / 1000);
}

/** etcd: a member tells its name and client URLs; the leader of a new cluster sets its version. */
async function publish(
  replica: Replica,
  config: Settings,
  clientUrls: readonly string[],
): Promise<void> {
  const attributes = {
    memberId: replica.memberId,
    memberAttributes: { name: config.name, clientUrls },
  };
  for (;;) {
    try {
      await replica.propose('clusterMemberAttrSet', attributes);
      break;
    } catch (error) {
      // Without a leader the attempt times out; etcd tries until the member is stopped.
      if (!(error instanceof EtcdError) || error === errors.stopped) throw error;
    }
  }
  if (replica.isLeader && replica.stateMachine.clusterVersion === '') {
    await replica.propose('clusterVersionSet', { ver: CLUSTER_VERSION });
  }
}

function once(fn: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | null = null;
  return () => {
    running ??= fn();
    return running;
  };
}
