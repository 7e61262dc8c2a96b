// Closed-loop loads on the JSON gateway: put and range, one request in flight per connection.
// Checked: HTTP status 200; a put's revision grows along its connection and is read back at the
// end; a range brings the stored key and value. An answer is parsed and compared once; later
// answers to the same question must be the same text.
// It refuses to know how HTTP answers are delimited.

import { benchKey, benchValue, each, openConnections, request } from './grpc-load.mjs';
import { Http1Connection, httpPost } from './wire/http1.mjs';
import {
  answerRevision,
  PUT,
  putRequest,
  RANGE,
  rangeAnswer,
  rangeRequest,
} from './wire/messages.mjs';

/** @typedef {import('./run.mjs').Run} Run */

const KEYS_PER_CONNECTION = 100;
const RANGE_KEYS = 1_000;

/** @param {string} text */
function base64(text) {
  return Buffer.from(text, 'latin1').toString('base64');
}

/**
 * @typedef {{ next: () => Uint8Array, check: (body: string) => string | null }} Script
 */

/**
 * @param {Run} run
 * @param {number} count
 * @param {(connection: number) => Script} script
 */
async function closedLoop(run, count, script) {
  const { host, ports } = run.options;
  /** @type {{ connection: Http1Connection, send: () => void }[]} */
  const slots = [];
  for (let i = 0; i < count; i++) {
    const { next, check } = script(i);
    let startedAt = 0;
    const connection = await Http1Connection.open({
      host,
      port: ports[i % ports.length],
      onFailure: run.fail,
      onAnswer: (status, body) => {
        const problem = status === 200 ? check(body) : null;
        if (status !== 200) run.fault('error', `HTTP ${status} ${body.slice(0, 200)}`);
        else if (problem !== null) run.fault('wrong', problem);
        else run.completed(startedAt);
        send();
      },
    });
    const send = () => {
      if (run.stopping) {
        run.slotStopped();
        return;
      }
      startedAt = performance.now();
      connection.send(next());
    };
    slots.push({ connection, send });
  }
  const result = await run.measure(() => {
    for (const { send } of slots) {
      run.slotStarted();
      send();
    }
  });
  for (const { connection } of slots) connection.close();
  return result;
}

/** @param {Run} run */
function hostHeader(run) {
  return `${run.options.host}:${run.options.ports[0]}`;
}

/**
 * @param {Run} run
 * @param {{ connections: number, valueBytes: number }} shape
 */
export async function jsonPutLoad(run, { connections, valueBytes }) {
  const host = hostHeader(run);
  /** @type {{ index: number, revision: number }[]} */
  const last = [];
  const result = await closedLoop(run, connections, (slot) => {
    const requests = Array.from({ length: KEYS_PER_CONNECTION }, (_, i) => {
      const index = slot * KEYS_PER_CONNECTION + i;
      const key = base64(benchKey(index));
      const body = `{"key":"${key}","value":"${base64(benchValue(index, valueBytes))}"}`;
      return httpPost({ path: '/v3/kv/put', body, host });
    });
    let turn = 0;
    const mine = { index: 0, revision: 0 };
    last.push(mine);
    return {
      next: () => requests[turn++ % KEYS_PER_CONNECTION],
      check: (body) => {
        const revision = Number(JSON.parse(body).header.revision);
        if (!(revision > mine.revision)) return `revision ${revision} after ${mine.revision}`;
        mine.index = slot * KEYS_PER_CONNECTION + ((turn - 1) % KEYS_PER_CONNECTION);
        mine.revision = revision;
        return null;
      },
    };
  });
  const [connection] = await openConnections(run, 1);
  await each(last.length, async (slot) => {
    const { index, revision } = last[slot];
    const key = benchKey(index);
    const { kvs } = await request(connection, RANGE, rangeRequest({ key }), rangeAnswer);
    if (kvs[0]?.modRevision !== revision || kvs[0].value !== benchValue(index, valueBytes)) {
      run.fault('wrong', `${key} acknowledged at ${revision}, stored at ${kvs[0]?.modRevision}`);
    }
  });
  connection.close();
  return result;
}

/**
 * @param {Run} run
 * @param {{ connections: number, valueBytes: number }} shape
 */
export async function jsonRangeLoad(run, { connections, valueBytes }) {
  const host = hostHeader(run);
  const [first] = await openConnections(run, 1);
  await each(RANGE_KEYS, (index) => {
    const message = putRequest({ key: benchKey(index), value: benchValue(index, valueBytes) });
    return request(first, PUT, message, answerRevision);
  });
  first.close();
  const requests = Array.from({ length: RANGE_KEYS }, (_, index) =>
    httpPost({ path: '/v3/kv/range', body: `{"key":"${base64(benchKey(index))}"}`, host }),
  );
  /** @type {(string | undefined)[]} */
  const verified = new Array(RANGE_KEYS);
  let seed = 1;
  return closedLoop(run, connections, () => {
    let index = 0;
    return {
      next: () => {
        seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
        index = (seed >>> 8) % RANGE_KEYS;
        return requests[index];
      },
      check: (body) => {
        if (body === verified[index]) return null;
        const { kvs, count } = JSON.parse(body);
        const right =
          count === '1' &&
          kvs.length === 1 &&
          kvs[0].key === base64(benchKey(index)) &&
          kvs[0].value === base64(benchValue(index, valueBytes)) &&
          Number(kvs[0].mod_revision) > 0;
        if (!right) return `range of ${benchKey(index)}: ${body.slice(0, 300)}`;
        verified[index] = body;
        return null;
      },
    };
  });
}
