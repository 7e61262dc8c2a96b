/** What every engine must do. Each twin runs this suite in a test file of its own. */

import { describe, expect, it } from 'vitest';
import type { Engine, Row, RowWrite } from '../../src/ports.ts';
import type { RowKey } from '../../src/types.ts';

export interface EngineUnderTest {
  readonly engine: Engine;
  /** Closes the engine and opens what is durable. */
  restart(): Promise<EngineUnderTest>;
  dispose(): Promise<void>;
}

const ALL = { from: '\0' as RowKey, to: '\xff' as RowKey, limit: 1_000_000 };

const put = (key: string, value: string | Uint8Array): RowWrite => ({
  key: key as RowKey,
  value: typeof value === 'string' ? Buffer.from(value, 'latin1') : value,
});
const del = (key: string): RowWrite => ({ key: key as RowKey, value: null });
const show = (rows: readonly Row[]): readonly string[] =>
  rows.map((row) => `${row.key}=${Buffer.from(row.value).toString('latin1')}`);
const text = (value: Uint8Array | null): string | null =>
  value === null ? null : Buffer.from(value).toString('latin1');

/** Values that do not compress. */
function noise(): () => Uint8Array {
  let seed = 3;
  return () => {
    const bytes = new Uint8Array(500);
    for (let i = 0; i < bytes.length; i++) {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      bytes[i] = seed >>> 16;
    }
    return bytes;
  };
}

