/**
 * Writes a bbolt file from sorted buckets, front to back, holding one leaf page and the branches
 * above it in memory. The meta pages come first and say where the root lies and how many pages
 * there are, so both are promised beforehand. What is promised need not be met exactly: pages that
 * nothing refers to are free. A writer without a target counts, and answers an exact promise.
 *
 * Leaves are large, up to some 32 pages in one: then a bound for the number of pages follows from
 * the number of items and their bytes, and is hardly too high (`leafPagesMax`). bbolt reads such
 * pages as it reads those of large values, and splits one when it writes to it.
 *
 * Invariant: the layout depends only on the names, keys and sizes given.
 * Invariant: a branch page has at least two children. bbolt's checker does not ask for it, but its
 * rebalancing panics when a key is deleted below an only child.
 *
 * No freelist is stored, as etcd does. It knows nothing of what keys mean.
 */

import { assert, must } from '../assert.ts';
import {
  BUCKET_HEADER_BYTES,
  BUCKET_ITEM,
  ELEMENT_BYTES,
  FIRST_PAGE,
  KEY_BYTES_MAX,
  PAGE_HEADER_BYTES,
  PageFlag,
  writeHead,
  writeMeta,
  writeU64,
} from './format.ts';

export const PAGE_BYTES = 4096;
/** Bytes after which a branch page takes no more children. */
const BRANCH_BYTES = Math.floor(PAGE_BYTES * 0.9);
/** Bytes after which a leaf takes no more items: the one that crosses it is still in. */
const LEAF_BYTES = 32 * PAGE_BYTES;
/** bbolt keeps a bucket up to this size inside its parent. */
const INLINE_BYTES_MAX = PAGE_BYTES / 4;
/** Of the first meta page; the second has the one before. */
const TXID = 2;

/** Where the root lies, and how many pages there are. */
export interface BboltTotals {
  readonly root: number;
  readonly pages: number;
}

/** What is known of buckets before they are written. Bytes are those of keys and values. */
export interface BucketSizes {
  readonly buckets: number;
  readonly items: number;
  readonly bytes: number;
}

/** Keys of such buckets are short: branches are a fraction of a percent. */
const SHORT_KEY_BYTES = 18;
const CHILDREN_PER_PAGE_MIN = 64;
const LEVELS_MAX = 8;

/** At least the pages that these buckets take beside the root; keys have 18 bytes at most. */
export function leafPagesMax({ buckets, items, bytes }: BucketSizes): number {
  const data = bytes + items * ELEMENT_BYTES;
  // Every leaf but the last of a bucket is full, and wastes less than a page.
  const leaves = Math.ceil(data / (LEAF_BYTES - PAGE_HEADER_BYTES)) + buckets;
  const leafPages = Math.ceil((data + leaves * (PAGE_HEADER_BYTES + PAGE_BYTES)) / PAGE_BYTES);
  return leafPages + Math.ceil((2 * leaves) / CHILDREN_PER_PAGE_MIN) + buckets * LEVELS_MAX;
}

assert(
  (CHILDREN_PER_PAGE_MIN + 3) * (ELEMENT_BYTES + SHORT_KEY_BYTES) < BRANCH_BYTES,
  'so many children fit into a branch page',
);

/** At least the pages of a root with buckets of these names. */
export function rootPagesMax(names: readonly string[]): number {
  let bytes = PAGE_HEADER_BYTES;
  for (const name of names) {
    bytes += ELEMENT_BYTES + name.length + BUCKET_HEADER_BYTES + INLINE_BYTES_MAX;
  }
  return Math.ceil(bytes / PAGE_BYTES);
}

export interface BboltTarget {
  readonly totals: BboltTotals;
  /** Takes the next bytes of the file, which are valid only during the call. */
  readonly write: (bytes: Uint8Array) => void;
}

interface LeafItem {
  readonly key: string;
  readonly value: Uint8Array;
}

interface Child {
  /** The first key below it. */
  readonly key: string;
  readonly page: number;
}

export class BboltWriter {
  readonly #target: BboltTarget | null;
  readonly #pages: PageWriter;
  readonly #root: Tree;
  #name = '';
  #bucket: Tree | null = null;

