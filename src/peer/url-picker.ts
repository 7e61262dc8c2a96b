/** The URLs of one member: the one that worked last, until it does not. */

import { assert, must } from '../assert.ts';

export class UrlPicker {
  #urls: readonly string[];
  #picked = 0;

  constructor(urls: readonly string[]) {
    assert(urls.length > 0, 'a member has a peer URL');
    this.#urls = urls;
  }

  get urls(): readonly string[] {
    return this.#urls;
  }

  update(urls: readonly string[]): void {
    assert(urls.length > 0, 'a member has a peer URL');
    this.#urls = urls;
    this.#picked = 0;
  }

  pick(): string {
    return must(this.#urls[this.#picked], 'one of the URLs is picked');
  }

  /** The next one is picked, unless that has happened already. */
  unreachable(url: string): void {
    if (url === this.pick()) this.#picked = (this.#picked + 1) % this.#urls.length;
  }
}
