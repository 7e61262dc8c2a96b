// Settings that are tried on both servers: as flags, variables and files, sound and unsound. The
// expectation is what etcd does. What differs on purpose is in docs/compat.md and not in here.
import type { Start } from './config-run.ts';

const LISTEN = [
  '--listen-client-urls=http://127.0.0.1:0',
  '--advertise-client-urls=http://127.0.0.1:2379',
  '--listen-peer-urls=http://127.0.0.1:0',
];
const LISTEN_FILE =
  'listen-client-urls: http://127.0.0.1:0\nadvertise-client-urls: http://127.0.0.1:2379\n' +
  'listen-peer-urls: http://127.0.0.1:0\n';
const LISTEN_ENV = {
  ETCD_LISTEN_CLIENT_URLS: 'http://127.0.0.1:0',
  ETCD_ADVERTISE_CLIENT_URLS: 'http://127.0.0.1:2379',
  ETCD_LISTEN_PEER_URLS: 'http://127.0.0.1:0',
};

type Case = readonly [what: string, start: Start];

const flags = (...args: string[]): Case => [
  args.join(' ') || 'nothing',
  { args: [...LISTEN, ...args] },
];
const alone = (...args: string[]): Case => [`only ${args.join(' ')}`, { args }];
const file = (text: string, ...args: string[]): Case => [
  `file ${JSON.stringify(text)} ${args.join(' ')}`,
  { args, file: LISTEN_FILE + text },
];
const bareFile = (text: string): Case => [
  `only file ${JSON.stringify(text)}`,
  { args: [], file: text },
];
const variables = (env: Record<string, string>, ...args: string[]): Case => [
  `${Object.entries(env)
    .map((each) => each.join('='))
    .join(' ')} ${args.join(' ')}`,
  { args, env: { ...LISTEN_ENV, ...env } },
];
const folder = (before: Record<string, string>, ...args: string[]): Case => [
  `with ${Object.keys(before).join(' ')} ${args.join(' ')}`,
  { args: [...LISTEN, '--data-dir=d', ...args], before },
];

/** Each sound value is told by the line with the effective settings. */
const soundFlags: readonly Case[] = [
  flags(),
  flags('--name=a'),
  flags('-name', 'a'),
  flags('--name=a', '--name=b', '-name=c'),
  flags('--name=a', '--'),
  flags('--data-dir=x/y'),
  flags('--data-dir=d', '--wal-dir=w'),
  flags('--snapshot-count=0x1F'),
  flags('--snapshot-count=0'),
  flags('--heartbeat-interval=10', '--election-timeout=59'),
  flags('--heartbeat-interval=1500', '--election-timeout=50000'),
  flags('--initial-election-tick-advance=false'),
  flags('--max-wals=0', '--max-snapshots=0'),
  flags('--quota-backend-bytes=-1'),
  flags('--quota-backend-bytes=8589934593'),
  flags('--quota-backend-bytes=0b1000'),
  flags('--backend-batch-interval=1s', '--backend-batch-limit=5'),
  flags('--backend-bbolt-freelist-type=array'),
  flags('--max-txn-ops=1', '--max-request-bytes=10', '--max-concurrent-streams=1'),
  flags('--max-request-bytes=20000000'),
  flags(
    '--grpc-keepalive-min-time=1ms',
    '--grpc-keepalive-interval=0',
    '--grpc-keepalive-timeout=1h',
  ),
  flags('--socket-reuse-port', '--socket-reuse-address'),
  flags('--socket-reuse-address=T'),
  flags('--enable-grpc-gateway=0'),
  flags('--raft-read-timeout=1s', '--raft-write-timeout=10s'),
  flags('--feature-gates=InitialCorruptCheck=true,CompactHashCheck=true'),
  flags('--feature-gates=AllAlpha=true'),
  flags('--feature-gates=AllBeta=false'),
  flags('--feature-gates=LeaseCheckpoint=true'),
  flags('--feature-gates=LeaseCheckpoint=true', '--feature-gates=LeaseCheckpointPersist=true'),
  flags('--initial-cluster-token=t', '--initial-cluster-state=new'),
  flags(
    '--initial-cluster=default=http://127.0.0.1:9',
    '--initial-advertise-peer-urls=http://127.0.0.1:9',
  ),
  flags(
    '--initial-cluster=default=http://127.0.0.1:9,default=http://127.0.0.1:8',
    '--initial-advertise-peer-urls=http://127.0.0.1:9,http://127.0.0.1:8',
  ),
  flags('--name=a', '--initial-advertise-peer-urls=http://127.0.0.1:9'),
  flags('--advertise-client-urls=http://b:1,http://a:1'),
  flags('--listen-peer-urls=http://127.0.0.1:0,http://localhost:0'),
  flags('--listen-peer-urls=http://0.0.0.0:0'),
  flags('--listen-client-urls=http://0.0.0.0:0', '--advertise-client-urls=http://localhost:2379'),
  flags('--listen-peer-urls=http://0.0.0.0:0', '--name=a'),
  flags('--listen-client-urls=http://[::1]:0'),
  flags('--listen-client-urls='),
  flags('--listen-client-http-urls=http://127.0.0.1:0'),
  flags('--listen-metrics-urls=http://127.0.0.1:0'),
  flags('--listen-client-urls=unix://socket'),
  flags('--listen-peer-urls=unix://peer:1'),
  flags('--strict-reconfig-check=false', '--pre-vote=false'),
  flags('--auto-compaction-retention=1'),
  flags('--auto-compaction-retention=10m'),
  flags('--auto-compaction-retention=1h30m', '--auto-compaction-mode=periodic'),
  flags('--auto-compaction-retention=1000', '--auto-compaction-mode=revision'),
  flags('--auto-compaction-retention=5m', '--auto-compaction-mode=revision'),
  flags('--auto-compaction-retention='),
  flags('--v2-deprecation=gone'),
  flags('--max-snapshots=3'),
  flags('--cors=http://b,http://a'),
  flags('--host-whitelist=b,a,b'),
  flags('--host-whitelist='),
  flags('--metrics=extensive'),
  flags('--metrics=x'),
  flags('--log-outputs=stdout'),
  flags('--log-outputs=stderr'),
  flags('--log-outputs=default'),
  flags('--log-format=console'),
  flags('--log-level=INFO'),
  flags('--log-level='),
  flags('--warning-unary-request-duration=0', '--warning-apply-duration=1us'),
  flags('--corrupt-check-time=1h0m0.5s', '--compact-hash-check-time=1500us'),
  flags('--compaction-batch-limit=-1', '--compaction-sleep-interval=1ns'),
  flags('--watch-progress-notify-interval=1ns'),
  flags('--bootstrap-defrag-threshold-megabytes=5'),
  flags('--max-learners=0', '--downgrade-check-time=0'),
  flags('--max-learners=-7'),
  flags('--snapshot-catchup-entries=1'),
  flags('--unsafe-no-fsync'),
  flags('--snapshot', '--force', '--vv', '--cluster-active-size=3'),
  flags('--self-signed-cert-validity=0', '--bcrypt-cost=4', '--auth-token-ttl=1'),
  flags('--tls-min-version=TLS1.3', '--tls-max-version=TLS1.3'),
  flags('--distributed-tracing-sampling-rate=-5', '--distributed-tracing-address=a'),
];

