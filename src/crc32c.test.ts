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
