/**
 * Changes of the membership that start at this member: what is checked before one is proposed
 * (etcd's strict reconfiguration check, and whether a learner has caught up), in etcd's order, and
 * the entry that asks for it.
 *
 * These checks look at what this member sees now and protect against mistakes; the verdict that
 * counts is that of the membership table when the entry is applied. It knows nothing of requests
 * and answers, and does not ask other members.
 */

import { ValueError } from '../config/go-text.ts';
import { checkUrl } from '../config/url.ts';
import { type EtcdError, errors } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Clock } from '../ports.ts';
import type { ConfChange } from '../raft/messages.ts';
import type { MemberChange } from '../replica/joint-change.ts';
import { goJson, type Member, memberIdOf, memberJson } from '../replica/members.ts';
import type { Replica } from '../replica/replica.ts';
import { EMPTY_BYTES, hexId, type MemberId } from '../types.ts';

/** Who decides, and what is known of the others. */
export type ChangingReplica = Pick<
  Replica,
  'memberId' | 'clusterId' | 'commit' | 'whenApplied' | 'raftStatus' | 'changeMembership'
> & {
  readonly stateMachine: {
    readonly members: { get(id: MemberId): Member | null; list(): readonly Member[] };
  };
  readonly peers: { activeSinceMs(id: MemberId): number | null } | null;
};

export interface MemberChangesDeps {
  readonly replica: ChangingReplica;
  /** --strict-reconfig-check. */
  readonly strict: boolean;
  readonly clock: Pick<Clock, 'now' | 'monotonic'>;
  readonly log: Log;
}

/** A change as the log takes it, without the id of the request. */
export type ProposedChange = Omit<ConfChange, 'id'>;

/** What a member is called in the lines of the log that Go's `%+v` would print. */
type Described = Pick<Member, 'id' | 'peerUrls' | 'isLearner'>;

/** etcd: how long a connection must have lasted to count as healthy. */
const HEALTHY_MS = 5000;
/** etcd: the part of the leader's log that a learner must hold to become a voter. */
const READY_PART = 0.9;

const BREAKS_QUORUM = 'reconfigure breaks active quorum';

const TYPE_NAMES: Readonly<Record<ConfChange['type'], string>> = {
  'add-node': 'ConfChangeAddNode',
  'remove-node': 'ConfChangeRemoveNode',
  'update-node': 'ConfChangeUpdateNode',
  'add-learner-node': 'ConfChangeAddLearnerNode',
};

/** Changes by name. All reject with an `EtcdError`: of a check, of the verdict, or a timeout. */
export class MemberChanges {
  readonly #deps: MemberChangesDeps;

  constructor(deps: MemberChangesDeps) {
    this.#deps = deps;
  }

  /** The member that was added: with its id, and its URLs in order. */
  async add(peerUrls: readonly string[], isLearner: boolean): Promise<Member> {
    const member = this.newMember(peerUrls, isLearner);
    this.checkAdd(member);
    await this.#propose(addition(member));
    return member;
  }

  async remove(id: MemberId): Promise<void> {
    this.checkRemove(id);
    await this.#propose(removal(id));
  }

  /**
   * Replaces the peer URLs. etcd does not look at them, and its members end when they apply bad
   * ones, so they are refused here.
   */
  async update(id: MemberId, peerUrls: readonly string[]): Promise<void> {
    if (!areValid(peerUrls)) {
      const isKnown = this.#deps.replica.stateMachine.members.get(id) !== null;
      throw isKnown ? errors.memberBadUrls : errors.memberNotFound;
    }
    const context = `{"id":${id},"peerURLs":${goJson(peerUrls)}}`;
    await this.#propose({ type: 'update-node', nodeId: id, context: Buffer.from(context) });
  }

  /** Makes a voter of a learner. Only the leader knows how far it is: `notLeader` elsewhere. */
  async promote(id: MemberId): Promise<void> {
    await this.checkPromote(id);
    await this.#propose(promotion(id));
  }

