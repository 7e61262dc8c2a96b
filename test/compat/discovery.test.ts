// Clusters whose members find each other: by a real etcd as discovery service, and by SRV records
// of a small DNS server. Members are ours, etcd's, and both together; refusals are compared with
// etcd's. This file refuses to know how a member speaks to either.
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBinaries } from './binaries.ts';
import { GrpcClient } from './client.ts';
import { ClusterServers, endpoint, findSeats, peerUrl, type Seat } from './cluster-servers.ts';
import { type Start, start } from './config-run.ts';
import { type Answers, DnsServer } from './dns-server.ts';
import { decode, type Message, method } from './proto.ts';
import { Server } from './servers.ts';

const { node, go, exact } = await findBinaries();
const reference = go ?? [];
const mixes: readonly (readonly [string, readonly (readonly string[])[]])[] = [
  ['three of ours', [node]],
  ['two of ours and one of etcd', [node, reference, node]],
  ['one of ours and two of etcd', [reference, node, reference]],
];
const LISTEN = [
  '--listen-client-urls=http://127.0.0.1:0',
  '--advertise-client-urls=http://127.0.0.1:2379',
  '--listen-peer-urls=http://127.0.0.1:0',
];

async function membersAt(seat: Seat): Promise<readonly Message[]> {
  const client = new GrpcClient(endpoint(seat));
  try {
    const asked = 'Cluster/MemberList';
    const { messages, text } = await client.unary(asked, {});
    const [answer] = messages;
    if (answer === undefined) throw new Error(text);
    return decode(method(asked).response, answer)['members'] as Message[];
  } finally {
    client.close();
  }
}

const named = (members: readonly Message[]) => members.map((member) => member['name']).sort();

/** Lines from the first that is about finding the others. */
async function refusal(command: readonly string[], tried: Start) {
  const { exitCode, lines } = await start(command, tried);
  const said = lines.filter((line) => /SRV|discover|DNS/.test(line) && !line.includes('Running: '));
  expect(said.length).toBeGreaterThan(0);
  return { exitCode, said };
}

describe.runIf(exact)('a discovery service of etcd 3.7.1', { timeout: 120_000 }, () => {
  let service: Server;
  let client: GrpcClient;

  beforeAll(async () => {
    service = await Server.start({ label: 'discovery', command: reference });
    client = new GrpcClient(`127.0.0.1:${service.port}`);
  }, 60_000);
  afterAll(async () => {
    client.close();
    await service.close();
  });

  const put = async (key: string, value: string): Promise<void> => {
    const pair = { key: Buffer.from(`/_etcd/registry/${key}`), value: Buffer.from(value) };
    const { code } = await client.unary('KV/Put', pair);
    expect(code).toBe(0);
  };
  const flags = (token: string) => [
    `--discovery-token=${token}`,
    `--discovery-endpoints=127.0.0.1:${service.port}`,
  ];

  it.each(mixes)('lets %s found a cluster', async (label, commands) => {
    const token = `mix-${label.replaceAll(' ', '-')}`;
    await put(`${token}/_config/size`, '3');
    const seats = await findSeats(3);
    const cluster = await ClusterServers.find(commands, seats, (seat) => [
      ...flags(token),
      `--initial-advertise-peer-urls=${peerUrl(seat)}`,
    ]);
    try {
      const lists = await Promise.all(seats.map(membersAt));
      expect(lists[0]).toHaveLength(3);
      for (const list of lists) expect(named(list)).toEqual(['m1', 'm2', 'm3']);
      // A fourth finds no place.
      const late = { args: [...LISTEN, ...flags(token)] };
      expect(await refusal(node, late)).toEqual(await refusal(reference, late));
    } finally {
      await cluster.close();
    }
  });

  it.each([
    ['has no size', 'sizeless', {}],
    ['has a size that is none', 'bad', { 'bad/_config/size': 'x' }],
    ['has a size of 0', 'zero', { 'zero/_config/size': '0' }],
    ['has other members', 'full', { 'full/_config/size': '1', 'full/members/1': 'a=http://b:1' }],
    [
      'has a member twice',
      'twice',
      { 'twice/_config/size': '2', 'twice/members/1': 'a=http://localhost:2380' },
    ],
    ['has a URL that is none', 'url', { 'url/_config/size': '2', 'url/members/1': 'a=b:1' }],
    ['has an entry that is none', 'none', { 'none/_config/size': '1', 'none/members/1': 'x' }],
  ])('is refused like etcd where a token %s', async (_, token, pairs) => {
    const outcomes = [];
    for (const [at, command] of [node, reference].entries()) {
      for (const [key, value] of Object.entries(pairs)) await put(`${at}${key}`, value);
      const outcome = await refusal(command, { args: [...LISTEN, ...flags(`${at}${token}`)] });
      outcomes.push(
        JSON.stringify(outcome)
          .replaceAll(new RegExp(`${at}(?=${token})`, 'g'), '')
          .replace(/members\/[0-9a-f]{16}/g, 'members/ID'),
      );
    }
    expect(outcomes[0]).toEqual(outcomes[1]);
  });
});

