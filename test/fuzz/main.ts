/**
 * The fuzzer's command line. Starts members, lets storms loose on them from a process of its own,
 * asks them all the while like an honest client, and tells what was not as it should be.
 */

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Member, type Site, startSite, type Usage } from './member.ts';
import { type ProbeFigures, Probes } from './probes.ts';
import { type Counts, type StormOptions, storm, TARGETS } from './storm.ts';
import { pause } from './wire.ts';

/** etcd's election timeout: for longer than that, nobody may be kept waiting. */
const ELECTION_MS = 1000;
const SETTLE_MS_MAX = 30_000;
const START_MS_MAX = 60_000;
const DESCRIPTORS_MORE_MAX = 20;
const RESIDENT_MORE_MIB_MAX = 400;
const COMPACTION_MS = 10_000;

export interface Start {
  readonly root: string;
  readonly self: string;
  readonly args: readonly string[];
}

interface Run {
  readonly target: string;
  readonly seed: number;
  readonly isTls: boolean;
  readonly seconds: number;
  readonly inputs: Counts;
  readonly before: Usage | null;
  readonly worst: Usage | null;
  readonly after: Usage | null;
  readonly probes: ProbeFigures;
  readonly recoveredMs: number;
  readonly findings: readonly string[];
}

export async function main({ root, self, args }: Start): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      storm: { type: 'string' },
      seeds: { type: 'string', default: '1-3' },
      seconds: { type: 'string', default: '20' },
      targets: { type: 'string', default: Object.keys(TARGETS).join() },
      tls: { type: 'boolean', default: false },
      flags: { type: 'string', default: '' },
      out: { type: 'string' },
    },
  });
  if (values.storm !== undefined) {
    const counts = await storm(optionsOf(values.storm));
    process.stdout.write(JSON.stringify(counts));
    process.exit(0);
  }
  const [first = 1, last = first] = values.seeds.split('-').map(Number);
  const runs: Run[] = [];
  for (let seed = first; seed <= last; seed++) {
    for (const target of values.targets.split(',')) {
      const { tls } = TARGETS[target] ?? {};
      if (tls === undefined) throw new Error(`targets are ${Object.keys(TARGETS).join(', ')}`);
      const isTls = tls === 'always' || (tls === 'either' && values.tls);
      const flags = values.flags === '' ? [] : values.flags.split(' ');
      const run = await play({
        root,
        self,
        target,
        seed,
        isTls,
        flags,
        seconds: Number(values.seconds),
      });
      runs.push(run);
      print(JSON.stringify(run));
      if (values.out !== undefined) writeFileSync(values.out, report(runs));
    }
  }
  const failed = runs.filter(({ findings }) => findings.length > 0);
  print(`${runs.length} runs, ${failed.length} with findings`);
  return failed.length === 0 ? 0 : 1;
}

interface Play {
  readonly root: string;
  readonly self: string;
  readonly target: string;
  readonly seed: number;
  readonly isTls: boolean;
  readonly seconds: number;
  readonly flags: readonly string[];
}

async function play(options: Play): Promise<Run> {
  const { root, target, isTls, flags } = options;
  const { hasPeers } = TARGETS[target] ?? { hasPeers: false };
  const site = await startSite({ root, isTls, hasPeers, flags });
  try {
    return await attack(site, options);
  } finally {
    await site.close();
  }
}

async function attack(site: Site, options: Play): Promise<Run> {
  const { target, seed, isTls, seconds } = options;
  const { hasPeers } = TARGETS[target] ?? { hasPeers: false };
  const member = site.members[0] as Member;
  const probes = new Probes(member, isTls);
  await until(() => probes.works(), START_MS_MAX);
  const before = member.usage();
  probes.start();
  const watch = watchUsage(member, probes);
  const told = await stormFrom(site, options);
  const worst = watch.stop();
  const started = performance.now();
  const recovered = await until(() => probes.works(), SETTLE_MS_MAX);
  const recoveredMs = Math.round(performance.now() - started);
  await probes.stop();
  const few = (before?.descriptors ?? 0) + DESCRIPTORS_MORE_MAX;
  const roomy = (before?.residentMiB ?? 0) + RESIDENT_MORE_MIB_MAX;
  const isBack = (usage: Usage | null): boolean =>
    usage !== null && usage.descriptors <= few && usage.residentMiB <= roomy;
  await until(async () => isBack(member.usage()), SETTLE_MS_MAX);
  const after = member.usage();
  const findings: string[] = [];
  for (const one of site.members) {
    if (one.end !== null) findings.push(`ended with ${one.end}: ${one.log.slice(-3000)}`);
    findings.push(...one.takeStacks().map((text) => `in the log: ${text}`));
  }
  if (!recovered) findings.push('no service after the storm');
  if (!isBack(after)) findings.push(`not back: ${JSON.stringify({ before, after })}`);
  const { figures } = probes;
  for (const [name, ms] of Object.entries(figures.slowest)) {
    if (hasPeers && name !== 'turn') continue;
    if (ms > ELECTION_MS) findings.push(`${name} took ${ms} ms`);
  }
  // Where members attack, leaders change, and clients are told so.
  if (!hasPeers && figures.failures > 0) findings.push(`refused: ${figures.texts.join('; ')}`);
  const { inputs, trouble } = told;
  if (trouble !== '') findings.push(`the attacker: ${trouble}`);
  return {
    target,
    seed,
    isTls,
    seconds,
    inputs,
    before,
    worst,
    after,
    probes: figures,
    recoveredMs,
    findings,
  };
}

