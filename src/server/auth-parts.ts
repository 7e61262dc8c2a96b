/** What authentication is made of in a member: tokens and the hashing of passwords. */

import { SimpleTokens } from '../auth/simple-tokens.ts';
import type { Settings } from '../config/flags.ts';
import { systemClock } from '../platform/clock.ts';
import { systemRandom } from '../platform/random.ts';
import type { StateOptions } from '../replica/open-state.ts';

export function openAuth(config: Settings): StateOptions['auth'] {
  const tokens = new SimpleTokens({
    random: systemRandom,
    ttlSeconds: config.authTokenTtl,
    nowMs: systemClock.monotonic(),
  });
  return { tokens, hashNow: () => null };
}
