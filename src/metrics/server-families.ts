/**
 * The metrics of the server and of what it shares with other members.
 * Names, texts, labels and buckets are etcd's, so that dashboards and rules written for etcd work.
 */

import { exponential, type Families } from './instruments.ts';

export function serverMetrics(make: Families) {
  return {
    ...serverCounters(make),
    ...serverGauges(make),
    ...serverHistograms(make),
    ...serverLabelled(make),
    ...serverProposals(make),
    ...serverReads(make),
    ...serverVersions(make),
  };
}

function serverCounters(make: Families) {
  return {
    leaseExpiredTotal: make.counter(
      'etcd_debugging_server_lease_expired_total',
      'The total number of expired leases.',
    ),
    heartbeatSendFailuresTotal: make.counter(
      'etcd_server_heartbeat_send_failures_total',
      'The total number of leader heartbeat send failures (likely overloaded from slow disk).',
    ),
    leaderChangesSeenTotal: make.counter(
      'etcd_server_leader_changes_seen_total',
      'The number of leader changes seen.',
    ),
    learnerPromoteSuccesses: make.counter(
      'etcd_server_learner_promote_successes',
      'The total number of successful learner promotions while this member is leader.',
    ),
    slowApplyTotal: make.counter(
      'etcd_server_slow_apply_total',
      'The total number of slow apply requests (likely overloaded from slow disk).',
    ),
  };
}

function serverGauges(make: Families) {
  return {
    hasLeader: make.gauge(
      'etcd_server_has_leader',
      'Whether or not a leader exists. 1 is existence, 0 is not.',
    ),
    isLeader: make.gauge(
      'etcd_server_is_leader',
      'Whether or not this member is a leader. 1 if is, 0 otherwise.',
    ),
    isLearner: make.gauge(
      'etcd_server_is_learner',
      'Whether or not this member is a learner. 1 if is, 0 otherwise.',
    ),
    quotaBackendBytes: make.gauge(
      'etcd_server_quota_backend_bytes',
      'Current backend storage quota size in bytes.',
    ),
  };
}

function serverHistograms(make: Families) {
  return {
    watchSendLoopControlStreamDurationSeconds: make.histogram(
      'etcd_debugging_server_watch_send_loop_control_stream_duration_seconds',
      'The total duration in seconds of running through the send loop control stream ' +
        'response.',
      exponential(0.001, 2, 14),
    ),
    watchSendLoopProgressDurationSeconds: make.histogram(
      'etcd_debugging_server_watch_send_loop_progress_duration_seconds',
      'The total duration in seconds of running through the progress loop control stream ' +
        'response.',
      exponential(0.001, 2, 14),
    ),
    watchSendLoopWatchStreamDurationPerEventSeconds: make.histogram(
      'etcd_debugging_server_watch_send_loop_watch_stream_duration_per_event_seconds',
      'The average duration in seconds of running through the send loop watch stream ' +
        'response, per event.',
      exponential(0.001, 2, 14),
    ),
    watchSendLoopWatchStreamDurationSeconds: make.histogram(
      'etcd_debugging_server_watch_send_loop_watch_stream_duration_seconds',
      'The total duration in seconds of running through the send loop watch stream ' +
        'response all events.',
      exponential(0.001, 2, 14),
    ),
  };
}

function serverLabelled(make: Families) {
  return {
    applyDurationSeconds: make.histogramVec(
      'etcd_server_apply_duration_seconds',
      'The latency distributions of v2 apply called by backend.',
      ['op', 'success', 'version'],
      exponential(0.0001, 2, 20),
    ),
    clientRequestsTotal: make.counterVec(
      'etcd_server_client_requests_total',
      'The total number of client requests per client version.',
      ['client_api_version', 'type'],
    ),
    healthchecksTotal: make.counterVec(
      'etcd_server_healthchecks_total',
      'The total number of each kind of healthcheck.',
      ['name', 'status', 'type'],
    ),
    learnerPromoteFailures: make.counterVec(
      'etcd_server_learner_promote_failures',
      'The total number of failed learner promotions (likely learner not ready) while this ' +
        'member is leader.',
      ['Reason'],
    ),
    rangeDurationSeconds: make.histogramVec(
      'etcd_server_range_duration_seconds',
      'The latency distributions of txn.Range',
      ['success'],
      exponential(0.0001, 2, 20),
    ),
    requestDurationSeconds: make.histogramVec(
      'etcd_server_request_duration_seconds',
      'Response latency distribution in seconds for each type.',
      ['success', 'type'],
      exponential(0.001, 2, 14),
    ),
  };
}

