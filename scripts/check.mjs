// The fast checks, side by side: format and lint, types, the rules of the house. Prints what each
// has to say once it is through, and fails when one of them does.

import { spawn } from 'node:child_process';
import { join } from 'node:path';

const BIN = join(import.meta.dirname, '../node_modules/.bin');
const TYPES_SEEN = 'node_modules/.cache/check.tsbuildinfo';
const CHECKS = {
  biome: ['biome', 'check', '.'],
  types: ['tsc', '--noEmit', '--incremental', '--tsBuildInfoFile', TYPES_SEEN],
  tidy: ['vitest', 'run', 'test/tidy.test.ts'],
};

/**
 * @param {string} name
 * @param {string[]} command
 * @returns {Promise<boolean>} whether it passed
 */
function run(name, [program = '', ...args]) {
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(join(BIN, program), args, { shell: process.platform === 'win32' });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text) => {
        output += text;
      });
    }
    child.on('error', reject);
    child.on('close', (code) => {
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      process.stdout.write(`${code === 0 ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)\n`);
      if (code !== 0) process.stdout.write(output);
      resolve(code === 0);
    });
  });
}

const passed = await Promise.all(
  Object.entries(CHECKS).map(([name, command]) => run(name, command)),
);
process.exitCode = passed.every(Boolean) ? 0 : 1;
