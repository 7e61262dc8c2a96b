/**
 * Header decompression (RFC 7541) for one direction of one connection.
 *
 * Invariant: after every block the dynamic table is the one of the peer's encoder, also when the
 * block's fields were too many to keep. `generation` changes with the table, so a block that did
 * not change it decodes to the same fields for as long as the generation stays.
 *
 * It knows nothing of what the names mean, only which characters HTTP/2 allows in them.
 */

import { EMPTY_BYTES } from '../../types.ts';
import { type HeaderField, STATIC_TABLE } from './hpack-static-table.ts';
import { decodeHuffman } from './huffman.ts';

/** A malformed block: the connection is lost, since both tables may differ from now on. */
export class HpackError extends Error {
  override readonly name = 'HpackError';
}

/** RFC 7541, 4.1. */
const FIELD_OVERHEAD_BYTES = 32;
/** What we announce (by silence): the protocol's default. */
export const HEADER_TABLE_BYTES = 4096;

/** Tokens without upper case, after the colon of a pseudo header. */
const VALID_NAME = /^:?[-!#$%&'*+.^_`|~0-9a-z]+$/;

/** Names that arrive as literals, so that comparing them later is comparing pointers. */
const KNOWN_NAMES = new Map(
  [
    ...STATIC_TABLE.map((field) => field.name),
    ...['te', 'grpc-timeout', 'grpc-encoding', 'grpc-accept-encoding', 'token', 'hasleader'],
    ...['client-api-version', 'client_api_version', 'connection'],
  ].map((name) => [name, name]),
);

export class HpackDecoder {
  /** Oldest first. */
  readonly #table: HeaderField[] = [];
  #tableBytes = 0;
  #tableBytesMax = HEADER_TABLE_BYTES;
  #generation = 0;
  #block = EMPTY_BYTES;
  #pos = 0;
  #end = 0;
  #truncated = false;

  get generation(): number {
    return this.#generation;
  }

  /** The last block had more than `fieldBytesMax`; the fields beyond it are lost. */
  get truncated(): boolean {
    return this.#truncated;
  }

  /** Throws `HpackError`. */
  decode(block: Uint8Array, start: number, end: number, fieldBytesMax: number): HeaderField[] {
    this.#block = block;
    this.#pos = start;
    this.#end = end;
    this.#truncated = false;
    const fields: HeaderField[] = [];
    let room = fieldBytesMax;
    while (this.#pos < end) {
      const first = block[this.#pos] ?? 0;
      if ((first & 0xe0) === 0x20) {
        this.#updateTableSize(fields.length > 0 || this.#truncated);
        continue;
      }
      const field = (first & 0x80) !== 0 ? this.#field(this.#integer(7)) : this.#literal(first);
      room -= fieldBytes(field);
      if (room >= 0) fields.push(field);
      else this.#truncated = true;
    }
    this.#block = EMPTY_BYTES;
    return fields;
  }

  #literal(first: number): HeaderField {
    const indexed = (first & 0x40) !== 0;
    const index = this.#integer(indexed ? 6 : 4);
    const name = index === 0 ? this.#name() : this.#field(index).name;
    const value = this.#string();
    const nameKnown = index > 0 && index < STATIC_TABLE.length;
    const valid = (nameKnown || VALID_NAME.test(name)) && isValidValue(value);
    const field = { name, value, valid };
    if (indexed) this.#insert(field);
    return field;
  }

  #field(index: number): HeaderField {
    const field =
      index < STATIC_TABLE.length
        ? STATIC_TABLE[index]
        : this.#table[this.#table.length + STATIC_TABLE.length - 1 - index];
    if (index === 0 || field === undefined) throw new HpackError('no such table index');
    return field;
  }

  #insert(field: HeaderField): void {
    this.#generation++;
    const bytes = fieldBytes(field);
    this.#evict(this.#tableBytesMax - bytes);
    if (bytes > this.#tableBytesMax) return;
    this.#table.push(field);
    this.#tableBytes += bytes;
  }

  #evict(bytesMax: number): void {
    while (this.#tableBytes > bytesMax) {
      const oldest = this.#table.shift();
      if (oldest === undefined) return;
      this.#tableBytes -= fieldBytes(oldest);
    }
  }

  #updateTableSize(late: boolean): void {
    const size = this.#integer(5);
    if (late) throw new HpackError('table size update after a field');
    if (size > HEADER_TABLE_BYTES) throw new HpackError('table size beyond the limit');
    this.#generation++;
    this.#tableBytesMax = size;
    this.#evict(size);
  }

  /** RFC 7541, 5.1. Nothing legitimate here needs more than 28 bits. */
  #integer(prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = this.#byte() & mask;
    if (value < mask) return value;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte();
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new HpackError('integer too large');
  }

  #byte(): number {
    if (this.#pos >= this.#end) throw new HpackError('block ends too early');
    return this.#block[this.#pos++] ?? 0;
  }

  #name(): string {
    const name = this.#string();
    return KNOWN_NAMES.get(name) ?? name;
  }

  #string(): string {
    const huffman = ((this.#block[this.#pos] ?? 0) & 0x80) !== 0;
    const length = this.#integer(7);
    const start = this.#pos;
    const end = start + length;
    if (end > this.#end) throw new HpackError('string ends too late');
    this.#pos = end;
    const text = huffman ? decodeHuffman(this.#block, start, end) : latin1(this.#block, start, end);
    if (text === null) throw new HpackError('malformed Huffman code');
    return text;
  }
}

/** No control characters but the tab. */
function isValidValue(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) return false;
  }
  return true;
}

function fieldBytes(field: HeaderField): number {
  return field.name.length + field.value.length + FIELD_OVERHEAD_BYTES;
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  if (Buffer.isBuffer(bytes)) return bytes.toString('latin1', start, end);
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
}
