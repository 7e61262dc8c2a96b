// LevelDB against the engine's contract, and what only a durable engine has to promise.
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { afterAll, describe, expect, it } from 'vitest';
import { EngineError, LevelEngine } from '../../src/platform/level-engine.ts';
import type { RowKey } from '../../src/types.ts';
import { type EngineUnderTest, engineContract } from './engine.ts';

const root = await mkdtemp(join(tmpdir(), 'engine-contract-'));
afterAll(() => rm(root, { recursive: true }));

let folders = 0;
const newFolder = (): string => join(root, `db${folders++}`);

function under(engine: LevelEngine, path: string): EngineUnderTest {
  return {
    engine,
    async restart() {
      await engine.close();
      return under(await LevelEngine.open(path), path);
    },
    dispose: () => engine.close(),
  };
}

engineContract('level engine', async () => {
  const path = newFolder();
  return under(await LevelEngine.open(path), path);
});

async function failure(opening: Promise<unknown>): Promise<EngineError> {
  const error = await opening.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(EngineError);
  return error as EngineError;
}

describe('level engine: a folder that it cannot open', () => {
  it('is locked while another engine has it', async () => {
    const path = newFolder();
    const engine = await LevelEngine.open(path);
    const error = await failure(LevelEngine.open(path));
    expect(error.kind).toBe('locked');
    expect(error.path).toBe(path);
    expect(error.message).toContain(path);
    await engine.close();
    await (await LevelEngine.open(path)).close();
  });

  it('is unreadable when a file stands in its place', async () => {
    const path = newFolder();
    await writeFile(path, 'not a folder');
    const error = await failure(LevelEngine.open(path));
    expect(error.kind).toBe('unreadable');
    expect(error.message).toContain(path);
  });

  it('is unreadable when its keys have no generation', async () => {
    const path = newFolder();
    const db = new ClassicLevel<string, string>(path);
    await db.put('kold', 'row');
    await db.close();
    const error = await failure(LevelEngine.open(path));
    expect(error.kind).toBe('unreadable');
    expect(error.message).toContain(`${path}: its rows have the layout of an earlier version`);
    const reopened = new ClassicLevel<string, string>(path);
    expect(await reopened.keys().all()).toEqual(['kold']);
    await reopened.close();
  });

  it('is corrupt when its manifest is damaged', async () => {
    const path = newFolder();
    const engine = await LevelEngine.open(path);
    await engine.write([{ key: 'a' as RowKey, value: Buffer.from('x') }]);
    await engine.close();
    for (const name of await readdir(path)) {
      if (name.startsWith('MANIFEST')) await writeFile(join(path, name), Buffer.alloc(100, 7));
    }
    const error = await failure(LevelEngine.open(path));
    expect(error.kind).toBe('corrupt');
    expect(error.message).toContain(path);
  });
});

it('reads little more than a scan asked for, however large the rows are', async () => {
  const engine = await LevelEngine.open(newFolder());
  const value = Buffer.alloc(100_000);
  const rows = Array.from({ length: 60 }, (_, i) => ({ key: `k${10 + i}` as RowKey, value }));
  await engine.write(rows);
  const range = { from: 'k' as RowKey, to: 'l' as RowKey, limit: 1000, bytesMax: 300_000 };
  const found = await engine.scan(range);
  expect(found.length).toBeGreaterThanOrEqual(3);
  expect(found.length).toBeLessThan(6);
  await engine.close();
});

describe('level engine: rows of replaced and unfinished states', () => {
  const rowsOf = (count: number) =>
    Array.from({ length: count }, (_, i) => ({
      key: `k${100_000 + i}` as RowKey,
      value: Buffer.alloc(20, i),
    }));

  async function storedKeys(path: string): Promise<number> {
    const db = new ClassicLevel<Buffer, Buffer>(path, { keyEncoding: 'buffer' });
    const keys = await db.keys().all();
    await db.close();
    // All but the pointer.
    return keys.length - 1;
  }

  it('are deleted in the background', async () => {
    const path = newFolder();
    const engine = await LevelEngine.open(path);
    await engine.write(rowsOf(5000));
    const replacement = await engine.beginReplacement();
    await replacement.write(rowsOf(10));
    await replacement.commit(() => {});
    const discarded = await engine.beginReplacement();
    await discarded.write(rowsOf(5000));
    await discarded.discard();
    await engine.compact();
    await engine.close();
    expect(await storedKeys(path)).toBe(10);
  });

  it('are deleted after a start when the life before did not come to it', async () => {
    const path = newFolder();
    let engine = await LevelEngine.open(path);
    await engine.write(rowsOf(5000));
    for (const key of ['a', 'b']) {
      const replacement = await engine.beginReplacement();
      await replacement.write([{ key: key as RowKey, value: Buffer.alloc(1) }]);
      // The end of this life comes before the first step of deleting.
      await replacement.commit(() => {});
      if (key === 'a') await engine.write([{ key: 'c' as RowKey, value: Buffer.alloc(1) }]);
    }
    const unfinished = await engine.beginReplacement();
    await unfinished.write(rowsOf(3000));
    await engine.close();
    expect(await storedKeys(path)).toBeGreaterThan(3000);

    engine = await LevelEngine.open(path);
    // Meanwhile another one is filled, which must not be taken for a leftover.
    const replacement = await engine.beginReplacement();
    await replacement.write(rowsOf(7));
    await engine.compact();
    expect(
      await replacement.scan({ from: 'a' as RowKey, to: 'z' as RowKey, limit: 99 }),
    ).toHaveLength(7);
    expect(engine.get('b' as RowKey)).not.toBeNull();
    await replacement.commit(() => {});
    await engine.compact();
    await engine.close();
    expect(await storedKeys(path)).toBe(7);
  });
});
