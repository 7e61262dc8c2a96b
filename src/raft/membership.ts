/**
 * The group's configuration and how a change turns one into the next (thesis chapter 4): simple
 * changes of one voter, and joint consensus for more. Pure: a configuration is a `ConfState` whose
 * lists ascend and never change; a change yields a new one or the reason why it is refused.
 *
 * Invariants of a configuration: learners are not voters in either half; a staged learner
 * (`learnersNext`) is an outgoing voter; outside a joint configuration there are no outgoing
 * voters, no staged learners, and nothing to leave automatically.
 */

import { assert } from '../assert.ts';
import type { MemberId } from '../types.ts';
import type { ConfChange, ConfChangeType, ConfChangeV2, ConfState } from './messages.ts';

export interface MemberChange {
  readonly type: ConfChangeType;
  /** `null`: a change that was found invalid and changes nothing. */
  readonly nodeId: MemberId | null;
}

export type ChangeResult =
  | { readonly ok: true; readonly config: ConfState }
  | { readonly ok: false; readonly reason: string };

export const EMPTY_CONF_STATE: ConfState = {
  voters: [],
  learners: [],
  votersOutgoing: [],
  learnersNext: [],
  autoLeave: false,
};

export function isJoint(config: ConfState): boolean {
  return config.votersOutgoing.length > 0;
}

export function isVoter(config: ConfState, id: MemberId): boolean {
  return config.voters.includes(id) || config.votersOutgoing.includes(id);
}

/** Every id that takes part in replication, ascending. */
export function memberIds(config: ConfState): readonly MemberId[] {
  return ascending(new Set([...config.voters, ...config.votersOutgoing, ...config.learners]));
}

/** The configuration with its lists in order, as everything here expects it. */
export function normalize(config: ConfState): ConfState {
  const result: ConfState = {
    voters: ascending(new Set(config.voters)),
    learners: ascending(new Set(config.learners)),
    votersOutgoing: ascending(new Set(config.votersOutgoing)),
    learnersNext: ascending(new Set(config.learnersNext)),
    autoLeave: config.autoLeave,
  };
  assert(isConsistent(result), 'a configuration keeps its invariants');
  return result;
}

export function isConsistent(config: ConfState): boolean {
  const voters = new Set([...config.voters, ...config.votersOutgoing]);
  if (config.learners.some((id) => voters.has(id))) return false;
  if (config.learnersNext.some((id) => !config.votersOutgoing.includes(id))) return false;
  return isJoint(config) || (config.learnersNext.length === 0 && !config.autoLeave);
}

/** A change that asks only to leave the joint configuration. */
export function asksToLeave(change: ConfChange | ConfChangeV2): boolean {
  return 'changes' in change && change.changes.length === 0;
}

export function changeMembership(
  config: ConfState,
  change: ConfChange | ConfChangeV2,
): ChangeResult {
  if (!('changes' in change)) return simpleChange(config, [change]);
  const { transition, changes } = change;
  if (changes.length === 0 && transition === 'auto') return leaveJoint(config);
  if (transition === 'auto' && changes.length === 1) return simpleChange(config, changes);
  return enterJoint(config, changes, transition !== 'joint-explicit');
}

export function simpleChange(config: ConfState, changes: readonly MemberChange[]): ChangeResult {
  if (isJoint(config)) return refused("can't apply simple config change in joint config");
  const draft = draftOf(config);
  applyChanges(draft, changes);
  if (draft.voters.size === 0) return refused('removed all voters');
  if (differing(config.voters, draft.voters) > 1) {
    return refused('more than one voter changed without entering joint config');
  }
  return accepted(draft, false);
}

export function enterJoint(
  config: ConfState,
  changes: readonly MemberChange[],
  autoLeave: boolean,
): ChangeResult {
  if (isJoint(config)) return refused('config is already joint');
  // An empty group is founded one by one: there is no majority that could agree to leave it.
  if (config.voters.length === 0) return refused("can't make a zero-voter config joint");
  const draft = draftOf(config);
  draft.outgoing = new Set(config.voters);
  applyChanges(draft, changes);
  if (draft.voters.size === 0) return refused('removed all voters');
  return accepted(draft, autoLeave);
}

export function leaveJoint(config: ConfState): ChangeResult {
  if (!isJoint(config)) return refused("can't leave a non-joint config");
  const draft = draftOf(config);
  for (const id of draft.learnersNext) draft.learners.add(id);
  draft.learnersNext.clear();
  draft.outgoing.clear();
  return accepted(draft, false);
}

interface Draft {
  readonly voters: Set<MemberId>;
  outgoing: Set<MemberId>;
  readonly learners: Set<MemberId>;
  readonly learnersNext: Set<MemberId>;
}

function draftOf(config: ConfState): Draft {
  return {
    voters: new Set(config.voters),
    outgoing: new Set(config.votersOutgoing),
    learners: new Set(config.learners),
    learnersNext: new Set(config.learnersNext),
  };
}

function applyChanges(draft: Draft, changes: readonly MemberChange[]): void {
  for (const { type, nodeId } of changes) {
    // etcd: a change that failed validation at apply keeps its place in the log with node id 0.
    if (nodeId === null) continue;
    switch (type) {
      case 'add-node':
        forget(draft, nodeId);
        draft.voters.add(nodeId);
        break;
      case 'add-learner-node':
        addLearner(draft, nodeId);
        break;
      case 'remove-node':
        forget(draft, nodeId);
        break;
      case 'update-node':
        break;
    }
  }
}

function forget(draft: Draft, id: MemberId): void {
  draft.voters.delete(id);
  draft.learners.delete(id);
  draft.learnersNext.delete(id);
}

/**
 * A voter of the outgoing half cannot be a learner as well, so it is only staged here and becomes
 * a learner when the joint configuration is left.
 */
function addLearner(draft: Draft, id: MemberId): void {
  if (draft.learners.has(id)) return;
  forget(draft, id);
  if (draft.outgoing.has(id)) draft.learnersNext.add(id);
  else draft.learners.add(id);
}

function accepted(draft: Draft, autoLeave: boolean): ChangeResult {
  const config = normalize({
    voters: [...draft.voters],
    learners: [...draft.learners],
    votersOutgoing: [...draft.outgoing],
    learnersNext: [...draft.learnersNext],
    autoLeave,
  });
  return { ok: true, config };
}

function refused(reason: string): ChangeResult {
  return { ok: false, reason };
}

function differing(before: readonly MemberId[], after: ReadonlySet<MemberId>): number {
  const kept = before.filter((id) => after.has(id)).length;
  return before.length - kept + (after.size - kept);
}

function ascending(ids: ReadonlySet<MemberId>): readonly MemberId[] {
  return [...ids].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}
