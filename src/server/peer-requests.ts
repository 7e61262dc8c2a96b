/**
 * What a member asks at the peer URLs of others, one URL at a time, over HTTP. Redirects are not
 * followed. Every request rejects when there is no proper answer within its time.
 */

import type { Member } from '../replica/members.ts';
import type { ClusterId } from '../types.ts';

export interface PeerMembers {
  /** From the header `X-Etcd-Cluster-ID`. */
  readonly clusterId: ClusterId;
  /** Ids exact. */
  readonly members: readonly Member[];
}

/** As `/version` says them: dotted numbers, or `not_decided` for the cluster. */
export interface PeerVersions {
  readonly server: string;
  readonly cluster: string;
  /**
   * The member knows joint membership changes, which only ours do: they say `true` in the header
   * `X-Etcd-Joint-Changes`, since the text is etcd's.
   */
  readonly jointChanges?: boolean;
}

export interface PeerRequests {
  members(peerUrl: string, timeoutMs: number): Promise<PeerMembers>;
  version(peerUrl: string, timeoutMs: number): Promise<PeerVersions>;
  downgradeEnabled(peerUrl: string, timeoutMs: number): Promise<boolean>;
}
