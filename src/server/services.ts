/** The services of a member, and their methods as transports find them. */

import type { ResponseHeader } from '../codec/gen/etcdserverpb.ts';
import type { Settings } from '../config/flags.ts';
import type { Effective } from '../config/start.ts';
import { systemClock } from '../platform/clock.ts';
import { systemRandom } from '../platform/random.ts';
import type { Revision } from '../types.ts';
import { authMethods } from './auth.ts';
import { clusterMethods, createCluster } from './cluster.ts';
import { electionMethods } from './election.ts';
import { grpcHealthMethods } from './grpc-health.ts';
import { createKv, type Kv, kvMethods } from './kv.ts';
import { createLease, type LeaseService, leaseMethods } from './lease.ts';
import { lockMethods } from './lock.ts';
import { createMaintenance, type Maintenance, maintenanceMethods } from './maintenance.ts';
import type { Observation } from './observation.ts';
import type { Method } from './rpc.ts';
import { Space } from './space.ts';
import { breathe, type Storage } from './storage.ts';
import { createWatch, type WatchService } from './watch.ts';

export interface Services {
  readonly kv: Kv;
  readonly lease: LeaseService;
  readonly watch: WatchService;
  readonly maintenance: Maintenance;
}

export interface ServiceOptions {
  readonly config: Settings;
  readonly derived: Effective;
  readonly storage: Storage;
  readonly observation: Observation;
  /** Hears of exceptions that are no answers; ends the member. */
  readonly onFatal: (error: unknown) => void;
}

export function createServices(options: ServiceOptions): {
  readonly services: Services;
  readonly methods: readonly Method[];
} {
  const { config, derived, storage, observation, onFatal } = options;
  const { replica, engine, size } = storage;
  const { store, hub } = replica.stateMachine;
  const header = (revision: Revision): ResponseHeader => ({
    clusterId: replica.clusterId,
    memberId: replica.memberId,
    revision,
    raftTerm: replica.term,
  });
  const space = new Space(replica, size, derived.quotaBytes);
  const kv = createKv({
    replica,
    space,
    txnOpsMax: config.maxTxnOps,
    requestBytesMax: config.maxRequestBytes,
    header,
    yieldNow: breathe,
    observer: observation.kv,
    monotonic: () => systemClock.monotonic(),
    onFatal,
  });
  const lease = createLease({ replica, space, header: () => header(store.revision) });
  const watch = createWatch({
    store,
    hub,
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
    monotonic: () => systemClock.monotonic(),
    onFatal,
  });
  const concurrency = { kv, lease, hub, onFatal };
  return {
    services: { kv, lease, watch, maintenance },
    methods: [
      ...kvMethods(kv),
      ...watch.methods,
      ...leaseMethods(lease, onFatal),
      ...clusterMethods(createCluster({ replica, header: () => header(0) })),
      ...maintenanceMethods(maintenance),
      ...authMethods(),
      ...lockMethods(concurrency),
      ...electionMethods(concurrency),
      ...grpcHealthMethods(),
    ],
  };
}
