/**
 * The durable engine: LevelDB through classic-level, which only this file imports.
 *
 * LevelDB skips a damaged block when it recovers its log, so a batch that was not synced may leave
 * a hole. Safety: every batch is synced before `write` resolves, and there is one at a time.
 *
 * All rows may be replaced at once. Every key in LevelDB begins with a generation, and a pointer
 * says which one is the engine's, so the switch is one synced write.
 * Invariant: rows of other generations than that one, and the one that is being filled, are
 * leftovers. They are deleted in the background, after a crash too; deletions need no sync, since
 * what comes back is found again.
 *
 * It knows nothing of what rows mean.
 */

import { readdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { assert } from '../assert.ts';
import { Code, EtcdError } from '../errors.ts';
import { limits } from '../limits.ts';
import type {
  DurableRows,
  Engine,
  EngineSnapshot,
  Replacement,
  Row,
  RowRange,
  RowWrite,
} from '../ports.ts';
import type { RowKey } from '../types.ts';

type Level = ClassicLevel<Buffer, Uint8Array>;
type LevelSnapshot = ReturnType<Level['snapshot']>;

export type EngineErrorKind = 'locked' | 'corrupt' | 'unreadable' | 'failed';

/** An error of the environment: it ends the member. The text names the folder. */
export class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly kind: EngineErrorKind;
  readonly path: string;

  constructor(kind: EngineErrorKind, path: string, cause: unknown) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    super(`${texts[kind]} ${path}: ${detail}`, { cause });
    this.kind = kind;
    this.path = path;
  }
}

const texts: Readonly<Record<EngineErrorKind, string>> = {
  locked: 'another process uses the database in',
  corrupt: 'the database is corrupt in',
  unreadable: 'cannot open the database in',
  failed: 'the database failed in',
};

export interface LevelEngineOptions {
  readonly blockCacheBytes?: number;
  readonly writeBufferBytes?: number;
  readonly compression?: boolean;
}

export class LevelEngine implements Engine {
  readonly #db: Level;
  readonly #path: string;
  readonly #leftovers: Leftovers;
  #rows: LevelRows;
  /** The highest generation that may have rows. */
  #newest: Generation;
  #isReplacing = false;

  private constructor(db: Level, path: string, current: Generation, newest: Generation) {
    this.#db = db;
    this.#path = path;
    this.#leftovers = new Leftovers(db, path);
    this.#rows = new LevelRows(db, path, current);
    this.#newest = newest;
    this.#leftovers.drop(FIRST, prefixOf(current));
    this.#leftovers.drop(prefixOf(current + 1), prefixOf(newest + 1));
  }

  /** Creates the folder when it is missing. Throws `EngineError`. */
  static async open(path: string, options: LevelEngineOptions = {}): Promise<LevelEngine> {
    const db: Level = new ClassicLevel<Buffer, Uint8Array>(path, {
      keyEncoding: 'buffer',
      valueEncoding: 'view',
      cacheSize: options.blockCacheBytes ?? limits.engineBlockCacheBytes,
      writeBufferSize: options.writeBufferBytes ?? limits.engineWriteBufferBytes,
      compression: options.compression ?? true,
    });
    try {
      await db.open();
    } catch (error) {
      // The reason is the cause; the error itself only says that the database is not open.
      throw engineError(path, error, 'unreadable');
    }
    try {
      const current = await currentGeneration(db);
      const newest = Math.max(current, await newestGeneration(db));
      return new LevelEngine(db, path, current, newest);
    } catch (error) {
      await db.close();
      throw engineError(path, error, 'unreadable');
    }
  }

  get(key: RowKey): Uint8Array | null {
    return this.#rows.get(key);
  }

  async write(batch: readonly RowWrite[]): Promise<void> {
    this.#leftovers.check();
    await this.#rows.write(batch);
  }

  scan(range: RowRange): Promise<readonly Row[]> {
    return this.#rows.scan(range);
  }

