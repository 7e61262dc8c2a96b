/** `defrag`: gives the space of deleted rows in a stopped member's folder back to the disk. */

import { goDuration } from '../duration.ts';
import type { Log } from '../log.ts';
import { systemClock } from '../platform/clock.ts';
import { statOf } from './files.ts';
import { humanBytes } from './printer.ts';
import { databaseOf, findDatabase, openDatabase } from './stopped-member.ts';

export async function defragment(dataDir: string, timeoutMs: number, log: Log): Promise<void> {
  const path = databaseOf(dataDir);
  statOf(path);
  if ((await findDatabase(path)) !== path) throw new Error(FOREIGN);
  const engine = await openDatabase(path, timeoutMs);
  try {
    const since = systemClock.monotonic();
    const before = await engine.sizeOnDisk();
    log.info('defragmenting', { path, ...sizeFields(before) });
    await engine.compact();
    const after = await engine.sizeOnDisk();
    log.info('finished defragmenting directory', {
      path,
      'current-db-size-bytes-diff': after - before,
      ...sizeFields(after),
      took: goDuration(systemClock.monotonic() - since),
    });
  } finally {
    await engine.close();
  }
}

function sizeFields(bytes: number): Readonly<Record<string, string | number>> {
  return { 'current-db-size-bytes': bytes, 'current-db-size': humanBytes(bytes) };
}

export const FOREIGN = 'the database is a file of the Go server: use the etcdutl that came with it';
