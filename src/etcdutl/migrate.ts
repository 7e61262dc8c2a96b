/**
 * `migrate`: etcd's tool takes a data folder to the schema of another release. Folders here have
 * one schema, and a server of another release cannot read them, so only what is asked for already
 * can be had.
 */

import { metaRows } from '../buckets.ts';
import { goQuote } from '../config/go-text.ts';
import type { Log } from '../log.ts';
import { parseVersion, type Version } from '../version.ts';
import { type Call, CommandError, Exit } from './command.ts';
import { FOREIGN } from './defragment.ts';
import { statOf } from './files.ts';
import { databaseOf, findDatabase, openDatabase } from './stopped-member.ts';

const MINOR_MIN = 5;

export async function migrate({ flag }: Call, log: Log): Promise<void> {
  const target = targetOf(flag('target-version'));
  const path = databaseOf(flag('data-dir'));
  statOf(path);
  if ((await findDatabase(path)) !== path) throw new Error(FOREIGN);
  const engine = await openDatabase(path, Number(flag('timeout')));
  try {
    const stored = engine.get(metaRows.storageVersion);
    const current = stored === null ? null : parseVersion(Buffer.from(stored).toString('utf8'));
    if (current === null) throw new Error('the database has no storage version yet');
    if (shortText(current) !== shortText(target)) {
      const from = `of storage version ${goQuote(shortText(current))}`;
      throw new Error(`a database ${from} cannot be migrated to ${goQuote(shortText(target))}`);
    }
    log.info('storage version up-to-date', { 'storage-version': shortText(current) });
  } finally {
    await engine.close();
  }
}

function targetOf(text: string): Version {
  if (text.split('.').length !== 2) {
    const problem = `wrong target version format, expected "X.Y", got ${goQuote(text)}`;
    throw new CommandError(Exit.BAD_ARGS, problem);
  }
  const wrong = text.split('.').find((part) => !/^\d+$/.test(part));
  if (wrong !== undefined) {
    const reason = `strconv.ParseInt: parsing ${goQuote(wrong)}: invalid syntax`;
    throw new CommandError(Exit.BAD_ARGS, `failed to parse target version: ${reason}`);
  }
  const [major = 0, minor = 0] = text.split('.').map(Number);
  const target = { major, minor, patch: 0 };
  if (major < 3 || (major === 3 && minor < MINOR_MIN)) {
    const problem = `target version ${goQuote(shortText(target))} not supported. Minimal "3.5"`;
    throw new CommandError(Exit.BAD_ARGS, problem);
  }
  return target;
}

function shortText({ major, minor }: Version): string {
  return `${major}.${minor}`;
}
