// Pigsty's way with etcd, step by step on three machines: its configuration file, unit,
// certificates and playbook commands. Each test carries the numbers of the points that a
// replacement for etcd must meet there, in the order in which the playbooks meet them.
// docs/compat.md has the list.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findBinaries } from '../compat/binaries.ts';
import { until } from '../compat/servers.ts';
import type { Program } from '../support/program.ts';
import {
  Authority,
  asOperator,
  configuration,
  type Host,
  openHosts,
  prepareHost,
  put,
  ROOT_PASSWORD,
  type Service,
  startService,
} from './pigsty-hosts.ts';
import { buildPackages } from './staged.ts';

const IPS = ['10.10.10.10', '10.10.10.11', '10.10.10.12'];
const READY = 'successfully notified init daemon';
const PREPARE_MS_MAX = 600_000;
const COUNTED = 8;

let folder: string;
let one: Host;
let two: Host;
let three: Host;
let authority: Authority;
let deb: string;
let etcdctl: string;
const services = new Map<Host, Service>();
/** An event stream that lives through the whole story, as vip-manager's. */
let watch: Program | null = null;

const { ctls } = await findBinaries();
/** Pigsty's roles ask `auth status`, which etcdctl has since 3.5. */
const ctl = ctls.findLast(({ version }) => !/^3\.[0-4]\./.test(version));
const step = it.runIf(ctl !== undefined);

beforeAll(async () => {
  if (ctl === undefined) return;
  folder = await mkdtemp(join(tmpdir(), 'etcd-pigsty-'));
  [deb = ''] = await buildPackages(folder);
  etcdctl = ctl.path;
  authority = await Authority.create(join(folder, 'ca'), 'pigsty-ca');
  const hosts = await openHosts(folder, IPS);
  [one, two, three] = hosts as [Host, Host, Host];
  const founders = [one, two].map(({ name, ip }) => `${name}=https://${ip}:2380`).join(',');
  for (const host of [one, two]) {
    const files = { deb, etcdctl, authority, initialCluster: founders, state: 'new' as const };
    await prepareHost(host, files);
  }
}, PREPARE_MS_MAX);

afterAll(async () => {
  await watch?.close();
  for (const service of services.values()) await service.close();
  for (const host of [one, two, three]) await host?.machine.close();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
}, PREPARE_MS_MAX);

async function start(host: Host): Promise<Service> {
  await services.get(host)?.close();
  const service = await startService(host);
  services.set(host, service);
  return service;
}

function serviceOf(host: Host): Service {
  const service = services.get(host);
  if (service === undefined) throw new Error(`${host.name} is not started`);
  return service;
}

/** On the first host unless said otherwise, as root of the cluster. */
function operate(
  script: string,
  { machine }: Host = one,
  user: string | null = `root:${ROOT_PASSWORD}`,
): Promise<string> {
  return machine.sh(asOperator(script, user));
}

function curl(args: string, { machine }: Host = one): Promise<string> {
  const files = '--cacert /etc/etcd/ca.crt --cert /etc/etcd/server.crt --key /etc/etcd/server.key';
  return machine.sh(`curl -sS -m 10 ${files} ${args}`);
}

