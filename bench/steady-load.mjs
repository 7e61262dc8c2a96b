// A steady light load on one server: so many puts per second that overwrite a few keys in turn, and
// so many linearizable reads. A latency counts from the moment when a request was due, so a server
// that stands still is seen in every request that had to wait for it.
// Invariant: what was acknowledged last for a key is what `verify` must find there.

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

const IN_FLIGHT_MAX = 5000;
const DRAIN_MS_MAX = 20_000;
const DRAIN_POLL_MS = 10;

/** @param {readonly number[]} latencies milliseconds */
function quantiles(latencies) {
  const sorted = [...latencies].sort((a, b) => a - b);
  const at = (/** @type {number} */ part) =>
    Number((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0).toFixed(3));
  return { count: sorted.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}

/** Requests of one kind, evenly spread over time. */
class Stream {
  latencies = /** @type {number[]} */ ([]);
  #intervalMs;
  #dueAt = monotonicMs();
  #send;

  /**
   * @param {number} perSecond
   * @param {(done: (ok: boolean) => void) => void} send
   */
  constructor(perSecond, send) {
    this.#intervalMs = 1000 / perSecond;
    this.#send = send;
  }

  /** @param {boolean} hasRoom what was due without room is left out */
  tick(hasRoom) {
    for (const now = monotonicMs(); this.#dueAt <= now; this.#dueAt += this.#intervalMs) {
      const dueAt = this.#dueAt;
      if (!hasRoom) continue;
      this.#send((ok) => {
        if (ok) this.latencies.push(monotonicMs() - dueAt);
      });
    }
  }

  take() {
    const { latencies } = this;
    this.latencies = [];
    return quantiles(latencies);
  }
}

export class SteadyLoad {
  acknowledged = 0;
  unanswered = 0;
  /** @type {Record<string, number>} */
  refusals = {};
  #host;
  #port;
  #keys;
  /** @type {readonly string[]} Values that do not compress, told apart by what goes before them. */
  #values;
  #count = 0;
  #inFlight = 0;
  /** @type {Http2Connection | null} */
  #connection = null;
  /** @type {Map<string, number>} */
  #last = new Map();
  #puts;
  #reads;

  /**
   * @param {{ host: string, port: number, keys: number, values: readonly string[],
   *   putsPerSecond: number, readsPerSecond: number }} options
   */
  constructor({ host, port, keys, values, putsPerSecond, readsPerSecond }) {
    this.#host = host;
    this.#port = port;
    this.#keys = keys;
    this.#values = values;
    this.#puts = new Stream(putsPerSecond, (done) => this.#put(done));
    this.#reads = new Stream(readsPerSecond, (done) => this.#read(done));
  }

  async open() {
    this.#connection = await Http2Connection.open({
      host: this.#host,
      port: this.#port,
      onFailure: (error) => this.#refused(`connection: ${error.message}`),
    });
  }

  /** Called every few milliseconds. */
  tick() {
    const hasRoom = this.#inFlight < IN_FLIGHT_MAX;
    this.#puts.tick(hasRoom);
    this.#reads.tick(hasRoom);
  }

  /** What was answered since the last call. */
  take() {
    return { put: this.#puts.take(), range: this.#reads.take() };
  }

  /** Waits for the answers that are still missing, and returns how many never came. */
  async drain() {
    const until = monotonicMs() + DRAIN_MS_MAX;
    while (this.#inFlight > 0 && monotonicMs() < until) {
      await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    }
    this.unanswered = this.#inFlight;
    return this.unanswered;
  }

  /** How many keys do not hold what was acknowledged last. */
  async verify() {
    const connection = await Http2Connection.open({
      host: this.#host,
      port: this.#port,
      onFailure: () => {},
    });
    const keys = [...this.#last.keys()];
    let wrong = 0;
    await each(keys.length, async (i) => {
      const key = keys[i] ?? '';
      const message = rangeRequest({ key });
      const { kvs } = await request(connection, RANGE, message, rangeAnswer);
      if (kvs[0]?.value !== this.#value(this.#last.get(key) ?? -1)) wrong++;
    });
    connection.close();
    return wrong;
  }

  close() {
    this.#connection?.close();
  }

  /** @param {number} count */
  #value(count) {
    return `${String(count).padStart(12, '0')}${this.#values[count % this.#values.length]}`;
  }

  /** @param {(ok: boolean) => void} done */
  #put(done) {
    const count = this.#count++;
    const key = `steady/${String(count % this.#keys).padStart(6, '0')}`;
    this.#call(PUT, putRequest({ key, value: this.#value(count) }), answerRevision, (ok) => {
      if (ok) {
        this.acknowledged++;
        this.#last.set(key, count);
      }
      done(ok);
    });
  }

  /** @param {(ok: boolean) => void} done */
  #read(done) {
    const key = `steady/${String((this.#count * 7919) % this.#keys).padStart(6, '0')}`;
    this.#call(RANGE, rangeRequest({ key }), (...at) => rangeAnswer(...at).revision, done);
  }

  /**
   * @param {string} path
   * @param {Uint8Array} message
   * @param {(buffer: Buffer, start: number, end: number) => number} decode
   * @param {(ok: boolean) => void} done
   */
  #call(path, message, decode, done) {
    let revision = 0;
    const call = new Call(
      (buffer, start, end) => {
        revision = decode(buffer, start, end);
      },
      () => {
        this.#inFlight--;
        const ok = call.status === 0 && revision > 0;
        if (!ok) this.#refused(`${path}: ${call.status} ${call.statusMessage}`);
        done(ok);
      },
    );
    this.#inFlight++;
    this.#connection?.unary(call, path, message);
  }

  /** @param {string} text */
  #refused(text) {
    this.refusals[text] = (this.refusals[text] ?? 0) + 1;
  }
}
