import { describe, expect, it } from 'vitest';
import { goDuration, parseDuration } from './duration.ts';

describe('goDuration', () => {
  it.each([
    [0, '0s'],
    [0.000001, '1ns'],
    [0.0015, '1.5µs'],
    [0.8897, '889.7µs'],
    [1.003059, '1.003059ms'],
    [1.05, '1.05ms'],
    [100, '100ms'],
    [6984, '6.984s'],
    [60_000, '1m0s'],
    [90_061_001, '25h1m1.001s'],
    [-5_400_000, '-1h30m0s'],
    [3_600_000, '1h0m0s'],
  ])('%d', (milliseconds, text) => {
    expect(goDuration(milliseconds)).toBe(text);
    expect(parseDuration(text)).toBeCloseTo(milliseconds, 9);
  });
});

describe('parseDuration', () => {
  it.each([
    ['1h30m', 5_400_000],
    ['1.5s', 1500],
    ['.5s', 500],
    ['1.s', 1000],
    ['+5s', 5000],
    ['-0', 0],
    ['1µs', 0.001],
    ['1μs', 0.001],
    ['1h0m0s', 3_600_000],
  ])('reads %s', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  it.each(['', '1', 's', '.s', '1x', '1h-3m', '1e3s', '1m1', '9223372036854775808ns', '- 1s'])(
    'refuses "%s"',
    (text) => {
      expect(parseDuration(text)).toBeNull();
    },
  );
});
