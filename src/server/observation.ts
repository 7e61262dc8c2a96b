/**
 * What a member tells about itself while it works: metrics under etcd's names and etcd's log lines.
 * Cheap counters are kept here; gauges are read from the parts when somebody scrapes.
 */

import { methodSchemas } from '../codec/gen/schema.ts';
import { featureGateNames, featureGateSpecs, gateEnabled } from '../config/feature-gates.ts';
import type { Settings } from '../config/flags.ts';
import { effective } from '../config/start.ts';
import { goDuration } from '../duration.ts';
import { Code, EtcdError, errors } from '../errors.ts';
import type { Log, LogFields } from '../log.ts';
import type { GrpcMethod, GrpcMethodMetrics, GrpcType } from '../metrics/grpc-families.ts';
import { createMetrics, type LeaseMetrics, type Metrics } from '../metrics/metrics.ts';
import type { Registry } from '../metrics/prom-registry.ts';
import type { PeerObserver } from '../peer/observer.ts';
import { systemClock } from '../platform/clock.ts';
import type { Bootstrapped } from '../replica/bootstrap.ts';
import type { CompactionObserver } from '../replica/compaction-runner.ts';
import type { Result } from '../replica/outcome.ts';
import type { Replica } from '../replica/replica.ts';
import type { ReplicaObserver } from '../replica/replica-options.ts';
import { hexId, type MemberId } from '../types.ts';
import { SERVER_VERSION } from '../version.ts';
import type { WalObserver } from '../wal/wal.ts';
import type { DefragmentationObserver } from './defragmentation.ts';
import type { GrpcObserver } from './grpc.ts';
import { grpcHealthMethods } from './grpc-health.ts';
import type { HealthObserver } from './health.ts';
import type { KvObserver } from './kv.ts';
import type { MaintenanceObserver } from './maintenance.ts';
import { peerObserver } from './peer-observation.ts';
import { RequestStats } from './request-stats.ts';
import { createRoleLog } from './role-log.ts';
import type { Method } from './rpc.ts';
import {
  countPromotion,
  maintenanceObserver,
  showSpaceWarning,
  watchObserver,
} from './service-observation.ts';
import { SlowRequests } from './slow-requests.ts';
import type { DatabaseSize } from './space.ts';
import {
  compactionObserver,
  defragmentationObserver,
  logQuota,
  logQuotaExceeded,
  showAlarms,
  shownQuota,
} from './space-observation.ts';
import { openTracer, type Tracer } from './tracing.ts';
import type { WatchObserver, WatchService } from './watch.ts';

interface Observed {
  readonly replica: Replica;
  readonly size: DatabaseSize;
  readonly watch: WatchService;
}

export class Observation {
  readonly wal: WalObserver;
  readonly replica: ReplicaObserver;
  readonly kv: KvObserver;
  readonly grpc: GrpcObserver;
  readonly health: HealthObserver;
  readonly maintenance: MaintenanceObserver;
  readonly watch: WatchObserver;
  readonly defragmentation: DefragmentationObserver;
  /** `null` unless traces are wanted. */
  readonly tracer: Tracer | null;
  readonly #metrics: Metrics;
  readonly #config: Settings;
  readonly #log: Log;
  readonly #slow: SlowRequests;