const unsoundFlags: readonly Case[] = [
  alone('--version', 'x'),
  alone('--nosuch'),
  alone('---name'),
  alone('x'),
  alone('--pre-vote', 'true'),
  alone('--name'),
  alone('--discovery-fallback=proxy'),
  alone('--listen-client-urls=http://127.0.0.1:1'),
  alone('--listen-client-urls=http://example.com:1', '--advertise-client-urls=http://a:1'),
  alone('--log-level=x'),
  flags('--heartbeat-interval=201'),
  flags('--election-timeout=50001', '--log-level=warn'),
  flags('--initial-cluster-state=x'),
  flags('--initial-cluster=a=http://127.0.0.1:1'),
  flags('--initial-cluster='),
  flags('--initial-cluster=default=127.0.0.1:1'),
  flags('--initial-cluster=default'),
  flags('--name=a', '--initial-cluster=a=http://127.0.0.1:1'),
  flags(
    '--initial-cluster=default=http://127.0.0.1:1,b=http://127.0.0.1:1',
    '--initial-advertise-peer-urls=http://127.0.0.1:1',
  ),
  flags(
    '--initial-cluster=default=http://127.0.0.1:1',
    '--initial-advertise-peer-urls=http://127.0.0.1:1,http://127.0.0.1:2',
  ),
  flags('--initial-cluster-state=existing', '--name=z', '--initial-cluster=a=http://127.0.0.1:1'),
  flags('--initial-cluster-state=existing', '--name=z'),
  flags('--auto-compaction-retention=x'),
  flags('--auto-compaction-retention=1.5'),
  flags('--auto-compaction-retention=1d'),
  flags('--auto-compaction-retention=-1'),
  flags('--auto-compaction-retention=1', '--auto-compaction-mode=x'),
  flags('--listen-peer-urls=http://203.0.113.1:1'),
  flags('--discovery-token=t'),
  flags('--discovery-token=t', '--discovery-endpoints=http://127.0.0.1:1,'),
  flags('--discovery-srv=a', '--discovery-token=t', '--discovery-endpoints=http://127.0.0.1:1'),
  flags('--wal-dir=etcd.file/x', '--heartbeat-interval=0'),
];

