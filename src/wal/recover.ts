/**
 * Reads the segments of a log and says what they hold: the last valid snapshot mark, the entries
 * behind it, the last hard state. Changes nothing on disk; `wal.ts` cuts what this calls torn.
 *
 * Segments are read from the last one backwards, only as far as the snapshot mark and the entries
 * behind it reach, so start-up does not grow with the number of files kept.
 */

import { assert, must } from '../assert.ts';
import { EMPTY_CONF_STATE } from '../codec/raftpb.ts';
import { decodeWalMetadata, type WalMetadata } from '../codec/walpb.ts';
import type { Disk } from '../ports.ts';
import type { Entry, HardState, SnapshotMetadata } from '../raft/messages.ts';
import type { Index, Term } from '../types.ts';
import { readSegment, type Segment, type SegmentName, WalCorruptError } from './segment.ts';

export interface RecoveredLog {
  readonly metadata: WalMetadata;
  /** The last hard state on disk. */
  readonly written: HardState;
  /** `written`, or what follows from it and the entries. */
  readonly hardState: HardState;
  /** Dense, beginning behind `snapshot`. */
  readonly entries: Entry[];
  readonly snapshot: SnapshotMetadata;
  /** The segment that is appended to. */
  readonly last: Segment;
}

const EMPTY_STATE: HardState = { term: 0, vote: null, commit: 0 };
const EMPTY_LOG: SnapshotMetadata = { index: 0, term: 0, confState: EMPTY_CONF_STATE };

/** `names` are all segments, ascending. Throws `WalCorruptError`. */
export async function recoverLog(
  disk: Disk,
  dir: string,
  names: readonly SegmentName[],
): Promise<RecoveredLog> {
  const source = new SegmentSource(disk, dir, names);
  const last = await source.read(names.length - 1);
  const commit = await lastCommit(source);
  const snapshot = await lastSnapshot(source, commit);
  const first = names.findLastIndex((name) => name.firstIndex <= snapshot.index);
  if (first < 0) throw new WalCorruptError(last.name.file, 0, 'the first segments are missing');
  const segments: Segment[] = [];
  for (let i = first; i < names.length; i++) segments.push(await source.read(i));
  checkChain(segments);

  const log = placeEntries(segments, snapshot);
  const state = segments.findLast((segment) => segment.state !== null)?.state ?? EMPTY_STATE;
  const lastIndex = snapshot.index + log.length;
  if (state.commit > lastIndex) {
    const reason = `commit ${state.commit} is beyond the last entry, ${lastIndex}`;
    throw new WalCorruptError(last.name.file, last.end, reason);
  }
  return {
    metadata: decodeWalMetadata(last.metadata),
    written: state,
    hardState: atLeastTermOf(state, log.at(-1) ?? null),
    entries: log,
    snapshot,
    last,
  };
}

/**
 * A torn append may have kept entries and lost the state record behind them. A term may always be
 * raised, as if a message had shown it; no vote was cast in it, for that would have been synced.
 */
function atLeastTermOf(state: HardState, entry: Entry | null): HardState {
  if (entry === null || entry.term <= state.term) return state;
  return { term: entry.term, vote: null, commit: state.commit };
}

/** Reads each segment at most once. */
class SegmentSource {
  readonly #disk: Disk;
  readonly #dir: string;
  readonly names: readonly SegmentName[];
  readonly #read = new Map<number, Segment>();

  constructor(disk: Disk, dir: string, names: readonly SegmentName[]) {
    assert(names.length > 0, 'a log has at least one segment');
    this.#disk = disk;
    this.#dir = dir;
    this.names = names;
  }

  async read(position: number): Promise<Segment> {
    const known = this.#read.get(position);
    if (known !== undefined) return known;
    const name = must(this.names[position], 'a known segment');
    const file = await this.#disk.open(`${this.#dir}/${name.file}`, 'read');
    try {
      const bytes = await file.read(0, await file.size());
      const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const segment = readSegment(name, buffer, position === this.names.length - 1);
      this.#read.set(position, segment);
      return segment;
    } finally {
      await file.close();
    }
  }
}

