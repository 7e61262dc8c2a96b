// The engine in memory against the engine's contract, and how it plays a crash.
import { expect, it } from 'vitest';
import { MemoryEngine } from '../../src/platform/memory-engine.ts';
import type { RowKey } from '../../src/types.ts';
import { type EngineUnderTest, engineContract } from './engine.ts';

function under(engine: MemoryEngine): EngineUnderTest {
  return {
    engine,
    restart: async () => under(engine.restart()),
    dispose: () => engine.close(),
  };
}

engineContract('memory engine', async () => under(new MemoryEngine()));

const key = 'a' as RowKey;
const value = Buffer.from('x');

it('memory engine: a batch in flight at a crash is lost when it had not landed', async () => {
  const lands: (() => void)[] = [];
  const engine = new MemoryEngine({
    commit: (land) => {
      lands.push(land);
      return new Promise(() => undefined);
    },
  });
  void engine.write([{ key, value }]);
  expect(lands).toHaveLength(1);
  const next = engine.restart();
  // The old handle is closed: what it still tries to write must not appear.
  for (const land of lands) land();
  expect(next.get(key)).toBeNull();
  await next.write([{ key, value }]);
  expect(next.get(key)).toEqual(value);
});

it('memory engine: a batch in flight at a crash is whole when it had landed', () => {
  const engine = new MemoryEngine({
    commit: (land) => {
      land();
      return new Promise(() => undefined);
    },
  });
  void engine.write([
    { key, value },
    { key: 'b' as RowKey, value },
  ]);
  const next = engine.restart();
  expect(next.get(key)).toEqual(value);
  expect(next.get('b' as RowKey)).toEqual(value);
});

it('memory engine: hands on the failure that the simulation asks for', async () => {
  const engine = new MemoryEngine({ commit: () => Promise.reject(new Error('EIO')) });
  await expect(engine.write([{ key, value }])).rejects.toThrow('EIO');
  expect(engine.get(key)).toBeNull();
});

it('memory engine: a crash at a switch leaves one state or the other', async () => {
  for (const lands of [false, true]) {
    let isLast = false;
    const engine = new MemoryEngine({
      commit: async (land) => {
        if (!isLast || lands) land();
        if (isLast) await new Promise(() => undefined);
      },
    });
    await engine.write([{ key, value }]);
    const replacement = await engine.beginReplacement();
    await replacement.write([{ key: 'b' as RowKey, value }]);
    isLast = true;
    let switched = 0;
    void replacement.commit(() => {
      switched++;
    });
    const next = engine.restart();
    const rows = await next.scan({ from: '' as RowKey, to: 'z' as RowKey, limit: 10 });
    expect(rows.map((row) => row.key)).toEqual([lands ? 'b' : 'a']);
    expect(switched).toBe(lands ? 1 : 0);
  }
});

it('memory engine: a commit that fails has switched nothing', async () => {
  let fails = false;
  const engine = new MemoryEngine({
    commit: async (land) => {
      if (fails) throw new Error('EIO');
      land();
    },
  });
  await engine.write([{ key, value }]);
  const replacement = await engine.beginReplacement();
  fails = true;
  const switched = () => expect.unreachable('nothing was committed');
  await expect(replacement.commit(switched)).rejects.toThrow('EIO');
  expect(engine.get(key)).toEqual(value);
});
