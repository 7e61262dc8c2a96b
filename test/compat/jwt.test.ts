// Signed tokens from the server under test and from a real etcd with the same keys: each takes what
// the other has signed, with every family of methods. And what they say where they cannot.
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBinaries } from './binaries.ts';
import type { GrpcAnswer } from './client.ts';
import { decode, type Message, method } from './proto.ts';
import { Server } from './servers.ts';
import { metadataOf, Side } from './side.ts';

const { node, go, exact } = await findBinaries();

const BUILD_MS_MAX = 400_000;
const METHODS = ['HS384', 'RS256', 'RS512', 'PS256', 'PS512', 'ES256', 'ES512', 'EdDSA'];
const RANGE = { key: Buffer.from('k') };
const LOGIN = { name: 'root', password: 'p' };

let dir: string;
let commands: readonly (readonly string[])[];

beforeAll(async () => {
  if (go === null) throw new Error('no etcd to compare with: set ETCD_GO_CMD');
  commands = [node, go];
  dir = await mkdtemp(join(tmpdir(), 'jwt-'));
  const pairs = {
    RS: generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    ES512: generateKeyPairSync('ec', { namedCurve: 'P-521' }),
    EdDSA: generateKeyPairSync('ed25519'),
  };
  for (const [name, { privateKey, publicKey }] of Object.entries(pairs)) {
    const pem = privateKey.export({ format: 'pem', type: 'pkcs8' });
    await writeFile(join(dir, `${name}.key`), pem);
    await writeFile(join(dir, `${name}.pub`), publicKey.export({ format: 'pem', type: 'spki' }));
  }
  await writeFile(join(dir, 'HS.key'), 'a secret');
}, BUILD_MS_MAX);

afterAll(() => rm(dir, { recursive: true, force: true }));

function keyOf(name: string): string {
  return join(dir, /^(RS|PS)/.test(name) ? 'RS' : name.startsWith('HS') ? 'HS' : name);
}

/** Both servers, with auth on and user root. */
async function withServers(options: string, work: (sides: readonly Side[]) => Promise<void>) {
  const flags = [`--auth-token=jwt,${options}`, '--bcrypt-cost=4'];
  const servers: Server[] = [];
  const sides: Side[] = [];
  try {
    for (const [i, command] of commands.entries()) {
      const server = await Server.start({ label: ['ours', 'etcd'][i] ?? '', command, flags });
      servers.push(server);
      const side = new Side(server);
      sides.push(side);
      await side.grpc.unary('Auth/UserAdd', LOGIN);
      await side.grpc.unary('Auth/RoleAdd', { name: 'root' });
      await side.grpc.unary('Auth/UserGrantRole', { user: 'root', role: 'root' });
      expect((await side.grpc.unary('Auth/AuthEnable', {})).code).toBe(0);
    }
    await work(sides);
  } finally {
    for (const side of sides) side.close();
    await Promise.all(servers.map((server) => server.close()));
  }
}

async function login({ grpc }: Side): Promise<string> {
  const { messages } = await grpc.unary('Auth/Authenticate', LOGIN);
  const answer = decode(method('Auth/Authenticate').response, messages[0] ?? Buffer.alloc(0));
  return String(answer['token']);
}

function ask({ grpc }: Side, token: string, name = 'KV/Range', request: Message = RANGE) {
  return grpc.unary(name, request, metadataOf({ token }));
}

function outcome({ code, text }: GrpcAnswer): string {
  return `${code} ${text}`;
}

describe.runIf(exact)('signed tokens', () => {
  it.each(METHODS)('pass between the servers with %s', async (name) => {
    const key = keyOf(name);
    const pub = name.startsWith('HS') ? '' : `,pub-key=${key}.pub`;
    await withServers(`sign-method=${name},priv-key=${key}.key${pub}`, async (sides) => {
      const tokens = await Promise.all(sides.map(login));
      const parts = tokens.map((token) => token.split('.'));
      expect(parts[0]?.[0]).toBe(parts[1]?.[0]);
      const claims = parts.map(([, text = '']) =>
        Buffer.from(text, 'base64url')
          .toString()
          .replace(/\d{9,}/, 'time'),
      );
      expect(claims[0]).toBe(claims[1]);
      for (const side of sides) {
        for (const token of tokens) expect(outcome(await ask(side, token))).toBe('0 ');
        const [header = '', text = '', signature = ''] = parts[0] ?? [];
        const forged = signature.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'));
        const refused = '16 etcdserver: invalid auth token';
        expect(outcome(await ask(side, `${header}.${text}.${forged}`))).toBe(refused);
        expect(outcome(await ask(side, `${header}.${text}.`))).toBe(refused);
        // Any change of users makes all of them old.
        expect(outcome(await ask(side, tokens[0] ?? '', 'Auth/RoleAdd', { name: 'r' }))).toBe('0 ');
        const old = '3 etcdserver: revision of auth store is old';
        expect(outcome(await ask(side, tokens[1] ?? ''))).toBe(old);
      }
    });
  });

  it('end with their time', async () => {
    await withServers(`sign-method=HS256,ttl=0s,priv-key=${keyOf('HS')}.key`, async (sides) => {
      for (const side of sides) {
        const expired = '16 etcdserver: invalid auth token';
        expect(outcome(await ask(side, await login(side)))).toBe(expired);
      }
    });
  });

  it.each([
    ['RS256', 'pub-key', 'RS.pub', 'auth: token signing attempted with verify-only key'],
    ['ES256', 'pub-key', 'ES256.pub', 'auth: token signing attempted with verify-only key'],
    ['EdDSA', 'pub-key', 'EdDSA.pub', 'auth: token signing attempted with verify-only key'],
    ['ES256', 'priv-key', 'ES512.key', 'key is invalid'],
  ])('cannot be made with %s and %s %s', async (name, option, file, text) => {
    await withServers(`sign-method=${name},${option}=${join(dir, file)}`, async (sides) => {
      for (const side of sides) {
        expect(outcome(await side.grpc.unary('Auth/Authenticate', LOGIN))).toBe(`2 ${text}`);
      }
    });
  });
});
