/**
 * A scanner over JSON text that keeps numbers as text, for a reader that knows what to expect. It
 * takes exactly JSON's grammar, and positions count from the start of the first value.
 *
 * The texts of its errors are protojson's. It knows no schema.
 */

import { DecodeError } from './wire.ts';

export type TokenKind = 'string' | 'number' | 'word' | 'open';

/** Nesting of brackets; etcd's own limit. */
const DEPTH_MAX = 10_000;

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;
const UNEXPECTED = /"(?:[^"\\]|\\.)*"?|[^\s,:{}[\]"]+|[\s\S]/y;
const SURROGATE = /\p{Cs}/u;
const ESCAPED_SURROGATE = /\\(?:u(d[89a-f][0-9a-f]{2})|.)/gi;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

export class JsonScanner {
  readonly #text: string;
  readonly #hasInvalidUtf8: boolean;
  readonly #start: number;
  #pos = 0;
  // True right after an opening bracket, where no comma is due.
  #fresh = false;
  #depth = 0;

  /** Where the last value began, and what it is; set by `scalar`. */
  tokenStart = 0;
  tokenKind: TokenKind = 'word';
  /** A string's content, or the token as written. */
  tokenText = '';

  /** `hasInvalidUtf8`: a replacement character in a string stands for bytes that are no text. */
  constructor(text: string, hasInvalidUtf8 = false) {
    this.#text = text;
    this.#hasInvalidUtf8 = hasInvalidUtf8;
    this.#start = this.position;
  }

  get position(): number {
    this.#space();
    return this.#pos;
  }

  /** Nothing but white space is left. */
  atEnd(): boolean {
    return this.position >= this.#text.length;
  }

  open(bracket: '{' | '['): void {
    this.expect(bracket);
    this.#enter();
  }

  /** Whether another item follows; takes the comma before it, or the closing bracket. */
  more(close: '}' | ']'): boolean {
    this.#space();
    const fresh = this.#fresh;
    this.#fresh = false;
    if (this.#text[this.#pos] === close) {
      this.#pos++;
      this.#depth--;
      return false;
    }
    if (!fresh) this.expect(',');
    return true;
  }

  expect(character: string): void {
    this.#space();
    if (this.#text[this.#pos] !== character) throw this.#unexpected();
    this.#pos++;
  }

  /** A string, which is the name of a member. */
  name(): string {
    this.#space();
    if (this.#text.charCodeAt(this.#pos) !== QUOTE) throw this.#unexpected();
    return this.#quoted();
  }

  /** Takes a string, number or word; of an object or a list only the bracket. */
  scalar(): void {
    this.#space();
    const start = this.#pos;
    this.tokenStart = start;
    const code = this.#text.charCodeAt(start);
    if (code === QUOTE) {
      this.tokenKind = 'string';
      this.tokenText = this.#quoted();
    } else if (code === 0x7b || code === 0x5b) {
      this.tokenKind = 'open';
      this.tokenText = this.#text.charAt(this.#pos++);
    } else if (code === 0x2d || (code >= 0x30 && code <= 0x39)) {
      this.tokenKind = 'number';
      this.tokenText = this.#match(NUMBER);
    } else {
      this.tokenKind = 'word';
      this.tokenText = this.#match(WORD);
    }
  }

  skipNull(): boolean {
    this.#space();
    if (!this.#text.startsWith('null', this.#pos)) return false;
    this.#pos += 4;
    return true;
  }

  /** Iterative, since the depth is a client's choice. */
  skipValue(): void {
    const closes: string[] = [];
    do {
      this.scalar();
      if (this.tokenKind === 'open') {
        closes.push(this.tokenText === '{' ? '}' : ']');
        this.#enter();
      }
    } while (this.#anotherValue(closes));
  }

  /** The token that starts at `at`, as written. */
  rawAt(at: number): string {
    UNEXPECTED.lastIndex = at;
    return UNEXPECTED.exec(this.#text)?.[0] ?? '';
  }

  error(at: number, text: string): DecodeError {
    return new DecodeError(`proto: (line ${this.#place(at)}): ${text}`);
  }

  #enter(): void {
    if (++this.#depth > DEPTH_MAX) throw new DecodeError('proto: exceeded max recursion depth');
    this.#fresh = true;
  }

  /** Closes what is complete; true when a value of an open object or list follows. */
  #anotherValue(closes: string[]): boolean {
    for (let close = closes.at(-1); close !== undefined; close = closes.at(-1)) {
      if (this.more(close === '}' ? '}' : ']')) {
        if (close === '}') {
          this.name();
          this.expect(':');
        }
        return true;
      }
      closes.pop();
    }
    return false;
  }

  #quoted(): string {
    const text = this.#text;
    const start = this.#pos;
    let end = start + 1;
    let plain = true;
    for (;;) {
      const code = text.charCodeAt(end);
      if (code === QUOTE) break;
      if (code === BACKSLASH) {
        plain = false;
        end++;
      } else if (!(code >= 0x20)) {
        // A control character, or NaN at the end.
        throw this.#syntax(start, 'invalid string');
      }
      end++;
    }
    this.#pos = end + 1;
    const content = plain ? text.slice(start + 1, end) : this.#unescaped(start, end + 1);
    if (this.#hasInvalidUtf8 && content.includes('\ufffd')) {
      throw this.#syntax(start, 'invalid UTF-8 in string');
    }
    return content;
  }

  #unescaped(start: number, end: number): string {
    let content: string;
    try {
      content = JSON.parse(this.#text.slice(start, end)) as string;
    } catch {
      throw this.#syntax(start, 'invalid escape code in string');
    }
    if (SURROGATE.test(content)) throw this.#loneSurrogate(start, end);
    return content;
  }

  /** protojson reads the six bytes after half of a pair, whatever they are. */
  #loneSurrogate(start: number, end: number): DecodeError {
    ESCAPED_SURROGATE.lastIndex = start;
    for (;;) {
      const match = ESCAPED_SURROGATE.exec(this.#text);
      if (match === null || match.index >= end) return new DecodeError('proto: unexpected EOF');
      if (match[1] === undefined) continue;
      const after = this.#text.slice(ESCAPED_SURROGATE.lastIndex);
      const isHigh = /^d[89ab]/i.test(match[1]);
      if (isHigh && /^\\ud[c-f][0-9a-f]{2}/i.test(after)) {
        ESCAPED_SURROGATE.lastIndex += 6;
        continue;
      }
      if (Buffer.byteLength(after.trimEnd()) < 6) return new DecodeError('proto: unexpected EOF');
      const six = JSON.stringify(after.slice(0, 6));
      return this.#syntax(start, `invalid escape code ${six} in string`);
    }
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#pos;
    const found = pattern.exec(this.#text)?.[0];
    if (found === undefined) throw this.#unexpected();
    this.#pos += found.length;
    return found;
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#pos);
      // `!(code <= …)`: NaN at the end is no white space.
      if (!(code <= 0x20)) return;
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#pos++;
    }
  }

  #unexpected(): DecodeError {
    return this.#syntax(this.#pos, `unexpected token ${this.rawAt(this.#pos)}`);
  }

  #syntax(at: number, text: string): DecodeError {
    return new DecodeError(`proto: syntax error (line ${this.#place(at)}): ${text}`);
  }

  #place(at: number): string {
    const before = this.#text.slice(this.#start, at).split('\n');
    const column = [...(before.at(-1) ?? '')].length + 1;
    return `${before.length}:${column}`;
  }
}
