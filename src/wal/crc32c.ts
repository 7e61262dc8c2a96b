/**
 * CRC-32C (Castagnoli, reflected), the checksum of the log's chain. Eight bytes per step through
 * eight tables ("slicing by 8"), because Node offers only the other CRC-32 natively.
 *
 * A value is the finished checksum (after the final inversion), so `updateCrc32c(crc, b)` continues
 * the checksum of everything before `b`, and 0 is the checksum of nothing.
 */

import { must } from '../assert.ts';

const POLYNOMIAL = 0x82f63b78;

function slice(previous: Int32Array, base: Int32Array): Int32Array {
  return previous.map((value) => must(base[value & 0xff], 'byte index') ^ (value >>> 8));
}

function baseTable(): Int32Array {
  const table = new Int32Array(256);
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? POLYNOMIAL ^ (c >>> 1) : c >>> 1;
    table[n] = c;
  }
  return table;
}

const T0 = baseTable();
const T1 = slice(T0, T0);
const T2 = slice(T1, T0);
const T3 = slice(T2, T0);
const T4 = slice(T3, T0);
const T5 = slice(T4, T0);
const T6 = slice(T5, T0);
const T7 = slice(T6, T0);

/** The checksum of what `crc` covers followed by `bytes[start, end)`, as an unsigned number. */
export function updateCrc32c(
  crc: number,
  bytes: Uint8Array,
  start = 0,
  end: number = bytes.length,
): number {
  let c = ~crc;
  let i = start;
  // `as number`: an index below `end` and a byte-sized table index are always present, and a check
  // per byte would cost more than the checksum.
  for (const last = end - 8; i <= last; i += 8) {
    c ^=
      (bytes[i] as number) |
      ((bytes[i + 1] as number) << 8) |
      ((bytes[i + 2] as number) << 16) |
      ((bytes[i + 3] as number) << 24);
    c =
      (T7[c & 0xff] as number) ^
      (T6[(c >>> 8) & 0xff] as number) ^
      (T5[(c >>> 16) & 0xff] as number) ^
      (T4[c >>> 24] as number) ^
      (T3[bytes[i + 4] as number] as number) ^
      (T2[bytes[i + 5] as number] as number) ^
      (T1[bytes[i + 6] as number] as number) ^
      (T0[bytes[i + 7] as number] as number);
  }
  for (; i < end; i++) c = (T0[(c ^ (bytes[i] as number)) & 0xff] as number) ^ (c >>> 8);
  return ~c >>> 0;
}
