/** A scanner over JSON text that keeps numbers as text. It knows JSON's grammar and no schema. */

import { DecodeError } from './wire.ts';

export interface JsonToken {
  readonly kind: 'string' | 'number' | 'word';
  /** The string's content, or the token as written. */
  readonly text: string;
  readonly raw: string;
}

/** Nesting of values that are skipped. */
const DEPTH_MAX = 10_000;

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;
const UNEXPECTED = /[^\s,:{}[\]"]+|./y;

export class JsonScanner {
  readonly #text: string;
  #pos = 0;
  // True right after an opening bracket, where no comma is due.
  #fresh = false;

  constructor(text: string) {
    this.#text = text;
  }

  get position(): number {
    this.#space();
    return this.#pos;
  }

  /** Nothing but white space is left. */
  atEnd(): boolean {
    this.#space();
    return this.#pos >= this.#text.length;
  }

  open(bracket: '{' | '['): void {
    this.expect(bracket);
    this.#fresh = true;
  }

  /** Whether another item follows; takes the comma before it, or the closing bracket. */
  more(close: '}' | ']'): boolean {
    this.#space();
    const fresh = this.#fresh;
    this.#fresh = false;
    if (this.#text[this.#pos] === close) {
      this.#pos++;
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

  string(): string {
    this.#space();
    if (this.#text[this.#pos] !== '"') throw this.#unexpected();
    return this.#quoted().text;
  }

  scalar(): JsonToken {
    this.#space();
    if (this.#text[this.#pos] === '"') return this.#quoted();
    const number = this.#match(NUMBER);
    if (number !== null) return { kind: 'number', text: number, raw: number };
    const word = this.#match(WORD);
    if (word === null) throw this.#unexpected();
    return { kind: 'word', text: word, raw: word };
  }

  skipNull(): boolean {
    this.#space();
    if (!this.#text.startsWith('null', this.#pos)) return false;
    this.#pos += 4;
    return true;
  }

  skipValue(depth: number): void {
    if (depth > DEPTH_MAX) throw new DecodeError('proto: exceeded max recursion depth');
    this.#space();
    const character = this.#text[this.#pos];
    if (character === '{') {
      this.open('{');
      while (this.more('}')) {
        this.string();
        this.expect(':');
        this.skipValue(depth + 1);
      }
    } else if (character === '[') {
      this.open('[');
      while (this.more(']')) this.skipValue(depth + 1);
    } else {
      this.scalar();
    }
  }

  error(at: number, text: string): DecodeError {
    return new DecodeError(`proto: (line ${this.#place(at)}): ${text}`);
  }

  #quoted(): JsonToken {
    const start = this.#pos;
    let end = start + 1;
    let plain = true;
    for (;;) {
      const code = this.#text.charCodeAt(end);
      if (Number.isNaN(code)) throw this.#endOfInput();
      if (code === 0x22) break;
      if (code === 0x5c) {
        plain = false;
        end++;
      } else if (code < 0x20) {
        this.#pos = end;
        throw this.#syntax('invalid character in string');
      }
      end++;
    }
    this.#pos = end + 1;
    const raw = this.#text.slice(start, end + 1);
    if (plain) return { kind: 'string', text: raw.slice(1, -1), raw };
    try {
      const text: unknown = JSON.parse(raw);
      return { kind: 'string', text: String(text), raw };
    } catch {
      this.#pos = start;
      throw this.#syntax(`invalid escape code in string ${raw}`);
    }
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#pos;
    const found = pattern.exec(this.#text)?.[0] ?? null;
    if (found !== null) this.#pos += found.length;
    return found;
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#pos);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#pos++;
    }
  }

  #unexpected(): DecodeError {
    const at = this.#pos;
    const token = this.#match(UNEXPECTED);
    this.#pos = at;
    return token === null ? this.#endOfInput() : this.#syntax(`unexpected token ${token}`);
  }

  #endOfInput(): DecodeError {
    this.#pos = this.#text.length;
    return this.#syntax('unexpected EOF');
  }

  #syntax(text: string): DecodeError {
    return new DecodeError(`proto: syntax error (line ${this.#place(this.#pos)}): ${text}`);
  }

  #place(at: number): string {
    const before = this.#text.slice(0, at).split('\n');
    return `${before.length}:${(before.at(-1)?.length ?? 0) + 1}`;
  }
}

/**
 * Cuts a stream of text into JSON values: white space or nothing may stand between them. A value is
 * complete at its closing bracket; what is not an object or a list ends at white space.
 */
export class JsonSplitter {
  readonly #bytesMax: number;
  #rest = '';

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The values that `chunk` completes. Throws `DecodeError` when one grows beyond the limit. */
  push(chunk: string): string[] {
    this.#rest += chunk;
    const values: string[] = [];
    for (;;) {
      const start = this.#rest.search(/\S/);
      if (start < 0) {
        this.#rest = '';
        return values;
      }
      const end = endOfValue(this.#rest, start);
      if (end < 0) {
        if (this.#rest.length > this.#bytesMax) {
          throw new DecodeError('proto: value is too large');
        }
        return values;
      }
      values.push(this.#rest.slice(start, end));
      this.#rest = this.#rest.slice(end);
    }
  }

  /** What is left when the stream has ended: an incomplete value, or nothing. */
  end(): string | null {
    const rest = this.#rest.trim();
    this.#rest = '';
    return rest === '' ? null : rest;
  }
}

function endOfValue(text: string, start: number): number {
  const first = text[start];
  if (first !== '{' && first !== '[') {
    const space = text.slice(start).search(/\s/);
    return space < 0 ? -1 : start + space;
  }
  let depth = 0;
  let inString = false;
  for (let i = start; i < text.length; i++) {
    const character = text[i];
    if (inString) {
      if (character === '\\') i++;
      else if (character === '"') inString = false;
    } else if (character === '"') inString = true;
    else if (character === '{' || character === '[') depth++;
    else if ((character === '}' || character === ']') && --depth === 0) return i + 1;
  }
  return -1;
}
