/**
 * From header blocks to request heads, for one connection. Blocks must pass in the order in which
 * they arrived, those of refused streams too, since they change the decoder's table.
 */

import { ConnectionError, ErrorCode } from './frames.ts';
import { HeadCache } from './head-cache.ts';
import { HpackDecoder, HpackError } from './hpack-decoder.ts';
import { parseHead, type RequestHead } from './request-head.ts';

/** grpc-go's answer to headers beyond the limit. */
const TOO_LARGE: RequestHead = { kind: 'reset', error: ErrorCode.FRAME_SIZE_ERROR };

export class HeadDecoder {
  readonly #decoder = new HpackDecoder();
  readonly #cache = new HeadCache();
  readonly #headerBytesMax: number;

  constructor(headerBytesMax: number) {
    this.#headerBytesMax = headerBytesMax;
  }

  /** Throws `ConnectionError`. */
  decode(chunk: Buffer, start: number, end: number): RequestHead {
    const decoder = this.#decoder;
    const { generation } = decoder;
    const known = this.#cache.find(chunk, start, end, generation);
    if (known !== null) return known;
    const head = this.#decodeNew(chunk, start, end);
    if (decoder.generation === generation) this.#cache.store(chunk, start, end, generation, head);
    return head;
  }

  #decodeNew(chunk: Buffer, start: number, end: number): RequestHead {
    try {
      const fields = this.#decoder.decode(chunk, start, end, this.#headerBytesMax);
      return this.#decoder.truncated ? TOO_LARGE : parseHead(fields);
    } catch (cause) {
      if (!(cause instanceof HpackError)) throw cause;
      throw new ConnectionError(ErrorCode.COMPRESSION_ERROR, cause.message, { cause });
    }
  }
}
