/**
 * The product's limits, made so small that a short run reaches them: segments of the log are cut,
 * queues overflow, watchers fall behind, pages and slices end in awkward places. How small differs
 * from seed to seed.
 */

import { must } from '../../src/assert.ts';
import { limits } from '../../src/limits.ts';
import type { Random } from '../../src/ports.ts';

const KIB = 1024;

/** `isStorm`: entries travel one by one, so that leaders fall in between. */
export function useSmallLimits(random: Random, isStorm: boolean): void {
  const oneOf = (...choices: readonly number[]): number =>
    must(choices[random.below(choices.length)], 'one of them');
  Object.assign(limits, {
    walSegmentBytes: oneOf(6, 32, 500) * KIB,
    walReserveBytes: oneOf(2, 8, 64) * KIB,
    stagedRowsFlush: oneOf(5, 40, 1000),
    applyBytesPerTurnMax: oneOf(1, 500, 2 * KIB),
    appendBytesMax: isStorm ? 1 : oneOf(1, 300, 1 * KIB, 64 * KIB),
    appendsInflightMax: isStorm ? oneOf(1, 2, 4) : oneOf(1, 8, 100),
    readsPendingMax: oneOf(3, 50),
    messagesQueuedMax: oneOf(20, 200),
    watchCatchUpRevisionsMax: oneOf(1, 7, 100),
    watchRecentBytesMax: oneOf(1, 8, 100) * KIB,
    // A bucket that holds a handful of rows is read as one page.
    scanPageRowsMax: oneOf(16, 50, 200),
    keysPerSliceMax: oneOf(1, 5, 100),
    leaseExpiriesPerCheckMax: oneOf(1, 3),
  });
}
