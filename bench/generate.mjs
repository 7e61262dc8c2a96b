// Runs the load generator as its own process and returns what it measured.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const LOAD = fileURLToPath(new URL('load.mjs', import.meta.url));
const GRACE_SECONDS = 120;

/**
 * @typedef {import('./server.mjs').Server} Server
 */

/**
 * @param {{ workload: string, server: Server, others?: readonly Server[], seconds: number,
 *   warmupSeconds: number, count?: number, spread?: boolean, token?: string | undefined }} options
 *   `others` are the further members of the server's cluster: their CPU time counts, and with
 *   `spread` they are loaded as well.
 * @returns {Promise<import('./run.mjs').RunResult>}
 */
export function generate({
  workload,
  server,
  others = [],
  seconds,
  warmupSeconds,
  count = 0,
  spread = false,
  token,
}) {
  const ports = [server, ...(spread ? others : [])].map(({ port }) => port);
  const pids = [server, ...others].map(({ pid }) => pid);
  const args = [
    ...[LOAD, workload, '--port', ports.join(), '--pid', pids.join()],
    ...['--seconds', String(seconds), '--warmup', String(warmupSeconds)],
    ...['--count', String(count)],
    ...(server.tls === undefined ? [] : ['--tls', server.tls]),
    ...(token === undefined ? [] : ['--token', token]),
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  // Bounded in time whatever the server does.
  const limitMs = (seconds + warmupSeconds + GRACE_SECONDS) * 1000;
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    errors += text;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      if (code === 0) resolve(JSON.parse(output));
      else {
        const tail = `${errors.slice(-1500)}\nserver log:\n${server.logTail()}`;
        reject(new Error(`${workload} on ${server.label} failed (${code}):\n${tail}`));
      }
    });
  });
}
