/** What authentication is made of in a member: tokens and the hashing of passwords. */

import type { Passwords, TokenProvider } from '../auth/token-provider.ts';
import type { Settings } from '../config/flags.ts';
import type { Log } from '../log.ts';
import { openTokenProvider } from '../platform/auth-token.ts';
import { systemClock } from '../platform/clock.ts';
import { BcryptPasswords } from '../platform/passwords.ts';
import { systemRandom } from '../platform/random.ts';

export interface AuthParts {
  readonly tokens: TokenProvider;
  readonly passwords: Passwords;
}

/** Throws `ValueError` when `--auth-token` makes no sense. */
export function openAuth(config: Settings, log: Log): AuthParts {
  const { authToken, authTokenTtl, bcryptCost: cost } = config;
  const common = { random: systemRandom, clock: systemClock, log };
  return {
    tokens: openTokenProvider({ authToken, authTokenTtl, ...common }),
    passwords: new BcryptPasswords({ cost, log }),
  };
}
