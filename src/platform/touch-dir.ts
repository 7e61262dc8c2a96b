/**
 * A folder that only its owner may enter and that can be written to, as etcd asks of its data
 * folder: one that is missing is made so, one with other permissions is warned about and left as it
 * is.
 */

import { constants } from 'node:fs';
import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Log } from '../log.ts';

const PERMISSIONS = 0o777;
const PRIVATE = 0o700;
const PRIVATE_FILE = 0o600;
const BITS = 'rwxrwxrwx';
const { S_IFMT, S_IFDIR } = constants;
const KINDS = [
  ['d', S_IFMT, S_IFDIR],
  ['u', 0o4000, 0o4000],
  ['g', 0o2000, 0o2000],
  ['t', 0o1000, 0o1000],
] as const;

/** Rejects with an error in Go's words when the folder cannot be made or written to. */
export async function touchDir(dir: string, log: Log): Promise<void> {
  const mode = await modeOf(dir);
  if (mode === null) {
    await inGoWords('mkdir', dir, mkdir(dir, { recursive: true, mode: PRIVATE }));
  } else if ((mode & PERMISSIONS) !== PRIVATE) {
    log.warn('check file permission', { error: advice(dir, mode) });
  }
  const file = resolve(dir, '.touch');
  await inGoWords('open', file, writeFile(file, '', { mode: PRIVATE_FILE }));
  await inGoWords('remove', file, rm(file));
}

async function modeOf(dir: string): Promise<number | null> {
  try {
    return (await stat(dir)).mode;
  } catch {
    // etcd: whatever keeps it from looking shows when it makes the folder.
    return null;
  }
}

function advice(dir: string, mode: number): string {
  return (
    `directory ${JSON.stringify(dir)} exist, but the permission is "${goMode(mode)}". The ` +
    'recommended permission is "-rwx------" to prevent possible unprivileged access to the data'
  );
}

/** As Go writes it: what kind of file first, then the permissions. */
function goMode(mode: number): string {
  const kinds = [...KINDS].flatMap(([letter, mask, kind]) =>
    (mode & mask) === kind ? letter : [],
  );
  const bits = [...BITS].map((bit, i) => (mode & (1 << (BITS.length - 1 - i)) ? bit : '-'));
  return (kinds.join('') || '-') + bits.join('');
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  ENOTDIR: 'not a directory',
  ENOENT: 'no such file or directory',
  EROFS: 'read-only file system',
  ENOSPC: 'no space left on device',
};

async function inGoWords(call: string, path: string, done: Promise<unknown>): Promise<void> {
  try {
    await done;
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    const reason = REASONS[code];
    if (reason === undefined) throw cause;
    throw new Error(`${call} ${path}: ${reason}`, { cause });
  }
}
