/**
 * From a data folder to a running replica: found a new cluster, begin as a joiner of one that is
 * there, or recover what was there.
 *
 * Recovery has one case. The engine knows how far it has applied (a); the WAL holds the entries
 * after its last snapshot mark, which is at or below a, because a mark is only written once the
 * engine is flushed. Raft starts at a and hands out (a, commit] to be applied again.
 */

import { assert, must } from '../assert.ts';
import { bucketRange, buckets, metaRows, rowKey } from '../buckets.ts';
import { decodeConfChange, decodeConfChangeV2, EMPTY_CONF_STATE } from '../codec/raftpb.ts';
import type { WalMetadata } from '../codec/walpb.ts';
import { Lessor } from '../lease/lessor.ts';
import { limits } from '../limits.ts';
import { KvStore } from '../mvcc/store.ts';
import { WatchHub } from '../mvcc/watch-hub.ts';
import type { Clock, Disk, PeerAddress, Random, StagedRows } from '../ports.ts';
import type { ConfState, Entry, HardState } from '../raft/messages.ts';
import { Raft } from '../raft/raft.ts';
import { type ClusterId, EMPTY_BYTES, type Index, type MemberId, type RowKey } from '../types.ts';
import { readU64BE } from '../u64.ts';
import { clusterVersionProblem } from '../version.ts';
import { type Recovered, Wal, type WalObserver, type WalOptions } from '../wal/wal.ts';
import { Alarms } from './alarms.ts';
import { type ForcedLog, forceAlone } from './force-new-cluster.ts';
import { BootstrapError, type Founding, foundingLog } from './founding.ts';
import { Members } from './members.ts';
import { StateMachine } from './state-machine.ts';

/** How a member begins that has no log. What a log and a database say comes before this. */
export type Start =
  | ({ readonly kind: 'new' } & Founding)
  | {
      /** The cluster is there and knows this member; it sends everything. */
      readonly kind: 'existing';
      readonly clusterId: ClusterId;
      readonly memberId: MemberId;
      /** All members with their addresses, as the cluster itself told them. */
      readonly remotes: readonly PeerAddress[];
    };

export interface BootstrapOptions {
  readonly disk: Disk;
  readonly rows: StagedRows;
  readonly walDir: string;
  readonly walsMax: number;
  readonly walObserver: WalObserver;
  readonly clock: Clock;
  readonly random: Random;
  /** `null`: there is a log. */
  readonly start: Start | null;
  /** Goes on without the other members, which are removed. Needs a log. */
  readonly forceNewCluster?: boolean;
  readonly tickMs: number;
  readonly electionTicks: number;
  readonly requestTimeoutTicks: number;
  readonly preVote: boolean;
  readonly learnersMax: number;
  readonly leaseTtlMinSeconds: number;
  readonly compactionBatchLimit: number;
  /** Lets other work run between slices of long work. */
  readonly breathe: () => Promise<void>;
  readonly onFatal: (error: unknown) => void;
  /** Whether so many more bytes fit below the quota. */
  readonly space: (cost: number) => boolean;
}

export interface Bootstrapped {
  readonly memberId: MemberId;
  readonly clusterId: ClusterId;
  readonly raft: Raft;
  readonly wal: Wal;
  readonly stateMachine: StateMachine;
  readonly confState: ConfState;
  readonly snapshotIndex: Index;
  /** False when this start made the log. */
  readonly restarted: boolean;
  /** Addresses for a joiner, until it has applied the entries that name its members. */
  readonly remotes: readonly PeerAddress[];
  readonly repaired: Recovered['repaired'];
  /** Set when the other members were removed by this start. */
  readonly forced: Pick<ForcedLog, 'foundCommit' | 'discarded'> | null;
}

export async function bootstrap(options: BootstrapOptions): Promise<Bootstrapped> {
  const recovered = await recover(options);
  const log = recovered ?? (await begin(options, must(options.start, 'a log or a way to start')));
  try {
    return await assemble(options, log, recovered !== null);
  } catch (error) {
    await log.wal.close();
    throw error;
  }
}

async function assemble(
  options: BootstrapOptions,
  recovered: Recovered,
  restarted: boolean,
): Promise<Bootstrapped> {
  const applied = appliedIndex(options.rows);
  checkPosition(applied, recovered);
  const stateMachine = await openStateMachine(options, applied);
  const problem = clusterVersionProblem(stateMachine.clusterVersion);
  if (problem !== null) throw new BootstrapError(problem);
  const confState = applied === 0 ? EMPTY_CONF_STATE : storedConfState(options.rows);
  const { memberId, clusterId } = recovered.metadata;
  const forced =
    restarted && options.forceNewCluster === true
      ? await goAlone(stateMachine, recovered, confState)
      : null;
  const log = { ...recovered, ...forced };
  const raft = new Raft({
    id: memberId,
    electionTicks: options.electionTicks,
    heartbeatTicks: 1,
    preVote: options.preVote,
    checkQuorum: true,
    random: options.random,
    appendBytesMax: limits.appendBytesMax,
    appendsInflightMax: limits.appendsInflightMax,
    applyBytesMax: limits.applyBytesPerTurnMax,
    decodeConfChange: ({ type, data }) =>
      type === 'conf-change' ? decodeConfChange(data) : decodeConfChangeV2(data),
    restored: {
      hardState: log.hardState,
      snapshot: log.snapshot,
      confState,
      entries: log.entries,
      applied,
    },
  });
  return {
    memberId,
    clusterId,
    raft,
    wal: log.wal,
    stateMachine,
    confState,
    snapshotIndex: log.snapshot.index,
    restarted,
    remotes: !restarted && options.start?.kind === 'existing' ? options.start.remotes : [],
    repaired: log.repaired,
    forced,
  };
}

