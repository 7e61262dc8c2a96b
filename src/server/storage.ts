/**
 * From an opened data folder to a replica that can be started: rows, log, state, and the way to the
 * other members. What was opened is closed again when a later step fails.
 */

import type { Settings } from '../config/flags.ts';
import type { Effective } from '../config/start.ts';
import { systemClock } from '../platform/clock.ts';
import { systemRandom } from '../platform/random.ts';
import { RowTable } from '../platform/rows.ts';
import type { Engine, PeerAddress, Peers } from '../ports.ts';
import { type Bootstrapped, bootstrap, type Start } from '../replica/bootstrap.ts';
import type { StateOptions } from '../replica/open-state.ts';
import { Replica } from '../replica/replica.ts';
import { RequestIds } from '../replica/request-ids.ts';
import { openStates } from '../replica/states.ts';
import type { DataFolder } from './data-folder.ts';
import { Defragmentation } from './defragmentation.ts';
import type { Observation } from './observation.ts';
import { DatabaseSize, fits } from './space.ts';

export interface StorageOptions {
  readonly config: Settings;
  readonly derived: Effective;
  readonly folder: DataFolder;
  /** How to begin; only asked where the folder does not know. */
  readonly start: () => Promise<Start>;
  /** The way to the other members, once it is known who this one is. */
  readonly connect: (ids: Pick<Bootstrapped, 'memberId' | 'clusterId'>) => Peers;
  readonly observation: Observation;
  readonly auth: StateOptions['auth'];
  readonly onFatal: (error: unknown) => void;
  readonly onRemoved: () => void;
}

export interface Storage {
  readonly engine: Engine;
  readonly size: DatabaseSize;
  readonly defragmentation: Defragmentation;
  readonly replica: Replica;
  /** It had a log of its own already. */
  readonly restarted: boolean;
  /** Addresses for a joiner, until it has applied the entries that name its members. */
  readonly remotes: readonly PeerAddress[];
  /** Stops the replica and lets go of the folder. */
  close(): Promise<void>;
}

/** Lets other work run between two slices of a long one. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => systemClock.defer(resolve));
}

/** Takes over the folder, also when it fails. */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  try {
    return await openReplica(options);
  } catch (error) {
    await options.folder.engine.close();
    throw error;
  }
}

/** Defragments first where that is asked for and worth it. */
async function openRows({ config, folder: { engine }, observation }: StorageOptions) {
  const rows = await RowTable.open(engine);
  const size = new DatabaseSize(rows);
  const defragmentation = new Defragmentation({
    engine,
    size,
    monotonic: () => systemClock.monotonic(),
    observer: observation.defragmentation,
  });
  const threshold = config.bootstrapDefragThresholdMegabytes;
  if (threshold > 0) await defragmentation.runIfFrees(threshold * 1024 * 1024);
  return { rows, size, defragmentation };
}

async function openReplica(options: StorageOptions): Promise<Storage> {
  const { config, derived, folder, observation, onFatal } = options;
  const { engine } = folder;
  const { rows, size, defragmentation } = await openRows(options);
  const timing = timingOf(config, derived);
  const stateOptions = {
    ...timing,
    learnersMax: config.maxLearners,
    leaseTtlMinSeconds: leaseTtlMinSeconds(timing),
    compactionBatchLimit: derived.compactionBatchLimit,
    breathe,
    onFatal,
    auth: options.auth,
    space: (cost: number) => fits(size, derived.quotaBytes, cost),
  };
  const started = await bootstrap({
    ...stateOptions,
    disk: folder.disk,
    rows,
    walDir: folder.walDir,
    walsMax: config.maxWals,
    walObserver: observation.wal,
    clock: systemClock,
    random: systemRandom,
    start: folder.hasLog ? null : await options.start(),
    preVote: config.preVote,
    forceNewCluster: config.forceNewCluster,
  });
  observation.bootstrapped(started);
  const peers = options.connect(started);
  const states = await openStates({
    ...stateOptions,
    disk: folder.disk,
    dir: folder.snapDir,
    engine,
    rows,
    stateMachine: started.stateMachine,
  });
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
    cluster: { peers, remotes: started.remotes, states },
    confState: started.confState,
    snapshotIndex: started.snapshotIndex,
    observer: observation.replica,
    compactionObserver: observation.compactions(size),
    onFatal,
    onRemoved: options.onRemoved,
  });
  return {
    engine,
    size,
    defragmentation,
    replica,
    restarted: started.restarted,
    remotes: started.remotes,
    async close() {
      await replica.close();
      await peers.close();
      await started.wal.close();
      await engine.close();
    },
  };
}

function timingOf(config: Settings, { electionTicks, requestTimeoutMs }: Effective) {
  const tickMs = config.heartbeatInterval;
  return { tickMs, electionTicks, requestTimeoutTicks: Math.ceil(requestTimeoutMs / tickMs) };
}

/** etcd: one and a half election timeouts, in whole seconds. */
function leaseTtlMinSeconds({ electionTicks, tickMs }: ReturnType<typeof timingOf>): number {
  return Math.ceil((Math.floor((3 * electionTicks) / 2) * tickMs) / 1000);
}
