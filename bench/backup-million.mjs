// Backups that change sides, with a million keys: a server is filled with keys, overwritten and
// deleted ones, leases and users, and compacted; etcdctl saves it, the other side's tool looks at
// the file and restores it, and the other side's server serves it. Hashes, counts, leases and users
// must be the same at the end as at the beginning. Both directions.
//   node bench/backup-million.mjs [--ours CMD] [--other CMD] [--ctl etcdctl] [--keys 1000000]
// Seconds are told too; they are those of a machine that may be busy.

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { hashKv } from './control.mjs';
import { generate } from './generate.mjs';
import { assertRealDisk, HOST, Server } from './server.mjs';
import { machine, machineText, PROGRAMS, say, side, writeResults } from './sides.mjs';
import { FILL } from './workloads.mjs';

const run = promisify(execFile);
const FILL_SECONDS_MAX = 1200;
const START_MS_MAX = 120_000;
const STEP_MS_MAX = 600_000;
const LEASES = 20;
const CHANGED = 500;

const { values } = parseArgs({
  options: {
    ours: { type: 'string', default: PROGRAMS.ours },
    other: { type: 'string', default: PROGRAMS.other },
    ctl: { type: 'string', default: 'etcdctl' },
    keys: { type: 'string', default: '1000000' },
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
 * @param {readonly string[]} command
 * @param {readonly string[]} more
 */
async function call([program = '', ...args], more) {
  const from = performance.now();
  const { stdout } = await run(program, [...args, ...more], { timeout: STEP_MS_MAX });
  return { stdout, seconds: Number(((performance.now() - from) / 1000).toFixed(1)) };
}

/** etcdctl, whose own time limit of 5 s is too short for a million keys. */
function ctl(/** @type {Server} */ server, /** @type {readonly string[]} */ args) {
  const flags = [`--endpoints=${HOST}:${server.port}`, '--command-timeout=300s'];
  return call([values.ctl], [...flags, ...args]);
}

/** Everything that a snapshot should bring along, beside the million. */
async function furnish(/** @type {Server} */ server) {
  for (let i = 0; i < LEASES; i++) {
    const { stdout } = await ctl(server, ['lease', 'grant', '100000']);
    const lease = /lease (\S+) granted/.exec(stdout)?.[1] ?? '';
    await ctl(server, ['put', `leased-${i}`, 'value', `--lease=${lease}`]);
  }
  for (let i = 0; i < CHANGED; i += 50) {
    const ops = Array.from({ length: 50 }, (_, n) => `put changed-${i + n} value`).join('\n');
    await txn(server, ops);
    await txn(server, ops.replaceAll('value', 'other'));
    await txn(server, ops.replaceAll(/^put (\S+) value$/gm, 'del $1').replace(/^del.*\n/, ''));
  }
  await ctl(server, ['role', 'add', 'reader']);
  await ctl(server, ['role', 'grant-permission', 'reader', '--prefix=true', 'read', 'k']);
  await ctl(server, ['user', 'add', 'someone:secret']);
  await ctl(server, ['user', 'grant-role', 'someone', 'reader']);
  const { revision } = await state(server);
  await ctl(server, ['compact', String(revision - CHANGED / 2), '--physical']);
  await txn(server, 'put after the-compaction\ndel changed-0');
}

/**
 * @param {Server} server
 * @param {string} ops
 */
function txn(server, ops) {
  return new Promise((resolve, reject) => {
    const args = [`--endpoints=${HOST}:${server.port}`, 'txn'];
    const child = execFile(values.ctl, args, { timeout: STEP_MS_MAX }, (error, stdout) =>
      error === null ? resolve(stdout) : reject(error),
    );
    child.stdin?.end(`\n${ops}\n\n\n`);
  });
}

/** What must be the same wherever the data is served. */
async function state(/** @type {Server} */ server) {
  const { stdout } = await ctl(server, ['endpoint', 'status', '-w', 'json']);
  const revision = Number(/"revision":(\d+)/.exec(stdout)?.[1]);
  const text = async (/** @type {readonly string[]} */ args) =>
    (await ctl(server, args)).stdout.trim().split('\n').sort().join('\n');
  const count = async (/** @type {string} */ prefix) => {
    const fields = await text(['get', prefix, '--prefix', '--count-only', '--write-out=fields']);
    return Number(/"Count" : (\d+)/.exec(fields)?.[1]);
  };
  return {
    revision,
    hashKv: await hashKv(server.port, 0),
    keys: await count(''),
    changed: await count('changed-'),
    leases: await text(['lease', 'list']),
    leased: await text(['get', 'leased-7', '--write-out=fields']).then(
      (fields) => /"Lease" : (\d+)/.exec(fields)?.[1],
    ),
    users: await text(['user', 'get', 'someone']),
    roles: await text(['role', 'get', 'reader']),
  };
}

/**
 * @param {import('./sides.mjs').Side} from
 * @param {import('./sides.mjs').Side} to
 * @param {string} parent
 */
async function change(from, to, parent) {
  const file = join(parent, `${from.label}.db`);
  const filled = new Server({ label: from.label, command: from.command, parent });
  const restored = new Server({ label: `${to.label}-restored`, command: to.command, parent });
  try {
    await filled.start();
    await filled.firstWrite(START_MS_MAX);
    await generate({
      workload: FILL.name,
      server: filled,
      ...{ seconds: FILL_SECONDS_MAX, warmupSeconds: 0, count: Number(values.keys) },
    });
    await furnish(filled);
    const before = await state(filled);
    const saved = await ctl(filled, ['snapshot', 'save', file]);
    await filled.stop();
    const tool = toolOf(to.command);
    const status = await call(tool, ['snapshot', 'status', file, '-w', 'json']);
    const own = await call(toolOf(from.command), ['snapshot', 'status', file, '-w', 'json']);
    if (status.stdout !== own.stdout) throw new Error(`${status.stdout} but ${own.stdout}`);
    await restored.reservePorts();
    const member = ['--name', restored.name, '--initial-cluster', restored.entry];
    const urls = ['--initial-advertise-peer-urls', restored.peerUrl];
    const target = ['--data-dir', restored.dataPath];
    const restore = ['snapshot', 'restore', file, ...member, ...urls, ...target];
    const { seconds: restoreSeconds } = await call(tool, restore);
    await restored.start();
    await ready(restored);
    const after = await state(restored);
    const [told, found] = [JSON.stringify(before), JSON.stringify(after)];
    if (told !== found) throw new Error(`not the same:\n${told}\n${found}`);
    const result = {
      direction: `${from.label} to ${to.label}`,
      ...{ state: before, status: JSON.parse(status.stdout), bytes: statSync(file).size },
      seconds: { save: saved.seconds, status: status.seconds, restore: restoreSeconds },
    };
    say(JSON.stringify(result));
    return result;
  } catch (error) {
    const tails = `${filled.logTail()}\n${restored.logTail()}`;
    throw new Error(`${from.label} to ${to.label}: ${error}\n${tails}`, { cause: error });
  } finally {
    await filled.remove();
    await restored.remove();
    rmSync(file, { force: true });
  }
}

/** Without a write, which would change what is compared. */
async function ready(/** @type {Server} */ server) {
  const until = performance.now() + START_MS_MAX;
  while (performance.now() < until) {
    const healthy = await ctl(server, ['endpoint', 'health']).catch(() => null);
    if (healthy !== null) return;
  }
  throw new Error(`${server.label} is not healthy`);
}

assertRealDisk(values.dir);
const parent = mkdtempSync(join(values.dir, 'etcd-backup-bench-'));
try {
  const about = machine(parent);
  const [ours, other] = [side('ours', values.ours), side('other', values.other)];
  say(machineText(about));
  const results = [await change(ours, other, parent), await change(other, ours, parent)];
  const path = writeResults(
    { out: values.out, label: values.label, suffix: '-backup-million' },
    {
      ...{ machine: about, keys: Number(values.keys) },
      sides: [ours, other].map(({ label, version }) => ({ label, version })),
      results,
    },
  );
  say(`written: ${path}`);
} finally {
  rmSync(parent, { recursive: true, force: true });
}
