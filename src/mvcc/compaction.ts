/**
 * Physical compaction: forgetting, in the background, what a compaction has made unreachable. The
 * logical effect took place when the entry was applied; nothing here changes an answer.
 *
 * A job first trims the index, then deletes rows in batches, and hashes the rows on the way as they
 * were before. Afterwards it notes the finished revision, so that a job that was interrupted is
 * done again from the beginning.
 *
 * Invariant: jobs run one after the other in the order of their revisions; at most two wait, since
 * a later one makes one that has not begun superfluous.
 */

import { assert } from '../assert.ts';
import { buckets, metaRows } from '../buckets.ts';
import { keyOf } from '../codec/key-value.ts';
import { limits } from '../limits.ts';
import type { Row, Rows } from '../ports.ts';
import { EMPTY_KEY, type Key, type Revision, type RowKey } from '../types.ts';
import type { Exclusive } from './exclusive.ts';
import { type CompactionHashes, type Hasher, newHasher } from './hash.ts';
import { compactEntry, type KeyEntry, knows } from './key-index.ts';
import { afterKey } from './key-range.ts';
import { pagesOf } from './pages.ts';
import { encodeRevisionMark, firstRowOf, parseRecordKey } from './record.ts';
import type { Tree } from './tree.ts';

export interface CompactionJob {
  readonly revision: Revision;
  /** The compact revision before; -1 if none. */
  readonly previous: Revision;
  /** Whether the compaction before had finished, so that the hash covers exactly what it should. */
  readonly keepHash: boolean;
}

export interface CompactorDeps {
  /** Held by the store, which exchanges it together with its content. */
  readonly source: { readonly tree: Tree<KeyEntry> };
  readonly rows: Rows;
  /** Keeps deletions apart from hashing. */
  readonly exclusive: Exclusive;
  readonly hashes: CompactionHashes;
  readonly batchRowsMax: number;
  /** Lets other work run between slices of the index. */
  readonly breathe: () => Promise<void>;
}

export interface CompactionRun {
  /** Waits between two batches of rows (etcd: --compaction-sleep-interval). */
  readonly pause: () => Promise<void>;
  /** Stops between two batches; the job begins anew at the next run. */
  readonly signal: AbortSignal;
  readonly progress?: CompactionProgress;
}

/** What happens while a job is carried out, for whoever measures it. */
export interface CompactionProgress {
  began(revision: Revision): void;
  indexTrimmed(): void;
  /** Some rows were looked at. */
  rowsSeen(): void;
  finished(job: FinishedCompaction): void;
}

export interface FinishedCompaction {
  readonly revision: Revision;
  readonly rowsDeleted: number;
  /** Of the rows that were there, before any was deleted. */
  readonly hash: number;
  /** False when it does not cover everything since the compaction before. */
  readonly hashKept: boolean;
}

interface Waiter {
  readonly revision: Revision;
  readonly resolve: () => void;
}

export class Compactor {
  readonly #deps: CompactorDeps;
  readonly #jobs: CompactionJob[] = [];
  readonly #waiters = new Set<Waiter>();
  #finished: Revision;
  #running: Promise<void> | null = null;

  constructor(deps: CompactorDeps, finished: Revision) {
    this.#deps = deps;
    this.#finished = finished;
  }

  /** -1 if none. */
  get finished(): Revision {
    return this.#finished;
  }

  get pending(): boolean {
    return this.#jobs.length > 0;
  }