async function lastCommit(source: SegmentSource): Promise<Index> {
  for (let i = source.names.length - 1; i >= 0; i--) {
    const { state } = await source.read(i);
    if (state !== null) return state.commit;
  }
  return 0;
}

/** etcd: a mark above the commit index is passed over; its snapshot may not be complete. */
async function lastSnapshot(source: SegmentSource, commit: Index): Promise<SnapshotMetadata> {
  for (let i = source.names.length - 1; i >= 0; i--) {
    const { snapshots } = await source.read(i);
    const mark = snapshots.findLast(({ metadata }) => metadata.index <= commit);
    if (mark !== undefined) return mark.metadata;
  }
  // etcd: starts without any mark too, if the log goes back to its beginning.
  return EMPTY_LOG;
}

function checkChain(segments: readonly Segment[]): void {
  let previous: Segment | null = null;
  for (const segment of segments) {
    const { name, seed, metadata } = segment;
    if (seed === null) throw new WalCorruptError(name.file, 0, 'no crc record at the beginning');
    if (previous !== null) {
      if (name.sequence !== previous.name.sequence + 1) {
        throw new WalCorruptError(
          name.file,
          0,
          `the segment after ${previous.name.file} is missing`,
        );
      }
      if (seed !== previous.crc) throw new WalCorruptError(name.file, 0, 'crc chain mismatch');
      if (Buffer.compare(metadata, previous.metadata) !== 0) {
        throw new WalCorruptError(name.file, 0, 'metadata differ');
      }
    }
    previous = segment;
  }
}

/** The log behind `start`: a later entry replaces what stands at its index and above. */
function placeEntries(segments: readonly Segment[], start: SnapshotMetadata): Entry[] {
  const log = new PlacedLog(start);
  for (const segment of segments) {
    const { file } = segment.name;
    let mark = 0;
    for (let i = 0; i <= segment.entries.length; i++) {
      for (; segment.snapshots[mark]?.entriesBefore === i; mark++) {
        const { metadata, offset } = must(segment.snapshots[mark], 'the mark just seen');
        if (!log.snapshot(metadata)) {
          throw new WalCorruptError(file, offset, `snapshot ${start.index} has another term`);
        }
      }
      const entry = segment.entries[i];
      const wrong = entry === undefined ? null : log.place(entry);
      if (wrong !== null) throw new WalCorruptError(file, segment.end, wrong);
    }
  }
  return log.entries;
}

class PlacedLog {
  readonly #start: SnapshotMetadata;
  readonly entries: Entry[] = [];
  /** Term of the entry at the start's index, while the records read so far hold one. */
  #termAtStart: Term | null;

  constructor(start: SnapshotMetadata) {
    this.#start = start;
    this.#termAtStart = start.index === 0 ? 0 : null;
  }

  get lastIndex(): Index {
    return this.#start.index + this.entries.length;
  }

  /** What is wrong with the entry, or null. */
  place(entry: Entry): string | null {
    const position = entry.index - this.#start.index - 1;
    if (position < 0) {
      this.entries.length = 0;
      this.#termAtStart = position === -1 ? entry.term : null;
      return null;
    }
    if (position > this.entries.length) {
      return `entry ${entry.index} follows entry ${this.lastIndex}`;
    }
    this.entries.length = position;
    if (entry.term < (this.entries.at(-1)?.term ?? 0)) {
      return `the term goes back to ${entry.term} at entry ${entry.index}`;
    }
    this.entries.push(entry);
    return null;
  }

  /**
   * False when the mark contradicts the start. The mark of a snapshot that this member took itself
   * leaves the entries behind it in place. One that was received replaced the log, unless the log
   * held its last entry; etcd forgets this and would bring the replaced entries back.
   */
  snapshot(metadata: SnapshotMetadata): boolean {
    if (metadata.index !== this.#start.index) return true;
    if (metadata.term !== this.#start.term) return false;
    if (this.#termAtStart !== metadata.term) this.entries.length = 0;
    this.#termAtStart = metadata.term;
    return true;
  }
}
