/**
 * What other members ask this one over the peer port beside Raft: who belongs to the cluster, what
 * the primary lessor knows, hashes to compare, promotions. It knows nothing of HTTP: answers are
 * values or texts, refusals are errors of the catalogue.
 */

import { errors } from '../errors.ts';
import type { PeerApi } from '../peer/peer-api.ts';
import type { Stop } from '../ports.ts';
import type { DowngradeInfo } from '../replica/downgrade-info.ts';
import { type Member, memberJson } from '../replica/members.ts';
import type { Replica } from '../replica/replica.ts';
import type { ClusterService } from './cluster.ts';
import { versionText } from './http.ts';
import type { Maintenance } from './maintenance.ts';
import type { PrimaryLeases } from './primary-leases.ts';
import type { Caller } from './rpc.ts';

export interface PeerApiDeps {
  readonly replica: Pick<Replica, 'clusterId' | 'readBarrier'> & {
    readonly stateMachine: {
      readonly members: { list(): readonly Member[] };
      readonly clusterVersion: string;
      readonly downgradeInfo: DowngradeInfo;
    };
  };
  readonly cluster: Pick<ClusterService, 'memberPromote'>;
  readonly primary: PrimaryLeases;
  readonly maintenance: Pick<Maintenance, 'hashKv'>;
}

export function createPeerApi({ replica, cluster, primary, maintenance }: PeerApiDeps): PeerApi {
  const { stateMachine } = replica;
  return {
    clusterId: replica.clusterId,

    members: () => listText(stateMachine.members.list()),

    version: () => versionText(stateMachine.clusterVersion),

    async promote(id, token) {
      const { members } = await cluster.memberPromote({ id }, new TokenCaller(token));
      return listText(members);
    },

    async leaseKeepAlive(id) {
      // etcd: here it waits in any case, for it does not know whose request this is.
      await primary.caughtUp();
      const ttl = await primary.renew(id);
      if (ttl === 0) throw errors.leaseNotFound;
      return ttl;
    },

    async leaseTimeToLive(id, keys) {
      const found = await primary.timeToLive(id);
      if (found === null) throw errors.leaseNotFound;
      const { ttl, grantedTtl } = found;
      return { ttl, grantedTtl, keys: keys ? found.keys : [] };
    },

    hashKv: (revision) => maintenance.hashKv({ revision }),

    async downgradeEnabled() {
      await replica.readBarrier();
      return stateMachine.downgradeInfo.enabled;
    },
  };
}

/** Whoever another member asks for. */
class TokenCaller implements Caller {
  readonly commonName = '';
  readonly overGateway = false;
  readonly cancelled = false;
  readonly #token: string | null;

  constructor(token: string | null) {
    this.#token = token;
  }

  metadata(name: string): string | null {
    return name === 'token' ? this.#token : null;
  }

  onCancel(): Stop {
    return () => {};
  }
}

function listText(members: readonly Member[]): string {
  return `[${members.map((member) => memberJson(member)).join(',')}]\n`;
}
