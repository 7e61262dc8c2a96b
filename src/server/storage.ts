/**
 * From the data folder to a replica that can be started: engine, rows, log, state. What was opened
 * is closed again when a later step fails.
 */

import type { Settings } from '../config/flags.ts';
import { type Effective, initialClusterUrls } from '../config/start.ts';
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
import type { Observation } from './observation.ts';
import { DatabaseSize, fits } from './space.ts';

export interface StorageOptions {
  readonly config: Settings;
  readonly derived: Effective;
  readonly memory: boolean;
  readonly observation: Observation;
  readonly onFatal: (error: unknown) => void;
}

export interface Storage {
  readonly engine: Engine;
  readonly size: DatabaseSize;
  readonly replica: Replica;
  /** Stops the replica and lets go of the folder. */
  close(): Promise<void>;
}

/** Lets other work run between two slices of a long one. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => systemClock.defer(resolve));
}

export async function openStorage(options: StorageOptions): Promise<Storage> {
  const { disk, engine } = await openFolder(options);
  try {
    return await openReplica(options, disk, engine);
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/** LevelDB's lock on its folder is the lock of the whole data folder, so it is opened first. */
async function openFolder({
  config,
  derived,
  memory,
}: StorageOptions): Promise<{ disk: Disk; engine: Engine }> {
  if (memory) return { disk: new MemoryDisk(), engine: new MemoryEngine() };
  await systemDisk.makeDir(config.dataDir);
  await systemDisk.makeDir(derived.memberDir);
  await systemDisk.makeDir(`${derived.memberDir}/snap`);
  await systemDisk.syncDir(config.dataDir);
  return { disk: systemDisk, engine: await LevelEngine.open(`${derived.memberDir}/snap/db`) };
}

async function openReplica(options: StorageOptions, disk: Disk, engine: Engine): Promise<Storage> {
  const { config, derived, observation, onFatal } = options;
  const rows = await RowTable.open(engine);
  const size = new DatabaseSize(() => rows.liveBytes);
  const timing = {
    tickMs: config.heartbeatInterval,
    electionTicks: derived.electionTicks,
    requestTimeoutTicks: Math.ceil(derived.requestTimeoutMs / config.heartbeatInterval),
  };
  const started = await bootstrap({
    ...timing,
    disk,
    rows,
    walDir: derived.walDir,
    walsMax: config.maxWals,
    walObserver: observation.wal,
    clock: systemClock,
    random: systemRandom,
    start: {
      kind: 'new',
      name: config.name,
      clusterToken: config.initialClusterToken,
      initialCluster: [...initialClusterUrls(config.initialCluster)].map(([name, peerUrls]) => ({
        name,
        peerUrls,
      })),
    },
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
    ...timing,
    memberId: started.memberId,
    clusterId: started.clusterId,
    clock: systemClock,
    requestBytesMax: config.maxRequestBytes,
    snapshotEntries: derived.snapshotCount,
    electionTickAdvance: config.initialElectionTickAdvance,
    catchUpEntries: config.snapshotCatchupEntries,
    compactionSleepMs: derived.compactionSleepMs,
    raft: started.raft,
    wal: started.wal,
    rows,
    stateMachine: started.stateMachine,
    requestIds: new RequestIds(started.memberId, systemClock.now()),
    cluster: null,
    confState: started.confState,
    snapshotIndex: started.snapshotIndex,
    observer: observation.replica,
    onFatal,
    onRemoved() {},
  });
  return {
    engine,
    size,
    replica,
    async close() {
      await replica.close();
      await started.wal.close();
      await engine.close();
    },
  };
}

/** etcd: one and a half election timeouts, in whole seconds. */
function leaseTtlMinSeconds(electionTicks: number, tickMs: number): number {
  return Math.ceil((Math.floor((3 * electionTicks) / 2) * tickMs) / 1000);
}
