// gRPC loads over streams: lease keep-alive and watch fan-out.
// Checked: a keep-alive answer names the leases in the order asked, with their full time to live;
// every watcher sees every put once, in order, with the writer's value and the revision the writer
// was given. It refuses to know how frames and windows work.

import { each, openConnections, request } from './grpc-load.mjs';
import { Call } from './wire/http2.mjs';
import {
  answerRevision,
  LEASE_GRANT,
  LEASE_KEEP_ALIVE,
  leaseAnswer,
  leaseGrantRequest,
  leaseKeepAliveRequest,
  PUT,
  putRequest,
  WATCH,
  watchAnswer,
  watchCreateRequest,
} from './wire/messages.mjs';

/** @typedef {import('./run.mjs').Run} Run */

const LEASE_TTL_SECONDS = 3600;
const WATCHED_KEY = 'bench-watched';
const WATCHES_READY_MS_MAX = 10_000;

/**
 * One keep-alive stream per connection, with `streams` questions in flight on it: as many leases.
 * @param {Run} run
 * @param {{ connections: number, streams: number }} shape
 */
export async function keepAliveLoad(run, shape) {
  const connections = await openConnections(run, shape.connections);
  // Fresh ids for every run: leases of the run before may still exist.
  const base = (Date.now() % 1_000_000_000) * 10_000 + 1;
  const grant = (/** @type {number} */ i) =>
    request(
      connections[0],
      LEASE_GRANT,
      leaseGrantRequest({ id: base + i, ttlSeconds: LEASE_TTL_SECONDS }),
      leaseAnswer,
    );
  await each(shape.connections * shape.streams, grant);
  const result = await run.measure(() => {
    for (const [i, connection] of connections.entries()) {
      const ids = Array.from({ length: shape.streams }, (_, j) => base + i * shape.streams + j);
      keepAliveStream(run, connection, ids);
    }
  });
  for (const connection of connections) connection.close();
  return result;
}

/**
 * @param {Run} run
 * @param {import('./wire/http2.mjs').Http2Connection} connection
 * @param {number[]} ids
 */
function keepAliveStream(run, connection, ids) {
  const messages = ids.map(leaseKeepAliveRequest);
  const startedAt = ids.map(() => performance.now());
  let turn = 0;
  const call = new Call(
    (buffer, start, end) => {
      const slot = turn++ % ids.length;
      const { id, ttlSeconds } = leaseAnswer(buffer, start, end);
      if (id === ids[slot] && ttlSeconds === LEASE_TTL_SECONDS) run.completed(startedAt[slot]);
      else run.fault('wrong', `lease ${id} lives ${ttlSeconds}, expected lease ${ids[slot]}`);
      if (run.stopping) {
        run.slotStopped();
        return;
      }
      startedAt[slot] = performance.now();
      connection.send(call, messages[slot]);
    },
    () => run.fail(new Error(`keep-alive stream ended: ${call.status} ${call.statusMessage}`)),
  );
  for (const _ of ids) run.slotStarted();
  connection.stream(call, LEASE_KEEP_ALIVE, messages[0]);
  for (const message of messages.slice(1)) connection.send(call, message);
}

/**
 * One writer with `inFlight` puts that are not delivered everywhere yet; `watchers` watchers of the
 * one key, spread over one stream on each connection. The latency of a put ends with its last
 * delivery.
 * @param {Run} run
 * @param {{ connections: number, watchers: number, inFlight: number, valueBytes: number }} shape
 */
export async function watchLoad(run, shape) {
  const connections = await openConnections(run, shape.connections);
  const [writer] = await openConnections(run, 1);
  const fanOut = new FanOut(run, writer, shape);
  await Promise.all(connections.map((connection, i) => fanOut.watch(connection, i)));
  const result = await run.measure(() => fanOut.start());
  fanOut.checkAllSeen();
  for (const connection of [...connections, writer]) connection.close();
  return result;
}

/**
 * A put that is under way: which, since when, how many deliveries are missing, and the revision by
 * the writer's answer and by the events (0 while unknown).
 * @typedef {{ number: number, startedAt: number, missing: number, acknowledged: number,
 *   delivered: number }} Put
 */

class FanOut {
  #run;
  #writer;
  #shape;
  #puts = 0;
  /** @type {Map<number, Put>} By the number that is the put's value. */
  #underWay = new Map();
  /** Per watcher: the revision and the count of the events seen. */
  #revisions;
  #seen;