  schedule(job: CompactionJob): void {
    if (this.#jobs.length > 1) this.#jobs.pop();
    this.#jobs.push(job);
  }

  /** Takes over what is left to do in the content that the store has taken over. */
  adopt(other: Compactor): void {
    assert(this.#running === null && other.#running === null, 'no compaction is under way');
    this.#jobs.splice(0, Number.POSITIVE_INFINITY, ...other.#jobs);
    this.#finishedAt(other.#finished);
  }

  /** Runs all jobs, including those scheduled meanwhile. A second call joins the first. */
  run(options: CompactionRun): Promise<void> {
    this.#running ??= this.#runAll(options).finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  /** Resolves when everything up to a compacted revision is deleted; rejects when aborted. */
  whenFinished(revision: Revision, signal: AbortSignal): Promise<void> {
    if (this.#finished >= revision) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#waiters.delete(waiter);
        reject(signal.reason);
      };
      const waiter: Waiter = {
        revision,
        resolve: () => {
          signal.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiters.add(waiter);
    });
  }

  async #runAll(run: CompactionRun): Promise<void> {
    const { signal, progress } = run;
    for (let job = this.#jobs[0]; job !== undefined && !signal.aborted; job = this.#jobs[0]) {
      progress?.began(job.revision);
      const kept = await this.#trimIndex(job.revision, signal);
      progress?.indexTrimmed();
      const hasher = this.#hasher(job, kept);
      const rowsDeleted = await this.#deleteRows(job, hasher, run);
      if (rowsDeleted === null) {
        // The next run no longer meets all the rows that the hash covers.
        this.#jobs[0] = { ...job, keepHash: false };
        return;
      }
      const hash = hasher.sum();
      this.#finish(job, hash);
      const { revision, keepHash: hashKept } = job;
      progress?.finished({ revision, rowsDeleted, hash, hashKept });
    }
  }

  /** Whether any revision at or below the compacted one survives. */
  async #trimIndex(revision: Revision, signal: AbortSignal): Promise<boolean> {
    const { breathe } = this.#deps;
    const { tree } = this.#deps.source;
    let from: Key | null = EMPTY_KEY;
    let kept = false;
    while (from !== null && !signal.aborted) {
      const empty: Key[] = [];
      let left: number = limits.keysPerSliceMax;
      let last: Key | null = null;
      tree.scan(from, null, (entry) => {
        const compacted = compactEntry(entry, revision);
        if (compacted === 'empty') empty.push(entry.key);
        else if (compacted === 'kept') kept = true;
        last = entry.key;
        return --left > 0;
      });
      for (const key of empty) tree.delete(key);
      from = left > 0 || last === null ? null : afterKey(last);
      await breathe();
    }
    return kept;
  }

  #hasher(job: CompactionJob, kept: boolean): Hasher {
    return newHasher({
      revision: job.revision,
      compactRevision: job.previous,
      keeps: kept ? (main, sub, kv) => this.#isKept(main, sub, keyOf(kv)) : null,
    });
  }

  #isKept(main: Revision, sub: number, key: Key): boolean {
    const entry = this.#deps.source.tree.get(key);
    return entry !== null && knows(entry, main, sub);
  }

  /** The number of deleted rows; `null` when it did not come to the end. */
  async #deleteRows(
    job: CompactionJob,
    hasher: Hasher,
    run: CompactionRun,
  ): Promise<number | null> {
    const { rows, exclusive, batchRowsMax } = this.#deps;
    const pager = pagesOf(rows, {
      from: buckets.key.letter as RowKey,
      to: firstRowOf(job.revision + 1),
      rowsMax: batchRowsMax,
    });
    let batchRows = 0;
    let deleted = 0;
    while (!run.signal.aborted) {
      await exclusive.run(async () => {
        const page = await pager.next();
        for (const row of page) if (this.#deleteUnlessKept(row, hasher)) deleted++;
        batchRows += page.length;
      });
      run.progress?.rowsSeen();
      if (pager.done) return deleted;
      // etcd: the pause comes after whole batches and not after the last one, so a small compaction
      // has finished, and its hash is known, as soon as it was asked for.
      if (batchRows < batchRowsMax) continue;
      batchRows = 0;
      await run.pause();
    }
    return null;
  }

  /** Whether the row is deleted. */
  #deleteUnlessKept(row: Row, hasher: Hasher): boolean {
    const record = parseRecordKey(row.key);
    hasher.add(row, record);
    if (this.#isKept(record.main, record.sub, keyOf(row.value))) return false;
    this.#deps.rows.delete(row.key, row.value.length);
    return true;
  }

  #finish(job: CompactionJob, hash: number): void {
    const { rows, hashes } = this.#deps;
    const { revision, previous } = job;
    rows.put(metaRows.finishedCompactRev, encodeRevisionMark(revision));
    if (job.keepHash) hashes.add({ hash, revision, compactRevision: previous });
    this.#jobs.shift();
    this.#finishedAt(revision);
  }

  #finishedAt(revision: Revision): void {
    this.#finished = revision;
    for (const waiter of this.#waiters) {
      if (waiter.revision > revision) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
  }
}
