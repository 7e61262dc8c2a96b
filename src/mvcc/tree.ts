/**
 * A B+-tree from latin1 strings to values, in byte order.
 *
 * Every value has a weight, 0 or more, and inner nodes keep the sum of each subtree: how much
 * weight lies in a range is known without walking it. The weight of a stored value may change, but
 * whoever changes it must say so through `reweigh`.
 *
 * Invariant: keys ascend strictly inside a node and across the chain of leaves; child i of an inner
 * node holds the keys k with `keys[i - 1] <= k < keys[i]`; all leaves have the same depth.
 *
 * Leaves that fill up at the right end of the tree are left full, since ascending insertion is
 * common; others split in halves. It knows nothing of revisions, and is not to be changed during a
 * scan.
 */

import { assert } from '../assert.ts';

/** Limit: entries of a leaf and children of an inner node. */
const NODE_MAX = 64;
const NODE_MIN = 20;

interface Leaf<V> {
  readonly leaf: true;
  keys: string[];
  values: V[];
  next: Leaf<V> | null;
}

interface Inner<V> {
  readonly leaf: false;
  /** One fewer than children. */
  keys: string[];
  children: Node<V>[];
  weights: number[];
}

type Node<V> = Leaf<V> | Inner<V>;

interface Split<V> {
  readonly key: string;
  readonly right: Node<V>;
}

export class Tree<V> {
  readonly #weightOf: (value: V) => number;
  #root: Node<V> = { leaf: true, keys: [], values: [], next: null };
  #size = 0;
  #weight = 0;
  /** What the insertion under way found to be present. */
  #present: V | null = null;

  constructor(weightOf: (value: V) => number) {
    this.#weightOf = weightOf;
  }

  get size(): number {
    return this.#size;
  }

  /** The weight of all values. */
  get weight(): number {
    return this.#weight;
  }

  get(key: string): V | null {
    const leaf = this.#leafFor(key);
    const at = lowerBound(leaf.keys, key);
    return leaf.keys[at] === key ? (leaf.values[at] as V) : null;
  }

  /** A value that is present already stays, and is returned. */
  insert(key: string, value: V): V | null {
    const weight = this.#weightOf(value);
    this.#present = null;
    const split = this.#insert(this.#root, key, value, weight);
    if (this.#present !== null) return this.#present;
    this.#size++;
    this.#weight += weight;
    if (split !== null) this.#grow(split);
    return null;
  }

  #grow(split: Split<V>): void {
    const rightWeight = this.#sum(split.right);
    this.#root = {
      leaf: false,
      keys: [split.key],
      children: [this.#root, split.right],
      weights: [this.#weight - rightWeight, rightWeight],
    };
  }

  /** Whether the key was present. */
  delete(key: string): boolean {
    const value = this.get(key);
    if (value === null) return false;
    const weight = this.#weightOf(value);
    this.#delete(this.#root, key, weight);
    this.#size--;
    this.#weight -= weight;
    if (!this.#root.leaf && this.#root.children.length === 1) {
      this.#root = this.#root.children[0] as Node<V>;
    }
    return true;
  }

  /** Tells that the weight of the value at `key`, which must be present, has grown by `delta`. */
  reweigh(key: string, delta: number): void {
    this.#weight += delta;
    let node = this.#root;
    while (!node.leaf) {
      const at = upperBound(node.keys, key);
      node.weights[at] = (node.weights[at] as number) + delta;
      node = node.children[at] as Node<V>;
    }
  }

  /** The weight of `from <= key < to`; `to` null means to the end. */
  weightBetween(from: string, to: string | null): number {
    if (to === null) return this.#weight - this.#weightBelow(from);
    return from < to ? this.#weightBelow(to) - this.#weightBelow(from) : 0;
  }

  /** Visits `from <= key < to` in order until `visit` returns false. */
  scan(from: string, to: string | null, visit: (value: V) => boolean): void {
    let leaf: Leaf<V> | null = this.#leafFor(from);
    let at = lowerBound(leaf.keys, from);
    for (; leaf !== null; leaf = leaf.next, at = 0) {
      const { keys, values } = leaf;
      let end = keys.length;
      const last = keys[end - 1];
      // Only the leaf that holds the upper bound needs to be searched for it.
      const final = to !== null && last !== undefined && !(last < to);
      if (final) end = lowerBound(keys, to);
      for (; at < end; at++) if (!visit(values[at] as V)) return;
      if (final) return;
    }
  }

  /** Throws unless the invariants hold. For tests: it visits everything. */
  assertInvariants(): void {
    assert(this.#sum(this.#root) === this.#weight, 'the weight of the tree is the sum');
    let size = 0;
    let previous: string | null = null;
    let leaf: Leaf<V> | null = this.#leafFor('');
    for (; leaf !== null; leaf = leaf.next) {
      assert(leaf.keys.length === leaf.values.length, 'a leaf has a value for every key');
      for (const key of leaf.keys) {
        assert(previous === null || previous < key, 'keys ascend strictly');
        previous = key;
        size++;
      }
    }
    assert(size === this.#size, 'the chain of leaves holds every key');
    this.#assertNode(this.#root, '', null);
  }

  #assertNode(node: Node<V>, from: string, to: string | null): number {
    assert(node.keys.length <= NODE_MAX, 'a node is not overfull');
    for (const key of node.keys) {
      assert(from <= key && (to === null || key < to), 'keys lie within the bounds of the parent');
    }
    if (node.leaf) return 1;
    assert(node.children.length === node.keys.length + 1, 'one more child than keys');
    const depths = node.children.map((child, at) => {
      assert(
        this.#sum(child) === node.weights[at],
        'an inner node knows the weight of its children',
      );
      return this.#assertNode(child, node.keys[at - 1] ?? from, node.keys[at] ?? to);
    });
    assert(new Set(depths).size === 1, 'all leaves have the same depth');
    return (depths[0] as number) + 1;
  }

  #leafFor(key: string): Leaf<V> {
    let node = this.#root;
    while (!node.leaf) node = node.children[upperBound(node.keys, key)] as Node<V>;
    return node;
  }

  #weightBelow(key: string): number {
    let sum = 0;
    let node = this.#root;
    while (!node.leaf) {
      const at = upperBound(node.keys, key);
      for (let i = 0; i < at; i++) sum += node.weights[i] as number;
      node = node.children[at] as Node<V>;
    }
    const end = lowerBound(node.keys, key);
    for (let i = 0; i < end; i++) sum += this.#weightOf(node.values[i] as V);
    return sum;
  }