  snapshot(): EngineSnapshot {
    const rows = this.#rows;
    const snapshot = this.#db.snapshot();
    return {
      scan: (range) => rows.scan(range, snapshot),
      walk: (range) => rows.walk(range, snapshot),
      close: () => snapshot.close(),
    };
  }

  async beginReplacement(): Promise<Replacement> {
    assert(!this.#isReplacing, 'one replacement at a time');
    this.#leftovers.check();
    this.#isReplacing = true;
    const generation = ++this.#newest;
    const rows = new LevelRows(this.#db, this.#path, generation);
    const end = (): void => {
      assert(this.#isReplacing && this.#newest === generation, 'a replacement ends once');
      assert(!rows.isWriting, 'no batch is under way when a replacement ends');
      this.#isReplacing = false;
    };
    return {
      get: (key) => rows.get(key),
      write: (batch) => rows.write(batch),
      scan: (range) => rows.scan(range),
      commit: async (switched) => {
        end();
        await this.#switchTo(rows, switched);
      },
      discard: async () => {
        end();
        this.#leftovers.drop(prefixOf(generation), prefixOf(generation + 1));
      },
    };
  }

  /**
   * LevelDB merges each level into the next but never rewrites the deepest one, so rows written and
   * deleted within one write buffer keep their space. In a small store that is most of it: there,
   * two deletions that span all rows make everything overlap, and a second pass rewrites it. In a
   * large store the second pass would be one long merge that holds up writes, for little gain.
   */
  async compact(): Promise<void> {
    await this.#leftovers.idle();
    await this.#assureRoom();
    try {
      await this.#db.compactRange(FIRST, LAST);
      if ((await this.sizeOnDisk()) > REWRITE_BYTES_MAX) return;
      await this.#db.batch().del(FIRST).del(LAST).write({ sync: true });
      await this.#db.compactRange(FIRST, LAST);
    } catch (error) {
      throw engineError(this.#path, error, 'failed');
    }
  }

  /** LevelDB does not survive a merge that finds no room: nothing can be written after it. */
  async #assureRoom(): Promise<void> {
    const { bavail, bsize } = await statfs(this.#path);
    const needed = Math.min(await this.sizeOnDisk(), MERGE_BYTES_MAX);
    if (bavail * bsize >= needed) return;
    const text = `${this.#path}: no space left on device: ${needed} bytes are needed for a while`;
    throw new EtcdError(Code.UNKNOWN, text);
  }

  async sizeOnDisk(): Promise<number> {
    let bytes = 0;
    for (const name of await readdir(this.#path)) {
      const file = await stat(join(this.#path, name)).catch((error: NodeJS.ErrnoException) => {
        // LevelDB removes files on its own thread.
        if (error.code === 'ENOENT') return null;
        throw error;
      });
      bytes += file?.size ?? 0;
    }
    return bytes;
  }

  async close(): Promise<void> {
    await this.#leftovers.stop();
    await this.#db.close();
  }

  async #switchTo(rows: LevelRows, switched: () => void): Promise<void> {
    const former = this.#rows;
    assert(!former.isWriting, 'no batch is under way at the switch');
    try {
      await this.#db.put(POINTER, prefixOf(rows.generation), { sync: true });
    } catch (error) {
      throw engineError(this.#path, error, 'failed');
    }
    assert(!former.isWriting, 'no batch is under way at the switch');
    this.#rows = rows;
    switched();
    this.#leftovers.drop(prefixOf(former.generation), prefixOf(former.generation + 1));
  }
}

/** The rows of one generation. */
class LevelRows implements DurableRows {
  readonly #db: Level;
  readonly #path: string;
  readonly #prefix: string;
  readonly generation: Generation;
  #writing = false;

  constructor(db: Level, path: string, generation: Generation) {
    this.#db = db;
    this.#path = path;
    this.#prefix = prefixOf(generation).toString('latin1');
    this.generation = generation;
  }

  get isWriting(): boolean {
    return this.#writing;
  }

  get(key: RowKey): Uint8Array | null {
    try {
      const value = this.#db.getSync(this.#stored(key));
      if (value === undefined) return null;
      // A small value from the addon costs 500 bytes while it is kept, its copy in Node's pool 150.
      return value.length <= POOLED_BYTES_MAX ? Buffer.from(value) : value;
    } catch (error) {
      throw engineError(this.#path, error, 'failed');
    }
  }

  async write(batch: readonly RowWrite[]): Promise<void> {
    assert(!this.#writing, 'one batch at a time');
    this.#writing = true;
    try {
      // A chained batch costs 0.5 µs per row, an array of operations 7 µs.
      const chain = this.#db.batch();
      let rows = 0;
      for (const { key, value } of batch) {
        if (++rows % ROWS_PER_SLICE === 0) await nextTurn();
        if (value === null) chain.del(this.#stored(key));
        else chain.put(this.#stored(key), value);
      }
      await chain.write({ sync: true });
    } catch (error) {
      throw engineError(this.#path, error, 'failed');
    } finally {
      this.#writing = false;
    }
  }

  async scan(range: RowRange, snapshot: LevelSnapshot | null = null): Promise<readonly Row[]> {
    if (range.limit <= 0) return [];
    // The iterator pins its view here, before the first await.
    const iterator = this.#db.iterator({
      gte: this.#stored(range.from),
      lt: this.#stored(range.to),
      limit: Number.isFinite(range.limit) ? range.limit : -1,
      highWaterMarkBytes: Math.min(SCAN_READ_AHEAD_BYTES, range.bytesMax ?? SCAN_READ_AHEAD_BYTES),
      ...(snapshot === null ? {} : { snapshot }),
    });
    const { bytesMax = Number.POSITIVE_INFINITY } = range;
    const rows: Row[] = [];
    let bytes = 0;
    try {
      while (bytes < bytesMax) {
        const entries = await iterator.nextv(ROWS_PER_READ);
        if (entries.length === 0) break;
        for (const entry of entries) {
          rows.push(rowOf(entry));
          bytes += entry[0].length + entry[1].length;
        }
      }
      return rows;
    } catch (error) {
      throw engineError(this.#path, error, 'failed');
    } finally {
      await iterator.close();
    }
  }

  /** One iterator from end to end: to find the place again costs as much as reading 50 rows. */
  async *walk(
    { from, to }: Pick<RowRange, 'from' | 'to'>,
    snapshot: LevelSnapshot,
  ): AsyncGenerator<readonly Row[]> {
    const iterator = this.#db.iterator({
      gte: this.#stored(from),
      lt: this.#stored(to),
      highWaterMarkBytes: WALK_READ_AHEAD_BYTES,
      snapshot,
    });
    try {
      for (;;) {
        const entries = await iterator.nextv(ROWS_PER_WALK_STEP);
        if (entries.length === 0) return;
        yield entries.map(rowOf);
      }
    } catch (error) {
      throw engineError(this.#path, error, 'failed');
    } finally {
      await iterator.close();
    }
  }

  #stored(key: RowKey): Buffer {
    return Buffer.from(this.#prefix + key, 'latin1');
  }
}

function rowOf([key, value]: readonly [Buffer, Uint8Array]): Row {
  return { key: key.toString('latin1', GENERATION_BYTES) as RowKey, value };
}

/** Deletes ranges of LevelDB's keys one after the other, in small steps, and gives space back. */
class Leftovers {
  readonly #db: Level;
  readonly #path: string;
  #dropping: Promise<void> = Promise.resolve();
  #isStopped = false;
  #failure: Error | null = null;

  constructor(db: Level, path: string) {
    this.#db = db;
    this.#path = path;
  }

  /** Throws what deleting has failed with. */
  check(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  drop(from: Buffer, to: Buffer): void {
    this.#dropping = this.#dropping
      .then(() => this.#drop(from, to))
      .catch((error: unknown) => {
        this.#failure ??= engineError(this.#path, error, 'failed');
      });
  }

  async idle(): Promise<void> {
    await this.#dropping;
    this.check();
  }

  /** What is left is found at the next start. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#dropping;
  }

  async #drop(from: Buffer, to: Buffer): Promise<void> {
    let start = from;
    let rows = 0;
    for (;;) {
      if (this.#isStopped) return;
      const limit = limits.rowsDroppedPerStep;
      const keys = await this.#db.keys({ gte: from, lt: to, limit }).all();
      const last = keys.at(-1);
      if (last === undefined) break;
      await this.#db.clear({ gte: from, lte: last });
      from = last;
      rows += keys.length;
      if (rows >= limits.rowsDroppedPerCompaction) {
        await this.#db.compactRange(start, last);
        start = last;
        rows = 0;
      }
      await nextTurn();
    }
    if (rows > 0) await this.#db.compactRange(start, to);
  }
}

type Generation = number;

const GENERATION_BYTES = 4;
const FIRST_GENERATION: Generation = 1;

/** What the keys of a generation begin with, and what the pointer to it holds. */
function prefixOf(generation: Generation): Buffer {
  const bytes = Buffer.alloc(GENERATION_BYTES);
  bytes.writeUInt32BE(generation);
  return bytes;
}

/** As the pointer says. A new database gets one before its first row. */
async function currentGeneration(db: Level): Promise<Generation> {
  const pointer = db.getSync(POINTER);
  if (pointer !== undefined) return generationOf(pointer);
  const [key] = await db.keys({ limit: 1 }).all();
  if (key !== undefined) throw new Error('its rows have the layout of an earlier version');
  await db.put(POINTER, prefixOf(FIRST_GENERATION), { sync: true });
  return FIRST_GENERATION;
}

async function newestGeneration(db: Level): Promise<Generation> {
  const [key] = await db.keys({ lt: POINTER, reverse: true, limit: 1 }).all();
  return key === undefined ? 0 : generationOf(key);
}

function generationOf(bytes: Uint8Array): Generation {
  if (bytes.length < GENERATION_BYTES) throw new Error('a key without a generation');
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).readUInt32BE(0);
}

const POOLED_BYTES_MAX = 1024;
/** Rows added to a batch before the loop gets a turn: about 1 ms. */
const ROWS_PER_SLICE = 2048;
/**
 * Rows that one trip to the thread pool brings back. The addon keeps a copy of the last ones until
 * the closed iterator is collected, which is rare: with 1000 a scan over 1 M rows grew the process
 * by 210 MB, with 128 by 27 MB, for about a tenth more time.
 */
const ROWS_PER_READ = 128;
/** The same of a walk, which others wait for: rows are made and used in about 1 ms. */
const ROWS_PER_WALK_STEP = 256;
const WALK_READ_AHEAD_BYTES = 256 * 1024;
/** Bytes that one trip to the thread pool may bring back. */
const SCAN_READ_AHEAD_BYTES = 1024 * 1024;
/** What LevelDB reads and writes in one merge, at most: twelve young files, or a few old ones. */
const MERGE_BYTES_MAX = 64 * 1024 * 1024;
/** Limit: size of a store that compaction rewrites as a whole. */
const REWRITE_BYTES_MAX = 64 * 1024 * 1024;
/** Above the rows of every generation there will ever be. */
const POINTER = Buffer.from('\xffgeneration', 'latin1');
/** Below and above every key. */
const FIRST = Buffer.from([0x00]);
const LAST = Buffer.from([0xff, 0xff]);

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function engineError(path: string, error: unknown, otherwise: EngineErrorKind): Error {
  const reason = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  switch (codeOf(reason)) {
    case 'LEVEL_LOCKED':
      return new EngineError('locked', path, reason);
    case 'LEVEL_CORRUPTION':
      return new EngineError('corrupt', path, reason);
    default:
      return new EngineError(otherwise, path, reason);
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
