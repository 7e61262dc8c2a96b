/**
 * What one connection keeps of requests that are not complete and of answers that were not taken,
 * counted for itself and for the whole process.
 *
 * Invariant: with the connection's end the process gets everything back, whatever its streams do.
 */

import { limits } from '../../limits.ts';
import { answerMemory, requestMemory } from '../../memory-budget.ts';

export class ConnectionMemory {
  #requestBytes = 0;
  #answerBytes = 0;
  #isClosed = false;

  /** Of incomplete messages there must not be more. */
  get requestsFull(): boolean {
    return this.#requestBytes > limits.h2AssemblyBytesMax || requestMemory.isFull;
  }

  /** Of answers that wait there must not be more. */
  get answersFull(): boolean {
    return this.#answerBytes > limits.h2QueuedBytesMax || answerMemory.isFull;
  }

  addRequest(bytes: number): void {
    if (this.#isClosed) return;
    this.#requestBytes += bytes;
    requestMemory.add(bytes);
  }

  addAnswer(bytes: number): void {
    if (this.#isClosed) return;
    this.#answerBytes += bytes;
    answerMemory.add(bytes);
  }

  close(): void {
    this.addRequest(-this.#requestBytes);
    this.addAnswer(-this.#answerBytes);
    this.#isClosed = true;
  }
}
