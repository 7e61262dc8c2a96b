/**
 * Simple tokens: sixteen random letters of the proposer, a point, and the index of the log entry;
 * so every member makes the same token when it applies the entry. They live in memory only.
 *
 * Each use on a member starts the token's time to live afresh on that member, as etcd does.
 * Invariant: the map is ordered by deadline, since every deadline is set to now + TTL and its token
 * moved to the end. So the oldest are found without looking at the others.
 * Limit: etcd remembers any number; here the longest unused ones make room.
 */

import { assert } from '../assert.ts';
import { limits } from '../limits.ts';
import type { Random } from '../ports.ts';
import type { Index } from '../types.ts';
import type { TokenInfo, TokenProvider } from './token-provider.ts';

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
const PREFIX_LETTERS = 16;
/** etcd: looks for expired tokens once a second, and a token works until it is found. */
const SWEEP_MS = 1000;
/** etcd: what a time to live of 0 means. */
const DEFAULT_TTL_SECONDS = 300;
const U64_MAX = (1n << 64n) - 1n;

interface Login {
  readonly user: string;
  deadlineMs: number;
}

export interface SimpleTokensOptions {
  /** The system's: who can guess a token is its user. */
  readonly random: Random;
  readonly ttlSeconds: number;
  /** Monotonic milliseconds at the beginning, on the clock of `tick`. */
  readonly nowMs: number;
  readonly max?: number;
}

export class SimpleTokens implements TokenProvider {
  readonly #random: Random;
  readonly #ttlMs: number;
  readonly #max: number;
  #enabled = false;
  #nowMs: number;
  #nextSweepMs: number;
  readonly #logins = new Map<string, Login>();

  constructor({ random, ttlSeconds, nowMs, max = limits.simpleTokensMax }: SimpleTokensOptions) {
    this.#random = random;
    this.#ttlMs = (ttlSeconds > 0 ? ttlSeconds : DEFAULT_TTL_SECONDS) * 1000;
    this.#max = max;
    this.#nowMs = nowMs;
    this.#nextSweepMs = nowMs + SWEEP_MS;
  }

  prefix(): string {
    let letters = '';
    while (letters.length < PREFIX_LETTERS) letters += LETTERS[this.#random.below(LETTERS.length)];
    return letters;
  }

  assign(user: string, _authRevision: number, prefix: string, index: Index): string {
    const token = `${prefix}.${index}`;
    if (!this.#enabled) return token;
    assert(!this.#logins.has(token), 'an entry makes a token once');
    if (this.#logins.size >= this.#max) this.#forgetOldest();
    this.#logins.set(token, { user, deadlineMs: this.#nowMs + this.#ttlMs });
    return token;
  }

  waitsFor(token: string): Index {
    return indexOf(token) ?? 0;
  }

  info(token: string, authRevision: number): TokenInfo | null {
    const login = this.#logins.get(token);
    if (login === undefined) return null;
    login.deadlineMs = this.#nowMs + this.#ttlMs;
    this.#logins.delete(token);
    this.#logins.set(token, login);
    return { user: login.user, revision: authRevision };
  }

  invalidateUser(user: string): void {
    for (const [token, login] of this.#logins) if (login.user === user) this.#logins.delete(token);
  }

  enable(): void {
    this.#enabled = true;
  }

  disable(): void {
    this.#enabled = false;
    this.#logins.clear();
  }

  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    if (nowMs < this.#nextSweepMs) return;
    this.#nextSweepMs = nowMs + SWEEP_MS;
    for (const [token, { deadlineMs }] of this.#logins) {
      if (deadlineMs >= nowMs) return;
      this.#logins.delete(token);
    }
  }

  #forgetOldest(): void {
    for (const token of this.#logins.keys()) {
      this.#logins.delete(token);
      return;
    }
  }
}

/** The index in a token, or null when it has none. Beyond 2^53 nothing is ever applied anyway. */
function indexOf(token: string): Index | null {
  const digits = /^[^.]*\.0*(\d{1,20})$/.exec(token)?.[1];
  if (digits === undefined) return null;
  const index = BigInt(digits);
  return index > U64_MAX ? null : Math.min(Number(index), Number.MAX_SAFE_INTEGER);
}
