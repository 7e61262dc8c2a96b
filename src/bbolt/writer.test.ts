import { describe, expect, it } from 'vitest';
import { sourceOf } from '../../test/support/bytes-source.ts';
import { seededRandom } from '../platform/random.ts';
import { PageFlag, readHead, readU64 } from './format.ts';
import { BboltReader } from './reader.ts';
import { BboltWriter, leafPagesMax, PAGE_BYTES, rootPagesMax } from './writer.ts';

type Contents = readonly (readonly [string, readonly (readonly [string, Uint8Array])[]])[];

function fill(writer: BboltWriter, contents: Contents) {
  for (const [name, items] of contents) {
    writer.bucket(name);
    for (const [key, value] of items) writer.put(key, value);
  }
  return writer.finish();
}

/** Leaves of one page, as etcd writes them, make trees of many levels. */
const SMALL = { leafBytes: 3600 };

function written(contents: Contents, options: { leafBytes?: number } = {}): Buffer {
  const totals = fill(new BboltWriter(null, options), contents);
  const parts: Buffer[] = [];
  const write = (bytes: Uint8Array): void => {
    parts.push(Buffer.from(bytes));
  };
  fill(new BboltWriter({ totals, write }, options), contents);
  const image = Buffer.concat(parts);
  expect(image.length).toBe(totals.pages * PAGE_BYTES);
  return image;
}

async function read(image: Uint8Array): Promise<Contents> {
  const reader = await BboltReader.open(sourceOf(image));
  const contents: [string, [string, Uint8Array][]][] = [];
  for (const bucket of await reader.buckets()) {
    const items: [string, Uint8Array][] = [];
    for await (const leaf of reader.items(bucket)) {
      for (const { key, value } of leaf) items.push([key, value]);
    }
    contents.push([bucket.name, items]);
  }
  return contents;
}

/** Compared as text: 100 000 small arrays take a matcher long. */
function shown(contents: Contents): string {
  return contents
    .map(([name, items]) => {
      const lines = items.map(([key, value]) => `${key} ${Buffer.from(value).toString('latin1')}`);
      return `${name} ${items.length}\n${lines.join('\n')}`;
    })
    .join('\n');
}

function revisionKey(n: number): string {
  const key = Buffer.alloc(17);
  key.writeBigUInt64BE(BigInt(n));
  key[8] = 0x5f;
  return key.toString('latin1');
}

function pagesWith(image: Buffer, flag: number): Buffer[] {
  const found: Buffer[] = [];
  for (let id = 0; id * PAGE_BYTES < image.length; ) {
    const page = image.subarray(id * PAGE_BYTES);
    const head = readHead(page);
    expect(head.id).toBe(id);
    id += 1 + head.overflow;
    if (head.flags === flag) found.push(page.subarray(0, (1 + head.overflow) * PAGE_BYTES));
  }
  return found;
}

