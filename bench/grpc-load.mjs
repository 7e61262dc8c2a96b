// Closed-loop gRPC loads of unary requests: put, range, compare-and-set, and the filling of a
// store. Every answer is checked: each revision is given to one put only and grows along a slot, a
// range brings exactly the stored bytes, a compare-and-set succeeds, and what was acknowledged last
// is read back when the run is over.
// It refuses to know how frames and windows work.

import { Call, Http2Connection } from './wire/http2.mjs';
import {
  answerRevision,
  compareAndSetRequest,
  PUT,
  putRequest,
  RANGE,
  rangeAnswer,
  rangeRequest,
  TXN,
  txnAnswer,
} from './wire/messages.mjs';

/** @typedef {import('./run.mjs').Run} Run */

const RANGE_KEYS = 10_000;
const KEYS_PER_SLOT = 100;
const REVISIONS_MAX = 1 << 27;
const REVISIONS_OUT_OF_ORDER_MAX = 100_000;
const PREPARE_IN_FLIGHT = 50;

/** @param {number} index */
export function benchKey(index) {
  return `bench/${String(index).padStart(10, '0')}`;
}

/**
 * The value belongs to its key, so that an answer with another key's value is noticed.
 * @param {number} index
 * @param {number} bytes
 */
export function benchValue(index, bytes) {
  return String(index)
    .padStart(10, '0')
    .repeat(Math.ceil(bytes / 10))
    .slice(0, bytes);
}

/**
 * Spread over the servers, when there are several.
 * @param {Run} run
 * @param {number} count
 */
export async function openConnections(run, count) {
  const { host, ports, security } = run.options;
  /** @type {Http2Connection[]} */
  const connections = [];
  for (let i = 0; i < count; i++) {
    const port = ports[i % ports.length];
    connections.push(await Http2Connection.open({ host, port, onFailure: run.fail, ...security }));
  }
  return connections;
}

/**
 * One request outside the measurement.
 * @template T
 * @param {Http2Connection} connection
 * @param {string} path
 * @param {Uint8Array} message
 * @param {(buffer: Buffer, start: number, end: number) => T} decode
 * @returns {Promise<T>}
 */
export function request(connection, path, message, decode) {
  return new Promise((resolve, reject) => {
    /** @type {T[]} */
    const answers = [];
    const call = new Call(
      (buffer, start, end) => answers.push(decode(buffer, start, end)),
      () => {
        const [answer] = answers;
        if (call.status === 0 && answers.length === 1 && answer !== undefined) resolve(answer);
        else reject(new Error(`${path}: status ${call.status} ${call.statusMessage}`));
      },
    );
    connection.unary(call, path, message);
  });
}

/**
 * Runs `task` for 0..count-1, some at a time.
 * @param {number} count
 * @param {(index: number) => Promise<unknown>} task
 */
export async function each(count, task) {
  for (let from = 0; from < count; from += PREPARE_IN_FLIGHT) {
    const length = Math.min(PREPARE_IN_FLIGHT, count - from);
    await Promise.all(Array.from({ length }, (_, i) => task(from + i)));
  }
}

/** Notices a revision that two puts were given. */
class RevisionSet {
  /** @type {number | null} A little below the first revision seen: slots answer out of order. */
  #base = null;
  #seen = new Uint8Array(1 << 20);

