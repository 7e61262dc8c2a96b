// What the log says of users and roles, line for line as etcd does: the same changes, also refused
// ones, made to this server and to a real etcd.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBinaries } from './binaries.ts';
import { httpRequest } from './http-client.ts';
import { Server, until } from './servers.ts';

const { node, go, exact } = await findBinaries();
let servers: readonly Server[] = [];

beforeAll(async () => {
  if (go === null) throw new Error('no etcd to compare with: set ETCD_GO_CMD');
  const flags = ['--bcrypt-cost=4'];
  servers = [
    await Server.start({ label: 'ours', command: node, flags }),
    await Server.start({ label: 'etcd', command: go, flags }),
  ];
}, 60_000);

afterAll(() => Promise.all(servers.map((server) => server.close())));

const key = (text: string): string => Buffer.from(text).toString('base64');
const PERM = { permType: 'READWRITE', key: key('a'), range_end: key('b') };
const LAST = 'invalid authentication was requested';

/** With and without a token, in this order. */
const BEFORE: readonly (readonly [path: string, body: object])[] = [
  ['user/add', { name: 'root', password: 'r' }],
  ['user/add', { name: 'one', password: 'o' }],
  ['user/add', { name: 'one', password: 'o' }],
  ['role/add', { name: 'root' }],
  ['role/add', { name: 'x' }],
  ['role/add', { name: 'y' }],
  ['role/grant', { name: 'x', perm: PERM }],
  ['role/grant', { name: 'none', perm: PERM }],
  ['user/grant', { user: 'root', role: 'root' }],
  ['user/grant', { user: 'one', role: 'y' }],
  ['user/grant', { user: 'one', role: 'x' }],
  ['user/grant', { user: 'one', role: 'x' }],
  ['disable', {}],
  ['enable', {}],
];
const AS_ROOT: typeof BEFORE = [
  ['enable', {}],
  ['user/changepw', { name: 'one', password: 'p' }],
  ['user/revoke', { name: 'one', role: 'y' }],
  ['user/revoke', { name: 'root', role: 'root' }],
  ['user/delete', { name: 'root' }],
  ['role/delete', { role: 'root' }],
  ['role/revoke', { role: 'x', key: key('a'), range_end: key('b') }],
  ['role/delete', { role: 'y' }],
  ['user/delete', { name: 'one' }],
  ['disable', {}],
  ['enable', {}],
  ['authenticate', { name: 'nobody', password: 'q' }],
  ['authenticate', { name: 'root', password: 'wrong' }],
];

async function post(server: Server, path: string, body: object, token: string): Promise<string> {
  const headers = token === '' ? {} : { Authorization: token };
  const text = JSON.stringify(body);
  const call = { method: 'POST', path: `/v3/auth/${path}`, body: text, headers };
  return (await httpRequest(server.port, call)).body;
}

async function play(server: Server): Promise<readonly string[]> {
  for (const [path, body] of BEFORE) await post(server, path, body, '');
  const login = { name: 'root', password: 'r' };
  const { token } = JSON.parse(await post(server, 'authenticate', login, '')) as { token: string };
  for (const [path, body] of AS_ROOT) await post(server, path, body, token);
  await until('the last line', () => (aboutUsers(server).filter(isLast).length === 2 ? 0 : null));
  return aboutUsers(server);
}

const isLast = (line: string): boolean => line.includes(LAST);

/** Without what is the program's own: time, place in the source, where it was called from. */
function aboutUsers({ log }: Server): readonly string[] {
  const lines: string[] = [];
  for (const line of log.split('\n')) {
    if (!/user|role|permission|password|authenticat/.test(line) || !line.startsWith('{')) continue;
    const {
      ts: _,
      caller: __,
      stacktrace: ___,
      ...told
    } = JSON.parse(line) as Record<string, unknown>;
    const { msg } = told;
    if (/^(starting an etcd|Running|failed to apply|simple token)/.test(String(msg))) continue;
    lines.push(JSON.stringify(told));
  }
  return lines;
}

describe.runIf(exact)('the log about users', () => {
  it("has etcd's lines", async () => {
    const [ours, etcds] = await Promise.all(servers.map(play));
    expect(ours).toEqual(etcds);
    expect(ours?.length).toBeGreaterThan(20);
  });
});
