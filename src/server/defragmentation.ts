/**
 * Giving the space of deleted rows back to the disk, while everything goes on: etcd's `Defragment`,
 * and its offer to do so at the start. One at a time; whoever asks meanwhile waits for the same. It
 * refuses to know who asks.
 */

import type { Engine } from '../ports.ts';
import type { DatabaseSize } from './space.ts';

/** `dbSize` and `dbSizeInUse` of one moment, in bytes. */
export interface Sizes {
  readonly total: number;
  readonly inUse: number;
}

export interface DefragmentationObserver {
  began(before: Sizes): void;
  /** Called after `began`, also when it failed; `after` is null then. */
  ended(before: Sizes, after: Sizes | null, milliseconds: number): void;
  /** At the start: there was less to free than the threshold. */
  skipped(sizes: Sizes, thresholdBytes: number): void;
}

export interface DefragmentationDeps {
  readonly engine: Engine;
  readonly size: DatabaseSize;
  readonly monotonic: () => number;
  readonly observer: DefragmentationObserver;
}

export class Defragmentation {
  readonly #deps: DefragmentationDeps;
  #underWay: Promise<void> | null = null;

  constructor(deps: DefragmentationDeps) {
    this.#deps = deps;
  }

  /** `flush` makes durable what waits in memory. Rejects when the disk fails. */
  run(flush: () => Promise<void>): Promise<void> {
    this.#underWay ??= this.#run(flush).finally(() => {
      this.#underWay = null;
    });
    return this.#underWay;
  }

  /** Before anything is served: only when it frees at least so many bytes. */
  async runIfFrees(thresholdBytes: number): Promise<void> {
    const { size, observer } = this.#deps;
    const sizes = sizesOf(size);
    if (sizes.total - sizes.inUse < thresholdBytes) observer.skipped(sizes, thresholdBytes);
    else await this.run(() => Promise.resolve());
  }

  async #run(flush: () => Promise<void>): Promise<void> {
    const { engine, size, monotonic, observer } = this.#deps;
    const before = sizesOf(size);
    const startedMs = monotonic();
    let after: Sizes | null = null;
    observer.began(before);
    try {
      await flush();
      await engine.compact();
      size.defragmented();
      after = sizesOf(size);
      // A restart counts from here.
      await flush();
    } finally {
      observer.ended(before, after, monotonic() - startedMs);
    }
  }
}

function sizesOf({ total, inUse }: DatabaseSize): Sizes {
  return { total, inUse };
}
