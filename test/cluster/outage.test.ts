// The leader is killed again and again; how long until another leads, and until the next write is
// acknowledged, beside an etcd in the same run, kill by kill in turns. KILLS and SIZE choose the
// run; RESULTS names a file for the figures, such as one in bench/results.

import { expect, it } from 'vitest';
import { type Cluster, withCluster } from './support/cluster.ts';
import { measureOutage, type Outage, spread } from './support/outage.ts';
import { findPrograms, type Program } from './support/programs.ts';
import { writeResults } from './support/results.ts';

const WHAT = 'leader killed with SIGKILL; milliseconds until a survivor leads, and until a write';
const KILLS = Number(process.env['KILLS'] ?? 4);
const SIZE = Number(process.env['SIZE'] ?? 3);
const ELECTION_MS = 1_000;
const KILL_MS_MAX = 40_000;
// One slow election in a hundred, or one in a short run, is chance: two members stood at once.
const SLOW_MAX = Math.max(1, Math.floor(KILLS / 100));
const { tested, others, ctl } = await findPrograms();

interface Side {
  readonly program: Program;
  readonly cluster: Cluster;
  readonly outages: Outage[];
}

it(`has a new leader soon, ${KILLS} times`, { timeout: 60_000 + KILLS * KILL_MS_MAX }, async () => {
  const beside = others.at(-1);
  const programs = beside === undefined ? [tested] : [tested, beside];
  const sides = await withClusters(programs, async (found) => {
    for (let kill = 0; kill < KILLS; kill++) {
      for (const { cluster, outages } of kill % 2 === 0 ? found : found.toReversed()) {
        outages.push(await measureOutage(cluster));
      }
    }
    return found;
  });
  const report = describeSides(sides);
  console.log(JSON.stringify({ ...report, rounds: undefined }, null, 2));
  await writeResults(WHAT, report);
  const slow = sides[0]?.outages.filter(({ leaderMs }) => leaderMs > 2 * ELECTION_MS) ?? [];
  expect(slow.length, JSON.stringify(slow)).toBeLessThanOrEqual(SLOW_MAX);
});

/** All clusters exist all the time, so that a bad minute of the machine falls on each. */
async function withClusters<T>(
  programs: readonly Program[],
  story: (sides: readonly Side[]) => Promise<T>,
  sides: readonly Side[] = [],
): Promise<T> {
  const [program, ...rest] = programs;
  if (program === undefined) return story(sides);
  return withCluster({ ctl }, async (cluster) => {
    await cluster.found(Array.from({ length: SIZE }, () => program));
    return withClusters(rest, story, [...sides, { program, cluster, outages: [] }]);
  });
}

function describeSides(sides: readonly Side[]) {
  const lines = sides.map(({ program: { label, version }, outages }) => ({
    label,
    version,
    leaderMs: spread(outages.map(({ leaderMs }) => leaderMs)),
    writeMs: spread(outages.map(({ writeMs }) => writeMs)),
    withinTwoElectionTimeouts: outages.filter(({ leaderMs }) => leaderMs <= 2 * ELECTION_MS).length,
  }));
  const [ours, other] = lines;
  const ratio = (a = 0, b = 1) => Math.round((a / b) * 100) / 100;
  return {
    members: SIZE,
    kills: KILLS,
    electionTimeoutMs: ELECTION_MS,
    sides: lines,
    ratio: {
      leaderMedian: ratio(ours?.leaderMs.median, other?.leaderMs.median),
      writeMedian: ratio(ours?.writeMs.median, other?.writeMs.median),
      writeP99: ratio(ours?.writeMs.p99, other?.writeMs.p99),
    },
    rounds: sides.map(({ outages }) => outages),
  };
}