  constructor(config: Settings, log: Log) {
    const metrics = createMetrics({
      serverVersion: SERVER_VERSION,
      features: featureGateNames.map((name) => ({
        name,
        stage: featureGateSpecs[name].stage,
        enabled: gateEnabled(config.featureGates, name),
      })),
      grpcMethods: grpcMethods(),
      extensive: config.metrics === 'extensive',
    });
    this.#metrics = metrics;
    this.#config = config;
    this.#log = log;
    this.wal = walObserver(metrics, log);
    this.#slow = new SlowRequests({
      log,
      limitMs: config.warningApplyDuration,
      slow: () => metrics.server.slowApplyTotal.inc(),
    });
    const stats = new RequestStats(log, config.warningUnaryRequestDuration, systemClock.now);
    this.replica = replicaObserver(metrics, log, this.#slow, config);
    this.kv = kvObserver(metrics, this.#slow);
    this.grpc = grpcObserver(metrics, stats);
    this.health = healthObserver(metrics);
    this.maintenance = maintenanceObserver(metrics);
    this.watch = watchObserver(metrics);
    this.tracer = openTracer(config, log);
    const path = `${effective(config).memberDir}/snap/db`;
    this.defragmentation = defragmentationObserver(metrics, log, path);
    metrics.server.quotaBackendBytes.set(shownQuota(config));
  }

  compactions(size: DatabaseSize): CompactionObserver {
    return compactionObserver(this.#metrics, this.#log, size, () => systemClock.now());
  }

  bootstrapped(started: Bootstrapped): void {
    const { memberId, clusterId, repaired } = started;
    const ids = { 'cluster-id': hexId(clusterId), 'local-member-id': hexId(memberId) };
    if (repaired !== null) {
      this.#log.warn('repaired WAL file', {
        path: repaired.file,
        offset: repaired.offset,
        'removed-bytes': repaired.bytes,
        reason: repaired.reason,
      });
    }
    this.#logBeginning(started, ids);
    logQuota(this.#config, this.#log);
    this.#metrics.server.id.with({ server_id: hexId(memberId) }).set(1);
  }

  peersOf(memberId: MemberId): PeerObserver {
    return peerObserver(this.#metrics, memberId);
  }

  #logBeginning({ forced, restarted, raft }: Bootstrapped, ids: LogFields): void {
    const commit = { 'commit-index': raft.commit };
    if (forced === null) {
      if (restarted) this.#log.info('restarting local member', { ...ids, ...commit });
      else this.#log.info('starting local member', ids);
      return;
    }
    if (forced.discarded > 0) {
      this.#log.info('discarding uncommitted WAL entries', {
        'commit-index-from-wal': forced.foundCommit,
        'number-of-discarded-entries': forced.discarded,
      });
    }
    this.#log.info('forcing restart member', {
      ...ids,
      'wal-commit-index': forced.foundCommit,
      ...commit,
    });
  }

  /** The leader was asked to promote a learner. */
  promoted(error: EtcdError | null): void {
    countPromotion(this.#metrics, error);
  }

  spaceWarning(isActive: boolean): void {
    showSpaceWarning(this.#metrics, isActive);
  }

  /** From here on a scrape reads these parts. */
  observe(parts: Observed): void {
    this.#metrics.onScrape(() => readGauges(this.#metrics, parts));
    const { replica } = parts;
    this.#slow.header = () => ({
      clusterId: replica.clusterId,
      memberId: replica.memberId,
      revision: replica.stateMachine.store.revision,
      raftTerm: replica.term,
    });
  }

  metricsRegistry(): Promise<Registry> {
    return this.#metrics.registry();
  }

  renderMetrics(): Promise<string> {
    return this.#metrics.render();
  }

  /** Waits for the collector of traces, as long as an export may take. */
  async close(): Promise<void> {
    await this.tracer?.close();
    this.#metrics.close();
  }
}

function grpcMethods(): readonly GrpcMethod[] {
  const etcds = methodSchemas.map(({ service, name, clientStreaming, serverStreaming }) => {
    const preset = service.startsWith('etcdserverpb.');
    return { service, method: name, type: grpcType(clientStreaming, serverStreaming), preset };
  });
  const health = grpcHealthMethods().map(({ service, name, kind }) => {
    return { service, method: name, type: grpcType(false, kind !== 'unary'), preset: true };
  });
  return [...etcds, ...health];
}

function grpcType(clientStreaming: boolean, serverStreaming: boolean): GrpcType {
  if (clientStreaming) return serverStreaming ? 'bidi_stream' : 'client_stream';
  return serverStreaming ? 'server_stream' : 'unary';
}

/** etcd: an fsync beyond a second is worth a line. */
const SLOW_SYNC_SECONDS = 1;

function walObserver({ disk, snap }: Metrics, log: Log): WalObserver {
  return {
    snapshotSaved(seconds) {
      // etcd: a file of its own; here it is the mark in the log, a write and an fsync.
      snap.saveTotalDurationSeconds.observe(seconds);
      snap.fsyncDurationSeconds.observe(seconds);
    },
    wrote(bytes, seconds) {
      disk.walWriteBytesTotal.inc(bytes);
      disk.walWriteDurationSeconds.observe(seconds);
    },
    synced(seconds) {
      disk.walFsyncDurationSeconds.observe(seconds);
      if (seconds > SLOW_SYNC_SECONDS) {
        log.warn('slow fdatasync', {
          took: goDuration(seconds * 1000),
          'expected-duration': goDuration(SLOW_SYNC_SECONDS * 1000),
        });
      }
    },
  };
}

