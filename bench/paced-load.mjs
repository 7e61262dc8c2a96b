// A light load at a steady rate, whatever the servers do: one put every so many milliseconds at
// each member, each with a key of its own. Runs until its input ends, then checks that every
// acknowledged put is stored at every member, and prints when each was sent and how long it took.
//   sleep 10 | node bench/paced-load.mjs --ports 2379,22379 --load-ports 2379 --interval 5
// Times are milliseconds of the machine's monotonic clock, which all its processes share.
// A member that does not answer is tried again and again: losing it is no fault here.

import { parseArgs } from 'node:util';
import { each, request } from './grpc-load.mjs';
import { monotonicMs } from './paced.mjs';
import { Call, Http2Connection } from './wire/http2.mjs';
import {
  answerRevision,
  PUT,
  putRequest,
  RANGE,
  rangeAnswer,
  rangeRequest,
} from './wire/messages.mjs';

const HOST = '127.0.0.1';
const VALUE = 'p'.repeat(64);
const OPEN_MS_MAX = 500;
const IN_FLIGHT_MAX = 5_000;
const DRAIN_MS_MAX = 10_000;
const DRAIN_POLL_MS = 10;
const CHECKED_AT_ONCE = 10_000;

/** @typedef {[port: number, sentAt: number, latencyMs: number]} Sample */

/** @type {Sample[]} */
const samples = [];
/** @type {Map<string, number>} Key to revision. */
const acknowledged = new Map();
/** @type {Record<string, number>} */
const refusals = {};
let stopping = false;

/** The puts of one member. */
class Writer {
  inFlight = 0;
  #port;
  #intervalMs;
  #dueAt = monotonicMs();
  #count = 0;
  #opening = false;
  /** @type {Http2Connection | null} */
  #connection = null;

  /**
   * @param {number} port
   * @param {number} intervalMs
   */
  constructor(port, intervalMs) {
    this.#port = port;
    this.#intervalMs = intervalMs;
  }

  async open() {
    this.#opening = true;
    try {
      this.#connection = await Http2Connection.open({
        host: HOST,
        port: this.#port,
        timeoutMs: OPEN_MS_MAX,
        onFailure: () => {
          // Whether these puts were committed nobody will say.
          this.#connection = null;
          this.inFlight = 0;
        },
      });
    } catch {
      // Not there yet: the next tick tries again.
    }
    this.#opening = false;
  }

  /** Sends what is due; what could not be sent in time is left out. */
  async tick() {
    const now = monotonicMs();
    const connection = this.#connection;
    if (connection === null) {
      this.#dueAt = now;
      if (!this.#opening) await this.open();
      return;
    }
    while (this.#dueAt <= now) {
      this.#dueAt += this.#intervalMs;
      if (this.inFlight < IN_FLIGHT_MAX) this.#send(connection);
    }
  }

  /** @param {Http2Connection} connection */
  #send(connection) {
    const key = `paced/${this.#port}/${String(this.#count++).padStart(9, '0')}`;
    const sentAt = monotonicMs();
    let revision = 0;
    const call = new Call(
      (buffer, start, end) => {
        revision = answerRevision(buffer, start, end);
      },
      () => {
        if (this.#connection === connection) this.inFlight--;
        if (call.status === 0 && revision > 0) {
          samples.push([this.#port, sentAt, monotonicMs() - sentAt]);
          acknowledged.set(key, revision);
          return;
        }
        const text = `${call.status} ${call.statusMessage}`;
        refusals[text] = (refusals[text] ?? 0) + 1;
      },
    );
    this.inFlight++;
    connection.unary(call, PUT, putRequest({ key, value: VALUE }));
  }
}

/**
 * How many of the acknowledged puts a member does not hold at the revision it was given.
 * @param {number} port
 */
async function missingAt(port) {
  const connection = await Http2Connection.open({ host: HOST, port, onFailure: fail });
  const keys = [...acknowledged.keys()].sort();
  let missing = 0;
  const parts = Math.ceil(keys.length / CHECKED_AT_ONCE);
  await each(parts, async (part) => {
    const expected = keys.slice(part * CHECKED_AT_ONCE, (part + 1) * CHECKED_AT_ONCE);
    const message = rangeRequest({
      key: expected[0],
      rangeEnd: `${expected[expected.length - 1]}\0`,
      keysOnly: true,
    });
    const { kvs } = await request(connection, RANGE, message, rangeAnswer);
    const stored = new Map(kvs.map(({ key, modRevision }) => [key, modRevision]));
    missing += expected.filter((key) => stored.get(key) !== acknowledged.get(key)).length;
  });
  connection.close();
  return missing;
}

/** @param {Error} error */
function fail(error) {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}

const { values } = parseArgs({
  options: {
    ports: { type: 'string', default: '2379' },
    'load-ports': { type: 'string' },
    interval: { type: 'string', default: '10' },
  },
});
const ports = values.ports.split(',').map(Number);
const loadPorts = values['load-ports']?.split(',').map(Number) ?? ports;
const intervalMs = Number(values.interval);
const writers = loadPorts.map((port) => new Writer(port, intervalMs));

const timer = setInterval(() => {
  for (const writer of writers) writer.tick().catch(fail);
}, intervalMs);

// Also when whoever started this is gone.
process.stdin.resume().once('close', () => {
  stopping = true;
});
while (!stopping) await pause();
clearInterval(timer);
const drainedBy = monotonicMs() + DRAIN_MS_MAX;
while (writers.some(({ inFlight }) => inFlight > 0) && monotonicMs() < drainedBy) await pause();
/** @type {number[]} */
const missing = [];
for (const port of ports) missing.push(await missingAt(port));
const result = { samples, refusals, acknowledged: acknowledged.size, missing };
process.stdout.write(JSON.stringify(result), () => process.exit(0));

/** @returns {Promise<void>} */
function pause() {
  return new Promise((resolve) => {
    setTimeout(resolve, DRAIN_POLL_MS);
  });
}
