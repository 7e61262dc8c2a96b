/** 64-bit integers at the byte level. Counted quantities travel as two 32-bit halves, no bigint. */

const TWO_32 = 0x1_0000_0000;

/** Writes a safe non-negative integer as 8 big-endian bytes. */
export function writeU64BE(target: Uint8Array, offset: number, value: number): void {
  const high = Math.floor(value / TWO_32);
  const low = value >>> 0;
  target[offset] = high >>> 24;
  target[offset + 1] = (high >>> 16) & 0xff;
  target[offset + 2] = (high >>> 8) & 0xff;
  target[offset + 3] = high & 0xff;
  target[offset + 4] = low >>> 24;
  target[offset + 5] = (low >>> 16) & 0xff;
  target[offset + 6] = (low >>> 8) & 0xff;
  target[offset + 7] = low & 0xff;
}

/** Reads 8 big-endian bytes of a latin1 string as a number; exact below 2^53. */
export function readU64BE(text: string, offset: number): number {
  let high = 0;
  let low = 0;
  for (let i = 0; i < 4; i++) high = high * 256 + text.charCodeAt(offset + i);
  for (let i = 4; i < 8; i++) low = low * 256 + text.charCodeAt(offset + i);
  return high * TWO_32 + low;
}

/** A safe non-negative integer as 8 latin1 characters that sort like the number. */
export function u64Key(value: number): string {
  const high = Math.floor(value / TWO_32);
  const low = value >>> 0;
  return String.fromCharCode(
    high >>> 24,
    (high >>> 16) & 0xff,
    (high >>> 8) & 0xff,
    high & 0xff,
    low >>> 24,
    (low >>> 16) & 0xff,
    (low >>> 8) & 0xff,
    low & 0xff,
  );
}

export function bytesFromU64(value: bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt.asUintN(64, value));
  return bytes;
}