describe('BboltWriter', () => {
  it('writes what is read back, for random contents', async () => {
    const random = seededRandom(11);
    for (let round = 0; round < 60; round++) {
      const contents = Array.from({ length: 1 + random.below(40) }, (_, b) => {
        const keys = new Set<string>();
        const longest = [20, 300, 5000][random.below(3)] ?? 20;
        const count = random.below([3, 30, 300][random.below(3)] ?? 3);
        for (let i = 0; i < count; i++) {
          const bytes = Array.from({ length: 1 + random.below(longest) }, () => random.below(256));
          keys.add(Buffer.from(bytes.slice(0, 24)).toString('latin1').padEnd(bytes.length, '\xff'));
        }
        const items = [...keys].sort().map((key): [string, Uint8Array] => {
          const size = random.below([1, 40, 4000, 20_000][random.below(4)] ?? 1);
          return [key, Buffer.alloc(size, random.below(256))];
        });
        return [`bucket${String(b).padStart(3, '0')}`, items] as const;
      });
      const options = round % 2 === 0 ? SMALL : {};
      expect(shown(await read(written(contents, options)))).toBe(shown(contents));
    }
  });

  it('writes 100 000 items with branches over branches', async () => {
    const items = Array.from({ length: 100_000 }, (_, i): [string, Uint8Array] => [
      revisionKey(i + 2),
      Buffer.from(`value ${i}`),
    ]);
    const contents: Contents = [
      ['key', items],
      ['meta', [['term', Buffer.from([1])]]],
    ];
    const image = written(contents, SMALL);
    expect(shown(await read(image))).toBe(shown(contents));
    const branches = pagesWith(image, PageFlag.BRANCH);
    // 17-byte keys: 111 children a page, so three levels of branches lie above 1300 leaves.
    expect(branches.length).toBeGreaterThan(10);
    for (const page of branches) expect(readHead(page).count).toBeGreaterThanOrEqual(2);
    const bytes = items.reduce((sum, [key, value]) => sum + 16 + key.length + value.length, 0);
    expect(bytes / image.length).toBeGreaterThan(0.85);
  });

  it('never leaves a child alone in a branch, whatever the number of leaves', async () => {
    // Long keys, so that a branch page is full after three children and levels come fast.
    for (let leaves = 2; leaves <= 60; leaves++) {
      const items = Array.from({ length: leaves }, (_, i): [string, Uint8Array] => [
        String(i).padStart(1500, '0'),
        Buffer.alloc(3000),
      ]);
      const image = written([['key', items]], SMALL);
      expect(shown(await read(image))).toBe(shown([['key', items]]));
      for (const page of pagesWith(image, PageFlag.BRANCH)) {
        expect(readHead(page).count).toBeGreaterThanOrEqual(2);
      }
    }
  });

  it('puts an empty bucket into 32 bytes of its parent', () => {
    const image = written([['alarm', []]]);
    expect(image.length).toBe(3 * PAGE_BYTES);
    const page = image.subarray(2 * PAGE_BYTES);
    // From a database of etcd: one element, bucket "alarm", 32 bytes, an empty inline leaf.
    expect(page.subarray(0, 16).toString('hex')).toBe('02000000000000000200010000000000');
    expect(page.subarray(16, 32).toString('hex')).toBe('01000000100000000500000020000000');
    expect(page.subarray(32, 37).toString()).toBe('alarm');
    expect(page.subarray(37, 69).toString('hex')).toBe(
      `${'00'.repeat(16)}0000000000000000${'0200000000000000'}`,
    );
  });

  it('takes a bucket out of its parent when it is larger than a quarter of a page', async () => {
    const withValue = (bytes: number): Contents => [['b', [['k', Buffer.alloc(bytes)]]]];
    expect(written(withValue(1024 - 16 - 16 - 1)).length).toBe(3 * PAGE_BYTES);
    expect(written(withValue(1024 - 16 - 16)).length).toBe(4 * PAGE_BYTES);
  });

  it('gives an item larger than a page the pages behind it', () => {
    const image = written([['b', [['k', Buffer.alloc(3 * PAGE_BYTES)]]]]);
    expect(readHead(image.subarray(2 * PAGE_BYTES))).toMatchObject({ count: 1, overflow: 3 });
    const root = image.subarray(6 * PAGE_BYTES);
    expect(readU64(root, 16 + 16 + 1)).toBe(2);
  });

  it('refuses keys and names out of order, and empty ones', () => {
    const writer = new BboltWriter(null);
    writer.bucket('b');
    expect(() => writer.bucket('a')).toThrow('bucket names ascend');
    writer.put('k', Buffer.alloc(1));
    expect(() => writer.put('k', Buffer.alloc(1))).toThrow('keys ascend');
    const other = new BboltWriter(null);
    other.bucket('b');
    expect(() => other.put('', Buffer.alloc(1))).toThrow('keys ascend');
    expect(() => other.put('x'.repeat(32_769), Buffer.alloc(1))).toThrow('at most 32768');
  });

  it('needs no more pages than promised for items of any size, and hardly fewer', async () => {
    const random = seededRandom(5);
    for (const longest of [1, 100, 2000, 5000, 200_000, 2_000_000]) {
      const count = Math.min(20_000, Math.ceil(8_000_000 / longest));
      const items = Array.from({ length: count }, (_, i): [string, Uint8Array] => [
        revisionKey(i + 2),
        Buffer.alloc(1 + random.below(longest), i),
      ]);
      const contents: Contents = [['key', items]];
      const bytes = items.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
      const least = fill(new BboltWriter(null), contents);
      const root = 2 + leafPagesMax({ buckets: 1, items: count, bytes });
      expect(root).toBeGreaterThanOrEqual(least.root);
      expect(root).toBeLessThan(least.root * 1.05 + 12);
      const totals = { root, pages: root + rootPagesMax(['key']) };
      const parts: Buffer[] = [];
      const writer = new BboltWriter({ totals, write: (part) => parts.push(Buffer.from(part)) });
      expect(fill(writer, contents)).toEqual(totals);
      const image = Buffer.concat(parts);
      expect(image.length).toBe(totals.pages * PAGE_BYTES);
      expect(shown(await read(image))).toBe(shown(contents));
    }
  });

  it('notices that more comes than was promised', () => {
    const totals = fill(new BboltWriter(null), [['a', []]]);
    const second = new BboltWriter({ totals, write: () => undefined });
    const contents: Contents = [['a', [['k', Buffer.alloc(9000)]]]];
    expect(() => fill(second, contents)).toThrow('no more pages than were promised');
  });
});
