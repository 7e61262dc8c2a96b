/**
 * Which of many key ranges contain a key. Ranges that are equal share a group, since thousands of
 * watchers often watch the same prefix.
 *
 * The groups lie in an array sorted by their start, read as a balanced tree whose nodes know the
 * greatest end below them. Adding or removing a group only marks the tree stale; the next question
 * rebuilds it, so that a burst of new watchers costs one rebuild.
 */

import type { Key } from '../types.ts';

export interface KeyInterval {
  readonly from: Key;
  /** Exclusive; `null` is no end. */
  readonly to: string | null;
}

interface Group<T> extends KeyInterval {
  readonly members: Set<T>;
  /** Greatest end in the subtree of this node; `null` is no end. */
  reach: string | null;
}

export class IntervalMap<T> {
  readonly #groups = new Map<string, Group<T>>();
  #sorted: Group<T>[] | null = [];

  add(interval: KeyInterval, member: T): void {
    const name = nameOf(interval);
    let group = this.#groups.get(name);
    if (group === undefined) {
      group = { from: interval.from, to: interval.to, members: new Set(), reach: interval.to };
      this.#groups.set(name, group);
      this.#sorted = null;
    }
    group.members.add(member);
  }

  delete(interval: KeyInterval, member: T): void {
    const name = nameOf(interval);
    const group = this.#groups.get(name);
    if (group === undefined) return;
    group.members.delete(member);
    if (group.members.size > 0) return;
    this.#groups.delete(name);
    this.#sorted = null;
  }

  all(): readonly T[] {
    return [...this.#groups.values()].flatMap(({ members }) => [...members]);
  }

  /** Calls `visit` for every member whose range contains `key`. */
  forEachAt(key: Key, visit: (member: T) => void): void {
    if (this.#groups.size === 0) return;
    const sorted = this.#sorted ?? this.#rebuild();
    visitAt(sorted, key, { low: 0, high: sorted.length }, visit);
  }

  #rebuild(): Group<T>[] {
    const sorted = [...this.#groups.values()].sort((a, b) =>
      a.from < b.from ? -1 : a.from > b.from ? 1 : 0,
    );
    setReach(sorted, 0, sorted.length);
    this.#sorted = sorted;
    return sorted;
  }
}

function nameOf({ from, to }: KeyInterval): string {
  return to === null ? `${from.length}:${from}` : `${from.length}:${from}${to}|`;
}

function setReach<T>(sorted: Group<T>[], low: number, high: number): string | null | undefined {
  const middle = (low + high) >>> 1;
  const group = sorted[middle];
  if (low >= high || group === undefined) return undefined;
  group.reach = group.to;
  for (const reach of [setReach(sorted, low, middle), setReach(sorted, middle + 1, high)]) {
    if (reach === undefined) continue;
    if (reach === null || (group.reach !== null && reach > group.reach)) group.reach = reach;
  }
  return group.reach;
}

function visitAt<T>(
  sorted: readonly Group<T>[],
  key: Key,
  { low, high }: { low: number; high: number },
  visit: (member: T) => void,
): void {
  const middle = (low + high) >>> 1;
  const group = sorted[middle];
  if (low >= high || group === undefined) return;
  if (group.reach !== null && group.reach <= key) return;
  visitAt(sorted, key, { low, high: middle }, visit);
  if (group.from > key) return;
  if (group.to === null || key < group.to) for (const member of group.members) visit(member);
  visitAt(sorted, key, { low: middle + 1, high }, visit);
}
