// Debian's Prometheus scrapes three members under load, with the rules that Pigsty and this project
// ship, and then every expression is evaluated: of Pigsty's dashboards and rules, of etcd's mixin,
// and of the dashboard and the rules under docs/monitoring. An alert must be silent here, and what
// it looks at must have data.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type EtcdCluster, startCluster } from '../../src/index.ts';
import { LineStream } from './http-client.ts';
import { until } from './servers.ts';

interface Expressions {
  readonly rules: readonly { readonly record: string; readonly expr: string }[];
  readonly alerts: readonly {
    readonly alert: string;
    readonly expr: string;
    /** What the alert compares. */
    readonly operands: readonly string[];
  }[];
  readonly panels: readonly { readonly panel: string; readonly expr: string }[];
}

interface Dashboard {
  readonly panels: readonly {
    readonly title: string;
    readonly targets: readonly { readonly expr: string }[];
  }[];
}

interface Rules {
  readonly groups: readonly {
    readonly rules: readonly { readonly alert: string; readonly expr: string }[];
  }[];
}

const HERE = new URL('.', import.meta.url);
const MONITORING = new URL('../../docs/monitoring/', HERE);
const prometheus = (process.env['PATH'] ?? '')
  .split(delimiter)
  .map((dir) => join(dir, 'prometheus'))
  .find((path) => existsSync(path));