describe.runIf(exact && process.getuid?.() === 0)('SRV records', { timeout: 120_000 }, () => {
  const resolvConf = join(tmpdir(), `etcd-resolv-${process.pid}.conf`);
  let dns: DnsServer;
  /** The machine's resolver, for one process, is ours. */
  const resolved = (command: readonly string[]): readonly string[] => [
    ...['unshare', '--mount', 'sh', '-c'],
    `mount --bind ${resolvConf} /etc/resolv.conf && exec "$@"`,
    'sh',
    ...command,
  ];

  beforeAll(async () => {
    dns = await DnsServer.listen('127.83.82.86');
    await writeFile(resolvConf, `nameserver ${dns.address}\n`);
  });
  afterAll(async () => {
    await dns.close();
    await rm(resolvConf, { force: true });
  });

  it.each(mixes)('lets %s found a cluster', async (_, commands) => {
    const seats = await findSeats(3);
    const targets = seats.map(({ name, peerPort }) => ({
      target: `${name}.found.test`,
      port: peerPort,
    }));
    dns.answers = {
      srv: { '_etcd-server-lab._tcp.found.test': targets },
      a: Object.fromEntries(targets.map(({ target }) => [target, '127.0.0.1'])),
    };
    const cluster = await ClusterServers.find(commands.map(resolved), seats, (seat) => [
      '--discovery-srv=found.test',
      '--discovery-srv-name=lab',
      `--initial-advertise-peer-urls=http://${seat.name}.found.test:${seat.peerPort}`,
    ]);
    try {
      for (const seat of seats) expect(named(await membersAt(seat))).toEqual(['m1', 'm2', 'm3']);
    } finally {
      await cluster.close();
    }
  });

  const own = ['--name=me', '--initial-advertise-peer-urls=http://me.found.test:7'];
  const me = { 'me.found.test': '127.0.0.1', 'you.found.test': '127.0.0.2' };
  const plain = '_etcd-server._tcp.found.test';
  const secure = '_etcd-server-ssl._tcp.found.test';
  const [toMe, toYou] = ['me', 'you'].map((name) => ({ target: `${name}.found.test`, port: 7 }));
  const tried: readonly (readonly [string, Answers, readonly string[]])[] = [
    ['nothing', { srv: {}, a: me }, own],
    ['no address of the member itself', { srv: {}, a: {} }, own],
    ['others only', { srv: { [plain]: [toYou] }, a: me }, own],
    ['names without an address', { srv: { [plain]: [toMe] }, a: { 'me.found.test': '' } }, own],
    [
      'a target without an address',
      { srv: { [plain]: [{ target: 'no.found.test', port: 7 }] }, a: me },
      own,
    ],
    ['the member with another scheme', { srv: { [secure]: [toMe] }, a: me }, own],
    ['the member and others', { srv: { [plain]: [toMe, toYou] }, a: me }, own],
    [
      'another address for the name',
      { srv: { [plain]: [toMe] }, a: me },
      ['--name=me', '--initial-advertise-peer-urls=http://127.0.0.1:7'],
    ],
    ['both schemes', { srv: { [plain]: [toMe], [secure]: [toYou] }, a: me }, own],
  ];
  it.each(tried)('are read like etcd where there is %s', async (_, answers, flags) => {
    dns.answers = answers;
    const args = [...LISTEN, ...flags, '--discovery-srv=found.test'];
    const ours = await refusal(resolved(node), { args });
    expect(ours).toEqual(await refusal(resolved(reference), { args }));
  });
});
