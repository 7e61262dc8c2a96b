/**
 * From a data folder to a running replica: found a new cluster, begin as a joiner of one that is
 * there, or recover what was there.
 *
 * Recovery has one case. The engine knows how far it has applied (a); the WAL holds the entries
 * after its last snapshot mark, which is at or below a, because a mark is only written once the
 * engine is flushed. Raft starts at a and hands out (a, commit] to be applied again. Only a state
 * that was received as a whole may be ahead of the log, which then gets its mark first.
 */

import { must } from '../assert.ts';
import { decodeConfChange, decodeConfChangeV2, EMPTY_CONF_STATE } from '../codec/raftpb.ts';
import type { WalMetadata } from '../codec/walpb.ts';
import { limits } from '../limits.ts';
import type { Clock, Disk, PeerAddress, Random, StagedRows } from '../ports.ts';
import type { ConfState, Entry, HardState, SnapshotMetadata } from '../raft/messages.ts';
import { Raft } from '../raft/raft.ts';
import type { ClusterId, Index, MemberId } from '../types.ts';
import { clusterVersionProblem } from '../version.ts';
import { type Recovered, Wal, type WalObserver, type WalOptions } from '../wal/wal.ts';
import { entryProblem } from './entry-problem.ts';
import { type ForcedLog, forceAlone } from './force-new-cluster.ts';
import { BootstrapError, type Founding, foundingLog } from './founding.ts';
import { openStateMachine, type StateOptions } from './open-state.ts';
import { receivedIndex, storedPosition } from './position.ts';
import type { StateMachine } from './state-machine.ts';

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

export interface BootstrapOptions extends StateOptions {
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
  readonly electionTicks: number;
  readonly preVote: boolean;
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
  const { index: applied, confState } = positionOf(options.rows);
  checkPosition(applied, recovered);
  const stateMachine = await openStateMachine(options.rows, options);
  const problem = clusterVersionProblem(stateMachine.clusterVersion);
  if (problem !== null) throw new BootstrapError(problem);
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
    entryProblem,
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
  const { disk, walDir } = options;
  if (!(await Wal.exists(disk, walDir))) return null;
  const log = await Wal.open(disk, walDir, walOptions(options));
  const position = positionOf(options.rows);
  const received = receivedIndex((key) => options.rows.get(key));
  if (received !== position.index || received <= log.snapshot.index) return log;
  await markReceived(log, position);
  return { ...(await Wal.open(disk, walDir, walOptions(options))), repaired: log.repaired };
}

/**
 * A state that was received is the engine's before the log hears of it. When the last life ended in
 * between, the log lacks the mark, and what it holds may be of another history. A term may always
 * be raised; no vote was cast in it, for that would be in the log.
 */
async function markReceived(
  { wal, hardState }: Recovered,
  position: SnapshotMetadata,
): Promise<void> {
  const term = Math.max(hardState.term, position.term);
  const vote = term === hardState.term ? hardState.vote : null;
  const commit = Math.max(hardState.commit, position.index);
  try {
    await wal.saveSnapshot(position, { term, vote, commit });
  } finally {
    await wal.close();
  }
}

function positionOf(rows: StagedRows): SnapshotMetadata {
  return storedPosition((key) => rows.get(key));
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