/** Expressions that have nothing to show in a cluster that is well, or that is this young. */
const EMPTY: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [/^(?!.*or on\(\) vector).*\bALERTS\{/, 'no alert is raised'],
  [/up\{job!~"\(node\|/, 'only etcd is scraped here'],
  [/\[15m:1m\]/, 'needs samples of several minutes'],
  [/grpc_code!~"OK\|Canceled"/, 'no request failed'],
];

let cluster: EtcdCluster;
let dir: string;
let child: ChildProcess | null = null;
let base: string;
let watches: readonly LineStream[] = [];
let expressions: Expressions;

beforeAll(async () => {
  if (prometheus === undefined) return;
  expressions = JSON.parse(await readFile(new URL('prometheus/expressions.json', HERE), 'utf8'));
  dir = await mkdtemp(join(tmpdir(), 'etcd-prometheus-'));
  cluster = await startCluster(3, { memory: true, metrics: 'extensive' });
  const port = await freePort();
  base = `http://127.0.0.1:${port}`;
  await writeFile(join(dir, 'recording.yml'), JSON.stringify(recordingRules(expressions)));
  const ours = await readFile(new URL('rules.yml', MONITORING), 'utf8');
  await writeFile(join(dir, 'rules.yml'), ours);
  await writeFile(join(dir, 'prometheus.yml'), JSON.stringify(scraping(cluster.clientUrls)));
  child = spawn(
    prometheus,
    [
      `--config.file=${join(dir, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(dir, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=error',
    ],
    { stdio: 'inherit' },
  );
  watches = cluster.clientUrls.map((url) => {
    const body = '{"create_request":{"key":"aw==","range_end":"bA=="}}';
    return new LineStream(Number(new URL(url).port), { method: 'POST', path: '/v3/watch', body });
  });
  await loadUntil(async () => {
    const [scraped] = await query('min(count_over_time(up{job="etcd"}[1m]))').catch(() => []);
    const [pings] = await query('count(etcd_network_peer_round_trip_time_seconds_count)').catch(
      () => [],
    );
    return Number(scraped) >= 8 && Number(pings) === 6;
  });
}, 90_000);

afterAll(async () => {
  for (const watch of watches) watch.close();
  if (child !== null) {
    const ended = new Promise((resolve) => child?.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  }
  await cluster?.close();
  if (dir !== undefined) await rm(dir, { recursive: true, force: true });
});

function recordingRules({ rules, alerts }: Expressions): object {
  const alerting = alerts.map(({ alert, expr }) => ({ alert, expr, for: '5s' }));
  return { groups: [{ name: 'recording', interval: '1s', rules: [...rules, ...alerting] }] };
}

function scraping(urls: readonly string[]): object {
  const targets = urls.map((url, i) => ({
    targets: [new URL(url).host],
    labels: { cls: 'etcd', ins: `etcd-${i + 1}`, ip: `10.10.10.1${i}` },
  }));
  return {
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    rule_files: [join(dir, 'recording.yml'), join(dir, 'rules.yml')],
    scrape_configs: [{ job_name: 'etcd', static_configs: targets }],
  };
}

/** Something of everything that dashboards draw, over and over, through each member. */
async function loadUntil(isEnough: () => Promise<boolean>): Promise<void> {
  await until(
    'samples of the load',
    async () => {
      for (const url of cluster.clientUrls) await changeSomething(url);
      return (await isEnough()) || null;
    },
    60_000,
  );
}

async function changeSomething(url: string): Promise<void> {
  const post = async (path: string, body: string): Promise<string> => {
    const answer = await fetch(`${url}/v3/${path}`, { method: 'POST', body });
    return answer.text();
  };
  await post('kv/put', '{"key":"a2E=","value":"dg=="}');
  await post('kv/range', '{"key":"a2E="}');
  await post('kv/deleterange', '{"key":"a2E="}');
  const granted = JSON.parse(await post('lease/grant', '{"TTL":60}')) as { readonly ID: string };
  await post('lease/revoke', `{"ID":"${granted.ID}"}`);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** The values of an instant query; throws what Prometheus says of a bad one. */
async function query(expr: string): Promise<readonly string[]> {
  const filled = expr
    .replaceAll('$__rate_interval', '1m')
    .replaceAll('$__all', '.*')
    .replaceAll(/\$(cls|cluster|job)\b/g, 'etcd')
    .replaceAll('$instance', '.*')
    .replaceAll('$members', '10.10.10.1.')
    .replaceAll('$ip', '10.10.10.10');
  const answer = await fetch(`${base}/api/v1/query`, {
    method: 'POST',
    body: new URLSearchParams({ query: filled }),
  });
  const { status, error, data } = (await answer.json()) as {
    readonly status: string;
    readonly error?: string;
    readonly data: {
      readonly resultType: string;
      readonly result: readonly { readonly value: readonly [number, string] }[];
    };
  };
  if (status !== 'success') throw new Error(`${filled}: ${error}`);
  if (data.resultType === 'scalar') return [String(data.result[1])];
  return data.result.map(({ value }) => value[1]);
}

async function withoutData(exprs: readonly string[]): Promise<readonly string[]> {
  const empty: string[] = [];
  for (const expr of new Set(exprs)) {
    const values = await query(expr);
    const isExpected = EMPTY.some(([pattern]) => pattern.test(expr));
    if (values.length === 0 && !isExpected) empty.push(expr);
  }
  return empty;
}

async function raised(exprs: readonly string[]): Promise<readonly string[]> {
  const fired: string[] = [];
  for (const expr of exprs) if ((await query(expr)).length > 0) fired.push(expr);
  return fired;
}

describe.runIf(prometheus !== undefined)('Prometheus', () => {
  it("finds data for every panel of Pigsty's dashboards and of etcd's mixin", async () => {
    const { panels, rules } = expressions;
    expect(panels.length).toBeGreaterThan(80);
    const recorded = rules.map(({ record }) => record);
    expect(await withoutData([...panels.map(({ expr }) => expr), ...recorded])).toEqual([]);
  });

  it('finds what their alerts look at, and none of them raised', async () => {
    const { alerts } = expressions;
    expect(await withoutData(alerts.flatMap(({ operands }) => operands))).toEqual([]);
    expect(await raised(alerts.map(({ expr }) => expr))).toEqual([]);
  });

  it('finds data for every panel of the dashboard here', async () => {
    const text = await readFile(new URL('dashboard.json', MONITORING), 'utf8');
    const { panels } = JSON.parse(text) as Dashboard;
    expect(panels.length).toBeGreaterThan(20);
    const exprs = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
    expect(await withoutData(exprs)).toEqual([]);
  });

  it('raises none of the alerts here while all is well', async () => {
    const { groups } = parse(await readFile(new URL('rules.yml', MONITORING), 'utf8')) as Rules;
    const exprs = groups.flatMap(({ rules }) => rules.map(({ expr }) => expr));
    expect(await raised(exprs)).toEqual([]);
  });

  it('raises the alert for a member that is down', async () => {
    await cluster.stop('m3');
    const down = 'ALERTS{alertname="EtcdMemberDown", alertstate="pending", ins="etcd-3"}';
    await until('the alert', async () => (await query(down))[0] ?? null);
    expect(await query('sum by (job) (up{job="etcd"})')).toEqual(['2']);
  });
});
