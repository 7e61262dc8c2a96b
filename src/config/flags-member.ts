/** Settings of the member itself and of its features. */

import { noFeatureGates } from './feature-gates.ts';
import { bool, duration, flag, int, int64, text, uint, uint64, urls } from './flag.ts';
import { featureGatesKind, uint32Kind } from './kinds.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

export const memberFlags = {
  name: text('default', 'Name of this member; it must be listed in --initial-cluster.'),
  'data-dir': text('', 'Directory of all data; the name and .etcd when empty.'),
  'wal-dir': text('', 'Separate directory for the write-ahead log.'),
  'snapshot-count': uint64(10_000, 'Applied entries between two raft snapshots on disk.'),
  'heartbeat-interval': uint(100, 'Milliseconds between two heartbeats of the leader.'),
  'election-timeout': uint(1000, 'Milliseconds without a leader until an election starts.'),
  'initial-election-tick-advance': bool(true, 'Shorten the first election timeout after a start.'),
  'listen-peer-urls': urls(['http://localhost:2380'], 'URLs to listen on for other members.'),
  'listen-client-urls': urls(
    ['http://localhost:2379'],
    'URLs to listen on for clients: gRPC, and HTTP unless --listen-client-http-urls is set.',
  ),
  'listen-client-http-urls': urls(
    [],
    'URLs to listen on for clients that speak HTTP only; takes HTTP off --listen-client-urls.',
  ),
  'max-snapshots': uint(5, 'Snapshot files to keep (0 keeps all). Deprecated.'),
  'max-wals': uint(5, 'Write-ahead log files to keep (0 keeps all).'),
  'memory-mlock': bool(false, 'Lock memory into RAM. Has no effect in this implementation.'),
  'quota-backend-bytes': int64(
    0,
    'Bytes of data at which the member raises an alarm and becomes read-only; 0 means 2 GiB.',
  ),
  'backend-bbolt-freelist-type': text('', 'array or map. Has no effect in this implementation.'),
  'backend-batch-interval': duration(0, 'Longest time until applied changes reach the backend.'),
  'backend-batch-limit': int(0, 'Most applied changes until they reach the backend.'),
  'max-txn-ops': uint(128, 'Operations permitted in each list of a transaction.'),
  'max-request-bytes': uint(1_572_864, 'Bytes of the largest request that is accepted.'),
  'max-concurrent-streams': flag(
    uint32Kind,
    4_294_967_295,
    'Streams that one client connection can have open.',
  ),
  'grpc-keepalive-min-time': duration(5 * SECOND, 'Shortest permitted interval of client pings.'),
  'grpc-keepalive-interval': duration(
    2 * HOUR,
    'Idle time until the server pings a client; 0: off.',
  ),
  'grpc-keepalive-timeout': duration(20 * SECOND, 'Wait for the answer to such a ping; 0: off.'),
  'socket-reuse-port': bool(false, 'Set SO_REUSEPORT on listeners.', {
    yaml: 'socket-options.reuse-port',
  }),
  'socket-reuse-address': bool(false, 'Set SO_REUSEADDR on listeners.', {
    yaml: 'socket-options.reuse-address',
  }),
  'enable-grpc-gateway': bool(true, 'Serve the JSON API under /v3/.'),
  'raft-read-timeout': duration(5 * SECOND, 'Read timeout of connections between members.', {
    yaml: null,
  }),
  'raft-write-timeout': duration(5 * SECOND, 'Write timeout of connections between members.', {
    yaml: null,
  }),
  'feature-gates': flag(
    featureGatesKind,
    noFeatureGates,
    'Comma-separated Gate=true or Gate=false for optional behaviour.',
  ),
};

export const featureFlags = {
  'corrupt-check-time': duration(0, 'Time between comparisons of all data among members; 0: off.'),
  'compact-hash-check-time': duration(MINUTE, 'Time between comparisons of compaction hashes.'),
  'compaction-batch-limit': int(0, 'Revisions removed in one step of a compaction; 0 means 1000.'),
  'compaction-sleep-interval': duration(0, 'Pause between these steps; 0 means 10ms.'),
  'watch-progress-notify-interval': duration(
    0,
    'Time between progress notifications of idle watches; 0 means 10m.',
  ),
  'warning-apply-duration': duration(100, 'Warn when applying a request takes longer.'),
  'bootstrap-defrag-threshold-megabytes': uint(
    0,
    'Defragment at the start when at least this much would be freed; 0: never.',
  ),
  'max-learners': int(1, 'Learners that the cluster may have.'),
  'downgrade-check-time': duration(5 * SECOND, 'Time between two checks of a downgrade.'),
  'snapshot-catchup-entries': uint64(5000, 'Log entries kept for slow followers.'),
};

export const unsafeFlags = {
  'force-new-cluster': bool(false, 'Start as a one-member cluster with the existing data.'),
  'unsafe-no-fsync': bool(false, 'Do not wait for the disk. Acknowledged writes can be lost.'),
};

/** Known to the parser, not part of the printed list. */
export const commandFlags = {
  'config-file': text('', 'YAML or JSON file with the settings.', { yaml: null }),
  version: bool(false, 'Print the version and exit.', { yaml: null }),
};
