/** The services of a member, and their methods as transports find them. */

import { AlarmAction, AlarmType, type ResponseHeader } from '../codec/gen/etcdserverpb.ts';
import { gateEnabled } from '../config/feature-gates.ts';
import type { Settings } from '../config/flags.ts';
import { compactionOf, type Effective } from '../config/start.ts';
import { errors } from '../errors.ts';
import type { Log } from '../log.ts';
import type { PeerApi } from '../peer/peer-api.ts';
import { tokenFingerprint } from '../platform/auth-token.ts';
import { systemClock } from '../platform/clock.ts';
import { systemRandom } from '../platform/random.ts';
import type { Revision } from '../types.ts';
import { Access } from './access.ts';
import { type AuthService, createAuth } from './auth.ts';
import { authMethods } from './auth-methods.ts';
import type { AuthParts } from './auth-parts.ts';
import { startAutoCompaction } from './auto-compaction.ts';
import {
  type ClusterService,
  clusterMethods,
  createCluster,
  type PromotePeers,
} from './cluster.ts';
import { electionMethods } from './election.ts';
import { grpcHealthMethods, Serving } from './grpc-health.ts';
import { type ChangeMembers, createJointChanges } from './joint-changes.ts';
import { createKv, type Kv, kvMethods } from './kv.ts';
import { createLeaderCalls } from './leader-calls.ts';
import { createLeaderTransfer, type LeaderTransfer } from './leader-transfer.ts';
import { createLease, type LeasePeers, type LeaseService, leaseMethods } from './lease.ts';
import { LeaseCheckpoints } from './lease-checkpoints.ts';
import { lockMethods } from './lock.ts';
import {
  createMaintenance,
  type Maintenance,
  type MaintenanceDeps,
  maintenanceMethods,
} from './maintenance.ts';
import { MemberChanges } from './member-changes.ts';
import type { Observation } from './observation.ts';
import { createPeerApi } from './peer-api.ts';
import type { PeerRequests } from './peer-requests.ts';
import { createPrimaryLeases } from './primary-leases.ts';
import type { Caller, Method } from './rpc.ts';
import { Space } from './space.ts';
import { shownQuota } from './space-observation.ts';
import { SpaceWatch } from './space-watch.ts';
import { breathe, type Storage } from './storage.ts';
import { createWatch, type WatchService } from './watch.ts';

export interface Services {
  readonly kv: Kv;
  readonly lease: LeaseService;
  readonly watch: WatchService;
  readonly cluster: ClusterService;
  readonly maintenance: Maintenance;
  readonly auth: AuthService;
}

/** What services ask of other members. */
export type PeerCalls = LeasePeers & PromotePeers & Pick<PeerRequests, 'version'>;

export interface ServiceOptions {
  readonly config: Settings;
  readonly derived: Effective;
  readonly log: Log;
  readonly storage: Storage;
  readonly auth: AuthParts;
  readonly observation: Observation;
  /** `null` for a member that is alone for good. */
  readonly peerCalls: PeerCalls | null;
  /** Hears of exceptions that are no answers; ends the member. */
  readonly onFatal: (error: unknown) => void;
}

export interface Served {
  readonly services: Services;
  readonly methods: readonly Method[];
  readonly leaderTransfer: LeaderTransfer;
  /** What other members may ask. */
  readonly peerApi: PeerApi;
  /** The name that a caller goes by; '' for none. */
  readonly nameOf: (caller: Caller) => string;
  /** Several membership changes in one step. */
  readonly changeMembers: ChangeMembers;
  /** Called once per heartbeat interval. */
  tick(nowMs: number): void;
}

/** Nobody else can lead there. */
const NO_PEERS: PeerCalls = {
  leaseKeepAlive: () => Promise.reject(errors.noLeader),
  leaseTimeToLive: () => Promise.reject(errors.noLeader),
  promote: () => Promise.reject(errors.noLeader),
  version: () => Promise.reject(errors.memberNotFound),
};

export function createServices(options: ServiceOptions): Served {
  const { derived, log, storage, onFatal } = options;
  const { replica, size } = storage;
  const { store, hub } = replica.stateMachine;
  const header = (revision: Revision): ResponseHeader => ({
    clusterId: replica.clusterId,
    memberId: replica.memberId,
    revision,
    raftTerm: replica.term,
  });
  const space = new Space(replica, size, derived.quotaBytes);
  const leaderTransfer = createLeaderTransfer({
    replica,
    clock: systemClock,
    log,
    electionTicks: derived.electionTicks,
  });
  const access = new Access({
    replica,
    tokens: options.auth.tokens,
    refused(token) {
      log.warn('invalid auth token', { 'token-fingerprint': tokenFingerprint(token) });
    },
  });
  const basis = { access, space, header };
  const { kv, watch } = keyServices(options, basis);
  const { lease, primary, cluster, changeMembers, tick } = leaderServices(options, basis);
  const upkeep = upkeepServices(options, { leaderTransfer, header });
  const { maintenance } = upkeep;
  const auth = createAuth({
    ...options.auth,
    replica,
    access,
    log,
    header: () => header(store.revision),
  });
  const concurrency = { kv, lease, hub, onFatal };
  return {
    services: { kv, lease, watch, cluster, maintenance, auth },
    methods: [
      ...kvMethods(kv),
      ...watch.methods,
      ...leaseMethods(lease, onFatal),
      ...clusterMethods(cluster),
      ...maintenanceMethods(maintenance, access, onFatal),
      ...authMethods(auth),
      ...lockMethods(concurrency),
      ...electionMethods(concurrency),
      ...grpcHealthMethods(upkeep.serving),
    ],
    leaderTransfer,
    peerApi: createPeerApi({ replica, cluster, primary, maintenance }),
    changeMembers,
    nameOf: (caller) => access.nameOf(caller),
    tick(nowMs) {
      options.auth.tokens.tick(nowMs);
      watch.tick(nowMs);
      upkeep.tick(nowMs);
      tick(nowMs);
    },
  };
}