export function engineContract(name: string, open: () => Promise<EngineUnderTest>): void {
  const run = (title: string, body: (under: EngineUnderTest) => Promise<void>): void => {
    it(title, async () => {
      const under = await open();
      try {
        await body(under);
      } finally {
        await under.dispose();
      }
    });
  };

  describe(`${name}: rows`, () => {
    run('an empty engine has none', async ({ engine }) => {
      expect(engine.get('a' as RowKey)).toBeNull();
      expect(await engine.scan(ALL)).toEqual([]);
    });

    run('keeps every byte of keys and values, and empty values', async ({ engine }) => {
      let bytes = '';
      for (let i = 0; i < 256; i++) bytes += String.fromCharCode(i);
      await engine.write([put(`a${bytes}`, bytes), put('empty', '')]);
      expect(text(engine.get(`a${bytes}` as RowKey))).toBe(bytes);
      expect(text(engine.get('empty' as RowKey))).toBe('');
      expect(show(await engine.scan(ALL))).toEqual([`a${bytes}=${bytes}`, 'empty=']);
    });

    run('keeps large values', async ({ engine }) => {
      const large = new Uint8Array(3 * 1024 * 1024);
      for (let i = 0; i < large.length; i++) large[i] = (i * 31) & 0xff;
      await engine.write([put('large', large), put('small', 's')]);
      expect(Buffer.compare(engine.get('large' as RowKey) ?? new Uint8Array(), large)).toBe(0);
      const rows = await engine.scan(ALL);
      expect(rows.map((row) => row.value.length)).toEqual([large.length, 1]);
    });

    run('may stop a scan early for its bytes, never before the first row', async ({ engine }) => {
      const rows = Array.from({ length: 50 }, (_, i) => put(`k${10 + i}`, Buffer.alloc(100_000)));
      await engine.write(rows);
      let seen = 0;
      for (let from = ALL.from; ; ) {
        const page = await engine.scan({ ...ALL, from, bytesMax: 300_000 });
        const last = page.at(-1);
        if (last === undefined) break;
        seen += page.length;
        from = `${last.key}\0` as RowKey;
      }
      expect(seen).toBe(rows.length);
    });

    run('accepts values that are views into larger buffers', async ({ engine }) => {
      const whole = Buffer.from('0123456789');
      await engine.write([
        put('a', whole.subarray(3, 6)),
        put('b', new Uint8Array(whole).subarray(1, 2)),
      ]);
      expect(text(engine.get('a' as RowKey))).toBe('345');
      expect(text(engine.get('b' as RowKey))).toBe('1');
    });
  });

  describe(`${name}: batches`, () => {
    run('replace and delete rows; deleting a missing one is no error', async ({ engine }) => {
      await engine.write([put('a', '1'), put('b', '1'), put('c', '1')]);
      await engine.write([put('b', '2'), del('c'), del('missing')]);
      expect(show(await engine.scan(ALL))).toEqual(['a=1', 'b=2']);
      expect(engine.get('c' as RowKey)).toBeNull();
      await engine.write([del('a'), del('b')]);
      expect(await engine.scan(ALL)).toEqual([]);
    });

    run('the last write of a key wins within a batch', async ({ engine }) => {
      await engine.write([put('a', '1'), del('a'), put('b', '1'), put('a', '2'), del('b')]);
      expect(show(await engine.scan(ALL))).toEqual(['a=2']);
    });

    run('an empty batch is fine', async ({ engine }) => {
      await engine.write([]);
      expect(await engine.scan(ALL)).toEqual([]);
    });

    run('are seen whole or not at all', async ({ engine }) => {
      const batch = (value: string): RowWrite[] => {
        const rows: RowWrite[] = [];
        for (let i = 0; i < 5000; i++) rows.push(put(`k${10_000 + i}`, value));
        return rows;
      };
      await engine.write(batch('old'));
      let done = false;
      const write = engine.write(batch('new')).then(() => {
        done = true;
      });
      do {
        const rows = await engine.scan(ALL);
        expect(rows).toHaveLength(5000);
        expect(new Set(rows.map((row) => text(row.value))).size).toBe(1);
      } while (!done);
      await write;
      expect(text(engine.get('k10000' as RowKey))).toBe('new');
    });

    run('go one at a time', async ({ engine }) => {
      const first = engine.write([put('a', '1')]);
      await expect(engine.write([put('b', '1')])).rejects.toThrow('one batch at a time');
      await first;
      await engine.write([put('b', '2')]);
      expect(show(await engine.scan(ALL))).toEqual(['a=1', 'b=2']);
    });
  });

  describe(`${name}: scans`, () => {
    run('go in byte order, also from 0x80 on', async ({ engine }) => {
      const keys = [
        'b',
        'a\xff',
        'a',
        'a\0',
        'a\x7f',
        'a\x80',
        'a\xff\0',
        'aa',
        '\x01',
        'k\xc3\xbc',
      ];
      await engine.write(keys.map((key) => put(key, '')));
      const rows = await engine.scan(ALL);
      expect(rows.map((row) => row.key)).toEqual([...keys].sort());
      expect(rows.map((row) => row.key).slice(0, 4)).toEqual(['\x01', 'a', 'a\0', 'aa']);
    });

    run('include `from`, exclude `to` and stop at the limit', async ({ engine }) => {
      await engine.write(['a', 'b', 'c', 'd', 'e'].map((key) => put(key, '')));
      const keys = async (from: string, to: string, limit: number): Promise<string> =>
        (await engine.scan({ from: from as RowKey, to: to as RowKey, limit }))
          .map((row) => row.key)
          .join('');
      expect(await keys('b', 'd', 10)).toBe('bc');
      expect(await keys('b', 'd\0', 10)).toBe('bcd');
      expect(await keys('a\0', 'z', 2)).toBe('bc');
      expect(await keys('a', 'z', 5)).toBe('abcde');
      expect(await keys('a', 'z', Number.POSITIVE_INFINITY)).toBe('abcde');
      expect(await keys('a', 'z', 0)).toBe('');
      expect(await keys('d', 'b', 10)).toBe('');
      expect(await keys('b', 'b', 10)).toBe('');
      expect(await keys('f', 'z', 10)).toBe('');
    });

    run('cross many internal pages and meet random keys in order', async ({ engine }) => {
      const model = new Map<string, string>();
      let seed = 11;
      const below = (n: number): number => {
        seed = (seed * 1103515245 + 12345) % 2147483648;
        return Math.floor((seed / 2147483648) * n);
      };
      for (let round = 0; round < 20; round++) {
        const batch: RowWrite[] = [];
        for (let i = 0; i < 700; i++) {
          const key = `k${String.fromCharCode(below(256), below(256))}`;
          if (below(4) === 0) {
            model.delete(key);
            batch.push(del(key));
          } else {
            model.set(key, String(i));
            batch.push(put(key, String(i)));
          }
        }
        await engine.write(batch);
      }
      const keys = [...model.keys()].sort();
      expect(show(await engine.scan(ALL))).toEqual(keys.map((key) => `${key}=${model.get(key)}`));
      const from = 'k\x55' as RowKey;
      const some = await engine.scan({ ...ALL, from, limit: 1500 });
      expect(some.map((row) => row.key)).toEqual(keys.filter((key) => key >= from).slice(0, 1500));
    });

    run('see the rows as they were at the call', async ({ engine }) => {
      await engine.write([put('a', '1'), put('b', '1')]);
      const scan = engine.scan(ALL);
      await engine.write([put('a', '2'), del('b'), put('c', '2')]);
      expect(show(await scan)).toEqual(['a=1', 'b=1']);
    });
  });

  describe(`${name}: snapshots`, () => {
    run('are not changed by later writes or compaction', async ({ engine }) => {
      await engine.write([put('a', '1'), put('b', '1')]);
      const snapshot = engine.snapshot();
      await engine.write([put('a', '2'), del('b'), put('c', '2')]);
      await engine.compact();
      expect(show(await snapshot.scan(ALL))).toEqual(['a=1', 'b=1']);
      expect(show(await snapshot.scan({ ...ALL, limit: 1 }))).toEqual(['a=1']);
      expect(show(await engine.scan(ALL))).toEqual(['a=2', 'c=2']);
      const walked: Row[] = [];
      for await (const rows of snapshot.walk(ALL)) walked.push(...rows);
      expect(show(walked)).toEqual(['a=1', 'b=1']);
      await snapshot.close();
    });

    run('can overlap', async ({ engine }) => {
      await engine.write([put('a', '1')]);
      const one = engine.snapshot();
      await engine.write([put('a', '2')]);
      const two = engine.snapshot();
      await engine.write([put('a', '3')]);
      expect(show(await two.scan(ALL))).toEqual(['a=2']);
      await two.close();
      expect(show(await one.scan(ALL))).toEqual(['a=1']);
      await one.close();
    });
  });

  describe(`${name}: replacements`, () => {
    const nothing = (): void => {};

    run('begin empty, beside the rows of the engine, and hide from its readers', async (under) => {
      const { engine } = under;
      await engine.write([put('a', 'old'), put('b', 'old')]);
      const replacement = await engine.beginReplacement();
      expect(replacement.get('a' as RowKey)).toBeNull();
      expect(await replacement.scan(ALL)).toEqual([]);
      await replacement.write([put('a', 'new'), put('\0', 'new'), put('\xff\xff', 'new')]);
      await replacement.write([put('c', 'new'), put('gone', 'new')]);
      await replacement.write([del('gone')]);
      await engine.write([put('z', 'old')]);
      expect(text(replacement.get('a' as RowKey))).toBe('new');
      expect(text(replacement.get('\xff\xff' as RowKey))).toBe('new');
      expect(replacement.get('b' as RowKey)).toBeNull();
      expect(show(await replacement.scan(ALL))).toEqual(['\0=new', 'a=new', 'c=new']);
      expect(show(await replacement.scan({ ...ALL, from: 'a\0' as RowKey }))).toEqual(['c=new']);
      expect(show(await engine.scan(ALL))).toEqual(['a=old', 'b=old', 'z=old']);
      expect(engine.get('c' as RowKey)).toBeNull();
      await replacement.discard();
    });

    run('become the rows of the engine in one step', async (under) => {
      const { engine } = under;
      await engine.write([put('a', 'old'), put('b', 'old')]);
      const replacement = await engine.beginReplacement();
      await replacement.write([put('a', 'new'), put('c', 'new')]);
      let seen: readonly (string | null)[] = [];
      const get = (key: string): string | null => text(engine.get(key as RowKey));
      const commit = replacement.commit(() => {
        seen = [get('a'), get('b'), get('c')];
      });
      expect(get('b')).toBe(seen.length === 0 ? 'old' : null);
      await commit;
      expect(seen).toEqual(['new', null, 'new']);
      expect(show(await engine.scan(ALL))).toEqual(['a=new', 'c=new']);
      await engine.write([del('a'), put('d', 'new')]);
      expect(show(await engine.scan(ALL))).toEqual(['c=new', 'd=new']);
      const next = await under.restart();
      expect(show(await next.engine.scan(ALL))).toEqual(['c=new', 'd=new']);
      await next.dispose();
    });

    run('are lost with a restart before the commit', async (under) => {
      await under.engine.write([put('a', 'old')]);
      const replacement = await under.engine.beginReplacement();
      await replacement.write([put('a', 'new'), put('b', 'new')]);
      let next = await under.restart();
      expect(show(await next.engine.scan(ALL))).toEqual(['a=old']);
      // What is left of it must not get into the next one.
      const another = await next.engine.beginReplacement();
      expect(await another.scan(ALL)).toEqual([]);
      await another.write([put('c', 'newer')]);
      await another.commit(nothing);
      next = await next.restart();
      expect(show(await next.engine.scan(ALL))).toEqual(['c=newer']);
      await next.dispose();
    });

    run('leave nothing behind when they are discarded', async ({ engine }) => {
      await engine.write([put('a', 'old')]);
      const replacement = await engine.beginReplacement();
      await replacement.write([put('a', 'new'), put('b', 'new')]);
      await replacement.discard();
      expect(show(await engine.scan(ALL))).toEqual(['a=old']);
      const another = await engine.beginReplacement();
      expect(another.get('a' as RowKey)).toBeNull();
      expect(await another.scan(ALL)).toEqual([]);
      await another.discard();
    });

    run('go one at a time, and end once', async ({ engine }) => {
      const first = await engine.beginReplacement();
      await expect(engine.beginReplacement()).rejects.toThrow('one replacement at a time');
      await first.discard();
      await expect(first.discard()).rejects.toThrow('ends once');
      await expect(first.commit(nothing)).rejects.toThrow('ends once');
      const second = await engine.beginReplacement();
      await second.commit(nothing);
      await expect(second.discard()).rejects.toThrow('ends once');
    });

    run('wait for no batch: ending with one under way is a mistake', async ({ engine }) => {
      const replacement = await engine.beginReplacement();
      const write = replacement.write([put('a', 'new')]);
      await expect(replacement.discard()).rejects.toThrow('no batch is under way');
      await write;
      await replacement.discard();
    });

    run('leave open views and scans that have begun as they were', async ({ engine }) => {
      const rows: RowWrite[] = [];
      for (let i = 0; i < 3000; i++) rows.push(put(`k${10_000 + i}`, 'old'));
      await engine.write(rows);
      const view = engine.snapshot();
      const scan = engine.scan(ALL);
      const replacement = await engine.beginReplacement();
      await replacement.write([put('a', 'new')]);
      await replacement.commit(nothing);
      expect(await scan).toHaveLength(rows.length);
      await engine.compact();
      expect(await view.scan(ALL)).toHaveLength(rows.length);
      expect(show(await engine.scan(ALL))).toEqual(['a=new']);
      await view.close();
    });

    run('give the space of the rows before back', async ({ engine }) => {
      const noisy = noise();
      const rows: RowWrite[] = [];
      for (let i = 0; i < 3000; i++) rows.push(put(`k${i + 10_000}`, noisy()));
      await engine.write(rows);
      const full = await engine.sizeOnDisk();
      for (const keeps of [false, true]) {
        const replacement = await engine.beginReplacement();
        await replacement.write(rows.slice(0, 10));
        await (keeps ? replacement.commit(nothing) : replacement.discard());
      }
      await engine.compact();
      expect(await engine.sizeOnDisk()).toBeLessThan(full / 4);
      expect(await engine.scan(ALL)).toHaveLength(10);
    });
  });

  describe(`${name}: life`, () => {
    run('rows survive a restart', async (under) => {
      await under.engine.write([put('a', '1'), put('b\xff', '2')]);
      await under.engine.write([del('a')]);
      const next = await under.restart();
      expect(show(await next.engine.scan(ALL))).toEqual(['b\xff=2']);
      await next.dispose();
    });

    run('reads and writes go on during compaction', async ({ engine }) => {
      for (let round = 0; round < 4; round++) {
        const batch: RowWrite[] = [];
        for (let i = 0; i < 4000; i++) batch.push(put(`k${i + 10_000}`, 'v'.repeat(200 + round)));
        await engine.write(batch);
      }
      const compaction = engine.compact();
      await engine.write([put('a', 'during')]);
      expect(text(engine.get('a' as RowKey))).toBe('during');
      expect(text(engine.get('k10000' as RowKey))).toBe('v'.repeat(203));
      await compaction;
      expect(await engine.scan(ALL)).toHaveLength(4001);
    });

    run('compaction gives space back', async ({ engine }) => {
      const keys: string[] = [];
      for (let i = 0; i < 3000; i++) keys.push(`k${i + 10_000}`);
      const noisy = noise();
      await engine.write(keys.map((key) => put(key, noisy())));
      const full = await engine.sizeOnDisk();
      expect(full).toBeGreaterThan(3000 * 500);
      await engine.write(keys.slice(10).map((key) => del(key)));
      await engine.compact();
      expect(await engine.sizeOnDisk()).toBeLessThan(full / 4);
    });
  });
}
