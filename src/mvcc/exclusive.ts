/** Runs one asynchronous section at a time, in the order in which they were asked for. */
export class Exclusive {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(section: () => Promise<T>): Promise<T> {
    const result = this.#last.then(section);
    // The next section runs whatever became of this one, whose caller gets the error.
    this.#last = result.then(ignore, ignore);
    return result;
  }
}

function ignore(): void {}
