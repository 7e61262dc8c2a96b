// Compares two etcd implementations as clusters of three members and writes the figures as JSON and
// as tables, as compare.mjs does for single servers.
//   node bench/compare-cluster.mjs [--ours CMD] [--other CMD] [--rounds 3] [--only put-leader,...]
// For every load both clusters are founded on empty data and loaded in turns; only one is loaded at
// a time. A catch-up and a row of kills have a cluster of their own, one after the other.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { measureCatchUp } from './catch-up.mjs';
import { Cluster } from './cluster.mjs';
import { CLUSTER_WORKLOADS } from './cluster-workloads.mjs';
import { generate } from './generate.mjs';
import { measureLeaderKills } from './leader-kill.mjs';
import { describeProfile, profileWritten } from './profile.mjs';
import {
  costTable,
  figure,
  line,
  markdownTable,
  memberTable,
  runText,
  spread,
  strangers,
} from './report.mjs';
import { assertRealDisk } from './server.mjs';
import {
  inTurns,
  machine,
  machineText,
  PROGRAMS,
  say,
  side,
  whenCalm,
  withProfiler,
  writeResults,
} from './sides.mjs';

const STRANGERS_CORES_MAX = 0.2;
/** Two of etcd's default election timeouts. */
const OUTAGE_MS_MAX = 2000;
const EVENTS = ['catch-up', 'leader-kill'];
const NAMES = [...CLUSTER_WORKLOADS.map(({ name }) => name), ...EVENTS];
/** Enough to see that everything works; such figures say nothing. */
const QUICK = {
  ...{ rounds: '1', seconds: '1', warmup: '0.5', kills: '2' },
  ...{ 'kill-rounds': '1', 'catch-up-mib': '100', 'catch-up-before': '2' },
};

