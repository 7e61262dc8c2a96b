import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type CommandLine, parseCommandLine } from './command-line.ts';
import { gateEnabled } from './feature-gates.ts';
import { flagNames, specOf } from './flags.ts';
import { ignoredFlags, removedFlags } from './removed-flags.ts';

/** One run of the real binary (etcd 3.7.1) that ended by itself. */
interface Recorded {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly file?: string;
  readonly exitCode: number;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly log?: readonly object[];
}

const recordedUrl = new URL('../../test/fixtures/etcd-3.7.1-flags.json', import.meta.url);
const recorded = JSON.parse(readFileSync(recordedUrl, 'utf8')) as readonly Recorded[];

function run(
  argv: readonly string[],
  { env = {}, file }: { env?: Readonly<Record<string, string>>; file?: string | undefined } = {},
): CommandLine {
  const args = file === undefined ? argv : ['--config-file', '$FILE', ...argv];
  return parseCommandLine(args, env, (path) => {
    if (file !== undefined && path === '$FILE') return file;
    throw Object.assign(new Error('missing'), { code: 'ENOENT' });
  });
}

function config(argv: readonly string[], rest: Parameters<typeof run>[1] = {}) {
  const result = run(argv, rest);
  if (result.kind !== 'run') throw new Error(JSON.stringify(result));
  return result.config;
}

const severities = ['debug', 'info', 'warn', 'error', 'panic', 'fatal'];

/** The notes that reach the log, in the form of the recording. */
function loggedNotes(result: CommandLine): object[] {
  if (result.kind !== 'fail') return [];
  const level = result.log?.level ?? 'info';
  const discarded = result.log?.outputs.includes('/dev/null') === true;
  return result.notes
    .filter(
      ({ via, level: severity }) =>
        via === 'default' ||
        (!discarded && severities.indexOf(severity) >= severities.indexOf(level)),
    )
    .map(({ level: severity, msg, fields }) => ({ level: severity, msg, ...fields }));
}

