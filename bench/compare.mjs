// Compares two etcd servers side by side and writes the figures as JSON and as a table.
//   node bench/compare.mjs [--ours CMD] [--other CMD] [--rounds 3] [--seconds 3] [--only put,...]
// For every workload both servers are started on empty data and loaded in turns (A B, B A, A B
// ...), so that a slow minute of the machine falls on both; only one is loaded at a time.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { generate } from './generate.mjs';
import { measureMillion, measureStart } from './lifecycle.mjs';
import { describeProfile, profileWritten } from './profile.mjs';
import { costTable, figure, line, markdownTable, runText, spread, strangers } from './report.mjs';
import { assertRealDisk, Server } from './server.mjs';
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
import { WORKLOADS } from './workloads.mjs';

const READY_MS_MAX = 30_000;
const START_ROUNDS_MIN = 5;
const START_LIMIT_MS = 150;
const RSS_RATIO_MAX = 1.5;
const STRANGERS_CORES_MAX = 0.2;
const LIFECYCLE = ['start', 'million'];

const { values } = parseArgs({
  options: {
    ours: { type: 'string', default: PROGRAMS.ours },
    other: { type: 'string', default: PROGRAMS.other },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '3' },
    warmup: { type: 'string', default: '1' },
    only: { type: 'string' },
    'million-rounds': { type: 'string', default: '1' },
    'million-keys': { type: 'string', default: '1000000' },
    dir: { type: 'string', default: tmpdir() },
    out: { type: 'string' },
    label: { type: 'string' },
    calm: { type: 'string' },
    profile: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const calmCores = values.calm === undefined ? null : Number(values.calm);
const NAMES = [...WORKLOADS.map(({ name }) => name), ...LIFECYCLE];

/**
 * @typedef {import('./sides.mjs').Side} Side
 * @typedef {ReturnType<typeof line>} Line
 * @typedef {import('./run.mjs').RunResult} RunResult
 * @typedef {{ name: string, lines: Line[], sides: { label: string, rounds: object[] }[],
 *   profile?: string }} Outcome
 */

/**
 * @param {import('./workloads.mjs').Workload} workload
 * @param {readonly Side[]} sides
 * @param {string} parent
 * @returns {Promise<Outcome>}
 */
async function compareWorkload(workload, sides, parent) {
  const profilePath = join(parent, `${workload.name}.cpuprofile`);
  const servers = sides.map(({ label, command }, i) =>
    values.profile && i === 0
      ? new Server({
          ...{ label, parent, env: { BENCH_PROFILE: profilePath } },
          command: withProfiler(command),
        })
      : new Server({ label, command, parent }),
  );
  const rounds = Number(values.rounds);
  try {
    for (const server of servers) {
      await server.start();
      await server.firstWrite(READY_MS_MAX);
    }
    const measure = async (/** @type {number} */ which, /** @type {boolean} */ profiled) => {
      if (profiled) servers[which].signal('SIGUSR2');
      const result = await generate({
        workload: workload.name,
        server: servers[which],
        seconds: Number(values.seconds),
        warmupSeconds: Number(values.warmup),
      });
      if (profiled) servers[which].signal('SIGUSR2');
      say(runText(workload.name, sides[which].label, result));
      return result;
    };
    const results = await inTurns(rounds, (which, round) => {
      const profiled = values.profile && which === 0 && round === rounds - 1;
      return whenCalm(calmCores, () => measure(which, profiled));
    });
    const of = (/** @type {RunResult} */ result) =>
      workload.metric === 'perSecond' ? result.perSecond : result.latencyMs.p50;
    const { name, what, target } = workload;
    const unit = workload.metric === 'perSecond' ? 'per second' : 'ms, median';
    const [ours, other] = results.map((each) => each.map(of));
    const cost = results.map((each) => spread(each.map((r) => r.serverCpuSecondsPer1000)).median);
    /** @type {Outcome} */
    const outcome = {
      name,
      lines: [line({ name, what, unit, target, ours, other, cpuRatio: cost[0] / cost[1] })],
      sides: sides.map(({ label }, i) => ({ label, rounds: results[i] })),
    };
    if (values.profile) {
      await profileWritten(profilePath);
      outcome.profile = describeProfile(profilePath);
    }
    return outcome;
  } finally {
    for (const server of servers) await server.remove();
  }
}

/**
 * @param {readonly Side[]} sides
 * @param {(which: number) => Server} makeServer
 * @returns {Promise<Outcome>}
 */
async function compareStart(sides, makeServer) {
  const rounds = Math.max(START_ROUNDS_MIN, Number(values.rounds));
  const results = await inTurns(rounds, (which) => measureStart(makeServer, which));
  const unit = 'ms';
  const [first, again] = /** @type {const} */ (['firstWriteMs', 'restartMs']).map((name) =>
    results.map((each) => each.map((result) => result[name])),
  );
  const target = null;
  const limitMs = START_LIMIT_MS;
  const what = 'start to first acknowledged write';
  return {
    name: 'start',
    lines: [
      line({ name: 'start', what, unit, target, ours: first[0], other: first[1], limitMs }),
      line({
        ...{ name: 'restart', what: `the same, restarted after SIGTERM`, unit, target },
        ...{ ours: again[0], other: again[1] },
      }),
    ],
    sides: sides.map(({ label }, i) => ({ label, rounds: results[i] })),
  };
}

/**
 * @param {readonly Side[]} sides
 * @param {(which: number) => Server} makeServer
 * @returns {Promise<Outcome>}
 */
async function compareMillion(sides, makeServer) {
  const keys = Number(values['million-keys']);
  const results = await inTurns(Number(values['million-rounds']), async (which) => {
    const result = await measureMillion(makeServer, which, keys);
    say(`million              ${sides[which].label.padEnd(8)} ${JSON.stringify(result)}`);
    return result;
  });
  /** @typedef {Awaited<ReturnType<typeof measureMillion>>} Million */
  const make = (
    /** @type {{ name: string, what: string, unit: string }} */ about,
    /** @type {import('./workloads.mjs').Target} */ target,
    /** @type {(result: Million) => number} */ of,
  ) => {
    const [ours, other] = results.map((each) => each.map(of));
    return line({ ...about, target, ours, other });
  };
  const small = `${figure(keys)} small keys`;
  const about = (
    /** @type {string} */ name,
    /** @type {string} */ what,
    /** @type {string} */ unit,
  ) => ({ name, what, unit });
  return {
    name: 'million',
    lines: [
      make(about('million-fill', `put of ${small}`, 'per second'), null, (r) => r.fillPerSecond),
      make(
        about('million-rss', `peak RSS after ${small}`, 'MiB'),
        { atMost: RSS_RATIO_MAX },
        (r) => r.memoryMib.peakRss,
      ),
      make(
        about('million-recovery', `SIGKILL, start to first write with ${small}`, 'ms'),
        null,
        (r) => r.recoveryMs,
      ),
      make(
        about('million-recovered-rss', `peak RSS after that recovery`, 'MiB'),
        null,
        (r) => r.recoveredMemoryMib.peakRss,
      ),
    ],
    sides: sides.map(({ label }, i) => ({ label, rounds: results[i] })),
  };
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
    const makeServer = (/** @type {number} */ which) => new Server({ ...sides[which], parent });
    for (const workload of WORKLOADS) {
      if (only.includes(workload.name)) {
        outcomes.push(await compareWorkload(workload, sides, parent));
      }
    }
    if (only.includes('start')) outcomes.push(await compareStart(sides, makeServer));
    if (only.includes('million')) outcomes.push(await compareMillion(sides, makeServer));
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
  const out = writeResults(values, { machine: about, servers, options, lines, outcomes });
  const labels = { ours: `ours ${sides[0].version}`, other: `other ${sides[1].version}` };
  const loads = WORKLOADS.flatMap(({ name }) => outcomes.filter((each) => each.name === name));
  const text = [
    `${machineText(about)}; ${rounds} rounds of ${seconds} s, median (min–max)`,
    markdownTable(lines, labels),
    loads.length === 0
      ? ''
      : costTable(/** @type {Parameters<typeof costTable>[0]} */ (/** @type {unknown} */ (loads))),
    ...outcomes.flatMap(({ profile }) => (profile === undefined ? [] : [profile])),
  ];
  process.stdout.write(`${text.filter((part) => part !== '').join('\n\n')}\n`);
  say(`written: ${out}`);
  const noise = Math.max(0, ...loads.flatMap((each) => each.sides.map(strangers)));
  if (noise > STRANGERS_CORES_MAX) {
    say(`NOISE: other programs kept up to ${figure(noise)} cores busy; trust the CPU ratio first`);
  }
  const faults = outcomes.flatMap(({ name, sides: both }) =>
    both.flatMap((each) =>
      each.rounds.flatMap((round) =>
        'firstFault' in round && round.firstFault !== null
          ? [`${name}, ${each.label}: ${round.firstFault}`]
          : [],
      ),
    ),
  );
  for (const fault of faults) say(`FAULT ${fault}`);
  return faults.length > 0 ? 1 : 0;
}

process.exitCode = await main();
