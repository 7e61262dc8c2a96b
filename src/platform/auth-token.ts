/**
 * What `--auth-token` asks for: simple tokens, signed ones with their options, or none. Options
 * that are wrong end the start, with etcd's log lines, before anything is written anywhere.
 */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { SimpleTokens } from '../auth/simple-tokens.ts';
import type { TokenProvider } from '../auth/token-provider.ts';
import { durationFault, ValueError } from '../config/go-text.ts';
import { parseDuration } from '../duration.ts';
import { errors } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Clock, Random } from '../ports.ts';
import { SignedTokens } from './signed-tokens.ts';
import { isSigningMethod, openSigningKey, SigningKeyError } from './signing-key.ts';

export interface AuthTokenOptions {
  /** The text of `--auth-token`. */
  readonly authToken: string;
  /** Seconds that a simple token lives. */
  readonly authTokenTtl: number;
  readonly random: Random;
  readonly clock: Pick<Clock, 'now' | 'monotonic'>;
  readonly log: Log;
}

const JWT_OPTIONS: readonly string[] = ['sign-method', 'pub-key', 'priv-key', 'ttl'];
const DEFAULT_TTL_MS = 300_000;
const INVALID_OPTIONS = 'auth: invalid auth options';

/** Throws `ValueError` with etcd's text, after etcd's log lines. */
export function openTokenProvider(options: AuthTokenOptions): TokenProvider {
  try {
    return open(options);
  } catch (error) {
    if (!(error instanceof ValueError || error instanceof SigningKeyError)) throw error;
    options.log.warn('failed to create token provider', { error: error.message });
    throw new ValueError(error.message, { cause: error });
  }
}

function open(options: AuthTokenOptions): TokenProvider {
  const { authToken, authTokenTtl, random, clock, log } = options;
  const [type = '', ...pairs] = authToken.split(',');
  const given = readPairs(pairs, authToken, log);
  if (type === 'simple') {
    log.warn('simple token is not cryptographically signed');
    return new SimpleTokens({ random, ttlSeconds: authTokenTtl, nowMs: clock.monotonic() });
  }
  if (type === 'jwt') return openSigned(given, options);
  if (type === '') return NO_TOKENS;
  log.warn('unknown token type', { type, error: INVALID_OPTIONS });
  throw new ValueError(INVALID_OPTIONS);
}

function readPairs(
  pairs: readonly string[],
  option: string,
  log: Log,
): ReadonlyMap<string, string> {
  const given = new Map<string, string>();
  for (const pair of pairs) {
    const [name = '', value, ...more] = pair.split('=');
    if (value === undefined || more.length > 0) {
      log.error('invalid token option', { option });
      throw new ValueError(INVALID_OPTIONS);
    }
    if (given.has(name)) {
      log.error('invalid token option', { option, 'duplicate-parameter': name });
      throw new ValueError(INVALID_OPTIONS);
    }
    given.set(name, value);
  }
  return given;
}

function openSigned(
  given: ReadonlyMap<string, string>,
  { clock, log }: AuthTokenOptions,
): SignedTokens {
  const method = given.get('sign-method') ?? '';
  let ttlMs: number;
  let publicPem: Buffer;
  let privatePem: Buffer;
  try {
    ttlMs = readTtl(given.get('ttl') ?? '');
    publicPem = readKeyFile(given.get('pub-key') ?? '');
    privatePem = readKeyFile(given.get('priv-key') ?? '');
    if (!isSigningMethod(method)) throw new ValueError('auth: invalid auth signature method');
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    log.error('problem loading JWT options', { error: error.message });
    throw new ValueError(INVALID_OPTIONS, { cause: error });
  }
  const keys = [...given.keys()].filter((name) => !JWT_OPTIONS.includes(name));
  if (keys.length > 0) log.warn('unknown JWT options', { keys });
  const key = openSigningKey(method, publicPem, privatePem);
  return new SignedTokens({ key, ttlMs, now: () => clock.now(), log });
}

function readTtl(text: string): number {
  if (text === '') return DEFAULT_TTL_MS;
  const ttlMs = parseDuration(text);
  if (ttlMs === null) throw new ValueError(durationFault(text));
  return ttlMs;
}

/** Go's words for the system's errors that a path can cause. */
const FILE_FAULTS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EISDIR: 'is a directory',
  ENOENT: 'no such file or directory',
  ENOTDIR: 'not a directory',
};

function readKeyFile(path: string): Buffer {
  if (path === '') return Buffer.alloc(0);
  try {
    return readFileSync(path);
  } catch (error) {
    const { code = '', syscall = 'open', message } = error as NodeJS.ErrnoException;
    throw new ValueError(`${syscall} ${path}: ${FILE_FAULTS[code] ?? message}`, { cause: error });
  }
}

/** `--auth-token ''`: who is known by a certificate needs no token, and nobody else gets in. */
const NO_TOKENS: TokenProvider = {
  prefix: () => '',
  assign: () => {
    throw errors.authFailed;
  },
  waitsFor: () => 0,
  info: () => null,
  invalidateUser: () => {},
  enable: () => {},
  disable: () => {},
  tick: () => {},
};

/** What log lines show of a token. */
export function tokenFingerprint(token: string): string {
  return createHash('sha256').update(token).digest('hex').slice(0, 12);
}
