/** Paths that an operator names, in the words of Go's `os` where something is wrong with them. */

import { type Stats, statSync } from 'node:fs';

const reasons: ReadonlyMap<unknown, string> = new Map([
  ['ENOENT', 'no such file or directory'],
  ['ENOTDIR', 'not a directory'],
  ['EISDIR', 'is a directory'],
  ['EACCES', 'permission denied'],
  ['ENAMETOOLONG', 'file name too long'],
  ['ENOSPC', 'no space left on device'],
  ['EROFS', 'read-only file system'],
]);

/** Throws Go's text when there is no such file. */
export function statOf(path: string): Stats {
  try {
    return statSync(path);
  } catch (error) {
    throw pathError('stat', path, error);
  }
}

export function exists(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true;
  }
}

export function pathError(operation: string, path: string, cause: unknown): Error {
  const code = cause instanceof Error && 'code' in cause ? cause.code : null;
  const reason = reasons.get(code) ?? (cause instanceof Error ? cause.message : String(cause));
  return new Error(`${operation} ${path}: ${reason}`, { cause });
}

/** Go's filepath.Join. */
export function join(...parts: readonly string[]): string {
  return parts
    .filter((part) => part !== '')
    .join('/')
    .replace(/\/{2,}/g, '/');
}