  /**
   * @param {Run} run
   * @param {import('./wire/http2.mjs').Http2Connection} writer
   * @param {{ connections: number, watchers: number, inFlight: number, valueBytes: number }} shape
   */
  constructor(run, writer, shape) {
    this.#run = run;
    this.#writer = writer;
    this.#shape = shape;
    this.#revisions = new Float64Array(shape.watchers);
    this.#seen = new Int32Array(shape.watchers);
  }

  /**
   * Opens one watch stream with its share of the watchers; resolves when all are created.
   * @param {import('./wire/http2.mjs').Http2Connection} connection
   * @param {number} index
   * @returns {Promise<void>}
   */
  watch(connection, index) {
    const share = this.#shape.watchers / this.#shape.connections;
    const first = index * share;
    return new Promise((resolve, reject) => {
      let created = 0;
      const timer = setTimeout(
        () => reject(new Error('watchers not created')),
        WATCHES_READY_MS_MAX,
      );
      const call = new Call(
        (buffer, start, end) => {
          const answer = watchAnswer(buffer, start, end, (watchId, kv) =>
            this.#onEvent(first + watchId - 1, kv),
          );
          if (answer.canceled) this.#run.fail(new Error(`watch ${answer.watchId} cancelled`));
          if (!answer.created) return;
          created++;
          if (created < share) return;
          clearTimeout(timer);
          resolve();
        },
        () => this.#run.fail(new Error(`watch stream ended: ${call.status} ${call.statusMessage}`)),
      );
      // Ids are the client's choice here, and count from 1: 0 would let the server choose.
      connection.stream(call, WATCH, watchCreateRequest({ key: WATCHED_KEY, watchId: 1 }));
      for (let watchId = 2; watchId <= share; watchId++) {
        connection.send(call, watchCreateRequest({ key: WATCHED_KEY, watchId }));
      }
    });
  }

  start() {
    for (let i = 0; i < this.#shape.inFlight; i++) {
      this.#run.slotStarted();
      this.#put();
    }
  }

  #put() {
    const put = {
      number: this.#puts++,
      startedAt: performance.now(),
      missing: this.#shape.watchers,
      acknowledged: 0,
      delivered: 0,
    };
    this.#underWay.set(put.number, put);
    const call = new Call(
      (buffer, start, end) => {
        put.acknowledged = answerRevision(buffer, start, end);
      },
      () => {
        if (call.status !== 0) this.#run.fail(new Error(`put: ${call.statusMessage}`));
        this.#maybeDone(put);
      },
    );
    const value = String(put.number).padStart(this.#shape.valueBytes, '0');
    this.#writer.unary(call, PUT, putRequest({ key: WATCHED_KEY, value }));
  }

  /**
   * This writer is the only one, so revisions are dense: each event must carry the next one. (Puts
   * that are under way together may be applied in any order, so the values need not be in order.)
   * @param {number} watcher
   * @param {import('./wire/messages.mjs').KeyValue} kv
   */
  #onEvent(watcher, kv) {
    const before = this.#revisions[watcher];
    if (before !== 0 && kv.modRevision !== before + 1) {
      this.#run.fault('wrong', `watcher ${watcher}: revision ${kv.modRevision} after ${before}`);
    }
    this.#revisions[watcher] = kv.modRevision;
    this.#seen[watcher]++;
    const put = this.#underWay.get(Number(kv.value));
    if (put === undefined || (put.delivered !== 0 && put.delivered !== kv.modRevision)) {
      this.#run.fault('wrong', `watcher ${watcher}: value ${kv.value} at ${kv.modRevision}`);
      return;
    }
    put.delivered = kv.modRevision;
    put.missing--;
    if (put.missing === 0) this.#maybeDone(put);
  }

  /** @param {Put} put */
  #maybeDone(put) {
    if (put.missing > 0 || put.acknowledged === 0) return;
    this.#underWay.delete(put.number);
    if (put.acknowledged !== put.delivered) {
      const { acknowledged, delivered } = put;
      this.#run.fault('wrong', `acknowledged as ${acknowledged}, delivered as ${delivered}`);
    }
    this.#run.completed(put.startedAt, this.#shape.watchers);
    if (this.#run.stopping) this.#run.slotStopped();
    else this.#put();
  }

  checkAllSeen() {
    const short = this.#seen.findIndex((seen) => seen !== this.#puts);
    if (short < 0) return;
    this.#run.fault('wrong', `watcher ${short} saw ${this.#seen[short]} of ${this.#puts} puts`);
  }
}
