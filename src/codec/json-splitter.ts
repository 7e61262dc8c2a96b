/**
 * Cuts a stream of text into JSON values: white space or nothing may stand between them. A value is
 * complete at its closing bracket; what is not an object or a list ends at white space.
 *
 * Each character is looked at once, however the text is cut. It does not check the values.
 */

import { DecodeError } from './wire.ts';

export class JsonSplitter {
  readonly #lengthMax: number;
  #rest = '';
  /** Where the search in `#rest` goes on. */
  #pos = 0;
  #depth = 0;
  #inString = false;

  constructor(lengthMax: number) {
    this.#lengthMax = lengthMax;
  }

  /** The values that `chunk` completes. Throws `DecodeError` when one grows beyond the limit. */
  push(chunk: string): string[] {
    this.#rest += chunk;
    const values: string[] = [];
    while (this.#findEnd()) {
      values.push(this.#rest.slice(0, this.#pos));
      this.#rest = this.#rest.slice(this.#pos);
      this.#pos = 0;
    }
    if (this.#rest.length > this.#lengthMax) throw new DecodeError('proto: value is too large');
    return values;
  }

  /** What is left when the stream has ended: an incomplete value, or nothing. */
  end(): string | null {
    const rest = this.#rest.trim();
    this.#rest = '';
    return rest === '' ? null : rest;
  }

  /** Whether `#rest` holds a whole value, which then ends at `#pos`. */
  #findEnd(): boolean {
    if (this.#pos === 0) {
      this.#rest = this.#rest.trimStart();
      if (this.#rest === '') return false;
      if (!/^[{[]/.test(this.#rest)) {
        const space = this.#rest.search(/\s/);
        this.#pos = Math.max(space, 0);
        return space > 0;
      }
    }
    const text = this.#rest;
    for (; this.#pos < text.length; this.#pos++) {
      const character = text[this.#pos];
      if (this.#inString) {
        if (character === '\\') {
          // The escaped character may be in the next chunk.
          if (this.#pos + 1 >= text.length) return false;
          this.#pos++;
        } else if (character === '"') this.#inString = false;
      } else if (character === '"') this.#inString = true;
      else if (character === '{' || character === '[') this.#depth++;
      else if ((character === '}' || character === ']') && --this.#depth === 0) {
        this.#pos++;
        return true;
      }
    }
    return false;
  }
}
