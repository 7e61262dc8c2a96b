/** How protojson reads integers and bytes: more forms than JSON suggests, and not all it allows. */

/** A number as JSON writes it, up to something that cannot be part of one. */
const NUMBER = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([+-]?\d+))?(?![-+._A-Za-z0-9])/;
const DIGITS_MAX = 20;

export type IntegerKind = 'int64' | 'uint64' | 'int32' | 'uint32';

const BOUNDS: Readonly<Record<IntegerKind, readonly [bigint, bigint]>> = {
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
};

/**
 * The integer that `text` stands for, or `null`. `1e2` and `1.0` are integers too.
 *
 * etcd: what follows a number within a string is not looked at ("1,2" is 1), but white space at its
 * end is refused.
 */
export function integerFromText(text: string, kind: IntegerKind): bigint | null {
  const parts = /\s$/.test(text) ? null : NUMBER.exec(text);
  if (parts === null) return null;
  const [, sign = '', whole = '', decimals = '', exponent = '0'] = parts;
  const digits = shifted(whole === '0' ? '' : whole, decimals.replace(/0+$/, ''), Number(exponent));
  if (digits === null) return null;
  const value = BigInt(sign + digits);
  const [low, high] = BOUNDS[kind];
  return value < low || value > high ? null : value;
}

/** The digits of `whole.decimals` times ten to the `exponent`; `null` when that is no integer. */
function shifted(whole: string, decimals: string, exponent: number): string | null {
  if (whole === '' && decimals === '') return '0';
  if (exponent >= 0) {
    if (decimals.length > exponent || whole.length + exponent > DIGITS_MAX) return null;
    return whole + decimals.padEnd(exponent, '0');
  }
  const point = whole.length + exponent;
  if (decimals !== '' || point <= 0 || /[1-9]/.test(whole.slice(point))) return null;
  return whole.slice(0, point);
}

const ALPHABETS = {
  padded: /^[A-Za-z0-9+/]*={0,2}$/,
  paddedUrl: /^[A-Za-z0-9_-]*={0,2}$/,
  bare: /^[A-Za-z0-9+/]*$/,
  bareUrl: /^[A-Za-z0-9_-]*$/,
} as const;

/**
 * `text` without line ends when it is base64: of either alphabet, padded or not; else `null`.
 *
 * etcd: the length with its line ends decides whether padding is due.
 */
export function base64Text(text: string): string | null {
  const padded = text.length % 4 === 0;
  const digits = /[\r\n]/.test(text) ? text.replace(/[\r\n]/g, '') : text;
  const isUrl = /[-_]/.test(digits);
  if (padded) {
    const alphabet = isUrl ? ALPHABETS.paddedUrl : ALPHABETS.padded;
    return digits.length % 4 === 0 && alphabet.test(digits) ? digits : null;
  }
  const alphabet = isUrl ? ALPHABETS.bareUrl : ALPHABETS.bare;
  return digits.length % 4 !== 1 && alphabet.test(digits) ? digits : null;
}
