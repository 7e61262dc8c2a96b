// The bytes of one connection that have not left yet: HTTP/2 frames are appended here and taken out
// as one piece, so that everything a turn causes leaves in one write.
// It refuses to know streams, windows and sockets.

export const FRAME_HEADER_BYTES = 9;
export const GRPC_PREFIX_BYTES = 5;

export const DATA = 0;
export const HEADERS = 1;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;

export const END_STREAM = 1;
export const ACK = 1;
export const END_HEADERS = 4;
export const PADDED = 8;

export class FrameWriter {
  length = 0;
  #bytes = Buffer.allocUnsafeSlow(32 * 1024);

  /** Everything so far, as a copy that the taker may keep; afterwards the writer is empty. */
  take() {
    const bytes = Buffer.allocUnsafe(this.length);
    this.#bytes.copy(bytes, 0, 0, this.length);
    this.length = 0;
    return bytes;
  }

  /** @param {Buffer} bytes */
  raw(bytes) {
    this.#reserve(bytes.length);
    this.length += bytes.copy(this.#bytes, this.length);
  }

  /**
   * @param {number} type
   * @param {number} flags
   * @param {number} streamId
   * @param {Buffer} payload
   */
  frame(type, flags, streamId, payload) {
    this.#reserve(FRAME_HEADER_BYTES + payload.length);
    this.#header(payload.length, type, flags, streamId);
    this.length += payload.copy(this.#bytes, this.length);
  }

  /**
   * One DATA frame with one whole gRPC message.
   * @param {number} flags
   * @param {number} streamId
   * @param {Uint8Array} message
   */
  message(flags, streamId, message) {
    const payloadBytes = message.length + GRPC_PREFIX_BYTES;
    this.#reserve(FRAME_HEADER_BYTES + payloadBytes);
    this.#header(payloadBytes, DATA, flags, streamId);
    this.#bytes[this.length] = 0; // Not compressed.
    this.#bytes.writeUInt32BE(message.length, this.length + 1);
    this.#bytes.set(message, this.length + GRPC_PREFIX_BYTES);
    this.length += payloadBytes;
  }

  /** @param {readonly (readonly [number, number])[]} values */
  settings(values) {
    const payload = Buffer.alloc(values.length * 6);
    for (const [i, [id, value]] of values.entries()) {
      payload.writeUInt16BE(id, i * 6);
      payload.writeUInt32BE(value, i * 6 + 2);
    }
    this.frame(SETTINGS, 0, 0, payload);
  }

  /**
   * @param {number} streamId
   * @param {number} bytes
   */
  windowUpdate(streamId, bytes) {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(bytes);
    this.frame(WINDOW_UPDATE, 0, streamId, payload);
  }

  /** @param {number} bytes */
  #reserve(bytes) {
    if (this.length + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow((this.length + bytes) * 2);
    this.#bytes.copy(larger, 0, 0, this.length);
    this.#bytes = larger;
  }

  /**
   * @param {number} length
   * @param {number} type
   * @param {number} flags
   * @param {number} streamId
   */
  #header(length, type, flags, streamId) {
    const bytes = this.#bytes;
    const at = this.length;
    bytes[at] = length >>> 16;
    bytes[at + 1] = length >>> 8;
    bytes[at + 2] = length;
    bytes[at + 3] = type;
    bytes[at + 4] = flags;
    bytes[at + 5] = streamId >>> 24;
    bytes[at + 6] = streamId >>> 16;
    bytes[at + 7] = streamId >>> 8;
    bytes[at + 8] = streamId;
    this.length = at + FRAME_HEADER_BYTES;
  }
}
