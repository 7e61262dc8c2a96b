/**
 * A data folder that came from another cluster: the members it names are there, and are of a
 * cluster with another id, so this one can never become part of it. etcd says so in its log with
 * every connection that is refused, and goes on trying.
 */

import { pause } from '../pause.ts';
import type { Clock } from '../ports.ts';
import { BootstrapError } from '../replica/founding.ts';
import type { Replica } from '../replica/replica.ts';
import { type ClusterId, hexId } from '../types.ts';
import type { PeerRequests } from './peer-requests.ts';

export interface OtherClusterDeps {
  readonly replica: Pick<Replica, 'memberId' | 'clusterId' | 'lead' | 'stateMachine'>;
  readonly peers: Pick<PeerRequests, 'members'>;
  readonly clock: Pick<Clock, 'every'>;
}

const ASK_MS = 1000;
const PAUSE_MS = 4000;

/**
 * Rejects with `BootstrapError` once every member that answers is of another cluster, one at least.
 * Resolves when the signal is aborted, or when there is a leader: then it is the right cluster.
 */
export async function refuseOtherCluster(
  deps: OtherClusterDeps,
  signal: AbortSignal,
): Promise<void> {
  const { replica, clock } = deps;
  while (!signal.aborted && replica.lead === null) {
    const other = await otherCluster(deps);
    if (other !== null && replica.lead === null) {
      const [own, theirs] = [replica.clusterId, other].map(hexId);
      throw new BootstrapError(
        `the data folder is of cluster ${own}, its members are of cluster ${theirs}`,
      );
    }
    await pause(clock, PAUSE_MS, signal);
  }
}

async function otherCluster({ replica, peers }: OtherClusterDeps): Promise<ClusterId | null> {
  const others = replica.stateMachine.members
    .list()
    .filter(({ id }) => id !== replica.memberId)
    .flatMap(({ peerUrls }) => peerUrls);
  const answers = await Promise.allSettled(others.map((url) => peers.members(url, ASK_MS)));
  const clusters = answers.flatMap((answer) =>
    answer.status === 'fulfilled' ? [answer.value.clusterId] : [],
  );
  const [first] = clusters;
  return first === undefined || clusters.includes(replica.clusterId) ? null : first;
}
