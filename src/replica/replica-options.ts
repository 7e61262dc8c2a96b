/** What a replica is made of, and what it tells about itself. */

import type { Clock, PeerAddress, Peers, StagedRows } from '../ports.ts';
import type { ConfState, Entry, Message } from '../raft/messages.ts';
import type { Raft, Role } from '../raft/raft.ts';
import type { ClusterId, Index, MemberId } from '../types.ts';
import type { Wal } from '../wal/wal.ts';
import type { CompactionObserver } from './compaction-runner.ts';
import type { RequestIds } from './request-ids.ts';
import type { Applied, StateMachine } from './state-machine.ts';
import type { States } from './state-transfers.ts';

/** What the replica reports while it works; everything else is read from it when asked. */
export interface ReplicaObserver {
  rowsFlushed(seconds: number): void;
  entryApplied(applied: Applied, seconds: number, entry: Entry): void;
  /** No answer to a read request came for a while: the leader is asked again. */
  readIndexRetried(id: bigint, retryMs: number): void;
  /** Reads ended without an answer. */
  readIndexTimedOut(): void;
  /** An answer came to a request that nobody waits for any more. */
  readIndexOutdated(id: bigint): void;
  /** Reads ended because another leader was elected. */
  readIndexFailed(): void;
  /** A request proposed here was answered, so long after it began. */
  requestAnswered(kind: string, seconds: number): void;
  proposalFailed(): void;
  /** Another member sent what none should. */
  messageRefused(message: Message, reason: string): void;
  roleChanged(role: Role, self: MemberId): void;
  snapshotSaved(index: Index): void;
  /** The state was replaced by another member's, which stands at `index`. */
  snapshotInstalled(index: Index): void;
  leaseExpired(): void;
  /** A request that was applied did not fit; this member raises its alarm. */
  quotaExceeded(): void;
}

export interface ReplicaOptions {
  readonly memberId: MemberId;
  readonly clusterId: ClusterId;
  readonly clock: Clock;
  readonly tickMs: number;
  readonly electionTicks: number;
  /** etcd's --initial-election-tick-advance: with others in reach, do not wait after a start. */
  readonly electionTickAdvance: boolean;
  readonly requestTimeoutTicks: number;
  readonly requestBytesMax: number;
  readonly snapshotEntries: number;
  readonly catchUpEntries: number;
  readonly compactionSleepMs: number;
  readonly raft: Raft;
  readonly wal: Wal;
  readonly rows: StagedRows;
  readonly stateMachine: StateMachine;
  readonly requestIds: RequestIds;
  /** `null` for a member that is alone for good. */
  readonly cluster: ReplicaCluster | null;
  readonly confState: ConfState;
  readonly snapshotIndex: Index;
  readonly observer: ReplicaObserver;
  readonly compactionObserver: CompactionObserver;
  readonly onFatal: (error: unknown) => void;
  /** This member was removed from the cluster for good, and has to end. */
  readonly onRemoved: () => void;
}

/** How the replica reaches the other members. */
export interface ReplicaCluster {
  readonly peers: Peers;
  readonly states: States;
  /** Members whose addresses are known before the entries that added them are applied. */
  readonly remotes: readonly PeerAddress[];
}