const environment: readonly Case[] = [
  variables({}),
  variables({ ETCD_NAME: 'a', ETCD_DATA_DIR: 'd' }),
  variables({ ETCD_NAME: 'a' }, '--name=a'),
  variables({ ETCD_NAME: '' }, '--name=a'),
  variables({ ETCD_NAME: '' }),
  variables({ ETCD_PORT_2379_TCP: 'tcp://10.0.0.1:2379', ETCD_SERVICE_HOST: '10.0.0.1' }),
  variables({ ETCD_UNSUPPORTED_ARCH: 'arm64' }),
  variables({ ETCD_VERSION: '3.4.0' }),
  variables({ ETCD_SNAPSHOT_COUNT: '0b11', ETCD_PRE_VOTE: 'F', ETCD_QUOTA_BACKEND_BYTES: '-1' }),
  variables({ ETCD_SNAPSHOT_COUNT: 'x' }),
  variables({ ETCD_AUTO_COMPACTION_RETENTION: '1h', ETCD_AUTO_COMPACTION_MODE: 'periodic' }),
  variables({ ETCD_RAFT_READ_TIMEOUT: '1s' }),
  variables({ ETCD_LOG_OUTPUTS: 'stdout', ETCD_LOG_FORMAT: 'console' }),
  variables({ ETCD_FEATURE_GATES: 'FastLeaseKeepAlive=false' }),
  variables({ ETCD_CONFIG_FILE: 'missing' }),
  variables({ ETCD_MAX_SNAPSHOTS: '2', ETCD_V2_DEPRECATION: 'gone' }),
  variables({ ETCD_DISCOVERY_FALLBACK: 'proxy' }),
  variables({ ETCD_INITIAL_CLUSTER: 'b=http://127.0.0.1:1' }),
  variables({ ETCD_FORCE_NEW_CLUSTER: 'maybe' }),
];

const files: readonly Case[] = [
  file(''),
  file('name: a\ndata-dir: d\nwal-dir:\n'),
  file('name: a\n', '--name=b', '--heartbeat-interval=7'),
  file('name: a5\nsnapshot-count: 10\npre-vote: no\n'),
  file('unknown: 1\nname: a\n'),
  file('auto-compaction-retention: "2"\nauto-compaction-mode: revision\n'),
  file('auto-compaction-retention: "24h"\nquota-backend-bytes: 16000000000\n'),
  file('compact-hash-check-time: 90000000000\ncorrupt-check-time: 1000000\n'),
  file('socket-options:\n  reuse-port: true\n'),
  file('feature-gates: "InitialCorruptCheck=true"\n'),
  file('initial-cluster: default=http://localhost:2380\ninitial-cluster-state: ""\n'),
  file('name: "n"\ninitial-advertise-peer-urls: http://127.0.0.1:3\n'),
  file('cors: http://b,http://a\nhost-whitelist: x\n'),
  file('log-outputs: [stdout]\nlog-format: console\n'),
  // One at a time: etcd warns of several in any order.
  file('max-snapshots: 1\n'),
  file('v2-deprecation: gone\n'),
  file('v2-deprecation: nonsense\n'),
  file('max-learners: 3\ndowngrade-check-time: 0\nsnapshot-catchup-entries: 7\n'),
  file(
    'discovery-config:\n  client:\n    dial-timeout: 1000000000\n    auth:\n      username: u\n',
  ),
  file('experimental: {a: 1}\nlogger: zap\nmetrics: extensive\n'),
  file('client-transport-security:\n  auto-tls: no\npeer-transport-security:\n  auto-tls: no\n'),
  file('self-signed-cert-validity: 0\n'),
  file('heartbeat-interval: 300\n'),
  file('initial-cluster-state: x\n'),
  file('snapshot-count: x\n'),
  file('listen-metrics-urls: http://x\n'),
  file('peer-transport-security:\n'),
  file('name: n\n'),
  file('initial-cluster: b=http://127.0.0.1:1\n'),
  bareFile('listen-client-urls: http://127.0.0.1\n'),
  bareFile('cors: x\n'),
  bareFile('[]\n'),
  alone('--config-file=missing'),
  alone('--config-file=.'),
];

const folders: readonly Case[] = [
  folder({ 'd/': '' }),
  folder({ 'd/fixtures/': '', 'd/x.txt': 'x' }),
  folder({ 'd/member/': '' }),
  folder({ 'd/proxy/': '' }),
  folder({ 'd/proxy/': '', 'd/member/': '' }),
  folder({ d: 'a file' }),
  folder({ d: 'a file' }, '--heartbeat-interval=0'),
];

export const cases: readonly Case[] = [
  ...soundFlags,
  ...unsoundFlags,
  ...environment,
  ...files,
  ...folders,
];
