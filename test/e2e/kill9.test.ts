// Kills a loaded server again and again; see kill9.ts for what must hold afterwards.
// KILLS, CLIENTS and SEED choose the run; RESULTS names a file for the figures.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { expect, it } from 'vitest';
import { nodeCommand } from '../compat/binaries.ts';
import { runKills } from './kill9.ts';

const KILLS = Number(process.env['KILLS'] ?? 20);
const CLIENTS = Number(process.env['CLIENTS'] ?? 6);
const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const CYCLE_MS_MAX = 20_000;

it(`loses nothing in ${KILLS} kills under load`, { timeout: KILLS * CYCLE_MS_MAX }, async () => {
  console.log(`seed ${SEED}`);
  const options = { command: nodeCommand(), kills: KILLS, clients: CLIENTS, seed: SEED };
  const report = await runKills(options);
  console.log(report);
  const { RESULTS } = process.env;
  if (RESULTS !== undefined) {
    await mkdir(dirname(RESULTS), { recursive: true });
    await writeFile(RESULTS, `${JSON.stringify(report, null, 2)}\n`);
  }
  expect(report.failures).toEqual([]);
  expect(report.kills).toBe(KILLS);
  expect(report.acknowledged).toBeGreaterThan(KILLS * 10);
});
