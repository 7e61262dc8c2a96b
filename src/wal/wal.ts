/**
 * The write-ahead log: the member's entries, hard state and snapshot marks, in files that etcd and
 * its tools read (`record.ts`). One append is one write and at most one fdatasync.
 *
 * Invariants: one append is in flight at a time; an append that has resolved survives a power loss;
 * every segment begins with the chain's crc, the metadata and the latest hard state; after a failed
 * disk operation nothing is ever written again.
 *
 * Another process is kept out by LevelDB's lock, which dies with its process: whoever owns a data
 * directory opens the engine before the log (`docs/decisions/0002-wal-sync.md`).
 *
 * It refuses to know what entries mean, when a sync is due, and what to do when the disk fails: it
 * throws, and the owner ends the member.
 */

import { assert, must } from '../assert.ts';
import { EMPTY_CONF_STATE } from '../codec/raftpb.ts';
import { encodeWalMetadata, type WalMetadata } from '../codec/walpb.ts';
import { limits } from '../limits.ts';
import type { Clock, Disk, DiskFile } from '../ports.ts';
import type { Entry, HardState, SnapshotMetadata } from '../raft/messages.ts';
import type { Index } from '../types.ts';
import { FrameEncoder } from './record.ts';
import { recoverLog } from './recover.ts';
import { parseSegmentFile, type Segment, type SegmentName, segmentFile } from './segment.ts';

/** Who makes the device write: a thread, the event loop, or whichever suits the append. */
export type SyncRule = 'adaptive' | 'pool' | 'loop';

export interface WalObserver {
  wrote(bytes: number, seconds: number): void;
  /** A snapshot mark is on the disk. */
  snapshotSaved(seconds: number): void;
  synced(seconds: number): void;
}

export interface WalOptions {
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly segmentBytes?: number;
  /** Segments kept although released (etcd: --max-wals); 0 keeps all. */
  readonly walsMax?: number;
  readonly sync?: SyncRule;
  readonly observer?: WalObserver;
}

export interface WalBatch {
  readonly entries: readonly Entry[];
  readonly hardState: HardState | null;
  /** False only for a hard state that changes nothing but the commit index. */
  readonly mustSync: boolean;
}

/** What a founded log begins with: entries from index 1 on and the state that commits them. */
export interface WalBeginning {
  readonly entries: readonly Entry[];
  readonly hardState: HardState;
}

export interface Repair {
  readonly file: string;
  /** Where the file was cut. */
  readonly offset: number;
  readonly bytes: number;
  readonly reason: string;
}

export interface Recovered {
  readonly metadata: WalMetadata;
  readonly hardState: HardState;
  /** Dense, beginning behind `snapshot`. */
  readonly entries: Entry[];
  /** Index 0: none. */
  readonly snapshot: SnapshotMetadata;
  readonly wal: Wal;
  /** The unacknowledged append that a crash interrupted and that was cut off. */
  readonly repaired: Repair | null;
}

const EMPTY_STATE: HardState = { term: 0, vote: null, commit: 0 };
const WALS_MAX_DEFAULT = 5;
const FIRST_RESERVE_BYTES = 64 * 1024;
/** Weight of the newest sync in the running average of their durations. */
const SYNC_WEIGHT = 1 / 8;

interface Start {
  readonly disk: Disk;
  readonly dir: string;
  readonly options: WalOptions;
  readonly metadata: Uint8Array;
  readonly segments: SegmentName[];
  readonly file: DiskFile;
  readonly fileBytes: number;
  readonly head: number;
  readonly crc: number;
  /** The last hard state on disk. */
  readonly written: HardState;
  readonly hardState: HardState;
  readonly lastIndex: Index;
  readonly snapshotIndex: Index;
}

export class Wal {
  readonly #disk: Disk;
  readonly #dir: string;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #observer: WalObserver | null;
  readonly #segmentBytes: number;
  readonly #walsMax: number;
  readonly #rule: SyncRule;
  readonly #metadata: Uint8Array;
  readonly #frames: FrameEncoder;
  /** Ascending; the last one is appended to. */
  readonly #segments: SegmentName[];

  #file: DiskFile;
  /** Where the next append begins. */
  #head: number;
  /** The file's length: zeros from `#head` on. */
  #reserved: number;
  #reserving: Promise<void> | null = null;
  #next: Promise<DiskFile> | null = null;

  #written: HardState;
  #latest: HardState;
  #lastIndex: Index;
  #snapshotIndex: Index;
  #syncMs = 0;
  #isBusy = false;
  #isClosed = false;
  #failure: unknown = null;