/** What all services stand on. */
interface Basis {
  readonly access: Access;
  readonly space: Space;
  readonly header: (revision: Revision) => ResponseHeader;
}

function keyServices(
  { config, derived, storage, observation, onFatal }: ServiceOptions,
  { access, space, header }: Basis,
) {
  const { replica } = storage;
  const { store, hub } = replica.stateMachine;
  const kv = createKv({
    replica,
    access,
    space,
    txnOpsMax: config.maxTxnOps,
    requestBytesMax: config.maxRequestBytes,
    header,
    yieldNow: breathe,
    observer: observation.kv,
    monotonic: () => systemClock.monotonic(),
    onFatal,
  });
  const watch = createWatch({
    access,
    store,
    hub,
    random: systemRandom,
    requestBytesMax: config.maxRequestBytes,
    progressIntervalMs: derived.progressNotifyMs,
    observer: observation.watch,
    monotonic: () => systemClock.monotonic(),
    header,
    onFatal,
  });
  return { kv, watch };
}

/** What keeps the database in order. */
function upkeepServices(
  options: ServiceOptions,
  parts: Pick<MaintenanceDeps, 'leaderTransfer' | 'header'>,
) {
  const { config, log, storage, observation, onFatal } = options;
  const { replica, engine, size, defragmentation } = storage;
  const { store } = replica.stateMachine;
  const serving = new Serving();
  const maintenance = createMaintenance({
    replica,
    engine,
    size,
    quotaBytes: shownQuota(config),
    defragmentation,
    serving,
    stopsForDefragmentation: gateEnabled(config.featureGates, 'StopGRPCServiceOnDefrag'),
    log,
    ...parts,
    breathe,
    observer: observation.maintenance,
    clock: systemClock,
    onFatal,
  });
  const autoCompaction = startAutoCompaction(compactionOf(config), {
    isLeader: () => replica.isLeader,
    revision: () => store.revision,
    compact: (revision) => replica.propose('compaction', { revision, physical: false }),
    monotonic: () => systemClock.monotonic(),
    log,
    onFatal,
  });
  const spaceWatch = newSpaceWatch(options);
  return {
    maintenance,
    serving,
    tick(nowMs: number): void {
      autoCompaction?.tick(nowMs);
      spaceWatch?.tick(nowMs);
    },
  };
}

/** `null` where there is no quota. */
function newSpaceWatch(options: ServiceOptions): SpaceWatch | null {
  const { config, derived, log, storage, observation, onFatal } = options;
  const { replica, size, defragmentation } = storage;
  const { memberId } = replica;
  const alarm = AlarmType.NOSPACE;
  if (derived.quotaBytes === null) return null;
  return new SpaceWatch({
    quotaBytes: derived.quotaBytes,
    warningPercent: config.extSpaceWarningPercent,
    clearPercent: config.extSpaceAlarmClearPercent,
    size,
    isAlarmed: () =>
      replica.stateMachine.alarms.list(alarm).some((entry) => entry.memberId === memberId),
    defragment: () => defragmentation.run(() => replica.flush()),
    disarm: () => replica.propose('alarm', { action: AlarmAction.DEACTIVATE, memberId, alarm }),
    warned: (isActive) => observation.spaceWarning(isActive),
    log,
    onFatal,
  });
}

/** The services that need the leader for some of their answers. */
function leaderServices(
  { config, derived, log, storage, observation, peerCalls, onFatal }: ServiceOptions,
  { access, space, header }: Basis,
) {
  const { replica } = storage;
  const { store } = replica.stateMachine;
  const clock = systemClock;
  const tickMs = config.heartbeatInterval;
  const peers = peerCalls ?? NO_PEERS;
  const { requestTimeoutMs } = derived;
  const askLeader = createLeaderCalls({ replica, clock, requestTimeoutMs });
  const tellsTimes = gateEnabled(config.featureGates, 'LeaseCheckpoint');
  const checkpoints = new LeaseCheckpoints({ replica, tickMs, onFatal });
  const primary = createPrimaryLeases({ replica, checkpoints: tellsTimes });
  const lease = createLease({
    replica,
    access,
    primary,
    askLeader,
    peers,
    fastKeepAlive: gateEnabled(config.featureGates, 'FastLeaseKeepAlive'),
    tickMs,
    monotonic: () => clock.monotonic(),
    space,
    header: () => header(store.revision),
  });
  const changes = new MemberChanges({ replica, strict: config.strictReconfigCheck, clock, log });
  return {
    lease,
    primary,
    changeMembers: createJointChanges({ replica, changes, peers, requestTimeoutMs, log }),
    cluster: createCluster({
      replica,
      access,
      changes,
      askLeader,
      peers,
      promoted: (error) => observation.promoted(error),
      header: () => header(0),
    }),
    tick(nowMs: number): void {
      lease.tick(nowMs);
      if (tellsTimes) checkpoints.tick();
    },
  };
}
