/**
 * The rows of a bbolt file, for those who read rows: a store can be opened over them. They cannot
 * be changed. A scan that goes on where the one before ended reads on; any other begins anew at the
 * start of its bucket, so this is for walks from the front, a few of them.
 */

import { assert } from '../assert.ts';
import type { BboltBucket, BboltItem, BboltReader } from '../bbolt/reader.ts';
import { type Bucket, bucketOf, rowKey } from '../buckets.ts';
import type { Row, RowRange, Rows } from '../ports.ts';
import type { RowKey } from '../types.ts';

/** Rows of the buckets named here are found by key as well, so these are the small ones. */
export async function openFileRows(
  reader: BboltReader,
  small: readonly Bucket[],
  advance: (bytes: number) => void,
): Promise<Rows> {
  const found = new Map((await reader.buckets()).map((bucket) => [bucket.name, bucket]));
  const byKey = new Map<RowKey, Uint8Array>();
  for (const bucket of small) {
    const source = found.get(bucket.name);
    if (source === undefined) continue;
    for await (const items of reader.items(source)) {
      for (const { key, value } of items) byKey.set(rowKey(bucket, key), value);
    }
  }
  return new FileRows(reader, found, byKey, advance);
}

class FileRows implements Rows {
  readonly #reader: BboltReader;
  readonly #buckets: ReadonlyMap<string, BboltBucket>;
  readonly #byKey: ReadonlyMap<RowKey, Uint8Array>;
  readonly #advance: (bytes: number) => void;
  #cursor: Cursor | null = null;

  constructor(
    reader: BboltReader,
    found: ReadonlyMap<string, BboltBucket>,
    byKey: ReadonlyMap<RowKey, Uint8Array>,
    advance: (bytes: number) => void,
  ) {
    this.#reader = reader;
    this.#buckets = found;
    this.#byKey = byKey;
    this.#advance = advance;
  }

  get(key: RowKey): Uint8Array | null {
    return this.#byKey.get(key) ?? null;
  }

  put(): void {
    assert(false, 'a file is only read');
  }

  delete(): void {
    assert(false, 'a file is only read');
  }

  async scan({ from, to, limit }: RowRange): Promise<readonly Row[]> {
    const cursor = this.#cursorAt(from);
    if (cursor === null) return [];
    const rows: Row[] = [];
    while (rows.length < limit) {
      const item = await this.#next(cursor);
      if (item === null) break;
      const key = rowKey(cursor.bucket, item.key);
      if (key >= to) {
        this.#cursor = null;
        break;
      }
      if (key >= from) rows.push({ key, value: item.value });
    }
    const last = rows.at(-1);
    if (last !== undefined) cursor.next = `${last.key}\x00` as RowKey;
    return rows;
  }

  #cursorAt(from: RowKey): Cursor | null {
    if (this.#cursor?.next === from) return this.#cursor;
    const bucket = bucketOf(from);
    const source = bucket === null ? undefined : this.#buckets.get(bucket.name);
    if (bucket === null || source === undefined) return null;
    const leaves = this.#reader.items(source);
    this.#cursor = { bucket, leaves, leaf: [], at: 0, next: null };
    return this.#cursor;
  }

  async #next(cursor: Cursor): Promise<BboltItem | null> {
    for (;;) {
      const item = cursor.leaf[cursor.at];
      if (item !== undefined) {
        cursor.at++;
        return item;
      }
      const leaf = await cursor.leaves.next();
      if (leaf.done === true) return null;
      let bytes = 0;
      for (const { key, value } of leaf.value) bytes += key.length + value.length;
      this.#advance(bytes);
      cursor.leaf = leaf.value;
      cursor.at = 0;
    }
  }
}

interface Cursor {
  readonly bucket: Bucket;
  readonly leaves: AsyncGenerator<readonly BboltItem[]>;
  leaf: readonly BboltItem[];
  at: number;
  /** Where a scan begins that reads on. */
  next: RowKey | null;
}
