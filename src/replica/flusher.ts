/**
 * When staged rows go to the engine: after a while, or when there are many. One flush at a time,
 * with the position up to which entries are applied in the same batch.
 */

import { limits } from '../limits.ts';
import type { Clock, RowWrite, StagedRows } from '../ports.ts';
import type { SnapshotMetadata } from '../raft/messages.ts';
import type { Index } from '../types.ts';

export interface FlusherOptions {
  readonly rows: StagedRows;
  readonly clock: Clock;
  readonly tickMs: number;
  /** Where the state stands, and the rows that say so. */
  readonly position: () => {
    readonly metadata: SnapshotMetadata;
    readonly rows: readonly RowWrite[];
  };
  readonly flushed: (metadata: SnapshotMetadata, seconds: number) => void;
  readonly failed: (error: unknown) => void;
}

export class Flusher {
  readonly #options: FlusherOptions;
  #underWay: Promise<void> | null = null;
  #index: Index;
  #tick = 0;
  #held = false;

  constructor(options: FlusherOptions, index: Index) {
    this.#options = options;
    this.#index = index;
  }

  /** Begins a flush if one is due at `tick`, with entries applied up to `applied`. */
  maybe(tick: number, applied: Index): void {
    if (this.#held || this.#underWay !== null || applied === this.#index) return;
    const { rows, tickMs } = this.#options;
    const due =
      rows.stagedRows >= limits.stagedRowsFlush ||
      rows.stagedBytes >= limits.stagedBytesFlush ||
      (tick - this.#tick) * tickMs >= limits.flushIntervalMs;
    if (!due) return;
    this.#tick = tick;
    this.#start();
  }

  /** Makes everything applied so far durable. */
  async flush(): Promise<void> {
    // Not by `idle`: another one could begin between its end and ours.
    while (this.#underWay !== null) await this.#underWay;
    if (this.#held) return;
    this.#start();
    await this.#underWay;
  }

  async idle(): Promise<void> {
    while (this.#underWay !== null) await this.#underWay;
  }

  /** No flush begins until `release`, and none is under way when this resolves. */
  async hold(): Promise<void> {
    this.#held = true;
    await this.idle();
  }

  /** `index`: what the engine holds now. */
  release(index: Index): void {
    this.#held = false;
    this.#index = index;
  }

  #start(): void {
    const { rows, clock, position, flushed, failed } = this.#options;
    const started = clock.monotonic();
    const { metadata, rows: positionRows } = position();
    this.#underWay = rows.flush(positionRows).then(
      () => {
        this.#underWay = null;
        this.#index = metadata.index;
        flushed(metadata, (clock.monotonic() - started) / 1000);
      },
      (error: unknown) => {
        this.#underWay = null;
        failed(error);
      },
    );
  }
}
