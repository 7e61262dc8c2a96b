/**
 * Memory that many connections share, so that many of them together cannot have what each of them
 * may have alone. It counts and refuses nothing itself: who takes asks first whether it is full.
 */

import { limits } from './limits.ts';

export class MemoryBudget {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isFull(): boolean {
    return this.#bytes > this.#bytesMax;
  }

  /** Fewer when `bytes` is negative. */
  add(bytes: number): void {
    this.#bytes += bytes;
  }
}

/** Requests of which only a part has arrived, of the whole process. */
export const requestMemory = new MemoryBudget(limits.incompleteRequestBytesMax);
/** Requests of other members of which only a part has arrived. */
export const postMemory = new MemoryBudget(limits.peerPostsBytesMax);
/** Answers that their clients have not taken, of the whole process. */
export const answerMemory = new MemoryBudget(limits.waitingAnswerBytesMax);