  /** `null` counts only. `leafBytes`: after which a leaf takes no more items. */
  constructor(target: BboltTarget | null, { leafBytes = LEAF_BYTES } = {}) {
    this.#target = target;
    this.#pages = new PageWriter(target, leafBytes);
    this.#root = new Tree(this.#pages, BUCKET_ITEM);
  }

  /** Begins a bucket; names ascend. */
  bucket(name: string): void {
    assert(name > this.#name, 'bucket names ascend');
    this.#endBucket();
    this.#name = name;
    this.#bucket = new Tree(this.#pages, 0);
  }

  /** Adds an item to the bucket; keys are latin1 and ascend. */
  put(key: string, value: Uint8Array): void {
    must(this.#bucket, 'an item lies in a bucket').add({ key, value });
  }

  /** Where the root was written, and how many pages that makes. */
  finish(): BboltTotals {
    this.#endBucket();
    const promised = this.#target?.totals ?? null;
    if (promised !== null) this.#pages.skipTo(promised.root);
    const root = this.#root.finish();
    if (promised === null) return { root, pages: this.#pages.next };
    assert(root === promised.root, 'the root is one page');
    this.#pages.skipTo(promised.pages);
    return promised;
  }

  #endBucket(): void {
    if (this.#bucket === null) return;
    const value = this.#bucket.inlined() ?? bucketAt(this.#bucket.finish());
    this.#root.add({ key: this.#name, value });
    this.#bucket = null;
  }
}

/** A bucket's value in its parent. */
function bucketAt(root: number): Buffer {
  const value = Buffer.alloc(BUCKET_HEADER_BYTES);
  writeU64(value, 0, root);
  return value;
}

/** Gives pages their numbers in the order in which they lie in the file. */
class PageWriter {
  readonly #target: BboltTarget | null;
  readonly #page = Buffer.alloc(PAGE_BYTES);
  readonly leafBytes: number;
  #kept: Buffer = Buffer.alloc(0);
  next = FIRST_PAGE;

  constructor(target: BboltTarget | null, leafBytes: number) {
    this.#target = target;
    this.leafBytes = leafBytes;
    if (target === null) return;
    const { totals, write } = target;
    for (const id of [0, 1]) {
      this.#page.fill(0);
      writeMeta(this.#page, id, { pageBytes: PAGE_BYTES, ...totals, txid: TXID - id });
      write(this.#page);
    }
  }

  /** Leaves pages out, up to this one. */
  skipTo(id: number): void {
    assert(this.next <= id, 'there are no more pages than were promised');
    this.#page.fill(0);
    for (; this.next < id; this.next++) this.#target?.write(this.#page);
  }

  leaf(items: readonly LeafItem[], bytes: number, itemFlags: number): number {
    return this.#put(bytes, (page, id, overflow) => {
      writeHead(page, { id, flags: PageFlag.LEAF, count: items.length, overflow });
      putItems(page, items, itemFlags);
    });
  }

  branch(children: readonly Child[], bytes: number): number {
    return this.#put(bytes, (page, id, overflow) => {
      writeHead(page, { id, flags: PageFlag.BRANCH, count: children.length, overflow });
      putChildren(page, children);
    });
  }

  #put(bytes: number, fill: (page: Buffer, id: number, overflow: number) => void): number {
    const id = this.next;
    const pages = Math.ceil(bytes / PAGE_BYTES);
    this.next += pages;
    if (this.#target !== null) {
      const page = this.#room(pages * PAGE_BYTES);
      fill(page, id, pages - 1);
      page.fill(0, bytes);
      this.#target.write(page);
    }
    return id;
  }

  /** The same memory for all but exceptional pages. */
  #room(bytes: number): Buffer {
    if (bytes === PAGE_BYTES) return this.#page;
    if (bytes > this.#kept.length) {
      const room = Buffer.allocUnsafeSlow(bytes);
      if (bytes > 2 * LEAF_BYTES) return room;
      this.#kept = room;
    }
    return this.#kept.subarray(0, bytes);
  }
}

function putItems(page: Buffer, items: readonly LeafItem[], flags: number): void {
  let element = PAGE_HEADER_BYTES;
  let data = element + items.length * ELEMENT_BYTES;
  for (const { key, value } of items) {
    page.writeUInt32LE(flags, element);
    page.writeUInt32LE(data - element, element + 4);
    page.writeUInt32LE(key.length, element + 8);
    page.writeUInt32LE(value.length, element + 12);
    data = putText(page, key, data);
    page.set(value, data);
    data += value.length;
    element += ELEMENT_BYTES;
  }
}