  #sum(node: Node<V>): number {
    let sum = 0;
    if (node.leaf) for (const value of node.values) sum += this.#weightOf(value);
    else for (const weight of node.weights) sum += weight;
    return sum;
  }

  #insert(node: Node<V>, key: string, value: V, weight: number): Split<V> | null {
    if (node.leaf) return this.#insertIntoLeaf(node, key, value);
    const at = upperBound(node.keys, key);
    const split = this.#insert(node.children[at] as Node<V>, key, value, weight);
    if (this.#present !== null) return null;
    node.weights[at] = (node.weights[at] as number) + weight;
    if (split === null) return null;
    const rightWeight = this.#sum(split.right);
    node.weights[at] = (node.weights[at] as number) - rightWeight;
    insertAt(node.keys, at, split.key);
    insertAt(node.children, at + 1, split.right);
    insertAt(node.weights, at + 1, rightWeight);
    return node.children.length > NODE_MAX
      ? splitInner(node, at + 2 === node.children.length)
      : null;
  }

  #insertIntoLeaf(leaf: Leaf<V>, key: string, value: V): Split<V> | null {
    const at = lowerBound(leaf.keys, key);
    if (leaf.keys[at] === key) {
      this.#present = leaf.values[at] as V;
      return null;
    }
    if (leaf.keys.length === NODE_MAX) return splitLeaf(leaf, at, key, value);
    insertAt(leaf.keys, at, key);
    insertAt(leaf.values, at, value);
    return null;
  }

  #delete(node: Node<V>, key: string, weight: number): void {
    if (node.leaf) {
      const at = lowerBound(node.keys, key);
      assert(node.keys[at] === key, 'the key to delete is in its leaf');
      removeAt(node.keys, at);
      removeAt(node.values, at);
      return;
    }
    const at = upperBound(node.keys, key);
    const child = node.children[at] as Node<V>;
    this.#delete(child, key, weight);
    node.weights[at] = (node.weights[at] as number) - weight;
    if (lengthOf(child) < NODE_MIN && node.children.length > 1) {
      this.#level(node, at === 0 ? 0 : at - 1);
    }
  }

  /** Merges the children `at` and `at + 1`, or shares their entries evenly if they are too many. */
  #level(parent: Inner<V>, at: number): void {
    const left = parent.children[at] as Node<V>;
    const right = parent.children[at + 1] as Node<V>;
    const separator = parent.keys[at] as string;
    const merge = lengthOf(left) + lengthOf(right) <= NODE_MAX;
    if (left.leaf && right.leaf) {
      parent.keys[at] = levelLeaves(left, right, merge);
    } else if (!left.leaf && !right.leaf) {
      parent.keys[at] = levelInners(left, right, separator, merge);
    }
    if (merge) {
      removeAt(parent.keys, at);
      removeAt(parent.children, at + 1);
      parent.weights[at] = (parent.weights[at] as number) + (parent.weights[at + 1] as number);
      removeAt(parent.weights, at + 1);
    } else {
      parent.weights[at] = this.#sum(left);
      parent.weights[at + 1] = this.#sum(right);
    }
  }
}

