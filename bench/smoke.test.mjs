// Every measurement runs once, as short as it can be, on clusters of the programs named by
// BENCH_OURS and BENCH_OTHER (this build and `etcd` by default): nothing is answered wrongly, no
// acknowledged put is lost, and every figure is there.

import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { CLUSTER_WORKLOADS } from './cluster-workloads.mjs';
import { PROGRAMS } from './sides.mjs';

const COMMAND = fileURLToPath(new URL('compare-cluster.mjs', import.meta.url));
const run = promisify(execFile);

it('measures clusters', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'etcd-bench-smoke-'));
  try {
    const out = join(dir, 'results.json');
    const { BENCH_OURS: ours = PROGRAMS.ours, BENCH_OTHER: other = PROGRAMS.other } = process.env;
    const programs = ['--ours', ours, '--other', other];
    await run(process.execPath, [COMMAND, '--quick', ...programs, '--out', out]);
    const { lines, outcomes } = JSON.parse(readFileSync(out, 'utf8'));
    const names = outcomes.map((/** @type {{ name: string }} */ { name }) => name);
    const loads = CLUSTER_WORKLOADS.map(({ name }) => name);
    expect(names).toEqual([...loads, 'catch-up', 'leader-kill']);
    for (const { name, ours: mine, other: theirs } of lines) {
      expect(mine.median, `${name}, ours`).toBeGreaterThan(0);
      expect(theirs.median, `${name}, other`).toBeGreaterThan(0);
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
