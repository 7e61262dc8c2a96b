/**
 * What etcd's program says and looks at before it listens: the settings a second time, and what the
 * data folder is. It changes nothing on disk and refuses to know what is inside `member`.
 */

import { readdir } from 'node:fs/promises';
import type { Settings } from '../config/flags.ts';
import { writeNotes } from '../config/note.ts';
import { validate } from '../config/validate.ts';
import type { Log } from '../log.ts';

type DirType = 'member' | 'proxy' | 'empty';

/** Ends the process when the folder cannot be one of a member. */
export async function announceStart(config: Settings, log: Log): Promise<void> {
  const dirType = await dirTypeOf(config.dataDir, log);
  const isNew = dirType === 'empty';
  const what = isNew ? 'Initialize and start etcd server' : 'server has already been initialized';
  log.info(what, { 'data-dir': config.dataDir, 'dir-type': dirType });
  if (dirType === 'proxy') {
    log.panic('v2 http proxy has already been deprecated in 3.6', { 'dir-type': dirType });
  }
  // etcd: it checks the settings once more where it starts to act on them, and warns again.
  writeNotes(validate(config).notes, { byDefault: log, configured: log });
}

async function dirTypeOf(dataDir: string, log: Log): Promise<DirType> {
  const names = new Set(await namesIn(dataDir, log));
  for (const filename of names) {
    if (filename === 'member' || filename === 'proxy') continue;
    log.warn('found invalid file under data directory', { filename, 'data-dir': dataDir });
  }
  if (names.has('member') && names.has('proxy')) {
    log.fatal('invalid datadir; both member and proxy directories exist');
  }
  return names.has('member') ? 'member' : names.has('proxy') ? 'proxy' : 'empty';
}

async function namesIn(dir: string, log: Log): Promise<readonly string[]> {
  try {
    return (await readdir(dir)).sort();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT') return [];
    return log.fatal('failed to list data directory', { dir, error: reasonOf(dir, code, error) });
  }
}

/** As Go words it. */
function reasonOf(dir: string, code: unknown, error: unknown): string {
  if (code === 'ENOTDIR') return `readdirent ${dir}: not a directory`;
  if (code === 'EACCES') return `open ${dir}: permission denied`;
  return error instanceof Error ? error.message : String(error);
}
