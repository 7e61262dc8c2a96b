/**
 * A data folder for a member of a new cluster, made from a saved snapshot: keys, leases, users and
 * alarms are the snapshot's, the members are new. All members restore the same file with the same
 * initial cluster, and come to the same ids, as with etcd's own tool.
 *
 * Invariants: the folder `member` comes into its place whole, by one rename, and the log before it,
 * so no server ever starts on half a restore; what fails, or is interrupted, leaves nothing behind;
 * nothing that was there before is touched.
 */

import { createHash } from 'node:crypto';
import { must } from '../assert.ts';
import { buckets, metaRows } from '../buckets.ts';
import { EMPTY_CONF_STATE } from '../codec/raftpb.ts';
import { ValueError } from '../config/go-text.ts';
import { initialClusterUrls } from '../config/start.ts';
import { parseUrls } from '../config/url.ts';
import type { Log } from '../log.ts';
import { encodeRevisionMark, parseRecordKey, recordRowKey } from '../mvcc/record.ts';
import { systemClock } from '../platform/clock.ts';
import { systemDisk } from '../platform/disk.ts';
import { LevelEngine } from '../platform/level-engine.ts';
import { resolveHost } from '../platform/resolve.ts';
import { RowTable } from '../platform/rows.ts';
import type { Engine, StagedRows } from '../ports.ts';
import type { SnapshotMetadata } from '../raft/messages.ts';
import {
  type FoundingLog,
  foundingLog,
  foundingMembers,
  type NamedMember,
} from '../replica/founding.ts';
import { loadRows } from '../replica/load-rows.ts';
import { Members } from '../replica/members.ts';
import { positionRows } from '../replica/position.ts';
import { type FounderSettings, founderProblem, foundingOf } from '../server/join.ts';
import { PeerUrls } from '../server/peer-urls.ts';
import { EMPTY_BYTES, hexId, type RowKey } from '../types.ts';
import { Wal } from '../wal/wal.ts';
import { exists, join } from './files.ts';
import { openSnapshot, type SnapshotFile, withFile } from './snapshot-file.ts';

export interface RestoreOptions {
  readonly path: string;
  readonly name: string;
  readonly dataDir: string;
  readonly walDir: string;
  readonly initialCluster: string;
  readonly initialClusterToken: string;
  readonly initialAdvertisePeerUrls: string;
  readonly skipHashCheck: boolean;
  /** Added to the newest revision, which is then compacted; 0: neither. */
  readonly bumpRevision: bigint;
  /** Said and not used: nothing is mapped. */
  readonly memoryMapBytes: number;
  readonly log: Log;
  /** Hears of bytes read: the file is read once for its hash and once for its rows. */
  readonly advance: (bytes: number) => void;
  /** Lets other work run. */
  readonly breathe: () => Promise<void>;
  readonly signal: AbortSignal;
}

const HASH_BYTES = 32;
const SECTOR_BYTES = 512;
const READ_BYTES = 1024 * 1024;
const FIRST_TERM = 1;
/** Fewer and larger files: nobody else needs the memory. */
const WRITE_BUFFER_BYTES = 32 * 1024 * 1024;

export async function restoreSnapshot(options: RestoreOptions): Promise<void> {
  const cluster = await newCluster(options);
  const { dataDir, walDir, path, log } = options;
  const isThere = exists(dataDir);
  if (isThere && !(await isEmptyDir(dataDir))) {
    throw new Error(`data-dir ${JSON.stringify(dataDir)} not empty or could not be read`);
  }
  if (exists(walDir)) throw new Error(`wal-dir ${JSON.stringify(walDir)} exists`);
  const snapDir = join(dataDir, 'member', 'snap');
  const fields = {
    path,
    'wal-dir': walDir,
    'data-dir': dataDir,
    'snap-dir': snapDir,
    'initial-memory-map-size': options.memoryMapBytes,
  };
  log.info('restoring snapshot', fields);
  await withFile(path, async (file) => {
    await checkHash(file, options);
    try {
      await makeFolder(file, cluster, options);
    } catch (error) {
      await systemDisk.remove(isThere ? buildingOf(dataDir) : dataDir);
      await systemDisk.remove(walDir);
      await systemDisk.remove(`${walDir}.tmp`);
      throw error;
    }
  });
  log.info('restored snapshot', fields);
}

/** The new cluster: its members, and what the log of each begins with. */
interface NewCluster {
  readonly members: readonly NamedMember[];
  readonly log: FoundingLog;
}

/** Rejects with what is wrong with the flags. */
async function newCluster(options: RestoreOptions): Promise<NewCluster> {
  const { name, initialCluster, initialClusterToken } = options;
  const settings: FounderSettings = {
    name,
    initialCluster,
    initialClusterToken,
    initialAdvertisePeerUrls: parseUrls(options.initialAdvertisePeerUrls),
  };
  try {
    initialClusterUrls(initialCluster);
  } catch (error) {
    // The server says where it read them.
    throw error instanceof ValueError && error.cause instanceof Error ? error.cause : error;
  }
  const problem = await founderProblem(settings, new PeerUrls(resolveHost, systemClock));
  if (problem !== null) throw new Error(problem);
  const founding = foundingOf(settings);
  const members = foundingMembers(founding);
  const { hardState, ...rest } = foundingLog(founding);
  const vote = must(members[0], 'a cluster has members').id;
  return { members, log: { ...rest, hardState: { ...hardState, vote } } };
}

