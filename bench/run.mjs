// One measured run of one load against one server: the window (warm-up, measurement, drain), the
// recorded latencies, the faults, and the CPU time of both processes inside the window.
// Invariant: only what completes inside the window counts; a fault counts whenever it happens.
// It refuses to know what a request is.

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const CLOCK_TICKS_PER_SECOND = 100; // USER_HZ, 100 on every Linux that Node runs on.
const DRAIN_MS_MAX = 20_000;
const SAMPLES_MAX = 50_000_000;

/**
 * User and system time of a process with all its threads.
 * @param {number} pid
 */
export function cpuSeconds(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The second field, the name, may contain spaces; it ends at the last parenthesis.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND;
}

/** Everything the machine's cores did so far, by whomever. */
export function machineCpuSeconds() {
  const [all] = readFileSync('/proc/stat', 'latin1').split('\n');
  const [user, nice, system, , , irq, softirq, steal] = all.split(/\s+/).slice(1).map(Number);
  return (user + nice + system + irq + softirq + steal) / CLOCK_TICKS_PER_SECOND;
}

/** @param {readonly number[]} serverPids */
function cpuTimes(serverPids) {
  return {
    servers: serverPids.map(cpuSeconds),
    generator: cpuSeconds(process.pid),
    machine: machineCpuSeconds(),
  };
}

/** Latencies in milliseconds, all of them, so that percentiles are exact. */
class Samples {
  #values = new Float32Array(1 << 16);
  length = 0;

  /** @param {number} value */
  add(value) {
    if (this.length === this.#values.length) {
      if (this.length >= SAMPLES_MAX) throw new Error('too many samples for one run');
      const larger = new Float32Array(this.length * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.length++] = value;
  }

  summary() {
    const sorted = this.#values.slice(0, this.length).sort();
    const at = (/** @type {number} */ part) =>
      sorted.length === 0
        ? 0
        : round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]);
    let sum = 0;
    for (const value of sorted) sum += value;
    const mean = sorted.length === 0 ? 0 : round(sum / sorted.length);
    return { mean, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
  }
}

/** @param {number} value */
function round(value) {
  return Number(value.toPrecision(4));
}

/**
 * @typedef {{ host: string, ports: readonly number[], serverPids: readonly number[],
 *   seconds: number, warmupSeconds: number, count: number,
 *   security?: import('./wire/http2.mjs').Security }} RunOptions
 *   `ports` are loaded, in equal parts; `serverPids` are all the processes that this costs.
 *   `count` > 0 ends the run after that many requests instead of after `seconds`.
 */

export class Run {
  /** @type {RunOptions} */
  options;
  /** Slots look at this before they send again. */
  stopping = false;
  #samples = new Samples();
  #measuring = false;
  #units = 0;
  #active = 0;
  #faults = { error: 0, wrong: 0 };
  /** @type {string | null} */
  #firstFault = null;
  /** @type {() => void} */
  #onIdle = () => {};
  /** @type {(error: Error) => void} */
  #onFailure = () => {};
  /** @type {Promise<never>} */
  #failure;

  /** @param {RunOptions} options */
  constructor(options) {
    this.options = options;
    this.#failure = new Promise((_, reject) => {
      this.#onFailure = reject;
    });
    // The failure may come when nobody waits; measure() waits for it from its first moment on.
    this.#failure.catch(() => {});
  }

  /** A connection broke or the load cannot go on. */
  fail = (/** @type {Error} */ error) => this.#onFailure(error);

  /**
   * A request failed (`kind` is "error") or was answered wrongly ("wrong"). The load goes on; the
   * run's result carries the count and the first text.
   * @param {'error' | 'wrong'} kind
   * @param {string} text
   */
  fault(kind, text) {
    this.#faults[kind]++;
    this.#firstFault ??= `${kind}: ${text}`;
  }

  /**
   * @param {number} startedAt performance.now() when the request was made
   * @param {number} units how many things completed: 1 request, or so many events
   */
  completed(startedAt, units = 1) {
    if (!this.#measuring) return;
    this.#units += units;
    this.#samples.add(performance.now() - startedAt);
    if (this.options.count > 0 && this.#units >= this.options.count) this.#onIdle();
  }

  slotStarted() {
    this.#active++;
  }

  slotStopped() {
    this.#active--;
    if (this.#active === 0) this.#onIdle();
  }

  /**
   * Starts the load, measures, stops it and waits until every slot is idle.
   * @param {() => void} start
   */
  async measure(start) {
    const { serverPids, seconds, warmupSeconds, count } = this.options;
    start();
    await this.#unlessFailed(sleep(warmupSeconds * 1000));
    const before = cpuTimes(serverPids);
    const startedAt = performance.now();
    this.#measuring = true;
    if (count > 0) await this.#unlessFailed(this.#idle());
    else await this.#unlessFailed(sleep(seconds * 1000));
    this.#measuring = false;
    const elapsed = (performance.now() - startedAt) / 1000;
    const after = cpuTimes(serverPids);
    this.stopping = true;
    if (this.#active > 0) {
      const drained = Promise.race([
        this.#idle().then(() => true),
        sleep(DRAIN_MS_MAX, false, { ref: false }),
      ]);
      if (!(await this.#unlessFailed(drained))) throw new Error('requests without answer');
    }
    return this.#result(elapsed, before, after);
  }

  #idle() {
    return /** @type {Promise<void>} */ (
      new Promise((resolve) => {
        this.#onIdle = resolve;
      })
    );
  }

  /**
   * @template T
   * @param {Promise<T>} promise
   * @returns {Promise<T>}
   */
  #unlessFailed(promise) {
    return Promise.race([promise, this.#failure]);
  }

  /**
   * @param {number} elapsed
   * @param {ReturnType<typeof cpuTimes>} before
   * @param {ReturnType<typeof cpuTimes>} after
   */
  #result(elapsed, before, after) {
    const servers = after.servers.map((seconds, i) => round(seconds - before.servers[i]));
    const server = servers.reduce((sum, seconds) => sum + seconds, 0);
    const generator = after.generator - before.generator;
    const strangers = Math.max(0, after.machine - before.machine - server - generator);
    const units = this.#units;
    const per1000 = (/** @type {number} */ cpu) => (units === 0 ? 0 : round((cpu / units) * 1000));
    return {
      seconds: round(elapsed),
      units,
      perSecond: round(units / elapsed),
      latencyMs: this.#samples.summary(),
      serverCpuSeconds: round(server),
      /** Of each process, in the order of `serverPids`. */
      serversCpuSeconds: servers,
      generatorCpuSeconds: round(generator),
      /** Cores kept busy by anything else meanwhile: how far to trust the figures per second. */
      strangersCores: round(strangers / elapsed),
      serverCpuSecondsPer1000: per1000(server),
      generatorCpuSecondsPer1000: per1000(generator),
    };
  }

  /** To be read last: checks after the measurement may still add faults. */
  faults() {
    return {
      errors: this.#faults.error,
      wrong: this.#faults.wrong,
      firstFault: this.#firstFault,
    };
  }
}

/**
 * @typedef {Awaited<ReturnType<Run['measure']>> & ReturnType<Run['faults']>} RunResult
 */
