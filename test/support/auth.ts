/** What a store of users asks of tokens and passwords, for members without a network. */

import type { AuthStoreOptions } from '../../src/auth/auth-store.ts';
import { SimpleTokens } from '../../src/auth/simple-tokens.ts';
import { seededRandom } from '../../src/platform/random.ts';

export function authOptions(seed = 1n): Omit<AuthStoreOptions, 'rows'> {
  const random = seededRandom(seed);
  return {
    tokens: new SimpleTokens({ random, ttlSeconds: 300, nowMs: 0 }),
    hashNow: (password) => (password.length > 72 ? null : `hash of ${password}`),
  };
}
