/**
 * The metrics of storage: store, backend, write-ahead log, snapshots, leases.
 * Names, texts, labels and buckets are etcd's, so that dashboards and rules written for etcd work.
 */

import { exponential, type Families } from './instruments.ts';

export function mvccMetrics(make: Families) {
  return { ...mvccCounters(make), ...mvccGauges(make), ...mvccHistograms(make) };
}

function mvccCounters(make: Families) {
  return {
    dbCompactionKeysTotal: make.counter(
      'etcd_debugging_mvcc_db_compaction_keys_total',
      'Total number of db keys compacted.',
    ),
    eventsTotal: make.counter(
      'etcd_debugging_mvcc_events_total',
      'Total number of events sent by this member.',
    ),
    deleteTotal: make.counter(
      'etcd_mvcc_delete_total',
      'Total number of deletes seen by this member.',
    ),
    putTotal: make.counter('etcd_mvcc_put_total', 'Total number of puts seen by this member.'),
    rangeTotal: make.counter(
      'etcd_mvcc_range_total',
      'Total number of ranges seen by this member.',
    ),
    txnTotal: make.counter('etcd_mvcc_txn_total', 'Total number of txns seen by this member.'),
  };
}

function mvccGauges(make: Families) {
  return {
    compactRevision: make.gauge(
      'etcd_debugging_mvcc_compact_revision',
      'The revision of the last compaction in store.',
    ),
    currentRevision: make.gauge(
      'etcd_debugging_mvcc_current_revision',
      'The current revision of store.',
    ),
    dbCompactionLast: make.gauge(
      'etcd_debugging_mvcc_db_compaction_last',
      'The unix time of the last db compaction. Resets to 0 on start.',
    ),
    keysTotal: make.gauge('etcd_debugging_mvcc_keys_total', 'Total number of keys.'),
    pendingEventsTotal: make.gauge(
      'etcd_debugging_mvcc_pending_events_total',
      'Total number of pending events to be sent.',
    ),
    slowWatcherTotal: make.gauge(
      'etcd_debugging_mvcc_slow_watcher_total',
      'Total number of unsynced slow watchers.',
    ),
    totalPutSizeInBytes: make.gauge(
      'etcd_debugging_mvcc_total_put_size_in_bytes',
      'The total size of put kv pairs seen by this member.',
    ),
    watchStreamTotal: make.gauge(
      'etcd_debugging_mvcc_watch_stream_total',
      'Total number of watch streams.',
    ),
    watcherTotal: make.gauge('etcd_debugging_mvcc_watcher_total', 'Total number of watchers.'),
    dbOpenReadTransactions: make.gauge(
      'etcd_mvcc_db_open_read_transactions',
      'The number of currently open read transactions',
    ),
    dbTotalSizeInBytes: make.gauge(
      'etcd_mvcc_db_total_size_in_bytes',
      'Total size of the underlying database physically allocated in bytes.',
    ),
    dbTotalSizeInUseInBytes: make.gauge(
      'etcd_mvcc_db_total_size_in_use_in_bytes',
      'Total size of the underlying database logically in use in bytes.',
    ),
  };
}

function mvccHistograms(make: Families) {
  return {
    dbCompactionPauseDurationMilliseconds: make.histogram(
      'etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds',
      'Bucketed histogram of db compaction pause duration.',
      exponential(1, 2, 13),
    ),
    dbCompactionTotalDurationMilliseconds: make.histogram(
      'etcd_debugging_mvcc_db_compaction_total_duration_milliseconds',
      'Bucketed histogram of db compaction total duration.',
      exponential(100, 2, 14),
    ),
    indexCompactionPauseDurationMilliseconds: make.histogram(
      'etcd_debugging_mvcc_index_compaction_pause_duration_milliseconds',
      'Bucketed histogram of index compaction pause duration.',
      exponential(0.5, 2, 14),
    ),
    hashDurationSeconds: make.histogram(
      'etcd_mvcc_hash_duration_seconds',
      'The latency distribution of storage hash operation.',
      exponential(0.01, 2, 15),
    ),
    hashRevDurationSeconds: make.histogram(
      'etcd_mvcc_hash_rev_duration_seconds',
      'The latency distribution of storage hash by revision operation.',
      exponential(0.01, 2, 15),
    ),
  };
}

