/**
 * The database of a member that does not run. Its lock is taken for as long as it is open, so a
 * member that does run is left alone.
 */

import { pause } from '../pause.ts';
import { systemClock } from '../platform/clock.ts';
import { systemDisk } from '../platform/disk.ts';
import { EngineError, LevelEngine } from '../platform/level-engine.ts';
import { join } from './files.ts';

/** etcd: how long until the lock is tried again. */
const LOCK_RETRY_MS = 50;
/** LevelDB's own file that names the others. */
const CURRENT = 'CURRENT';

export function databaseOf(dataDir: string): string {
  return join(dataDir, 'member', 'snap', 'db');
}

/** A data folder, or the database in one, given by its path; null: it is neither. */
export async function findDatabase(path: string): Promise<string | null> {
  for (const folder of [path, databaseOf(path)]) {
    const names = await systemDisk.list(folder).catch((): readonly string[] => []);
    if (names.includes(CURRENT)) return folder;
  }
  return null;
}

/** Waits so many milliseconds for the lock, 0 for as long as it takes. */
export async function openDatabase(folder: string, timeoutMs: number): Promise<LevelEngine> {
  const { signal } = new AbortController();
  const since = systemClock.monotonic();
  for (;;) {
    try {
      return await LevelEngine.open(folder);
    } catch (error) {
      if (!(error instanceof EngineError) || error.kind !== 'locked') throw error;
      const waited = systemClock.monotonic() - since;
      // etcd's word for it.
      if (timeoutMs !== 0 && waited >= timeoutMs) throw new Error('timeout', { cause: error });
      await pause(systemClock, LOCK_RETRY_MS, signal);
    }
  }
}