async function post(path: string, body: object, more = ''): Promise<Record<string, unknown>> {
  const data = JSON.stringify(body);
  const answer = await curl(`${more} -d '${data}' https://${two.ip}:2379${path}`);
  return JSON.parse(answer) as Record<string, unknown>;
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

async function expectReady({ program, receiver }: Service, host: Host): Promise<void> {
  const uid = Number(await host.machine.sh('id -u etcd'));
  expect(await receiver.first()).toMatchObject({ text: 'READY=1', pid: program.pid, uid });
  await program.saw(READY);
}

step('1: comes as a package that leaves account and folders as it finds them', async () => {
  const modes = await one.machine.sh(`stat -c '%a %U:%G' /etc/etcd /var/lib/etcd /data/etcd`);
  expect(modes.split('\n')).toEqual(['750 etcd:etcd', '770 etcd:etcd', '700 etcd:etcd']);
  await one.machine.sh('test -x /usr/bin/etcd && test -x /usr/bin/etcdutl && id etcd');
  await one.machine.sh('dpkg --force-depends --install /tmp/etcd.deb </dev/null >/dev/null 2>&1');
  expect(await one.machine.sh(`stat -c '%a %U:%G' /etc/etcd /var/lib/etcd /data/etcd`)).toBe(modes);
});

step('7, 9: waits for the others as long as it takes, and is ready with a quorum', async () => {
  await one.machine.sh('touch /tmp/before');
  const first = await start(one);
  await first.program.saw('now serving peer/client/metrics');
  await first.program.saw('prober detected unhealthy status');
  expect(first.receiver.received).toEqual([]);
  const second = await start(two);
  await expectReady(first, one);
  await expectReady(second, two);
});

step('2, 4, 10: is one process of user etcd that writes nowhere but to its folder', async () => {
  const { pid } = serviceOf(one).program;
  const { machine } = one;
  expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(-3, -1)).toEqual([
    '--config-file',
    '/etc/etcd/etcd.conf',
  ]);
  // As the playbook looks for it that removes a member.
  expect(await machine.sh('ps -u etcd -o pid,command | grep etcd')).toMatch(
    new RegExp(`^ *${pid} /usr/bin/etcd `, 'm'),
  );
  expect(await machine.sh(`ps -p ${pid} -o user=,comm=`)).toMatch(/^etcd +etcd$/);
  expect(await machine.sh(`ps --ppid ${pid} -o pid= || true`)).toBe('');
  expect(await machine.sh(`readlink /proc/${pid}/cwd`)).toBe('/data/etcd');
  const written = 'find / -xdev -newer /tmp/before -user etcd -not -path "/data/etcd*"';
  expect(await machine.sh(`${written} -not -path "/etc/etcd*"`)).toBe('');
  expect(await machine.sh('cd /data/etcd && stat -c %a . member member/snap member/wal')).toBe(
    '700\n700\n700\n700',
  );
});

step('3, 24, 25: reads the file, and tells of it in one line of JSON each', () => {
  const { log } = serviceOf(one).program;
  const lines = log.trimEnd().split('\n');
  const records = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  for (const record of records) {
    expect(Object.keys(record).slice(0, 2)).toEqual(['level', 'ts']);
  }
  expect(log).not.toContain('\x1b');
  expect(records.find(({ msg }) => msg === 'starting an etcd server')).toMatchObject({
    name: 'etcd-1',
    'data-dir': '/data/etcd',
    'initial-cluster-token': 'etcd',
    'listen-client-urls': ['https://10.10.10.10:2379', 'https://127.0.0.1:2379'],
    'advertise-client-urls': ['https://10.10.10.10:2379'],
    'heartbeat-interval': '100ms',
    'election-timeout': '1s',
    'quota-backend-bytes': 8589934592,
    'auto-compaction-mode': 'periodic',
    'auto-compaction-retention': '24h0m0s',
  });
  expect(log).not.toContain('exceeds');
  expect(records.filter(({ level }) => level === 'error')).toEqual([]);
});

step('5: serves gRPC and HTTP on the same ports, over TLS with ALPN', async () => {
  const { machine, ip } = one;
  for (const host of [ip, '127.0.0.1']) {
    for (const protocol of ['h2', 'http/1.1']) {
      const client = `openssl s_client -connect ${host}:2379 -alpn ${protocol} -CAfile ca.crt`;
      const asked = `cd /etc/etcd; ${client} -cert server.crt -key server.key </dev/null 2>&1`;
      const answer = await machine.sh(`${asked} | grep -E 'ALPN|Verify return' | sort -u`);
      expect(answer).toMatch(new RegExp(`ALPN protocol: ${protocol}\\n[^]*Verify return code: 0`));
    }
    expect(JSON.parse(await curl(`https://${host}:2379/version`))).toEqual({
      etcdserver: '3.7.1',
      etcdcluster: '3.7.0',
      storage: '3.7.0',
    });
    await operate(`ETCDCTL_ENDPOINTS=https://${host}:2379 etcdctl get a`, one, null);
  }
});

