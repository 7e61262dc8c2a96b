/** A file as a bbolt reader wants it. Pages mostly lie in the order in which they are read. */

import { limits } from '../limits.ts';
import type { DiskFile } from '../ports.ts';
import { EMPTY_BYTES } from '../types.ts';
import { BboltReader, type BboltSource } from './reader.ts';

/** Throws `BboltError` when it is no bbolt file, and when it ends too early. */
export async function openBboltFile(file: DiskFile): Promise<BboltReader> {
  const reader = await BboltReader.open(windowed(file));
  const size = await file.size();
  const expected = reader.meta.pages * reader.meta.pageBytes;
  if (size < expected) throw new Error(`it ends after ${size} of ${expected} bytes`);
  return reader;
}

function windowed(file: DiskFile): BboltSource {
  let start = 0;
  let window: Uint8Array = EMPTY_BYTES;
  return {
    async read(offset, length) {
      if (offset < start || offset + length > start + window.length) {
        window = await file.read(offset, Math.max(length, limits.stateWindowBytes));
        start = offset;
      }
      return window.subarray(offset - start, offset - start + length);
    },
  };
}
