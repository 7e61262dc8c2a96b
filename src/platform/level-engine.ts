/**
 * The durable engine: LevelDB through classic-level, which only this file imports.
 *
 * LevelDB skips a damaged block when it recovers its log, so a batch that was not synced may leave
 * a hole. Safety: every batch is synced before `write` resolves, and there is one at a time.
 *
 * It knows nothing of what rows mean.
 */

import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { assert } from '../assert.ts';
import { limits } from '../limits.ts';
import type { Engine, EngineSnapshot, Row, RowRange, RowWrite } from '../ports.ts';
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
  #writing = false;

  private constructor(db: Level, path: string) {
    this.#db = db;
    this.#path = path;
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
    return new LevelEngine(db, path);
  }

  get(key: RowKey): Uint8Array | null {
    try {
      const value = this.#db.getSync(Buffer.from(key, 'latin1'));
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
        if (value === null) chain.del(Buffer.from(key, 'latin1'));
        else chain.put(Buffer.from(key, 'latin1'), value);
      }
      await chain.write({ sync: true });
    } catch (error) {
      throw engineError(this.#path, error, 'failed');
    } finally {
      this.#writing = false;
    }
  }

  scan(range: RowRange): Promise<readonly Row[]> {
    return this.#scan(range, null);
  }

  snapshot(): EngineSnapshot {
    const snapshot = this.#db.snapshot();
    return {
      scan: (range) => this.#scan(range, snapshot),
      close: () => snapshot.close(),
    };
  }

  /**
   * LevelDB merges each level into the next but never rewrites the deepest one, so rows written and
   * deleted within one write buffer keep their space. In a small store that is most of it: there,
   * two deletions that span all rows make everything overlap, and a second pass rewrites it. In a
   * large store the second pass would be one long merge that holds up writes, for little gain.
   */
  async compact(): Promise<void> {
    try {
      await this.#db.compactRange(FIRST, LAST);
      if ((await this.sizeOnDisk()) > REWRITE_BYTES_MAX) return;
      await this.#db.batch().del(FIRST).del(LAST).write({ sync: true });
      await this.#db.compactRange(FIRST, LAST);
    } catch (error) {
      throw engineError(this.#path, error, 'failed');
    }
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
    await this.#db.close();
  }

  async #scan(range: RowRange, snapshot: LevelSnapshot | null): Promise<readonly Row[]> {
    if (range.limit <= 0) return [];
    // The iterator pins its view here, before the first await.
    const iterator = this.#db.iterator({
      gte: Buffer.from(range.from, 'latin1'),
      lt: Buffer.from(range.to, 'latin1'),
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
        for (const [key, value] of entries) {
          rows.push({ key: rowKeyOf(key), value });
          bytes += key.length + value.length;
        }
      }
      return rows;
    } catch (error) {
      throw engineError(this.#path, error, 'failed');
    } finally {
      await iterator.close();
    }
  }
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
/** Bytes that one trip to the thread pool may bring back. */
const SCAN_READ_AHEAD_BYTES = 1024 * 1024;
/** Limit: size of a store that compaction rewrites as a whole. */
const REWRITE_BYTES_MAX = 64 * 1024 * 1024;
/** Below and above every row: bucket letters are ASCII. */
const FIRST = Buffer.from([0x00]);
const LAST = Buffer.from([0xff, 0xff]);

function rowKeyOf(key: Buffer): RowKey {
  return key.toString('latin1') as RowKey;
}

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
