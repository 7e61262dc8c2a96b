/** What single services tell about their work, in etcd's families. */

import { type EtcdError, errors } from '../errors.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { MaintenanceObserver } from './maintenance.ts';
import type { WatchObserver } from './watch.ts';

export function maintenanceObserver({ disk, mvcc }: Metrics): MaintenanceObserver {
  return {
    hashed: (seconds) => mvcc.hashDurationSeconds.observe(seconds),
    revisionHashed: (seconds) => mvcc.hashRevDurationSeconds.observe(seconds),
    snapshotSent: (seconds) => disk.backendSnapshotDurationSeconds.observe(seconds),
  };
}

export function watchObserver({ server }: Metrics): WatchObserver {
  return {
    controlSent: (seconds) => server.watchSendLoopControlStreamDurationSeconds.observe(seconds),
    eventsSent(seconds, events) {
      server.watchSendLoopWatchStreamDurationSeconds.observe(seconds);
      server.watchSendLoopWatchStreamDurationPerEventSeconds.observe(seconds / events);
    },
    progressSent: (seconds) => server.watchSendLoopProgressDurationSeconds.observe(seconds),
  };
}

/** Whether the warning level below the quota has been reached. */
export function showSpaceWarning({ disk }: Metrics, isActive: boolean): void {
  disk.spaceWarning.with({}).set(Number(isActive));
}

/** etcd: the label is the text of its own error, where the one that clients see is another. */
const REASONS: ReadonlyMap<EtcdError, string> = new Map([
  [errors.memberNotFound, 'membership: ID not found'],
  [errors.memberNotLearner, 'membership: can only promote a learner member'],
]);

/** etcd: one who does not lead asks the leader, and counts nothing. */
export function countPromotion({ server }: Metrics, error: EtcdError | null): void {
  if (error === null) server.learnerPromoteSuccesses.inc();
  else if (error !== errors.notLeader) {
    server.learnerPromoteFailures.with({ Reason: REASONS.get(error) ?? error.message }).inc();
  }
}
