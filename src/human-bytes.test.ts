import { expect, it } from 'vitest';
import { humanBytes } from './human-bytes.ts';

/** What the library gives that etcd's log lines use. */
it.each([
  [0, '0 B'],
  [9, '9 B'],
  [10, '10 B'],
  [999, '999 B'],
  [1000, '1.0 kB'],
  [1049, '1.0 kB'],
  [1050, '1.1 kB'],
  [4096, '4.1 kB'],
  [9949, '9.9 kB'],
  [9950, '10 kB'],
  [10_499, '10 kB'],
  [10_500, '10 kB'],
  [11_500, '12 kB'],
  [12_500, '12 kB'],
  [20_480, '20 kB'],
  [99_499, '100 kB'],
  [999_499, '1000 kB'],
  [999_999, '1000 kB'],
  [1_000_000, '1.0 MB'],
  [67_108_864, '67 MB'],
  [1_000_000_000, '1.0 GB'],
  [2_147_483_648, '2.1 GB'],
  [8_589_934_593, '8.6 GB'],
  [12_500_000_000, '12 GB'],
  [1e15, '1.0 PB'],
  [Number.MAX_SAFE_INTEGER, '9.0 PB'],
])('shows %i bytes as %s', (bytes, shown) => {
  expect(humanBytes(bytes)).toBe(shown);
});