export function diskMetrics(make: Families) {
  return {
    backendCommitRebalanceDurationSeconds: make.histogram(
      'etcd_debugging_disk_backend_commit_rebalance_duration_seconds',
      'The latency distributions of commit.rebalance called by bboltdb backend.',
      exponential(0.001, 2, 14),
    ),
    backendCommitSpillDurationSeconds: make.histogram(
      'etcd_debugging_disk_backend_commit_spill_duration_seconds',
      'The latency distributions of commit.spill called by bboltdb backend.',
      exponential(0.001, 2, 14),
    ),
    backendCommitWriteDurationSeconds: make.histogram(
      'etcd_debugging_disk_backend_commit_write_duration_seconds',
      'The latency distributions of commit.write called by bboltdb backend.',
      exponential(0.001, 2, 14),
    ),
    backendCommitDurationSeconds: make.histogram(
      'etcd_disk_backend_commit_duration_seconds',
      'The latency distributions of commit called by backend.',
      exponential(0.001, 2, 14),
    ),
    backendDefragDurationSeconds: make.histogram(
      'etcd_disk_backend_defrag_duration_seconds',
      'The latency distribution of backend defragmentation.',
      exponential(0.1, 2, 13),
    ),
    backendSnapshotDurationSeconds: make.histogram(
      'etcd_disk_backend_snapshot_duration_seconds',
      'The latency distribution of backend snapshots.',
      exponential(0.01, 2, 17),
    ),
    /** Not etcd's; shown by a member that was asked to warn. */
    spaceWarning: make.gaugeVec(
      'etcd_ext_space_warning',
      'Whether the database has reached the warning level below its quota (1) or not (0).',
      [],
    ),
    defragInflight: make.gauge(
      'etcd_disk_defrag_inflight',
      'Whether or not defrag is active on the member. 1 means active, 0 means not.',
    ),
    walFsyncDurationSeconds: make.histogram(
      'etcd_disk_wal_fsync_duration_seconds',
      'The latency distributions of fsync called by WAL.',
      exponential(0.001, 2, 14),
    ),
    walWriteBytesTotal: make.gauge(
      'etcd_disk_wal_write_bytes_total',
      'Total number of bytes written in WAL.',
    ),
    walWriteDurationSeconds: make.histogram(
      'etcd_disk_wal_write_duration_seconds',
      'The latency distributions of write called by WAL.',
      exponential(0.001, 2, 14),
    ),
  };
}

export function snapMetrics(make: Families) {
  return {
    saveMarshallingDurationSeconds: make.histogram(
      'etcd_debugging_snap_save_marshalling_duration_seconds',
      'The marshalling cost distributions of save called by snapshot.',
      exponential(0.001, 2, 14),
    ),
    saveTotalDurationSeconds: make.histogram(
      'etcd_debugging_snap_save_total_duration_seconds',
      'The total latency distributions of save called by snapshot.',
      exponential(0.001, 2, 14),
    ),
    dbFsyncDurationSeconds: make.histogram(
      'etcd_snap_db_fsync_duration_seconds',
      'The latency distributions of fsyncing .snap.db file',
      exponential(0.001, 2, 14),
    ),
    dbSaveTotalDurationSeconds: make.histogram(
      'etcd_snap_db_save_total_duration_seconds',
      'The total latency distributions of v3 snapshot save',
      exponential(0.1, 2, 10),
    ),
    fsyncDurationSeconds: make.histogram(
      'etcd_snap_fsync_duration_seconds',
      'The latency distributions of fsync called by snap.',
      exponential(0.001, 2, 14),
    ),
  };
}

export function leaseMetrics(make: Families) {
  return {
    grantedTotal: make.counter(
      'etcd_debugging_lease_granted_total',
      'The total number of granted leases.',
    ),
    renewedTotal: make.counter(
      'etcd_debugging_lease_renewed_total',
      'The number of renewed leases seen by the leader.',
    ),
    revokedTotal: make.counter(
      'etcd_debugging_lease_revoked_total',
      'The total number of revoked leases.',
    ),
    ttlTotal: make.histogram(
      'etcd_debugging_lease_ttl_total',
      'Bucketed histogram of lease TTLs.',
      exponential(1, 2, 24),
    ),
  };
}

export function authMetrics(make: Families) {
  return {
    revision: make.gauge('etcd_debugging_auth_revision', 'The current revision of auth store.'),
  };
}
