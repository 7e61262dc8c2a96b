// The few etcd messages the load needs, encoded and decoded by hand (field numbers: proto/).
// Invariant: every field this file does not read is skipped by its wire type, never guessed.
// Limit: 64-bit fields are read as numbers; the ids the load compares are small because it chose
// them. It refuses to know HTTP/2.

const VARINT = 0;
const BYTES = 2;

export const PUT = '/etcdserverpb.KV/Put';
export const RANGE = '/etcdserverpb.KV/Range';
export const TXN = '/etcdserverpb.KV/Txn';
export const WATCH = '/etcdserverpb.Watch/Watch';
export const LEASE_GRANT = '/etcdserverpb.Lease/LeaseGrant';
export const LEASE_KEEP_ALIVE = '/etcdserverpb.Lease/LeaseKeepAlive';

/** @param {number} value */
function varint(value) {
  const octets = [];
  let rest = value;
  while (rest >= 0x80) {
    octets.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  octets.push(rest);
  return octets;
}

/**
 * @param {number} number
 * @param {number} value
 */
function intField(number, value) {
  return value === 0
    ? Buffer.alloc(0)
    : Buffer.from([...varint(number * 8 + VARINT), ...varint(value)]);
}

/**
 * @param {number} number
 * @param {Uint8Array | string} value
 */
function bytesField(number, value) {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : value;
  return Buffer.concat([
    Buffer.from([...varint(number * 8 + BYTES), ...varint(bytes.length)]),
    bytes,
  ]);
}

/** @param {{ key: string, value: string | Uint8Array }} put */
export function putRequest({ key, value }) {
  return Buffer.concat([bytesField(1, key), bytesField(2, value)]);
}

/**
 * @param {{ key: string, rangeEnd?: string, serializable?: boolean, keysOnly?: boolean,
 *   countOnly?: boolean }} range
 */
export function rangeRequest({
  key,
  rangeEnd,
  serializable = false,
  keysOnly = false,
  countOnly = false,
}) {
  return Buffer.concat([
    bytesField(1, key),
    rangeEnd === undefined ? Buffer.alloc(0) : bytesField(2, rangeEnd),
    intField(7, Number(serializable)),
    intField(8, Number(keysOnly)),
    intField(9, Number(countOnly)),
  ]);
}

/**
 * A compare-and-set: put when the key's mod revision is still `modRevision`, read it otherwise.
 * @param {{ key: string, value: string, modRevision: number }} change
 */
export function compareAndSetRequest({ key, value, modRevision }) {
  const targetMod = 2;
  const compare = Buffer.concat([
    intField(2, targetMod),
    bytesField(3, key),
    // A oneof member is written even when it is zero.
    Buffer.from([6 * 8 + VARINT, ...varint(modRevision)]),
  ]);
  return Buffer.concat([
    bytesField(1, compare),
    bytesField(2, bytesField(2, putRequest({ key, value }))),
    bytesField(3, bytesField(1, rangeRequest({ key }))),
  ]);
}

/** @param {{ key: string, watchId: number }} watch */
export function watchCreateRequest({ key, watchId }) {
  return bytesField(1, Buffer.concat([bytesField(1, key), intField(7, watchId)]));
}

/** @param {{ id: number, ttlSeconds: number }} lease */
export function leaseGrantRequest({ id, ttlSeconds }) {
  return Buffer.concat([intField(1, ttlSeconds), intField(2, id)]);
}

/** @param {number} id */
export function leaseKeepAliveRequest(id) {
  return intField(1, id);
}

/** Walks over the fields of one message in place. */
class Reader {
  /** @type {Buffer} */
  buffer = Buffer.alloc(0);
  position = 0;
  end = 0;
  field = 0;
  /** The value of the last varint field, or the length of the last bytes field. */
  value = 0;
  /** Where the content of the last bytes field starts. */
  start = 0;

  /**
   * @param {Buffer} buffer
   * @param {number} start
   * @param {number} end
   */
  over(buffer, start, end) {
    this.buffer = buffer;
    this.position = start;
    this.end = end;
    return this;
  }

  /** Moves to the next field; false at the end of the message. */
  next() {
    if (this.position >= this.end) return false;
    const tag = this.#varint();
    this.field = tag >>> 3;
    this.value = this.#varint();
    switch (tag & 7) {
      case VARINT:
        return true;
      case BYTES:
        this.start = this.position;
        this.position += this.value;
        if (this.position > this.end) throw new Error('protobuf: field longer than its message');
        return true;
      default:
        throw new Error(`protobuf: unexpected wire type ${tag & 7}`);
    }
  }

  #varint() {
    let value = 0;
    let scale = 1;
    for (;;) {
      if (this.position >= this.end) throw new Error('protobuf: varint cut off');
      const octet = this.buffer[this.position++];
      value += (octet & 0x7f) * scale;
      if (octet < 0x80) return value;
      scale *= 0x80;
    }
  }
}