/** Splits a full leaf and inserts at the position that the key would have had in it. */
function splitLeaf<V>(leaf: Leaf<V>, at: number, key: string, value: V): Split<V> {
  const { keys, values } = leaf;
  if (at === NODE_MAX && leaf.next === null) {
    const right: Leaf<V> = { leaf: true, keys: [key], values: [value], next: null };
    leaf.next = right;
    return { key, right };
  }
  const middle = NODE_MAX / 2;
  const right: Leaf<V> = {
    leaf: true,
    keys: keys.slice(middle),
    values: values.slice(middle),
    next: leaf.next,
  };
  leaf.keys = keys.slice(0, middle);
  leaf.values = values.slice(0, middle);
  leaf.next = right;
  const target = at <= middle ? leaf : right;
  const index = at <= middle ? at : at - middle;
  insertAt(target.keys, index, key);
  insertAt(target.values, index, value);
  return { key: right.keys[0] as string, right };
}

/** Takes the upper part of an overfull node off; the key between the parts moves up. */
function splitInner<V>(node: Inner<V>, atEnd: boolean): Split<V> {
  const { keys, children, weights } = node;
  const middle = atEnd ? children.length - 2 : children.length >>> 1;
  const right: Inner<V> = {
    leaf: false,
    keys: keys.slice(middle),
    children: children.slice(middle),
    weights: weights.slice(middle),
  };
  const key = keys[middle - 1] as string;
  node.keys = keys.slice(0, middle - 1);
  node.children = children.slice(0, middle);
  node.weights = weights.slice(0, middle);
  return { key, right };
}

/** Returns the new separator. */
function levelLeaves<V>(left: Leaf<V>, right: Leaf<V>, merge: boolean): string {
  const keys = left.keys.concat(right.keys);
  const values = left.values.concat(right.values);
  if (merge) {
    left.keys = keys;
    left.values = values;
    left.next = right.next;
    return '';
  }
  const middle = keys.length >>> 1;
  left.keys = keys.slice(0, middle);
  left.values = values.slice(0, middle);
  right.keys = keys.slice(middle);
  right.values = values.slice(middle);
  return right.keys[0] as string;
}

/** Returns the new separator. */
function levelInners<V>(
  left: Inner<V>,
  right: Inner<V>,
  separator: string,
  merge: boolean,
): string {
  const keys = [...left.keys, separator, ...right.keys];
  const children = left.children.concat(right.children);
  const weights = left.weights.concat(right.weights);
  if (merge) {
    left.keys = keys;
    left.children = children;
    left.weights = weights;
    return '';
  }
  const middle = children.length >>> 1;
  left.keys = keys.slice(0, middle - 1);
  left.children = children.slice(0, middle);
  left.weights = weights.slice(0, middle);
  right.keys = keys.slice(middle);
  right.children = children.slice(middle);
  right.weights = weights.slice(middle);
  return keys[middle - 1] as string;
}

function lengthOf<V>(node: Node<V>): number {
  return node.leaf ? node.keys.length : node.children.length;
}

/** Index of the first key >= `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Index of the first key > `key`. */
function upperBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (key < (keys[middle] as string)) high = middle;
    else low = middle + 1;
  }
  return low;
}

// For a few dozen entries a loop beats splice, which makes an array for what it removes.
function insertAt<T>(array: T[], at: number, item: T): void {
  array.push(item);
  for (let i = array.length - 1; i > at; i--) array[i] = array[i - 1] as T;
  array[at] = item;
}

function removeAt<T>(array: T[], at: number): void {
  for (let i = at + 1; i < array.length; i++) array[i - 1] = array[i] as T;
  array.pop();
}
