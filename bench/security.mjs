// What TLS and authentication cost: the same loads on servers with neither, with either and with
// both, ours beside another etcd in one run.
//   node bench/security.mjs [--ours CMD] [--other CMD] [--rounds 1] [--seconds 2.5] [--only put]
// TLS is mutual; with authentication every request has the token of a user who may read and write
// the keys of the load, and nothing else.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { credentialsIn, makeCredentials } from './credentials.mjs';
import { generate } from './generate.mjs';
import { describeProfile, profileWritten } from './profile.mjs';
import { figure, runText, spread } from './report.mjs';
import { assertRealDisk, Server } from './server.mjs';
import {
  inTurns,
  machine,
  machineText,
  PROGRAMS,
  say,
  side,
  withProfiler,
  writeResults,
} from './sides.mjs';

const READY_MS_MAX = 60_000;
const LOADS = ['put-one', 'put', 'range-one', 'range-linearizable'];
/** One client alone takes long to make a server's code warm, so many do it before. */
const WARM_BY = { 'put-one': 'put', 'range-one': 'range-linearizable' };
const WARM_SECONDS = 2;
const MODES = [
  { mode: 'plain', tls: false, auth: false },
  { mode: 'tls', tls: true, auth: false },
  { mode: 'auth', tls: false, auth: true },
  { mode: 'tls+auth', tls: true, auth: true },
];
const PASSWORD = 'bench-password';

const { values } = parseArgs({
  options: {
    ours: { type: 'string', default: PROGRAMS.ours },
    other: { type: 'string', default: PROGRAMS.other },
    rounds: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '2.5' },
    warmup: { type: 'string', default: '1' },
    only: { type: 'string', default: LOADS.join() },
    modes: { type: 'string', default: MODES.map(({ mode }) => mode).join() },
    dir: { type: 'string', default: tmpdir() },
    out: { type: 'string' },
    label: { type: 'string' },
    profile: { type: 'boolean', default: false },
  },
});

/**
 * @typedef {import('./run.mjs').RunResult} RunResult
 * @typedef {{ load: string, mode: string, sides: { label: string, rounds: RunResult[] }[] }} Cell
 */

/**
 * A request to the JSON gateway; throws unless it is answered well.
 * @param {Server} server
 * @param {string} path
 * @param {object} body
 * @returns {Promise<Record<string, string>>}
 */
function post(server, path, body) {
  const secure = server.tls === undefined ? {} : credentialsIn(server.tls);
  const send = server.tls === undefined ? httpRequest : httpsRequest;
  return new Promise((resolve, reject) => {
    const url = `${server.clientUrl}${path}`;
    const sent = send(url, { method: 'POST', agent: false, ...secure }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece) => {
        text += piece;
      });
      response.on('end', () => {
        if (response.statusCode === 200) resolve(JSON.parse(text));
        else reject(new Error(`${path}: ${response.statusCode} ${text}`));
      });
    });
    sent.on('error', reject);
    sent.end(JSON.stringify(body));
  });
}

/**
 * Switches authentication on and logs in.
 * @param {Server} server
 */
async function lock(server) {
  const base64 = (/** @type {string} */ text) => Buffer.from(text).toString('base64');
  for (const name of ['root', 'bench']) {
    await post(server, '/v3/auth/user/add', { name, password: PASSWORD });
    await post(server, '/v3/auth/role/add', { name });
    await post(server, '/v3/auth/user/grant', { user: name, role: name });
  }
  const perm = { permType: 'READWRITE', key: base64('bench/'), range_end: base64('bench0') };
  await post(server, '/v3/auth/role/grant', { name: 'bench', perm });
  await post(server, '/v3/auth/enable', {});
  const { token } = await post(server, '/v3/auth/authenticate', {
    name: 'bench',
    password: PASSWORD,
  });
  return token;
}

/**
 * @param {string} load
 * @param {typeof MODES[number]} mode
 * @param {{ sides: readonly import('./sides.mjs').Side[], parent: string, folder: string }} about
 * @returns {Promise<Cell>}
 */
