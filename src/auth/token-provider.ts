/**
 * What the users' store asks of tokens and passwords. How a token is made, signed or kept, and how
 * a password is hashed, is known only behind these two; nothing here knows users or roles.
 *
 * A provider is called while an entry is applied, on every member alike. What it answers there is
 * local: the token goes to the client of the member that proposed, and nothing of it is stored.
 */

import type { Index } from '../types.ts';

/** Who a token stands for, and the auth revision that its requests are checked against. */
export interface TokenInfo {
  readonly user: string;
  readonly revision: number;
}

export interface TokenProvider {
  /** What a proposer puts into `InternalAuthenticateRequest.simple_token`; '' when signed. */
  prefix(): string;
  /**
   * The token of a user whose password was right, when the Authenticate entry `index` is applied. A
   * simple token is the same on every member, and is remembered; a signed one is made anew, so only
   * the proposer has to ask. Throws an `EtcdError` when this member cannot make tokens.
   */
  assign(user: string, authRevision: number, prefix: string, index: Index): string;
  /**
   * The entry that must be applied here before `info` may be asked: a token can arrive at a member
   * that is behind. 0 for none, and for what cannot be a token. Any client can name any index.
   */
  waitsFor(token: string): Index;
  /**
   * Whose token this is, or null for one that is unknown, expired or forged. `authRevision` is the
   * present one: a simple token carries none of its own.
   */
  info(token: string, authRevision: number): TokenInfo | null;
  /** Forgets the tokens of a user who was deleted or has a new password. */
  invalidateUser(user: string): void;
  /** Auth was turned on, or was on when the state was read. */
  enable(): void;
  /** Auth was turned off: forgets all tokens. */
  disable(): void;
  /** Monotonic milliseconds, told at least every second. */
  tick(nowMs: number): void;
}

export interface Passwords {
  /**
   * bcrypt's text, as Go writes it ($2a$ and the cost). Throws an `EtcdError`: over 72 bytes, or
   * too many passwords waiting.
   */
  hash(password: string): Promise<string>;
  /**
   * False for a hash that is none, and after the usual time for `null`: so nobody hears from the
   * clock which users there are. Throws an `EtcdError` when too many passwords are waiting.
   */
  matches(password: string, hash: string | null): Promise<boolean>;
  /** `hash` while everything waits, or null: for entries that came with the password itself. */
  hashNow(password: string): string | null;
  /** Ends what works in the background. What waits fails as stopped. */
  close(): Promise<void>;
}