async function goAlone(
  { members, appliedIndex }: StateMachine,
  recovered: Recovered,
  confState: ConfState,
): Promise<ForcedLog> {
  if (members.isRemoved(recovered.metadata.memberId)) {
    throw new BootstrapError('the member has been permanently removed from the cluster');
  }
  if (recovered.hardState.term === 0) {
    throw new BootstrapError('the member has not received anything from its cluster yet');
  }
  const forced = forceAlone(recovered, appliedIndex, confState);
  const { added, hardState } = forced;
  await recovered.wal.append({ entries: added, hardState, mustSync: true });
  return forced;
}

/**
 * Whether database and log belong together. A database that was deleted is built again from the
 * log, as long as the log still begins at its first entry.
 */
function checkPosition(applied: Index, { snapshot, entries }: Recovered): void {
  const lastIndex = entries.at(-1)?.index ?? snapshot.index;
  if (applied < snapshot.index) {
    throw new BootstrapError(
      `database is at index ${applied}, before the snapshot at ${snapshot.index} of the WAL`,
    );
  }
  if (applied > lastIndex) {
    throw new BootstrapError(
      `database is at index ${applied}, beyond the last entry ${lastIndex} of the WAL`,
    );
  }
}

/** `null` when there is no log yet. */
async function recover(options: BootstrapOptions): Promise<Recovered | null> {
  if (!(await Wal.exists(options.disk, options.walDir))) return null;
  return Wal.open(options.disk, options.walDir, walOptions(options));
}

function walOptions(options: BootstrapOptions): WalOptions {
  return { clock: options.clock, walsMax: options.walsMax, observer: options.walObserver };
}

/** The log appears as a whole or not at all, so one without entries is a joiner's. */
async function begin(options: BootstrapOptions, start: Start): Promise<Recovered> {
  const { metadata, entries, hardState } =
    start.kind === 'new' ? foundingLog(start) : joining(start);
  const { disk, walDir } = options;
  const first = { entries, hardState };
  const wal = await Wal.create(disk, walDir, metadata, walOptions(options), first);
  const snapshot = { index: 0, term: 0, confState: EMPTY_CONF_STATE };
  return { metadata, snapshot, wal, repaired: null, entries, hardState };
}

function joining({ memberId, clusterId }: Extract<Start, { readonly kind: 'existing' }>) {
  const hardState: HardState = { term: 0, vote: null, commit: 0 };
  const metadata: WalMetadata = { memberId, clusterId };
  return { metadata, entries: [] as Entry[], hardState };
}

async function openStateMachine(options: BootstrapOptions, applied: Index): Promise<StateMachine> {
  const { rows, breathe, onFatal } = options;
  const store = await KvStore.open(rows, {
    compactionBatchLimit: options.compactionBatchLimit,
    breathe,
  });
  const lessor = new Lessor({
    rows,
    minTtlSeconds: options.leaseTtlMinSeconds,
    tickMs: options.tickMs,
    retryTicks: options.requestTimeoutTicks,
  });
  await loadLeases(rows, lessor);
  store.forEachLeased((key, lease) => lessor.attach(lease, key));
  return new StateMachine(
    {
      rows,
      store,
      lessor,
      hub: new WatchHub(store, { breathe, onError: onFatal }),
      alarms: await Alarms.open(rows),
      members: await Members.open(rows, { learnersMax: options.learnersMax }),
      appliedIndex: applied,
      appliedTerm: storedNumber(rows, metaRows.term),
      clusterVersion: storedText(rows, rowKey(buckets.cluster, 'clusterVersion')),
    },
    options.space,
  );
}

async function loadLeases(rows: StagedRows, lessor: Lessor): Promise<void> {
  const { to } = bucketRange(buckets.lease);
  let { from } = bucketRange(buckets.lease);
  for (;;) {
    const page = await rows.scan({ from, to, limit: limits.scanPageRowsMax });
    lessor.load(page);
    const last = page.at(-1);
    if (last === undefined || page.length < limits.scanPageRowsMax) return;
    from = `${last.key}\x00` as RowKey;
  }
}

export function appliedIndex(rows: StagedRows): Index {
  return storedNumber(rows, metaRows.consistentIndex);
}

function storedNumber(rows: StagedRows, key: Parameters<StagedRows['get']>[0]): number {
  const bytes = rows.get(key);
  return bytes === null ? 0 : readU64BE(Buffer.from(bytes).toString('latin1'), 0);
}

function storedText(rows: StagedRows, key: Parameters<StagedRows['get']>[0]): string {
  return Buffer.from(rows.get(key) ?? EMPTY_BYTES).toString('utf8');
}

/** etcd's JSON of the configuration; ids are above 2^53, so they are read as text. */
function storedConfState(rows: StagedRows): ConfState {
  const text = storedText(rows, metaRows.confState);
  assert(text !== '', 'a database that has applied entries knows its configuration');
  const ids = (name: string): MemberId[] => {
    const list = new RegExp(`"${name}":\\[([0-9,]*)\\]`).exec(text)?.[1] ?? '';
    return list === '' ? [] : list.split(',').map((id) => BigInt(id) as MemberId);
  };
  return {
    voters: ids('voters'),
    learners: ids('learners'),
    votersOutgoing: ids('voters_outgoing'),
    learnersNext: ids('learners_next'),
    autoLeave: text.includes('"auto_leave":true'),
  };
}
