/**
 * Keys for signed tokens: the methods of RFC 7518 that etcd knows, over Node's crypto. A key file
 * holds what Go's reader takes: the first PEM block, whatever its label says, as PKCS #1, SEC 1,
 * PKCS #8, a public key or a certificate.
 *
 * It signs and verifies bytes and knows nothing of tokens. Faults are told in Go's words, as a
 * `SigningKeyError`, except for the reason why DER could not be read, which is its own.
 */

import {
  constants,
  createHmac,
  createPrivateKey,
  createPublicKey,
  sign as cryptoSign,
  verify as cryptoVerify,
  type KeyObject,
  type SignKeyObjectInput,
  timingSafeEqual,
  X509Certificate,
} from 'node:crypto';

export class SigningKeyError extends Error {
  override readonly name = 'SigningKeyError';
}

/** `null` for a signature that is right, or Go's words for what is wrong with it. */
type Verify = (text: string, signature: Uint8Array) => string | null;

export interface SigningKey {
  /** RFC 7518's name of the method, as in a token's header. */
  readonly method: string;
  /** `null` with a public key only. Throws `SigningKeyError` when the key cannot sign so. */
  readonly sign: ((text: string) => Uint8Array) | null;
  readonly verify: Verify;
}

type Family = 'HMAC' | 'RSA' | 'RSA-PSS' | 'ECDSA' | 'Ed25519';

interface Method {
  readonly family: Family;
  readonly hash: string | null;
  /** ECDSA: bytes of each half of a signature, and Node's name of the only curve that signs. */
  readonly halfBytes: number;
  readonly curve: string;
}

function method(family: Family, hash: string | null, halfBytes = 0, curve = ''): Method {
  return { family, hash, halfBytes, curve };
}

const METHODS: ReadonlyMap<string, Method> = new Map([
  ['HS256', method('HMAC', 'sha256')],
  ['HS384', method('HMAC', 'sha384')],
  ['HS512', method('HMAC', 'sha512')],
  ['RS256', method('RSA', 'sha256')],
  ['RS384', method('RSA', 'sha384')],
  ['RS512', method('RSA', 'sha512')],
  ['PS256', method('RSA-PSS', 'sha256')],
  ['PS384', method('RSA-PSS', 'sha384')],
  ['PS512', method('RSA-PSS', 'sha512')],
  ['ES256', method('ECDSA', 'sha256', 32, 'prime256v1')],
  ['ES384', method('ECDSA', 'sha384', 48, 'secp384r1')],
  ['ES512', method('ECDSA', 'sha512', 66, 'secp521r1')],
  ['EdDSA', method('Ed25519', null)],
]);

/** The library knows this one too, and etcd refuses it a step later than others. */
const UNSIGNED = 'none';

export function isSigningMethod(name: string): boolean {
  return METHODS.has(name) || name === UNSIGNED;
}

/** Empty bytes stand for a key that is not given. Throws `SigningKeyError`. */
export function openSigningKey(name: string, publicPem: Buffer, privatePem: Buffer): SigningKey {
  const found = METHODS.get(name);
  if (found === undefined) {
    throw new SigningKeyError('unsupported signing method: *jwt.signingMethodNone');
  }
  if (found.family === 'HMAC') return hmacKey(name, found, privatePem);
  const kind = KINDS[found.family];
  const privateKey = privatePem.length === 0 ? null : readPrivate(kind, privatePem);
  const publicKey = publicPem.length === 0 ? null : readPublic(kind, publicPem);
  const verifying = privateKey === null ? publicKey : createPublicKey(privateKey);
  if (verifying === null) throw new SigningKeyError('auth: missing key data');
  if (publicKey !== null && !publicKey.equals(verifying)) {
    throw new SigningKeyError("auth: public and private keys don't match");
  }
  return {
    method: name,
    sign: privateKey === null ? null : (text) => signWith(found, privateKey, text),
    verify: (text, signature) => verifyWith(found, kind, verifying, text, signature),
  };
}

function hmacKey(name: string, { hash }: Method, secret: Buffer): SigningKey {
  if (secret.length === 0) throw new SigningKeyError('auth: missing key data');
  const sign = (text: string): Buffer =>
    createHmac(hash ?? '', secret)
      .update(text)
      .digest();
  return {
    method: name,
    sign,
    verify: (text, signature) => {
      const expected = sign(text);
      const same = signature.length === expected.length && timingSafeEqual(signature, expected);
      return same ? null : 'signature is invalid';
    },
  };
}

function signWith(how: Method, key: KeyObject, text: string): Uint8Array {
  if (how.family === 'ECDSA' && key.asymmetricKeyDetails?.namedCurve !== how.curve) {
    throw new SigningKeyError('key is invalid');
  }
  const saltLength = constants.RSA_PSS_SALTLEN_DIGEST;
  try {
    return cryptoSign(how.hash, Buffer.from(text), keyInput(how, key, saltLength));
  } catch {
    // Keys that were read and have the right curve only fail by being too short for the hash.
    throw new SigningKeyError('crypto/rsa: message too long for RSA key size');
  }
}

