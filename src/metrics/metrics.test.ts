import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { GrpcMethod } from './grpc-families.ts';
import { exponential, goFloat, Histogram, Vec } from './instruments.ts';
import { createMetrics } from './metrics.ts';

interface Shown {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** Texts of the `le` label. */
  readonly buckets?: readonly string[];
}

/** A scrape of a fresh single member of etcd 3.7.1 with --metrics=extensive. */
const recordedUrl = new URL('../../test/fixtures/etcd-3.7.1-metrics.json', import.meta.url);
const recorded = JSON.parse(readFileSync(recordedUrl, 'utf8')) as readonly Shown[];

const methods: readonly GrpcMethod[] = [
  { service: 'etcdserverpb.KV', method: 'Put', type: 'unary', preset: true },
  { service: 'etcdserverpb.Watch', method: 'Watch', type: 'bidi_stream', preset: true },
  { service: 'v3lockpb.Lock', method: 'Lock', type: 'unary', preset: false },
];

function fresh(extensive = true) {
  return createMetrics({
    serverVersion: '3.7.1',
    features: [{ name: 'FastLeaseKeepAlive', stage: 'BETA', enabled: true }],
    grpcMethods: methods,
    extensive,
  });
}

function parseScrape(text: string): Shown[] {
  const found: Shown[] = [];
  for (const part of text.split(/^(?=# HELP )/m)) {
    const [, name = '', help = ''] = /^# HELP (\S+) (.*)$/m.exec(part) ?? [];
    const type = /^# TYPE \S+ (\w+)$/m.exec(part)?.[1] ?? '';
    const names = [...part.matchAll(/[{,](\w+)="/g)].map(([, label = '']) => label);
    const labels = [...new Set(names)].filter((label) => label !== 'le' && label !== 'quantile');
    const les = [...part.matchAll(/[{,]le="([^"]*)"/g)].map(([, le = '']) => le);
    const buckets = les.length > 0 ? { buckets: [...new Set(les)] } : {};
    found.push({ name, type, help, labels: labels.sort(), ...buckets });
  }
  return found;
}

describe('a scrape of a fresh member', () => {
  it('has the families of etcd: names, types, labels, buckets, texts', async () => {
    const metrics = fresh();
    // What the server sets at its start.
    metrics.server.id.with({ server_id: '1' }).set(1);
    metrics.server.clusterVersion.with({ cluster_version: '3.7' }).set(1);
    metrics.network.knownPeers.with({ Local: '1', Remote: '1' }).set(1);
    const applied = { version: 'v3', op: 'Put', success: 'true' };
    metrics.server.applyDurationSeconds.with(applied).observe(0.001);
    metrics.server.requestDurationSeconds.with({ type: 'Put', success: 'true' }).observe(0.001);
    const shown = parseScrape(await metrics.render());
    metrics.close();
    // Texts of go_* tell what the figure is in Node.
    const comparable = (each: Shown) =>
      each.name.startsWith('go_') ? { ...each, help: '' } : each;
    expect(shown.map(comparable)).toEqual(recorded.map(comparable));
  });

  it('leaves out families without series and the extensive histogram', async () => {
    const metrics = fresh(false);
    const text = await metrics.render();
    metrics.close();
    expect(text).not.toContain('etcd_network_peer_sent_bytes_total');
    expect(text).not.toContain('grpc_server_handling_seconds');
    expect(text).toContain('etcd_server_version{server_version="3.7.1"} 1\n');
    expect(text).toContain(
      'etcd_server_feature_enabled{name="FastLeaseKeepAlive",stage="BETA"} 1\n',
    );
    expect(text).not.toMatch(/\n\n|NaN/);
  });

  it('counts itself', async () => {
    const metrics = fresh(false);
    await metrics.render();
    const text = await metrics.render();
    metrics.close();
    expect(text).toContain('promhttp_metric_handler_requests_total{code="200"} 1\n');
    expect(text).toContain('promhttp_metric_handler_requests_in_flight 1\n');
  });

  it('reads the process', async () => {
    const metrics = fresh(false);
    const text = await metrics.render();
    metrics.close();
    const value = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
    expect(value('process_resident_memory_bytes')).toBeGreaterThan(10_000_000);
    expect(value('process_open_fds')).toBeGreaterThan(3);
    expect(value('process_max_fds')).toBeGreaterThan(10);
    expect(Math.abs(value('process_start_time_seconds') - Date.now() / 1000)).toBeLessThan(3600);
    expect(value('process_virtual_memory_bytes')).toBeGreaterThan(10_000_000);
    expect(value('os_fd_limit')).toBe(value('process_max_fds'));
  });
});

describe('all families', () => {
  it('exist from the start: 109 of etcd, shown or not', async () => {
    const metrics = fresh(false);
    const registry = await metrics.registry();
    const names = registry.getMetricsAsArray().map(({ name }) => name);
    metrics.close();
    const own = names.filter((name) => /^(etcd(?!_ext_)|os)_/.test(name));
    expect(own).toHaveLength(109);
    expect(own).toContain('etcd_network_snapshot_send_total_duration_seconds');
    expect(own).toContain('etcd_debugging_server_alarms');
    expect(own).not.toContain('etcd_debugging_store_reads_failed_total');
  });
});

describe('gRPC counts', () => {
  it('start at zero for every code of the core services, later for the others', async () => {
    const metrics = fresh();
    const put = metrics.grpc.method('etcdserverpb.KV', 'Put');
    const lock = metrics.grpc.method('v3lockpb.Lock', 'Lock');
    put.started++;
    put.received++;
    put.handled(0, 0.003);
    put.handled(99, 0.003);
    lock.started++;
    const lines = (await metrics.render()).split('\n');
    metrics.close();
    const labels = 'grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"';
    expect(lines).toContain(`grpc_server_started_total{${labels}} 1`);
    expect(lines).toContain(`grpc_server_msg_sent_total{${labels}} 0`);
    expect(lines).toContain(`grpc_server_handled_total{grpc_code="OK",${labels}} 1`);
    expect(lines).toContain(`grpc_server_handled_total{grpc_code="Unknown",${labels}} 1`);
    expect(lines).toContain(`grpc_server_handled_total{grpc_code="DataLoss",${labels}} 0`);
    expect(lines).toContain(`grpc_server_handling_seconds_bucket{${labels},le="0.005"} 2`);
    const ofLock = lines.filter((line) => line.includes('"v3lockpb.Lock"'));
    expect(ofLock).toHaveLength(1);
    expect(() => metrics.grpc.method('x', 'y')).toThrow('the method was listed');
  });
});

describe('instruments', () => {
  it('put an observation into the first bucket that is not below it', () => {
    const histogram = new Histogram([0.1, 0.2, 0.4]);
    for (const value of [0.05, 0.1, 0.15, 0.4, 9]) histogram.observe(value);
    expect(histogram.buckets().map(([, count]) => count)).toEqual([2, 3, 4, 5]);
    expect(histogram.sum).toBeCloseTo(9.7);
    expect(histogram.count).toBe(5);
  });

  it('order series by their label values and escape them', async () => {
    const vec = new Vec(['b', 'a'], () => ({ n: 0 }));
    vec.with({ a: 'x"\n', b: '2' }).n++;
    vec.with({ a: 'y', b: '1' }).n++;
    vec.with({ a: 'y', b: '1' }).n++;
    expect(vec.entries()).toEqual([
      ['b="1",a="y"', { n: 2 }],
      ['b="2",a="x\\"\\n"', { n: 1 }],
    ]);
    vec.remove({ a: 'y', b: '1' });
    expect(vec.entries()).toHaveLength(1);
  });

  it('bound the series that clients can cause', () => {
    const vec = new Vec(['client'], () => ({ n: 0 }));
    for (let i = 0; i < 5000; i++) vec.with({ client: String(i) }).n++;
    expect(vec.entries()).toHaveLength(2000);
  });

  it('call back before a scrape until told to stop', async () => {
    const metrics = fresh(false);
    const stop = metrics.onScrape(() => metrics.mvcc.keysTotal.set(7));
    expect(await metrics.render()).toContain('etcd_debugging_mvcc_keys_total 7\n');
    stop();
    metrics.mvcc.keysTotal.set(1);
    expect(await metrics.render()).toContain('etcd_debugging_mvcc_keys_total 1\n');
    metrics.close();
  });
});

describe('goFloat', () => {
  it.each([
    [0, '0'],
    [1, '1'],
    [0.0001, '0.0001'],
    [0.000075, '7.5e-05'],
    [123_456.5, '123456.5'],
    [1_000_000, '1e+06'],
    [2_147_483_648, '2.147483648e+09'],
    [8_388_608, '8.388608e+06'],
    [2 ** 64, '1.8446744073709552e+19'],
    [Number.POSITIVE_INFINITY, '+Inf'],
    [Number.NaN, 'NaN'],
  ])('%d', (value, text) => {
    expect(goFloat(value)).toBe(text);
  });

  it('gives bucket bounds as Go’s ExponentialBuckets', () => {
    expect(exponential(0.0001, 2, 4).map(goFloat)).toEqual([
      '0.0001',
      '0.0002',
      '0.0004',
      '0.0008',
    ]);
  });
});

describe('a registry of prom-client', () => {
  it('shows the same series', async () => {
    const metrics = fresh(false);
    metrics.mvcc.putTotal.value += 3;
    metrics.network.peerSentBytesTotal.with({ To: 'a"b' }).inc(5);
    const text = await (await metrics.registry()).metrics();
    metrics.close();
    expect(text).toContain('etcd_mvcc_put_total 3\n');
    expect(text).toContain('etcd_network_peer_sent_bytes_total{To="a\\"b"} 5\n');
    expect(text).toContain('etcd_disk_wal_fsync_duration_seconds_bucket{le="0.001"} 0\n');
  });

  it('is separate for every server', async () => {
    const [one, two] = [fresh(false), fresh(false)];
    one.mvcc.putTotal.inc();
    expect(await two.render()).toContain('etcd_mvcc_put_total 0\n');
    one.close();
    two.close();
  });
});
