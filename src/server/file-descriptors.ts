/** etcd's warning before a member runs out of file descriptors. */

import type { Log } from '../log.ts';

/** How often it looks, from its start on. */
export const LOOK_MS = 600_000;

export interface OpenFiles {
  /** `null` where the system does not say. */
  readonly used: () => number | null;
  readonly limit: () => number | null;
}

export function checkFileDescriptors({ used, limit }: OpenFiles, log: Log): void {
  const [open, most] = [used(), limit()];
  if (open === null || most === null) return;
  // etcd: four fifths, in whole numbers.
  if (open < Math.floor(most / 5) * 4) return;
  log.warn('80% of file descriptors are used', { used: open, limit: most });
}
