/**
 * The outside world, as the inside sees it. Each port has one real twin in `platform/` (or `peer/`)
 * and one in memory; both pass the same contract tests. Nothing below `platform/` reaches time,
 * randomness, disk or network in another way.
 */

import type { Message } from './raft/messages.ts';
import type { MemberId, RowKey } from './types.ts';

export type Stop = () => void;

export interface Clock {
  /** Wall clock in milliseconds since the Unix epoch: for ids and log lines, never for ordering. */
  now(): number;
  /** Monotonic milliseconds, fractional. */
  monotonic(): number;
  /** Calls `fn` every `ms` until stopped. */
  every(ms: number, fn: () => void): Stop;
  /** Runs `fn` once, after the input that is already waiting has been taken in. */
  defer(fn: () => void): void;
}

export interface Random {
  /** A uniformly chosen integer in [0, n). */
  below(n: number): number;
  u64(): bigint;
}

export type OpenMode = 'read' | 'write' | 'create';

export interface Disk {
  makeDir(path: string): Promise<void>;
  /** Names in a directory, sorted; empty when it does not exist. */
  list(path: string): Promise<readonly string[]>;
  /** `create` fails when the file exists; `read` and `write` fail when it does not. */
  open(path: string, mode: OpenMode): Promise<DiskFile>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file or a whole directory; a missing one is not an error. */
  remove(path: string): Promise<void>;
  /** Makes creations, renames and removals in a directory durable. */
  syncDir(path: string): Promise<void>;
}

export interface DiskFile {
  size(): Promise<number>;
  /** May return fewer bytes than asked for at the end of the file. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Hands bytes to the operating system; durable after the next `sync`. Throws when it fails. */
  write(offset: number, bytes: Uint8Array): void;
  /** After this resolves, everything written before the call survives a power loss. */
  sync(): Promise<void>;
  /** `sync` that holds up the caller: for the small and fast cases where a thread costs more. */
  syncNow(): void;
  truncate(size: number): Promise<void>;
  /** Makes later writes below `size` cheap to sync by reserving (zeroed) space for them. */
  allocate(size: number): Promise<void>;
  close(): Promise<void>;
}

export interface Row {
  readonly key: RowKey;
  readonly value: Uint8Array;
}

/** `value: null` deletes the row. */
export interface RowWrite {
  readonly key: RowKey;
  readonly value: Uint8Array | null;
}

/** Rows with `from <= key < to`, ascending, at most `limit` of them. */
export interface RowRange {
  readonly from: RowKey;
  readonly to: RowKey;
  readonly limit: number;
  /** Lets the engine stop early, though not before the first row, once it has read so much. */
  readonly bytesMax?: number;
}

/** A set of ordered, durable rows. Bytes handed over must not be changed afterwards. */
export interface DurableRows {
  get(key: RowKey): Uint8Array | null;
  /** Atomic and synced before it resolves. One at a time. */
  write(batch: readonly RowWrite[]): Promise<void>;
  /** The rows as they are at the moment of the call. */
  scan(range: RowRange): Promise<readonly Row[]>;
}

/** What keeps the rows of a member (LevelDB). */
export interface Engine extends DurableRows {
  /** A view that later writes do not change; must be closed. */
  snapshot(): EngineSnapshot;
  /** Another set of rows, empty, which readers of the engine do not see. One at a time. */
  beginReplacement(): Promise<Replacement>;
  /**
   * Gives the space of deleted rows back to the disk. Reads and writes go on meanwhile. Rejects
   * with an `EtcdError`, with nothing changed, when the disk is too full for it.
   */
  compact(): Promise<void>;
  /** Bytes on disk. */
  sizeOnDisk(): Promise<number>;
  close(): Promise<void>;
}

/** Rows on their way to be the engine's. Ends with `commit` or `discard`; a crash discards. */
export interface Replacement extends DurableRows {
  /**
   * Makes these rows the engine's, atomically and synced; what was written to the engine before is
   * gone, except for views that are open. No batch may be under way. `switched` runs in the step in
   * which readers of the engine get to see these rows, so that nobody meets them unprepared.
   */
  commit(switched: () => void): Promise<void>;
  discard(): Promise<void>;
}

export interface EngineSnapshot {
  scan(range: RowRange): Promise<readonly Row[]>;
  /** All rows with `from <= key < to`, ascending, a few at a time; other work runs in between. */
  walk(range: Pick<RowRange, 'from' | 'to'>): AsyncGenerator<readonly Row[]>;
  close(): Promise<void>;
}

/**
 * The write-behind table over an `Engine`: rows are staged in memory during apply and reach the
 * engine later, in one synced batch together with the applied index.
 */
export interface Rows {
  get(key: RowKey): Uint8Array | null;
  put(key: RowKey, value: Uint8Array): void;
  /** `valueBytes` from a caller that has just read the row saves looking for it. */
  delete(key: RowKey, valueBytes?: number): void;
  /** Staged and engine rows merged, as they are at the moment of the call. */
  scan(range: RowRange): Promise<readonly Row[]>;
}

/** What the owner of the write-behind table sees beside reading and staging. */
export interface StagedRows extends Rows {
  /** Bytes staged and not yet durable. */
  readonly stagedBytes: number;
  readonly stagedRows: number;
  /** Bytes of all rows, keys and values. */
  readonly liveBytes: number;
  /** Makes everything staged before the call durable, with `extra`, in one batch. One at a time. */
  flush(extra: readonly RowWrite[]): Promise<void>;
  /**
   * A table over a replacement of the engine's rows. `adopt` makes this table show what that one
   * does, when the replacement becomes the engine's rows; no flush may be under way.
   */
  openReplacement(rows: DurableRows): Promise<{
    readonly rows: StagedRows;
    readonly adopt: () => void;
  }>;
}

export type SnapMessage = Extract<Message, { readonly type: 'snap' }>;

/** What reaches this member from the others. */
export interface PeerEvents {
  message(message: Message): void;
  /** Messages to this member were lost, or may have been. */
  unreachable(id: MemberId): void;
  /**
   * A whole state arrives: the message, and the bytes of a bbolt file. Resolves once Raft has had
   * the message. Rejects, with nothing changed, when the state cannot be used.
   */
  snapshot(message: SnapMessage, body: AsyncIterable<Uint8Array>): Promise<void>;
  /** Another member says that this one was removed from the cluster for good. */
  removed(): void;
}

export interface PeerAddress {
  readonly id: MemberId;
  readonly peerUrls: readonly string[];
}

/** The bytes of a bbolt file, made while they are read. Must be closed, read or not. */
export interface StateImage {
  readonly bytes: number;
  read(): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/**
 * The other members. Sending may drop, delay, repeat or reorder, and never waits. Only `prop` is
 * not repeated: what is proposed twice is carried out twice.
 */
export interface Peers {
  /** Called once, before anything is sent. */
  start(events: PeerEvents): void;
  /** Anything but `snap`; messages to members that are not known are dropped. */
  send(messages: readonly Message[]): void;
  /** True when the member has taken the state. Closes the image. */
  sendSnapshot(message: SnapMessage, image: StateImage, signal: AbortSignal): Promise<boolean>;
  /**
   * Who is there, and who was removed for good. Members named in neither stay as they are: a
   * joiner learns the others' addresses before it has applied the entries that added them.
   */
  setMembers(members: readonly PeerAddress[], removed: ReadonlySet<MemberId>): void;
  /** Monotonic milliseconds since when messages have been getting through; `null`: they do not. */
  activeSinceMs(id: MemberId): number | null;
  close(): Promise<void>;
}
