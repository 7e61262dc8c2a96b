/**
 * Who founds the cluster, where the settings do not list them but say how to find out. The result
 * is the same settings with --initial-cluster, and the token that goes into ids, filled in.
 */

import { freeze, initialClusterFromName } from '../config/defaults.ts';
import type { Settings } from '../config/flags.ts';
import type { Log } from '../log.ts';
import { clusterFromSrv, type SrvResolver } from './srv-records.ts';

/** For a member without a log. Rejects with `BootstrapError`. */
export async function withInitialCluster(
  config: Settings,
  resolver: SrvResolver,
  log: Log,
): Promise<Settings> {
  if (config.discoveryEndpoints.length > 0) {
    // etcd: a cluster of this member alone, until the discovery service names the others.
    const initialCluster = initialClusterFromName(config.name, config.initialAdvertisePeerUrls);
    return freeze({ ...config, initialCluster, initialClusterToken: config.discoveryToken });
  }
  if (config.discoverySrv === '') return config;
  return freeze({ ...config, initialCluster: await clusterFromSrv(config, resolver, log) });
}
