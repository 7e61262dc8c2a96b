import { describe, expect, it } from 'vitest';
import { configFromOptions, type Options } from './options.ts';
import {
  bootstrapProblem,
  compactionOf,
  effective,
  initialClusterUrls,
  joinProblem,
  listenerProblem,
  startFields,
} from './start.ts';

const base: Options = {
  name: 'm',
  dataDir: 'd',
  listenPeerUrls: ['http://127.0.0.1:23972'],
  listenClientUrls: ['http://127.0.0.1:23971'],
};

function config(options: Options = {}) {
  return configFromOptions({ ...base, ...options }).config;
}

describe('options of an embedding program', () => {
  it('fills in what follows from the rest', () => {
    expect(config()).toMatchObject({
      initialCluster: 'm=http://127.0.0.1:23972',
      initialAdvertisePeerUrls: ['http://127.0.0.1:23972'],
      advertiseClientUrls: ['http://127.0.0.1:23971'],
    });
  });

  it('refuses what the command line refuses', () => {
    expect(() => config({ heartbeatInterval: 300 })).toThrow('at least as 5 times as');
    expect(() => config({ listenPeerUrls: ['http://x'] })).toThrow('form "host:port": http://x');
    expect(() => config({ logLevel: 'loud' })).toThrow('unrecognized level: "loud"');
  });

  it('treats undefined as not given', () => {
    const options = { snapshotCount: undefined } as unknown as Options;
    expect(config(options).snapshotCount).toBe(10_000);
  });
});

describe('effective values', () => {
  it('stand behind zero', () => {
    expect(effective(config({ snapshotCount: 0, heartbeatInterval: 16 }))).toMatchObject({
      electionTicks: 62,
      requestTimeoutMs: 6984,
      snapshotCount: 10_000,
      quotaBytes: 2_147_483_648,
      compactionBatchLimit: 1000,
      progressNotifyMs: 600_000,
      memberDir: 'd/member',
      walDir: 'd/member/wal',
    });
    expect(effective(config({ quotaBackendBytes: -1 })).quotaBytes).toBeNull();
    expect(effective(config({ watchProgressNotifyInterval: 1 })).progressNotifyMs).toBe(100);
  });
});

describe('compaction', () => {
  it.each([
    ['periodic', '0', { mode: 'off' }],
    ['periodic', '', { mode: 'off' }],
    ['periodic', '1', { mode: 'periodic', periodMs: 3_600_000 }],
    ['periodic', '08', { mode: 'periodic', periodMs: 28_800_000 }],
    ['periodic', '24h', { mode: 'periodic', periodMs: 86_400_000 }],
    ['revision', '1000', { mode: 'revision', revisions: 1000 }],
    ['revision', '5m', { mode: 'revision', revisions: 300_000_000_000 }],
  ])('%s %s', (autoCompactionMode, autoCompactionRetention, expected) => {
    expect(compactionOf(config({ autoCompactionMode, autoCompactionRetention }))).toEqual(expected);
  });

  // Texts as etcd 3.7.1 gave them.
  it.each([
    ['x', 'error parsing CompactionRetention: time: invalid duration "x"'],
    ['-1', 'error parsing CompactionRetention: time: missing unit in duration "-1"'],
    ['1x', 'error parsing CompactionRetention: time: unknown unit "x" in duration "1x"'],
    ['1.5', 'error parsing CompactionRetention: time: missing unit in duration "1.5"'],
  ])('refuses %s', (autoCompactionRetention, text) => {
    expect(() => compactionOf(config({ autoCompactionRetention }))).toThrow(text);
  });
});

