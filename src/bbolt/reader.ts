/**
 * Reads a bbolt file: its buckets and their items in order. Nothing in the file is believed: page
 * numbers, sizes and the order of keys are checked on the way, and what is wrong is a `BboltError`
 * that names the page.
 *
 * One page per level is held in memory. It reads only what is asked for, so pages that nothing
 * refers to are not looked at, nor is the freelist. It knows nothing of what keys mean.
 */

import {
  BboltError,
  type BboltMeta,
  BUCKET_HEADER_BYTES,
  BUCKET_ITEM,
  ELEMENT_BYTES,
  FIRST_PAGE,
  META_END,
  PAGE_HEADER_BYTES,
  PageFlag,
  pageSizes,
  readHead,
  readMeta,
  readU64,
} from './format.ts';

/** Random access to the bytes of a file. Reading beyond the end gives fewer bytes. */
export interface BboltSource {
  read(offset: number, length: number): Promise<Uint8Array>;
}

export interface BboltBucket {
  readonly name: string;
  /** Page of its root, or the bytes of its only page when it lies in its parent. */
  readonly root: number | Uint8Array;
}

export interface BboltItem {
  /** One character per byte. */
  readonly key: string;
  readonly value: Uint8Array;
}

interface Element extends BboltItem {
  readonly flags: number;
}

/** Where keys below a branch must lie: `from` included, `to` not. */
interface Bounds {
  readonly from: string;
  readonly to: string | null;
}

const ANYWHERE: Bounds = { from: '', to: null };
/** Items handed out at once. */
const ITEMS_PER_STEP = 256;
/** Limit: levels of a tree. A page that leads back to itself is found by it. */
const DEPTH_MAX = 32;

export class BboltReader {
  readonly meta: BboltMeta;
  readonly #source: BboltSource;

  private constructor(source: BboltSource, meta: BboltMeta) {
    this.#source = source;
    this.meta = meta;
  }

  /** Throws `BboltError` when neither meta page is whole. */
  static async open(source: BboltSource): Promise<BboltReader> {
    const metas: BboltMeta[] = [];
    const take = async (offset: number): Promise<void> => {
      const meta = readMeta(bufferOf(await source.read(offset, META_END)));
      if (meta !== null) metas.push(meta);
    };
    await take(0);
    // Where the second one lies follows from the first, unless that is damaged.
    const [first] = metas;
    const offsets = first === undefined ? pageSizes() : [first.pageBytes];
    for (const offset of offsets) await take(offset);
    const [newest] = metas.sort((a, b) => b.txid - a.txid);
    if (newest === undefined) throw new BboltError(null, 'no valid meta page: not a bbolt file');
    return new BboltReader(source, newest);
  }

  async buckets(): Promise<readonly BboltBucket[]> {
    const buckets: BboltBucket[] = [];
    for await (const elements of this.#walk(this.meta.root, ANYWHERE, 1)) {
      for (const { key, value, flags } of elements) {
        if (flags !== BUCKET_ITEM)
          throw new BboltError(null, `${JSON.stringify(key)} is not a bucket`);
        buckets.push(bucketOf(key, bufferOf(value)));
      }
    }
    return buckets;
  }

  /** The items of a bucket in order, a few at a time, whatever the size of the pages. */
  async *items({ name, root }: BboltBucket): AsyncGenerator<readonly BboltItem[]> {
    const leaves =
      typeof root === 'number'
        ? this.#walk(root, ANYWHERE, 1)
        : readLeaf(bufferOf(root), null, ANYWHERE);
    for await (const elements of leaves) {
      const nested = elements.find(({ flags }) => flags !== 0);
      if (nested !== undefined)
        throw new BboltError(null, `bucket ${JSON.stringify(name)} holds other buckets`);
      if (elements.length > 0) yield elements;
    }
  }

