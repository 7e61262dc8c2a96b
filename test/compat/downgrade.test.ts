// Maintenance.Downgrade against a real etcd, request for request: over gRPC, the gateway and
// etcdctl, before a downgrade, while one is under way, and after its end. Two lone members get the
// same requests; what they have become in between is asked of both.
import { execFile } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Ctl, findBinaries } from './binaries.ts';
import { GrpcClient } from './client.ts';
import { httpRequest } from './http-client.ts';
import { newestErrorBody } from './json-text.ts';
import { decode, method } from './proto.ts';
import { olderThan, Server, until } from './servers.ts';

const CTL_MS_MAX = 10_000;
const DECIDED_MS_MAX = 20_000;
const { node, go, exact, ctls } = await findBinaries();
let servers: Server[] = [];

beforeAll(async () => {
  if (go === null) throw new Error('no etcd to compare with: set ETCD_GO_CMD');
  // A downgrade that is done is to be ended by request only.
  const flags = ['--downgrade-check-time=0'];
  servers = [
    await Server.start({ label: 'ours', command: node, flags }),
    await Server.start({ label: 'etcd', command: go, flags }),
  ];
  await settled('3.7.0');
}, 60_000);

afterAll(() => Promise.all(servers.map((server) => server.close())));

const VALIDATE = 0;
const ENABLE = 1;
const CANCEL = 2;
type Request = readonly [action: number, version: string];

const VERSIONS = ['', '3', '3.5', '3.6', '3.6.9', '3.6.0-rc.1', '03.06.00', '3.7', '3.8', '2.6'];
const WRONG = ['x', 'v3.6.0', '3.6.1.2', '3.6.', '3.6.0-', '3.6.0-a_b', '3.-6', '3.6+x', ' 3.6'];
const HARMLESS: readonly Request[] = [
  ...[...VERSIONS, ...WRONG, '99999999999999999999.6'].map((v): Request => [VALIDATE, v]),
  ...['', 'x', '3.5', '3.8'].map((v): Request => [ENABLE, v]),
  [7, '3.6'],
];
const NOT_BEGUN: readonly Request[] = [[CANCEL, ''], ...HARMLESS];
const UNDER_WAY: readonly Request[] = [...HARMLESS, [ENABLE, '3.6'], [ENABLE, '3.5']];

describe.runIf(exact)('a downgrade', () => {
  it('is refused as etcd refuses it', () => same(NOT_BEGUN));

  it('is begun', () => same([[ENABLE, '3.6']]));

  it('lowers the versions of cluster and database, which /version and status tell', async () => {
    await settled('3.6.0');
    const told = await Promise.all(servers.map(statusOf));
    expect(told[0]).toEqual(told[1]);
    expect(told[0]).toEqual({
      storageVersion: '3.6.0',
      downgradeInfo: { enabled: true, targetVersion: '3.6.0' },
    });
  });

  it('is not begun twice', () => same(UNDER_WAY));

  for (const ctl of ctls.filter(({ version }) => !olderThan(version, 3, 6))) {
    it(`is told by etcdctl ${ctl.version}`, async () => {
      for (const args of [
        ['validate', '3.6'],
        ['validate', '3.5'],
        ['enable', '3.5'],
        ['validate', 'x'],
        ['validate'],
      ]) {
        const [a, b] = await Promise.all(servers.map((server) => run(ctl, server, args)));
        expect(a, args.join(' ')).toBe(b);
      }
    });
  }

  it('survives a restart', async () => {
    await Promise.all(servers.map((server) => server.kill()));
    await Promise.all(servers.map((server) => server.launch()));
    const told = await Promise.all(servers.map(statusOf));
    expect(told[0]).toEqual(told[1]);
    expect(told[0]).toMatchObject({ downgradeInfo: { enabled: true } });
  });

  it('is cancelled, after which the versions rise again', async () => {
    await same([
      [CANCEL, 'whatever'],
      [CANCEL, ''],
    ]);
    await settled('3.7.0');
    await same([[VALIDATE, '3.6']]);
  });
});

/** Over gRPC and over the gateway; what changes something is only sent over one of them. */
async function same(requests: readonly Request[]): Promise<void> {
  for (const [action, version] of requests) {
    const [a, b] = await Promise.all(servers.map((server) => callOf(server, action, version)));
    expect(a, `${action} ${version}`).toBe(b);
    if (action === ENABLE && version === '3.6') continue;
    const [c, d] = await Promise.all(servers.map((server) => postOf(server, action, version)));
    expect(c, `gateway ${action} ${version}`).toBe(d);
  }
}

async function callOf({ endpoint }: Server, action: number, version: string): Promise<string> {
  const client = new GrpcClient(endpoint);
  const name = 'Maintenance/Downgrade';
  const { code, text, messages } = await client.unary(name, { action, version });
  client.close();
  const message = decode(method(name).response, messages[0] ?? Buffer.alloc(0));
  return JSON.stringify({ code, text, version: message['version'] });
}

async function postOf({ port }: Server, action: number, version: string): Promise<string> {
  const answer = await httpRequest(port, {
    method: 'POST',
    path: '/v3/maintenance/downgrade',
    body: JSON.stringify({ action, version }),
  });
  const { header: _, ...rest } = JSON.parse(newestErrorBody(answer.body));
  return JSON.stringify({ status: answer.status, ...rest });
}

async function statusOf({ endpoint }: Server) {
  const client = new GrpcClient(endpoint);
  const { messages } = await client.unary('Maintenance/Status', {});
  client.close();
  const status = decode(method('Maintenance/Status').response, messages[0] ?? Buffer.alloc(0));
  return { storageVersion: status['storageVersion'], downgradeInfo: status['downgradeInfo'] };
}

/** Waits until both tell that version of the cluster and of the database. */
async function settled(version: string): Promise<void> {
  for (const { port, label } of servers) {
    await until(
      `${label} is of ${version}`,
      async () => {
        const { body } = await httpRequest(port, { method: 'GET', path: '/version' });
        const { etcdcluster, storage } = JSON.parse(body);
        return etcdcluster === version && storage === version ? true : null;
      },
      DECIDED_MS_MAX,
    );
  }
}

function run(ctl: Ctl, { endpoint, port }: Server, args: readonly string[]): Promise<string> {
  const command = [`--endpoints=${endpoint}`, 'downgrade', ...args];
  return new Promise((resolve) => {
    execFile(ctl.path, command, { env: {}, timeout: CTL_MS_MAX }, (error, out, err) => {
      const said = `${error?.code ?? 0}\n${out}\n${err}`;
      const masked = said
        .replaceAll(`:${port}`, ':PORT')
        .replace(/\{"level":.*"msg"/g, '{LOG "msg"')
        .replace(/0x[0-9a-f]{6,}/g, 'POINTER')
        .replace(/LocalAddr: '[^']*'/g, 'LocalAddr');
      resolve(masked);
    });
  });
}
