/**
 * What a member looks after in the background, from tick to tick: the cluster's version, a
 * downgrade, whether all members hold the same, and file descriptors.
 */

import { AlarmAction, AlarmType } from '../codec/gen/etcdserverpb.ts';
import { gateEnabled } from '../config/feature-gates.ts';
import type { Settings } from '../config/flags.ts';
import { goDuration } from '../duration.ts';
import { EtcdError } from '../errors.ts';
import type { Log } from '../log.ts';
import { openFiles, openFilesLimit } from '../metrics/process-families.ts';
import type { PeerClient } from '../peer/client.ts';
import { reasonOf } from '../peer/exchange.ts';
import type { Replica } from '../replica/replica.ts';
import { hexId } from '../types.ts';
import type { ClusterVersion } from './cluster-version.ts';
import { CorruptionCheck } from './corruption-check.ts';
import { DowngradeMonitor } from './downgrade-monitor.ts';
import { checkFileDescriptors, LOOK_MS } from './file-descriptors.ts';
import { Periodic } from './periodic.ts';

export interface MonitorsDeps {
  readonly config: Settings;
  readonly log: Log;
  readonly replica: Replica;
  readonly peers: Pick<PeerClient, 'hashKv'>;
  readonly requestTimeoutMs: number;
  readonly clusterVersion: ClusterVersion;
  readonly onFatal: (error: unknown) => void;
}

export interface Monitors {
  /** Before the member serves anybody. Rejects with `BootstrapError` when it must not. */
  begin(isRestarted: boolean): Promise<void>;
  /** Called once per heartbeat interval. */
  tick(nowMs: number): void;
  /** Nothing is under way afterwards that needs the member's data. */
  close(): Promise<void>;
}

export function createMonitors(deps: MonitorsDeps): Monitors {
  const { config, log, replica, clusterVersion, onFatal } = deps;
  const downgrade = new DowngradeMonitor({
    replica,
    versions: () => clusterVersion.memberVersions(),
    log,
  });
  const stop = new AbortController();
  const check = corruptionCheck(deps, stop.signal);
  const asLeader = (run: () => Promise<void>) => async (): Promise<void> => {
    if (!replica.isLeader) return;
    try {
      await run();
    } catch (error) {
      if (!(error instanceof EtcdError)) throw error;
      log.warn('failed to check hash KV', { error: error.message });
    }
  };
  const checksCompactions = gateEnabled(config.featureGates, 'CompactHashCheck');
  const files = (): void => checkFileDescriptors({ used: openFiles, limit: openFilesLimit }, log);
  const works = [
    new Periodic({ intervalMs: LOOK_MS, run: async () => files() }),
    new Periodic({ intervalMs: config.downgradeCheckTime, run: () => downgrade.cancelIfDone() }),
    new Periodic({ intervalMs: config.corruptCheckTime, run: asLeader(() => check.periodic()) }),
    new Periodic({
      intervalMs: checksCompactions ? config.compactHashCheckTime : 0,
      run: asLeader(() => check.compactions()),
    }),
  ];
  return {
    async begin(isRestarted) {
      if (isRestarted && gateEnabled(config.featureGates, 'InitialCorruptCheck')) {
        await check.initial().catch((error: unknown) => {
          log.error('checkInitialHashKV failed', { error: reasonOf(error) });
          throw error;
        });
      }
      files();
      if (config.corruptCheckTime === 0) return;
      log.info('enabled corruption checking', {
        'local-member-id': hexId(replica.memberId),
        interval: goDuration(config.corruptCheckTime),
      });
    },

    tick(nowMs) {
      clusterVersion.tick(nowMs, onFatal);
      for (const work of works) work.tick(nowMs, onFatal);
    },

    async close() {
      stop.abort();
      await Promise.all(works.map((work) => work.close()));
    },
  };
}

function corruptionCheck(
  { replica, peers, requestTimeoutMs, log, onFatal }: MonitorsDeps,
  signal: AbortSignal,
): CorruptionCheck {
  const { store, members } = replica.stateMachine;
  const { memberId, clusterId } = replica;
  return new CorruptionCheck({
    memberId,
    others: () => members.list().filter(({ id }) => id !== memberId),
    hash: (revision) => store.hashKv(revision, signal),
    compactionHashes: () => store.compactionHashes(),
    ask: (url, revision) => peers.hashKv(url, revision, clusterId, requestTimeoutMs, signal),
    readBarrier: () => replica.readBarrier(),
    raise(id) {
      const alarm = { action: AlarmAction.ACTIVATE, memberId: id, alarm: AlarmType.CORRUPT };
      replica.propose('alarm', alarm).catch((error: unknown) => {
        // etcd: the next comparison finds the same.
        if (!(error instanceof EtcdError)) onFatal(error);
      });
    },
    requestTimeout: goDuration(requestTimeoutMs),
    log,
  });
}
