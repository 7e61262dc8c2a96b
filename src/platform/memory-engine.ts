/**
 * An ordered engine in memory, for embedding and simulation. It keeps no promise of durability
 * beyond the life of the process; `restart` plays a crash of the member within it.
 *
 * Rows live in sorted chunks that are never changed: a batch replaces the chunks it touches and
 * then the list of chunks, in one assignment. That makes a batch atomic and a snapshot free.
 */

import { assert, must } from '../assert.ts';
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

interface Chunk {
  readonly keys: readonly RowKey[];
  readonly values: readonly Uint8Array[];
}

/** Ascending and without empty chunks. */
type Chunks = readonly Chunk[];

/** What outlives a crash of the member. */
interface Storage {
  chunks: Chunks;
  bytes: number;
}

export interface MemoryEngineOptions {
  /**
   * Decides when a batch becomes durable: it calls `land` once and then resolves. A simulated crash
   * may call `land` and never resolve, or do neither; it cannot land half a batch.
   */
  readonly commit?: (land: () => void) => Promise<void>;
}

type Commit = (land: () => void) => Promise<void>;

const CHUNK_ROWS_MAX = 512;

/** Rows of one step of a walk. */
const WALK_ROWS = 100;

export class MemoryEngine implements Engine {
  readonly #commit: Commit;
  readonly #storage: Storage;
  readonly #rows: MemoryRows;
  #isReplacing = false;
  #closed = false;

