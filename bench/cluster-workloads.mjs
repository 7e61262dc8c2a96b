// The table of loads on three members: which load of the generator, where it arrives, and what this
// project promises for it.

/**
 * @typedef {{ name: string, what: string, load: string, at: 'leader' | 'follower' | 'all',
 *   metric: 'perSecond' | 'latencyMs.p50', target: import('./workloads.mjs').Target }}
 *   ClusterWorkload
 */

const ONE_CLIENT = { atMost: 1.1 };
const SATURATED_PUT = { atLeast: 0.6 };

/** @type {readonly ClusterWorkload[]} */
export const CLUSTER_WORKLOADS = [
  {
    name: 'put-one-leader',
    what: 'put, 1 client at the leader',
    load: 'put-one',
    at: 'leader',
    metric: 'latencyMs.p50',
    target: ONE_CLIENT,
  },
  {
    name: 'put-one-follower',
    what: 'put, 1 client at a follower',
    load: 'put-one',
    at: 'follower',
    metric: 'latencyMs.p50',
    target: ONE_CLIENT,
  },
  {
    name: 'put-leader',
    what: 'put, 100 connections × 10, at the leader',
    load: 'put',
    at: 'leader',
    metric: 'perSecond',
    target: SATURATED_PUT,
  },
  {
    name: 'put-all',
    what: 'put, 100 connections × 10, over all members',
    load: 'put',
    at: 'all',
    metric: 'perSecond',
    target: SATURATED_PUT,
  },
  {
    name: 'range-one-follower',
    what: 'range of 1 key, linearizable, 1 client at a follower',
    load: 'range-one',
    at: 'follower',
    metric: 'latencyMs.p50',
    target: null,
  },
  {
    name: 'range-follower',
    what: 'range of 1 key, linearizable, 100 × 10, at a follower',
    load: 'range-linearizable',
    at: 'follower',
    metric: 'perSecond',
    target: null,
  },
];