function serverProposals(make: Families) {
  return {
    proposalsAppliedTotal: make.gauge(
      'etcd_server_proposals_applied_total',
      'The total number of consensus proposals applied.',
    ),
    proposalsCommittedTotal: make.gauge(
      'etcd_server_proposals_committed_total',
      'The total number of consensus proposals committed.',
    ),
    proposalsPending: make.gauge(
      'etcd_server_proposals_pending',
      'The current number of pending proposals to commit.',
    ),
    snapshotApplyInProgressTotal: make.gauge(
      'etcd_server_snapshot_apply_in_progress_total',
      '1 if the server is applying the incoming snapshot. 0 if none.',
    ),
    proposalsFailedTotal: make.counter(
      'etcd_server_proposals_failed_total',
      'The total number of failed proposals seen.',
    ),
  };
}

function serverReads(make: Families) {
  return {
    healthFailures: make.counter(
      'etcd_server_health_failures',
      'The total number of failed health checks',
    ),
    healthSuccess: make.counter(
      'etcd_server_health_success',
      'The total number of successful health checks',
    ),
    readIndexesFailedTotal: make.counter(
      'etcd_server_read_indexes_failed_total',
      'The total number of failed read indexes seen.',
    ),
    slowReadIndexesTotal: make.counter(
      'etcd_server_slow_read_indexes_total',
      "The total number of pending read indexes not in sync with leader's or timed out " +
        'read index requests.',
    ),
  };
}

function serverVersions(make: Families) {
  return {
    clusterVersion: make.gaugeVec(
      'etcd_cluster_version',
      "Which version is running. 1 for 'cluster_version' label with current cluster version",
      ['cluster_version'],
    ),
    alarms: make.gaugeVec(
      'etcd_debugging_server_alarms',
      "Alarms for every member in cluster. 1 for 'server_id' label with current ID. 2 for " +
        "'alarm_type' label with type of this alarm",
      ['alarm_type', 'server_id'],
    ),
    featureEnabled: make.gaugeVec(
      'etcd_server_feature_enabled',
      'Whether or not a feature is enabled. 1 is enabled, 0 is not.',
      ['name', 'stage'],
    ),
    goVersion: make.gaugeVec(
      'etcd_server_go_version',
      "Which Go version server is running with. 1 for 'server_go_version' label with " +
        'current version.',
      ['server_go_version'],
    ),
    healthcheck: make.gaugeVec(
      'etcd_server_healthcheck',
      'The result of each kind of healthcheck.',
      ['name', 'type'],
    ),
    id: make.gaugeVec(
      'etcd_server_id',
      "Server or member ID in hexadecimal format. 1 for 'server_id' label with current ID.",
      ['server_id'],
    ),
    version: make.gaugeVec(
      'etcd_server_version',
      "Which version is running. 1 for 'server_version' label with current version.",
      ['server_version'],
    ),
  };
}

export function networkMetrics(make: Families) {
  return { ...networkSnapshots(make), ...networkTraffic(make) };
}

function networkSnapshots(make: Families) {
  return {
    snapshotReceiveFailures: make.counterVec(
      'etcd_network_snapshot_receive_failures',
      'Total number of snapshot receive failures',
      ['From'],
    ),
    snapshotReceiveInflightsTotal: make.gaugeVec(
      'etcd_network_snapshot_receive_inflights_total',
      'Total number of inflight snapshot receives',
      ['From'],
    ),
    snapshotReceiveSuccess: make.counterVec(
      'etcd_network_snapshot_receive_success',
      'Total number of successful snapshot receives',
      ['From'],
    ),
    snapshotReceiveTotalDurationSeconds: make.histogramVec(
      'etcd_network_snapshot_receive_total_duration_seconds',
      'Total latency distributions of v3 snapshot receives',
      ['From'],
      exponential(0.1, 2, 10),
    ),
    snapshotSendFailures: make.counterVec(
      'etcd_network_snapshot_send_failures',
      'Total number of snapshot send failures',
      ['To'],
    ),
    snapshotSendInflightsTotal: make.gaugeVec(
      'etcd_network_snapshot_send_inflights_total',
      'Total number of inflight snapshot sends',
      ['To'],
    ),
    snapshotSendSuccess: make.counterVec(
      'etcd_network_snapshot_send_success',
      'Total number of successful snapshot sends',
      ['To'],
    ),
    snapshotSendTotalDurationSeconds: make.histogramVec(
      'etcd_network_snapshot_send_total_duration_seconds',
      'Total latency distributions of v3 snapshot sends',
      ['To'],
      exponential(0.1, 2, 10),
    ),
  };
}

