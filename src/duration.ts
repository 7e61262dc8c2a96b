/**
 * Durations in Go's text form, which is how etcd reads them from flags and prints them in log
 * lines. In memory a duration is a number of milliseconds with nanoseconds after the point.
 * Invariant: what `goDuration` prints, `parseDuration` reads back (up to double precision).
 */

const NS_PER_MS = 1_000_000;

const unitNanoseconds: ReadonlyMap<string, bigint> = new Map([
  ['ns', 1n],
  ['us', 1_000n],
  ['µs', 1_000n], // micro sign
  ['μs', 1_000n], // Greek letter mu
  ['ms', 1_000_000n],
  ['s', 1_000_000_000n],
  ['m', 60_000_000_000n],
  ['h', 3_600_000_000_000n],
]);

const INT64_MAX = (1n << 63n) - 1n;

/** Milliseconds, or null when Go's time.ParseDuration would refuse the text. */
export function parseDuration(text: string): number | null {
  const match = /^([+-]?)(.*)$/s.exec(text);
  const negative = match?.[1] === '-';
  const body = match?.[2] ?? '';
  if (body === '0') return 0;
  if (body === '') return null;
  const term = /(\d*)(\.\d*)?([^\d.]+)/gy;
  let nanoseconds = 0n;
  while (term.lastIndex < body.length) {
    const part = term.exec(body);
    if (part === null) return null;
    const [, whole = '', point = '', unit = ''] = part;
    const fraction = point.slice(1);
    if (whole === '' && fraction === '') return null;
    const scale = unitNanoseconds.get(unit);
    if (scale === undefined) return null;
    nanoseconds += BigInt(whole === '' ? '0' : whole) * scale;
    if (fraction !== '') {
      nanoseconds += (BigInt(fraction) * scale) / 10n ** BigInt(fraction.length);
    }
    // Go: one more is representable on the negative side.
    if (nanoseconds > INT64_MAX + (negative ? 1n : 0n)) return null;
  }
  const magnitude = Number(nanoseconds) / NS_PER_MS;
  return negative ? 0 - magnitude : magnitude;
}

/** As Go's Duration.String: "1m0s", "1.05ms", "0s". */
export function goDuration(milliseconds: number): string {
  const nanoseconds = BigInt(Math.round(milliseconds * NS_PER_MS));
  if (nanoseconds === 0n) return '0s';
  const sign = nanoseconds < 0n ? '-' : '';
  const size = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  if (size < 1_000n) return `${sign}${size}ns`;
  if (size < 1_000_000n) return `${sign}${decimal(size, 3)}µs`;
  if (size < 1_000_000_000n) return `${sign}${decimal(size, 6)}ms`;
  const minutes = size / 60_000_000_000n;
  const seconds = `${decimal(size % 60_000_000_000n, 9)}s`;
  if (minutes === 0n) return `${sign}${seconds}`;
  if (minutes < 60n) return `${sign}${minutes}m${seconds}`;
  return `${sign}${minutes / 60n}h${minutes % 60n}m${seconds}`;
}

/** `value / 10^digits` without trailing zeros. */
function decimal(value: bigint, digits: number): string {
  const unit = 10n ** BigInt(digits);
  const rest = (value % unit).toString().padStart(digits, '0').replace(/0+$/, '');
  return rest === '' ? `${value / unit}` : `${value / unit}.${rest}`;
}