  /** A member as MemberAdd makes it: its id comes from its URLs and the time. */
  newMember(peerUrls: readonly string[], isLearner: boolean): Member {
    const urls = normalUrls(peerUrls);
    const id = memberIdOf(urls, '', Math.floor(this.#deps.clock.now() / 1000));
    return { id, name: '', peerUrls: urls, clientUrls: [], isLearner };
  }

  checkAdd(member: Described): void {
    if (!this.#deps.strict) return;
    const voters = this.#voters();
    if (!member.isLearner && !this.#mayAddVoter(voters)) {
      throw this.#refused('add', errors.memberNotEnoughStarted, {
        why: 'not enough healthy members',
        'requested-member-add': described(member),
      });
    }
    // The new one counts as down until it shows up.
    if (voters.length === 1 || this.#healthy(voters) >= quorum(voters.length + 1)) return;
    throw this.#refused('add', errors.unhealthy, {
      why: `local member has not been connected to majority peers, ${BREAKS_QUORUM}`,
      'requested-member-add': described(member),
    });
  }

  checkRemove(id: MemberId): void {
    const { strict, replica } = this.#deps;
    if (!strict || replica.stateMachine.members.get(id)?.isLearner === true) return;
    const voters = this.#voters();
    const rest = voters.filter((voter) => voter.id !== id);
    if (!this.#hasQuorum('remove', started(rest), rest.length)) {
      throw this.#refused('remove', errors.memberNotEnoughStarted, {
        why: 'not enough healthy members',
        'requested-member-remove-id': hexId(id),
      });
    }
    // One that is down takes no part in the quorum, and takes none away.
    if (id !== replica.memberId && activeSince(replica, id) === null) return;
    const active = this.#healthy(voters);
    if (active - 1 >= 1 + Math.floor((voters.length - 1) / 2)) return;
    throw this.#refused('remove', errors.unhealthy, {
      why: `local member has not been connected to all peers, ${BREAKS_QUORUM}`,
      'requested-member-remove': hexId(id),
      'active-peers': active,
    });
  }

  async checkPromote(id: MemberId): Promise<void> {
    const { replica, strict, log } = this.#deps;
    await replica.whenApplied(replica.commit);
    const { state, progress } = replica.raftStatus();
    if (state !== 'leader') throw errors.notLeader;
    const match = (member: MemberId): number | null =>
      progress.find((one) => one.id === member)?.match ?? null;
    const learner = match(id);
    if (learner === null) throw errors.memberNotFound;
    const part = learner / (match(replica.memberId) ?? 0);
    if (part < READY_PART) {
      log.error('rejecting promote learner: learner is not ready', {
        'learner-ready-percent': part,
        'ready-percent-threshold': READY_PART,
      });
      throw errors.learnerNotReady;
    }
    if (!strict) return;
    const voters = this.#voters();
    if (this.#hasQuorum('promote', started(voters) + 1, voters.length + 1)) return;
    throw this.#refused('promote', errors.memberNotEnoughStarted, {
      why: 'not enough healthy members',
      'requested-member-remove-id': hexId(id),
    });
  }

  /**
   * For several changes at once, which etcd does not have: of the voters that there would be, a
   * quorum must be there already, started and connected. Learners that are promoted follow.
   */
  checkVoters(planned: readonly MemberChange[]): void {
    if (!this.#deps.strict) return;
    const gone = new Set(
      planned.filter(({ member }) => member === null).map(({ nodeId }) => nodeId),
    );
    const stay = this.#voters().filter(({ id }) => !gone.has(id));
    const promoted = planned.filter(({ promote }) => promote === true).length;
    const added = planned.filter(({ type, promote }) => type === 'add-node' && promote !== true);
    const total = stay.length + promoted + added.length;
    if (!this.#hasQuorum('change', started(stay) + promoted, total)) {
      throw errors.memberNotEnoughStarted;
    }
    if (this.#healthy(stay) + promoted >= quorum(total)) return;
    throw this.#refused('change', errors.unhealthy, {
      why: `local member has not been connected to majority peers, ${BREAKS_QUORUM}`,
    });
  }

  async #propose(change: ProposedChange): Promise<void> {
    const { replica, log } = this.#deps;
    // In an entry of the log it would stand for no member at all.
    if (change.nodeId === 0n) throw errors.memberNotFound;
    await replica.changeMembership(change);
    log.info('applied a configuration change through raft', {
      'local-member-id': hexId(replica.memberId),
      'raft-conf-change': TYPE_NAMES[change.type],
      'raft-conf-change-node-id': hexId(change.nodeId ?? 0n),
    });
  }

  #voters(): readonly Member[] {
    return this.#deps.replica.stateMachine.members.list().filter(({ isLearner }) => !isLearner);
  }

  /** etcd: a lone member that was restored from a backup may always get a second one. */
  #mayAddVoter(voters: readonly Member[]): boolean {
    const count = started(voters);
    if (count === 1 && voters.length === 1) return true;
    return this.#hasQuorum('add', count, voters.length + 1);
  }

  #hasQuorum(change: string, startedMembers: number, members: number): boolean {
    const needed = quorum(members);
    if (startedMembers >= needed) return true;
    const { replica, log } = this.#deps;
    log.warn(`rejecting member ${change}; started member will be less than quorum`, {
      'number-of-started-member': startedMembers,
      quorum: needed,
      'cluster-id': hexId(replica.clusterId),
      'local-member-id': hexId(replica.memberId),
    });
    return false;
  }

  /** Voters that this member has been connected to long enough, itself included. */
  #healthy(voters: readonly Member[]): number {
    const { replica, clock } = this.#deps;
    const since = clock.monotonic() - HEALTHY_MS;
    return voters.filter(({ id }) => {
      if (id === replica.memberId) return true;
      const active = activeSince(replica, id);
      return active !== null && active < since;
    }).length;
  }

  #refused(
    change: string,
    error: EtcdError,
    { why, ...fields }: { readonly why: string } & Readonly<Record<string, string | number>>,
  ): EtcdError {
    const { replica, log } = this.#deps;
    log.warn(`rejecting member ${change} request; ${why}`, {
      'local-member-id': hexId(replica.memberId),
      ...fields,
      error: error.message,
    });
    return error;
  }
}

