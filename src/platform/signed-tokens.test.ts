import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Code, EtcdError, errors } from '../errors.ts';
import { silentLog } from '../log.ts';
import { SignedTokens } from './signed-tokens.ts';
import { openSigningKey, type SigningKey } from './signing-key.ts';

const NONE = Buffer.alloc(0);
const NOW_MS = 1_800_000_000_500;

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ed = generateKeyPairSync('ed25519');
const curve = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve });
const [p256, p384, p521] = [curve('P-256'), curve('P-384'), curve('P-521')];

interface Pair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

function publicPem({ publicKey }: Pair): Buffer {
  return Buffer.from(publicKey.export({ format: 'pem', type: 'spki' }));
}

function privatePem({ privateKey }: Pair): Buffer {
  return Buffer.from(privateKey.export({ format: 'pem', type: 'pkcs8' }));
}

const secret = openSigningKey('HS256', NONE, Buffer.from('secret'));

function tokens(key: SigningKey): { signed: SignedTokens; warned: string[]; setNow: SetNow } {
  const warned: string[] = [];
  let nowMs = NOW_MS;
  const log = {
    ...silentLog(),
    warn: (msg: string, fields: { error?: unknown } = {}) => {
      warned.push(fields.error === undefined ? msg : String(fields.error));
    },
  };
  const signed = new SignedTokens({ key, ttlMs: 300_000, now: () => nowMs, log });
  return { signed, warned, setNow: (ms) => (nowMs = ms) };
}
type SetNow = (ms: number) => void;

/** A token of the right key with any header and claims. */
function forge(header: unknown, claims: unknown): string {
  const part = (value: unknown): string =>
    Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
  const text = `${part(header)}.${part(claims)}`;
  return `${text}.${createHmac('sha256', 'secret').update(text).digest('base64url')}`;
}

const HEADER = { alg: 'HS256', typ: 'JWT' };
const CLAIMS = { username: 'u', revision: 7, exp: NOW_MS / 1000 + 10 };

/** What is said of a token. */
function faultOf(token: string): string {
  const { signed, warned } = tokens(secret);
  expect(signed.info(token)).toBeNull();
  return warned.join('; ');
}

describe('a signed token', () => {
  const methods: readonly (readonly [string, Pair])[] = [
    ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'].map((name) => [name, rsa] as const),
    ['ES256', p256],
    ['ES384', p384],
    ['ES512', p521],
    ['EdDSA', ed],
  ];
  it.each(methods)('is made and read with %s', (name, pair) => {
    const { signed } = tokens(openSigningKey(name, publicPem(pair), privatePem(pair)));
    const token = signed.assign('u', 7);
    expect(signed.info(token)).toEqual({ user: 'u', revision: 7 });
    const reader = tokens(openSigningKey(name, publicPem(pair), NONE)).signed;
    expect(reader.info(token)).toEqual({ user: 'u', revision: 7 });
    expect(() => reader.assign('u', 7)).toThrow(errors.tokenVerifyOnly);
    const changed = token.replace(/\.[^.]*\./, `.${forge(HEADER, CLAIMS).split('.')[1]}.`);
    expect(reader.info(changed)).toBeNull();
  });

  it.each(['HS256', 'HS384', 'HS512'])('is made and read with %s', (name) => {
    const [key, other] = ['secret', 'other'].map((text) =>
      openSigningKey(name, NONE, Buffer.from(text)),
    ) as [SigningKey, SigningKey];
    const token = tokens(key).signed.assign('u', 7);
    expect(tokens(key).signed.info(token)).toEqual({ user: 'u', revision: 7 });
    expect(tokens(other).signed.info(token)).toBeNull();
  });

  it('is written byte for byte as Go writes it', () => {
    const token = tokens(secret).signed.assign('<a&b>\u2028', 7);
    const [header = '', claims = ''] = token.split('.');
    expect(atob(header)).toBe('{"alg":"HS256","typ":"JWT"}');
    const name = '\\u003ca\\u0026b\\u003e\\u2028';
    expect(atob(claims)).toBe(`{"exp":1800000300,"revision":7,"username":"${name}"}`);
  });

  it('cannot be made with a key that does not fit', () => {
    const failing = (name: string, pair: Pair): unknown => {
      try {
        return tokens(openSigningKey(name, NONE, privatePem(pair))).signed.assign('u', 1);
      } catch (error) {
        return error instanceof EtcdError ? [error.code, error.message] : error;
      }
    };
    expect(failing('ES256', p384)).toEqual([Code.UNKNOWN, 'key is invalid']);
    const short = generateKeyPairSync('rsa', { modulusLength: 1024 });
    expect(failing('PS512', short)).toEqual([
      Code.UNKNOWN,
      'crypto/rsa: message too long for RSA key size',
    ]);
  });
});

