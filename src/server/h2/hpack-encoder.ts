/**
 * The header blocks of answers. There are few different ones, so they are built once.
 *
 * The dynamic table gets three fields in the life of a connection: the content type with the first
 * answer, status and message of success with the first success. From then on an answer's headers
 * and trailers are two bytes each. A peer with a smaller table than the default gets none.
 */

import { STATIC_TABLE } from './hpack-static-table.ts';

const FIRST_DYNAMIC = STATIC_TABLE.length;
const HEADER_TABLE_BYTES_DEFAULT = 4096;
const CONTENT_TYPE = 'application/grpc';
const EMPTY_TABLE = 0x20;

const STATUS_200 = Buffer.from([0x80 | staticIndex(':status', '200')]);
const CONTENT_TYPE_NAME = staticIndex('content-type', '');
const PLAIN_HEADERS = Buffer.concat([
  STATUS_200,
  literal({ index: CONTENT_TYPE_NAME, value: CONTENT_TYPE }),
]);
const PLAIN_SUCCESS = Buffer.concat([
  literal({ name: 'grpc-status', value: '0' }),
  literal({ name: 'grpc-message', value: '' }),
]);
const INDEXING_HEADERS = Buffer.concat([
  STATUS_200,
  literal({ index: CONTENT_TYPE_NAME, value: CONTENT_TYPE, indexing: true }),
]);
const INDEXING_SUCCESS = Buffer.concat([
  literal({ name: 'grpc-status', value: '0', indexing: true }),
  literal({ name: 'grpc-message', value: '', indexing: true }),
]);

export class ResponseEncoder {
  #inserted = 0;
  #headers: Uint8Array = INDEXING_HEADERS;
  #success: Uint8Array = INDEXING_SUCCESS;
  #emptyTable = false;

  /** Headers of an answer with the usual content type. Each result must be sent, in order. */
  headers(): Uint8Array {
    const block = this.#headers;
    if (block === INDEXING_HEADERS) this.#insertHeaders();
    return this.#emptyTable ? this.#emptied(block) : block;
  }

  /** Trailers of success, with the same duty. */
  success(): Uint8Array {
    const block = this.#success;
    if (block === INDEXING_SUCCESS) this.#insertSuccess();
    return this.#emptyTable ? this.#emptied(block) : block;
  }

  /** Any fields, without touching the table. */
  fields(fields: readonly (readonly [name: string, value: string])[]): Uint8Array {
    const parts: Buffer[] = fields.map(([name, value]) =>
      name === ':status' && value === '200' ? STATUS_200 : literal({ name, value }),
    );
    const block = Buffer.concat(parts);
    return this.#emptyTable ? this.#emptied(block) : block;
  }

  /** The peer has announced the size of its table. */
  setTableBytesMax(bytes: number): void {
    if (bytes >= HEADER_TABLE_BYTES_DEFAULT) return;
    this.#headers = PLAIN_HEADERS;
    this.#success = PLAIN_SUCCESS;
    this.#emptyTable = true;
  }

  // The newest field has the lowest index, so an insertion moves what is there.

  #insertHeaders(): void {
    this.#inserted += 1;
    this.#headers = Buffer.concat([STATUS_200, Buffer.from([0x80 | FIRST_DYNAMIC])]);
    if (this.#inserted === 3) {
      this.#success = Buffer.from([0x80 | (FIRST_DYNAMIC + 2), 0x80 | (FIRST_DYNAMIC + 1)]);
    }
  }

  #insertSuccess(): void {
    this.#inserted += 2;
    this.#success = Buffer.from([0x80 | (FIRST_DYNAMIC + 1), 0x80 | FIRST_DYNAMIC]);
    if (this.#inserted === 3) {
      this.#headers = Buffer.concat([STATUS_200, Buffer.from([0x80 | (FIRST_DYNAMIC + 2)])]);
    }
  }

  /** A smaller table must be acknowledged at the start of the next block. */
  #emptied(block: Uint8Array): Uint8Array {
    this.#emptyTable = false;
    return Buffer.concat([Buffer.from([EMPTY_TABLE]), block]);
  }
}

interface Literal {
  readonly index?: number;
  readonly name?: string;
  readonly value: string;
  readonly indexing?: boolean;
}

function literal({ index = 0, name = '', value, indexing = false }: Literal): Buffer {
  const first = indexing ? integer(index, 6, 0x40) : integer(index, 4, 0);
  const parts = index === 0 ? [first, text(name), text(value)] : [first, text(value)];
  return Buffer.concat(parts);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  return Buffer.concat([integer(bytes.length, 7, 0), bytes]);
}

/** RFC 7541, 5.1. */
function integer(value: number, prefixBits: number, pattern: number): Buffer {
  const mask = (1 << prefixBits) - 1;
  if (value < mask) return Buffer.from([pattern | value]);
  const bytes = [pattern | mask];
  let rest = value - mask;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}

function staticIndex(name: string, value: string): number {
  return STATIC_TABLE.findIndex((field) => field.name === name && field.value === value);
}