  /** @param {number} revision */
  add(revision) {
    this.#base ??= Math.max(0, revision - REVISIONS_OUT_OF_ORDER_MAX);
    const at = revision - this.#base;
    if (at < 0 || at >= REVISIONS_MAX) return false;
    if (at >= this.#seen.length) {
      const larger = new Uint8Array(Math.max(this.#seen.length * 2, at + 1));
      larger.set(this.#seen);
      this.#seen = larger;
    }
    if (this.#seen[at] !== 0) return false;
    this.#seen[at] = 1;
    return true;
  }
}

/**
 * What a slot sends next and how it judges the answer. `check` returns null when the answer is
 * right.
 * @typedef {{ path: string, next: () => Uint8Array,
 *   check: (buffer: Buffer, start: number, end: number) => string | null }} Script
 */

/**
 * A slot: one request in flight, the next one as soon as the answer is complete.
 * @param {Run} run
 * @param {Http2Connection} connection
 * @param {Script} script
 */
function startSlot(run, connection, script) {
  let startedAt = 0;
  const { path } = script;
  const call = new Call(
    (buffer, start, end) => {
      const problem = script.check(buffer, start, end);
      if (problem !== null) run.fault('wrong', problem);
    },
    () => {
      if (call.status !== 0) run.fault('error', `status ${call.status} ${call.statusMessage}`);
      else if (call.messages !== 1) run.fault('wrong', `${call.messages} messages in an answer`);
      else run.completed(startedAt);
      send();
    },
  );
  const send = () => {
    if (run.stopping) {
      run.slotStopped();
      return;
    }
    const message = script.next();
    startedAt = performance.now();
    connection.unary(call, path, message);
  };
  run.slotStarted();
  send();
}

/**
 * @param {Run} run
 * @param {{ connections: number, streams: number }} shape
 * @param {(slot: number) => Script} script
 */
async function closedLoop(run, { connections: count, streams }, script) {
  const connections = await openConnections(run, count);
  const result = await run.measure(() => {
    for (let slot = 0; slot < count * streams; slot++) {
      startSlot(run, connections[slot % count], script(slot));
    }
  });
  return { connections, result };
}

/**
 * @param {Http2Connection[]} connections
 */
function closeAll(connections) {
  for (const connection of connections) connection.close();
}

/**
 * Each slot overwrites its own hundred keys in turn.
 * @param {Run} run
 * @param {{ connections: number, streams: number, valueBytes: number }} shape
 */
export async function putLoad(run, shape) {
  const revisions = new RevisionSet();
  /** @type {{ index: number, revision: number }[]} The last acknowledged put of each slot. */
  const last = [];
  const { connections, result } = await closedLoop(run, shape, (slot) => {
    const messages = Array.from({ length: KEYS_PER_SLOT }, (_, i) => {
      const index = slot * KEYS_PER_SLOT + i;
      return putRequest({ key: benchKey(index), value: benchValue(index, shape.valueBytes) });
    });
    let turn = 0;
    const mine = { index: 0, revision: 0 };
    last.push(mine);
    return {
      path: PUT,
      next: () => messages[turn++ % KEYS_PER_SLOT],
      check: (buffer, start, end) => {
        const revision = answerRevision(buffer, start, end);
        if (revision <= mine.revision) return `revision ${revision} after ${mine.revision}`;
        mine.index = slot * KEYS_PER_SLOT + ((turn - 1) % KEYS_PER_SLOT);
        mine.revision = revision;
        return revisions.add(revision) ? null : `revision ${revision} given twice`;
      },
    };
  });
  const [connection] = connections;
  await each(last.length, async (slot) => {
    const { index, revision } = last[slot];
    const key = benchKey(index);
    const stored = await request(connection, RANGE, rangeRequest({ key }), rangeAnswer);
    const kv = stored.kvs[0];
    if (kv?.modRevision !== revision || kv.value !== benchValue(index, shape.valueBytes)) {
      run.fault('wrong', `${key} acknowledged at ${revision}, stored at ${kv?.modRevision}`);
    }
  });
  closeAll(connections);
  return result;
}

/**
 * Each slot changes its own key again and again, on condition that nobody else did.
 * @param {Run} run
 * @param {{ connections: number, streams: number, valueBytes: number }} shape
 */
export async function txnLoad(run, shape) {
  const slots = shape.connections * shape.streams;
  const [first] = await openConnections(run, 1);
  /** @type {number[]} */
  const modRevisions = [];
  await each(slots, async (slot) => {
    const message = putRequest({ key: benchKey(slot), value: 'to be changed' });
    modRevisions[slot] = await request(first, PUT, message, answerRevision);
  });
  first.close();
  const { connections, result } = await closedLoop(run, shape, (slot) => {
    const key = benchKey(slot);
    const value = benchValue(slot, shape.valueBytes);
    return {
      path: TXN,
      next: () => compareAndSetRequest({ key, value, modRevision: modRevisions[slot] }),
      check: (buffer, start, end) => {
        const { revision, succeeded, responses } = txnAnswer(buffer, start, end);
        if (!succeeded || responses !== 1) return `compare-and-set at ${modRevisions[slot]} failed`;
        if (revision <= modRevisions[slot]) return `revision ${revision} did not grow`;
        modRevisions[slot] = revision;
        return null;
      },
    };
  });
  closeAll(connections);
  return result;
}

/**
 * Reads `keys` neighbouring keys from a random place of a store of ten thousand. An answer is
 * decoded and compared field by field once; later answers must have the same bytes.
 * @param {Run} run
 * @param {{ connections: number, streams: number, valueBytes: number, keys: number,
 *   serializable: boolean }} shape
 */
export async function rangeLoad(run, shape) {
  const { keys, serializable, valueBytes } = shape;
  const [first] = await openConnections(run, 1);
  await each(RANGE_KEYS, (index) => {
    const message = putRequest({ key: benchKey(index), value: benchValue(index, valueBytes) });
    return request(first, PUT, message, answerRevision);
  });
  first.close();
  const places = Math.floor(RANGE_KEYS / keys);
  const messages = Array.from({ length: places }, (_, place) =>
    rangeRequest({
      key: benchKey(place * keys),
      ...(keys > 1 ? { rangeEnd: benchKey((place + 1) * keys) } : {}),
      serializable,
    }),
  );
  /** @type {(Buffer | undefined)[]} */
  const verified = new Array(places);
  let seed = 1;
  const { connections, result } = await closedLoop(run, shape, () => {
    let place = 0;
    return {
      path: RANGE,
      next: () => {
        seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
        place = (seed >>> 8) % places;
        return messages[place];
      },
      check: (buffer, start, end) => {
        const known = verified[place];
        if (known?.compare(buffer, start, end) === 0) return null;
        const problem = wrongRange(rangeAnswer(buffer, start, end), place * keys, shape);
        if (problem === null) verified[place] = Buffer.from(buffer.subarray(start, end));
        return problem;
      },
    };
  });
  closeAll(connections);
  return result;
}

/**
 * @param {ReturnType<typeof rangeAnswer>} answer
 * @param {number} from
 * @param {{ keys: number, valueBytes: number }} shape
 */
function wrongRange(answer, from, { keys, valueBytes }) {
  if (answer.count !== keys || answer.kvs.length !== keys || answer.more) {
    return `range at ${from}: ${answer.kvs.length} keys, count ${answer.count}`;
  }
  for (const [i, kv] of answer.kvs.entries()) {
    const right =
      kv.key === benchKey(from + i) &&
      kv.value === benchValue(from + i, valueBytes) &&
      kv.modRevision > 0 &&
      kv.modRevision <= answer.revision &&
      kv.version > 0;
    if (!right) return `range at ${from}: key ${i} is ${kv.key}, revision ${kv.modRevision}`;
  }
  return null;
}

// Values that no engine can compress: pieces of one block that repeats nothing.
const NOISE_BYTES = 1 << 20;
const NOISE_STEP = 4099;
/** @type {Buffer | null} */
let noise = null;

/**
 * The same bytes for the same index in every process.
 * @param {number} index
 * @param {number} bytes at most half a MiB
 */
export function noiseValue(index, bytes) {
  if (noise === null) {
    noise = Buffer.alloc(NOISE_BYTES);
    let state = 1;
    for (let at = 0; at < NOISE_BYTES; at += 4) {
      // xorshift32
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      noise.writeInt32LE(state, at);
    }
  }
  const from = (index * NOISE_STEP) % (NOISE_BYTES - bytes);
  return noise.subarray(from, from + bytes);
}

/**
 * Puts `count` different keys, once each.
 * @param {Run} run
 * @param {{ connections: number, streams: number, valueBytes: number, noise?: boolean }} shape
 *   With `noise` the values cannot be compressed.
 */
export async function fillLoad(run, shape) {
  const revisions = new RevisionSet();
  let index = 0;
  const { connections, result } = await closedLoop(run, shape, () => ({
    path: PUT,
    next: () => {
      const value = (shape.noise ? noiseValue : benchValue)(index, shape.valueBytes);
      const message = putRequest({ key: benchKey(index), value });
      index++;
      return message;
    },
    check: (buffer, start, end) => {
      const revision = answerRevision(buffer, start, end);
      return revisions.add(revision) ? null : `revision ${revision} given twice`;
    },
  }));
  const count = await storedKeys(connections[0]);
  if (count !== index) run.fault('wrong', `${index} keys put, ${count} stored`);
  closeAll(connections);
  return result;
}

/** @param {Http2Connection} connection */
export async function storedKeys(connection) {
  const message = rangeRequest({ key: 'bench/', rangeEnd: 'bench0', countOnly: true });
  const { count } = await request(connection, RANGE, message, rangeAnswer);
  return count;
}
