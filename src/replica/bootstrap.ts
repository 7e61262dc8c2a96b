/**
 * From a data folder to a running replica: found a new cluster, or recover what was there.
 *
 * Recovery has one case. The engine knows how far it has applied (a); the WAL holds the entries
 * after its last snapshot mark, which is at or below a, because a mark is only written once the
 * engine is flushed. Raft starts at a and hands out (a, commit] to be applied again.
 */

import { assert } from '../assert.ts';
import { bucketRange, buckets, metaRows, rowKey } from '../buckets.ts';
import {
  decodeConfChange,
  decodeConfChangeV2,
  EMPTY_CONF_STATE,
  encodeConfChange,
} from '../codec/raftpb.ts';
import type { WalMetadata } from '../codec/walpb.ts';
import { Lessor } from '../lease/lessor.ts';
import { limits } from '../limits.ts';
import { KvStore } from '../mvcc/store.ts';
import { WatchHub } from '../mvcc/watch-hub.ts';
import type { Clock, Disk, Random, StagedRows } from '../ports.ts';
import type { ConfState, Entry, HardState } from '../raft/messages.ts';
import { Raft } from '../raft/raft.ts';
import {
  type ClusterId,
  EMPTY_BYTES,
  hexId,
  type Index,
  type MemberId,
  type RowKey,
} from '../types.ts';
import { readU64BE } from '../u64.ts';
import { type Recovered, Wal, type WalObserver, type WalOptions } from '../wal/wal.ts';
import { Alarms } from './alarms.ts';
import {
  clusterIdOf,
  compareIds,
  type Member,
  Members,
  memberIdOf,
  memberJson,
} from './members.ts';
import { StateMachine } from './state-machine.ts';

export interface FoundingMember {
  readonly name: string;
  readonly peerUrls: readonly string[];
}

export interface BootstrapOptions {
  readonly disk: Disk;
  readonly rows: StagedRows;
  readonly walDir: string;
  readonly walsMax: number;
  readonly walObserver: WalObserver;
  readonly clock: Clock;
  readonly random: Random;
  readonly name: string;
  readonly clusterToken: string;
  readonly initialCluster: readonly FoundingMember[];
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
  /** False when this start founded the cluster. */
  readonly restarted: boolean;
  readonly repaired: Recovered['repaired'];
}

/** The data folder and the request to start contradict each other. */
export class BootstrapError extends Error {
  override readonly name = 'BootstrapError';
}

export async function bootstrap(options: BootstrapOptions): Promise<Bootstrapped> {
  const recovered = await recover(options);
  const log = recovered ?? (await found(options));
  try {
    return await assemble(options, log, recovered !== null);
  } catch (error) {
    await log.wal.close();
    throw error;
  }
}

async function assemble(
  options: BootstrapOptions,
  log: Recovered,
  restarted: boolean,
): Promise<Bootstrapped> {
  const applied = appliedIndex(options.rows);
  checkPosition(applied, log);
  const stateMachine = await openStateMachine(options, applied);
  const confState = applied === 0 ? EMPTY_CONF_STATE : storedConfState(options.rows);
  const { memberId, clusterId } = log.metadata;
  if (applied > 0 && stateMachine.members.get(memberId) === null) {
    throw new BootstrapError(
      `the WAL belongs to member ${hexId(memberId)}, which the database does not know`,
    );
  }
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
    repaired: log.repaired,
  };
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
  const log = await Wal.open(options.disk, options.walDir, walOptions(options));
  // The term is written with, and after, the founding entries: without it the power went between
  // the creation of the log and its first append.
  const isUnfounded = log.hardState.term === 0 && log.snapshot.index === 0;
  if (!isUnfounded) return log;
  try {
    const { metadata, entries } = foundingOf(options);
    const { memberId, clusterId } = log.metadata;
    if (metadata.memberId !== memberId || metadata.clusterId !== clusterId) {
      throw new BootstrapError('the WAL was begun by another member or for another cluster');
    }
    return { ...log, ...(await appendFounding(log.wal, entries)) };
  } catch (error) {
    await log.wal.close();
    throw error;
  }
}

function walOptions(options: BootstrapOptions): WalOptions {
  return { clock: options.clock, walsMax: options.walsMax, observer: options.walObserver };
}

async function found(options: BootstrapOptions): Promise<Recovered> {
  const { metadata, entries } = foundingOf(options);
  const wal = await Wal.create(options.disk, options.walDir, metadata, walOptions(options));
  const snapshot = { index: 0, term: 0, confState: EMPTY_CONF_STATE };
  try {
    return { metadata, snapshot, wal, repaired: null, ...(await appendFounding(wal, entries)) };
  } catch (error) {
    await wal.close();
    throw error;
  }
}

async function appendFounding(
  wal: Wal,
  entries: Entry[],
): Promise<Pick<Recovered, 'entries' | 'hardState'>> {
  const hardState: HardState = { term: 1, vote: null, commit: entries.length };
  await wal.append({ entries, hardState, mustSync: true });
  return { entries, hardState };
}

/** etcd: a new cluster's log begins with one entry per founding member, in order of their ids. */
function foundingOf(options: BootstrapOptions): { metadata: WalMetadata; entries: Entry[] } {
  const founders = options.initialCluster
    .map(({ name, peerUrls }) => ({
      id: memberIdOf(peerUrls, options.clusterToken, null),
      name,
      peerUrls,
    }))
    .sort((a, b) => compareIds(a.id, b.id));
  const self = founders.find(({ name }) => name === options.name);
  if (self === undefined) {
    throw new BootstrapError(
      `couldn't find local name "${options.name}" in the initial cluster configuration`,
    );
  }
  if (founders.length > 1) {
    throw new BootstrapError('clusters of several members are not supported yet');
  }
  return {
    metadata: { memberId: self.id, clusterId: clusterIdOf(founders.map(({ id }) => id)) },
    entries: founders.map(foundingEntry),
  };
}

function foundingEntry(
  { id, name, peerUrls }: Pick<Member, 'id' | 'name' | 'peerUrls'>,
  position: number,
): Entry {
  const context = memberJson({ id, name, peerUrls, clientUrls: [], isLearner: false });
  const data = encodeConfChange({
    id: 0n,
    type: 'add-node',
    nodeId: id,
    context: Buffer.from(context),
  });
  return { type: 'conf-change', term: 1, index: position + 1, data };
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