async function isEmptyDir(dir: string): Promise<boolean> {
  try {
    return (await systemDisk.list(dir)).length === 0;
  } catch {
    return false;
  }
}

/** etcd: pages are whole sectors, so a hash behind them shows in the size of the file. */
async function checkHash({ file, bytes }: SnapshotFile, options: RestoreOptions): Promise<void> {
  if (bytes < HASH_BYTES) throw new Error(`seek ${options.path}: invalid argument`);
  if (options.skipHashCheck) return;
  if (bytes % SECTOR_BYTES !== HASH_BYTES) {
    throw new Error('snapshot missing hash but --skip-hash-check=false');
  }
  const hash = createHash('sha256');
  const end = bytes - HASH_BYTES;
  for (let at = 0; at < end; ) {
    const piece = await file.read(at, Math.min(READ_BYTES, end - at));
    if (piece.length === 0) throw new Error(`read ${options.path}: unexpected EOF`);
    hash.update(piece);
    at += piece.length;
    options.advance(piece.length);
    options.signal.throwIfAborted();
  }
  const expected = await file.read(end, HASH_BYTES);
  const got = hash.digest();
  if (got.equals(expected)) return;
  throw new Error(`expected sha256 [${[...expected].join(' ')}], got [${[...got].join(' ')}]`);
}

function buildingOf(dataDir: string): string {
  return join(dataDir, 'member.restoring');
}

async function makeFolder(
  file: SnapshotFile,
  cluster: NewCluster,
  options: RestoreOptions,
): Promise<void> {
  const { dataDir, walDir } = options;
  const member = join(dataDir, 'member');
  const building = buildingOf(dataDir);
  const snapDir = join(building, 'snap');
  await systemDisk.makeDir(snapDir);
  const engine = await LevelEngine.open(join(snapDir, 'db'), {
    writeBufferBytes: WRITE_BUFFER_BYTES,
  });
  try {
    await fillRows(engine, file, cluster, options);
  } finally {
    await engine.close();
  }
  const isInside = walDir === join(member, 'wal');
  await makeLog(isInside ? join(building, 'wal') : walDir, cluster);
  options.signal.throwIfAborted();
  await systemDisk.syncDir(snapDir);
  await systemDisk.syncDir(building);
  await systemDisk.rename(building, member);
  await systemDisk.syncDir(dataDir);
}

async function fillRows(
  engine: Engine,
  file: SnapshotFile,
  cluster: NewCluster,
  options: RestoreOptions,
): Promise<void> {
  const { signal, log, bumpRevision } = options;
  let newest: RowKey | null = null;
  await loadRows({
    reader: await openSnapshot(file),
    rows: engine,
    without: [buckets.members, buckets.membersRemoved],
    record: ({ key }) => {
      newest = key;
    },
    async breathe(bytes) {
      options.advance(bytes);
      await options.breathe();
      signal.throwIfAborted();
    },
  });
  const rows = await RowTable.open(engine);
  if (bumpRevision > 0n) bump(rows, newest, bumpRevision, log);
  const members = await Members.open(rows, { learnersMax: 0 });
  members.replace(
    cluster.members.map((member) => ({ ...member, clientUrls: [], isLearner: false })),
    new Set(),
  );
  for (const { id, peerUrls } of cluster.members) {
    log.info('added member', {
      'cluster-id': hexId(cluster.log.metadata.clusterId),
      'local-member-id': '0',
      'added-peer-id': hexId(id),
      'added-peer-peer-urls': peerUrls,
      'added-peer-is-learner': false,
    });
  }
  await rows.flush(positionRows(positionOf(cluster)));
}

/** Clients must not meet revisions again that they have seen: it goes on far beyond them. */
function bump(rows: StagedRows, newest: RowKey | null, by: bigint, log: Log): void {
  const latest = newest === null ? 0 : parseRecordKey(newest).main;
  const sum = BigInt(latest) + by;
  if (sum > BigInt(Number.MAX_SAFE_INTEGER)) throw new Error(`revision ${sum} is too large`);
  const revision = Number(sum);
  log.info('bumping latest revision', {
    'latest-revision': latest,
    'bump-amount': Number(by),
    'new-latest-revision': revision,
  });
  // etcd: a record without a key, which the compaction at the first start takes away.
  rows.put(recordRowKey(revision, 0), EMPTY_BYTES);
  log.info('marking revision compacted', { revision });
  rows.put(metaRows.scheduledCompactRev, encodeRevisionMark(revision));
}

/** All members are in: the entries that add them count as applied. */
function positionOf({ members, log }: NewCluster): SnapshotMetadata {
  const voters = members.map(({ id }) => id);
  return {
    index: log.entries.length,
    term: FIRST_TERM,
    confState: { ...EMPTY_CONF_STATE, voters },
  };
}

/** The mark says that the entries before it are not enough for who joins later. */
async function makeLog(dir: string, cluster: NewCluster): Promise<void> {
  const { metadata, entries, hardState } = cluster.log;
  const options = { clock: systemClock };
  const wal = await Wal.create(systemDisk, dir, metadata, options, { entries, hardState });
  try {
    await wal.saveSnapshot(positionOf(cluster));
  } finally {
    await wal.close();
  }
}
