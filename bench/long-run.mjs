// Half an hour under a small quota: periodic compaction, a steady load that overwrites the same
// keys, both servers at the same time. Says whether size, memory and latency stay flat.
//   node bench/long-run.mjs --other "/opt/etcd-3.7.1/etcd" --minutes 30
// Writes every sample to bench/results/<date>-<commit>-long-run.json and draws them beside it.
// Exit code 1 when an acknowledged put is lost, a request refused, or our size or memory not flat.

import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { flatness } from './flatness.mjs';
import { monotonicMs } from './paced.mjs';
import { plot } from './plot.mjs';
import { machineCpuSeconds } from './run.mjs';
import { assertRealDisk, HOST, Server } from './server.mjs';
import { machine, machineText, PROGRAMS, say, side, writeResults } from './sides.mjs';
import { SteadyLoad } from './steady-load.mjs';

const MIB = 2 ** 20;
const QUOTA_BYTES = 64 * MIB;
const KEYS = 2000;
const VALUE_BYTES = 1024;
const VALUES = 64;
const TICK_MS = 1;
const START_MS_MAX = 30_000;
/** Part of the time at the beginning in which sizes and heaps find their level. */
const WARM_UP_PART = 1 / 6;
/** How far the last third may lie above the first, and the fitted line rise. */
const RISE_MAX = 0.1;

const { values: options } = parseArgs({
  options: {
    ours: { type: 'string', default: PROGRAMS.ours },
    other: { type: 'string', default: PROGRAMS.other },
    alone: { type: 'boolean', default: false },
    minutes: { type: 'string', default: '30' },
    'sample-seconds': { type: 'string', default: '10' },
    puts: { type: 'string', default: '150' },
    reads: { type: 'string', default: '30' },
    retention: { type: 'string', default: '1m' },
    dir: { type: 'string', default: tmpdir() },
    out: { type: 'string' },
    label: { type: 'string' },
  },
});
const minutes = Number(options.minutes);
const sampleMs = Number(options['sample-seconds']) * 1000;

const FLAGS = [
  ...['--quota-backend-bytes', String(QUOTA_BYTES)],
  ...['--auto-compaction-mode', 'periodic', '--auto-compaction-retention', options.retention],
  // One segment of the log beside the current one, so that its level is reached soon.
  ...['--max-wals', '1', '--snapshot-count', '5000'],
];

/**
 * What a directory takes on the disk, and what its files say they hold.
 * @param {string} path
 */
function diskUsage(path) {
  let bytes = 0;
  let files = 0;
  for (const entry of readdirSync(path, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    try {
      bytes += statSync(join(entry.parentPath, entry.name)).blocks * 512;
      files++;
    } catch (error) {
      // Files come and go while one looks.
      if (!(error instanceof Error) || !('code' in error) || error.code !== 'ENOENT') throw error;
    }
  }
  return { bytes, files };
}

/** @param {number} value */
function mib(value) {
  return Number((value / MIB).toFixed(2));
}

/**
 * @param {Server} server
 * @returns {Promise<Record<string, number>>}
 */
async function scrape(server) {
  const response = await fetch(`http://${HOST}:${server.port}/metrics`);
  const text = await response.text();
  const value = (/** @type {string} */ name) =>
    Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1] ?? 0);
  return {
    dbSizeMib: mib(value('etcd_mvcc_db_total_size_in_bytes')),
    dbInUseMib: mib(value('etcd_mvcc_db_total_size_in_use_in_bytes')),
    heapMib: mib(value('go_memstats_heap_inuse_bytes')),
    compactRevision: value('etcd_debugging_mvcc_compact_revision'),
    revision: value('etcd_debugging_mvcc_current_revision'),
  };
}

/** One server under its load. */
class Side {
  label;
  samples = /** @type {Record<string, number>[]} */ ([]);
  #server;
  /** @type {SteadyLoad | null} */
  #load = null;

  /**
   * @param {{ label: string, command: readonly string[] }} program
   * @param {string} parent
   */
  constructor({ label, command }, parent) {
    this.label = label;
    this.#server = new Server({ label, command, parent });
  }

