/**
 * The command line of the simulation: `--seed N` plays one seed and shows its trace, `--seeds A-B`
 * plays many and prints figures. Ends with 1 when a seed fails.
 */

import { parseArgs } from 'node:util';
import { type RunResult, simulate } from './simulation.ts';

const LINES_SHOWN = 150;

export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string' },
      verbose: { type: 'boolean', default: false },
    },
  });
  if (values.seed !== undefined) return one(Number(values.seed), values.verbose);
  const [first = 1, last = 100] = (values.seeds ?? '1-100').split('-').map(Number);
  return many(first, last);
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

async function many(first: number, last: number): Promise<number> {
  const counts = new Map<string, number>();
  const failed: number[] = [];
  let virtualMs = 0;
  let events = 0;
  let acknowledged = 0;
  const started = performance.now();
  for (let seed = first; seed <= last; seed++) {
    const result = await simulate(seed);
    for (const [name, count] of result.counts) counts.set(name, (counts.get(name) ?? 0) + count);
    virtualMs += result.virtualMs;
    events += result.events;
    acknowledged += result.acknowledged;
    if (result.failure === null) continue;
    failed.push(seed);
    print(summary(result));
    print(describe(result.failure).split('\n').slice(0, 12).join('\n'));
  }
  printCounts(counts);
  const seconds = (performance.now() - started) / 1000;
  print(
    `${last - first + 1} seeds in ${seconds.toFixed(1)} s: ${(virtualMs / 3_600_000).toFixed(2)} h ` +
      `of virtual time, ${events} events, ${acknowledged} operations acknowledged`,
  );
  print(failed.length === 0 ? 'no seed failed' : `failed: ${failed.join(' ')}`);
  return failed.length === 0 ? 0 : 1;
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
