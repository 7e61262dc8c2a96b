/**
 * CRC-32C (Castagnoli), eight bytes at a time through eight tables. Used by the WAL's record chain,
 * by raft snapshot files and by HashKV.
 */

/** The reflected polynomial. */
const POLYNOMIAL = 0x82f6_3b78;

const tables = makeTables();

function makeTables(): readonly Uint32Array[] {
  const result = Array.from({ length: 8 }, () => new Uint32Array(256));
  const [first] = result as [Uint32Array];
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    first[byte] = crc;
  }
  for (let n = 1; n < 8; n++) {
    const previous = result[n - 1] as Uint32Array;
    const table = result[n] as Uint32Array;
    for (let byte = 0; byte < 256; byte++) {
      const crc = previous[byte] as number;
      table[byte] = (crc >>> 8) ^ (first[crc & 0xff] as number);
    }
  }
  return result;
}

const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
];

/**
 * The checksum of `bytes` from `from` up to `to`. `seed` is the checksum of the bytes before, so
 * that chunks chain: an unsigned 32-bit number.
 */
export function crc32c(bytes: Uint8Array, seed = 0, from = 0, to = bytes.length): number {
  const wholeEnd = to - ((to - from) & 7);
  let crc = ~seed;
  let i = from;
  // Every index is within its table or below the length, which the casts say.
  for (; i < wholeEnd; i += 8) {
    const low =
      crc ^
      ((bytes[i] as number) |
        ((bytes[i + 1] as number) << 8) |
        ((bytes[i + 2] as number) << 16) |
        ((bytes[i + 3] as number) << 24));
    crc =
      (t7[low & 0xff] as number) ^
      (t6[(low >>> 8) & 0xff] as number) ^
      (t5[(low >>> 16) & 0xff] as number) ^
      (t4[low >>> 24] as number) ^
      (t3[bytes[i + 4] as number] as number) ^
      (t2[bytes[i + 5] as number] as number) ^
      (t1[bytes[i + 6] as number] as number) ^
      (t0[bytes[i + 7] as number] as number);
  }
  for (; i < to; i++) crc = (crc >>> 8) ^ (t0[(crc ^ (bytes[i] as number)) & 0xff] as number);
  return ~crc >>> 0;
}
