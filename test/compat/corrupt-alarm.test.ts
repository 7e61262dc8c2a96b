// What a member answers once some member's data is known to be corrupt: every kind of request
// against a real etcd, with the alarm of this member, of none in particular, and with NOSPACE.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBinaries } from './binaries.ts';
import { GrpcClient } from './client.ts';
import { httpRequest } from './http-client.ts';
import { decode, type Message, method } from './proto.ts';
import { Server } from './servers.ts';

const { node, go, exact } = await findBinaries();
let servers: Server[] = [];
let clients: GrpcClient[] = [];

beforeAll(async () => {
  if (go === null) throw new Error('no etcd to compare with: set ETCD_GO_CMD');
  servers = [
    await Server.start({ label: 'ours', command: node }),
    await Server.start({ label: 'etcd', command: go }),
  ];
  clients = servers.map(({ endpoint }) => new GrpcClient(endpoint));
  await same('Lease/LeaseGrant', { ID: '77', TTL: '100000' });
  for (const key of ['a', 'b', 'c']) await same('KV/Put', { key: Buffer.from(key) });
}, 60_000);

afterAll(async () => {
  for (const client of clients) client.close();
  await Promise.all(servers.map((server) => server.close()));
});

const key = Buffer.from('a');
const range = { key };
const put = { key, value: Buffer.from('1') };
const requests: readonly (readonly [string, Message])[] = [
  ['KV/Range', range],
  ['KV/Range', { ...range, serializable: true }],
  ['KV/Range', { ...range, revision: '999' }],
  ['KV/Put', put],
  ['KV/Put', { ...put, lease: '5' }],
  ['KV/Put', {}],
  ['KV/Put', { ...put, ignore_value: true }],
  ['KV/DeleteRange', { key: Buffer.from('nothing') }],
  ['KV/DeleteRange', {}],
  ['KV/Txn', {}],
  ['KV/Txn', { success: [{ request_range: range }] }],
  ['KV/Txn', { success: [{ request_put: put }] }],
  ['KV/Txn', { failure: [{ request_delete_range: { key } }] }],
  ['KV/Txn', { success: [{ request_put: put }, { request_put: put }] }],
  ['KV/Compact', { revision: '2' }],
  ['KV/Compact', { revision: '999' }],
  ['Lease/LeaseGrant', { ID: '78', TTL: '100' }],
  ['Lease/LeaseGrant', { ID: '77', TTL: '100' }],
  ['Lease/LeaseRevoke', { ID: '77' }],
  ['Lease/LeaseRevoke', { ID: '5' }],
  ['Lease/LeaseLeases', {}],
  ['Cluster/MemberList', {}],
  ['Cluster/MemberUpdate', { ID: '5', peerURLs: ['http://127.0.0.1:1'] }],
  ['Maintenance/HashKV', {}],
  ['Maintenance/Alarm', {}],
  ['Maintenance/Defragment', {}],
  ['Maintenance/Downgrade', { action: 0, version: '3.6' }],
];
const NOSPACE = 1;
const CORRUPT = 2;
const paths = ['/health', '/health?exclude=CORRUPT', '/health?exclude=NOSPACE', '/livez?verbose'];
const probes = [...paths, '/readyz', '/readyz?verbose', '/readyz/data_corruption'];

describe.runIf(exact)('a corrupt cluster', () => {
  for (const alarms of [
    [{ memberID: '5', alarm: CORRUPT }],
    [{ alarm: CORRUPT }],
    [
      { memberID: '5', alarm: NOSPACE },
      { memberID: '5', alarm: CORRUPT },
    ],
    [{ memberID: '5', alarm: NOSPACE }],
  ]) {
    it(`answers as etcd does with ${JSON.stringify(alarms)}`, async () => {
      for (const alarm of alarms) await same('Maintenance/Alarm', { action: 1, ...alarm });
      for (const [name, request] of requests) {
        // One that works would be gone for those that follow.
        if (name === 'Lease/LeaseRevoke' && alarms.length === 1 && alarms[0]?.alarm === NOSPACE) {
          continue;
        }
        await same(name, request);
      }
      // Which of several alarms is the reason is left to chance.
      const isClear = (path: string) => alarms.length === 1 || path !== '/health';
      for (const path of probes.filter(isClear)) await sameHttp(path);
      for (const alarm of alarms) await same('Maintenance/Alarm', { action: 2, ...alarm });
      await same('KV/Put', put);
    });
  }

  it('is told by status', async () => {
    await same('Maintenance/Alarm', { action: 1, memberID: '5', alarm: CORRUPT });
    const told = await Promise.all(clients.map(errorsOf));
    expect(told[0]).toEqual(told[1]);
    expect(told[0]).toHaveLength(1);
  });
});

async function same(name: string, request: Message): Promise<void> {
  const [a, b] = await Promise.all(clients.map((client) => answerOf(client, name, request)));
  expect(a, `${name} ${JSON.stringify(request)}`).toBe(b);
}

async function answerOf(client: GrpcClient, name: string, request: Message): Promise<string> {
  const { code, text, messages } = await client.unary(name, request);
  const message = decode(method(name).response, messages[0] ?? Buffer.alloc(0));
  const { header: _, alarms, ...rest } = message;
  // Go tells them in any order.
  const told = Array.isArray(alarms) ? alarms.map((alarm) => JSON.stringify(alarm)).sort() : [];
  return JSON.stringify({ code, text, rest, told });
}

async function sameHttp(path: string): Promise<void> {
  const [a, b] = await Promise.all(
    servers.map(async ({ port }) => {
      const { status, body } = await httpRequest(port, { method: 'GET', path });
      // Go names the checks in any order.
      return `${status} ${body.split('\n').sort().join('\n')}`;
    }),
  );
  expect(a, path).toBe(b);
}

/** Go's text of a message has one blank or two, at random. */
async function errorsOf(client: GrpcClient): Promise<readonly string[]> {
  const { messages } = await client.unary('Maintenance/Status', {});
  const status = decode(method('Maintenance/Status').response, messages[0] ?? Buffer.alloc(0));
  return (status['errors'] as string[]).map((text) => text.replace(/ +/g, ' '));
}
