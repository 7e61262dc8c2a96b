/**
 * What happened, as a hash that tells two runs apart, as the last lines before a failure, and as
 * counts.
 */

const LINES_KEPT = 4000;
const FNV_PRIME = 0x0100_0193;

export class Trace {
  readonly #isVerbose: boolean;
  readonly counts = new Map<string, number>();
  #lines: string[] = [];
  #a = 0x811c_9dc5;
  #b = 0x1234_5677;

  constructor(isVerbose: boolean) {
    this.#isVerbose = isVerbose;
  }

  get hash(): string {
    const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, '0');
    return hex(this.#a) + hex(this.#b);
  }

  /** Newest last. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  add(nowMs: number, text: string): void {
    const line = `${nowMs.toFixed(3)} ${text}`;
    let a = this.#a;
    let b = this.#b;
    for (let i = 0; i < line.length; i++) {
      const unit = line.charCodeAt(i);
      a = Math.imul(a ^ unit, FNV_PRIME);
      b = Math.imul(b ^ (unit + i), FNV_PRIME) + 1;
    }
    this.#a = a;
    this.#b = b;
    if (!this.#isVerbose) return;
    this.#lines.push(line);
    if (this.#lines.length >= 2 * LINES_KEPT) this.#lines = this.#lines.slice(LINES_KEPT);
  }
}
