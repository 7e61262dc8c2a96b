/** What `hashkv` tells: the hash of the history in a snapshot or a data folder, as a member's. */

import { buckets } from '../buckets.ts';
import { EtcdError } from '../errors.ts';
import type { HashResult } from '../mvcc/hash.ts';
import { KvStore } from '../mvcc/store.ts';
import { RowTable } from '../platform/rows.ts';
import type { Rows } from '../ports.ts';
import { openFileRows } from './file-rows.ts';
import { openSnapshot, withFile } from './snapshot-file.ts';
import { openDatabase } from './stopped-member.ts';

export interface Hashing {
  readonly revision: number;
  readonly advance: (bytes: number) => void;
  /** Lets other work run. */
  readonly breathe: () => Promise<void>;
}

export function hashOfFile(path: string, hashing: Hashing): Promise<HashResult> {
  return withFile(path, async (file) => {
    const reader = await openSnapshot(file);
    return hashOf(await openFileRows(reader, [buckets.meta], hashing.advance), hashing);
  });
}

export async function hashOfDatabase(
  folder: string,
  timeoutMs: number,
  hashing: Hashing,
): Promise<HashResult> {
  const engine = await openDatabase(folder, timeoutMs);
  try {
    return await hashOf(await RowTable.open(engine), hashing);
  } finally {
    await engine.close();
  }
}

async function hashOf(rows: Rows, { revision, breathe }: Hashing): Promise<HashResult> {
  const store = await KvStore.open(rows, { breathe });
  const result = await store.hashKv(revision);
  // etcd: the store's own words, without the server's name before them.
  if (result instanceof EtcdError) throw new Error(result.message.replace('etcdserver: ', ''));
  return result;
}
