/**
 * How many connections one side of a member may hold, clients or other members. Descriptors are
 * also what the log and the database need: a member that has given all of them to clients would end
 * at the next file.
 */

import { limits } from '../limits.ts';

export class ConnectionLimit {
  readonly max: number;
  #open = 0;

  constructor(max: number) {
    this.max = max;
  }

  get isExceeded(): boolean {
    return this.#open > this.max;
  }

  opened(): void {
    this.#open++;
  }

  closed(): void {
    this.#open--;
  }
}

/** `descriptors`: how many the process may have; `null` where the system does not say. */
export function clientConnectionsMax(descriptors: number | null): number {
  const { connectionsMax, descriptorsReserved } = limits;
  if (descriptors === null) return connectionsMax;
  const left = Math.max(Math.floor(descriptors / 2), descriptors - descriptorsReserved);
  return Math.min(connectionsMax, left);
}
