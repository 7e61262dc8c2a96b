/**
 * bcrypt as Go's golang.org/x/crypto has it, on Node's pool of threads: the loop never waits for
 * it.
 *
 * The same few threads sync the log, so only one or two passwords are worked on at once, and the
 * others queue here, up to a limit. Nothing here knows users. A hash with an enormous cost can be
 * stored by who may write users; it then holds up logins, and nothing else.
 */

import { timingSafeEqual } from 'node:crypto';
import { availableParallelism } from 'node:os';
import bcrypt from 'bcrypt';
import type { Passwords } from '../auth/token-provider.ts';
import { errors } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Log } from '../log.ts';

const COST_MIN = 4;
const COST_MAX = 31;
const COST_DEFAULT = 10;
/** Bytes of a password that bcrypt looks at. */
const PASSWORD_BYTES_MAX = 72;
/** Salt and digest in bcrypt's own base64. */
const HASH = /^\$2[^$]?\$(\d\d)\$([./A-Za-z0-9]{22})([./A-Za-z0-9]{31})/;
/** Compared with when there is nothing to compare with; nobody's password gives this digest. */
const NO_SALT = '.'.repeat(22);
const NO_DIGEST = '.'.repeat(31);

export interface BcryptOptions {
  readonly cost: number;
  readonly log: Log;
  readonly atOnce?: number;
  readonly queuedMax?: number;
}

interface Waiting {
  readonly start: () => void;
  readonly stop: () => void;
}

export class BcryptPasswords implements Passwords {
  readonly #cost: number;
  readonly #atOnce: number;
  readonly #queuedMax: number;
  readonly #queue: Waiting[] = [];
  #running = 0;
  #closed = false;

  constructor({ cost, log, atOnce = threads(), queuedMax }: BcryptOptions) {
    this.#cost = cost >= COST_MIN && cost <= COST_MAX ? cost : COST_DEFAULT;
    if (this.#cost !== cost) {
      log.warn('use default bcrypt cost instead of the invalid given cost', {
        'min-cost': COST_MIN,
        'max-cost': COST_MAX,
        'default-cost': COST_DEFAULT,
        'given-cost': cost,
      });
    }
    this.#atOnce = atOnce;
    this.#queuedMax = queuedMax ?? limits.passwordsQueuedMax;
  }

  async hash(password: string): Promise<string> {
    const bytes = Buffer.from(password);
    if (bytes.length > PASSWORD_BYTES_MAX) throw errors.passwordTooLong;
    return await this.#inTurn(() => bcrypt.hash(bytes, this.#newSalt()));
  }

  hashNow(password: string): string | null {
    const bytes = Buffer.from(password);
    return bytes.length > PASSWORD_BYTES_MAX ? null : bcrypt.hashSync(bytes, this.#newSalt());
  }

  async matches(password: string, hash: string | null): Promise<boolean> {
    const parts = hash === null ? null : HASH.exec(hash);
    if (hash !== null && parts === null) return false;
    const [, digits = String(this.#cost), salt = NO_SALT, digest = NO_DIGEST] = parts ?? [];
    const cost = Number(digits);
    if (cost < COST_MIN || cost > COST_MAX) return false;
    // Go ignores what is beyond; this library would count the length in one byte.
    const bytes = Buffer.from(password).subarray(0, PASSWORD_BYTES_MAX);
    const made = await this.#inTurn(() => bcrypt.hash(bytes, saltText(cost, salt)));
    return timingSafeEqual(Buffer.from(made.slice(-NO_DIGEST.length)), Buffer.from(digest));
  }

  close(): Promise<void> {
    this.#closed = true;
    for (const waiting of this.#queue.splice(0)) waiting.stop();
    return Promise.resolve();
  }

  async #inTurn(work: () => Promise<string>): Promise<string> {
    if (this.#closed) throw errors.stopped;
    if (this.#running >= this.#atOnce) {
      if (this.#queue.length >= this.#queuedMax) throw errors.tooManyRequests;
      // Who starts it has counted it as running.
      await new Promise<void>((start, reject) => {
        this.#queue.push({ start, stop: () => reject(errors.stopped) });
      });
    } else {
      this.#running++;
    }
    try {
      return await work();
    } finally {
      const next = this.#queue.shift();
      if (next === undefined) this.#running--;
      else next.start();
    }
  }

  #newSalt(): string {
    return bcrypt.genSaltSync(this.#cost, 'a');
  }
}

/** One core is the loop's. */
function threads(): number {
  return availableParallelism() > 2 ? limits.passwordsAtOnce : 1;
}

function saltText(cost: number, salt: string): string {
  return `$2a$${String(cost).padStart(2, '0')}$${salt}`;
}