function verifyWith(
  how: Method,
  { fault }: KeyKind,
  key: KeyObject,
  text: string,
  signature: Uint8Array,
): string | null {
  if (how.family === 'ECDSA' && signature.length !== 2 * how.halfBytes) return fault;
  const saltLength = constants.RSA_PSS_SALTLEN_AUTO;
  try {
    const input = keyInput(how, key, saltLength);
    return cryptoVerify(how.hash, Buffer.from(text), input, signature) ? null : fault;
  } catch {
    return fault;
  }
}

function keyInput({ family }: Method, key: KeyObject, saltLength: number): SignKeyObjectInput {
  if (family === 'ECDSA') return { key, dsaEncoding: 'ieee-p1363' };
  if (family === 'RSA') return { key, padding: constants.RSA_PKCS1_PADDING };
  if (family === 'RSA-PSS') return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
  return { key };
}

interface KeyKind {
  readonly type: string;
  readonly name: string;
  /** The form of private keys that Go tries before PKCS #8. */
  readonly ownForm: 'pkcs1' | 'sec1' | null;
  readonly certificates: boolean;
  /** What Go says of a wrong signature. */
  readonly fault: string;
}

const RSA_KIND: KeyKind = {
  type: 'rsa',
  name: 'RSA',
  ownForm: 'pkcs1',
  certificates: true,
  fault: 'crypto/rsa: verification error',
};
const KINDS: Readonly<Record<Exclude<Family, 'HMAC'>, KeyKind>> = {
  RSA: RSA_KIND,
  'RSA-PSS': RSA_KIND,
  ECDSA: {
    type: 'ec',
    name: 'ECDSA',
    ownForm: 'sec1',
    certificates: true,
    fault: 'crypto/ecdsa: verification error',
  },
  Ed25519: {
    type: 'ed25519',
    name: 'Ed25519',
    ownForm: null,
    certificates: false,
    fault: 'ed25519: verification error',
  },
};
/** Go's curves. */
const CURVES: readonly string[] = ['secp224r1', 'prime256v1', 'secp384r1', 'secp521r1'];

function readPrivate(kind: KeyKind, pem: Buffer): KeyObject {
  const der = firstBlock(pem);
  const { ownForm } = kind;
  const key =
    attempt(() => ownForm && createPrivateKey({ key: der, format: 'der', type: ownForm })) ??
    attempt(() => createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
  if (key === null) throw new SigningKeyError(privateFault(der));
  if (!isOf(kind, key)) throw new SigningKeyError(`key is not a valid ${kind.name} private key`);
  return key;
}

/** Go recognizes the forms that other methods would have taken. */
function privateFault(der: Buffer): string {
  for (const [type, reader] of [
    ['sec1', 'ParseECPrivateKey'],
    ['pkcs1', 'ParsePKCS1PrivateKey'],
  ] as const) {
    if (attempt(() => createPrivateKey({ key: der, format: 'der', type })) !== null) {
      return `x509: failed to parse private key (use ${reader} instead for this key format)`;
    }
  }
  return 'x509: failed to parse private key';
}

function readPublic(kind: KeyKind, pem: Buffer): KeyObject {
  const der = firstBlock(pem);
  const key =
    attempt(() => createPublicKey({ key: der, format: 'der', type: 'spki' })) ??
    attempt(() => (kind.certificates ? new X509Certificate(der).publicKey : null)) ??
    attempt(() =>
      kind === RSA_KIND ? createPublicKey({ key: der, format: 'der', type: 'pkcs1' }) : null,
    );
  if (key === null) throw new SigningKeyError('x509: failed to parse public key');
  if (!isOf(kind, key)) throw new SigningKeyError(`key is not a valid ${kind.name} public key`);
  return key;
}

function isOf(kind: KeyKind, key: KeyObject): boolean {
  if (key.asymmetricKeyType !== kind.type) return false;
  return kind.type !== 'ec' || CURVES.includes(key.asymmetricKeyDetails?.namedCurve ?? '');
}

function attempt(read: () => KeyObject | null): KeyObject | null {
  try {
    return read();
  } catch {
    return null;
  }
}

function firstBlock(pem: Buffer): Buffer {
  const text = pem.toString('latin1');
  const block = /-----BEGIN ([^\n]*?)-----[^\n]*\n([\s\S]*?)\n?-----END \1-----/.exec(text)?.[2];
  if (block === undefined) {
    throw new SigningKeyError('invalid key: Key must be a PEM encoded PKCS1 or PKCS8 key');
  }
  return Buffer.from(block.replace(/^[^\n]*:[^\n]*\n/gm, ''), 'base64');
}
