import { describe, expect, it } from 'vitest';
import type { RowWrite } from '../ports.ts';
import type { RowKey } from '../types.ts';
import { MemoryEngine } from './memory-engine.ts';
import { RowTable } from './rows.ts';

const row = (text: string): RowKey => text as RowKey;
const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const text = (value: Uint8Array | null): string | null =>
  value === null ? null : Buffer.from(value).toString('latin1');

async function dump(table: RowTable, limit = 1000): Promise<readonly string[]> {
  const rows = await table.scan({ from: row(''), to: row('z'), limit });
  return rows.map((r) => `${r.key}=${text(r.value)}`);
}

/** An engine whose batches land when the test says so. */
function heldEngine(): { engine: MemoryEngine; landed: () => void; failed: (e: Error) => void } {
  const held: { land: () => void; resolve: () => void; reject: (e: Error) => void }[] = [];
  const engine = new MemoryEngine({
    commit: (land) =>
      new Promise<void>((resolve, reject) => {
        held.push({ land, resolve, reject });
      }),
  });
  return {
    engine,
    landed() {
      const batch = held.shift();
      batch?.land();
      batch?.resolve();
    },
    failed: (e) => held.shift()?.reject(e),
  };
}

describe('RowTable', () => {
  it('answers from what is staged before anything is flushed', async () => {
    const engine = new MemoryEngine();
    const table = await RowTable.open(engine);
    table.put(row('a1'), bytes('x'));
    table.put(row('a2'), bytes(''));
    table.put(row('a3'), bytes('gone'));
    table.delete(row('a3'));
    expect(text(table.get(row('a1')))).toBe('x');
    expect(text(table.get(row('a2')))).toBe('');
    expect(table.get(row('a3'))).toBeNull();
    expect(await dump(table)).toEqual(['a1=x', 'a2=']);
    expect(engine.get(row('a1'))).toBeNull();
    expect(table.stagedRows).toBe(3);
    expect(table.stagedBytes).toBe(2 + 1 + 2 + 2);
  });

  it('remembers how many bytes there were at most, after a restart too', async () => {
    const engine = new MemoryEngine();
    const table = await RowTable.open(engine);
    table.put(row('a1'), bytes('12345678'));
    table.put(row('a2'), bytes('12'));
    await table.flush([]);
    table.delete(row('a1'));
    expect([table.liveBytes, table.peakBytes]).toEqual([4, 14]);
    await table.flush([]);
    const restarted = await RowTable.open(engine);
    expect([restarted.liveBytes, restarted.peakBytes]).toEqual([4, 14]);
    restarted.forgetPeak();
    expect(restarted.peakBytes).toBe(4);
    restarted.put(row('a3'), bytes(''));
    await restarted.flush([]);
    expect((await RowTable.open(engine)).peakBytes).toBe(6);
  });

  it('writes everything staged and the extra rows in one batch', async () => {
    const batches: (readonly RowWrite[])[] = [];
    const engine = new MemoryEngine();
    const write = engine.write.bind(engine);
    engine.write = (batch) => {
      batches.push(batch);
      return write(batch);
    };
    const table = await RowTable.open(engine);
    table.put(row('a1'), bytes('x'));
    await table.flush([{ key: row('oindex'), value: bytes('7') }]);
    expect(batches.map((b) => b.map((w) => w.key))).toEqual([['a1', 'oindex', '!liveBytes']]);
    expect(table.stagedRows).toBe(0);
    expect(table.stagedBytes).toBe(0);
    await table.flush([]);
    expect(batches).toHaveLength(1);
  });

  it('keeps rows of the flush in flight and of the next one apart', async () => {
    const { engine, landed } = heldEngine();
    const table = await RowTable.open(engine);
    table.put(row('a1'), bytes('old'));
    table.put(row('a2'), bytes('two'));
    const flush = table.flush([]);
    table.put(row('a1'), bytes('new'));
    table.delete(row('a2'));
    expect(text(table.get(row('a1')))).toBe('new');
    expect(table.get(row('a2'))).toBeNull();
    expect(await dump(table)).toEqual(['a1=new']);
    expect(table.stagedRows).toBe(2);
    expect(table.stagedBytes).toBe(2 + 3 + 2 + 3 + (2 + 3 + 2));
    landed();
    await flush;
    expect(text(engine.get(row('a1')))).toBe('old');
    expect(text(table.get(row('a1')))).toBe('new');
    expect(await dump(table)).toEqual(['a1=new']);
    const second = table.flush([]);
    landed();
    await second;
    expect(text(engine.get(row('a1')))).toBe('new');
    expect(engine.get(row('a2'))).toBeNull();
    expect(table.get(row('a2'))).toBeNull();
  });

  it('refuses a second flush while one is in flight', async () => {
    const { engine, landed } = heldEngine();
    const table = await RowTable.open(engine);
    table.put(row('a1'), bytes('x'));
    const flush = table.flush([]);
    await expect(table.flush([])).rejects.toThrow('one flush at a time');
    landed();
    await flush;
  });

  it('keeps the rows of a failed flush readable and refuses another', async () => {
    const { engine, failed } = heldEngine();
    const table = await RowTable.open(engine);
    table.put(row('a1'), bytes('x'));
    const flush = table.flush([]);
    failed(new Error('disk'));
    await expect(flush).rejects.toThrow('disk');
    expect(text(table.get(row('a1')))).toBe('x');
    await expect(table.flush([])).rejects.toThrow('none after a failed one');
  });

  it('merges a limited scan past deleted and replaced rows', async () => {
    const table = await RowTable.open(new MemoryEngine());
    for (let i = 0; i < 10; i++) table.put(row(`a${i}`), bytes('e'));
    await table.flush([]);
    for (let i = 0; i < 5; i++) table.delete(row(`a${i}`));
    table.put(row('a5'), bytes('s'));
    table.put(row('a55'), bytes('s'));
    expect(await dump(table, 3)).toEqual(['a5=s', 'a55=s', 'a6=e']);
    const some = await table.scan({ from: row('a6'), to: row('a8'), limit: 100 });
    expect(some.map((r) => r.key)).toEqual(['a6', 'a7']);
  });

  it('scans the rows as they were at the call', async () => {
    const table = await RowTable.open(new MemoryEngine());
    table.put(row('a1'), bytes('x'));
    const scan = table.scan({ from: row('a'), to: row('b'), limit: 10 });
    table.put(row('a2'), bytes('x'));
    table.delete(row('a1'));
    expect((await scan).map((r) => r.key)).toEqual(['a1']);
  });

  it('reads evicted rows from the engine', async () => {
    const table = await RowTable.open(new MemoryEngine(), { cacheBytes: 4096 });
    for (let i = 0; i < 1000; i++) table.put(row(`a${i}`), bytes(String(i)));
    await table.flush([]);
    for (let i = 0; i < 1000; i++) expect(text(table.get(row(`a${i}`)))).toBe(String(i));
  });

  it('asserts that an append-only row is written once', async () => {
    const table = await RowTable.open(new MemoryEngine());
    table.put(row('k1'), bytes('x'));
    expect(() => table.put(row('k1'), bytes('y'))).toThrow('written once');
  });
});