describe('the time of a token', () => {
  it('ends with its second, known or not', () => {
    const { signed, warned, setNow } = tokens(secret);
    const token = signed.assign('u', 7);
    setNow(NOW_MS - 500 + 299_999);
    expect(signed.info(token)).not.toBeNull();
    setNow(NOW_MS - 500 + 300_000);
    expect(signed.info(token)).toBeNull();
    expect(warned).toEqual(['token has invalid claims: token is expired']);
    setNow(NOW_MS);
    expect(signed.info(token)).not.toBeNull();
  });

  it('is read as Go reads it', () => {
    const said = (times: object): string => faultOf(forge(HEADER, { ...CLAIMS, ...times }));
    expect(said({ exp: 1 })).toBe('token has invalid claims: token is expired');
    expect(said({ nbf: 2e9 })).toBe('token has invalid claims: token is not valid yet');
    expect(said({ exp: 'soon' })).toBe(
      'token has invalid claims: invalid type for claim: exp is invalid',
    );
    expect(said({ exp: 1, nbf: null })).toBe(
      'token has invalid claims: token is expired, invalid type for claim: nbf is invalid',
    );
    for (const claims of [
      { ...CLAIMS, exp: 0 },
      { username: 'u', revision: 7 },
    ]) {
      expect(tokens(secret).signed.info(forge(HEADER, claims))).not.toBeNull();
    }
  });
});

it('refuses other claims, methods and forms in the words of Go', () => {
  const good = forge(HEADER, CLAIMS);
  const [header = '', claims = '', signature = ''] = good.split('.');
  const malformed = 'token is malformed: ';
  const cases: readonly (readonly [string, string])[] = [
    ['', `${malformed}token contains an invalid number of segments`],
    ['a.b', `${malformed}token contains an invalid number of segments`],
    [`${good}.x`, `${malformed}token contains an invalid number of segments`],
    ['a+b.c.d', `${malformed}could not base64 decode header: illegal base64 data at input byte 1`],
    [
      'abcde.c.d',
      `${malformed}could not base64 decode header: illegal base64 data at input byte 4`,
    ],
    ['..', `${malformed}could not JSON decode header: unexpected end of JSON input`],
    [
      forge('[]', CLAIMS),
      `${malformed}could not JSON decode header: ` +
        'json: cannot unmarshal array into Go value of type map[string]interface {}',
    ],
    [
      forge('nope', CLAIMS),
      `${malformed}could not JSON decode header: ` +
        "invalid character 'o' in literal null (expecting 'u')",
    ],
    [
      forge(HEADER, '3'),
      `${malformed}could not JSON decode claim: ` +
        'json: cannot unmarshal number into Go value of type jwt.MapClaims',
    ],
    [forge({}, CLAIMS), 'token is unverifiable: signing method (alg) is unspecified'],
    [forge({ alg: 'HS1' }, CLAIMS), 'token is unverifiable: signing method (alg) is unavailable'],
    [
      `${header}.${claims}.${signature}=`,
      `${malformed}could not base64 decode signature: illegal base64 data at input byte 43`,
    ],
    ...['none', 'HS512', 'RS256'].map(
      (alg) =>
        [
          forge({ alg }, CLAIMS),
          'token is unverifiable: error while executing keyfunc: invalid signing method',
        ] as const,
    ),
    [`${header}.${claims}.`, 'token signature is invalid: signature is invalid'],
    [forge(HEADER, 'null'), 'failed to obtain user claims from jwt token'],
    [forge(HEADER, { revision: 7 }), 'failed to obtain user claims from jwt token'],
    [forge(HEADER, { ...CLAIMS, username: 3 }), 'failed to obtain user claims from jwt token'],
    [
      forge(HEADER, { ...CLAIMS, revision: '7' }),
      'failed to obtain revision claims from jwt token',
    ],
  ];
  for (const [token, text] of cases) expect(faultOf(token)).toBe(text);
});
