/** Where a member keeps what it must not forget: a folder, or memory. */

import type { Effective } from '../config/start.ts';
import type { Log } from '../log.ts';
import { systemDisk } from '../platform/disk.ts';
import { LevelEngine } from '../platform/level-engine.ts';
import { MemoryDisk } from '../platform/memory-disk.ts';
import { MemoryEngine } from '../platform/memory-engine.ts';
import { touchDir } from '../platform/touch-dir.ts';
import type { Disk, Engine } from '../ports.ts';
import { BootstrapError } from '../replica/founding.ts';
import { Wal } from '../wal/wal.ts';

export interface DataFolder {
  readonly disk: Disk;
  readonly engine: Engine;
  readonly walDir: string;
  /** For states that are being received. */
  readonly snapDir: string;
  /** False: this member has not begun yet. */
  readonly hasLog: boolean;
}

/** Outlives the member, but not the process. */
export class MemoryFolder {
  readonly disk = new MemoryDisk();
  #engine = new MemoryEngine();

  /** An engine as the last member left it. */
  reopen(): MemoryEngine {
    this.#engine = this.#engine.restart();
    return this.#engine;
  }
}

/**
 * The folders, made where they are missing, with etcd's words for what is wrong with them. Rejects
 * with a `BootstrapError`.
 */
export async function touchFolders(dataDir: string, memberDir: string, log: Log): Promise<void> {
  const folders = { data: dataDir, member: memberDir };
  for (const [what, dir] of Object.entries(folders)) {
    try {
      await touchDir(dir, log);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const error = `cannot access ${what} directory: ${reason}`;
      log.error('bootstrap failed', { error });
      throw new BootstrapError(error, { cause });
    }
  }
}

/** LevelDB's lock on its folder is the lock of the whole data folder, so it is opened first. */
export async function openDataFolder(
  dataDir: string,
  { memberDir, walDir }: Effective,
  memory: MemoryFolder | null,
): Promise<DataFolder> {
  const disk: Disk = memory?.disk ?? systemDisk;
  const snapDir = `${memberDir}/snap`;
  await disk.makeDir(dataDir);
  await disk.makeDir(memberDir);
  await disk.makeDir(snapDir);
  await disk.syncDir(dataDir);
  const engine = memory?.reopen() ?? (await LevelEngine.open(`${snapDir}/db`));
  try {
    return { disk, engine, walDir, snapDir, hasLog: await Wal.exists(disk, walDir) };
  } catch (error) {
    await engine.close();
    throw error;
  }
}
