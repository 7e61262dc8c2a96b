// Runs the steady light load (paced-load.mjs) as a process beside whatever happens to a cluster,
// and answers questions about windows of time afterwards.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const LOAD = fileURLToPath(new URL('paced-load.mjs', import.meta.url));
const STOP_MS_MAX = 120_000;

/** Milliseconds of the clock that all processes of the machine share. */
export function monotonicMs() {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

/** @param {number} value */
function round(value) {
  return Number(value.toPrecision(4));
}

/**
 * @typedef {{ samples: [port: number, sentAt: number, latencyMs: number][],
 *   refusals: Record<string, number>, acknowledged: number, missing: number[] }} PacedResult
 */

/** What a steady load saw. */
export class PacedRecord {
  #samples;
  refusals;
  acknowledged;
  /** The acknowledged puts that a member did not hold in the end, in words; null when none. */
  fault;

  /** @param {PacedResult} result */
  constructor({ samples, refusals, acknowledged, missing }) {
    this.#samples = samples;
    this.refusals = refusals;
    this.acknowledged = acknowledged;
    const lost = missing.some((count) => count > 0);
    this.fault = lost ? `wrong: acknowledged puts missing, by member: ${missing.join(', ')}` : null;
  }

  /**
   * Latencies of what was sent in [from, to).
   * @param {number} from
   * @param {number} to
   */
  latencies(from, to) {
    const sorted = this.#samples
      .filter(([, sentAt]) => sentAt >= from && sentAt < to)
      .map(([, , latencyMs]) => latencyMs)
      .sort((a, b) => a - b);
    const at = (/** @type {number} */ part) =>
      round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0);
    return { puts: sorted.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
  }

  /**
   * Milliseconds from `at` to the first acknowledgement, by another member than the one at `port`,
   * of a put that was sent after it.
   * @param {number} at
   * @param {number} port
   */
  outageMs(at, port) {
    let first = Number.POSITIVE_INFINITY;
    for (const [by, sentAt, latencyMs] of this.#samples) {
      if (by !== port && sentAt > at) first = Math.min(first, sentAt + latencyMs);
    }
    return first - at;
  }
}

/** A steady load that is running. */
export class Paced {
  #child;
  #output = '';
  #errors = '';
  /** @type {Promise<number | null>} */
  #closed;

  /**
   * @param {{ members: readonly import('./server.mjs').Server[],
   *   loaded?: readonly import('./server.mjs').Server[], intervalMs: number }} options
   *   One put every `intervalMs` at each of `loaded`; all `members` must hold them in the end.
   */
  constructor({ members, loaded = members, intervalMs }) {
    const ports = (/** @type {readonly { port: number }[]} */ of) =>
      of.map((one) => one.port).join();
    const args = ['--ports', ports(members), '--load-ports', ports(loaded)];
    this.#child = spawn(process.execPath, [LOAD, ...args, '--interval', String(intervalMs)], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#child.stdout.setEncoding('utf8').on('data', (text) => {
      this.#output += text;
    });
    this.#child.stderr.setEncoding('utf8').on('data', (text) => {
      this.#errors += text;
    });
    this.#closed = new Promise((resolve) => {
      this.#child.once('error', () => resolve(null));
      this.#child.once('close', resolve);
    });
  }

  /** Ends the load and returns what it saw. */
  async stop() {
    this.#child.stdin.end();
    const timer = setTimeout(() => this.kill(), STOP_MS_MAX);
    const code = await this.#closed;
    clearTimeout(timer);
    if (code !== 0) throw new Error(`the steady load failed (${code}):\n${this.#errors}`);
    return new PacedRecord(JSON.parse(this.#output));
  }

  /** Ends it without asking; harmless when it has ended. */
  kill() {
    this.#child.kill('SIGKILL');
  }
}