  async *#walk(id: number, bounds: Bounds, depth: number): AsyncGenerator<readonly Element[]> {
    if (depth > DEPTH_MAX) throw new BboltError(id, `deeper than ${DEPTH_MAX} levels`);
    const page = await this.#page(id);
    const { flags } = readHead(page);
    if (flags === PageFlag.LEAF) {
      yield* readLeaf(page, id, bounds);
      return;
    }
    if (flags !== PageFlag.BRANCH) throw new BboltError(id, `flags ${flags} where a tree goes on`);
    const children = readBranch(page, id, bounds);
    for (const [i, child] of children.entries()) {
      const to = children[i + 1]?.key ?? bounds.to;
      yield* this.#walk(child.page, { from: child.key, to }, depth + 1);
    }
  }

  /** A page with all that overflows from it. */
  async #page(id: number): Promise<Buffer> {
    const { pages } = this.meta;
    if (id < FIRST_PAGE || id >= pages)
      throw new BboltError(id, `beyond the file's ${pages} pages`);
    const first = await this.#read(id, 1);
    const head = readHead(first);
    if (head.id !== id) throw new BboltError(id, `calls itself page ${head.id}`);
    if (head.overflow === 0) return first;
    if (id + head.overflow >= pages) {
      throw new BboltError(id, `overflows by ${head.overflow} pages, beyond the end`);
    }
    return this.#read(id, 1 + head.overflow);
  }

  async #read(id: number, pages: number): Promise<Buffer> {
    const { pageBytes } = this.meta;
    const bytes = await this.#source.read(id * pageBytes, pages * pageBytes);
    if (bytes.length < pages * pageBytes) throw new BboltError(id, 'the file ends within');
    return bufferOf(bytes);
  }
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function bucketOf(name: string, value: Buffer): BboltBucket {
  if (value.length < BUCKET_HEADER_BYTES)
    throw new BboltError(null, `bucket ${JSON.stringify(name)} is cut off`);
  const root = readU64(value, 0);
  if (root !== 0) return { name, root };
  const inline = value.subarray(BUCKET_HEADER_BYTES);
  if (inline.length < PAGE_HEADER_BYTES || readHead(inline).flags !== PageFlag.LEAF) {
    throw new BboltError(null, `bucket ${JSON.stringify(name)} has no page`);
  }
  return { name, root: inline };
}

/** `id` is null for the page of an inline bucket. */
function* readLeaf(
  page: Buffer,
  id: number | null,
  bounds: Bounds,
): Generator<readonly Element[], void> {
  let elements: Element[] = [];
  const check = orderCheck(id, bounds);
  for (const at of elementsOf(page, id)) {
    const start = at + page.readUInt32LE(at + 4);
    const middle = start + page.readUInt32LE(at + 8);
    const end = middle + page.readUInt32LE(at + 12);
    if (end > page.length) throw new BboltError(id, 'an item reaches beyond the end');
    const key = page.toString('latin1', start, middle);
    check(key);
    elements.push({ flags: page.readUInt32LE(at), key, value: page.subarray(middle, end) });
    if (elements.length < ITEMS_PER_STEP) continue;
    yield elements;
    elements = [];
  }
  yield elements;
}

function readBranch(
  page: Buffer,
  id: number,
  bounds: Bounds,
): readonly { readonly key: string; readonly page: number }[] {
  const children: { key: string; page: number }[] = [];
  const check = orderCheck(id, bounds);
  for (const at of elementsOf(page, id)) {
    const start = at + page.readUInt32LE(at);
    const end = start + page.readUInt32LE(at + 4);
    if (end > page.length) throw new BboltError(id, 'a key reaches beyond the end');
    const key = page.toString('latin1', start, end);
    check(key);
    children.push({ key, page: readU64(page, at + 8) });
  }
  if (children.length === 0) throw new BboltError(id, 'a branch without children');
  return children;
}

/** Offsets of a page's elements. */
function elementsOf(page: Buffer, id: number | null): readonly number[] {
  const { count } = readHead(page);
  if (PAGE_HEADER_BYTES + count * ELEMENT_BYTES > page.length) {
    throw new BboltError(id, `${count} elements do not fit`);
  }
  return Array.from({ length: count }, (_, i) => PAGE_HEADER_BYTES + i * ELEMENT_BYTES);
}

/** Sees the keys of a page one after the other. */
function orderCheck(id: number | null, { from, to }: Bounds): (key: string) => void {
  let last: string | null = null;
  return (key) => {
    if (last !== null && key <= last) throw new BboltError(id, 'keys out of order');
    if (key < from || (to !== null && key >= to)) {
      throw new BboltError(id, 'a key outside of what the page above says');
    }
    last = key;
  };
}
