// A backup is taken of a busy server: how long it takes, what it costs in CPU time and memory, and
// what a client that goes on writing notices of it; then what it takes to make a data folder of it.
//   node bench/snapshot.mjs [--ours CMD] [--other CMD] [--mib 1024] [--rounds 1] [--ctl etcdctl]
// Invariant: a snapshot counts only when the tool that saved it has found its hash right.

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { generate } from './generate.mjs';
import { monotonicMs, Paced } from './paced.mjs';
import { cpuSeconds } from './run.mjs';
import { assertRealDisk, HOST, Server } from './server.mjs';
import { inTurns, machine, machineText, PROGRAMS, say, side, writeResults } from './sides.mjs';
import { FILL_LARGE } from './workloads.mjs';

const run = promisify(execFile);
const FILL_SECONDS_MAX = 1800;
const START_MS_MAX = 60_000;
const PUT_INTERVAL_MS = 5;
const LOOK_MS = 50;
const SNAPSHOT_MS_MAX = 600_000;

const { values } = parseArgs({
  options: {
    ours: { type: 'string', default: PROGRAMS.ours },
    other: { type: 'string', default: PROGRAMS.other },
    ctl: { type: 'string', default: 'etcdctl' },
    mib: { type: 'string', default: '1024' },
    rounds: { type: 'string', default: '1' },
    before: { type: 'string', default: '20' },
    /** Snapshots of one server, one after the other. */
    snapshots: { type: 'string', default: '2' },
    dir: { type: 'string', default: tmpdir() },
    out: { type: 'string' },
    label: { type: 'string' },
  },
});

/** The tool that belongs to a server's program. */
function toolOf(/** @type {readonly string[]} */ command) {
  const program = command.at(-1) ?? '';
  const name = program.endsWith('.js') ? 'etcdutl.js' : 'etcdutl';
  return [...command.slice(0, -1), join(dirname(program), name)];
}

/**
 * @param {Server} server
 * @param {string} file
 */
async function save(server, file) {
  rmSync(file, { force: true });
  server.resetPeak();
  const before = server.memory();
  let peakAnon = before.anon;
  const looks = setInterval(() => {
    peakAnon = Math.max(peakAnon, server.memory().anon);
  }, LOOK_MS);
  const cpuBefore = cpuSeconds(server.pid);
  const from = monotonicMs();
  const args = ['snapshot', 'save', file, '--endpoints', `${HOST}:${server.port}`];
  await run(values.ctl, args, { timeout: SNAPSHOT_MS_MAX }).finally(() => clearInterval(looks));
  const to = monotonicMs();
  const { peakRss } = server.memory();
  return {
    from,
    to,
    seconds: Number(((to - from) / 1000).toFixed(2)),
    bytes: statSync(file).size,
    serverCpuSeconds: Number((cpuSeconds(server.pid) - cpuBefore).toFixed(2)),
    memoryMib: {
      before: { rss: before.rss, anon: before.anon },
      growth: { rss: peakRss - before.rss, anon: peakAnon - before.anon },
    },
  };
}

/**
 * @param {readonly string[]} command
 * @param {string} file
 * @param {string} parent
 */
async function restore([program = '', ...args], file, parent) {
  const target = join(parent, 'restored');
  const from = monotonicMs();
  await run(program, [...args, 'snapshot', 'restore', file, '--data-dir', target], {
    timeout: SNAPSHOT_MS_MAX,
  });
  rmSync(target, { recursive: true, force: true });
  return Number(((monotonicMs() - from) / 1000).toFixed(2));
}

/**
 * @param {import('./sides.mjs').Side} of
 * @param {string} parent
 */
async function measure({ label, command }, parent) {
  const server = new Server({ label, command, parent });
  const file = join(parent, `${label}.db`);
  /** @type {Paced | null} */
  let client = null;
  try {
    await server.start(['--initial-cluster', await entryOf(server), QUOTA]);
    await server.firstWrite(START_MS_MAX);
    const filled = await generate({
      workload: FILL_LARGE.name,
      server,
      ...{ seconds: FILL_SECONDS_MAX, warmupSeconds: 0 },
      count: Math.ceil((Number(values.mib) * 2 ** 20) / FILL_LARGE.valueBytes),
    });
    client = new Paced({ members: [server], intervalMs: PUT_INTERVAL_MS });
    /** @type {{ calmFrom: number, calmTo: number, saved: Awaited<ReturnType<typeof save>> }[]} */
    const taken = [];
    for (let i = 0; i < Number(values.snapshots); i++) {
      const calmFrom = monotonicMs();
      await sleep(Number(values.before) * 1000);
      const calmTo = monotonicMs();
      taken.push({ calmFrom, calmTo, saved: await save(server, file) });
    }
    const record = await client.stop();
    const snapshots = taken.map(({ calmFrom, calmTo, saved: { from, to, ...saved } }) => {
      const before = record.latencies(calmFrom, calmTo);
      const during = record.latencies(from, to);
      return { ...saved, putMs: { before, during, p99Ratio: ratio(during.p99, before.p99) } };
    });
    await server.stop();
    const restoreSeconds = await restore(toolOf(command), file, parent);
    const result = { fillPerSecond: filled.perSecond, snapshots, restoreSeconds };
    say(`${label}: ${JSON.stringify(result)}`);
    return { ...result, firstFault: filled.firstFault ?? record.fault };
  } catch (error) {
    throw new Error(`snapshot, ${label}: ${error}\n${server.logTail()}`, { cause: error });
  } finally {
    client?.kill();
    await server.remove();
    rmSync(file, { force: true });
  }
}

/** Room for all of it. */
const QUOTA = '--quota-backend-bytes=8589934592';

/** @param {Server} server */
async function entryOf(server) {
  await server.reservePorts();
  return server.entry;
}

/**
 * @param {number} during
 * @param {number} before
 */
function ratio(during, before) {
  return Number((during / before).toFixed(2));
}

assertRealDisk(values.dir);
const parent = mkdtempSync(join(values.dir, 'etcd-snapshot-bench-'));
try {
  const about = machine(parent);
  const sides = [side('ours', values.ours), side('other', values.other)];
  say(machineText(about));
  const results = await inTurns(Number(values.rounds), (which) => measure(sides[which], parent));
  const path = writeResults(
    { out: values.out, label: values.label, suffix: '-snapshot' },
    {
      ...{ machine: about, mib: Number(values.mib), valueBytes: FILL_LARGE.valueBytes },
      sides: sides.map(({ label, version }, i) => ({ label, version, rounds: results[i] })),
    },
  );
  say(`written: ${path}`);
} finally {
  rmSync(parent, { recursive: true, force: true });
}
