/**
 * The backend quota, as a client meets it: a request that would not fit is refused before anything
 * else is looked at, and raises the NOSPACE alarm for this member.
 *
 * Sizes are logical (bytes of rows, in etcd's pages), so that they do not depend on when LevelDB
 * tidies up. As in etcd the size only grows until a defragmentation; compaction frees "in use".
 */

import { errors } from '../errors.ts';
import type { Replica } from '../replica/replica.ts';

const PAGE_BYTES = 4096;
/** etcd: an empty database: two meta pages, the root and two more. */
const EMPTY_BYTES = 5 * PAGE_BYTES;

function pages(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}

/** Rows that know how many bytes they are, and how many they have been. */
export interface CountedRows {
  readonly liveBytes: number;
  /** Survives a restart, as the size of etcd's file does. */
  readonly peakBytes: number;
  forgetPeak(): void;
}

export class DatabaseSize {
  readonly #rows: CountedRows;

  constructor(rows: CountedRows) {
    this.#rows = rows;
  }

  get inUse(): number {
    return EMPTY_BYTES + pages(this.#rows.liveBytes);
  }

  get total(): number {
    return EMPTY_BYTES + pages(this.#rows.peakBytes);
  }

  defragmented(): void {
    this.#rows.forgetPeak();
  }
}

export class Space {
  readonly #replica: Replica;
  readonly #size: DatabaseSize;
  /** `null`: no quota. */
  readonly quotaBytes: number | null;

  constructor(replica: Replica, size: DatabaseSize, quotaBytes: number | null) {
    this.#replica = replica;
    this.#size = size;
    this.quotaBytes = quotaBytes;
  }

  /** Whether `cost` bytes more stay below the quota. */
  fits(cost: number): boolean {
    return cost === 0 || fits(this.#size, this.quotaBytes, cost);
  }

  /** Raises the alarm, and then refuses. */
  async refuse(): Promise<never> {
    await this.#replica.raiseNoSpace();
    throw errors.noSpace;
  }
}

export function fits(size: DatabaseSize, quotaBytes: number | null, cost: number): boolean {
  return quotaBytes === null || size.total + cost < quotaBytes;
}