step(
  '6, 11: wants a certificate of its authority on both ports, survives who has none',
  async () => {
    const { machine, ip } = one;
    const other = await Authority.create(join(folder, 'other'), 'other-ca');
    const pairs = [await other.issue('stranger', 'x', [`IP:${ip}`])];
    pairs.push(await authority.issue('infra', 'infra', ['DNS:infra']));
    for (const pair of pairs) {
      for (const ending of ['crt', 'key']) {
        await machine.copy(`${pair}.${ending}`, `/tmp/${pair.split('/').at(-1)}.${ending}`);
      }
    }
    const ask = (name: string, port: number): Promise<string> => {
      const pair = name === '' ? '' : `--cert /tmp/${name}.crt --key /tmp/${name}.key`;
      const path = port === 2379 ? 'health' : 'version';
      const files = `--cacert /etc/etcd/ca.crt ${pair}`;
      return machine.sh(
        `curl -sS -m 10 ${files} https://${ip}:${port}/${path} 2>/dev/null || echo no`,
      );
    };
    for (const port of [2379, 2380]) {
      expect(await ask('', port)).toBe('no');
      expect(await ask('stranger', port)).toBe('no');
    }
    expect(await ask('infra', 2379)).toBe('{"health":"true","reason":""}');
    await machine.sh('exec 3<>/dev/tcp/127.0.0.1/2379; exec 3>&-');
    expect(await ask('infra', 2379)).toBe('{"health":"true","reason":""}');
    await serviceOf(one).program.saw('rejected connection on client endpoint');
    await serviceOf(one).program.saw('rejected connection on peer endpoint');
  },
);

step('8: has the ids that etcd derives from addresses and token', async () => {
  const ids = [one, two].map(({ ip }) => sha(Buffer.from(`https://${ip}:2380etcd`)));
  const cluster = sha(Buffer.concat([...ids].sort(Buffer.compare)));
  const list = await machineMembers();
  expect(list.members.map(({ name, ID }) => [name, ID]).sort()).toEqual([
    ['etcd-1', ids[0]?.readBigUInt64BE().toString()],
    ['etcd-2', ids[1]?.readBigUInt64BE().toString()],
  ]);
  expect(list.clusterId).toBe(cluster.readBigUInt64BE().toString());
});

step('12, 13: tells whether users are checked, and gives root its role', async () => {
  const status = () => one.machine.sh(asOperator('etcdctl auth status', null));
  expect(await status()).toMatch(/^Authentication Status: false$/m);
  const steps = `etcdctl auth enable 2>&1 || true
    etcdctl user add root --new-user-password='${ROOT_PASSWORD}' && etcdctl auth enable`;
  const said = await one.machine.sh(asOperator(steps, null));
  expect(said).toContain('etcdserver: root user does not exist');
  expect(said).toContain('User root created');
  expect(said).toContain('Authentication Enabled');
  expect(await status()).toMatch(/^Authentication Status: true$/m);
  expect(await operate('etcdctl user get root')).toMatch(/^Roles: root$/m);
});

step('14: lets only known users in', async () => {
  for (const command of ['member list', 'get a', 'put a b']) {
    const answer = await operate(`etcdctl ${command} 2>&1 || true`, one, null);
    expect(answer).toContain('etcdserver: user name is empty');
  }
  const wrong = asOperator('etcdctl get a 2>&1 || true', 'root:wrong');
  expect(await one.machine.sh(wrong)).toContain(
    'authentication failed, invalid user ID or password',
  );
  expect(await operate('etcdctl role list && etcdctl user list')).toBe('root\nroot');
});

step('20: takes the commands of the roles for PostgreSQL', async () => {
  await operate(`
    etcdctl role add pg-test
    etcdctl role grant-permission pg-test --prefix=true readwrite /pg/pg-test/
    ! etcdctl user get pg-test 2>/dev/null
    etcdctl user add pg-test --new-user-password=old
    echo 'DBUser.Patroni' | etcdctl user passwd pg-test --interactive=false
    etcdctl user grant-role pg-test pg-test
    etcdctl user get pg-test`);
  const asCluster = (script: string) =>
    one.machine.sh(asOperator(script, 'pg-test:DBUser.Patroni'));
  await asCluster('etcdctl put /pg/pg-test/a 1 && etcdctl put /pg/pg-test/b 2');
  expect(await asCluster('etcdctl put /pg/other/a 1 2>&1 || true')).toContain('permission denied');
  expect(await operate('etcdctl del /pg/pg-test/ --prefix=true')).toBe('2');
});

