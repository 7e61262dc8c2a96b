// What every comparison shares: the two sides, the order of their turns, the machine they run on,
// and the file of results. It refuses to know what is measured.

import { execFileSync } from 'node:child_process';
import {
  closeSync,
  fdatasyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { PROFILE_HOOK } from './profile.mjs';
import { spread } from './report.mjs';
import { machineCpuSeconds } from './run.mjs';
import { words } from './server.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));
const FSYNC_PROBES = 200;
const CALM_SECONDS = 2;
const CALM_WAIT_SECONDS_MAX = 900;
const ROUND_ATTEMPTS_MAX = 10;

/** What is compared when nothing else is said. */
export const PROGRAMS = {
  ours: `node --no-warnings ${join(HERE, '..', 'dist', 'etcd.js')}`,
  other: 'etcd',
};

/** @typedef {{ label: string, command: string[], version: string }} Side */

/** @param {string} text */
export function say(text) {
  process.stderr.write(`${text}\n`);
}

/**
 * @param {string} label
 * @param {string} text the command line; words are split at spaces
 * @returns {Side}
 */
export function side(label, text) {
  const command = words(text);
  const [program, ...args] = command;
  const output = execFileSync(program, [...args, '--version'], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  const version = /etcd Version: (\S+)/.exec(output)?.[1] ?? 'unknown';
  return { label, command, version };
}

/** @param {readonly string[]} command */
export function withProfiler([program, ...args]) {
  if (basename(program) !== 'node') throw new Error('--profile needs --ours to be "node ..."');
  return [program, '--import', PROFILE_HOOK, ...args];
}

/**
 * Rounds in the order A B, B A, A B: neither side is always the first on a warm or a tired machine.
 * @template T
 * @param {number} rounds
 * @param {(side: number, round: number) => Promise<T>} measure
 * @returns {Promise<T[][]>} by side, then by round
 */
export async function inTurns(rounds, measure) {
  /** @type {T[][]} */
  const results = [[], []];
  for (let round = 0; round < rounds; round++) {
    for (const which of round % 2 === 0 ? [0, 1] : [1, 0]) {
      results[which].push(await measure(which, round));
    }
  }
  return results;
}

/**
 * Waits until other programs, and servers that nobody loads, keep no more than `cores` busy. After
 * a quarter of an hour it is as calm as it gets.
 * @param {number} cores
 */
async function calm(cores) {
  for (let waited = 0; waited < CALM_WAIT_SECONDS_MAX; waited += CALM_SECONDS) {
    const before = machineCpuSeconds();
    await sleep(CALM_SECONDS * 1000);
    if ((machineCpuSeconds() - before) / CALM_SECONDS <= cores) return;
  }
}

/**
 * Measures while the machine is calm: begins when it is, and begins again, a few times, when others
 * became busy meanwhile.
 * @template {object} T
 * @param {number | null} cores how many others may keep busy; null takes the first result
 * @param {() => Promise<T>} measure
 */
export async function whenCalm(cores, measure) {
  if (cores === null) return measure();
  for (let attempt = 1; ; attempt++) {
    await calm(cores);
    const result = await measure();
    const strangersCores = 'strangersCores' in result ? Number(result.strangersCores) : 0;
    if (strangersCores <= cores || attempt === ROUND_ATTEMPTS_MAX) return result;
    say(`others kept ${strangersCores} cores busy: once more`);
  }
}

/**
 * What the disk takes for one small synced write: the floor of every put's latency.
 * @param {string} directory
 */
function fsyncMs(directory) {
  const file = openSync(join(directory, 'fsync-probe'), 'w');
  const block = Buffer.alloc(4096, 1);
  const times = [];
  // As a preallocated log does it: the blocks exist, only their content is new.
  for (let i = 0; i < FSYNC_PROBES; i++) writeSync(file, block, 0, block.length, i * block.length);
  fdatasyncSync(file);
  for (let i = 0; i < FSYNC_PROBES; i++) {
    const startedAt = performance.now();
    writeSync(file, block, 0, block.length, i * block.length);
    fdatasyncSync(file);
    times.push(performance.now() - startedAt);
  }
  closeSync(file);
  return Number(spread(times).median.toFixed(3));
}

/** @param {string} directory */
export function machine(directory) {
  const [cpu] = cpus();
  return {
    cpu: cpu?.model ?? 'unknown',
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    fsyncMsMedian: fsyncMs(directory),
    loadAverage: readFileSync('/proc/loadavg', 'latin1').split(' ').slice(0, 3).map(Number),
  };
}

/** @param {ReturnType<typeof machine>} about */
export function machineText(about) {
  return (
    `${about.cores} × ${about.cpu}, Linux ${about.kernel}, Node ${about.node.slice(1)}, ` +
    `fdatasync ${about.fsyncMsMedian} ms, load average ${about.loadAverage.join(' ')}`
  );
}

/** The commit the figures belong to, or "uncommitted" outside a checkout. */
function commit() {
  try {
    const args = ['-C', HERE, 'rev-parse', '--short', 'HEAD'];
    return execFileSync('git', args, { encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch {
    return 'uncommitted';
  }
}

/**
 * Writes bench/results/<date>-<label>.json, or another file that was asked for.
 * @param {{ out?: string | undefined, label?: string | undefined, suffix?: string }} where
 * @param {object} results
 * @returns {string} the path
 */
export function writeResults({ out, label = commit(), suffix = '' }, results) {
  const date = new Date().toISOString().slice(0, 10);
  const path = out ?? join(HERE, 'results', `${date}-${label}${suffix}.json`);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify({ date, ...results }, null, 1)}\n`);
  return path;
}
