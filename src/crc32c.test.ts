import { expect, it } from 'vitest';
import { crc32c } from './crc32c.ts';

it('gives the check value of the algorithm', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
  expect(crc32c(Buffer.from('key'))).toBe(1084519789);
  expect(crc32c(new Uint8Array(0))).toBe(0);
});

it('chains over chunks of every length', () => {
  const bytes = Uint8Array.from({ length: 50 }, (_, i) => (i * 37 + 11) & 0xff);
  const whole = crc32c(bytes);
  for (let cut = 0; cut <= bytes.length; cut++) {
    expect(crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut)))).toBe(whole);
  }
});

/** The definition, bit by bit. */
function plainCrc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

it('continues over any cut and any alignment as over the whole', () => {
  const bytes = Buffer.from(Array.from({ length: 67 }, (_, i) => (i * 151 + 7) & 0xff));
  for (let start = 0; start < 9; start++) {
    const whole = plainCrc32c(bytes.subarray(start));
    for (let cut = start; cut <= bytes.length; cut++) {
      expect(crc32c(bytes, crc32c(bytes, 0, start, cut), cut)).toBe(whole);
    }
  }
});
