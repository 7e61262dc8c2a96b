import { describe, expect, it } from 'vitest';
import { progressOf } from './progress.ts';

describe('the progress of long work', () => {
  it('is a bar on a terminal, taken away at the end', () => {
    let time = 0;
    const written: string[] = [];
    const terminal = { isTTY: true, write: (text: string) => written.push(text) };
    const progress = progressOf('Restoring', 40_000_000, terminal, () => time);
    progress.advance(1_000_000);
    expect(written).toEqual([]);
    time = 1000;
    progress.advance(9_000_000);
    progress.advance(1);
    time = 1050;
    progress.advance(10_000_000);
    expect(written).toEqual([`\r\x1b[KRestoring [########${'.'.repeat(22)}]  25% of 40 MB`]);
    time = 1200;
    progress.advance(19_999_999);
    expect(written.at(-1)).toBe(`\r\x1b[KRestoring [${'#'.repeat(30)}] 100% of 40 MB`);
    progress.end();
    expect(written.at(-1)).toBe('\r\x1b[K');
  });

  it('is not shown for short work, nor where nobody looks', () => {
    const written: string[] = [];
    const write = (text: string) => written.push(text);
    for (const isTTY of [true, false]) {
      let time = 0;
      const progress = progressOf('Restoring', 10, { isTTY, write }, () => time);
      time = isTTY ? 200 : 9000;
      progress.advance(10);
      progress.end();
    }
    expect(written).toEqual([]);
  });
});