export function addition(member: Member): ProposedChange {
  const type = member.isLearner ? 'add-learner-node' : 'add-node';
  return { type, nodeId: member.id, context: Buffer.from(memberJson(member)) };
}

export function removal(id: MemberId): ProposedChange {
  return { type: 'remove-node', nodeId: id, context: EMPTY_BYTES };
}

export function promotion(id: MemberId): ProposedChange {
  // Go writes a list that is not there as null.
  const context = `{"id":${id},"peerURLs":null,"isPromote":true}`;
  return { type: 'add-node', nodeId: id, context: Buffer.from(context) };
}

/** Go's normal form, in order. Repeated ones stay: the id is a hash over all of them. */
export function normalUrls(peerUrls: readonly string[]): readonly string[] {
  if (!areValid(peerUrls)) throw errors.memberBadUrls;
  return peerUrls.map((url) => checkUrl(url.trim())).sort();
}

function areValid(peerUrls: readonly string[]): boolean {
  try {
    for (const url of peerUrls) checkUrl(url.trim());
  } catch (error) {
    if (error instanceof ValueError) return false;
    throw error;
  }
  return peerUrls.length > 0;
}

function quorum(members: number): number {
  return Math.floor(members / 2) + 1;
}

/** A member has started once it has told its name. */
function started(members: readonly Member[]): number {
  return members.filter(({ name }) => name !== '').length;
}

function activeSince({ peers }: ChangingReplica, id: MemberId): number | null {
  return peers === null ? null : peers.activeSinceMs(id);
}

function described({ id, peerUrls, isLearner }: Described): string {
  const raft = `RaftAttributes:{PeerURLs:[${peerUrls.join(' ')}] IsLearner:${isLearner}}`;
  return `{ID:${hexId(id)} ${raft} Attributes:{Name: ClientURLs:[]}}`;
}