  /** @param {readonly string[]} values */
  async start(values) {
    await this.#server.reservePorts();
    await this.#server.start(['--initial-cluster', this.#server.entry, ...FLAGS]);
    await this.#server.firstWrite(START_MS_MAX);
    this.#load = new SteadyLoad({
      ...{ host: HOST, port: this.#server.port, keys: KEYS, values },
      ...{ putsPerSecond: Number(options.puts), readsPerSecond: Number(options.reads) },
    });
    await this.#load.open();
  }

  get load() {
    if (this.#load === null) throw new Error(`${this.label} was not started`);
    return this.#load;
  }

  async sample() {
    const { put, range } = this.load.take();
    const figures = await scrape(this.#server);
    const database = diskUsage(join(this.#server.dataPath, 'member/snap'));
    const log = diskUsage(join(this.#server.dataPath, 'member/wal'));
    const { rss } = this.#server.memory();
    const latency = (/** @type {string} */ name, /** @type {typeof put} */ of) => ({
      [`${name}Count`]: of.count,
      [`${name}P50Ms`]: of.p50,
      [`${name}P90Ms`]: of.p90,
      [`${name}P99Ms`]: of.p99,
      [`${name}MaxMs`]: of.max,
    });
    this.samples.push({
      ...figures,
      filesMib: mib(database.bytes),
      walMib: mib(log.bytes),
      rssMib: rss,
      ...latency('put', put),
      ...latency('range', range),
    });
  }

  async end() {
    await this.load.drain();
    const wrong = await this.load.verify();
    const { acknowledged, unanswered, refusals } = this.load;
    this.load.close();
    return { acknowledged, unanswered, refusals, wrong };
  }

  remove() {
    return this.#server.remove();
  }
}

/**
 * @param {readonly Side[]} sides
 * @returns {Promise<number[]>} cores kept busy by the whole machine, by sample
 */
async function drive(sides) {
  const ticking = setInterval(() => {
    for (const { load } of sides) load.tick();
  }, TICK_MS);
  /** @type {number[]} */
  const busyCores = [];
  const startedAt = monotonicMs();
  const count = Math.round((minutes * 60_000) / sampleMs);
  let cpu = machineCpuSeconds();
  for (let i = 1; i <= count; i++) {
    await sleep(Math.max(0, startedAt + i * sampleMs - monotonicMs()));
    for (const one of sides) await one.sample();
    const now = machineCpuSeconds();
    busyCores.push(Number(((now - cpu) / (sampleMs / 1000)).toFixed(2)));
    cpu = now;
    if (i % 30 === 0) say(`${((i * sampleMs) / 60_000).toFixed(1)} min`);
  }
  clearInterval(ticking);
  return busyCores;
}

const MEASURES = /** @type {const} */ ([
  ['dbSizeMib', 'dbSize, MiB'],
  ['filesMib', 'files of the database, MiB'],
  ['walMib', 'log, MiB'],
  ['rssMib', 'resident memory, MiB'],
  ['heapMib', 'heap, MiB'],
  ['putP50Ms', 'put p50, ms'],
  ['putP99Ms', 'put p99, ms'],
  ['rangeP50Ms', 'linearizable range p50, ms'],
  ['rangeP99Ms', 'linearizable range p99, ms'],
]);
/** What must be flat whatever else runs on the machine. */
const MUST_BE_FLAT = new Set(['dbSizeMib', 'filesMib', 'walMib', 'rssMib', 'heapMib']);

/** @param {Side} one */
function trends({ samples }) {
  const settled = samples.slice(Math.floor(samples.length * WARM_UP_PART));
  return Object.fromEntries(
    MEASURES.map(([name]) => [name, flatness(settled.map((sample) => sample[name] ?? 0))]),
  );
}

/**
 * The log grows to a segment and falls: a third may hold more of the one or the other, so there the
 * peaks are compared.
 * @param {string} name
 * @param {import('./flatness.mjs').Flatness} trend
 */
function isFlat(name, { slopePart, thirds }) {
  if (name === 'walMib') return thirds.max <= 1 + RISE_MAX;
  return slopePart <= RISE_MAX && thirds.mean <= 1 + RISE_MAX;
}

/** @param {readonly Side[]} sides */
function draw(sides) {
  const lines = (/** @type {readonly (readonly [string, string])[]} */ names) =>
    sides.flatMap(({ label, samples }) =>
      names.map(([name, what]) => ({
        label: `${label}: ${what}`,
        values: samples.map((sample) => sample[name] ?? 0),
      })),
    );
  return plot(`${minutes} minutes, quota 64 MiB, ${options.puts} overwriting puts/s`, minutes, [
    {
      title: 'Database, MiB',
      lines: lines([
        ['dbSizeMib', 'dbSize'],
        ['dbInUseMib', 'in use'],
        ['filesMib', 'files'],
      ]),
    },
    { title: 'Write-ahead log on disk, MiB', lines: lines([['walMib', 'log']]) },
    {
      title: 'Memory, MiB',
      lines: lines([
        ['rssMib', 'resident'],
        ['heapMib', 'heap'],
      ]),
    },
    {
      title: 'Put, ms (logarithmic)',
      logarithmic: true,
      lines: lines([
        ['putP50Ms', 'p50'],
        ['putP99Ms', 'p99'],
      ]),
    },
    {
      title: 'Linearizable range, ms (logarithmic)',
      logarithmic: true,
      lines: lines([
        ['rangeP50Ms', 'p50'],
        ['rangeP99Ms', 'p99'],
      ]),
    },
  ]);
}

/** @param {readonly { label: string, trends: ReturnType<typeof trends> }[]} sides */
function table(sides) {
  const head = ['what', 'server', 'first third', 'last third', 'ratio', 'of peaks', 'slope'];
  const rows = MEASURES.flatMap(([name, what]) =>
    sides.map(({ label, trends: of }) => {
      const { first, last, slopePart, thirds } = of[name];
      const slope = `${(slopePart * 100).toFixed(1)} %`;
      return [what, label, first, last, thirds.mean, thirds.max, slope].map(String);
    }),
  );
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

async function main() {
  const parent = mkdtempSync(join(options.dir, 'etcd-long-run-'));
  assertRealDisk(parent);
  const programs = [side('ours', options.ours)];
  if (!options.alone) programs.push(side('etcd', options.other));
  const sides = programs.map((program) => new Side(program, parent));
  try {
    const about = machine(parent);
    const pool = Array.from({ length: VALUES }, () =>
      randomBytes(VALUE_BYTES).toString('latin1').slice(0, VALUE_BYTES),
    );
    for (const one of sides) await one.start(pool);
    say(`${machineText(about)}; ${minutes} minutes`);
    const busyCores = await drive(sides);
    /** @type {Awaited<ReturnType<Side['end']>>[]} */
    const ends = [];
    for (const one of sides) ends.push(await one.end());
    const results = sides.map((one, i) => ({
      label: one.label,
      version: programs[i]?.version,
      ...ends[i],
      trends: trends(one),
      samples: one.samples,
    }));
    return finish(about, busyCores, results, draw(sides));
  } finally {
    for (const one of sides) await one.remove();
    rmSync(parent, { recursive: true, force: true });
  }
}

/**
 * @param {ReturnType<typeof machine>} about
 * @param {readonly number[]} busyCores
 * @param {readonly any[]} results
 * @param {string} drawing
 */
function finish(about, busyCores, results, drawing) {
  const { puts, reads, retention, out, label } = options;
  const load = { puts, reads, retention, keys: KEYS, valueBytes: VALUE_BYTES + 12 };
  const settings = { minutes, quotaBytes: QUOTA_BYTES, ...load, flags: FLAGS };
  const path = writeResults(
    { out, label, suffix: '-long-run' },
    { what: 'flatness under a small quota', machine: about, settings, busyCores, sides: results },
  );
  const drawn = path.replace(/\.json$/, '.svg');
  writeFileSync(drawn, drawing);
  console.log(`${table(results)}\n\n${path}\n${drawn}`);
  const [ours] = results;
  const faults = results.flatMap(({ label: who, wrong, unanswered, refusals }) =>
    wrong + unanswered + Object.keys(refusals).length === 0
      ? []
      : [`${who}: ${wrong} wrong, ${unanswered} unanswered, ${JSON.stringify(refusals)}`],
  );
  for (const [name] of MEASURES) {
    if (MUST_BE_FLAT.has(name) && !isFlat(name, ours.trends[name])) faults.push(`rises: ${name}`);
  }
  for (const fault of faults) say(fault);
  return faults.length === 0;
}

process.exitCode = (await main()) ? 0 : 1;