function watchUsage(member: Member, probes: Probes): { stop(): Usage | null } {
  let worst = member.usage();
  const look = setInterval(() => {
    const now = member.usage();
    if (now === null || worst === null) return;
    worst = {
      residentMiB: Math.max(now.residentMiB, worst.residentMiB),
      descriptors: Math.max(now.descriptors, worst.descriptors),
      waitedMs: now.waitedMs,
    };
  }, 200);
  const compact = setInterval(() => void probes.compact(), COMPACTION_MS);
  return {
    stop() {
      clearInterval(look);
      clearInterval(compact);
      return worst;
    },
  };
}

async function stormFrom(
  site: Site,
  { root, self, target, seed, isTls, seconds }: Play,
): Promise<{ inputs: Counts; trouble: string }> {
  const member = site.members[0] as Member;
  const ids = await idsOf(member, isTls);
  const options: StormOptions = {
    root,
    target,
    seed,
    seconds,
    client: { port: member.clientPort, isTls },
    peer: { door: { port: member.peerPort, isTls }, ...ids, ownPort: site.ownPort },
  };
  const text = JSON.stringify(options, (_key, value) =>
    typeof value === 'bigint' ? `${value}n` : value,
  );
  const child = spawn(process.execPath, ['--no-warnings', self, '--storm', text], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let trouble = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  child.stderr.on('data', (chunk) => {
    trouble += chunk;
  });
  await new Promise((resolve) => child.once('close', resolve));
  return {
    inputs: output === '' ? {} : (JSON.parse(output) as Counts),
    trouble: trouble.slice(-2000),
  };
}

function optionsOf(text: string): StormOptions {
  return JSON.parse(text, (_key, value) =>
    typeof value === 'string' && /^\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value,
  ) as StormOptions;
}

interface Ids {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly ownId: bigint;
}

/** As the members themselves tell; alone there is nobody whose place could be taken. */
async function idsOf(member: Member, isTls: boolean): Promise<Ids> {
  if (isTls) return { memberId: 1n, clusterId: 1n, ownId: 2n };
  const answer = await fetch(`http://127.0.0.1:${member.clientPort}/v3/cluster/member/list`, {
    method: 'POST',
    body: '{}',
  });
  const text = await answer.text();
  const { members } = JSON.parse(text) as { members: { ID: string; clientURLs?: string[] }[] };
  const [, clusterId = '1'] = /"cluster_id":"(\d+)"/.exec(text) ?? [];
  const [, memberId = '1'] = /"member_id":"(\d+)"/.exec(text) ?? [];
  const absent = members.find(
    ({ clientURLs }) => clientURLs === undefined || clientURLs.length === 0,
  );
  return {
    memberId: BigInt(memberId),
    clusterId: BigInt(clusterId),
    ownId: BigInt(absent?.ID ?? '2'),
  };
}

async function until(holds: () => Promise<boolean>, msMax: number): Promise<boolean> {
  const end = performance.now() + msMax;
  while (performance.now() < end) {
    if (await holds()) return true;
    await pause(100);
  }
  return false;
}

function report(runs: readonly Run[]): string {
  const inputs: Counts = {};
  let seconds = 0;
  for (const run of runs) {
    seconds += run.seconds;
    for (const [name, count] of Object.entries(run.inputs))
      inputs[name] = (inputs[name] ?? 0) + count;
  }
  const failed = runs.filter(({ findings }) => findings.length > 0).length;
  const summary = {
    runs: runs.length,
    minutes: seconds / 60,
    failed,
    inputs,
    node: process.version,
  };
  return `${JSON.stringify({ summary, runs }, null, 1)}\n`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
