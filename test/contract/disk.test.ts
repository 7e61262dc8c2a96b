// The real disk and the one in memory pass the same suite; what only one of them can do is below.
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemDisk } from '../../src/platform/disk.ts';
import { BLOCK_BYTES, MemoryDisk } from '../../src/platform/memory-disk.ts';
import { diskSuite } from './disk-suite.ts';

let root: string;
let places = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'disk-contract-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

diskSuite('disk of the system', async () => {
  const dir = join(root, `${places++}`);
  await systemDisk.makeDir(dir);
  return { disk: systemDisk, dir };
});

diskSuite('disk in memory', async () => {
  const disk = new MemoryDisk();
  await disk.makeDir('/data');
  return { disk, dir: '/data' };
});

test('files of the system disk are the owner’s alone', async () => {
  const dir = join(root, 'modes');
  await systemDisk.makeDir(dir);
  const file = await systemDisk.open(join(dir, 'a'), 'create');
  await file.close();
  expect((await stat(dir)).mode & 0o777).toBe(0o700);
  expect((await stat(join(dir, 'a'))).mode & 0o777).toBe(0o600);
});

describe('a crash of the disk in memory', () => {
  async function started() {
    const disk = new MemoryDisk();
    await disk.makeDir('/d');
    await disk.syncDir('/');
    const file = await disk.open('/d/a', 'create');
    file.write(0, Buffer.alloc(3 * BLOCK_BYTES, 1));
    await file.sync();
    await disk.syncDir('/d');
    return { disk, file };
  }
  async function blocksOf(disk: MemoryDisk): Promise<number[]> {
    const file = await disk.open('/d/a', 'read');
    const all = await file.read(0, await file.size());
    return Array.from(
      { length: Math.ceil(all.length / BLOCK_BYTES) },
      (_, b) => all[b * BLOCK_BYTES] ?? -1,
    );
  }

  test('keeps what was synced and asks once for each other block', async () => {
    const { disk, file } = await started();
    file.write(BLOCK_BYTES - 1, Buffer.alloc(BLOCK_BYTES + 2, 2));
    file.write(3 * BLOCK_BYTES, Buffer.alloc(2 * BLOCK_BYTES, 3));
    const asked: number[] = [];
    disk.crash((what) => {
      if (what.kind === 'block') asked.push(what.block);
      return what.kind === 'block' && what.block === 1;
    });
    expect(asked.sort()).toEqual([0, 1, 2, 3, 4]);
    expect(await blocksOf(disk)).toEqual([1, 2, 1]);
  });

  test('a lost block before one that survived is zero', async () => {
    const { disk, file } = await started();
    file.write(3 * BLOCK_BYTES, Buffer.alloc(2 * BLOCK_BYTES, 3));
    disk.crash((what) => what.kind === 'block' && what.block === 4);
    expect(await blocksOf(disk)).toEqual([1, 1, 1, 0, 3]);
  });

  test('undoes truncation that was not synced', async () => {
    const { disk, file } = await started();
    await file.truncate(10);
    disk.crash(() => false);
    expect(await blocksOf(disk)).toEqual([1, 1, 1]);
  });

  test('undoes names that were not synced, and kills open handles', async () => {
    const { disk, file } = await started();
    await disk.rename('/d/a', '/d/b');
    await (await disk.open('/d/c', 'create')).close();
    disk.crash(() => false);
    expect(await disk.list('/d')).toEqual(['a']);
    expect(() => file.write(0, Buffer.from('x'))).toThrow('EBADF');
    await disk.rename('/d/a', '/d/b');
    await disk.syncDir('/d');
    disk.crash(() => false);
    expect(await disk.list('/d')).toEqual(['b']);
  });

  test('a fault fails the operation before it takes effect', async () => {
    const { disk, file } = await started();
    disk.setFault((operation, path) => {
      if (operation === 'write' && path === '/d/a') throw new Error('EIO');
    });
    expect(() => file.write(0, Buffer.from([9]))).toThrow('EIO');
    disk.setFault(null);
    expect(await blocksOf(disk)).toEqual([1, 1, 1]);
  });
});