describe('RowTable.liveBytes', () => {
  it('counts puts, replacements and deletes wherever the old row is', async () => {
    const engine = new MemoryEngine();
    const table = await RowTable.open(engine, { cacheBytes: 0 });
    table.put(row('a1'), bytes('12345'));
    table.put(row('k1'), bytes('123'));
    expect(table.liveBytes).toBe(7 + 5);
    table.put(row('a1'), bytes('1'));
    expect(table.liveBytes).toBe(3 + 5);
    await table.flush([{ key: row('oterm'), value: bytes('1') }]);
    expect(table.liveBytes).toBe(3 + 5 + 6);
    table.put(row('a1'), bytes('1234'));
    expect(table.liveBytes).toBe(6 + 5 + 6);
    table.delete(row('a1'));
    table.delete(row('a1'));
    table.delete(row('missing'));
    table.delete(row('k1'), 3);
    expect(table.liveBytes).toBe(6);
    table.put(row('a1'), bytes(''));
    expect(table.liveBytes).toBe(8);
    await table.flush([]);
    expect((await RowTable.open(engine.restart())).liveBytes).toBe(8);
  });

  it('is that of the flushed rows after a crash', async () => {
    const { engine, landed } = heldEngine();
    const table = await RowTable.open(engine);
    table.put(row('a1'), bytes('x'));
    const flush = table.flush([]);
    table.put(row('a2'), bytes('x'));
    landed();
    await flush;
    expect(table.liveBytes).toBe(6);
    expect((await RowTable.open(engine.restart())).liveBytes).toBe(3);
  });

  it('is counted when something else filled the engine', async () => {
    const engine = new MemoryEngine();
    const batch: RowWrite[] = [];
    for (let i = 0; i < 2500; i++) batch.push({ key: row(`k${i + 1000}`), value: bytes('v') });
    await engine.write(batch);
    expect((await RowTable.open(engine)).liveBytes).toBe(2500 * 6);
  });

  it('agrees with a plain map over random operations, flushes and restarts', async () => {
    let engine = new MemoryEngine();
    let table = await RowTable.open(engine, { cacheBytes: 8192 });
    const model = new Map<RowKey, string>();
    let seed = 7;
    const below = (n: number): number => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return Math.floor((seed / 2147483648) * n);
    };
    for (let step = 0; step < 5000; step++) {
      const key = row(`b\xff${below(60)}`);
      const what = below(100);
      if (what < 50) {
        const value = 'v'.repeat(below(40));
        model.set(key, value);
        table.put(key, bytes(value));
      } else if (what < 85) {
        model.delete(key);
        table.delete(key);
      } else if (what < 95) expect(text(table.get(key))).toBe(model.get(key) ?? null);
      else await table.flush([]);
      if (step % 500 === 499) {
        const expected = [...model.keys()].sort().map((k) => `${k}=${model.get(k)}`);
        expect(await dump(table)).toEqual(expected);
        await table.flush([]);
        engine = engine.restart();
        table = await RowTable.open(engine, { cacheBytes: 8192 });
        expect(await dump(table)).toEqual(expected);
        const size = [...model].reduce((sum, [k, v]) => sum + k.length + v.length, 0);
        expect(table.liveBytes).toBe(size);
      }
    }
  });
});
