/**
 * One operation of the log at a time, in the order of asking. What has to be said to Raft when an
 * operation is durable runs in the same step as its end, before anything else is begun.
 */

/** `run` returns null when it is done already. */
export interface WalWork {
  readonly run: () => Promise<void> | null;
  readonly done: () => void;
}

export interface WalQueueOptions {
  /** Runs a step whose exceptions end the member. */
  readonly guard: (step: () => void) => void;
  /** Clients wait for exactly this: a turn, at once. */
  readonly turn: () => void;
  readonly failed: (error: unknown) => void;
}

export class WalQueue {
  readonly #options: WalQueueOptions;
  readonly #waiting: WalWork[] = [];
  #underWay: Promise<void> | null = null;

  constructor(options: WalQueueOptions) {
    this.#options = options;
  }

  /** Raft hands out one thing to persist at a time, so next to nothing ever waits. */
  add(work: WalWork): void {
    this.#waiting.push(work);
    this.#goOn();
  }

  /** What is done at once must not leave behind it what waits: that would be overtaken. */
  #goOn(): void {
    while (this.#underWay === null) {
      const work = this.#waiting.shift();
      if (work === undefined) return;
      const pending = work.run();
      if (pending === null) work.done();
      else this.#underWay = this.#finish(work, pending);
    }
  }

  #finish(work: WalWork, pending: Promise<void>): Promise<void> {
    const { guard, turn, failed } = this.#options;
    return pending.then(
      () => {
        this.#underWay = null;
        guard(() => {
          work.done();
          this.#goOn();
          turn();
        });
      },
      (error: unknown) => {
        this.#underWay = null;
        failed(error);
      },
    );
  }

  async idle(): Promise<void> {
    while (this.#underWay !== null) await this.#underWay;
  }
}