// Nested messages are read by the second and third reader while the first stands still.
const outer = new Reader();
const inner = new Reader();
const innermost = new Reader();

/**
 * @param {Buffer} buffer
 * @param {number} start
 * @param {number} end
 */
function headerRevision(buffer, start, end) {
  innermost.over(buffer, start, end);
  while (innermost.next()) if (innermost.field === 3) return innermost.value;
  return 0;
}

/**
 * The header revision of any answer: the header is field 1 everywhere.
 * @param {Buffer} buffer
 * @param {number} start
 * @param {number} end
 */
export function answerRevision(buffer, start, end) {
  outer.over(buffer, start, end);
  while (outer.next()) {
    if (outer.field === 1) return headerRevision(buffer, outer.start, outer.start + outer.value);
  }
  return 0;
}

/**
 * @typedef {{ key: string, value: string, createRevision: number, modRevision: number,
 *   version: number }} KeyValue
 */

/**
 * @param {Buffer} buffer
 * @param {number} start
 * @param {number} end
 * @returns {KeyValue}
 */
function keyValue(buffer, start, end) {
  const kv = { key: '', value: '', createRevision: 0, modRevision: 0, version: 0 };
  innermost.over(buffer, start, end);
  while (innermost.next()) {
    const stop = innermost.start + innermost.value;
    if (innermost.field === 1) kv.key = buffer.toString('latin1', innermost.start, stop);
    else if (innermost.field === 2) kv.createRevision = innermost.value;
    else if (innermost.field === 3) kv.modRevision = innermost.value;
    else if (innermost.field === 4) kv.version = innermost.value;
    else if (innermost.field === 5) kv.value = buffer.toString('latin1', innermost.start, stop);
  }
  return kv;
}

/**
 * @param {Buffer} buffer
 * @param {number} start
 * @param {number} end
 */
export function rangeAnswer(buffer, start, end) {
  /** @type {KeyValue[]} */
  const kvs = [];
  let revision = 0;
  let count = 0;
  let more = false;
  outer.over(buffer, start, end);
  while (outer.next()) {
    const stop = outer.start + outer.value;
    if (outer.field === 1) revision = headerRevision(buffer, outer.start, stop);
    else if (outer.field === 2) kvs.push(keyValue(buffer, outer.start, stop));
    else if (outer.field === 3) more = outer.value !== 0;
    else if (outer.field === 4) count = outer.value;
  }
  return { revision, kvs, more, count };
}

/**
 * @param {Buffer} buffer
 * @param {number} start
 * @param {number} end
 */
export function txnAnswer(buffer, start, end) {
  let revision = 0;
  let succeeded = false;
  let responses = 0;
  outer.over(buffer, start, end);
  while (outer.next()) {
    if (outer.field === 1) {
      revision = headerRevision(buffer, outer.start, outer.start + outer.value);
    } else if (outer.field === 2) succeeded = outer.value !== 0;
    else if (outer.field === 3) responses++;
  }
  return { revision, succeeded, responses };
}

/**
 * @param {Buffer} buffer
 * @param {number} start
 * @param {number} end
 */
export function leaseAnswer(buffer, start, end) {
  let id = 0;
  let ttlSeconds = 0;
  outer.over(buffer, start, end);
  while (outer.next()) {
    if (outer.field === 2) id = outer.value;
    else if (outer.field === 3) ttlSeconds = outer.value;
  }
  return { id, ttlSeconds };
}

/**
 * Calls back for every event of one watch answer and returns the rest of it.
 * @param {Buffer} buffer
 * @param {number} start
 * @param {number} end
 * @param {(watchId: number, kv: KeyValue) => void} onPut
 */
export function watchAnswer(buffer, start, end, onPut) {
  let watchId = 0;
  let created = false;
  let canceled = false;
  outer.over(buffer, start, end);
  while (outer.next()) {
    if (outer.field === 2) watchId = outer.value;
    else if (outer.field === 3) created = outer.value !== 0;
    else if (outer.field === 4) canceled = outer.value !== 0;
    else if (outer.field === 11) onPut(watchId, putEvent(buffer, outer.start, outer.value));
  }
  return { watchId, created, canceled };
}

/**
 * @param {Buffer} buffer
 * @param {number} start
 * @param {number} length
 */
function putEvent(buffer, start, length) {
  inner.over(buffer, start, start + length);
  while (inner.next()) {
    if (inner.field === 1 && inner.value !== 0) throw new Error('watch: an event that is no put');
    if (inner.field === 2) return keyValue(buffer, inner.start, inner.start + inner.value);
  }
  throw new Error('watch: an event without a key');
}
