// What becomes of tokens when passwords, users and roles change, and which keys a permission is
// good for at its edges: the same short stories on the server under test and on a real etcd, with
// the answers that etcd gives written down.
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBinaries } from './binaries.ts';
import { decode, type Message, method } from './proto.ts';
import { childEnv, Server, until } from './servers.ts';
import { metadataOf, Side } from './side.ts';

const { node, go, exact } = await findBinaries();

const run = promisify(execFile);
const BUILD_MS_MAX = 400_000;
const TTL_SECONDS = 2;
const FLAGS = ['--bcrypt-cost=4', `--auth-token-ttl=${TTL_SECONDS}`];
const INVALID = '16 etcdserver: invalid auth token';
const DENIED = '7 etcdserver: permission denied';
const OK = '0 ';

const servers: Server[] = [];
const sides: Side[] = [];

beforeAll(async () => {
  if (go === null) throw new Error('no etcd to compare with: set ETCD_GO_CMD');
  for (const [label, command] of [
    ['ours', node],
    ['etcd', go],
  ] as const) {
    const server = await Server.start({ label, command, flags: FLAGS });
    servers.push(server);
    sides.push(new Side(server));
  }
}, BUILD_MS_MAX);

afterAll(async () => {
  for (const side of sides) side.close();
  await Promise.all(servers.map((server) => server.close()));
});

/** One of the servers as somebody sees it. */
class Session {
  readonly #side: Side;
  readonly token: string;

  constructor(side: Side, token: string) {
    this.#side = side;
    this.token = token;
  }

