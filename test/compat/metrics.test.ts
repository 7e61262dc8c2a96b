// The same story played to this server and to a real etcd, and then their metrics laid side by
// side: families with their texts, buckets, series, and every figure that does not measure time,
// size or the runtime.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Ctl, findBinaries } from './binaries.ts';
import { httpRequest, LineStream } from './http-client.ts';
import { Server, until } from './servers.ts';

const run = promisify(execFile);
const { node, go, exact, ctls } = await findBinaries();
const ctl = ctls.find(({ version }) => version.startsWith('3.7.'));
const FLAGS = ['--snapshot-count=20', '--metrics=extensive'];

let ours: Scrape;
let etcds: Scrape;
let servers: readonly Server[] = [];

interface Scrape {
  /** Name to type and help. */
  readonly families: ReadonlyMap<string, string>;
  readonly samples: ReadonlyMap<string, string>;
}

beforeAll(async () => {
  if (go === null) throw new Error('no etcd to compare with: set ETCD_GO_CMD');
  if (!exact || ctl === undefined) return;
  servers = [
    await Server.start({ label: 'ours', command: node, flags: FLAGS }),
    await Server.start({ label: 'etcd', command: go, flags: FLAGS }),
  ];
  const [first, second] = await Promise.all(servers.map((server) => play(server, ctl)));
  if (first === undefined || second === undefined) throw new Error('two servers were played to');
  [ours, etcds] = [first, second];
}, 60_000);

afterAll(() => Promise.all(servers.map((server) => server.close())));

/** One of everything that counts something; the commands may fail, which counts as well. */
async function play(server: Server, { path }: Ctl): Promise<Scrape> {
  const etcdctl = async (...args: readonly string[]): Promise<string> => {
    const command = run(path, [`--endpoints=${server.endpoint}`, ...args]);
    return command.then(({ stdout }) => stdout).catch(() => '');
  };
  const watch = new LineStream(server.port, {
    method: 'POST',
    path: '/v3/watch',
    body: '{"create_request":{"key":"aw==","range_end":"bA=="}}',
  });
  await until('the watch is there', () => watch.lines[0] ?? null);
  for (let i = 1; i <= 20; i++) await etcdctl('put', `k${i}`, `v${i}`);
  await etcdctl('put', '--prev-kv', 'k1', 'again');
  await etcdctl('put', '--ignore-value', 'none');
  await etcdctl('get', 'k', '--prefix', '--consistency=s');
  await etcdctl('get', 'k1', '--rev=999');
  await etcdctl('del', 'k1', 'k3', '--prev-kv');
  await etcdctl('del', 'none');
  await put(server, '{"key":"a2F0ZQ==","value":"Zm9v"}');
  await put(server, '{"key":""}');
  await txn(server, { success: [PUT, PUT_PREV, GET], failure: [] });
  await txn(server, { success: [GET], failure: [] });
  await txn(server, { success: [{ request_range: { key: 'YQ==', revision: 999 } }], failure: [] });
  const granted = await etcdctl('lease', 'grant', '1000');
  const lease = /lease (\S+) granted/.exec(granted)?.[1] ?? '';
  await etcdctl('put', 'kl1', 'v', `--lease=${lease}`);
  await etcdctl('put', 'kl2', 'v', `--lease=${lease}`);
  await etcdctl('lease', 'keep-alive', '--once', lease);
  await etcdctl('lease', 'revoke', lease);
  await etcdctl('lease', 'revoke', '1234');
  await etcdctl('lease', 'grant', '500');
  await etcdctl('endpoint', 'hashkv');
  await etcdctl('member', 'promote', '1234');
  await etcdctl('member', 'list');
  await etcdctl('endpoint', 'status');
  await post(server, '/v3/maintenance/hash', '{}');
  await post(server, '/v3/maintenance/snapshot', '{}');
  for (const page of ['/health', '/livez', '/readyz', '/readyz/serializable_read']) {
    await httpRequest(server.port, { method: 'GET', path: page });
  }
  watch.close();
  await settled(server);
  return scrapeOf(await metricsOf(server));
}

