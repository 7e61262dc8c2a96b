/**
 * The data that Raft exchanges, stores and hands out: entries, hard state, membership and
 * messages. Shapes only; the wire form is `codec/raftpb.ts`, the log file form is `wal/`.
 *
 * Messages are a discriminated union, so a reader sees which fields matter for which kind. Local
 * inputs (ticks, proposals) are methods of `Raft` and therefore cannot be spoofed from the wire.
 */

import type { Index, MemberId, Term } from '../types.ts';

export type EntryType = 'normal' | 'conf-change' | 'conf-change-v2';

export interface Entry {
  readonly type: EntryType;
  readonly term: Term;
  readonly index: Index;
  /** Empty for the entry with which a new leader opens its term. */
  readonly data: Uint8Array;
}

/** What must be durable before a vote or an acknowledgement leaves this member. */
export interface HardState {
  readonly term: Term;
  readonly vote: MemberId | null;
  readonly commit: Index;
}

export interface ConfState {
  readonly voters: readonly MemberId[];
  readonly learners: readonly MemberId[];
  readonly votersOutgoing: readonly MemberId[];
  readonly learnersNext: readonly MemberId[];
  readonly autoLeave: boolean;
}

export type ConfChangeType = 'add-node' | 'remove-node' | 'update-node' | 'add-learner-node';

export interface ConfChange {
  readonly id: bigint;
  readonly type: ConfChangeType;
  /** `null` (0 on the wire): a change that failed validation at apply and changes nothing. */
  readonly nodeId: MemberId | null;
  readonly context: Uint8Array;
}

export type ConfChangeTransition = 'auto' | 'joint-implicit' | 'joint-explicit';

export interface ConfChangeV2 {
  readonly transition: ConfChangeTransition;
  readonly changes: readonly { readonly type: ConfChangeType; readonly nodeId: MemberId }[];
  readonly context: Uint8Array;
}

export interface SnapshotMetadata {
  readonly index: Index;
  readonly term: Term;
  readonly confState: ConfState;
}

export interface Snapshot {
  readonly metadata: SnapshotMetadata;
  readonly data: Uint8Array;
}

interface Envelope {
  readonly from: MemberId;
  readonly to: MemberId;
}

/** Everything that travels between members; field names follow raftpb. */
export type Message = Envelope &
  (
    | { readonly type: 'prop'; readonly entries: readonly Entry[] }
    | {
        readonly type: 'app';
        readonly term: Term;
        /** Position of the entry before `entries`. */
        readonly index: Index;
        readonly logTerm: Term;
        readonly entries: readonly Entry[];
        readonly commit: Index;
      }
    | {
        readonly type: 'app-resp';
        readonly term: Term;
        /** Accepted: last matching index. Rejected: the `index` that did not match. */
        readonly index: Index;
        readonly reject: boolean;
        readonly rejectHint: Index;
        readonly logTerm: Term;
      }
    | {
        readonly type: 'vote' | 'pre-vote';
        readonly term: Term;
        readonly index: Index;
        readonly logTerm: Term;
        /** `CampaignTransfer` on a leader transfer, else empty. */
        readonly context: Uint8Array;
      }
    | {
        readonly type: 'vote-resp' | 'pre-vote-resp';
        readonly term: Term;
        readonly reject: boolean;
      }
    | { readonly type: 'snap'; readonly term: Term; readonly snapshot: Snapshot }
    | {
        readonly type: 'heartbeat';
        readonly term: Term;
        readonly commit: Index;
        readonly context: Uint8Array;
      }
    | { readonly type: 'heartbeat-resp'; readonly term: Term; readonly context: Uint8Array }
    | { readonly type: 'timeout-now'; readonly term: Term }
    | { readonly type: 'transfer-leader'; readonly term: Term }
    | { readonly type: 'read-index'; readonly context: Uint8Array }
    | {
        readonly type: 'read-index-resp';
        readonly term: Term;
        readonly index: Index;
        readonly context: Uint8Array;
      }
  );

export type MessageType = Message['type'];
