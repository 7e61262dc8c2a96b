/**
 * A bbolt file as an operator has it: a saved snapshot, or the database of a Go member. It is only
 * read. What is wrong with it as a whole is said in bbolt's words.
 */

import { readMeta } from '../bbolt/format.ts';
import type { BboltReader } from '../bbolt/reader.ts';
import { openBboltFile } from '../bbolt/source.ts';
import { systemDisk } from '../platform/disk.ts';
import type { DiskFile } from '../ports.ts';
import { pathError } from './files.ts';

export interface SnapshotFile {
  readonly file: DiskFile;
  readonly bytes: number;
}

const FIRST_BYTES = 4096;
const META_PAGES = 2;
const MAGIC = 0xed0c_daed;
const MAGIC_AT = 16;
const VERSION = 2;

/** The file is closed again when `use` has ended. */
export async function withFile<T>(path: string, use: (file: SnapshotFile) => Promise<T>) {
  let file: DiskFile;
  try {
    file = await systemDisk.open(path, 'read');
  } catch (error) {
    throw pathError('open', path, error);
  }
  try {
    return await use({ file, bytes: await file.size() });
  } finally {
    await file.close();
  }
}

/** Throws when no bbolt would open the file, and when its end is missing. */
export async function openSnapshot({ file, bytes }: SnapshotFile): Promise<BboltReader> {
  const first = await file.read(0, FIRST_BYTES).catch(() => Buffer.alloc(0));
  try {
    return await openBboltFile(file);
  } catch (error) {
    throw new Error(openProblem(Buffer.from(first), bytes) ?? integrityText(error), {
      cause: error,
    });
  }
}

/** What bbolt says of a file that it does not open; null when it would open it. */
function openProblem(first: Buffer, bytes: number): string | null {
  if (first.length < FIRST_BYTES) return 'invalid database';
  if (bytes < META_PAGES * FIRST_BYTES) return `file size too small ${bytes}`;
  if (readMeta(first) !== null) return null;
  if (first.readUInt32LE(MAGIC_AT) !== MAGIC) return 'invalid database';
  return first.readUInt32LE(MAGIC_AT + 4) === VERSION ? 'checksum error' : 'version mismatch';
}

/** etcd's text for what its checker finds, of which this is the first. */
export function integrityText(error: unknown): string {
  const reason = error instanceof Error ? error.message : String(error);
  return `snapshot file integrity check failed. 1 errors found.\n${reason}`;
}
