/**
 * What `snapshot status` tells: a checksum over everything in the file, its newest revision and its
 * live keys. All of the file is walked, so a file that is broken anywhere is not given a status.
 */

import type { BboltBucket, BboltItem, BboltReader } from '../bbolt/reader.ts';
import { buckets, keyInBucket, metaRows, rowKey } from '../buckets.ts';
import { keyOf } from '../codec/key-value.ts';
import { crc32c } from '../crc32c.ts';
import { parseRecordKey } from '../mvcc/record.ts';
import type { Key } from '../types.ts';
import { parseVersion } from '../version.ts';
import { integrityText } from './snapshot-file.ts';

export interface SnapshotStatus {
  readonly hash: number;
  readonly revision: number;
  readonly totalKey: number;
  readonly totalSize: number;
  /** Of the storage; empty when it is older than 3.6. */
  readonly version: string;
}

/** `advance` hears how many bytes were walked, and lets other work run. */
export async function snapshotStatus(
  reader: BboltReader,
  advance: (bytes: number) => Promise<void>,
): Promise<SnapshotStatus> {
  const walk: Walk = { hash: 0, revision: 0, live: new Set(), version: '' };
  for (const bucket of await bucketsOf(reader)) {
    walk.hash = crc32c(Buffer.from(bucket.name, 'latin1'), walk.hash);
    await walkBucket(reader, bucket, walk, advance);
  }
  return {
    hash: walk.hash,
    revision: walk.revision,
    totalKey: walk.live.size,
    totalSize: reader.meta.pages * reader.meta.pageBytes,
    version: parseVersion(walk.version) === null ? '' : walk.version,
  };
}

interface Walk {
  hash: number;
  revision: number;
  readonly live: Set<Key>;
  version: string;
}

async function bucketsOf(reader: BboltReader): Promise<readonly BboltBucket[]> {
  try {
    return await reader.buckets();
  } catch (error) {
    throw new Error(integrityText(error), { cause: error });
  }
}

async function walkBucket(
  reader: BboltReader,
  bucket: BboltBucket,
  walk: Walk,
  advance: (bytes: number) => Promise<void>,
): Promise<void> {
  const leaves = reader.items(bucket);
  for (;;) {
    const leaf = await leaves.next().catch((error: unknown) => {
      throw new Error(integrityText(error), { cause: error });
    });
    if (leaf.done === true) return;
    let bytes = 0;
    for (const item of leaf.value) {
      addItem(walk, bucket.name, item);
      bytes += item.key.length + item.value.length;
    }
    await advance(bytes);
  }
}

function addItem(walk: Walk, bucket: string, { key, value }: BboltItem): void {
  walk.hash = crc32c(value, crc32c(Buffer.from(key, 'latin1'), walk.hash));
  if (bucket === buckets.meta.name && key === keyInBucket(metaRows.storageVersion)) {
    walk.version = Buffer.from(value).toString('utf8');
  }
  if (bucket === buckets.key.name) addRecord(walk, key, value);
}

function addRecord(walk: Walk, key: string, value: Uint8Array): void {
  const fail = (what: string, cause: unknown): never => {
    const quoted = JSON.stringify(Buffer.from(key, 'latin1').toString('hex'));
    const reason = cause instanceof Error ? cause.message : String(cause);
    const text = `cannot ${what}, key: ${quoted} err: ${reason}`;
    throw new Error(`error during bucket key iteration, name: "key" err: ${text}`, { cause });
  };
  let isTombstone = false;
  try {
    const record = parseRecordKey(rowKey(buckets.key, key));
    walk.revision = record.main;
    isTombstone = record.tombstone;
  } catch (error) {
    fail('parse revision key', error);
  }
  try {
    if (isTombstone) walk.live.delete(keyOf(value));
    else walk.live.add(keyOf(value));
  } catch (error) {
    fail('unmarshal value', error);
  }
}
