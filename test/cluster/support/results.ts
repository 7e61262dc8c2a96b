// Figures of a run, for whoever asks for them: RESULTS names a file, such as one in bench/results.

import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, release } from 'node:os';
import { dirname } from 'node:path';

/** Writes the figures with the date and the machine they are from; does nothing unasked. */
export async function writeResults(what: string, figures: object): Promise<void> {
  const { RESULTS } = process.env;
  if (RESULTS === undefined) return;
  const [first] = cpus();
  const machine = {
    cpu: first?.model,
    cores: cpus().length,
    kernel: release(),
    node: process.version,
  };
  const date = new Date().toISOString().slice(0, 10);
  const text = JSON.stringify({ what, date, machine, ...figures }, null, 2);
  await mkdir(dirname(RESULTS), { recursive: true });
  await writeFile(RESULTS, `${text}\n`);
}
