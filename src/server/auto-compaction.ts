/**
 * Compaction by the calendar (`v3compactor`): the leader forgets revisions that are older than a
 * period, or that lie further back than a number of revisions. Every member keeps the record of
 * revisions that this needs, so that whoever becomes leader goes on; a restart begins it anew.
 *
 * It has no timer: it looks at the time it is told, and makes up for steps that lie closer together
 * than these looks. It refuses to know how a compaction is carried out.
 */

import type { Compaction } from '../config/start.ts';
import { goDuration } from '../duration.ts';
import { EtcdError, errors } from '../errors.ts';
import type { Log, LogFields } from '../log.ts';
import type { Revision } from '../types.ts';

export interface AutoCompactionDeps {
  readonly isLeader: () => boolean;
  readonly revision: () => Revision;
  /** Puts a compaction into the log; rejects with its outcome. */
  readonly compact: (revision: Revision) => Promise<unknown>;
  readonly monotonic: () => number;
  readonly log: Log;
  /** Hears of exceptions that are no answers; ends the member. */
  readonly onFatal: (error: unknown) => void;
}

/** Times are milliseconds of the monotonic clock. */
export interface AutoCompaction {
  tick(nowMs: number): void;
}

/** When steps are due, and what one of them compacts. */
interface Schedule {
  readonly mode: 'periodic' | 'revision';
  readonly intervalMs: number;
  /** Steps of the past that still count, if nobody looked at the time for so long. */
  readonly stepsKept: number;
  /** The revision is that of the end of the step before. */
  record(revision: Revision): void;
  /** `null`: nothing to do. */
  target(nowMs: number, revision: Revision): Revision | null;
  /** A compaction begins, and has come to its end. */
  started(): void;
  succeeded(nowMs: number, revision: Revision): void;
  readonly fields: LogFields;
}

const HOUR_MS = 3_600_000;
const NS_PER_MS = 1_000_000;
/** etcd: steps in a period, or in an hour. */
const STEPS = 10;
/** etcd: milliseconds between two looks at the number of revisions. */
const REVISION_INTERVAL_MS = 300_000;

/** `null`: nothing is ever compacted by itself. */
export function startAutoCompaction(
  compaction: Compaction,
  deps: AutoCompactionDeps,
): AutoCompaction | null {
  switch (compaction.mode) {
    case 'off':
      return null;
    case 'periodic':
      return new Compactions(new Periodic(compaction.periodMs, deps.monotonic()), deps);
    case 'revision':
      return new Compactions(new ByRevision(compaction.revisions), deps);
  }
}

/**
 * Keeps what the last `periodMs` milliseconds have brought. The first compaction comes one period
 * after the start, the others after a period, or an hour where that is shorter.
 */
class Periodic implements Schedule {
  readonly mode = 'periodic';
  readonly intervalMs: number;
  readonly stepsKept: number;
  readonly fields: LogFields;
  readonly #periodMs: number;
  /** The first is that of a period ago, once the list is full. */
  readonly #revisions: Revision[] = [];
  #baseMs: number;
  #lastSuccessMs: number;
  #lastRevision: Revision = 0;

  constructor(periodMs: number, nowMs: number) {
    const spanNs = Math.round(Math.min(periodMs, HOUR_MS) * NS_PER_MS);
    const intervalNs = Math.max(1, Math.floor(spanNs / STEPS));
    this.#periodMs = periodMs;
    this.intervalMs = intervalNs / NS_PER_MS;
    this.stepsKept = Math.floor(Math.round(periodMs * NS_PER_MS) / intervalNs) + 1;
    this.fields = { 'compact-period': goDuration(periodMs) };
    this.#baseMs = periodMs;
    this.#lastSuccessMs = nowMs;
  }

  record(revision: Revision): void {
    this.#revisions.push(revision);
    if (this.#revisions.length > this.stepsKept) this.#revisions.shift();
  }

  target(nowMs: number): Revision | null {
    const revision = this.#revisions[0] ?? 0;
    const early = nowMs - this.#lastSuccessMs < this.#baseMs;
    return early || revision === this.#lastRevision ? null : revision;
  }

  started(): void {
    this.#baseMs = Math.min(this.#periodMs, HOUR_MS);
  }

  succeeded(nowMs: number, revision: Revision): void {
    this.#lastRevision = revision;
    this.#lastSuccessMs = nowMs;
  }
}

/** Keeps the last so many revisions. */
class ByRevision implements Schedule {
  readonly mode = 'revision';
  readonly intervalMs = REVISION_INTERVAL_MS;
  readonly stepsKept = 1;
  readonly fields: LogFields;
  readonly #retention: number;
  #lastRevision: Revision = 0;

  constructor(retention: number) {
    this.#retention = retention;
    this.fields = { 'revision-compaction-retention': retention };
  }

  record(): void {}

  target(_nowMs: number, current: Revision): Revision | null {
    const revision = current - this.#retention;
    return revision <= 0 || revision === this.#lastRevision ? null : revision;
  }

  started(): void {}

  succeeded(_nowMs: number, revision: Revision): void {
    this.#lastRevision = revision;
  }
}

class Compactions implements AutoCompaction {
  readonly #schedule: Schedule;
  readonly #deps: AutoCompactionDeps;
  #dueMs: number;
  #isCompacting = false;

  constructor(schedule: Schedule, deps: AutoCompactionDeps) {
    this.#schedule = schedule;
    this.#deps = deps;
    this.#dueMs = deps.monotonic() + schedule.intervalMs;
    schedule.record(deps.revision());
  }

  tick(nowMs: number): void {
    const { intervalMs, stepsKept } = this.#schedule;
    this.#dueMs = Math.max(this.#dueMs, nowMs - intervalMs * stepsKept);
    while (!this.#isCompacting && this.#dueMs <= nowMs) {
      this.#dueMs += intervalMs;
      this.#step(nowMs);
    }
  }

  #step(nowMs: number): void {
    const { isLeader, revision, onFatal } = this.#deps;
    const target = isLeader() ? this.#schedule.target(nowMs, revision()) : null;
    if (target === null) {
      this.#schedule.record(revision());
      return;
    }
    this.#isCompacting = true;
    this.#compact(target).then(() => {
      // etcd: the next step is an interval away from the end of the compaction.
      this.#isCompacting = false;
      this.#dueMs = this.#deps.monotonic() + this.#schedule.intervalMs;
      this.#schedule.record(revision());
    }, onFatal);
  }

  async #compact(revision: Revision): Promise<void> {
    const { compact, monotonic, log } = this.#deps;
    const { mode, fields, intervalMs } = this.#schedule;
    const known = { revision, ...fields };
    log.info(`starting auto ${mode} compaction`, known);
    this.#schedule.started();
    const startedMs = monotonic();
    const failure = await outcome(compact(revision));
    if (failure === null || failure === errors.compacted) {
      const took = goDuration(monotonic() - startedMs);
      log.info(`completed auto ${mode} compaction`, { ...known, took });
      this.#schedule.succeeded(monotonic(), revision);
      return;
    }
    log.warn(`failed auto ${mode} compaction`, {
      ...known,
      'retry-interval': goDuration(intervalMs),
      error: failure.message,
    });
  }
}

async function outcome(compaction: Promise<unknown>): Promise<EtcdError | null> {
  try {
    await compaction;
    return null;
  } catch (error) {
    if (error instanceof EtcdError) return error;
    throw error;
  }
}