/** One series per kind of request and outcome, looked up once; labelled as etcd does. */
function perKind<I>(make: (label: string, success: string) => I): (kind: string, ok: boolean) => I {
  const made = (ok: boolean) => {
    const known = new Map<string, I>();
    return (kind: string): I => {
      let item = known.get(kind);
      if (item === undefined) {
        item = make(kind.slice(0, 1).toUpperCase() + kind.slice(1), String(ok));
        known.set(kind, item);
      }
      return item;
    };
  };
  const [succeeded, failed] = [made(true), made(false)];
  return (kind, ok) => (ok ? succeeded : failed)(kind);
}

/** Entries that Raft itself needs are no requests. */
function isRequest(kind: string): boolean {
  return kind !== 'noop' && kind !== 'confChange';
}

function kvObserver({ server }: Metrics, slow: SlowRequests): KvObserver {
  const read = server.rangeDurationSeconds.with({ success: 'true' });
  const failed = () => server.rangeDurationSeconds.with({ success: 'false' });
  const answered = perKind((type, success) =>
    server.requestDurationSeconds.with({ type, success }),
  );
  return {
    rangeRead: (seconds, ok) => (ok ? read : failed()).observe(seconds),
    readAnswered: (kind, seconds, ok) => answered(kind, ok).observe(seconds),
    rangeDone: (request, found, ms) => slow.rangeRead(request, found, ms),
    txnDone: (request, outcome, ms) => slow.txnRead(request, outcome, ms),
  };
}

function replicaObserver(
  { server, disk, lease }: Metrics,
  log: Log,
  slow: SlowRequests,
  config: Settings,
): ReplicaObserver {
  const { requestTimeoutMs } = effective(config);
  const applyDuration = perKind((op, success) =>
    server.applyDurationSeconds.with({ version: 'v3', op, success }),
  );
  const logRole = createRoleLog(log);
  let lead: MemberId | null = null;
  const answered = perKind((type, success) =>
    server.requestDurationSeconds.with({ type, success }),
  );
  return {
    rowsFlushed(seconds) {
      disk.backendCommitDurationSeconds.observe(seconds);
      // The other phases of a commit, spill and rebalance, are those of a B+tree.
      disk.backendCommitWriteDurationSeconds.observe(seconds);
    },
    entryApplied(applied, seconds, entry) {
      const { kind, result, notes } = applied;
      for (const { level, msg, fields } of notes ?? []) log[level](msg, fields);
      if (!isRequest(kind)) return;
      const ok = !(result instanceof EtcdError);
      // etcd: a compaction that is too late does no harm.
      applyDuration(kind, ok || result === errors.compacted).observe(seconds);
      if (ok) countLease(lease, kind, result);
      slow.applied(applied, entry, seconds);
    },
    readIndexRetried(id, retryMs) {
      log.warn('waiting for ReadIndex response took too long, retrying', {
        'sent-request-id': id,
        'retry-timeout': goDuration(retryMs),
      });
    },
    readIndexTimedOut() {
      log.warn('timed out waiting for read index response (local node might have slow network)', {
        timeout: goDuration(requestTimeoutMs),
      });
      server.slowReadIndexesTotal.inc();
    },
    readIndexOutdated(id) {
      log.warn(
        'ignored out-of-date read index response; local node read indexes queueing up ' +
          'and waiting to be in sync with leader',
        { 'received-request-id': id },
      );
      server.slowReadIndexesTotal.inc();
    },
    readIndexFailed() {
      server.readIndexesFailedTotal.inc();
    },
    requestAnswered(kind, seconds) {
      // etcd: a refusal counts as a success here.
      if (isRequest(kind)) answered(kind, true).observe(seconds);
    },
    proposalFailed() {
      server.proposalsFailedTotal.inc();
    },
    messageRefused({ type, from }, error) {
      log.error('refused Raft message', { type, from: hexId(from), error });
    },
    roleChanged(role, self) {
      logRole(role, self);
      if (role.lead === null || role.lead === lead) return;
      lead = role.lead;
      server.leaderChangesSeenTotal.inc();
    },
    snapshotSaved(index) {
      log.info('saved snapshot to disk', { 'snapshot-index': index });
    },
    snapshotInstalled(index) {
      log.info('applied snapshot', { 'incoming-leader-snapshot-index': index });
    },
    leaseExpired() {
      server.leaseExpiredTotal.inc();
    },
    quotaExceeded: () => logQuotaExceeded(config.quotaBackendBytes, log),
  };
}

function countLease(lease: LeaseMetrics, kind: string, result: Result): void {
  if (kind === 'leaseRevoke') lease.revokedTotal.inc();
  if (kind !== 'leaseGrant' || result === null || !('ttlSeconds' in result)) return;
  lease.grantedTotal.inc();
  lease.ttlTotal.observe(result.ttlSeconds);
}

