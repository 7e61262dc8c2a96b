/**
 * A machine's disk: files and engine in memory that take time, stall, fail, and lose what was not
 * synced when the power goes. What the disk holds outlives the processes that use it.
 */

import { MemoryDisk } from '../../src/platform/memory-disk.ts';
import { MemoryEngine } from '../../src/platform/memory-engine.ts';
import type { Disk, DiskFile, Random } from '../../src/ports.ts';
import type { Life } from './life.ts';

/** An error that the simulation has asked for. */
export class InjectedFault extends Error {
  override readonly name = 'InjectedFault';
}

export class MachineDisk {
  readonly #random: Random;
  #files = new MemoryDisk();
  #engine = new MemoryEngine();
  #stalledUntilMs = 0;
  /** Operations until the process is interrupted in one. */
  #operationsLeft: number | null = null;
  #onInterrupted: (() => void) | null = null;
  /** One operation in so many fails; 0: none. */
  failsOneIn = 0;
  /** Milliseconds that an operation takes at most. */
  latencyMs = 2;
  readonly #underWay = new Set<() => void>();

  constructor(random: Random) {
    this.#random = random;
  }

  stallUntil(ms: number): void {
    this.#stalledUntilMs = ms;
  }

  /** The process ends in the midst of the `operations`-th operation from now. */
  interruptAfter(operations: number, onInterrupted: () => void): void {
    this.#operationsLeft = operations;
    this.#onInterrupted = onInterrupted;
  }

  heal(): void {
    this.#stalledUntilMs = 0;
    this.#operationsLeft = null;
    this.failsOneIn = 0;
    this.latencyMs = 2;
  }

  /** A new and empty disk. */
  replace(): void {
    this.#files = new MemoryDisk();
    this.#engine = new MemoryEngine();
    this.#underWay.clear();
    this.heal();
  }

  open(life: Life): { readonly disk: Disk; readonly engine: MemoryEngine } {
    const commit = (land: () => void): Promise<void> => this.#commit(life, land);
    this.#engine = this.#engine.restart({ commit });
    return { disk: this.#slowDisk(life), engine: this.#engine };
  }

  /** The process has ended; its writes stay, synced or not. */
  processEnded(): void {
    this.#landMaybe();
    this.#operationsLeft = null;
    this.#files.abandon();
  }

  /** What was not synced survives in part. */
  powerLost(): void {
    this.#landMaybe();
    this.#operationsLeft = null;
    const { below } = this.#random;
    const mood = below(3);
    this.#files.crash(() => mood === 0 || (mood === 1 && below(2) === 0));
  }

  #landMaybe(): void {
    for (const land of this.#underWay) if (this.#random.below(2) === 0) land();
    this.#underWay.clear();
  }

  async #commit(life: Life, land: () => void): Promise<void> {
    this.#underWay.add(land);
    await life.sleep(this.#takesMs(life));
    this.#underWay.delete(land);
    const isLanding = this.#random.below(2) === 0;
    try {
      this.#mayFail(life);
    } catch (error) {
      if (isLanding) land();
      throw error;
    }
    land();
  }

  #mayFail(life: Life): void {
    if (life.isOver) throw new InjectedFault('the process is over');
    if (this.#operationsLeft !== null && --this.#operationsLeft < 0) {
      this.#operationsLeft = null;
      this.#onInterrupted?.();
      throw new InjectedFault('an interruption');
    }
    if (this.failsOneIn > 0 && this.#random.below(this.failsOneIn) === 0) {
      throw new InjectedFault('EIO');
    }
  }

  #takesMs(life: Life): number {
    const stalled = this.#stalledUntilMs - life.clock.monotonic();
    return Math.max(stalled, 0) + (this.latencyMs * (1 + this.#random.below(1000))) / 1000;
  }

  #slowDisk(life: Life): Disk {
    const files = this.#files;
    const slowly = async <T>(operation: () => Promise<T>): Promise<T> => {
      await life.sleep(this.#takesMs(life) / 4);
      this.#mayFail(life);
      return operation();
    };
    return {
      makeDir: (path) => slowly(() => files.makeDir(path)),
      list: (path) => slowly(() => files.list(path)),
      open: async (path, mode) => this.#slowFile(life, await slowly(() => files.open(path, mode))),
      rename: (from, to) => slowly(() => files.rename(from, to)),
      remove: (path) => slowly(() => files.remove(path)),
      syncDir: (path) => slowly(() => files.syncDir(path)),
    };
  }

  #slowFile(life: Life, file: DiskFile): DiskFile {
    const slowly = async <T>(part: number, operation: () => Promise<T>): Promise<T> => {
      await life.sleep(this.#takesMs(life) * part);
      this.#mayFail(life);
      return operation();
    };
    return {
      size: () => slowly(0, () => file.size()),
      read: (offset, length) => slowly(0.5, () => file.read(offset, length)),
      write: (offset, bytes) => {
        this.#mayFail(life);
        file.write(offset, bytes);
      },
      sync: () => slowly(1, () => file.sync()),
      syncNow: () => {
        life.hold(this.#takesMs(life));
        this.#mayFail(life);
        file.syncNow();
      },
      truncate: (size) => slowly(0.5, () => file.truncate(size)),
      allocate: (size) => slowly(0.5, () => file.allocate(size)),
      close: () => slowly(0, () => file.close()),
    };
  }
}
