/** What a member looks after in the background, from tick to tick. */

import type { Settings } from '../config/flags.ts';
import type { Log } from '../log.ts';
import type { Replica } from '../replica/replica.ts';
import type { ClusterVersion } from './cluster-version.ts';
import { DowngradeMonitor } from './downgrade-monitor.ts';

export interface MonitorsDeps {
  readonly config: Settings;
  readonly log: Log;
  readonly replica: Replica;
  readonly clusterVersion: ClusterVersion;
}

export interface Monitors {
  /** Called once per heartbeat interval; `onBug` hears of what is no expected refusal. */
  tick(nowMs: number, onBug: (error: unknown) => void): void;
}

export function createMonitors({ config, log, replica, clusterVersion }: MonitorsDeps): Monitors {
  const downgrade = new DowngradeMonitor({
    replica,
    versions: () => clusterVersion.memberVersions(),
    intervalMs: config.downgradeCheckTime,
    log,
  });
  return {
    tick(nowMs, onBug) {
      clusterVersion.tick(nowMs, onBug);
      downgrade.tick(nowMs, onBug);
    },
  };
}