/** Below this many characters a loop is faster than a native call. */
const SHORT_TEXT = 24;

/** Returns where it ends. */
function putText(page: Buffer, text: string, start: number): number {
  if (text.length > SHORT_TEXT) return start + page.write(text, start, 'latin1');
  for (let i = 0; i < text.length; i++) page[start + i] = text.charCodeAt(i);
  return start + text.length;
}

function putChildren(page: Buffer, children: readonly Child[]): void {
  let element = PAGE_HEADER_BYTES;
  let data = element + children.length * ELEMENT_BYTES;
  for (const child of children) {
    page.writeUInt32LE(data - element, element);
    page.writeUInt32LE(child.key.length, element + 4);
    writeU64(page, element + 8, child.page);
    data = putText(page, child.key, data);
    element += ELEMENT_BYTES;
  }
}

/** The pages of one bucket, built from left to right. */
class Tree {
  readonly #pages: PageWriter;
  readonly #itemFlags: number;
  #items: LeafItem[] = [];
  #bytes = PAGE_HEADER_BYTES;
  #lastKey = '';
  /** What lies above the leaves written so far, the lowest level first. */
  readonly #branches: Branch[] = [];

  constructor(pages: PageWriter, itemFlags: number) {
    this.#pages = pages;
    this.#itemFlags = itemFlags;
  }

  add(item: LeafItem): void {
    const { key, value } = item;
    assert(key.length <= KEY_BYTES_MAX, 'a key has at most 32768 bytes');
    assert(key > this.#lastKey, 'keys ascend and are not empty');
    this.#lastKey = key;
    if (this.#bytes >= this.#pages.leafBytes) {
      this.#addChild(0, this.#writeLeaf());
    }
    this.#items.push(item);
    this.#bytes += ELEMENT_BYTES + key.length + value.length;
  }

  /** The value of a bucket that is small enough to lie in its parent, else null. */
  inlined(): Buffer | null {
    if (this.#branches.length > 0 || this.#bytes > INLINE_BYTES_MAX) return null;
    const value = Buffer.alloc(BUCKET_HEADER_BYTES + this.#bytes);
    const page = value.subarray(BUCKET_HEADER_BYTES);
    writeHead(page, { id: 0, flags: PageFlag.LEAF, count: this.#items.length, overflow: 0 });
    putItems(page, this.#items, this.#itemFlags);
    return value;
  }

  /** Writes what is left and returns the page of the root. */
  finish(): number {
    let top = this.#writeLeaf();
    for (let level = 0; level < this.#branches.length; level++) {
      this.#addChild(level, top);
      const branch = must(this.#branches[level], 'a level within the tree');
      top = this.#writeBranch(branch, branch.children.length);
    }
    return top.page;
  }

  #writeLeaf(): Child {
    const key = this.#items[0]?.key ?? '';
    const page = this.#pages.leaf(this.#items, this.#bytes, this.#itemFlags);
    this.#items = [];
    this.#bytes = PAGE_HEADER_BYTES;
    return { key, page };
  }

  #addChild(level: number, child: Child): void {
    let branch = this.#branches[level];
    if (branch === undefined) {
      branch = { children: [], bytes: PAGE_HEADER_BYTES };
      this.#branches.push(branch);
    }
    // The last child stays behind for the next page, so that no page ends up with one alone.
    if (branch.children.length >= 3 && branch.bytes + childBytes(child) > BRANCH_BYTES) {
      this.#addChild(level + 1, this.#writeBranch(branch, branch.children.length - 1));
    }
    branch.children.push(child);
    branch.bytes += childBytes(child);
  }

  /** Writes the first `count` children as one page. */
  #writeBranch(branch: Branch, count: number): Child {
    const children = branch.children.splice(0, count);
    let bytes = PAGE_HEADER_BYTES;
    for (const child of children) bytes += childBytes(child);
    branch.bytes -= bytes - PAGE_HEADER_BYTES;
    const { key } = must(children[0], 'a branch page has children');
    return { key, page: this.#pages.branch(children, bytes) };
  }
}

interface Branch {
  readonly children: Child[];
  bytes: number;
}

function childBytes({ key }: Child): number {
  return ELEMENT_BYTES + key.length;
}