// Texts as etcd 3.7.1 gave them.
describe('checks of a first start', () => {
  const listed = 'm=http://127.0.0.1:23972';

  it.each([
    [listed, ['http://127.0.0.1:23972'], null],
    [
      'x=http://127.0.0.1:23972',
      ['http://127.0.0.1:23972'],
      'couldn\'t find local name "m" in the initial cluster configuration',
    ],
    [
      listed,
      ['http://localhost:2380'],
      '--initial-cluster has m=http://127.0.0.1:23972 but missing from ' +
        '--initial-advertise-peer-urls=http://localhost:2380 ' +
        '(resolved urls: "http://localhost:2380" != "http://127.0.0.1:23972")',
    ],
    [
      `${listed},m=http://127.0.0.1:23973`,
      ['http://127.0.0.1:23972'],
      '--initial-cluster has m=http://127.0.0.1:23973 but missing from ' +
        '--initial-advertise-peer-urls=http://127.0.0.1:23972 ' +
        '(len(["http://127.0.0.1:23972"]) != ' +
        'len(["http://127.0.0.1:23972" "http://127.0.0.1:23973"]))',
    ],
    [
      listed,
      ['http://127.0.0.1:23972', 'http://127.0.0.1:23973'],
      '--initial-advertise-peer-urls has http://127.0.0.1:23973 but missing from ' +
        '--initial-cluster=m=http://127.0.0.1:23972,m=http://127.0.0.1:23973',
    ],
    [
      `${listed},n=http://127.0.0.1:23972`,
      ['http://127.0.0.1:23972'],
      'initial cluster m=http://127.0.0.1:23972,n=http://127.0.0.1:23972 has duplicate url',
    ],
  ])('%s advertised as %s', (initialCluster, initialAdvertisePeerUrls, problem) => {
    expect(bootstrapProblem(config({ initialCluster, initialAdvertisePeerUrls }))).toBe(problem);
  });

  it('does not compare advertised URLs when joining', () => {
    const joining = { initialClusterState: 'existing', initialCluster: listed };
    expect(
      joinProblem(config({ ...joining, initialAdvertisePeerUrls: ['http://a:1'] })),
    ).toBeNull();
    expect(joinProblem(config({ ...joining, name: 'z' }))).toContain('local name "z"');
  });

  it('names the bad URL of an initial cluster', () => {
    expect(() => initialClusterUrls('m=')).toThrow(
      'error setting up initial cluster: URL scheme must be http, https, unix, or unixs: ',
    );
    expect([...initialClusterUrls('a=http://b:2,c=http://d:1,a=http://b:1,')]).toEqual([
      ['a', ['http://b:1', 'http://b:2']],
      ['c', ['http://d:1']],
    ]);
  });

  it('demands certificates for https and separate addresses', () => {
    const https = ['https://127.0.0.1:23975'];
    expect(listenerProblem(config({ listenClientHttpUrls: https }))).toBe(
      'TLS key/cert (--cert-file, --key-file) must be provided for client url ' +
        'https://127.0.0.1:23975 with HTTPS scheme',
    );
    expect(listenerProblem(config({ listenMetricsUrls: https }))).toBe(
      'client TLS key/cert (--cert-file, --key-file) must be provided for metrics secure url',
    );
    const same = ['http://127.0.0.1:23971'];
    expect(listenerProblem(config({ listenClientHttpUrls: same }))).toBe(
      'cannot bind both --listen-client-urls and --listen-client-http-urls ' +
        'on the same url http://127.0.0.1:23971',
    );
    expect(listenerProblem(config({ listenClientHttpUrls: https, autoTls: true }))).toBeNull();
  });
});

describe('the start-up line', () => {
  it('has the values that tests of etcd look for', () => {
    const fields = startFields(config({ snapshotCatchupEntries: 1000 }), {
      memberInitialized: false,
      localAddress: '',
      cpus: 2,
      runtime: 'v20',
      platform: 'linux',
      arch: 'amd64',
    });
    expect(Object.keys(fields).slice(0, 3)).toEqual(['etcd-version', 'git-sha', 'go-version']);
    expect(fields).toMatchObject({
      'snapshot-catchup-entries': 1000,
      'v2-deprecation': 'write-only',
      'quota-backend-bytes': 2_147_483_648,
      'heartbeat-interval': '100ms',
      'election-timeout': '1s',
      'initial-cluster': 'm=http://127.0.0.1:23972',
      'auto-compaction-retention': '0s',
    });
  });
});