const { values: given } = parseArgs({
  options: {
    ours: { type: 'string', default: PROGRAMS.ours },
    other: { type: 'string', default: PROGRAMS.other },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    warmup: { type: 'string' },
    only: { type: 'string' },
    kills: { type: 'string' },
    'kill-rounds': { type: 'string' },
    'catch-up-mib': { type: 'string' },
    'catch-up-rounds': { type: 'string', default: '1' },
    'catch-up-before': { type: 'string' },
    dir: { type: 'string', default: tmpdir() },
    out: { type: 'string' },
    label: { type: 'string' },
    profile: { type: 'boolean', default: false },
    calm: { type: 'string' },
    quick: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const DEFAULTS = {
  ...{ rounds: '3', seconds: '5', warmup: '2', kills: '10' },
  ...{ 'kill-rounds': '2', 'catch-up-mib': '1024', 'catch-up-before': '10' },
};
const values = { ...(given.quick ? QUICK : DEFAULTS), ...given };
const calmCores = values.calm === undefined ? null : Number(values.calm);

/**
 * @typedef {import('./sides.mjs').Side} Side
 * @typedef {ReturnType<typeof line>} Line
 * @typedef {import('./report.mjs').MemberFigures} MemberFigures
 * @typedef {import('./run.mjs').RunResult & MemberFigures} ClusterResult
 * @typedef {{ name: string, lines: Line[], sides: { label: string, rounds: object[] }[],
 *   profile?: string }} Outcome
 */

/**
 * One round of a load on one cluster.
 * @param {import('./cluster-workloads.mjs').ClusterWorkload} workload
 * @param {Cluster} cluster
 * @param {boolean} profiled
 * @returns {Promise<ClusterResult>}
 */
async function measureLoad({ name, load, at }, cluster, profiled) {
  const { leader, followers, term } = await cluster.roles();
  const toggleProfile = () => {
    for (const member of cluster.members) member.signal('SIGUSR2');
  };
  if (profiled) toggleProfile();
  const target = at === 'follower' ? followers[0] : leader;
  const result = await generate({
    workload: load,
    server: target,
    others: cluster.members.filter((member) => member !== target),
    spread: at === 'all',
    seconds: Number(values.seconds),
    warmupSeconds: Number(values.warmup),
  });
  if (profiled) toggleProfile();
  const { term: termAfter } = await cluster.roles();
  // The generator knows the members as loaded ones first; the reader wants the leader first.
  const inOrder = [target, ...cluster.members.filter((member) => member !== target)];
  const members = [leader, ...followers].map((member) => ({
    label: member.label,
    cpuSeconds: result.serversCpuSeconds[inOrder.indexOf(member)],
    memoryMib: member.memory(),
  }));
  say(runText(name, cluster.label, result));
  return { ...result, members, elections: termAfter - term };
}

/**
 * @param {import('./cluster-workloads.mjs').ClusterWorkload} workload
 * @param {readonly Side[]} sides
 * @param {string} parent
 * @returns {Promise<Outcome>}
 */
async function compareLoad(workload, sides, parent) {
  const { name, what, target, metric } = workload;
  const profilePath = (/** @type {number} */ member) =>
    join(parent, `${name}-${member + 1}.cpuprofile`);
  const clusters = sides.map(({ label, command }, i) =>
    values.profile && i === 0
      ? new Cluster({
          ...{ label, parent, command: withProfiler(command) },
          env: (member) => ({ BENCH_PROFILE: profilePath(member) }),
        })
      : new Cluster({ label, command, parent }),
  );
  const rounds = Number(values.rounds);
  try {
    for (const cluster of clusters) await cluster.start();
    const results = await inTurns(rounds, (which, round) => {
      const profiled = values.profile && which === 0 && round === rounds - 1;
      return whenCalm(calmCores, () => measureLoad(workload, clusters[which], profiled));
    });
    const of = (/** @type {ClusterResult} */ result) =>
      metric === 'perSecond' ? result.perSecond : result.latencyMs.p50;
    const unit = metric === 'perSecond' ? 'per second' : 'ms, median';
    const [ours, other] = results.map((each) => each.map(of));
    const cost = results.map((each) => spread(each.map((r) => r.serverCpuSecondsPer1000)).median);
    /** @type {Outcome} */
    const outcome = {
      name,
      lines: [line({ name, what, unit, target, ours, other, cpuRatio: cost[0] / cost[1] })],
      sides: sides.map(({ label }, i) => ({ label, rounds: results[i] })),
    };
    if (values.profile) outcome.profile = await profiles(clusters[0], profilePath);
    return outcome;
  } catch (error) {
    const logs = clusters.map((cluster) => cluster.logTails()).join('\n');
    throw new Error(`${name}: ${error}\n${logs}`, { cause: error });
  } finally {
    for (const cluster of clusters) await cluster.remove();
  }
}

/**
 * Where the time of the leader and of one follower went.
 * @param {Cluster} cluster
 * @param {(member: number) => string} profilePath
 */
async function profiles(cluster, profilePath) {
  const { leader, followers } = await cluster.roles();
  const texts = [];
  for (const [role, member] of /** @type {const} */ ([
    ['leader', leader],
    ['follower', followers[0]],
  ])) {
    const path = profilePath(cluster.members.indexOf(member));
    await profileWritten(path);
    texts.push(`${role}, ${describeProfile(path)}`);
  }
  return texts.join('\n\n');
}

/**
 * Lines of an outcome that has several figures: one per way to look at a result.
 * @template T
 * @param {T[][]} results
 * @param {readonly { name: string, what: string, unit: string, of: (result: T) => number,
 *   target?: import('./workloads.mjs').Target }[]} views
 */
function linesOf(results, views) {
  return views.map(({ of, target = null, ...about }) => {
    const [ours, other] = results.map((each) => each.map(of));
    return line({ ...about, target, ours, other });
  });
}

/**
 * @param {readonly Side[]} sides
 * @param {string} parent
 * @returns {Promise<Outcome>}
 */
async function compareCatchUp(sides, parent) {
  const mib = Number(values['catch-up-mib']);
  const secondsBefore = Number(values['catch-up-before']);
  const results = await inTurns(Number(values['catch-up-rounds']), async (which) => {
    const options = { parent, mib, secondsBefore };
    const result = await whenCalm(calmCores, () => measureCatchUp(sides[which], options));
    say(`catch-up             ${sides[which].label.padEnd(8)} ${JSON.stringify(result)}`);
    return result;
  });
  const name = 'catch-up';
  const lines = linesOf(results, [
    {
      ...{ name, what: `catch-up of a wiped member, ${figure(mib)} MiB`, unit: 's' },
      of: (r) => r.levelSeconds,
    },
    {
      ...{ name: `${name}-serves`, what: 'the same, until it serves clients', unit: 's' },
      of: (r) => r.servesSeconds,
    },
    {
      ...{ name: `${name}-put-before`, what: 'put at the leader before it, p99', unit: 'ms' },
      of: (r) => r.putMs.before.p99,
    },
    {
      ...{ name: `${name}-put-during`, what: 'put at the leader meanwhile, p99', unit: 'ms' },
      of: (r) => r.putMs.during.p99,
    },
    {
      ...{ name: `${name}-put-max`, what: 'put at the leader meanwhile, longest', unit: 'ms' },
      of: (r) => r.putMs.during.max,
    },
    {
      ...{ name: `${name}-leader-anon`, what: 'the leader, peak of own memory', unit: 'MiB' },
      of: (r) => r.memoryMib.leader.peak.anon,
    },
    {
      ...{ name: `${name}-member-anon`, what: 'the member, peak of own memory', unit: 'MiB' },
      of: (r) => r.memoryMib.member.peak.anon,
    },
    {
      ...{ name: `${name}-leader-cpu`, what: 'CPU of the leader', unit: 's' },
      of: (r) => r.cpuSeconds.leader,
    },
    {
      ...{ name: `${name}-member-cpu`, what: 'CPU of the member', unit: 's' },
      of: (r) => r.cpuSeconds.member,
    },
    {
      ...{ name: `${name}-fill`, what: 'put of 8 KiB, 64 under way, before it', unit: 'MiB/s' },
      of: (r) => r.fillMibPerSecond,
    },
  ]);
  return { name, lines, sides: sides.map(({ label }, i) => ({ label, rounds: results[i] })) };
}

/**
 * @param {readonly Side[]} sides
 * @param {string} parent
 * @returns {Promise<Outcome>}
 */
async function compareLeaderKills(sides, parent) {
  const kills = Number(values.kills);
  const results = await inTurns(Number(values['kill-rounds']), async (which) => {
    const options = { parent, kills };
    const result = await whenCalm(calmCores, () => measureLeaderKills(sides[which], options));
    say(`leader-kill          ${sides[which].label.padEnd(8)} ${JSON.stringify(result)}`);
    return result;
  });
  const name = 'leader-kill';
  /** @typedef {Awaited<ReturnType<typeof measureLeaderKills>>} Kills */
  const late = (/** @type {Kills} */ { outageMs }) =>
    outageMs.filter((ms) => ms > OUTAGE_MS_MAX).length;
  const lines = linesOf(results, [
    {
      ...{
        name,
        what: `SIGKILL of the leader to the next put, ${kills} kills`,
        unit: 'ms, median',
      },
      of: (r) => spread(r.outageMs).median,
    },
    {
      ...{ name: `${name}-max`, what: 'the same, the longest', unit: 'ms' },
      of: (r) => spread(r.outageMs).max,
    },
    {
      ...{ name: `${name}-elected`, what: 'SIGKILL to a new leader', unit: 'ms, median' },
      of: (r) => spread(r.electionMs).median,
    },
  ]);
  for (const [i, each] of results.entries()) {
    const all = each.reduce((sum, { outageMs }) => sum + outageMs.length, 0);
    const over = each.reduce((sum, result) => sum + late(result), 0);
    say(`leader-kill ${sides[i].label}: ${over} of ${all} outages above ${OUTAGE_MS_MAX} ms`);
  }
  return { name, lines, sides: sides.map(({ label }, i) => ({ label, rounds: results[i] })) };
}

async function main() {
  const only = values.only?.split(',') ?? NAMES;
  const unknown = only.filter((name) => !NAMES.includes(name));
  if (values.help || unknown.length > 0) {
    say(`workloads: ${NAMES.join(', ')}; see bench/README.md for the options`);
    return unknown.length > 0 ? 2 : 0;
  }
  assertRealDisk(values.dir);
  const parent = mkdtempSync(join(values.dir, 'etcd-bench-'));
  /** @type {Outcome[]} */
  const outcomes = [];
  try {
    const sides = [side('ours', values.ours), side('other', values.other)];
    const about = machine(parent);
    for (const workload of CLUSTER_WORKLOADS) {
      if (only.includes(workload.name)) outcomes.push(await compareLoad(workload, sides, parent));
    }
    if (only.includes('catch-up')) outcomes.push(await compareCatchUp(sides, parent));
    if (only.includes('leader-kill')) outcomes.push(await compareLeaderKills(sides, parent));
    return report(sides, about, outcomes);
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
}

/**
 * @param {readonly Side[]} sides
 * @param {ReturnType<typeof machine>} about
 * @param {readonly Outcome[]} outcomes
 */
function report(sides, about, outcomes) {
  const lines = outcomes.flatMap((outcome) => outcome.lines);
  const servers = sides.map(({ label: name, version }) => ({ label: name, version }));
  const { rounds, seconds, warmup } = values;
  const options = { rounds: Number(rounds), seconds: Number(seconds), warmup: Number(warmup) };
  const out = writeResults(
    { ...values, suffix: '-cluster' },
    { members: 3, machine: about, servers, options, lines, outcomes },
  );
  const labels = { ours: `ours ${sides[0].version}`, other: `other ${sides[1].version}` };
  const isLoad = (/** @type {string} */ name) => !EVENTS.includes(name);
  const loads = outcomes.filter(({ name }) => isLoad(name));
  const asLoads =
    /** @type {Parameters<typeof costTable>[0] & Parameters<typeof memberTable>[0]} */ (
      /** @type {unknown} */ (loads)
    );
  const text = [
    `Three members each. ${machineText(about)}; ${rounds} rounds of ${seconds} s, median (min–max)`,
    markdownTable(lines, labels),
    ...(loads.length === 0 ? [] : [costTable(asLoads), memberTable(asLoads)]),
    ...outcomes.flatMap(({ profile }) => (profile === undefined ? [] : [profile])),
  ];
  process.stdout.write(`${text.join('\n\n')}\n`);
  say(`written: ${out}`);
  const noise = Math.max(0, ...loads.flatMap((each) => each.sides.map(strangers)));
  if (noise > STRANGERS_CORES_MAX) {
    say(`NOISE: other programs kept up to ${figure(noise)} cores busy; trust the CPU ratio first`);
  }
  const all = outcomes.flatMap(({ name, sides: both }) =>
    both.flatMap(({ label, rounds: each }) => each.map((round) => ({ name, label, round }))),
  );
  for (const { name, label, round } of all) {
    if ('elections' in round && round.elections !== 0) {
      say(`ELECTION ${name}, ${label}: the leader changed meanwhile (${round.elections} terms)`);
    }
  }
  const faults = all.filter(({ round }) => 'firstFault' in round && round.firstFault !== null);
  for (const { name, label, round } of faults) {
    say(`FAULT ${name}, ${label}: ${'firstFault' in round ? round.firstFault : ''}`);
  }
  return faults.length > 0 ? 1 : 0;
}

process.exitCode = await main();