step('21: speaks Patroni’s JSON', async () => {
  const login = { name: 'pg-test', password: 'DBUser.Patroni' };
  const { token } = await post('/v3/auth/authenticate', login);
  const header = `-H 'authorization: ${String(token)}'`;
  const key = base64('/pg/pg-test/leader');
  const grant = await post('/v3/lease/grant', { TTL: 30 }, header);
  expect(grant).toMatchObject({ ID: expect.stringMatching(/^\d+$/), TTL: '30' });
  const { ID: lease } = grant;
  const compare = [{ key, target: 'CREATE', create_revision: '0' }];
  const success = [{ request_put: { key, value: base64('pg-test-1'), lease } }];
  expect(await post('/v3/kv/txn', { compare, success }, header)).toMatchObject({ succeeded: true });
  const again = await post('/v3/kv/txn', { compare, success }, header);
  expect(again['succeeded'] ?? false).toBe(false);
  const range = { key: base64('/pg/pg-test/'), range_end: base64('/pg/pg-test0') };
  const found = await post('/v3/kv/range', { ...range, serializable: true }, header);
  expect(found).toMatchObject({ count: '1', kvs: [{ key, value: base64('pg-test-1'), lease }] });
  expect(await post('/v3/lease/keepalive', { ID: lease }, header)).toMatchObject({
    result: { ID: lease, TTL: '30' },
  });
  const create = { ...range, start_revision: '1' };
  const data = JSON.stringify({ create_request: create });
  const stream = await curl(
    `-N -m 2 ${header} -d '${data}' https://${two.ip}:2379/v3/watch 2>/dev/null || true`,
  );
  const results = stream.split('\n').map((line) => JSON.parse(line) as { result: object });
  expect(results[0]).toMatchObject({ result: { created: true } });
  expect(results[1]).toMatchObject({ result: { events: expect.any(Array) } });
  expect(await post('/v3/kv/range', { key: base64('x') })).toMatchObject({
    error: 'etcdserver: user name is empty',
    message: 'etcdserver: user name is empty',
    code: 3,
  });
});

step(
  '22: keeps a stream of gRPC that needs a leader, begun here and judged at the end',
  async () => {
    const script = asOperator(
      'exec etcdctl --keepalive-time=10s watch /pg/pg-test/leader',
      'pg-test:DBUser.Patroni',
    );
    watch = one.machine.start(['bash', '-c', script]);
    const program = watch;
    await until('an event', async () => {
      await operate('etcdctl put /pg/pg-test/leader first');
      return program.output.includes('first') || null;
    });
  },
);

step(
  '15, 16: takes in a third member',
  async () => {
    const hosts = [one, two, three];
    const initialCluster = hosts.map(({ name, ip }) => `${name}=https://${ip}:2380`).join(',');
    const files = { deb, etcdctl, authority, initialCluster, state: 'existing' as const };
    await prepareHost(three, files);
    const add = `etcdctl member add etcd-3 --peer-urls=https://${three.ip}:2380`;
    await operate(add);
    await expectReady(await start(three), three);
    // etcd: not before the members have been connected for some seconds.
    await until('the answer to a second time', async () => {
      const twice = await operate(`${add} 2>/tmp/add.err && echo added || cat /tmp/add.err`);
      return /unhealthy cluster/.test(twice) ? null : twice;
    }).then((twice) => expect(twice).toContain('Peer URLs already exists'));
    const { members } = await machineMembers();
    expect(members.map(({ name }) => name).sort()).toEqual(['etcd-1', 'etcd-2', 'etcd-3']);
  },
  PREPARE_MS_MAX,
);

step('23: shows what the dashboards and alerts ask for, in time for a scrape', async () => {
  const text = await curl(`-m 8 https://${one.ip}:2379/metrics`);
  const names = new Set(text.split('\n').map((line) => /^[a-z_]+/.exec(line)?.[0] ?? ''));
  for (const name of METRICS) expect(names).toContain(name);
  expect(text).toContain('etcd_server_quota_backend_bytes 8.589934592e+09\n');
  expect(text).toContain('etcd_cluster_version{cluster_version="3.7"} 1\n');
});

step(
  '17, 18: hands over when stopped, and starts on what it has, whatever is written',
  async () => {
    const hosts = [one, two, three];
    const leads = async (host: Host): Promise<boolean> =>
      (await curl(`https://${host.ip}:2379/metrics`)).includes('\netcd_server_is_leader 1\n');
    const leader = (await Promise.all(hosts.map(leads))).indexOf(true);
    const host = hosts[leader] ?? one;
    const before = serviceOf(host);
    expect(await before.program.stop()).toEqual({ code: null, signal: 'SIGTERM' });
    expect(before.program.messages).toContain('leadership transfer finished');
    await before.close();
    const changed = { ...host, initialCluster: `${host.name}=https://${host.ip}:2380` };
    await put(
      host.machine,
      '/etc/etcd/etcd.conf',
      configuration({ ...changed, state: 'existing' }),
    );
    await expectReady(await start(host), host);
    const { members } = await machineMembers();
    expect(members).toHaveLength(hosts.length);
    // Only a host that the stream of point 22 does not go through may have been away meanwhile.
    if (host === one) watch = null;
  },
);

