/**
 * What the log of a new cluster begins with. Every founding member works it out for itself from
 * the same flags, so it has to come out equal, byte for byte, on all of them, etcd's included.
 *
 * Invariants: one entry per founding member, in ascending order of ids, all of term 1, committed.
 */

import { encodeConfChange } from '../codec/raftpb.ts';
import type { WalMetadata } from '../codec/walpb.ts';
import type { Entry, HardState } from '../raft/messages.ts';
import { hexId } from '../types.ts';
import { clusterIdOf, compareIds, type Member, memberIdOf, memberJson } from './members.ts';

export interface FoundingMember {
  readonly name: string;
  readonly peerUrls: readonly string[];
}

export interface Founding {
  /** Of this member. */
  readonly name: string;
  readonly clusterToken: string;
  /** All founding members, this one among them, in any order. */
  readonly initialCluster: readonly FoundingMember[];
}

export interface FoundingLog {
  readonly metadata: WalMetadata;
  readonly entries: Entry[];
  readonly hardState: HardState;
}

/** The data folder, the flags or the rest of the cluster do not allow this start. */
export class BootstrapError extends Error {
  override readonly name = 'BootstrapError';
}

export type NamedMember = FoundingMember & Pick<Member, 'id'>;

/** The founding members with their ids, ascending. Throws `BootstrapError`. */
export function foundingMembers(founding: Founding): readonly NamedMember[] {
  const members = founding.initialCluster
    .map(({ name, peerUrls }) => ({
      id: memberIdOf(peerUrls, founding.clusterToken, null),
      name,
      peerUrls,
    }))
    .sort((a, b) => compareIds(a.id, b.id));
  members.forEach(({ id }, position) => {
    if (id === 0n) throw new BootstrapError('cannot use 0 as member id');
    if (id === members[position - 1]?.id) {
      throw new BootstrapError(`member exists with identical ID ${hexId(id)}`);
    }
  });
  return members;
}

export function foundingLog(founding: Founding): FoundingLog {
  const members = foundingMembers(founding);
  const self = members.find(({ name }) => name === founding.name);
  if (self === undefined) {
    throw new BootstrapError(
      `couldn't find local name "${founding.name}" in the initial cluster configuration`,
    );
  }
  return {
    metadata: { memberId: self.id, clusterId: clusterIdOf(members.map(({ id }) => id)) },
    entries: members.map(foundingEntry),
    hardState: { term: 1, vote: null, commit: members.length },
  };
}

function foundingEntry({ id, name, peerUrls }: NamedMember, position: number): Entry {
  const context = memberJson({ id, name, peerUrls, clientUrls: [], isLearner: false });
  const data = encodeConfChange({
    id: 0n,
    type: 'add-node',
    nodeId: id,
    context: Buffer.from(context),
  });
  return { type: 'conf-change', term: 1, index: position + 1, data };
}