function networkTraffic(make: Families) {
  return {
    activePeers: make.gaugeVec(
      'etcd_network_active_peers',
      'The current number of active peer connections.',
      ['Local', 'Remote'],
    ),
    clientGrpcReceivedBytesTotal: make.counter(
      'etcd_network_client_grpc_received_bytes_total',
      'The total number of bytes received from grpc clients.',
    ),
    clientGrpcSentBytesTotal: make.counter(
      'etcd_network_client_grpc_sent_bytes_total',
      'The total number of bytes sent to grpc clients.',
    ),
    disconnectedPeersTotal: make.counterVec(
      'etcd_network_disconnected_peers_total',
      'The total number of disconnected peers.',
      ['Local', 'Remote'],
    ),
    knownPeers: make.gaugeVec('etcd_network_known_peers', 'The current number of known peers.', [
      'Local',
      'Remote',
    ]),
    peerReceivedBytesTotal: make.counterVec(
      'etcd_network_peer_received_bytes_total',
      'The total number of bytes received from peers.',
      ['From'],
    ),
    peerReceivedFailuresTotal: make.counterVec(
      'etcd_network_peer_received_failures_total',
      'The total number of receive failures from peers.',
      ['From'],
    ),
    peerRoundTripTimeSeconds: make.histogramVec(
      'etcd_network_peer_round_trip_time_seconds',
      'Round-Trip-Time histogram between peers',
      ['To'],
      exponential(0.0001, 2, 16),
    ),
    peerSentBytesTotal: make.counterVec(
      'etcd_network_peer_sent_bytes_total',
      'The total number of bytes sent to peers.',
      ['To'],
    ),
    peerSentFailuresTotal: make.counterVec(
      'etcd_network_peer_sent_failures_total',
      'The total number of send failures from peers.',
      ['To'],
    ),
    serverStreamFailuresTotal: make.counterVec(
      'etcd_network_server_stream_failures_total',
      'The total number of stream failures from the local server.',
      ['API', 'Type'],
    ),
  };
}

export function osMetrics(make: Families) {
  return {
    fdLimit: make.gauge('os_fd_limit', 'The file descriptor limit.'),
    fdUsed: make.gauge('os_fd_used', 'The number of used file descriptors.'),
  };
}

export function v2StoreMetrics(make: Families) {
  return {
    expiresTotal: make.counter(
      'etcd_debugging_store_expires_total',
      'Total number of expired keys.',
    ),
    readsTotal: make.counterVec(
      'etcd_debugging_store_reads_total',
      'Total number of reads action by (get/getRecursive), local to this member.',
      ['action'],
    ),
    watchRequestsTotal: make.counter(
      'etcd_debugging_store_watch_requests_total',
      'Total number of incoming watch requests (new or reestablished).',
    ),
    watchers: make.gauge('etcd_debugging_store_watchers', 'Count of currently active watchers.'),
    writesTotal: make.counterVec(
      'etcd_debugging_store_writes_total',
      'Total number of writes (e.g. set/compareAndDelete) seen by this member.',
      ['action'],
    ),
  };
}

export function grpcProxyMetrics(make: Families) {
  return {
    cacheHitsTotal: make.gauge('etcd_grpc_proxy_cache_hits_total', 'Total number of cache hits'),
    cacheKeysTotal: make.gauge(
      'etcd_grpc_proxy_cache_keys_total',
      'Total number of keys/ranges cached',
    ),
    cacheMissesTotal: make.gauge(
      'etcd_grpc_proxy_cache_misses_total',
      'Total number of cache misses',
    ),
    eventsCoalescingTotal: make.counter(
      'etcd_grpc_proxy_events_coalescing_total',
      'Total number of events coalescing',
    ),
    watchersCoalescingTotal: make.gauge(
      'etcd_grpc_proxy_watchers_coalescing_total',
      'Total number of current watchers coalescing',
    ),
  };
}
