/**
 * The leader's duty to leases: to let them expire. It begins with the first applied entry of the
 * leader's own term, since only then is it known which leases there are, and ends with leadership.
 */

import type { Lessor } from '../lease/lessor.ts';
import { limits } from '../limits.ts';
import type { LeaseId, Term } from '../types.ts';

const CHECK_MS = 500;

export interface LeaseKeeperOptions {
  readonly lessor: Lessor;
  readonly tickMs: number;
  readonly electionTicks: number;
  /** Puts the end of a lease into the log. */
  readonly revoke: (id: LeaseId) => Promise<unknown>;
  readonly expired: () => void;
}

export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #checkTicks: number;
  #primaryTerm: Term | null = null;
  #revokesInflight = 0;

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
    this.#checkTicks = Math.max(1, Math.round(CHECK_MS / options.tickMs));
  }

  /** An entry of its own term was applied by the leader. */
  lead(term: Term, tick: number): void {
    if (this.#primaryTerm === term) return;
    this.#primaryTerm = term;
    this.#options.lessor.promote(tick, this.#options.electionTicks);
  }

  follow(): void {
    if (this.#primaryTerm === null) return;
    this.#primaryTerm = null;
    this.#options.lessor.demote();
  }

  tick(tick: number): void {
    this.#options.lessor.tick(tick);
    if (this.#primaryTerm === null || tick % this.#checkTicks !== 0) return;
    const room = limits.leaseRevokesInflightMax - this.#revokesInflight;
    if (room <= 0) return;
    const max = Math.min(room, limits.leaseExpiriesPerCheckMax);
    for (const id of this.#options.lessor.expired(tick, max)) this.#revoke(id);
  }

  #revoke(id: LeaseId): void {
    this.#revokesInflight++;
    const done = (): void => {
      this.#revokesInflight--;
    };
    // A failed revoke is tried again by a later check; the lease stays expired until then.
    this.#options.revoke(id).then(() => {
      done();
      this.#options.expired();
    }, done);
  }
}
