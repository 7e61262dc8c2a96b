// How long a cluster is without a leader, and without an acknowledged write, when its leader is
// killed. This file refuses to know what is good.

import { performance } from 'node:perf_hooks';
import { until } from '../../compat/servers.ts';
import { Api } from './api.ts';
import type { Cluster } from './cluster.ts';
import type { Member } from './member.ts';

// Short, for a write that began before there was a leader may wait for one that never hears of it.
const PUT_MS_MAX = 500;
const PUT_EVERY_MS = 10;
const OUTAGE_MS_MAX = 30_000;
const HEARD_OF = 3;

/** Milliseconds from the kill on. */
export interface Outage {
  /** Until a survivor said that it leads. */
  readonly leaderMs: number;
  /** Until a write that began after the kill was acknowledged. */
  readonly writeMs: number;
}

export interface Spread {
  readonly median: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** Kills the leader, measures, and brings the killed one back. */
export async function measureOutage(cluster: Cluster): Promise<Outage> {
  const leader = await settled(cluster);
  const survivors = cluster.followersOf(leader);
  const dead = leader.kill();
  const killedAt = performance.now();
  const [writeMs, leaderMs] = await Promise.all([
    firstWrite(survivors, killedAt),
    firstLeader(cluster, killedAt),
  ]);
  await dead;
  await cluster.restart(leader);
  return { leaderMs, writeMs };
}

/** The leader of a cluster in which a write through every member comes back at once. */
async function settled(cluster: Cluster): Promise<Member> {
  for (let i = 0; i < HEARD_OF; i++) {
    for (const member of cluster.members) {
      const write = async () =>
        (await member.api.call('KV/Put', put('settled'))).ok ? true : null;
      await until(`${member.name} takes a write`, write, OUTAGE_MS_MAX);
    }
  }
  return cluster.leader();
}

/** Writes begin all the time, for one that begins without a leader may wait long for an answer. */
async function firstWrite(survivors: readonly Member[], killedAt: number): Promise<number> {
  const apis = survivors.map((member) => new Api(member.endpoint, PUT_MS_MAX));
  let acknowledgedAt: number | null = null;
  let begun = 0;
  const begin = () => {
    const api = apis[begun % apis.length];
    begun += 1;
    api?.call('KV/Put', put(`outage/${begun}`)).then(({ ok }) => {
      if (ok) acknowledgedAt ??= performance.now();
    }, reject);
  };
  let failure: unknown = null;
  const reject = (error: unknown) => {
    failure = error;
  };
  const timer = setInterval(begin, PUT_EVERY_MS);
  try {
    const done = () => {
      if (failure !== null) throw failure;
      return acknowledgedAt;
    };
    return (await until('a write after the kill', done, OUTAGE_MS_MAX)) - killedAt;
  } finally {
    clearInterval(timer);
    for (const api of apis) api.close();
  }
}

async function firstLeader(cluster: Cluster, killedAt: number): Promise<number> {
  await cluster.leader(OUTAGE_MS_MAX);
  return performance.now() - killedAt;
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => {
    const i = Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1);
    return Math.round(sorted[Math.max(0, i)] ?? 0);
  };
  return { median: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}

function put(key: string) {
  return { key: Buffer.from(key), value: Buffer.from('x') };
}
