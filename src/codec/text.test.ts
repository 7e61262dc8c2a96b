// How bytes that a client chooses are shown in log lines: as Go shows them, and at no great cost.
import { describe, expect, it } from 'vitest';
import { Prng } from '../../test/compat/random.ts';
import { textFromWire } from './text.ts';
import { Writer } from './wire.ts';

const MS_MAX = 2000;

function shown(bytes: Uint8Array): string {
  const w = new Writer();
  w.uint32(0x0a);
  w.bytes(bytes);
  return textFromWire('etcdserverpb.RangeRequest', w.finish()).replace(/^key:/, '');
}

/** Byte by byte, by a decoder that is strict. */
function expected(bytes: Uint8Array): string {
  const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    let character: string | null = null;
    for (let length = 1; length <= 4 && character === null; length++) {
      try {
        character = strict.decode(bytes.subarray(at, at + length));
      } catch {
        // Perhaps it is longer.
      }
    }
    const code = character?.codePointAt(0) ?? bytes[at] ?? 0;
    const known = { 9: '\\t', 10: '\\n', 13: '\\r', 34: '\\"', 92: '\\\\' }[code];
    const digits = code.toString(16);
    if (character !== null && known !== undefined) text += known;
    else if (character === null || code < 0x20 || code === 0x7f)
      text += `\\x${digits.padStart(2, '0')}`;
    else text += code >= 0x80 && code < 0xa0 ? `\\u${digits.padStart(4, '0')}` : character;
    at += character === null ? 1 : Buffer.byteLength(character);
  }
  return `"${text}"`;
}

describe('bytes in a log line', () => {
  it('are characters where they are UTF-8 and escaped elsewhere', () => {
    const random = new Prng(1);
    const edges = [0x00, 0x1f, 0x22, 0x5c, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1];
    const leads = [0xc2, 0xc3, 0xdf, 0xe0, 0xe2, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff, 0x0a, 0x61];
    for (let i = 0; i < 5000; i++) {
      const length = 1 + random.below(6);
      const bytes = Uint8Array.from({ length }, () => random.pick([...edges, ...leads]));
      expect(shown(bytes)).toBe(expected(bytes));
    }
    expect(shown(Buffer.from('é€😀'))).toBe('"é€😀"');
  });

  it('cost little, whatever they are: the member serves nobody meanwhile', () => {
    for (const byte of [0xff, 0xe2, 0x00, 0x61]) {
      const started = performance.now();
      shown(Buffer.alloc(1_000_000, byte));
      expect(performance.now() - started).toBeLessThan(MS_MAX);
    }
  });
});
