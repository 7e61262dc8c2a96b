/** What every `Disk` does, whatever it is made of. */

import { beforeEach, describe, expect, test } from 'vitest';
import type { Disk } from '../../src/ports.ts';

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');
const bytes = (value: string) => Buffer.from(value, 'latin1');
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'no error',
    (cause: NodeJS.ErrnoException) => cause.code,
  );

/** `place` gives a disk and an empty directory on it. */
export function diskSuite(
  name: string,
  place: () => Promise<{ readonly disk: Disk; readonly dir: string }>,
): void {
  describe(name, () => {
    let disk: Disk;
    let dir: string;
    beforeEach(async () => {
      ({ disk, dir } = await place());
    });
    const create = async (file: string, content = '') => {
      const handle = await disk.open(`${dir}/${file}`, 'create');
      handle.write(0, bytes(content));
      return handle;
    };
    const contentOf = async (file: string) => {
      const handle = await disk.open(`${dir}/${file}`, 'read');
      const content = text(await handle.read(0, 1_000_000));
      await handle.close();
      return content;
    };

    fileCases();
    directoryCases();

    function fileCases(): void {
      test('reads what was written, short at the end of the file', async () => {
        const file = await create('a', 'hello');
        file.write(5, bytes(' world'));
        file.write(0, bytes('J'));
        expect(await file.size()).toBe(11);
        expect(text(await file.read(0, 11))).toBe('Jello world');
        expect(text(await file.read(6, 100))).toBe('world');
        expect(text(await file.read(11, 5))).toBe('');
        expect(text(await file.read(50, 5))).toBe('');
        await file.sync();
        file.syncNow();
        await file.close();
        expect(await contentOf('a')).toBe('Jello world');
      });

      test('what was read does not change with the file', async () => {
        const file = await create('a', 'before');
        const seen = await file.read(0, 6);
        file.write(0, bytes('after!'));
        expect(text(seen)).toBe('before');
        await file.close();
      });

      test('a write behind the end leaves zeros between', async () => {
        const file = await create('a', 'x');
        file.write(5000, bytes('y'));
        expect(await file.size()).toBe(5001);
        const all = await file.read(0, 5001);
        expect(all.subarray(1, 5000).every((byte) => byte === 0)).toBe(true);
        await file.close();
      });

      test('truncate shortens, and what comes after it is zero again', async () => {
        const file = await create('a', 'abcdef');
        await file.truncate(2);
        expect(await file.size()).toBe(2);
        await file.truncate(4);
        expect(text(await file.read(0, 9))).toBe('ab\0\0');
        file.write(6, bytes('z'));
        expect(text(await file.read(0, 9))).toBe('ab\0\0\0\0z');
        await file.close();
      });

      test('allocate lengthens with zeros and never shortens or overwrites', async () => {
        const file = await create('a', 'abc');
        await file.allocate(700_000);
        expect(await file.size()).toBe(700_000);
        await file.allocate(10);
        expect(await file.size()).toBe(700_000);
        const all = await file.read(0, 700_000);
        expect(text(all.subarray(0, 3))).toBe('abc');
        expect(all.subarray(3).every((byte) => byte === 0)).toBe(true);
        await file.close();
      });

      test('writes below the end go on while space is allocated', async () => {
        const file = await create('a', 'abc'.padEnd(1000, '.'));
        const done = file.allocate(600_000);
        file.write(0, bytes('ABC'));
        await file.sync();
        await done;
        expect(text(await file.read(0, 5))).toBe('ABC..');
        expect(await file.size()).toBe(600_000);
        await file.close();
      });

      test('a file opened for reading refuses writes', async () => {
        await (await create('a', 'abc')).close();
        const file = await disk.open(`${dir}/a`, 'read');
        expect(() => file.write(0, bytes('x'))).toThrow();
        await file.close();
        expect(await contentOf('a')).toBe('abc');
      });

      test('open: create wants no file, read and write want one', async () => {
        expect(await codeOf(disk.open(`${dir}/a`, 'read'))).toBe('ENOENT');
        expect(await codeOf(disk.open(`${dir}/a`, 'write'))).toBe('ENOENT');
        await (await create('a', 'abc')).close();
        expect(await codeOf(disk.open(`${dir}/a`, 'create'))).toBe('EEXIST');
        expect(await codeOf(disk.open(`${dir}/none/a`, 'create'))).toBe('ENOENT');
        const file = await disk.open(`${dir}/a`, 'write');
        file.write(1, bytes('B'));
        await file.close();
        expect(await contentOf('a')).toBe('aBc');
      });
    }

    function directoryCases(): void {
      test('lists sorted names, and nothing where there is no directory', async () => {
        expect(await disk.list(dir)).toEqual([]);
        expect(await disk.list(`${dir}/none`)).toEqual([]);
        for (const name of ['b', 'a', '10', '9', 'B']) await (await create(name)).close();
        expect(await disk.list(dir)).toEqual(['10', '9', 'B', 'a', 'b']);
      });

      test('makes directories with all above them, and again without complaint', async () => {
        await disk.makeDir(`${dir}/x/y`);
        await disk.makeDir(`${dir}/x/y`);
        expect(await disk.list(`${dir}/x`)).toEqual(['y']);
        await disk.syncDir(`${dir}/x`);
        expect(await codeOf(disk.syncDir(`${dir}/none`))).toBe('ENOENT');
      });

      test('rename moves files and directories and replaces files', async () => {
        const open = await create('a', 'one');
        await (await create('b', 'two')).close();
        await disk.rename(`${dir}/a`, `${dir}/b`);
        expect(await disk.list(dir)).toEqual(['b']);
        open.write(0, bytes('O'));
        await open.close();
        expect(await contentOf('b')).toBe('One');
        await disk.makeDir(`${dir}/from`);
        await (await create('from/c', 'three')).close();
        await disk.rename(`${dir}/from`, `${dir}/to`);
        expect(await contentOf('to/c')).toBe('three');
        expect(await codeOf(disk.rename(`${dir}/none`, `${dir}/x`))).toBe('ENOENT');
      });

      test('remove takes files and whole directories, and what is missing', async () => {
        await disk.makeDir(`${dir}/x/y`);
        await (await create('x/y/a', '1')).close();
        await (await create('b', '2')).close();
        await disk.remove(`${dir}/x`);
        await disk.remove(`${dir}/b`);
        await disk.remove(`${dir}/none/b`);
        expect(await disk.list(dir)).toEqual([]);
      });
    }
  });
}
