import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { sourceOf } from '../../test/support/bytes-source.ts';
import { BboltError, readMeta, writeMeta } from './format.ts';
import { BboltReader } from './reader.ts';

const FOLDER = new URL('../../test/fixtures/bbolt/', import.meta.url);
const PAGE = 4096;
const ETCD_BUCKETS = [
  'alarm',
  'auth',
  'authRoles',
  'authUsers',
  'cluster',
  'key',
  'lease',
  'members',
  'members_removed',
  'meta',
];

/** A snapshot that etcd 3.4.23 saved. */
function fixture(name: string): Buffer {
  return readFileSync(new URL(`snapshot-${name}.db`, FOLDER));
}

async function read(image: Uint8Array): Promise<Map<string, Map<string, Buffer>>> {
  const reader = await BboltReader.open(sourceOf(image));
  const contents = new Map<string, Map<string, Buffer>>();
  for (const bucket of await reader.buckets()) {
    const items = new Map<string, Buffer>();
    for await (const leaf of reader.items(bucket)) {
      for (const { key, value } of leaf) items.set(key, Buffer.from(value));
    }
    contents.set(bucket.name, items);
  }
  return contents;
}

function revision(main: string, rest = ''): string {
  return Buffer.from(`${main}5f0000000000000000${rest}`, 'hex').toString('latin1');
}

describe('BboltReader', () => {
  it('reads the database of etcd', async () => {
    const contents = await read(fixture('3keys'));
    expect([...contents.keys()]).toEqual(ETCD_BUCKETS);
    const keys = contents.get('key');
    expect([...(keys?.keys() ?? [])]).toEqual([
      revision('0000000000000002'),
      revision('0000000000000003'),
      revision('0000000000000004'),
    ]);
    expect(keys?.get(revision('0000000000000002'))?.toString('hex')).toBe(
      '0a03666f6f1002180220012a03626172',
    );
  });

  it('reads leases, users and members', async () => {
    const contents = await read(fixture('auth-lease-learner'));
    const size = (name: string): number => contents.get(name)?.size ?? 0;
    expect(size('lease')).toBeGreaterThan(0);
    expect(contents.get('authUsers')?.has('root')).toBe(true);
    const members = [...(contents.get('members')?.values() ?? [])].map(String);
    expect(members.length).toBeGreaterThan(0);
    for (const text of members) expect(text).toMatch(/^\{"id":\d+,"peerURLs":\[/);
  });

  it('reads tombstones and the marks of a compaction', async () => {
    const contents = await read(fixture('compacted4-tombstones'));
    const finished = contents.get('meta')?.get('finishedCompactRev');
    expect(finished?.toString('latin1')).toBe(revision('0000000000000004'));
    const keys = [...(contents.get('key')?.keys() ?? [])];
    expect(keys.some((key) => key.length === 18 && key.endsWith('t'))).toBe(true);
  });

  it('takes the meta page with the higher txid, the other one when that is damaged', async () => {
    const image = fixture('3keys');
    const txid = async (): Promise<number> => (await BboltReader.open(sourceOf(image))).meta.txid;
    expect(await txid()).toBe(9);
    image.writeUInt8(0, 17);
    expect(await txid()).toBe(8);
    image.writeUInt8(0, PAGE + 17);
    await expect(txid()).rejects.toThrow('no valid meta page');
  });
});

describe('meta pages', () => {
  it('are written with the bytes of etcd', () => {
    const image = fixture('3keys');
    for (const id of [0, 1]) {
      const theirs = image.subarray(id * PAGE, (id + 1) * PAGE);
      const meta = readMeta(theirs);
      expect(meta).toEqual({ pageBytes: PAGE, root: 2, pages: 5, txid: 9 - id });
      const ours = Buffer.alloc(PAGE);
      if (meta !== null) writeMeta(ours, id, meta);
      expect(ours.subarray(0, 80).toString('hex')).toBe(theirs.subarray(0, 80).toString('hex'));
    }
  });

  it('are refused when one bit differs', () => {
    const page = fixture('3keys').subarray(0, PAGE);
    for (let bit = 16 * 8; bit < 80 * 8; bit++) {
      const damaged = Buffer.from(page);
      damaged.writeUInt8(damaged.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(readMeta(damaged)).toBeNull();
    }
  });
});

describe('damage', () => {
  const ROOT = 2 * PAGE;
  const cases: readonly [string, (image: Buffer) => unknown, string, number | null][] = [
    ['another page number', (i) => i.writeUInt8(3, ROOT), 'page 2: calls itself page 3', 2],
    ['unknown flags', (i) => i.writeUInt16LE(0x10, ROOT + 8), 'page 2: flags 16', 2],
    ['too many elements', (i) => i.writeUInt16LE(60_000, ROOT + 10), '60000 elements', 2],
    ['too much overflow', (i) => i.writeUInt32LE(9, ROOT + 12), 'overflows by 9 pages', 2],
    ['a key beyond the page', (i) => i.writeUInt32LE(9999, ROOT + 20), 'beyond the end', 2],
    ['a huge value', (i) => i.writeUInt32LE(0xffff_ffff, ROOT + 28), 'beyond the end', 2],
    ['an item that is no bucket', (i) => i.writeUInt32LE(0, ROOT + 16), 'not a bucket', null],
    ['names out of order', (i) => i.write('zzzzz', 0x20b0), 'page 2: keys out of order', 2],
    ['a root nowhere', (i) => i.writeUInt32LE(77, 0x20b5), 'page 77: beyond', 77],
    ['a root in a meta page', (i) => i.writeUInt32LE(1, 0x20b5), 'page 1: beyond', 1],
    ['an inline bucket without page', (i) => i.writeUInt16LE(1, 0x20cd), 'has no page', null],
  ];
  for (const [name, damage, text, page] of cases) {
    it(`is told: ${name}`, async () => {
      const image = fixture('3keys');
      damage(image);
      const error = await read(image).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(BboltError);
      expect(error).toMatchObject({ message: expect.stringContaining(text), page });
    });
  }

  it('is told: the file ends too early', async () => {
    await expect(read(fixture('3keys').subarray(0, ROOT + 100))).rejects.toThrow(
      'page 2: the file ends within',
    );
  });

  it('ends a branch that leads back to itself', async () => {
    const image = fixture('3keys');
    const page = image.subarray(ROOT, ROOT + PAGE).fill(0);
    page.writeUInt8(2, 0);
    page.writeUInt16LE(1, 8);
    page.writeUInt16LE(1, 10);
    page.writeUInt32LE(16, 16);
    page.writeUInt32LE(1, 20);
    page.writeUInt8(2, 24);
    await expect(read(image)).rejects.toThrow('page 2: deeper than 32 levels');
  });
});
