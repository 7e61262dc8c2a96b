/**
 * What Go's encoding/json says of malformed JSON. etcd's gateway cuts each value out of the body
 * with that package before protojson sees it, so a client hears its texts first.
 *
 * It runs only for input that was refused already; it knows no schema and decodes nothing.
 */

/** etcd: nesting that encoding/json takes. */
const DEPTH_MAX = 10_000;

const EOF = 'unexpected EOF';

/**
 * The first fault of the first JSON value in `text`, which holds one character per byte; `null`
 * when the value is well-formed or there is none. What follows the value is not looked at.
 */
export function jsonSyntaxError(text: string): string | null {
  const check = new SyntaxCheck(text);
  return check.empty ? null : check.value();
}

class SyntaxCheck {
  readonly #text: string;
  #pos = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get empty(): boolean {
    return this.#next() === '';
  }

  /** Iterative, since the depth is a client's choice. */
  value(): string | null {
    const closes: string[] = [];
    for (;;) {
      const first = this.#next();
      let fault: string | null = null;
      if (first === '{' || first === '[') {
        if (closes.length >= DEPTH_MAX) return invalid(first, 'exceeded max depth');
        this.#pos++;
        const close = first === '{' ? '}' : ']';
        if (this.#next() !== close) {
          closes.push(close);
          fault = first === '{' ? this.#key() : null;
          if (fault !== null) return fault;
          continue;
        }
        this.#pos++;
      } else {
        fault = this.#scalar(first);
        if (fault !== null) return fault;
      }
      const rest = this.#afterValue(closes);
      if (rest !== 'more') return rest;
    }
  }

  /** Closing brackets and commas; 'more' when another value is due. */
  #afterValue(closes: string[]): string | null {
    for (;;) {
      const close = closes.at(-1);
      if (close === undefined) return null;
      const character = this.#next();
      if (character === '') return EOF;
      this.#pos++;
      if (character === ',') return (close === '}' ? this.#key() : null) ?? 'more';
      if (character !== close) {
        const place = close === '}' ? 'after object key:value pair' : 'after array element';
        return invalid(character, place);
      }
      closes.pop();
    }
  }

  #key(): string | null {
    const first = this.#next();
    if (first === '') return EOF;
    if (first !== '"') return invalid(first, 'looking for beginning of object key string');
    const fault = this.#string();
    if (fault !== null) return fault;
    const colon = this.#next();
    if (colon === '') return EOF;
    if (colon !== ':') return invalid(colon, 'after object key');
    this.#pos++;
    return null;
  }

  #scalar(first: string): string | null {
    switch (first) {
      case '':
        return EOF;
      case '"':
        return this.#string();
      case 't':
        return this.#literal('true');
      case 'f':
        return this.#literal('false');
      case 'n':
        return this.#literal('null');
      default:
        if (first === '-' || isDigit(first)) return this.#number();
        return invalid(first, 'looking for beginning of value');
    }
  }

  #string(): string | null {
    this.#pos++;
    for (;;) {
      const character = this.#take();
      if (character === '') return EOF;
      if (character === '"') return null;
      if (character < ' ') return invalid(character, 'in string literal');
      if (character !== '\\') continue;
      const escaped = this.#take();
      if (escaped === '') return EOF;
      if (escaped !== 'u') {
        if (!'bfnrt\\/"'.includes(escaped)) return invalid(escaped, 'in string escape code');
        continue;
      }
      for (let i = 0; i < 4; i++) {
        const digit = this.#take();
        if (digit === '') return EOF;
        if (!/[0-9a-fA-F]/.test(digit)) {
          return invalid(digit, 'in \\u hexadecimal character escape');
        }
      }
    }
  }

  #literal(word: string): string | null {
    for (const expected of word) {
      const character = this.#take();
      if (character === '') return EOF;
      if (character !== expected) {
        return invalid(character, `in literal ${word} (expecting '${expected}')`);
      }
    }
    return null;
  }

  #number(): string | null {
    if (this.#peek() === '-') this.#pos++;
    // A number that begins with 0 ends there: what follows is no part of it.
    if (this.#peek() === '0') this.#pos++;
    else {
      const fault = this.#digits('in numeric literal');
      if (fault !== null) return fault;
    }
    if (this.#peek() === '.') {
      this.#pos++;
      const fault = this.#digits('after decimal point in numeric literal');
      if (fault !== null) return fault;
    }
    if (this.#peek() === 'e' || this.#peek() === 'E') {
      this.#pos++;
      if (this.#peek() === '+' || this.#peek() === '-') this.#pos++;
      return this.#digits('in exponent of numeric literal');
    }
    return null;
  }

  /** At least one. */
  #digits(place: string): string | null {
    const first = this.#take();
    if (first === '') return EOF;
    if (!isDigit(first)) return invalid(first, place);
    while (isDigit(this.#peek())) this.#pos++;
    return null;
  }

  #peek(): string {
    return this.#text.charAt(this.#pos);
  }

  #take(): string {
    return this.#text.charAt(this.#pos++);
  }

  /** The character after white space; empty at the end. */
  #next(): string {
    while (' \n\r\t'.includes(this.#peek()) && this.#pos < this.#text.length) this.#pos++;
    return this.#peek();
  }
}

function isDigit(character: string): boolean {
  return character >= '0' && character <= '9';
}

function invalid(character: string, place: string): string {
  return `invalid character ${goCharacter(character)} ${place}`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  "'": "'\\''",
  '"': `'"'`,
  '\\': "'\\\\'",
  '\x07': "'\\a'",
  '\b': "'\\b'",
  '\t': "'\\t'",
  '\n': "'\\n'",
  '\v': "'\\v'",
  '\f': "'\\f'",
  '\r': "'\\r'",
};

/** A byte as Go's %q prints the character of that number. */
function goCharacter(character: string): string {
  const escaped = ESCAPES[character];
  if (escaped !== undefined) return escaped;
  const code = character.charCodeAt(0);
  const hex = code.toString(16).padStart(2, '0');
  if (code < 0x20 || code === 0x7f) return `'\\x${hex}'`;
  return (code >= 0x80 && code <= 0xa0) || code === 0xad ? `'\\u00${hex}'` : `'${character}'`;
}
