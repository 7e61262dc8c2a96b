/** The Cluster service: who the members are, and changing them. */

import {
  type Member as ClusterMember,
  decodeMemberAddRequest,
  decodeMemberListRequest,
  decodeMemberPromoteRequest,
  decodeMemberRemoveRequest,
  decodeMemberUpdateRequest,
  encodeMemberAddResponse,
  encodeMemberListResponse,
  encodeMemberPromoteResponse,
  encodeMemberRemoveResponse,
  encodeMemberUpdateResponse,
  type MemberAddRequest,
  type MemberAddResponse,
  type MemberListRequest,
  type MemberListResponse,
  type MemberPromoteRequest,
  type MemberPromoteResponse,
  type MemberRemoveRequest,
  type MemberRemoveResponse,
  type MemberUpdateRequest,
  type MemberUpdateResponse,
  type ResponseHeader,
} from '../codec/gen/etcdserverpb.ts';
import { EtcdError, errors } from '../errors.ts';
import type { Member } from '../replica/members.ts';
import type { Replica } from '../replica/replica.ts';
import type { MemberId } from '../types.ts';
import type { AskLeader } from './leader-calls.ts';
import type { MemberChanges } from './member-changes.ts';
import { type Caller, type Method, unary } from './rpc.ts';

/** How the leader is asked, which alone knows how far a learner is. */
export interface PromotePeers {
  /**
   * The members afterwards. Rejects with `memberNotFound`, `memberNotLearner` or `learnerNotReady`
   * when the leader says so.
   */
  promote(
    url: string,
    id: MemberId,
    token: string | null,
    signal: AbortSignal,
  ): Promise<readonly Member[]>;
}

export interface ClusterDeps {
  readonly replica: Pick<Replica, 'readBarrier'> & {
    readonly stateMachine: { readonly members: { list(): readonly Member[] } };
  };
  readonly changes: Pick<MemberChanges, 'add' | 'remove' | 'update' | 'promote'>;
  readonly askLeader: AskLeader;
  readonly peers: PromotePeers;
  /** This member was asked to promote, and has done so or refused. */
  readonly promoted: (error: EtcdError | null) => void;
  /** etcd: headers of this service carry no revision. */
  readonly header: () => ResponseHeader;
}

export interface ClusterService {
  memberAdd(request: MemberAddRequest): Promise<MemberAddResponse>;
  memberRemove(request: MemberRemoveRequest): Promise<MemberRemoveResponse>;
  memberUpdate(request: MemberUpdateRequest): Promise<MemberUpdateResponse>;
  memberList(request: MemberListRequest): Promise<MemberListResponse>;
  /** `token` speaks for the caller where the request is passed on to. */
  memberPromote(
    request: MemberPromoteRequest,
    token?: string | null,
  ): Promise<MemberPromoteResponse>;
}

export function createCluster(deps: ClusterDeps): ClusterService {
  const { replica, changes, askLeader, peers, header } = deps;
  const list = (): readonly Member[] => replica.stateMachine.members.list();
  const answer = (members: readonly ClusterMember[] = list()) => ({ header: header(), members });
  const promote = async (id: MemberId): Promise<readonly Member[]> => {
    try {
      await changes.promote(id);
    } catch (error) {
      if (error instanceof EtcdError) deps.promoted(error);
      throw error;
    }
    deps.promoted(null);
    return list();
  };
  return {
    async memberAdd({ peerUrls, isLearner }) {
      const member = await changes.add(peerUrls, isLearner);
      return { ...answer(), member };
    },

    async memberRemove({ id }) {
      await changes.remove(id);
      return answer();
    },

    async memberUpdate({ id, peerUrls }) {
      await changes.update(id, peerUrls);
      return answer();
    },

    async memberList({ linearizable }) {
      if (linearizable) await replica.readBarrier();
      return answer();
    },

    async memberPromote({ id }, token = null) {
      const members = await askLeader({
        here: () => promote(id),
        notHere: errors.notLeader,
        there: (url, signal) => peers.promote(url, id, token, signal),
        answers: [errors.memberNotFound, errors.memberNotLearner, errors.learnerNotReady],
      });
      return answer(members);
    },
  };
}

/** etcd: either header may carry the token. */
function tokenOf(caller: Caller): string | null {
  return caller.metadata('token') ?? caller.metadata('authorization');
}

export function clusterMethods(cluster: ClusterService): readonly Method[] {
  const service = 'etcdserverpb.Cluster';
  return [
    unary(
      service,
      'MemberAdd',
      { decode: decodeMemberAddRequest, encode: encodeMemberAddResponse },
      (request) => cluster.memberAdd(request),
    ),
    unary(
      service,
      'MemberRemove',
      { decode: decodeMemberRemoveRequest, encode: encodeMemberRemoveResponse },
      (request) => cluster.memberRemove(request),
    ),
    unary(
      service,
      'MemberUpdate',
      { decode: decodeMemberUpdateRequest, encode: encodeMemberUpdateResponse },
      (request) => cluster.memberUpdate(request),
    ),
    unary(
      service,
      'MemberList',
      { decode: decodeMemberListRequest, encode: encodeMemberListResponse },
      (request) => cluster.memberList(request),
    ),
    unary(
      service,
      'MemberPromote',
      { decode: decodeMemberPromoteRequest, encode: encodeMemberPromoteResponse },
      (request, caller) => cluster.memberPromote(request, tokenOf(caller)),
    ),
  ];
}