  private constructor(start: Start) {
    this.#disk = start.disk;
    this.#dir = start.dir;
    this.#clock = start.options.clock;
    this.#observer = start.options.observer ?? null;
    this.#segmentBytes = start.options.segmentBytes ?? limits.walSegmentBytes;
    this.#walsMax = start.options.walsMax ?? WALS_MAX_DEFAULT;
    this.#rule = start.options.sync ?? 'adaptive';
    this.#metadata = start.metadata;
    this.#frames = new FrameEncoder(start.crc);
    this.#segments = start.segments;
    this.#file = start.file;
    this.#head = start.head;
    this.#reserved = Math.max(start.head, start.fileBytes);
    this.#written = start.written;
    this.#latest = start.hardState;
    this.#lastIndex = start.lastIndex;
    this.#snapshotIndex = start.snapshotIndex;
  }

  /** Whether the directory holds a log, so that `open` and not `create` is due. */
  static async exists(disk: Disk, dir: string): Promise<boolean> {
    return (await disk.list(dir)).some((name) => name.endsWith('.wal'));
  }

  /**
   * A new log, beginning with `first`. etcd: it is built beside its place and renamed into it, so a
   * crash leaves either a log with a whole beginning or none.
   */
  static async create(
    disk: Disk,
    dir: string,
    metadata: WalMetadata,
    options: WalOptions,
    first: WalBeginning = { entries: [], hardState: EMPTY_STATE },
  ): Promise<Wal> {
    assert(!(await Wal.exists(disk, dir)), 'a log is created once');
    const building = `${dir}.tmp`;
    await disk.remove(building);
    await disk.makeDir(building);
    const name: SegmentName = { file: segmentFile(0, 0), sequence: 0, firstIndex: 0 };
    const file = await disk.open(`${building}/${name.file}`, 'create');
    const encoded = encodeWalMetadata(metadata);
    const frames = new FrameEncoder(0);
    frames.begin(0);
    frames.metadata(encoded);
    frames.snapshot({ index: 0, term: 0, confState: EMPTY_CONF_STATE });
    for (const entry of first.entries) frames.entry(entry);
    if (first.hardState.term > 0) frames.state(first.hardState);
    const header = frames.finish();
    // Room for the first appends comes with the header, so that they need not wait for any.
    const start = Buffer.alloc(Math.max(header.length, FIRST_RESERVE_BYTES));
    start.set(header);
    file.write(0, start);
    await file.sync();
    await disk.syncDir(building);
    await disk.remove(dir);
    await disk.rename(building, dir);
    await disk.syncDir(parentOf(dir));
    const wal = new Wal({
      disk,
      dir,
      options,
      metadata: encoded,
      segments: [name],
      file,
      fileBytes: start.length,
      head: header.length,
      crc: frames.crc,
      written: first.hardState,
      hardState: first.hardState,
      lastIndex: first.entries.length,
      snapshotIndex: 0,
    });
    wal.#reserveAhead();
    return wal;
  }

  /** Throws `WalCorruptError` when something is missing or changed that was acknowledged. */
  static async open(disk: Disk, dir: string, options: WalOptions): Promise<Recovered> {
    const files = await disk.list(dir);
    const segments = files.map(parseSegmentFile).filter((name) => name !== null);
    const log = await recoverLog(disk, dir, segments);
    // etcd: prepared segments that never got their name.
    for (const name of files) if (name.endsWith('.tmp')) await disk.remove(`${dir}/${name}`);

    const { last, metadata, entries, snapshot, hardState } = log;
    const file = await disk.open(`${dir}/${last.name.file}`, 'write');
    const repaired = await cutTornTail(file, last);
    // A process that was killed before its sync leaves an append that can be read and that a power
    // loss still takes away. What is read here counts as durable, so it has to be.
    await file.sync();
    await disk.syncDir(dir);
    await disk.syncDir(parentOf(dir));
    const wal = new Wal({
      disk,
      dir,
      options,
      metadata: last.metadata,
      segments,
      file,
      fileBytes: await file.size(),
      head: last.end,
      crc: last.crc,
      written: log.written,
      hardState,
      lastIndex: snapshot.index + entries.length,
      snapshotIndex: snapshot.index,
    });
    wal.#reserveAhead();
    return { metadata, hardState, entries, snapshot, wal, repaired };
  }

  /** Index of the last entry written, or of a snapshot beyond it. */
  get lastIndex(): Index {
    return this.#lastIndex;
  }