  constructor(options: MemoryEngineOptions = {}, storage: Storage = { chunks: [], bytes: 0 }) {
    const commit = options.commit ?? commitAtOnce;
    this.#commit = (land) =>
      commit(() => {
        if (!this.#closed) land();
      });
    this.#storage = storage;
    this.#rows = new MemoryRows(storage, this.#commit, () => this.#closed);
  }

  /** A new handle on what is durable. This one is closed; a batch still on its way is lost. */
  restart(options: MemoryEngineOptions = {}): MemoryEngine {
    this.#closed = true;
    return new MemoryEngine(options, this.#storage);
  }

  get(key: RowKey): Uint8Array | null {
    return this.#rows.get(key);
  }

  write(batch: readonly RowWrite[]): Promise<void> {
    return this.#rows.write(batch);
  }

  scan(range: RowRange): Promise<readonly Row[]> {
    return this.#rows.scan(range);
  }

  snapshot(): EngineSnapshot {
    assert(!this.#closed, 'the engine is open');
    const chunks = this.#storage.chunks;
    let closed = false;
    return {
      async scan(range) {
        assert(!closed, 'the snapshot is open');
        return scanChunks(chunks, range);
      },
      async *walk({ from, to }) {
        for (let start = from; ; ) {
          assert(!closed, 'the snapshot is open');
          const rows = scanChunks(chunks, { from: start, to, limit: WALK_ROWS });
          const last = rows.at(-1);
          if (last === undefined) return;
          yield rows;
          start = `${last.key}\x00` as RowKey;
        }
      },
      async close() {
        closed = true;
      },
    };
  }

  async beginReplacement(): Promise<Replacement> {
    assert(!this.#closed, 'the engine is open');
    assert(!this.#isReplacing, 'one replacement at a time');
    this.#isReplacing = true;
    const storage: Storage = { chunks: [], bytes: 0 };
    let isOver = false;
    const rows = new MemoryRows(storage, this.#commit, () => this.#closed || isOver);
    const end = (): void => {
      assert(!isOver, 'a replacement ends once');
      assert(!rows.isWriting, 'no batch is under way when a replacement ends');
      this.#isReplacing = false;
      isOver = true;
    };
    return {
      get: (key) => rows.get(key),
      write: (batch) => rows.write(batch),
      scan: (range) => rows.scan(range),
      commit: async (switched) => {
        assert(!this.#rows.isWriting, 'no batch is under way at the switch');
        end();
        await this.#commit(() => {
          Object.assign(this.#storage, storage);
          switched();
        });
      },
      discard: async () => end(),
    };
  }

  async compact(): Promise<void> {
    assert(!this.#closed, 'the engine is open');
  }

  async sizeOnDisk(): Promise<number> {
    return this.#storage.bytes;
  }

  async close(): Promise<void> {
    this.#closed = true;
  }
}

class MemoryRows implements DurableRows {
  readonly #storage: Storage;
  readonly #commit: Commit;
  readonly #isClosed: () => boolean;
  #writing = false;

  constructor(storage: Storage, commit: Commit, isClosed: () => boolean) {
    this.#storage = storage;
    this.#commit = commit;
    this.#isClosed = isClosed;
  }

  get isWriting(): boolean {
    return this.#writing;
  }

  get(key: RowKey): Uint8Array | null {
    assert(!this.#isClosed(), 'the engine is open');
    const chunk = this.#storage.chunks[chunkBelow(this.#storage.chunks, key)];
    if (chunk === undefined) return null;
    const at = lowerBound(chunk.keys, key);
    return chunk.keys[at] === key ? (chunk.values[at] ?? null) : null;
  }

  async write(batch: readonly RowWrite[]): Promise<void> {
    assert(!this.#isClosed(), 'the engine is open');
    assert(!this.#writing, 'one batch at a time');
    this.#writing = true;
    try {
      await this.#commit(() => land(this.#storage, batch));
    } finally {
      this.#writing = false;
    }
  }

  async scan(range: RowRange): Promise<readonly Row[]> {
    assert(!this.#isClosed(), 'the engine is open');
    return scanChunks(this.#storage.chunks, range);
  }
}

async function commitAtOnce(land: () => void): Promise<void> {
  land();
}

function land(storage: Storage, batch: readonly RowWrite[]): void {
  // The last write of a key wins, as in LevelDB.
  const newest = new Map<RowKey, Uint8Array | null>();
  for (const { key, value } of batch) newest.set(key, value);
  const writes = [...newest].sort((a, b) => (a[0] < b[0] ? -1 : 1));
  const before = storage.chunks;
  const chunks: Chunk[] = [];
  let w = 0;
  for (let c = 0; c < Math.max(before.length, 1); c++) {
    const chunk = before[c] ?? { keys: [], values: [] };
    const end = before[c + 1]?.keys[0];
    const first = w;
    while (w < writes.length && (end === undefined || writeAt(writes, w)[0] < end)) w++;
    if (w === first) {
      if (chunk.keys.length > 0) chunks.push(chunk);
    } else storage.bytes += replaceChunk(chunk, writes.slice(first, w), chunks);
  }
  storage.chunks = chunks;
}

type Write = readonly [RowKey, Uint8Array | null];

function writeAt(writes: readonly Write[], at: number): Write {
  return must(writes[at], 'a write within the batch');
}

/** Appends the chunks that replace `chunk` to `target`; returns by how many bytes they grew. */
function replaceChunk(chunk: Chunk, writes: readonly Write[], target: Chunk[]): number {
  const keys: RowKey[] = [];
  const values: Uint8Array[] = [];
  let grown = 0;
  const push = (key: RowKey, value: Uint8Array): void => {
    keys.push(key);
    values.push(value);
  };

  let c = 0;
  const keep = (end: RowKey | null): void => {
    for (; c < chunk.keys.length; c++) {
      const key = must(chunk.keys[c], 'a key within the chunk');
      if (end !== null && key >= end) return;
      push(key, must(chunk.values[c], 'a value for each key'));
    }
  };
  for (const [key, value] of writes) {
    keep(key);
    if (chunk.keys[c] === key) {
      grown -= key.length + must(chunk.values[c], 'a value for each key').length;
      c++;
    }
    if (value === null) continue;
    grown += key.length + value.length;
    push(key, value);
  }
  keep(null);
  // Even pieces: cutting off full chunks would leave ever more chunks of one row behind.
  const pieces = Math.ceil(keys.length / CHUNK_ROWS_MAX);
  const size = Math.ceil(keys.length / pieces);
  for (let i = 0; i < pieces; i++) {
    const from = i * size;
    target.push({ keys: keys.slice(from, from + size), values: values.slice(from, from + size) });
  }
  return grown;
}

function scanChunks(chunks: Chunks, range: RowRange): readonly Row[] {
  const rows: Row[] = [];
  for (let c = Math.max(0, chunkBelow(chunks, range.from)); c < chunks.length; c++) {
    const { keys, values } = must(chunks[c], 'a chunk within the list');
    for (let i = lowerBound(keys, range.from); i < keys.length; i++) {
      const key = must(keys[i], 'a key within the chunk');
      if (key >= range.to || rows.length >= range.limit) return rows;
      rows.push({ key, value: must(values[i], 'a value for each key') });
    }
  }
  return rows;
}

/** The last chunk that begins at or below `key`, or -1. */
function chunkBelow(chunks: Chunks, key: RowKey): number {
  let low = 0;
  let high = chunks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (must(chunks[middle]?.keys[0], 'a chunk is not empty') <= key) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The position of the first key that is not below `key`. */
function lowerBound(keys: readonly RowKey[], key: RowKey): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (must(keys[middle], 'a key within the chunk') < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
