/**
 * The product's limits, made so small that a short run reaches them: segments of the log are cut,
 * queues overflow, watchers fall behind, pages and slices end in awkward places.
 */

import { limits } from '../../src/limits.ts';

const KIB = 1024;

export function useSmallLimits(): void {
  Object.assign(limits, {
    walSegmentBytes: 32 * KIB,
    walReserveBytes: 8 * KIB,
    stagedRowsFlush: 40,
    applyBytesPerTurnMax: 2 * KIB,
    appendBytesMax: 1 * KIB,
    appendsInflightMax: 8,
    readsPendingMax: 50,
    messagesQueuedMax: 200,
    watchCatchUpRevisionsMax: 7,
    watchRecentBytesMax: 8 * KIB,
    scanPageRowsMax: 16,
    keysPerSliceMax: 5,
    leaseExpiriesPerCheckMax: 3,
  });
}
