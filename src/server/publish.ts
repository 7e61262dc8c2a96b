/** How a member makes itself known to its cluster, after which clients may come. */

import type { Settings } from '../config/flags.ts';
import { EtcdError, errors } from '../errors.ts';
import { pause } from '../pause.ts';
import { systemClock } from '../platform/clock.ts';
import type { Replica } from '../replica/replica.ts';
import type { ClusterVersion } from './cluster-version.ts';

const RETRY_MS = 100;

/**
 * etcd: a member tells its name and client URLs, and tries until it is stopped: without a quorum an
 * attempt times out. A cluster of one decides its version at once, so that it is there for the
 * first client.
 */
export async function publish(
  replica: Replica,
  clusterVersion: ClusterVersion,
  config: Settings,
  clientUrls: readonly string[],
): Promise<void> {
  const attributes = { name: config.name, clientUrls };
  await persistently(replica, () => clusterVersion.publish(attributes));
  const isAlone = replica.stateMachine.members.list().length === 1;
  if (!isAlone || replica.stateMachine.clusterVersion !== '') return;
  await persistently(replica, async () => {
    await clusterVersion.decide();
    return true;
  });
}

/** Until an attempt says that it has succeeded. Rejects when the member is stopped. */
async function persistently({ stopping }: Replica, attempt: () => Promise<boolean>): Promise<void> {
  for (;;) {
    try {
      if (await attempt()) return;
    } catch (error) {
      if (!(error instanceof EtcdError) || error === errors.stopped) throw error;
    }
    if (stopping.aborted) throw errors.stopped;
    // A refusal comes at once: without a pause nothing else would get its turn.
    await pause(systemClock, RETRY_MS, stopping);
  }
}
