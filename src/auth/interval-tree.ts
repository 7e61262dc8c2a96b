/**
 * Key intervals, and whether they cover a key or a range together.
 *
 * For ranges that are not empty any structure would give the same answers. For inverted ones, which
 * a client may send, etcd's answer depends on which nodes of its tree the search passes; and that
 * answer decides whether an entry of the log is applied. So this is the same tree: red-black, by
 * start and end, and every node knows the greatest end below it. Nothing is ever removed.
 */

import type { Key } from '../types.ts';

/** Half-open. As an end, the empty string is greater than every key. */
export interface Interval {
  readonly from: string;
  readonly to: string;
}

const LEFT = 0;
const RIGHT = 1;
type Side = typeof LEFT | typeof RIGHT;

interface Node {
  readonly interval: Interval;
  /** Greatest end in the subtree. */
  reach: string;
  isRed: boolean;
  parent: Node | null;
  readonly children: [Node | null, Node | null];
}

export class IntervalTree {
  #root: Node | null = null;

  add(interval: Interval): void {
    const node: Node = {
      interval,
      reach: interval.to,
      isRed: true,
      parent: null,
      children: [null, null],
    };
    for (let at = this.#root; at !== null; ) {
      node.parent = at;
      at = at.children[sideOf(node, at)];
    }
    if (node.parent === null) this.#root = node;
    else node.parent.children[sideOf(node, node.parent)] = node;
    for (let at = node.parent; at !== null; at = at.parent) measure(at);
    this.#balance(node);
  }

  hasKey(key: Key): boolean {
    return !visit(this.#root, { from: key, to: `${key}\x00` }, () => false);
  }

  /** Whether the intervals that lie in the way of the search leave no gap in the range. */
  covers(range: Interval): boolean {
    let from: string | null = null;
    let to = '';
    const isContiguous = visit(this.#root, range, (interval) => {
      if (from === null) {
        ({ from, to } = interval);
        return true;
      }
      if (compareKeys(to, interval.from) < 0) return false;
      if (compareKeys(interval.to, to) > 0) to = interval.to;
      return true;
    });
    if (!isContiguous || from === null) return false;
    return compareKeys(to, range.to) >= 0 && compareKeys(from, range.from) <= 0;
  }

  /** Two red nodes may not follow each other; Cormen et al., chapter 13.3. */
  #balance(added: Node): void {
    let node = added;
    for (;;) {
      const { parent } = node;
      if (parent === null) {
        node.isRed = false;
        return;
      }
      const grandparent = parent.parent;
      if (!parent.isRed || grandparent === null) return;
      const side = parent === grandparent.children[LEFT] ? LEFT : RIGHT;
      const uncle = grandparent.children[other(side)];
      grandparent.isRed = true;
      if (uncle?.isRed === true) {
        parent.isRed = false;
        uncle.isRed = false;
        node = grandparent;
        continue;
      }
      const isInner = node === parent.children[other(side)];
      if (isInner) this.#rotate(parent, side);
      (isInner ? node : parent).isRed = false;
      this.#rotate(grandparent, other(side));
      return;
    }
  }

  /** Moves `node` down to `side`; the child of the other side takes its place. */
  #rotate(node: Node, side: Side): void {
    const child = node.children[other(side)];
    if (child === null) return;
    const { parent } = node;
    node.children[other(side)] = child.children[side];
    const moved = child.children[side];
    if (moved !== null) moved.parent = node;
    child.children[side] = node;
    child.parent = parent;
    node.parent = child;
    if (parent === null) this.#root = child;
    else parent.children[parent.children[LEFT] === node ? LEFT : RIGHT] = child;
    measure(node);
    measure(child);
  }
}

/** By bytes; the empty string is the greatest. */
export function compareKeys(a: string, b: string): number {
  if (a === b) return 0;
  if (a === '') return 1;
  if (b === '') return -1;
  return a < b ? -1 : 1;
}

function other(side: Side): Side {
  return side === LEFT ? RIGHT : LEFT;
}

function sideOf({ interval }: Node, { interval: at }: Node): Side {
  const byStart = compareKeys(interval.from, at.from);
  return (byStart === 0 ? compareKeys(interval.to, at.to) : byStart) < 0 ? LEFT : RIGHT;
}

function measure(node: Node): void {
  node.reach = node.interval.to;
  for (const child of node.children) {
    if (child !== null && compareKeys(child.reach, node.reach) > 0) node.reach = child.reach;
  }
}

/** -1: `a` lies left of `b`; 1: right of it; 0: they meet. */
function place(a: Interval, b: Interval): number {
  if (compareKeys(a.from, b.from) < 0 && compareKeys(a.to, b.from) <= 0) return -1;
  return compareKeys(a.from, b.to) >= 0 ? 1 : 0;
}

/** Shows what meets `range`, in order, until `see` answers false; then it answers false too. */
function visit(node: Node | null, range: Interval, see: (interval: Interval) => boolean): boolean {
  if (node === null) return true;
  const [left, right] = node.children;
  switch (place(range, node.interval)) {
    case -1:
      return visit(left, range, see);
    case 1: {
      // etcd: this is what an inverted range does not always pass.
      const isWithinReach = place({ from: node.interval.from, to: node.reach }, range) === 0;
      return !isWithinReach || (visit(left, range, see) && visit(right, range, see));
    }
    default:
      return visit(left, range, see) && see(node.interval) && visit(right, range, see);
  }
}
