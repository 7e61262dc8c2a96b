/** One row of the settings table, and the short constructors the table is written with. */

import {
  boolKind,
  durationKind,
  int64Kind,
  intKind,
  textKind,
  uint64Kind,
  uintKind,
  urlsKind,
  type ValueKind,
} from './kinds.ts';

export interface FlagSpec<V> {
  readonly kind: ValueKind<V>;
  readonly default: V;
  readonly help: string;
  /** Dotted path in a configuration file; null when a file cannot set it. */
  readonly yaml?: string | null;
  /** Only a configuration file can set it. */
  readonly fileOnly?: boolean;
}

interface Extra {
  readonly yaml?: string | null;
  readonly fileOnly?: boolean;
}

export function flag<V>(
  kind: ValueKind<V>,
  value: V,
  help: string,
  extra: Extra = {},
): FlagSpec<V> {
  return { kind, default: value, help, ...extra };
}

export function text(value: string, help: string, extra: Extra = {}): FlagSpec<string> {
  return flag(textKind, value, help, extra);
}

export function bool(value: boolean, help: string, extra: Extra = {}): FlagSpec<boolean> {
  return flag(boolKind, value, help, extra);
}

export function int(value: number, help: string): FlagSpec<number> {
  return flag(intKind, value, help);
}

export function int64(value: number, help: string): FlagSpec<number> {
  return flag(int64Kind, value, help);
}

export function uint(value: number, help: string): FlagSpec<number> {
  return flag(uintKind, value, help);
}

export function uint64(value: number, help: string): FlagSpec<number> {
  return flag(uint64Kind, value, help);
}

/** `value` in milliseconds. */
export function duration(value: number, help: string, extra: Extra = {}): FlagSpec<number> {
  return flag(durationKind, value, help, extra);
}

export function urls(value: readonly string[], help: string): FlagSpec<readonly string[]> {
  return flag(urlsKind, value, help);
}
