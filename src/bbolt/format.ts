/**
 * What reader and writer of bbolt files share: the sizes and flags of the format, meta pages, and
 * the error for a file that breaks it. All numbers are little endian.
 *
 *   page    = header { id u64; flags u16; count u16; overflow u32 }, elements, data
 *   meta    = header, magic u32, version u32, page size u32, flags u32, root page u64,
 *             root sequence u64, freelist page u64, pages in use u64, txid u64, checksum u64
 *   leaf    = 16 bytes per item { flags u32; pos u32; key size u32; value size u32 }
 *   branch  = 16 bytes per child { pos u32; key size u32; page u64 }
 *   bucket  = value of a leaf item { root page u64; sequence u64 }, and where root is 0 a leaf page
 *
 * `pos` counts from the element itself. This file knows nothing of trees and of what keys mean.
 */

export const PAGE_HEADER_BYTES = 16;
export const ELEMENT_BYTES = 16;
export const BUCKET_HEADER_BYTES = 16;
/** The first page that is not a meta page. */
export const FIRST_PAGE = 2;
export const KEY_BYTES_MAX = 32_768;

export const PageFlag = { BRANCH: 0x01, LEAF: 0x02, META: 0x04 } as const;
/** Flag of a leaf item whose value is a bucket. */
export const BUCKET_ITEM = 1;

const MAGIC = 0xed0c_daed;
const VERSION = 2;
const CHECKSUM_AT = 72;
export const META_END = 80;
const PAGE_BYTES_MIN = 1024;
const PAGE_BYTES_MAX = 65_536;
const TWO_32 = 0x1_0000_0000;

/** The file breaks the format. `page` is null where no single page is to blame. */
export class BboltError extends Error {
  override readonly name = 'BboltError';
  readonly page: number | null;

  constructor(page: number | null, text: string) {
    super(page === null ? text : `page ${page}: ${text}`);
    this.page = page;
  }
}

export interface BboltMeta {
  readonly pageBytes: number;
  readonly root: number;
  /** Pages in use; the file may be longer. */
  readonly pages: number;
  readonly txid: number;
}

/** Exact below 2^53; what is damaged beyond that stays larger than any page number. */
export function readU64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at + 4) * TWO_32 + bytes.readUInt32LE(at);
}

export function writeU64(target: Buffer, at: number, value: number): void {
  target.writeUInt32LE(value % TWO_32, at);
  target.writeUInt32LE(Math.floor(value / TWO_32), at + 4);
}

export interface PageHead {
  readonly id: number;
  readonly flags: number;
  readonly count: number;
  /** Pages that follow and belong to this one. */
  readonly overflow: number;
}

export function readHead(page: Buffer): PageHead {
  return {
    id: readU64(page, 0),
    flags: page.readUInt16LE(8),
    count: page.readUInt16LE(10),
    overflow: page.readUInt32LE(12),
  };
}

export function writeHead(target: Buffer, { id, flags, count, overflow }: PageHead): void {
  writeU64(target, 0, id);
  target.writeUInt16LE(flags, 8);
  target.writeUInt16LE(count, 10);
  target.writeUInt32LE(overflow, 12);
}

/** Writes meta page `id` into a zeroed page, with no freelist stored. */
export function writeMeta(target: Buffer, id: number, meta: BboltMeta): void {
  writeHead(target, { id, flags: PageFlag.META, count: 0, overflow: 0 });
  target.writeUInt32LE(MAGIC, 16);
  target.writeUInt32LE(VERSION, 20);
  target.writeUInt32LE(meta.pageBytes, 24);
  writeU64(target, 32, meta.root);
  target.fill(0xff, 48, 56);
  writeU64(target, 56, meta.pages);
  writeU64(target, 64, meta.txid);
  target.writeBigUInt64LE(checksum(target), CHECKSUM_AT);
}

/** `null` when these are not the bytes of a meta page that was written completely. */
export function readMeta(page: Buffer): BboltMeta | null {
  if (page.length < META_END) return null;
  if (page.readUInt32LE(16) !== MAGIC || page.readUInt32LE(20) !== VERSION) return null;
  if (page.readBigUInt64LE(CHECKSUM_AT) !== checksum(page)) return null;
  const pageBytes = page.readUInt32LE(24);
  if (!pageSizes().includes(pageBytes)) return null;
  return {
    pageBytes,
    root: readU64(page, 32),
    pages: readU64(page, 56),
    txid: readU64(page, 64),
  };
}

/** The page sizes that a file may have: those of operating systems. */
export function pageSizes(): readonly number[] {
  const sizes: number[] = [];
  for (let size = PAGE_BYTES_MIN; size <= PAGE_BYTES_MAX; size *= 2) sizes.push(size);
  return sizes;
}

/** FNV-1a, 64 bits, of a meta page's fields. */
function checksum(page: Buffer): bigint {
  let hash = 0xcbf2_9ce4_8422_2325n;
  for (const byte of page.subarray(PAGE_HEADER_BYTES, CHECKSUM_AT)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100_0000_01b3n);
  }
  return hash;
}