step('19: ends with success when it has removed itself', async () => {
  const { members } = await machineMembers();
  const id = BigInt(members.find(({ name }) => name === 'etcd-3')?.ID ?? 0).toString(16);
  // The playbook takes any answer; the cluster refuses until it has been whole for some seconds.
  await until('an answer', async () => {
    const answer = await operate(`etcdctl member remove ${id} 2>&1 || true`, three);
    return answer.includes('unhealthy cluster') ? null : answer;
  });
  expect(await serviceOf(three).program.end()).toEqual({ code: 0, signal: null });
  expect(serviceOf(three).program.messages.slice(-20)).toContain(
    'data-dir used by this member must be removed',
  );
  const left = (await machineMembers()).members.map(({ name }) => name);
  expect(left.sort()).toEqual(['etcd-1', 'etcd-2']);
});

step('22, at the end: the stream has seen every event', async () => {
  const program = watch;
  if (program === null) return;
  for (let i = 0; i < COUNTED; i++) await operate(`etcdctl put /pg/pg-test/leader pg-test-${i}`);
  await program.saw(`pg-test-${COUNTED - 1}\n`);
  expect(program.output.match(/pg-test-\d/g)).toEqual(
    Array.from({ length: COUNTED }, (_, i) => `pg-test-${i}`),
  );
  expect(program.log).toBe('');
});

step('26: ends at once with an error when it cannot start', async () => {
  const { machine } = three;
  await machine.sh('mv /etc/etcd/server.key /tmp/kept.key');
  const first = await start(three);
  expect(await first.program.end()).toEqual({ code: 1, signal: null });
  await first.close();
  await machine.sh('cp -p /tmp/kept.key /etc/etcd/server.key; rm -rf /data/etcd/member');
  // No member any more, and its name is still in the file.
  const second = await start(three);
  expect(await second.program.end()).toEqual({ code: 1, signal: null });
  expect(second.program.log).toContain('"level":"fatal"');
});

interface Members {
  readonly clusterId: string;
  readonly members: readonly { readonly name: string; readonly ID: string }[];
}

/** As etcdctl prints them; ids, which are numbers there, as text, since they exceed a double. */
async function machineMembers(): Promise<Members> {
  const json = await operate('etcdctl member list -w json');
  const exact = json.replace(/"(ID|cluster_id)":(\d+)/g, '"$1":"$2"');
  const { header, members } = JSON.parse(exact);
  return { clusterId: header.cluster_id, members };
}

/** The first 64 bits, as etcd makes ids. */
function sha(bytes: Buffer): Buffer {
  return createHash('sha1').update(bytes).digest().subarray(0, 8);
}

const METRICS = [
  'etcd_cluster_version',
  'etcd_debugging_mvcc_compact_revision',
  'etcd_debugging_mvcc_current_revision',
  'etcd_debugging_mvcc_db_compaction_last',
  'etcd_debugging_mvcc_events_total',
  'etcd_debugging_mvcc_keys_total',
  'etcd_disk_backend_commit_duration_seconds_bucket',
  'etcd_disk_wal_fsync_duration_seconds_bucket',
  'etcd_mvcc_db_total_size_in_bytes',
  'etcd_mvcc_db_total_size_in_use_in_bytes',
  'etcd_mvcc_delete_total',
  'etcd_mvcc_put_total',
  'etcd_mvcc_range_total',
  'etcd_network_client_grpc_received_bytes_total',
  'etcd_network_client_grpc_sent_bytes_total',
  'etcd_network_peer_received_bytes_total',
  'etcd_network_peer_round_trip_time_seconds_bucket',
  'etcd_network_peer_sent_bytes_total',
  'etcd_server_client_requests_total',
  'etcd_server_has_leader',
  'etcd_server_id',
  'etcd_server_is_leader',
  'etcd_server_is_learner',
  'etcd_server_leader_changes_seen_total',
  'etcd_server_proposals_applied_total',
  'etcd_server_proposals_committed_total',
  'etcd_server_quota_backend_bytes',
  'etcd_server_version',
  'process_resident_memory_bytes',
];
