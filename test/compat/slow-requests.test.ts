// The lines about slow requests, and those that could not be applied, compared with a real etcd:
// both find everything slow. Same requests, same lines, field by field, but for times, addresses
// and the ids of requests.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findBinaries } from './binaries.ts';
import { GrpcClient } from './client.ts';
import type { Message } from './proto.ts';
import { Server, until } from './servers.ts';

const TEXTS = ['apply request took too long', 'failed to apply request', 'request stats'];
const TINY = ['--warning-apply-duration=1ns', '--warning-unary-request-duration=1ns'];
const { node, go, exact } = await findBinaries();
let servers: Server[] = [];
let clients: GrpcClient[] = [];

beforeAll(async () => {
  if (go === null) throw new Error('no etcd to compare with: set ETCD_GO_CMD');
  servers = [
    await Server.start({ label: 'ours', command: node, flags: TINY }),
    await Server.start({ label: 'etcd', command: go, flags: TINY }),
  ];
  clients = servers.map(({ endpoint }) => new GrpcClient(endpoint));
}, 60_000);

afterAll(async () => {
  for (const client of clients) client.close();
  await Promise.all(servers.map((server) => server.close()));
});

const key = Buffer.from('a');
const ODD = Buffer.from([0x61, 0x22, 0x5c, 0x0a, 0x0d, 0x09, 0x01, 0xff, 0xc3, 0xa9, 0x7f, 0xc2]);
const WIDE = Buffer.from([0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80, 0xc2, 0x85, 0xed, 0xa0, 0x80]);
const put = { key, value: Buffer.from('hello') };
const range = { key };
const compares: readonly Message[] = [
  { key, target: 3, value: Buffer.from('xyz') },
  { key, target: 3, value: Buffer.alloc(0), result: 3, range_end: ODD },
  { key, target: 0, version: '0', result: 1 },
  { key, target: 2, mod_revision: '5', result: 2, range_end: Buffer.from('b') },
  { key, target: 4, lease: '7', result: 3 },
  { key: ODD, target: 1, create_revision: '0' },
];
const everything = {
  key,
  range_end: Buffer.from('b'),
  limit: '5',
  revision: '2',
  sort_order: 1,
  sort_target: 3,
  serializable: true,
  keys_only: true,
  count_only: true,
  min_mod_revision: '1',
  max_mod_revision: '9',
  min_create_revision: '1',
  max_create_revision: '9',
};
const nested = { success: [{ request_range: { key: Buffer.from('q') } }] };
const operations = [
  { request_put: { ...put, prev_kv: true } },
  { request_txn: nested },
  { request_range: { key: ODD, limit: '3' } },
  { request_delete_range: { key: Buffer.from('b'), prev_kv: true } },
];
const requests: readonly (readonly [string, Message])[] = [
  ['Lease/LeaseGrant', { ID: '77', TTL: '1000' }],
  ['Lease/LeaseGrant', { ID: '77', TTL: '1000' }],
  ['KV/Put', { ...put, lease: '77', prev_kv: true }],
  ['KV/Put', put],
  ['KV/Put', { key: ODD, ignore_value: true }],
  ['KV/Put', { key: ODD }],
  ['KV/Put', { key: WIDE, value: WIDE }],
  ['KV/Put', { key, ignore_lease: true }],
  ['KV/Put', { key, lease: '5' }],
  ['KV/Range', range],
  ['KV/Range', { key: ODD, range_end: WIDE }],
  ['KV/Range', { ...range, serializable: true }],
  ['KV/Range', everything],
  ['KV/Range', { ...range, revision: '99' }],
  ['KV/Range', { key: Buffer.from([0]), range_end: Buffer.from([0]) }],
  ['KV/Txn', {}],
  ['KV/Txn', { compare: compares, success: [{ request_range: range }] }],
  ['KV/Txn', nested],
  ['KV/Txn', { compare: compares.slice(0, 1), failure: operations }],
  ['KV/Txn', { success: operations, failure: [{ request_put: put }] }],
  ['KV/Txn', { success: [{ request_put: { key, lease: '5' } }] }],
  ['KV/DeleteRange', { key, range_end: Buffer.from('aa'), prev_kv: true }],
  ['KV/DeleteRange', { key: WIDE }],
  ['KV/Compact', { revision: '3' }],
  ['KV/Compact', { revision: '2' }],
  ['KV/Compact', { revision: '99' }],
  ['Lease/LeaseRevoke', { ID: '77' }],
  ['Lease/LeaseRevoke', { ID: '77' }],
  ['Maintenance/Alarm', { action: 1, memberID: '5', alarm: 1 }],
  ['KV/Put', put],
  ['Maintenance/Alarm', {}],
  ['Maintenance/Alarm', { action: 2, memberID: '5', alarm: 1 }],
  ['Maintenance/Alarm', { action: 1, memberID: '5', alarm: 2 }],
  ['KV/Put', put],
  ['KV/DeleteRange', { key }],
  ['Lease/LeaseGrant', { ID: '78', TTL: '1000' }],
  ['Maintenance/Alarm', { action: 2, memberID: '5', alarm: 2 }],
  ['Lease/LeaseLeases', {}],
  ['Cluster/MemberList', {}],
  ['Maintenance/Downgrade', { action: 1, version: '3.6' }],
  ['Maintenance/Downgrade', { action: 2 }],
];

it.runIf(exact)('are those of etcd', async () => {
  const differences: string[] = [];
  for (const [name, request] of requests) {
    const [a, b] = await Promise.all(clients.map((_, i) => linesOf(i, name, request)));
    if (process.env['SHOW'] !== undefined) console.log(name, b);
    if (a !== b) {
      differences.push(`${name} ${JSON.stringify(request)}\n  ours ${a}\n  etcd ${b}`);
    }
  }
  expect(differences.join('\n')).toBe('');
});

/** The lines that one request leads to, up to the one about the whole of it. */
async function linesOf(index: number, name: string, request: Message): Promise<string> {
  const server = servers[index];
  const client = clients[index];
  if (server === undefined || client === undefined) throw new Error('two servers');
  const before = server.log.length;
  await client.unary(name, request);
  return until(`a line about ${name} from ${server.label}`, () => {
    const lines = server.log.slice(before).split('\n').slice(0, -1).filter(isAbout).map(masked);
    // What another request did, such as a look at the member's health, is not of interest.
    const own = lines.filter((line) => !line.includes('"limit:1 keys_only:true"'));
    return lines.some((line) => line.includes('request stats')) ? own.join('\n       ') : null;
  });
}

function isAbout(line: string): boolean {
  return TEXTS.some((text) => line.includes(`"msg":"${text}"`));
}

function masked(line: string): string {
  const { ts: _, caller: __, ...rest } = JSON.parse(line);
  return (
    JSON.stringify(rest)
      .replace(/"(took|time spent)":"\d[\d.]*(ns|µs|Âµs|ms|s)"/g, '"$1":T')
      .replace(/"start time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"/g, '"start time":T')
      .replace(/"remote":"127\.0\.0\.1:\d+"/g, '"remote":R')
      .replace(/ID:\d{15,}/g, 'ID:N')
      // Go's text of messages has one blank or two, at random.
      .replace(/ {2,}/g, ' ')
  );
}
