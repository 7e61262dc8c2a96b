/** What is told about quota, alarms, compactions and defragmentations; etcd's lines and names. */

import { AlarmType } from '../codec/gen/etcdserverpb.ts';
import type { Settings } from '../config/flags.ts';
import { DEFAULT_QUOTA_BYTES } from '../config/start.ts';
import { goDuration } from '../duration.ts';
import { humanBytes } from '../human-bytes.ts';
import type { Log, LogFields } from '../log.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { Alarms } from '../replica/alarms.ts';
import type { CompactionObserver } from '../replica/compaction-runner.ts';
import { hexId } from '../types.ts';
import type { DefragmentationObserver } from './defragmentation.ts';
import type { DatabaseSize } from './space.ts';

/** etcd: a larger quota is only warned about. */
const QUOTA_BYTES_MAX = 8 * 1024 * 1024 * 1024;

/** etcd: what a client and a scrape are told about the quota, also where there is none. */
export function shownQuota({ quotaBackendBytes }: Settings): number {
  return quotaBackendBytes || DEFAULT_QUOTA_BYTES;
}

export function logQuota({ quotaBackendBytes: bytes }: Settings, log: Log): void {
  const name = { 'quota-name': 'v3-applier' };
  if (bytes < 0) {
    log.info('disabled backend quota', { ...name, 'quota-size-bytes': bytes });
    return;
  }
  const fields = { ...name, ...sized('quota-size', bytes || DEFAULT_QUOTA_BYTES) };
  if (bytes === 0) {
    log.info('enabled backend quota with default value', fields);
    return;
  }
  if (bytes > QUOTA_BYTES_MAX) {
    const maximum = sized('quota-maximum-size', QUOTA_BYTES_MAX);
    log.warn('quota exceeds the maximum value', { ...fields, ...maximum });
  }
  log.info('enabled backend quota', fields);
}

/** etcd: the size is shown as it was configured, and the error is not the one that clients get. */
export function logQuotaExceeded(quotaBackendBytes: number, log: Log): void {
  log.warn('message exceeded backend quota; raising alarm', {
    ...sized('quota-size', quotaBackendBytes),
    error: 'etcdserver: no space',
  });
}

export function showAlarms({ server }: Metrics, alarms: Alarms): void {
  for (const [, shown] of server.alarms.entries()) shown.set(0);
  for (const { memberId, alarm } of alarms.list()) {
    const alarm_type = alarm === AlarmType.NOSPACE ? 'NOSPACE' : 'CORRUPT';
    server.alarms.with({ alarm_type, server_id: hexId(memberId) }).set(1);
  }
}

export function compactionObserver(
  { mvcc }: Metrics,
  log: Log,
  size: DatabaseSize,
  now: () => number,
): CompactionObserver {
  return {
    began(revision) {
      log.info('compact tree index', { revision });
    },
    indexTrimmed(milliseconds) {
      mvcc.indexCompactionPauseDurationMilliseconds.observe(Math.floor(milliseconds));
    },
    rowsSeen(milliseconds) {
      mvcc.dbCompactionPauseDurationMilliseconds.observe(Math.floor(milliseconds));
    },
    finished({ revision, rowsDeleted, hash, hashKept }, milliseconds) {
      mvcc.dbCompactionTotalDurationMilliseconds.observe(Math.floor(milliseconds));
      mvcc.dbCompactionKeysTotal.inc(rowsDeleted);
      mvcc.dbCompactionLast.set(Math.floor(now() / 1000));
      log.info('finished scheduled compaction', {
        'compact-revision': revision,
        took: goDuration(milliseconds),
        'number-of-keys-compacted': rowsDeleted,
        hash,
        ...sized('current-db-size', size.total),
        ...sized('current-db-size-in-use', size.inUse),
      });
      if (hashKept) return;
      log.info('previous compaction was interrupted, skip storing compaction hash value');
    },
  };
}

export function defragmentationObserver(
  { disk }: Metrics,
  log: Log,
  path: string,
): DefragmentationObserver {
  return {
    began({ total, inUse }) {
      disk.defragInflight.set(1);
      log.info('defragmenting', {
        path,
        ...sized('current-db-size', total),
        ...sized('current-db-size-in-use', inUse),
      });
    },
    ended(before, after, milliseconds) {
      disk.defragInflight.set(0);
      if (after === null) return;
      disk.backendDefragDurationSeconds.observe(milliseconds / 1000);
      log.info('finished defragmenting directory', {
        path,
        'current-db-size-bytes-diff': after.total - before.total,
        ...sized('current-db-size', after.total),
        'current-db-size-in-use-bytes-diff': after.inUse - before.inUse,
        ...sized('current-db-size-in-use', after.inUse),
        took: goDuration(milliseconds),
      });
    },
    skipped({ total, inUse }, thresholdBytes) {
      log.info('Skipping defragmentation', {
        ...sized('current-db-size', total),
        ...sized('current-db-size-in-use', inUse),
        ...sized('bootstrap-defrag-threshold', thresholdBytes),
      });
    },
  };
}

/** A number of bytes, and the same for people. */
function sized(name: string, bytes: number): LogFields {
  return { [`${name}-bytes`]: bytes, [name]: humanBytes(bytes) };
}
