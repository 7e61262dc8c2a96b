/** The Cluster service: who the members are. Changing them comes with clusters of several. */

import {
  decodeMemberListRequest,
  encodeMemberListResponse,
  type MemberListRequest,
  type MemberListResponse,
  type ResponseHeader,
} from '../codec/gen/etcdserverpb.ts';
import type { Replica } from '../replica/replica.ts';
import { type Method, unary, unimplemented } from './rpc.ts';

export interface ClusterDeps {
  readonly replica: Replica;
  /** etcd: headers of this service carry no revision. */
  readonly header: () => ResponseHeader;
}

export function createCluster({ replica, header }: ClusterDeps) {
  return {
    async memberList({ linearizable }: MemberListRequest): Promise<MemberListResponse> {
      if (linearizable) await replica.readBarrier();
      const members = replica.stateMachine.members.list().map((member) => ({
        id: member.id,
        name: member.name,
        peerUrls: member.peerUrls,
        clientUrls: member.clientUrls,
        isLearner: member.isLearner,
      }));
      return { header: header(), members };
    },
  };
}

export function clusterMethods(cluster: ReturnType<typeof createCluster>): readonly Method[] {
  const service = 'etcdserverpb.Cluster';
  return [
    unary(
      service,
      'MemberList',
      { decode: decodeMemberListRequest, encode: encodeMemberListResponse },
      cluster.memberList,
    ),
    unimplemented(service, 'MemberAdd'),
    unimplemented(service, 'MemberRemove'),
    unimplemented(service, 'MemberUpdate'),
    unimplemented(service, 'MemberPromote'),
  ];
}
