/**
 * The command line of the simulation: `--seed N` plays one seed and shows its trace, `--seeds A-B`
 * plays many and prints figures, with `--out FILE` also as JSON. Ends with 1 when a seed fails.
 */

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type RunResult, simulate } from './simulation.ts';

const LINES_SHOWN = 150;

export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string' },
      out: { type: 'string' },
      verbose: { type: 'boolean', default: false },
    },
  });
  if (values.seed !== undefined) return one(Number(values.seed), values.verbose);
  const [first = 1, last = 100] = (values.seeds ?? '1-100').split('-').map(Number);
  return many(first, last, values.out ?? null);
}

async function one(seed: number, isVerbose: boolean): Promise<number> {
  const result = await simulate(seed, { isVerbose: true });
  const lines = isVerbose ? result.lines : result.lines.slice(-LINES_SHOWN);
  if (isVerbose || result.failure !== null) for (const line of lines) print(line);
  printCounts(result.counts);
  print(summary(result));
  if (result.failure === null) return 0;
  print(describe(result.failure));
  return 1;
}

async function many(first: number, last: number, out: string | null): Promise<number> {
  const counts = new Map<string, number>();
  const sums = { virtualMs: 0, events: 0, revisions: 0, operations: 0, acknowledged: 0 };
  const failed: number[] = [];
  const started = performance.now();
  for (let seed = first; seed <= last; seed++) {
    const result = await simulate(seed);
    for (const [name, count] of result.counts) counts.set(name, (counts.get(name) ?? 0) + count);
    for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += result[name];
    if (result.failure === null) continue;
    failed.push(seed);
    print(summary(result));
    print(describe(result.failure).split('\n').slice(0, 12).join('\n'));
  }
  const seconds = Math.round((performance.now() - started) / 100) / 10;
  printCounts(counts);
  const { virtualMs, ...rest } = sums;
  const virtualHours = Math.round(virtualMs / 36_000) / 100;
  const figures = { seeds: `${first}-${last}`, failed, seconds, virtualHours, ...rest };
  print(JSON.stringify(figures));
  print(failed.length === 0 ? 'no seed failed' : `failed: ${failed.join(' ')}`);
  if (out !== null) writeFileSync(out, record(figures, counts));
  return failed.length === 0 ? 0 : 1;
}

/** What was run, on what, and what happened in it. */
function record(figures: object, counts: ReadonlyMap<string, number>): string {
  const git = (...args: string[]): string => execFileSync('git', args, { encoding: 'utf8' }).trim();
  const commit = git('rev-parse', 'HEAD');
  const changed = git('status', '--porcelain', '--', 'src', 'test/sim', 'test/support');
  const what = { commit, isClean: changed === '', node: process.version };
  const happened = Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  return `${JSON.stringify({ ...what, ...figures, happened }, null, 2)}\n`;
}

function summary({ seed, founders, virtualMs, events, acknowledged, ...rest }: RunResult): string {
  const { operations, revisions, traceHash, failure } = rest;
  return (
    `seed ${seed}: ${failure === null ? 'passed' : 'FAILED'}, ${founders} founders, ` +
    `${(virtualMs / 1000).toFixed(1)} s, ${events} events, ${acknowledged} of ${operations} ` +
    `operations acknowledged, ${revisions} revisions, trace ${traceHash}`
  );
}

function describe(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${describe(error.cause)}` : '';
  return (error.stack ?? error.message) + cause;
}

function printCounts(counts: ReadonlyMap<string, number>): void {
  const sorted = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, count] of sorted) print(`  ${String(count).padStart(8)}  ${name}`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
