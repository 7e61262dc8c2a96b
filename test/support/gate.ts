/** Waits that a test ends by hand, to put events between any two steps of asynchronous work. */

import type { Row, RowRange } from '../../src/ports.ts';
import { MemoryRows } from './memory-rows.ts';

/** Work that waits until the test lets it go on. */
export class Gate {
  #waiting: (() => void)[] = [];
  readonly pass = (): Promise<void> => new Promise((resolve) => this.#waiting.push(resolve));

  get count(): number {
    return this.#waiting.length;
  }

  /** Lets everything that waits go on, and what follows from it come to rest. */
  async open(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
    await settle();
  }

  async openUntilQuiet(): Promise<void> {
    await settle();
    while (this.#waiting.length > 0) await this.open();
  }
}

export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export class GatedRows extends MemoryRows {
  gate: Gate | null = null;

  override async scan(range: RowRange): Promise<readonly Row[]> {
    await this.gate?.pass();
    return super.scan(range);
  }
}
