// The table of workloads: what each one sends, and what this project promises for it.
// `metric` is the figure that is compared; `target` bounds ours divided by the other server's.

import { fillLoad, putLoad, rangeLoad, txnLoad } from './grpc-load.mjs';
import { jsonPutLoad, jsonRangeLoad } from './json-load.mjs';
import { keepAliveLoad, watchLoad } from './stream-load.mjs';

/**
 * @typedef {import('./run.mjs').Run} Run
 * @typedef {Awaited<ReturnType<Run['measure']>>} Measured
 * @typedef {{ atLeast: number } | { atMost: number } | null} Target
 * @typedef {{ name: string, what: string, metric: 'perSecond' | 'latencyMs.p50', target: Target,
 *   run: (run: Run) => Promise<Measured> }} Workload
 */

const VALUE_BYTES = 64;
const ONE = { connections: 1, streams: 1, valueBytes: VALUE_BYTES };
const SATURATED = { connections: 100, streams: 10, valueBytes: VALUE_BYTES };
const JSON_CONNECTIONS = { connections: 64, valueBytes: VALUE_BYTES };
const WATCHERS = { connections: 10, watchers: 1000, valueBytes: VALUE_BYTES };

/** @type {readonly Workload[]} */
export const WORKLOADS = [
  {
    name: 'put-one',
    what: 'put, 1 client',
    metric: 'latencyMs.p50',
    target: { atMost: 1.1 },
    run: (run) => putLoad(run, ONE),
  },
  {
    name: 'put',
    what: 'put, 100 connections × 10',
    metric: 'perSecond',
    target: { atLeast: 0.5 },
    run: (run) => putLoad(run, SATURATED),
  },
  {
    name: 'range-linearizable',
    what: 'range of 1 key, linearizable, 100 × 10',
    metric: 'perSecond',
    target: { atLeast: 1 },
    run: (run) => rangeLoad(run, { ...SATURATED, keys: 1, serializable: false }),
  },
  {
    name: 'range-serializable',
    what: 'range of 1 key, serializable, 100 × 10',
    metric: 'perSecond',
    target: { atLeast: 1 },
    run: (run) => rangeLoad(run, { ...SATURATED, keys: 1, serializable: true }),
  },
  {
    name: 'txn',
    what: 'compare-and-set, 100 × 10',
    metric: 'perSecond',
    target: null,
    run: (run) => txnLoad(run, SATURATED),
  },
  {
    name: 'range-1000',
    what: 'range of 1 000 keys, linearizable, 16 × 1',
    metric: 'perSecond',
    target: null,
    run: (run) =>
      rangeLoad(run, {
        connections: 16,
        streams: 1,
        valueBytes: VALUE_BYTES,
        keys: 1000,
        serializable: false,
      }),
  },
  {
    name: 'lease-keepalive',
    what: 'lease keep-alive, 100 streams × 10 leases',
    metric: 'perSecond',
    target: null,
    run: (run) => keepAliveLoad(run, SATURATED),
  },
  {
    name: 'watch-fan-out',
    what: 'watch, 1 writer with 1 put under way, 1 000 watchers (latency: put to last delivery)',
    metric: 'latencyMs.p50',
    target: null,
    run: (run) => watchLoad(run, { ...WATCHERS, inFlight: 1 }),
  },
  {
    name: 'watch-fan-out-16',
    what: 'the same with 16 puts under way (per second: events)',
    metric: 'perSecond',
    target: null,
    run: (run) => watchLoad(run, { ...WATCHERS, inFlight: 16 }),
  },
  {
    name: 'json-put',
    what: 'JSON put, 64 connections',
    metric: 'perSecond',
    target: { atLeast: 2 },
    run: (run) => jsonPutLoad(run, JSON_CONNECTIONS),
  },
  {
    name: 'json-range',
    what: 'JSON range of 1 key, 64 connections',
    metric: 'perSecond',
    target: { atLeast: 2 },
    run: (run) => jsonRangeLoad(run, JSON_CONNECTIONS),
  },
];

/** What a cluster is loaded with beside some of the above; see cluster-workloads.mjs. */
export const CLUSTER_LOADS = [
  {
    name: 'range-one',
    run: (/** @type {Run} */ run) => rangeLoad(run, { ...ONE, keys: 1, serializable: false }),
  },
];

/** Fills a store with values of 8 KiB that cannot be compressed; run with a count. */
export const FILL_LARGE = {
  name: 'fill-large',
  valueBytes: 8192,
  run: (/** @type {Run} */ run) =>
    fillLoad(run, { connections: 16, streams: 4, valueBytes: FILL_LARGE.valueBytes, noise: true }),
};

/** Fills a store with small keys; run with a count. Not compared itself: see lifecycle.mjs. */
export const FILL = {
  name: 'fill',
  run: (/** @type {Run} */ run) => fillLoad(run, { ...SATURATED, valueBytes: 16 }),
};