  /**
   * Makes a batch durable. Null: it is so already, without waiting. A hard state that needs no sync
   * is kept in memory and written with the next append that does, as etcd's write buffer has it.
   * Throws, or rejects, when the disk fails.
   */
  append(batch: WalBatch): Promise<void> | null {
    this.#begin();
    const { entries, hardState, mustSync } = batch;
    assert(mustSync || entries.length === 0, 'entries are always synced');
    if (hardState !== null) this.#take(hardState);
    if (!mustSync || (entries.length === 0 && this.#isStateWritten())) {
      this.#isBusy = false;
      return null;
    }
    this.#frames.begin(this.#head);
    for (const entry of entries) {
      assert(entry.index <= this.#lastIndex + 1, 'entries leave no gap');
      this.#frames.entry(entry);
      this.#lastIndex = entry.index;
    }
    this.#frameState();
    return this.#commit(this.#frames.finish());
  }

  /**
   * Records that the state up to `metadata.index` is durable elsewhere, and with it, in the same
   * append, a hard state that has committed this index; recovery begins at the last such mark.
   */
  async saveSnapshot(
    metadata: SnapshotMetadata,
    hardState: HardState | null = null,
  ): Promise<void> {
    const start = this.#clock.monotonic();
    this.#begin();
    if (hardState !== null) this.#take(hardState);
    assert(metadata.index <= this.#latest.commit, 'a snapshot is of committed entries');
    this.#lastIndex = Math.max(this.#lastIndex, metadata.index);
    this.#frames.begin(this.#head);
    this.#frameState();
    this.#frames.snapshot(metadata);
    await this.#commit(this.#frames.finish());
    this.#snapshotIndex = Math.max(this.#snapshotIndex, metadata.index);
    this.#observer?.snapshotSaved((this.#clock.monotonic() - start) / 1000);
  }

  /**
   * Removes segments whose entries all lie below `index`, oldest first, down to the number to keep.
   * etcd: the segment before the first one named at or above `index` stays.
   */
  async release(index: Index): Promise<void> {
    assert(index <= this.#snapshotIndex, 'only what a snapshot mark covers is released');
    if (this.#walsMax === 0) return;
    const above = this.#segments.findIndex((name) => name.firstIndex >= index);
    let removable = (above < 0 ? this.#segments.length : above) - 1;
    let isChanged = false;
    while (removable > 0 && this.#segments.length > this.#walsMax) {
      const name = must(this.#segments.shift(), 'the oldest segment');
      removable--;
      isChanged = true;
      await this.#disk.remove(`${this.#dir}/${name.file}`);
    }
    if (isChanged) await this.#disk.syncDir(this.#dir);
  }

  /** Writes what is pending and ends the log. No append may be in flight. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    assert(!this.#isBusy || this.#failure !== null, 'no append is in flight at close');
    if (this.#failure === null && !this.#isStateWritten()) {
      await this.append({ entries: [], hardState: null, mustSync: true });
    }
    this.#isClosed = true;
    await this.#reserving;
    // Its failure is known as `#failure` already, and what was appended is durable all the same.
    const next = await (this.#next?.catch(() => null) ?? null);
    if (next !== null) {
      await next.close();
      await this.#disk.remove(`${this.#dir}/${this.#nextFile()}`);
    }
    await this.#file.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #begin(): void {
    if (this.#failure !== null) throw this.#failure;
    assert(!this.#isClosed, 'the log is open');
    assert(!this.#isBusy, 'one append is in flight at a time');
    this.#isBusy = true;
  }

  #take(state: HardState): void {
    const known = this.#latest;
    assert(
      state.term >= known.term && state.commit >= known.commit,
      'a hard state never goes back',
    );
    this.#latest = state;
  }

  /**
   * What may be written now. A leader can know an entry to be committed, by its followers, that has
   * not been appended here yet; a log whose commit index lies beyond its last entry is refused at
   * start, by etcd too.
   */
  #stateToWrite(): HardState {
    const state = this.#latest;
    return state.commit <= this.#lastIndex ? state : { ...state, commit: this.#lastIndex };
  }

  #isStateWritten(): boolean {
    const [a, b] = [this.#written, this.#stateToWrite()];
    return a.commit === b.commit && a.term === b.term && a.vote === b.vote;
  }

  #frameState(): void {
    if (this.#isStateWritten()) return;
    this.#written = this.#stateToWrite();
    this.#frames.state(this.#written);
  }

  #commit(bytes: Uint8Array): Promise<void> | null {
    const mustWait = this.#reserving !== null && this.#head + bytes.length > this.#reserved;
    if (mustWait || !this.#isForLoop(bytes)) return this.#commitInPool(bytes);
    try {
      this.#write(bytes);
      const start = this.#clock.monotonic();
      this.#file.syncNow();
      this.#observeSync(start);
    } catch (cause) {
      this.#failure = cause;
      throw cause;
    }
    if (this.#head >= this.#segmentBytes) return this.#cutAndFinish();
    this.#finish();
    return null;
  }

  async #commitInPool(bytes: Uint8Array): Promise<void> {
    try {
      // Zeros may be on their way to where this append goes: it waits for them.
      if (this.#head + bytes.length > this.#reserved) await this.#reserving;
      if (this.#failure !== null) throw this.#failure;
      this.#write(bytes);
      const start = this.#clock.monotonic();
      await this.#file.sync();
      this.#observeSync(start);
    } catch (cause) {
      this.#failure = cause;
      throw cause;
    }
    if (this.#head >= this.#segmentBytes) await this.#cutAndFinish();
    else this.#finish();
  }

  async #cutAndFinish(): Promise<void> {
    try {
      await this.#cut();
    } catch (cause) {
      this.#failure = cause;
      throw cause;
    }
    this.#finish();
  }

  /** A thread costs more than a fast disk does; a slow disk must not hold up the loop. */
  #isForLoop(bytes: Uint8Array): boolean {
    if (this.#rule !== 'adaptive') return this.#rule === 'loop';
    return bytes.length <= limits.walLoopSyncBytesMax && this.#syncMs <= limits.walLoopSyncMsMax;
  }

  #write(bytes: Uint8Array): void {
    const start = this.#clock.monotonic();
    this.#file.write(this.#head, bytes);
    this.#head += bytes.length;
    this.#reserved = Math.max(this.#reserved, this.#head);
    this.#observer?.wrote(bytes.length, (this.#clock.monotonic() - start) / 1000);
  }

  #observeSync(start: number): void {
    const ms = this.#clock.monotonic() - start;
    this.#syncMs += (ms - this.#syncMs) * SYNC_WEIGHT;
    this.#observer?.synced(ms / 1000);
  }

  #finish(): void {
    this.#isBusy = false;
    this.#reserveAhead();
  }

  /**
   * Has zeros written behind the head while appends go on before them, and towards the end of the
   * segment has the next one prepared. A failure is thrown at the next append.
   */
  #reserveAhead(): void {
    if (this.#reserved >= this.#segmentBytes) {
      if (this.#head >= this.#segmentBytes / 2) this.#prepareNext();
      return;
    }
    if (this.#reserving !== null) return;
    if (this.#reserved - this.#head > limits.walReserveBytes / 2) return;
    const target = Math.min(this.#head + limits.walReserveBytes, this.#segmentBytes);
    this.#reserving = this.#file.allocate(target).then(
      () => {
        this.#reserved = Math.max(this.#reserved, target);
        this.#reserving = null;
      },
      (cause: unknown) => {
        this.#failure ??= cause;
        this.#reserving = null;
      },
    );
  }

  /** etcd: the next segment lies ready as `0.tmp` or `1.tmp` before it is needed. */
  #prepareNext(): void {
    if (this.#next !== null) return;
    const next = this.#createNext();
    // A failure is thrown where the file is taken; until then it must not count as unhandled.
    next.catch((cause: unknown) => {
      this.#failure ??= cause;
    });
    this.#next = next;
  }

  #nextFile(): string {
    return `${(must(this.#segments.at(-1), 'a segment').sequence + 1) % 2}.tmp`;
  }

  async #createNext(): Promise<DiskFile> {
    const path = `${this.#dir}/${this.#nextFile()}`;
    await this.#disk.remove(path);
    const file = await this.#disk.open(path, 'create');
    await file.allocate(Math.min(limits.walReserveBytes, this.#segmentBytes));
    return file;
  }

  /**
   * Begins a new segment. It gets its name only when its header is durable, and the old one is
   * complete by then, so a crash in between leaves a log that ends with the old one.
   */
  async #cut(): Promise<void> {
    await this.#reserving;
    if (this.#failure !== null) throw this.#failure;
    this.#prepareNext();
    const file = await must(this.#next, 'the segment being prepared');
    await this.#file.truncate(this.#head);
    this.#frames.begin(0);
    this.#frames.metadata(this.#metadata);
    this.#written = this.#stateToWrite();
    this.#frames.state(this.#written);
    const header = this.#frames.finish();
    file.write(0, header);
    await file.sync();
    const sequence = must(this.#segments.at(-1), 'a segment').sequence + 1;
    const firstIndex = this.#lastIndex + 1;
    const name: SegmentName = { file: segmentFile(sequence, firstIndex), sequence, firstIndex };
    await this.#disk.rename(`${this.#dir}/${this.#nextFile()}`, `${this.#dir}/${name.file}`);
    await this.#disk.syncDir(this.#dir);
    await this.#file.close();
    this.#segments.push(name);
    this.#next = null;
    this.#file = file;
    this.#head = header.length;
    this.#reserved = await file.size();
  }
}

async function cutTornTail(file: DiskFile, last: Segment): Promise<Repair | null> {
  if (last.torn === null) return null;
  const bytes = (await file.size()) - last.end;
  await file.truncate(last.end);
  return { file: last.name.file, offset: last.end, bytes, reason: last.torn };
}

function parentOf(dir: string): string {
  const slash = dir.replace(/\/+$/, '').lastIndexOf('/');
  return slash < 0 ? '.' : dir.slice(0, Math.max(1, slash));
}
