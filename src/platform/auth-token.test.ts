import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TokenProvider } from '../auth/token-provider.ts';
import { ValueError } from '../config/go-text.ts';
import { errors } from '../errors.ts';
import { type LogFields, silentLog } from '../log.ts';
import { openTokenProvider } from './auth-token.ts';
import { seededRandom } from './random.ts';

let dir: string;
let lines: [string, string, LogFields?][];

function open(authToken: string, authTokenTtl = 300): TokenProvider {
  lines = [];
  const write =
    (level: string) =>
    (msg: string, fields?: LogFields): void => {
      lines.push(fields === undefined ? [level, msg] : [level, msg, fields]);
    };
  const log = { ...silentLog(), warn: write('warn'), error: write('error') };
  const clock = { now: () => 0, monotonic: () => 0 };
  const random = seededRandom(1);
  return openTokenProvider({ authToken, authTokenTtl, random, clock, log });
}

function refused(authToken: string): string {
  try {
    open(authToken);
  } catch (error) {
    if (error instanceof ValueError) return error.message;
  }
  return 'nothing';
}

const file = (name: string): string => join(dir, name);

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'auth-token-'));
  const write = (name: string, pair: { publicKey: KeyObject; privateKey: KeyObject }): void => {
    const type = name === 'ec' ? 'sec1' : name === 'ed' ? 'pkcs8' : 'pkcs1';
    const options = { format: 'pem', type } as { format: 'pem'; type: 'pkcs8' };
    writeFileSync(file(`${name}.key`), pair.privateKey.export(options));
    writeFileSync(file(`${name}.pub`), pair.publicKey.export({ format: 'pem', type: 'spki' }));
  };
  write('rsa', generateKeyPairSync('rsa', { modulusLength: 2048 }));
  write('rsa2', generateKeyPairSync('rsa', { modulusLength: 2048 }));
  write('ec', generateKeyPairSync('ec', { namedCurve: 'P-256' }));
  write('ed', generateKeyPairSync('ed25519'));
  writeFileSync(file('garbage'), 'garbage\n');
  writeFileSync(file('empty'), '');
  const pem = (kind: string): string => `-----BEGIN ${kind}-----\nAAAA\n-----END ${kind}-----\n`;
  writeFileSync(file('broken.key'), pem('RSA PRIVATE KEY'));
  writeFileSync(file('broken.pub'), pem('PUBLIC KEY'));
});

afterAll(() => rmSync(dir, { recursive: true }));

it('opens what is asked for', () => {
  const simple = open('simple,what=ever');
  expect(simple.prefix()).toMatch(/^[a-zA-Z]{16}$/);
  expect(lines).toEqual([['warn', 'simple token is not cryptographically signed']]);
  const none = open('');
  expect(() => none.assign('u', 1, '', 1)).toThrow(errors.authFailed);
  expect(none.info('x', 1)).toBeNull();
  const jwt = open(`jwt,ttl=1m,sign-method=RS256,pub-key=${file('rsa.pub')},x=y,z=`);
  expect(jwt.prefix()).toBe('');
  expect(lines).toEqual([['warn', 'unknown JWT options', { keys: ['x', 'z'] }]]);
  open(`jwt,sign-method=ES256,priv-key=${file('ec.key')},pub-key=${file('ec.pub')}`);
  open(`jwt,sign-method=EdDSA,priv-key=${file('ed.key')},pub-key=${file('ed.pub')}`);
  open(`jwt,sign-method=HS256,priv-key=${file('rsa.pub')}`);
});

it('refuses wrong options with the lines of etcd', () => {
  const invalid = 'auth: invalid auth options';
  const failed = ['warn', 'failed to create token provider', { error: invalid }];
  const bad = (option: string, line: unknown): void => {
    expect(refused(option)).toBe(invalid);
    expect(lines).toEqual([line, failed]);
  };
  for (const option of ['jwt,foo', 'jwt,a=b=c', 'simple,a']) {
    bad(option, ['error', 'invalid token option', { option }]);
  }
  const twice = 'jwt,sign-method=RS256,sign-method=RS256';
  bad(twice, [
    'error',
    'invalid token option',
    { option: twice, 'duplicate-parameter': 'sign-method' },
  ]);
  for (const type of ['Simple', ' jwt', 'foo']) {
    bad(type, ['warn', 'unknown token type', { type, error: invalid }]);
  }
  const problem = (options: string, error: string): void =>
    bad(`jwt,sign-method=RS256,${options}`, ['error', 'problem loading JWT options', { error }]);
  problem('ttl=10', 'time: missing unit in duration "10"');
  problem('ttl=x', 'time: invalid duration "x"');
  problem(`priv-key=${file('no')}`, `open ${file('no')}: no such file or directory`);
  problem(`pub-key=${dir}`, `read ${dir}: is a directory`);
  for (const option of ['jwt', 'jwt,sign-method=', 'jwt,sign-method=XX']) {
    const error = 'auth: invalid auth signature method';
    bad(option, ['error', 'problem loading JWT options', { error }]);
  }
});

it('refuses wrong keys in the words of etcd', () => {
  const cases: readonly (readonly [method: string, keys: readonly string[], text: string])[] = [
    ['none', ['rsa.key'], 'unsupported signing method: *jwt.signingMethodNone'],
    ['RS256', [], 'auth: missing key data'],
    ['HS256', ['rsa.pub'], 'auth: missing key data'],
    ['HS256', ['empty'], 'auth: missing key data'],
    ['RS256', ['rsa.key', 'rsa2.pub'], "auth: public and private keys don't match"],
    ['RS256', ['garbage'], 'invalid key: Key must be a PEM encoded PKCS1 or PKCS8 key'],
    [
      'RS256',
      ['ec.key'],
      'x509: failed to parse private key (use ParseECPrivateKey instead for this key format)',
    ],
    ['RS256', ['broken.key'], 'x509: failed to parse private key'],
    ['ES256', ['broken.pub'], 'x509: failed to parse public key'],
    ['RS256', ['ed.key'], 'key is not a valid RSA private key'],
    ['RS256', ['ec.pub'], 'key is not a valid RSA public key'],
    ['ES256', ['ed.key'], 'key is not a valid ECDSA private key'],
    ['ES256', ['rsa.pub'], 'key is not a valid ECDSA public key'],
    ['EdDSA', ['rsa.pub'], 'key is not a valid Ed25519 public key'],
  ];
  for (const [method, keys, text] of cases) {
    const options = keys.map(
      (name) => `,${name.endsWith('.pub') ? 'pub-key' : 'priv-key'}=${file(name)}`,
    );
    expect(refused(`jwt,sign-method=${method}${options.join('')}`)).toBe(text);
    expect(lines).toEqual([['warn', 'failed to create token provider', { error: text }]]);
  }
});