  /** The same server with another token. */
  as(token: string): Session {
    return new Session(this.#side, token);
  }

  async ask(name: string, request: Message): Promise<string> {
    const headers = this.token === '' ? {} : { token: this.token };
    const { code, text } = await this.#side.grpc.unary(name, request, metadataOf(headers));
    return `${code} ${text}`;
  }

  /** All of them must work. */
  async all(steps: readonly (readonly [string, Message])[]): Promise<void> {
    for (const [name, request] of steps) {
      expect([name, await this.ask(`Auth/${name}`, request)]).toEqual([name, OK]);
    }
  }

  get(key: string, end = ''): Promise<string> {
    const [from, to] = [key, end].map((text) => Buffer.from(text, 'latin1'));
    return this.ask('KV/Range', { key: from, range_end: to });
  }

  async login(name: string, password: string): Promise<Session> {
    const { code, messages } = await this.#side.grpc.unary('Auth/Authenticate', { name, password });
    expect(code).toBe(0);
    const { response } = method('Auth/Authenticate');
    const { token } = decode(response, messages[0] ?? Buffer.alloc(0));
    return new Session(this.#side, String(token));
  }
}

function permission(key: string, end = ''): Message {
  const [from, to] = [key, end].map((text) => Buffer.from(text, 'latin1'));
  return { name: 'r', perm: { permType: 0, key: from, range_end: to } };
}

/** Auth on, root with password `p`, and user `u` with role `r`; off and empty afterwards. */
async function withUsers(story: (root: Session) => Promise<void>): Promise<void> {
  for (const side of sides) {
    const nobody = new Session(side, '');
    await nobody.all([
      ['UserAdd', { name: 'root', password: 'p' }],
      ['RoleAdd', { name: 'root' }],
      ['UserGrantRole', { user: 'root', role: 'root' }],
      ['UserAdd', { name: 'u', password: 'p' }],
      ['RoleAdd', { name: 'r' }],
      ['UserGrantRole', { user: 'u', role: 'r' }],
      ['RoleGrantPermission', permission('k')],
      ['AuthEnable', {}],
    ]);
    await story(await nobody.login('root', 'p'));
    const root = await nobody.login('root', 'p');
    await root.all([['AuthDisable', {}]]);
    for (const name of ['root', 'u']) await nobody.ask('Auth/UserDelete', { name });
    for (const role of ['root', 'r']) await nobody.ask('Auth/RoleDelete', { role });
  }
}

describe.runIf(exact)('a simple token', () => {
  it('ends with the password that it was given for', () =>
    withUsers(async (root) => {
      const [one, two] = [await root.login('u', 'p'), await root.login('u', 'p')];
      expect([await one.get('k'), await two.get('k')]).toEqual([OK, OK]);
      await root.all([['UserChangePassword', { name: 'u', password: 'q' }]]);
      expect([await one.get('k'), await two.get('k')]).toEqual([INVALID, INVALID]);
      expect(await root.get('k')).toBe(OK);
      const failed = '3 etcdserver: authentication failed, invalid user ID or password';
      expect(await root.ask('Auth/Authenticate', { name: 'u', password: 'p' })).toBe(failed);
      expect(await (await root.login('u', 'q')).get('k')).toBe(OK);
    }));

  it('ends with its user, and does not come back with the name', () =>
    withUsers(async (root) => {
      const gone = await root.login('u', 'p');
      await root.all([
        ['UserDelete', { name: 'u' }],
        ['UserAdd', { name: 'u', password: 'p' }],
        ['UserGrantRole', { user: 'u', role: 'r' }],
      ]);
      expect(await gone.get('k')).toBe(INVALID);
      expect(await (await root.login('u', 'p')).get('k')).toBe(OK);
    }));

  it('stays when roles change, and can do at once what they say', () =>
    withUsers(async (root) => {
      const user = await root.login('u', 'p');
      await root.all([['UserRevokeRole', { name: 'u', role: 'r' }]]);
      expect(await user.get('k')).toBe(DENIED);
      await root.all([['UserGrantRole', { user: 'u', role: 'r' }]]);
      expect(await user.get('k')).toBe(OK);
      await root.all([['RoleRevokePermission', { role: 'r', key: Buffer.from('k') }]]);
      expect(await user.get('k')).toBe(DENIED);
      await root.all([
        ['RoleGrantPermission', permission('k')],
        ['RoleDelete', { role: 'r' }],
      ]);
      expect(await user.get('k')).toBe(DENIED);
    }));

  it('ends when authentication is turned off, and is not looked at while it is', () =>
    withUsers(async (root) => {
      const user = await root.login('u', 'p');
      await root.all([['AuthDisable', {}]]);
      expect(await user.get('other')).toBe(OK);
      await root.all([['AuthEnable', {}]]);
      expect([await user.get('k'), await root.get('k')]).toEqual([INVALID, INVALID]);
    }));

  it('lives as long as it is used', () =>
    withUsers(async (root) => {
      const [used, unused] = [await root.login('u', 'p'), await root.login('u', 'p')];
      const end = Date.now() + (TTL_SECONDS + 1.2) * 1000;
      await until('the other token is too old', async () => {
        expect(await used.get('k')).toBe(OK);
        return Date.now() > end ? true : null;
      });
      expect([await unused.get('k'), await used.get('k')]).toEqual([INVALID, OK]);
    }));

  it('is refused when it is made up, before anything is said of the request', async () => {
    await withUsers(async (root) => {
      const user = await root.login('u', 'p');
      for (const token of [
        'x',
        'abc.1',
        user.token.replace(/^./, '-'),
        user.token.replace('.', ''),
        'a.b.c',
        '.',
      ]) {
        expect(await root.as(token).get('k')).toBe(INVALID);
      }
      expect(await root.as('').get('k')).toBe('3 etcdserver: user name is empty');
      expect(await root.as('').get('')).toBe('3 etcdserver: key is not provided');
    });
    const line = /"msg":"invalid auth token","token-fingerprint":"2d711642b726"/;
    for (const { log } of servers) expect(log).toMatch(line);
  });
});

/** A permission, a request, and whether etcd lets it pass. */
type Edge = readonly [perm: readonly [string, string], ask: readonly [string, string], ok: boolean];

const EDGES: readonly Edge[] = [
  // One key is neither its successor nor a range around it.
  [['k', ''], ['k', ''], true],
  [['k', ''], ['k\0', ''], false],
  [['k', ''], ['k', 'k\0'], true],
  [['k', ''], ['k', 'l'], false],
  // A range ends before its end.
  [['k', 'l'], ['k', ''], true],
  [['k', 'l'], ['k\xff\xff', ''], true],
  [['k', 'l'], ['l', ''], false],
  [['k', 'l'], ['k', 'l'], true],
  [['k', 'l'], ['k', 'l\0'], false],
  [['k', 'l'], ['j\xff', 'l'], false],
  [['k', 'l'], ['k', '\0'], false],
  // A prefix that ends with 0xff has its end one byte before; 0xff alone has none but the open one.
  [['k\xff', 'l'], ['k\xff\xff\xff', ''], true],
  [['k\xff', 'l'], ['k\xfe', ''], false],
  [['\xff', '\0'], ['\xff\xff\xff', ''], true],
  [['\xff', '\0'], ['\xff', '\0'], true],
  [['\xff', '\xff\xff'], ['\xff', '\0'], false],
  [['\xff', '\xff\xff'], ['\xff\xff', ''], false],
  // From a key on.
  [['k', '\0'], ['k', '\0'], true],
  [['k', '\0'], ['z', '\xff\xff'], true],
  [['k', '\0'], ['j', '\0'], false],
  [['k', '\0'], ['j', ''], false],
  // Everything, and what looks like it.
  [['\0', '\0'], ['\0', '\0'], true],
  [['\0', '\0'], ['\0', ''], true],
  [['\0', '\0'], ['\xff\xff', ''], true],
  [['\0', ''], ['\0', ''], true],
  [['\0', ''], ['\0', '\0'], false],
  [['\x01', '\0'], ['\0', '\0'], false],
  [['\0', '\xff\xff'], ['\0', '\0'], false],
  // Ranges that hold no key: one that begins and ends within is fine, one turned round is not.
  [['k', 'l'], ['k', 'k'], true],
  [['k', 'l'], ['l', 'k'], false],
];

it.runIf(exact)('permissions are good for the keys that they name', () =>
  withUsers(async (root) => {
    const user = await root.login('u', 'p');
    await root.all([['RoleRevokePermission', { role: 'r', key: Buffer.from('k') }]]);
    const found: Edge[] = [];
    for (const [[key, end], ask] of EDGES) {
      const { perm } = permission(key, end) as { perm: Message };
      const named = { role: 'r', key: perm['key'], range_end: perm['range_end'] };
      await root.all([['RoleGrantPermission', permission(key, end)]]);
      const answer = await user.get(...ask);
      if (answer !== OK) expect(answer).toBe(DENIED);
      found.push([[key, end], ask, answer === OK]);
      await root.all([['RoleRevokePermission', named]]);
    }
    expect(found).toEqual(EDGES);
  }),
);

it.runIf(exact)('permissions that make no sense are refused', () =>
  withUsers(async (root) => {
    for (const [key, end] of [
      ['', ''],
      ['', '\0'],
      ['k', 'k'],
      ['l', 'k'],
      ['\0\0', '\0\x00'],
    ] as const) {
      const answer = await root.ask('Auth/RoleGrantPermission', permission(key, end));
      expect([key, end, answer]).toEqual([key, end, '3 etcdserver: invalid auth management']);
    }
    expect(await root.ask('Auth/RoleGrantPermission', { name: 'r' })).toBe(
      '3 etcdserver: permission not given',
    );
  }),
);

it('an --auth-token that makes no sense ends the start with nothing on the disk', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'auth-token-'));
  const data = join(dir, 'data');
  const [program = '', ...args] = node;
  const start = (option: string) =>
    run(program, [...args, `--auth-token=${option}`, `--data-dir=${data}`], { env: childEnv() });
  try {
    for (const option of ['other', 'jwt', 'jwt,a', `jwt,sign-method=RS256,priv-key=${dir}/no`]) {
      await expect(start(option)).rejects.toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/"fatal".*"discovery failed".*auth: invalid auth options/),
      });
      expect(await readdir(dir)).toEqual([]);
    }
  } finally {
    await rm(dir, { recursive: true });
  }
});
