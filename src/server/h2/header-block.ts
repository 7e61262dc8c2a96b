/**
 * A header block that is spread over HEADERS and CONTINUATION frames, put together.
 *
 * Limit: bytes and number of frames, beyond which the peer is told to calm down.
 */

import { limits } from '../../limits.ts';
import { ConnectionError, ErrorCode } from './frames.ts';

export class HeaderBlock {
  readonly streamId: number;
  readonly endStream: boolean;
  readonly #parts: Buffer[] = [];
  #bytes = 0;

  constructor(streamId: number, endStream: boolean) {
    this.streamId = streamId;
    this.endStream = endStream;
  }

  /** Throws `ConnectionError`. */
  add(part: Buffer): void {
    this.#bytes += part.length;
    if (
      this.#parts.length > limits.h2ContinuationsMax ||
      this.#bytes > limits.h2HeaderBlockBytesMax
    ) {
      throw new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, 'header block too large');
    }
    this.#parts.push(part);
  }

  joined(): Buffer {
    return Buffer.concat(this.#parts);
  }
}
