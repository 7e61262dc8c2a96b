/**
 * Signed tokens (JWT) as etcd makes and reads them: the claims username, revision and exp, and one
 * method of signing. Nothing is remembered: a token is good until its time is over or the auth
 * revision has moved on, on every member that has the key.
 *
 * Signatures that were found right are kept for a while, since each request brings one and checking
 * it takes longer than the request. Safety: what is kept is the token as a whole, and its times are
 * looked at each time.
 */

import type { TokenInfo, TokenProvider } from '../auth/token-provider.ts';
import { Code, EtcdError, errors } from '../errors.ts';
import { jsonSyntaxError } from '../json-syntax.ts';
import { limits } from '../limits.ts';
import type { Log } from '../log.ts';
import { isSigningMethod, type SigningKey, SigningKeyError } from './signing-key.ts';

export interface SignedTokensOptions {
  readonly key: SigningKey;
  readonly ttlMs: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly log: Log;
}

type Claims = Readonly<Record<string, unknown>>;

/** Why a token is refused, in the words of Go's library. */
class TokenFault extends Error {
  override readonly name = 'TokenFault';
}

export class SignedTokens implements TokenProvider {
  readonly #options: SignedTokensOptions;
  readonly #header: string;
  /** Claims of tokens whose signature is right, the longest known first. */
  readonly #verified = new Map<string, Claims>();

  constructor(options: SignedTokensOptions) {
    this.#options = options;
    this.#header = encode(JSON.stringify({ alg: options.key.method, typ: 'JWT' }));
  }

  prefix(): string {
    return '';
  }

  assign(user: string, authRevision: number): string {
    const { key, ttlMs, now } = this.#options;
    if (key.sign === null) throw errors.tokenVerifyOnly;
    const exp = Math.floor((now() + ttlMs) / 1000);
    const claims = { exp, revision: authRevision, username: user };
    const text = `${this.#header}.${encode(goJson(claims))}`;
    try {
      return `${text}.${Buffer.from(key.sign(text)).toString('base64url')}`;
    } catch (error) {
      if (error instanceof SigningKeyError) throw new EtcdError(Code.UNKNOWN, error.message);
      throw error;
    }
  }

  waitsFor(): number {
    return 0;
  }

  info(token: string): TokenInfo | null {
    const { log, now } = this.#options;
    let claims: Claims;
    try {
      claims = this.#verified.get(token) ?? this.#verify(token);
      checkTimes(claims, now() / 1000);
    } catch (error) {
      if (!(error instanceof TokenFault)) throw error;
      log.warn('failed to parse a JWT token', { error: error.message });
      return null;
    }
    const { username, revision } = claims;
    if (typeof username !== 'string') {
      log.warn('failed to obtain user claims from jwt token');
      return null;
    }
    if (typeof revision !== 'number') {
      log.warn('failed to obtain revision claims from jwt token');
      return null;
    }
    return { user: username, revision: Math.trunc(revision) };
  }

  invalidateUser(): void {}

  enable(): void {}

  disable(): void {}

  tick(): void {}

  /** The claims of a token with the right signature. Throws `TokenFault`. */
  #verify(token: string): Claims {
    const { key } = this.#options;
    const [header = '', claims = '', signature = '', ...more] = token.split('.', 4);
    if (token.split('.', 3).length < 3 || more.length > 0) {
      throw new TokenFault('token is malformed: token contains an invalid number of segments');
    }
    const { alg } = readObject('header', header, 'map[string]interface {}');
    const read = readObject('claim', claims, 'jwt.MapClaims');
    if (typeof alg !== 'string') {
      throw new TokenFault('token is unverifiable: signing method (alg) is unspecified');
    }
    if (!isSigningMethod(alg)) {
      throw new TokenFault('token is unverifiable: signing method (alg) is unavailable');
    }
    const bytes = decode('signature', signature);
    if (alg !== key.method) {
      const reason = 'error while executing keyfunc: invalid signing method';
      throw new TokenFault(`token is unverifiable: ${reason}`);
    }
    const fault = key.verify(`${header}.${claims}`, bytes);
    if (fault !== null) throw new TokenFault(`token signature is invalid: ${fault}`);
    this.#remember(token, read);
    return read;
  }

  #remember(token: string, claims: Claims): void {
    if (this.#verified.size >= limits.signedTokensKnownMax) {
      for (const oldest of this.#verified.keys()) {
        this.#verified.delete(oldest);
        break;
      }
    }
    this.#verified.set(token, claims);
  }
}

/** Throws `TokenFault` when a token is over or has not begun. */
function checkTimes(claims: Claims, nowSeconds: number): void {
  const faults: string[] = [];
  const exp = timeOf(claims, 'exp', faults);
  if (exp !== null && nowSeconds >= exp) faults.push('token is expired');
  const nbf = timeOf(claims, 'nbf', faults);
  if (nbf !== null && nowSeconds < nbf) faults.push('token is not valid yet');
  if (faults.length > 0) throw new TokenFault(`token has invalid claims: ${faults.join(', ')}`);
}

/** etcd: a time that is missing or 0 binds nobody. */
function timeOf(claims: Claims, name: string, faults: string[]): number | null {
  if (!Object.hasOwn(claims, name) || claims[name] === 0) return null;
  const value = claims[name];
  if (typeof value === 'number') return value;
  faults.push(`invalid type for claim: ${name} is invalid`);
  return null;
}

function readObject(what: string, segment: string, goType: string): Claims {
  const text = decode(what, segment).toString();
  const malformed = `token is malformed: could not JSON decode ${what}: `;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    const fault = jsonSyntaxError(text) ?? 'unexpected EOF';
    const ended = fault === 'unexpected EOF';
    throw new TokenFault(malformed + (ended ? 'unexpected end of JSON input' : fault));
  }
  if (value === null) return {};
  if (typeof value === 'object' && !Array.isArray(value)) return value as Claims;
  const found = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
  throw new TokenFault(
    `${malformed}json: cannot unmarshal ${found} into Go value of type ${goType}`,
  );
}

/** Strict, so that one token has one text. */
function decode(what: string, segment: string): Buffer {
  const bad = segment.search(/[^A-Za-z0-9_-]/);
  const at = bad < 0 && segment.length % 4 === 1 ? segment.length - 1 : bad;
  if (at < 0) return Buffer.from(segment, 'base64url');
  const reason = `illegal base64 data at input byte ${at}`;
  throw new TokenFault(`token is malformed: could not base64 decode ${what}: ${reason}`);
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64url');
}

/** As Go's encoding/json writes it, which escapes what HTML could mistake. */
function goJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
