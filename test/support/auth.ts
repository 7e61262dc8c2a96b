/** Tokens and passwords for members without a network: simple tokens, and hashes that are none. */

import { SimpleTokens } from '../../src/auth/simple-tokens.ts';
import type { Passwords, TokenProvider } from '../../src/auth/token-provider.ts';
import { seededRandom } from '../../src/platform/random.ts';

export interface FakeAuth {
  readonly tokens: TokenProvider;
  readonly passwords: FakePasswords;
}

export function authOptions(seed = 1n): FakeAuth {
  const random = seededRandom(seed);
  return {
    tokens: new SimpleTokens({ random, ttlSeconds: 300, nowMs: 0 }),
    passwords: new FakePasswords(),
  };
}

export class FakePasswords implements Passwords {
  /** What passwords were compared with, `null` for users that do not exist. */
  readonly compared: (string | null)[] = [];
  /** Runs while a password is compared. */
  meanwhile: () => Promise<unknown> = async () => {};

  async hash(password: string): Promise<string> {
    return `hash of ${password}`;
  }

  async matches(password: string, hash: string | null): Promise<boolean> {
    this.compared.push(hash);
    await this.meanwhile();
    return hash === `hash of ${password}`;
  }

  hashNow(password: string): string | null {
    return password.length > 72 ? null : `hash of ${password}`;
  }

  async close(): Promise<void> {}
}
