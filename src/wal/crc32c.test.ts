import { describe, expect, test } from 'vitest';
import { updateCrc32c } from './crc32c.ts';

const text = (value: string) => Buffer.from(value, 'latin1');

/** The definition, bit by bit. */
function plainCrc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

describe('crc32c', () => {
  test('gives the published check values', () => {
    expect(updateCrc32c(0, text('123456789'))).toBe(0xe3069283);
    expect(updateCrc32c(0, text('key'))).toBe(1084519789);
    expect(updateCrc32c(0, Buffer.alloc(32))).toBe(0x8a9136aa);
    expect(updateCrc32c(0, text(''))).toBe(0);
  });

  test('continues over any cut and any alignment as over the whole', () => {
    const bytes = Buffer.from(Array.from({ length: 67 }, (_, i) => (i * 151 + 7) & 0xff));
    for (let start = 0; start < 9; start++) {
      const whole = plainCrc32c(bytes.subarray(start));
      for (let cut = start; cut <= bytes.length; cut++) {
        const head = updateCrc32c(0, bytes, start, cut);
        expect(updateCrc32c(head, bytes, cut)).toBe(whole);
      }
    }
  });
});
