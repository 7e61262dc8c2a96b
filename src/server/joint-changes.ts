/**
 * Several members at once: the cluster goes from one set of voters to another by joint consensus,
 * so that at no moment a set in between decides. etcd has no such request, and its members end
 * themselves when they meet the entry, so it is only proposed when every member says that it knows
 * it. Who joins later must know it too, until the entry has left the log.
 */

import { errors } from '../errors.ts';
import type { Log } from '../log.ts';
import { encodeJointChange, type MemberChange } from '../replica/joint-change.ts';
import type { Member } from '../replica/members.ts';
import type { Replica } from '../replica/replica.ts';
import { hexId, type MemberId } from '../types.ts';
import type { MemberChanges } from './member-changes.ts';
import type { PeerRequests } from './peer-requests.ts';

/** One step of a change. A promotion can only be asked of the leader. */
export type MemberStep =
  | { readonly add: readonly string[]; readonly isLearner?: boolean }
  | { readonly remove: MemberId }
  | { readonly promote: MemberId };

export interface JointChangesDeps {
  readonly replica: Pick<Replica, 'memberId' | 'proposeEncoded'> & {
    readonly stateMachine: {
      readonly members: { get(id: MemberId): Member | null; list(): readonly Member[] };
    };
  };
  readonly changes: Pick<MemberChanges, 'newMember' | 'checkPromote' | 'checkVoters'>;
  readonly peers: Pick<PeerRequests, 'version'>;
  readonly requestTimeoutMs: number;
  readonly log: Log;
}

/**
 * Resolves with all members when the change is applied here. Rejects as the single changes do:
 * with the errors of their checks (which look at the set of voters that would result), with the
 * verdict on the entry, which takes effect as a whole or not at all; with `notCapable` unless every
 * member knows joint changes, or with a timeout.
 */
export type ChangeMembers = (steps: readonly MemberStep[]) => Promise<readonly Member[]>;

export function createJointChanges(deps: JointChangesDeps): ChangeMembers {
  const { replica, changes, peers, log } = deps;
  const { members } = replica.stateMachine;

  async function changeOf(step: MemberStep): Promise<MemberChange> {
    if ('add' in step) {
      const member = changes.newMember(step.add, step.isLearner === true);
      const type = member.isLearner ? 'add-learner-node' : 'add-node';
      return { type, nodeId: member.id, member };
    }
    if ('remove' in step) return { type: 'remove-node', nodeId: step.remove, member: null };
    await changes.checkPromote(step.promote);
    const member = members.get(step.promote);
    if (member === null) throw errors.memberNotFound;
    return { type: 'add-node', nodeId: member.id, member, promote: true };
  }

  async function knowsJointChanges({ id, peerUrls }: Member): Promise<boolean> {
    if (id === replica.memberId) return true;
    for (const url of peerUrls) {
      try {
        const { jointChanges } = await peers.version(url, deps.requestTimeoutMs);
        return jointChanges === true;
      } catch (error) {
        log.warn('failed to ask a member whether it knows joint membership changes', {
          'remote-member-id': hexId(id),
          error: error instanceof Error ? error.message : String(error),
        });
      }
    }
    return false;
  }

  return async (steps) => {
    const proposed: MemberChange[] = [];
    for (const step of steps) proposed.push(await changeOf(step));
    if (proposed.length === 0) return members.list();
    changes.checkVoters(proposed);
    const answers = await Promise.all(members.list().map(knowsJointChanges));
    if (answers.includes(false)) throw errors.notCapable;
    await replica.proposeEncoded('conf-change-v2', (id) => encodeJointChange(id, proposed));
    log.info('applied a joint configuration change through raft', {
      'local-member-id': hexId(replica.memberId),
      'raft-conf-change-node-ids': proposed.map(({ nodeId }) => hexId(nodeId)),
    });
    return members.list();
  };
}
