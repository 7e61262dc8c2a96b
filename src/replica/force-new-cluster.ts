/**
 * A member that goes on alone (`--force-new-cluster`): for when the others are lost for good. What
 * was not committed is dropped, and committed membership entries remove everybody else, so the
 * ordinary apply makes the member table and Raft's configuration agree with that.
 *
 * Invariants: the ids of member and cluster stay; this member is a voter before others are removed,
 * since a configuration without voters does not exist; nothing acknowledged is lost that reached
 * this member's log as committed, or its database.
 */

import { assert } from '../assert.ts';
import { decodeConfChange, decodeConfChangeV2, encodeConfChange } from '../codec/raftpb.ts';
import { changeMembership, isJoint, memberIds } from '../raft/membership.ts';
import type { ConfChange, ConfState, Entry, HardState } from '../raft/messages.ts';
import { EMPTY_BYTES, type Index, type MemberId } from '../types.ts';
import type { Recovered } from '../wal/wal.ts';
import { memberJson } from './members.ts';

/** etcd: where a member listens that its own database does not know. */
const DEFAULT_PEER_URL = 'http://localhost:2380';

export interface ForcedLog {
  /** What was committed, then `added`. */
  readonly entries: Entry[];
  /** To be appended to the log, with `hardState`. */
  readonly added: readonly Entry[];
  readonly hardState: HardState;
  /** The commit index of the log as it was found. */
  readonly foundCommit: Index;
  readonly discarded: number;
}

/** `confState` is the configuration as of `applied`, which the database says. */
export function forceAlone(
  log: Pick<Recovered, 'metadata' | 'entries' | 'hardState'>,
  applied: Index,
  confState: ConfState,
): ForcedLog {
  const { hardState } = log;
  // etcd: a commit index is written lazily, so the database can know of more.
  const commit = Math.max(hardState.commit, applied);
  const kept = log.entries.filter(({ index }) => index <= commit);
  const config = kept.filter(({ index }) => index > applied).reduce(changed, confState);
  const added = aloneFrom(config, log.metadata.memberId).map(
    ({ type, data }, position): Entry => ({
      type,
      term: hardState.term,
      index: commit + 1 + position,
      data,
    }),
  );
  return {
    entries: [...kept, ...added],
    added,
    hardState: { ...hardState, commit: commit + added.length },
    foundCommit: hardState.commit,
    discarded: log.entries.length - kept.length,
  };
}

/**
 * A change that apply will refuse is counted here as made. That does no harm: to remove a member
 * that was never added is refused in turn.
 */
function changed(config: ConfState, entry: Entry): ConfState {
  if (entry.type === 'normal') return config;
  const change =
    entry.type === 'conf-change' ? decodeConfChange(entry.data) : decodeConfChangeV2(entry.data);
  const result = changeMembership(config, change);
  return result.ok ? result.config : config;
}

function aloneFrom(joint: ConfState, self: MemberId): Pick<Entry, 'type' | 'data'>[] {
  const steps: Pick<Entry, 'type' | 'data'>[] = [];
  let config = joint;
  if (isJoint(config)) {
    const leave = { type: 'conf-change-v2', data: EMPTY_BYTES } as const;
    steps.push(leave);
    const left = changeMembership(config, decodeConfChangeV2(leave.data));
    assert(left.ok, 'a joint configuration can be left');
    config = left.config;
  }
  if (!config.voters.includes(self)) steps.push(voterEntry(config, self));
  for (const id of memberIds(config)) {
    if (id !== self) steps.push(entryOf({ type: 'remove-node', nodeId: id, context: EMPTY_BYTES }));
  }
  return steps;
}

function voterEntry(config: ConfState, self: MemberId): Pick<Entry, 'type' | 'data'> {
  const promote = config.learners.includes(self);
  const peerUrls = promote ? [] : [DEFAULT_PEER_URL];
  const member = { id: self, name: '', peerUrls, clientUrls: [], isLearner: false };
  const context = Buffer.from(memberJson(member, { promote }));
  return entryOf({ type: 'add-node', nodeId: self, context });
}

function entryOf(change: Omit<ConfChange, 'id'>): Pick<Entry, 'type' | 'data'> {
  return { type: 'conf-change', data: encodeConfChange({ id: 0n, ...change }) };
}