const GET = { request_range: { key: 'azI=' } };
const PUT = { request_put: { key: 'a2E=', value: 'djE=' } };
const PUT_PREV = { request_put: { key: 'azU=', value: 'djE=', prev_kv: true } };
const COMPARE = [
  { key: 'azI=', target: 'VERSION', result: 'GREATER', version: '0' },
  { key: 'azQ=', target: 'VERSION', result: 'GREATER', version: '0' },
];

const put = (server: Server, body: string) => post(server, '/v3/kv/put', body);
const txn = (server: Server, ops: object) =>
  post(server, '/v3/kv/txn', JSON.stringify({ compare: COMPARE, ...ops }));

async function post({ port }: Server, path: string, body: string): Promise<void> {
  await httpRequest(port, { method: 'POST', path, body });
}

async function metricsOf({ port }: Server): Promise<string> {
  const { status, body } = await httpRequest(port, { method: 'GET', path: '/metrics' });
  expect(status).toBe(200);
  return body;
}

/** The end of the watch stream is counted some time after the client has left. */
async function settled(server: Server): Promise<void> {
  const ended = /grpc_server_handled_total\{grpc_code="\w+",grpc_method="Watch",.*\} 1$/m;
  await until('the end of the watch', async () => ended.exec(await metricsOf(server)));
}

function scrapeOf(text: string): Scrape {
  const families = new Map<string, string>();
  const samples = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, kind = '', name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (kind !== '') families.set(name, `${families.get(name) ?? ''}${kind} ${rest}\n`);
    else if (line !== '') samples.set(...cut(line));
  }
  return { families, samples };
}

function cut(line: string): [string, string] {
  const at = line.lastIndexOf(' ');
  return [line.slice(0, at), line.slice(at + 1)];
}

/** Families of Go's runtime and of parts that only etcd has; docs/compat.md says why (O1, O7). */
const NOT_COMPARED = /^(go_|process_|promhttp_|etcd_debugging_store_(reads|writes)_total)/;

/** Figures that depend on time, on sizes on disk, or on how often something was flushed. */
const VARIES = new RegExp(
  [
    '_sum(\\{|$)',
    '_bucket\\{',
    '^etcd_debugging_disk_backend_commit',
    '^etcd_disk_(backend_commit|wal_)',
    '^etcd_debugging_snap_save_marshalling',
    '^etcd_mvcc_db_(total_size|open_read)',
    '^etcd_network_client_grpc_sent_bytes',
    '^etcd_server_go_version',
    '^etcd_server_proposals_(applied|committed)_total',
    '^grpc_server_msg_sent_total\\{grpc_method="Snapshot"',
    '^os_fd_used',
    // Both ask for their health until they are ready, more or less often.
    '^etcd_server_health',
    // Of a call that the client ends, either side may see the end first.
    '^grpc_server_handled_total\\{grpc_code="(OK|Canceled|Unavailable)",' +
      'grpc_method="(Watch|LeaseKeepAlive)"',
  ].join('|'),
);

describe.runIf(exact && ctl !== undefined)('metrics', () => {
  it('have the families of etcd, with their types and texts', () => {
    const differences: string[] = [];
    for (const [name, told] of etcds.families) {
      if (!NOT_COMPARED.test(name) && ours.families.get(name) !== told) differences.push(name);
    }
    expect(differences).toEqual([]);
  });

  it('have the buckets of etcd', () => {
    const boundsOf = ({ samples }: Scrape): ReadonlySet<string> =>
      new Set([...samples.keys()].filter((key) => key.includes('_bucket{')).map(familyAndBound));
    const [found, wanted] = [boundsOf(ours), boundsOf(etcds)];
    expect([...wanted].filter((bound) => !NOT_COMPARED.test(bound) && !found.has(bound))).toEqual(
      [],
    );
  });

  it('count what etcd counts', () => {
    const differences: string[] = [];
    const names = new Set([...ours.samples.keys(), ...etcds.samples.keys()]);
    for (const name of [...names].sort()) {
      if (NOT_COMPARED.test(name) || VARIES.test(name)) continue;
      const [a, b] = [ours.samples.get(name), etcds.samples.get(name)];
      if (a !== b) differences.push(`${name} ours ${a} etcd ${b}`);
    }
    expect(differences).toEqual([]);
  });
});

function familyAndBound(key: string): string {
  return `${key.slice(0, key.indexOf('{'))} ${/le="([^"]+)"/.exec(key)?.[1] ?? ''}`;
}
