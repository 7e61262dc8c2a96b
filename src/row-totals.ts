/**
 * How many rows there are and how many bytes they have, keys and values, and once had: a row of the
 * table's own, written in the same batch as the rows it counts, so every view has the right one.
 */

import type { RowKey } from './types.ts';
import { readU64BE, writeU64BE } from './u64.ts';

export interface RowTotals {
  readonly bytes: number;
  /** The most there were since their space was last given back. */
  readonly peakBytes: number;
  readonly rows: number;
}

/** Sorts below every bucket letter, so that no scan over buckets meets it. */
export const TOTALS_ROW = '!liveBytes' as RowKey;
/** Limit of a scan for it. */
export const TOTALS_ROW_END = '!liveBytes\x00' as RowKey;
const LENGTH = 24;

export function encodeTotals({ bytes, peakBytes, rows }: RowTotals): Uint8Array {
  const value = Buffer.alloc(LENGTH);
  writeU64BE(value, 0, bytes);
  writeU64BE(value, 8, peakBytes);
  writeU64BE(value, 16, rows);
  return value;
}

/** `null`: they have to be counted. Earlier versions did not count rows. */
export function decodeTotals(value: Uint8Array | null): RowTotals | null {
  if (value?.length !== LENGTH) return null;
  const text = Buffer.from(value).toString('latin1');
  return {
    bytes: readU64BE(text, 0),
    peakBytes: readU64BE(text, 8),
    rows: readU64BE(text, 16),
  };
}