function grpcObserver({ grpc, network, server }: Metrics, stats: RequestStats): GrpcObserver {
  const counts = new Map<Method, GrpcMethodMetrics>();
  const of = (method: Method): GrpcMethodMetrics => {
    let known = counts.get(method);
    if (known === undefined) {
      known = grpc.method(method.service, method.name);
      counts.set(method, known);
    }
    return known;
  };
  const unary = server.clientRequestsTotal.with({ type: 'unary', client_api_version: 'unknown' });
  const stream = server.clientRequestsTotal.with({ type: 'stream', client_api_version: 'unknown' });
  const failure = (method: Method, Type: 'receive' | 'send'): void => {
    if (method.kind !== 'bidi') return;
    const API = method.name === 'Watch' ? 'watch' : 'lease-keepalive';
    network.serverStreamFailuresTotal.with({ Type, API }).inc();
  };
  return {
    stats,
    started(method, clientApiVersion) {
      of(method).started++;
      const type = method.kind === 'unary' ? 'unary' : 'stream';
      if (clientApiVersion === null) (type === 'unary' ? unary : stream).value++;
      else {
        server.clientRequestsTotal.with({ type, client_api_version: clientApiVersion }).inc();
      }
    },
    received(method, bytes) {
      of(method).received++;
      network.clientGrpcReceivedBytesTotal.value += bytes;
    },
    sent(method, bytes) {
      of(method).sent++;
      network.clientGrpcSentBytesTotal.value += bytes;
    },
    handled(method, code: Code, seconds) {
      // What is counted are attempts: an answer to a call that failed too, and the one that found
      // the end of a caller's requests.
      if (method.kind === 'unary' && code !== Code.OK) of(method).sent++;
      if (method.kind === 'bidi') of(method).received++;
      of(method).handled(code, seconds);
    },
    receiveFailed(method) {
      failure(method, 'receive');
    },
  };
}

function healthObserver({ server }: Metrics): HealthObserver {
  return {
    health(ok) {
      (ok ? server.healthSuccess : server.healthFailures).inc();
    },
    check(type, name, ok) {
      server.healthcheck.with({ type, name }).set(ok ? 1 : 0);
      const status = ok ? 'success' : 'error';
      server.healthchecksTotal.with({ type, name, status }).inc();
    },
  };
}

function readGauges(metrics: Metrics, { replica, size, watch }: Observed): void {
  const { server, mvcc, network, lease, auth } = metrics;
  const { store, hub, counts, clusterVersion, members, lessor } = replica.stateMachine;
  const Local = hexId(replica.memberId);
  for (const { id } of members.list()) network.knownPeers.with({ Local, Remote: hexId(id) }).set(1);
  for (const id of members.removed()) network.knownPeers.with({ Local, Remote: hexId(id) }).set(0);
  server.hasLeader.set(replica.lead === null ? 0 : 1);
  server.isLeader.set(replica.isLeader ? 1 : 0);
  server.isLearner.set(members.get(replica.memberId)?.isLearner === true ? 1 : 0);
  server.proposalsAppliedTotal.set(replica.applied);
  server.proposalsCommittedTotal.set(replica.commit);
  server.proposalsPending.set(replica.pendingProposals);
  showAlarms(metrics, replica.stateMachine.alarms);
  if (clusterVersion !== '') {
    const shown = clusterVersion.split('.').slice(0, 2).join('.');
    // etcd: the version before stays, with 0.
    for (const [, version] of server.clusterVersion.entries()) version.set(0);
    server.clusterVersion.with({ cluster_version: shown }).set(1);
  }
  lease.renewedTotal.value = lessor.renewals;
  mvcc.putTotal.value = counts.puts;
  mvcc.deleteTotal.value = counts.deletes;
  mvcc.txnTotal.value = counts.txns;
  mvcc.rangeTotal.value = counts.ranges;
  mvcc.totalPutSizeInBytes.set(counts.putBytes);
  auth.revision.set(replica.stateMachine.auth.revision);
  mvcc.currentRevision.set(store.revision);
  mvcc.compactRevision.set(store.compactRevision);
  mvcc.keysTotal.set(store.keyCount);
  mvcc.eventsTotal.value = hub.eventsSent;
  mvcc.watcherTotal.set(hub.watcherCount);
  mvcc.slowWatcherTotal.set(hub.laggingCount);
  mvcc.watchStreamTotal.set(watch.streamCount);
  mvcc.dbTotalSizeInBytes.set(size.total);
  mvcc.dbTotalSizeInUseInBytes.set(size.inUse);
}
