/**
 * Where errors go that end a member. While it starts they become the failure of the start; later
 * its owner hears of the first one; while it closes they can only be logged.
 */

import type { Log } from '../log.ts';

export class FatalErrors {
  readonly #log: Log;
  readonly #owner: (error: unknown) => void;
  #first: { readonly error: unknown } | null = null;
  #phase: 'starting' | 'running' | 'closing' = 'starting';

  constructor(log: Log, owner: (error: unknown) => void) {
    this.#log = log;
    this.#owner = owner;
  }

  readonly report = (error: unknown): void => {
    if (this.#phase === 'closing') {
      this.#log.warn('failed while closing', { error: String(error) });
      return;
    }
    if (this.#first !== null) return;
    this.#first = { error };
    if (this.#phase === 'running') this.#owner(error);
  };

  started(): void {
    this.#phase = 'running';
  }

  closing(): void {
    this.#phase = 'closing';
  }

  /** Why the start failed, when `error` is only what followed from it. */
  reasonFor(error: unknown): unknown {
    return this.#first === null ? error : this.#first.error;
  }
}
