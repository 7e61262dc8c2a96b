/**
 * Reading single values the way Go's standard library does, with its error texts: they reach
 * operators through `invalid value "x" for flag -name: …` and scripts match on them.
 */

/** A value that a flag, variable or file does not accept. The message is Go's. */
export class ValueError extends Error {
  override readonly name = 'ValueError';
}

const escapes: ReadonlyMap<string, string> = new Map([
  ['\x07', '\\a'],
  ['\b', '\\b'],
  ['\f', '\\f'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\v', '\\v'],
  ['\\', '\\\\'],
  ['"', '\\"'],
]);

/** As Go's %q. */
export function goQuote(text: string): string {
  const body = text.replace(/[\\"]|\p{C}/gu, (character) => {
    const known = escapes.get(character);
    if (known !== undefined) return known;
    const point = character.codePointAt(0) ?? 0;
    if (point < 0x80) return `\\x${point.toString(16).padStart(2, '0')}`;
    if (point < 0x1_0000) return `\\u${point.toString(16).padStart(4, '0')}`;
    return `\\U${point.toString(16).padStart(8, '0')}`;
  });
  return `"${body}"`;
}

export type IntegerResult =
  | { readonly kind: 'value'; readonly value: bigint }
  | { readonly kind: 'syntax' }
  | { readonly kind: 'range' };

/** Go's strconv.ParseInt and ParseUint with base 0: 0x, 0o, 0b, leading 0, `_` between digits. */
export function parseInteger(text: string, min: bigint, max: bigint): IntegerResult {
  const signed = min < 0n;
  const match = /^([+-]?)(.*)$/s.exec(text);
  const sign = match?.[1] ?? '';
  const digits = (match?.[2] ?? '').toLowerCase();
  if (sign !== '' && !signed) return { kind: 'syntax' };
  const plain = integerDigits(digits);
  if (plain === null) return { kind: 'syntax' };
  const value = sign === '-' ? -BigInt(plain) : BigInt(plain);
  return value < min || value > max ? { kind: 'range' } : { kind: 'value', value };
}

/** The digits in a form BigInt reads, or null. A `_` may stand after a base prefix. */
function integerDigits(text: string): string | null {
  if (/^(0|[1-9](_?\d)*)$/.test(text)) return text.replaceAll('_', '');
  if (/^0x(_?[0-9a-f])+$/.test(text)) return text.replaceAll('_', '');
  if (/^0b(_?[01])+$/.test(text)) return text.replaceAll('_', '');
  if (/^0o?(_?[0-7])+$/.test(text)) return `0o${text.replace(/^0o?/, '').replaceAll('_', '')}`;
  return null;
}

const trueTexts: ReadonlySet<string> = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);
const falseTexts: ReadonlySet<string> = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False']);

/** Go's strconv.ParseBool; null when it would refuse. */
export function parseBool(text: string): boolean | null {
  if (trueTexts.has(text)) return true;
  return falseTexts.has(text) ? false : null;
}

/** Counted quantities are numbers: beyond 2^53 they all compare like 2^53 − 1. */
export function saturate(value: bigint): number {
  const limit = BigInt(Number.MAX_SAFE_INTEGER);
  if (value > limit) return Number.MAX_SAFE_INTEGER;
  return value < -limit ? -Number.MAX_SAFE_INTEGER : Number(value);
}

/** What Go's time.ParseDuration says of a text that `parseDuration` refuses. */
export function durationFault(text: string): string {
  const unit = /^[+-]?[\d.]+([^\d.]+)/.exec(text)?.[1];
  if (unit !== undefined && !/^(ns|us|µs|μs|ms|s|m|h)$/.test(unit)) {
    return `time: unknown unit ${goQuote(unit)} in duration ${goQuote(text)}`;
  }
  if (/^[+-]?(\d+\.?\d*|\.\d+)$/.test(text))
    return `time: missing unit in duration ${goQuote(text)}`;
  return `time: invalid duration ${goQuote(text)}`;
}