/** Where we differ on purpose, and why. */
function deviation({ args, env = {}, file, log = [] }: Recorded): string | null {
  const last = JSON.stringify(log.at(-1) ?? '');
  if (args.includes('capnslog')) return 'the old default logger is accepted';
  if (args.some((each) => removedFlags.has(each.replace(/^--|=.*/g, '')))) return 'removed flag';
  if ('ETCD_ENABLE_V2' in env) return 'variable of a removed flag';
  if (file !== undefined && /(Duration|of type string")/.test(last) && !/array|object/.test(last)) {
    return 'scalars become text, and durations may be written as such';
  }
  if (last.includes('error converting YAML')) return 'the YAML parser words its errors itself';
  if (last.includes('allowed-cn of type []string'))
    return 'one name in place of a list is accepted';
  if (args.includes('systemd/journal')) return 'falls back to stderr';
  if (args.includes('--log-outputs=')) return 'the file is opened later';
  return null;
}

describe('recorded runs of etcd 3.7.1', () => {
  const compared = recorded.filter((each) => deviation(each) === null);

  it('leaves little out', () => {
    expect(recorded.length - compared.length).toBeLessThan(20);
    expect(compared.length).toBeGreaterThan(250);
  });

  it.each(
    compared.map((each) => [JSON.stringify([each.args, each.env, each.file]), each] as const),
  )('%s', (_, { args, env = {}, file, exitCode, stdout, stderr, log = [] }) => {
    const argv = file === undefined ? args : args.filter((each) => each !== '$FILE');
    const result = run(argv, { env, file });
    if (result.kind === 'run') throw new Error('was accepted');
    const firstLine = (text: string) => text.split('\n').find((line) => line !== '');
    expect(firstLine(result.stderr)).toBe(stderr);
    expect(result.exitCode).toBe(exitCode);
    expect(firstLine(result.kind === 'print' ? result.stdout : '')).toBe(stdout);
    expect(loggedNotes(result)).toEqual(log);
  });
});

describe('settings table', () => {
  it('has the 113 flags of etcd 3.7.1 and its 15 ignored names', () => {
    const etcds = flagNames.filter((name) => !name.startsWith('ext-'));
    const reachable = etcds.filter((name) => specOf(name).fileOnly !== true);
    expect(reachable).toHaveLength(113);
    expect(ignoredFlags.size).toBe(15);
  });

  it('is frozen and has the defaults of etcd', () => {
    const defaults = config([]);
    expect(Object.isFrozen(defaults)).toBe(true);
    expect(Object.isFrozen(defaults.listenClientUrls)).toBe(true);
    expect(defaults).toMatchObject({
      name: 'default',
      dataDir: 'default.etcd',
      snapshotCount: 10_000,
      heartbeatInterval: 100,
      electionTimeout: 1000,
      listenClientUrls: ['http://localhost:2379'],
      maxConcurrentStreams: 4_294_967_295,
      maxRequestBytes: 1_572_864,
      grpcKeepaliveInterval: 7_200_000,
      grpcKeepaliveMinTime: 5000,
      initialCluster: 'default=http://localhost:2380',
      autoCompactionRetention: '0',
      cors: ['*'],
      preVote: true,
      v2Deprecation: 'write-only',
    });
  });
});

describe('command line', () => {
  it('takes both dashes, the last of repeated flags, and -- as the end', () => {
    const read = config(['-name', 'a', '--name=b', '-snapshot-count=0x10', '--pre-vote=F', '--']);
    expect(read).toMatchObject({ name: 'b', snapshotCount: 16, preVote: false });
  });

  it('cuts numbers to what can be counted', () => {
    const read = config([
      '--snapshot-count=18446744073709551615',
      '--quota-backend-bytes=-0x7fffffffffffffff',
    ]);
    expect(read.snapshotCount).toBe(Number.MAX_SAFE_INTEGER);
    expect(read.quotaBackendBytes).toBe(-Number.MAX_SAFE_INTEGER);
  });

  it('lists URLs sorted and once; an empty list keeps what was there', () => {
    const urls = 'http://127.0.0.1:2, http://127.0.0.1:1,http://127.0.0.1:2';
    const read = config(['--listen-peer-urls', urls, '--listen-metrics-urls', '']);
    expect(read.listenPeerUrls).toEqual(['http://127.0.0.1:1', 'http://127.0.0.1:2']);
    expect(read.listenMetricsUrls).toEqual([]);
  });

  it('adds up feature gates', () => {
    const args = ['--feature-gates=AllAlpha=true,LeaseCheckpointPersist=false'];
    const gates = config([...args, '--feature-gates=FastLeaseKeepAlive=false']).featureGates;
    expect(gateEnabled(gates, 'CompactHashCheck')).toBe(true);
    expect(gateEnabled(gates, 'LeaseCheckpointPersist')).toBe(false);
    expect(gateEnabled(gates, 'FastLeaseKeepAlive')).toBe(false);
    expect(gateEnabled(gates, 'TxnModeWriteWithSharedBuffer')).toBe(true);
    expect(gates.text).toContain('AllAlpha=true,CompactHashCheck=true');
  });

  it.each(['gateway', 'grpc-proxy'])('names the subcommand %s that it has not', (name) => {
    const stderr = `etcd ${name} is not part of this server; use etcd's own program for it\n`;
    expect(run([name, 'start'])).toEqual({ kind: 'print', stdout: '', stderr, exitCode: 1 });
  });

  it('prints the version in etcd’s layout', () => {
    const result = run(['--version']);
    expect(result).toMatchObject({ kind: 'print', stderr: '', exitCode: 0 });
    const lines = result.kind === 'print' ? result.stdout.split('\n') : [];
    expect(lines[0]).toBe('etcd Version: 3.7.1');
    expect(lines[1]).toMatch(/^Git SHA: /);
    expect(lines[2]).toMatch(/^Go Version: /);
    expect(lines[3]).toMatch(/^Go OS\/Arch: \w+\/\w+$/);
  });

  it('lists every flag of the table in the help', () => {
    const result = run(['-h']);
    const help = result.kind === 'print' ? result.stdout : '';
    for (const name of flagNames) {
      const listed = specOf(name).fileOnly !== true && name !== 'version' && name !== 'config-file';
      expect(help.includes(`  --${name} `), name).toBe(listed);
    }
  });

  it.each([
    ['--enable-v2=true', {}],
    ['--enable-v2', {}],
    ['--debug', { logLevel: 'debug' }],
    ['--proxy=off', {}],
    ['--log-output=stdout', { logOutputs: ['stdout'] }],
    ['--logger=capnslog', { logger: 'zap' }],
    ['--experimental-watch-progress-notify-interval=5s', { watchProgressNotifyInterval: 5000 }],
    ['--experimental-memory-mlock', { memoryMlock: true }],
  ])('accepts %s of older releases with a warning', (argument, expected) => {
    const result = run(['--name=a', '--data-dir=d', argument]);
    expect(result).toMatchObject({ kind: 'run', config: expected });
    const warnings = result.kind === 'run' ? result.notes.filter((n) => n.level === 'warn') : [];
    expect(warnings.map((n) => n.msg).join()).toMatch(/is not a setting of etcd 3\.7: /);
  });

  it('maps the old corruption check to its gate', () => {
    const { featureGates } = config(['--experimental-initial-corrupt-check=true']);
    expect(gateEnabled(featureGates, 'InitialCorruptCheck')).toBe(true);
  });

  it('refuses what older releases had and nobody can provide', () => {
    expect(run(['--proxy=on'])).toMatchObject({ kind: 'print', exitCode: 2 });
    expect(run(['--discovery=http://x'])).toMatchObject({ kind: 'print', exitCode: 2 });
  });
});

describe('environment', () => {
  it('sets what no flag sets', () => {
    const env = { ETCD_NAME: 'n', ETCD_INITIAL_CLUSTER: 'n=http://10.0.0.1:2380', PATH: 'x' };
    expect(config(['--data-dir=d'], { env })).toMatchObject({ name: 'n', dataDir: 'd' });
  });

  it('reads the variables of older releases', () => {
    const env = { ETCD_ENABLE_V2: 'true', ETCD_EXPERIMENTAL_CORRUPT_CHECK_TIME: '1m' };
    expect(config([], { env }).corruptCheckTime).toBe(60_000);
  });

  it('is not looked at when there is a file', () => {
    const env = { ETCD_NAME: 'env', ETCD_ELECTION_TIMEOUT: 'x' };
    expect(config(['--name=flag'], { env, file: 'data-dir: d\n' }).name).toBe('default');
  });
});

describe('configuration file', () => {
  const pigsty = `
# etcd.conf
name: etcd-1
data-dir: /data/etcd
initial-cluster-token: etcd
initial-cluster-state: new
initial-cluster: etcd-1=https://10.10.10.10:2380
initial-advertise-peer-urls: https://10.10.10.10:2380
listen-peer-urls: https://10.10.10.10:2380
listen-client-urls: https://10.10.10.10:2379,https://127.0.0.1:2379
advertise-client-urls: https://10.10.10.10:2379
election-timeout: 1000
heartbeat-interval: 100
quota-backend-bytes: 8589934592
auto-compaction-mode: periodic
auto-compaction-retention: "24h"
client-transport-security:
  cert-file: /etc/etcd/server.crt
  key-file: /etc/etcd/server.key
  trusted-ca-file: /etc/etcd/ca.crt
peer-transport-security:
  cert-file: /etc/etcd/server.crt
  key-file: /etc/etcd/server.key
  trusted-ca-file: /etc/etcd/ca.crt
#enable-v2: yes
`;

  it('reads a deployed file', () => {
    expect(config([], { file: pigsty })).toMatchObject({
      name: 'etcd-1',
      dataDir: '/data/etcd',
      listenClientUrls: ['https://10.10.10.10:2379', 'https://127.0.0.1:2379'],
      quotaBackendBytes: 8_589_934_592,
      autoCompactionRetention: '24h',
      trustedCaFile: '/etc/etcd/ca.crt',
      peerCertFile: '/etc/etcd/server.crt',
      clientCertAuth: false,
    });
  });

  it('reads nested blocks, lists and JSON, and is lenient about types', () => {
    const file = JSON.stringify({
      'auto-compaction-retention': 1,
      'grpc-keepalive-interval': 10_000_000_000,
      'corrupt-check-time': '10m',
      'log-outputs': ['stdout', '/tmp/x.log'],
      'socket-options': { 'reuse-port': true },
      'peer-transport-security': { 'allowed-cn': 'a,b', 'allowed-hostname': ['h'] },
      'discovery-config': { token: 't', client: { endpoints: ['e:1'], auth: { username: 'u' } } },
      'unknown-key': {},
    });
    expect(config([], { file })).toMatchObject({
      autoCompactionRetention: '1',
      grpcKeepaliveInterval: 10_000,
      corruptCheckTime: 600_000,
      logOutputs: ['stdout', '/tmp/x.log'],
      socketReusePort: true,
      peerCertAllowedCn: ['a', 'b'],
      peerCertAllowedHostname: ['h'],
      discoveryToken: 't',
      discoveryUser: 'u',
      initialCluster: '',
    });
  });

  it('takes no boolean for a text', () => {
    expect(run([], { file: 'name: n\n' })).toMatchObject({
      kind: 'fail',
      exitCode: 1,
      notes: [
        {},
        {
          fields: {
            error:
              'error unmarshaling JSON: while decoding JSON: json: cannot unmarshal bool into ' +
              'Go struct field configYAML.Config.name of type string',
          },
        },
      ],
    });
  });

  it('keeps defaults for empty values and rebuilds the initial cluster from the name', () => {
    const file = 'name: a\ndata-dir:\nwal-dir:\nlisten-client-urls: http://127.0.0.1:1\n';
    expect(config([], { file })).toMatchObject({
      dataDir: 'a.etcd',
      walDir: '',
      advertiseClientUrls: ['http://localhost:2379'],
      initialCluster: 'a=http://localhost:2380',
    });
  });

  it('warns of TLS settings outside their block and of removed keys', () => {
    const result = run([], { file: 'cert-file: /x\nenable-v2: yes\nmax-snapshots: 3\n' });
    const warnings = result.kind === 'run' ? result.notes.filter((n) => n.level === 'warn') : [];
    const text = warnings.map((n) => n.msg).join('\n');
    expect(text).toContain('no effect outside its block');
    expect(text).toContain('no effect any more');
    expect(text).toContain('--max-snapshots is deprecated in 3.6');
  });
});

describe('default host', () => {
  it('replaces default advertise hosts of a member that listens everywhere', () => {
    const args = ['--name=a', '--listen-peer-urls=http://0.0.0.0:3380'];
    const result = parseCommandLine(args, {}, () => '', {
      defaultHost: { host: '10.1.2.3', problem: null },
    });
    expect(result).toMatchObject({
      kind: 'run',
      config: {
        initialAdvertisePeerUrls: ['http://10.1.2.3:3380'],
        initialCluster: 'a=http://10.1.2.3:3380',
        advertiseClientUrls: ['http://localhost:2379'],
      },
    });
  });
});
