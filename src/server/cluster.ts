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
import { type Access, tokenOf } from './access.ts';
import type { AskLeader } from './leader-calls.ts';
import { type MemberChanges, normalUrls } from './member-changes.ts';
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
  readonly access: Access;
  readonly changes: Pick<MemberChanges, 'add' | 'remove' | 'update' | 'promote'>;
  readonly askLeader: AskLeader;
  readonly peers: PromotePeers;
  /** This member was asked to promote, and has done so or refused. */
  readonly promoted: (error: EtcdError | null) => void;
  /** etcd: headers of this service carry no revision. */
  readonly header: () => ResponseHeader;
}

export interface ClusterService {
  memberAdd(request: MemberAddRequest, caller?: Caller): Promise<MemberAddResponse>;
  memberRemove(request: MemberRemoveRequest, caller?: Caller): Promise<MemberRemoveResponse>;
  memberUpdate(request: MemberUpdateRequest, caller?: Caller): Promise<MemberUpdateResponse>;
  memberList(request: MemberListRequest, caller?: Caller): Promise<MemberListResponse>;
  memberPromote(request: MemberPromoteRequest, caller?: Caller): Promise<MemberPromoteResponse>;
}

export function createCluster(deps: ClusterDeps): ClusterService {
  const { replica, access, changes, askLeader, peers, header } = deps;
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
    async memberAdd({ peerUrls, isLearner }, caller) {
      if (access.enabled) {
        // etcd: URLs are looked at before rights are.
        normalUrls(peerUrls);
        await access.admin(caller);
      }
      const member = await changes.add(peerUrls, isLearner);
      return { ...answer(), member };
    },

    async memberRemove({ id }, caller) {
      await access.admin(caller);
      await changes.remove(id);
      return answer();
    },

    async memberUpdate({ id, peerUrls }, caller) {
      await access.admin(caller);
      await changes.update(id, peerUrls);
      return answer();
    },

    async memberList({ linearizable }, caller) {
      if (linearizable) await replica.readBarrier();
      // Patroni 3 asks for the members before it authenticates, and after a restart with the token
      // of before, as servers of its time allowed.
      if (caller?.overGateway !== true) await access.known(caller);
      return answer();
    },

    async memberPromote({ id }, caller) {
      await access.admin(caller);
      // Who is known by a certificate cannot be told to another member; etcd cannot either.
      const token = caller === undefined ? null : tokenOf(caller);
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

export function clusterMethods(cluster: ClusterService): readonly Method[] {
  const service = 'etcdserverpb.Cluster';
  return [
    unary(
      service,
      'MemberAdd',
      { decode: decodeMemberAddRequest, encode: encodeMemberAddResponse },
      cluster.memberAdd,
    ),
    unary(
      service,
      'MemberRemove',
      { decode: decodeMemberRemoveRequest, encode: encodeMemberRemoveResponse },
      cluster.memberRemove,
    ),
    unary(
      service,
      'MemberUpdate',
      { decode: decodeMemberUpdateRequest, encode: encodeMemberUpdateResponse },
      cluster.memberUpdate,
    ),
    unary(
      service,
      'MemberList',
      { decode: decodeMemberListRequest, encode: encodeMemberListResponse },
      cluster.memberList,
    ),
    unary(
      service,
      'MemberPromote',
      { decode: decodeMemberPromoteRequest, encode: encodeMemberPromoteResponse },
      cluster.memberPromote,
    ),
  ];
}