async function measure(load, { mode, tls, auth }, { sides, parent, folder }) {
  const profilePath = join(parent, `${load}-${mode}.cpuprofile`);
  const servers = sides.map(({ label, command }, i) => {
    const profiled = values.profile && i === 0;
    return new Server({
      ...{ label, parent, tls: tls ? folder : undefined },
      command: profiled ? withProfiler(command) : command,
      env: profiled ? { BENCH_PROFILE: profilePath } : {},
    });
  });
  try {
    /** @type {(string | undefined)[]} */
    const tokens = [];
    for (const server of servers) {
      await server.start();
      await server.firstWrite(READY_MS_MAX);
      const token = auth ? await lock(server) : undefined;
      tokens.push(token);
      const warm = Object.entries(WARM_BY).find(([name]) => name === load)?.[1];
      if (warm === undefined) continue;
      await generate({ workload: warm, server, seconds: WARM_SECONDS, warmupSeconds: 0, token });
    }
    const results = await inTurns(Number(values.rounds), async (which, round) => {
      const profiled = values.profile && which === 0 && round === 0;
      if (profiled) servers[which].signal('SIGUSR2');
      const result = await generate({
        ...{ workload: load, server: servers[which], token: tokens[which] },
        ...{ seconds: Number(values.seconds), warmupSeconds: Number(values.warmup) },
      });
      if (profiled) {
        servers[which].signal('SIGUSR2');
        await profileWritten(profilePath);
        say(describeProfile(profilePath));
      }
      say(runText(`${load} ${mode}`, sides[which].label, result));
      return result;
    });
    return { load, mode, sides: sides.map(({ label }, i) => ({ label, rounds: results[i] })) };
  } finally {
    for (const server of servers) await server.remove();
  }
}

/**
 * One row for each load and mode: both servers, their ratio, and each beside itself without locks.
 * @param {readonly Cell[]} cells
 */
function table(cells) {
  const median = (
    /** @type {Cell} */ cell,
    /** @type {number} */ which,
    /** @type {(result: RunResult) => number} */ of,
  ) => spread(cell.sides[which].rounds.map(of)).median;
  const rows = cells.map((cell) => {
    const plain = cells.find(({ load, mode }) => load === cell.load && mode === 'plain') ?? cell;
    const alone = cell.load.endsWith('-one');
    const of = (/** @type {RunResult} */ r) => (alone ? r.latencyMs.p50 : r.perSecond);
    const cpu = (/** @type {RunResult} */ r) => r.serverCpuSecondsPer1000 * 1000;
    const [ours, other] = [0, 1].map((which) => median(cell, which, of));
    const cost = [0, 1].map((which) => median(cell, which, cpu));
    const more = [0, 1].map((which) => cost[which] / median(plain, which, cpu));
    return [
      ...[cell.load, cell.mode, alone ? 'ms, p50' : 'per second'],
      ...[ours, other, ours / other, ...cost, cost[0] / cost[1], ...more].map(figure),
    ];
  });
  const head = [
    ...['load', 'mode', 'unit', 'ours', 'other', 'ratio', 'CPU µs ours', 'CPU µs other'],
    ...['CPU ratio', 'ours × plain', 'other × plain'],
  ];
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

async function main() {
  assertRealDisk(values.dir);
  const parent = mkdtempSync(join(values.dir, 'etcd-bench-'));
  const folder = join(parent, 'tls');
  mkdirSync(folder);
  makeCredentials(folder);
  try {
    const sides = [side('ours', values.ours), side('other', values.other)];
    const about = machine(parent);
    /** @type {Cell[]} */
    const cells = [];
    for (const load of values.only.split(',')) {
      for (const mode of MODES.filter((each) => values.modes.split(',').includes(each.mode))) {
        cells.push(await measure(load, mode, { sides, parent, folder }));
      }
    }
    const servers = sides.map(({ label, version }) => ({ label, version }));
    const { rounds, seconds, warmup } = values;
    const options = { rounds: Number(rounds), seconds: Number(seconds), warmup: Number(warmup) };
    const results = { machine: about, servers, options, cells };
    const out = writeResults({ ...values, suffix: '-security' }, results);
    process.stdout.write(`${machineText(about)}; ${rounds} × ${seconds} s\n\n${table(cells)}\n`);
    say(`written: ${out}`);
    const faults = cells.flatMap(({ load, mode, sides: both }) =>
      both.flatMap((each) =>
        each.rounds.flatMap(({ firstFault }) =>
          firstFault === null ? [] : [`${load} ${mode}, ${each.label}: ${firstFault}`],
        ),
      ),
    );
    for (const fault of faults) say(`FAULT ${fault}`);
    return faults.length > 0 ? 1 : 0;
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
}

process.exitCode = await main();
