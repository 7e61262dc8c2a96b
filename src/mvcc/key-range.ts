/**
 * etcd's key ranges. An empty `rangeEnd` means the single key, a single zero byte means every key
 * from `key` on, anything else is the half-open interval; an inverted one is empty.
 */

import type { Key } from '../types.ts';

export const FROM_KEY = '\x00' as Key;

export interface KeyBounds {
  readonly from: Key;
  /** Exclusive; null when unbounded. */
  readonly to: Key | null;
}

export function isSingleKey(rangeEnd: Key): boolean {
  return rangeEnd === '';
}

export function keyBounds(key: Key, rangeEnd: Key): KeyBounds {
  if (rangeEnd === '') return { from: key, to: afterKey(key) };
  return { from: key, to: rangeEnd === FROM_KEY ? null : rangeEnd };
}

/** The smallest key above `key`. */
export function afterKey(key: string): Key {
  return `${key}\x00` as Key;
}
