// Starts and stops one server under test: an etcd command line, etcd's flags, its own data
// directory on a real disk, loopback ports. Both sides of a comparison get exactly the same flags.
// Invariant: a server started here is ended here, by its process id, also when the benchmark fails.
// It refuses to know which of the servers it starts is ours.

import { spawn } from 'node:child_process';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { credentialsIn, serverFlags } from './credentials.mjs';
import { request } from './grpc-load.mjs';
import { Http2Connection } from './wire/http2.mjs';
import { answerRevision, PUT, putRequest } from './wire/messages.mjs';

const TMPFS_MAGIC = 0x01021994;
const RAMFS_MAGIC = 0x858458f6;
export const HOST = '127.0.0.1';
const PORT_FIRST = 12_000;
const PORTS = 20_000;
/** @type {Set<number>} */
const handedOut = new Set();
const STOP_MS_MAX = 30_000;
const RETRY_MS = 1;
const LOG_TAIL_CHARS = 2000;
/** Written to clear_refs, it makes the kernel count the peak of the resident size anew. */
const RESET_PEAK_RSS = '5';
const SIGNALS = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();

/** Whoever starts the first server takes care that none outlives this process. */
function endAllAtExit() {
  process.once('exit', () => {
    for (const child of running) child.kill('SIGKILL');
  });
  for (const signal of SIGNALS) process.once(signal, () => process.exit(1));
}
let watched = false;

/** An fsync on a file system in memory costs nothing, and the comparison would say nothing. */
export function assertRealDisk(/** @type {string} */ directory) {
  const { type } = statfsSync(directory);
  if (type === TMPFS_MAGIC || type === RAMFS_MAGIC) {
    throw new Error(`${directory} is in memory: name a directory on a disk with --dir`);
  }
}

/**
 * Below the range that Linux takes the ports of outgoing connections from: a port stays free while
 * its server is down, also when others go on dialling it.
 * @returns {Promise<number>}
 */
async function freePort() {
  for (;;) {
    const port = PORT_FIRST + Math.floor(Math.random() * PORTS);
    if (!handedOut.has(port) && (await isFree(port))) {
      handedOut.add(port);
      return port;
    }
  }
}

/**
 * @param {number} port
 * @returns {Promise<boolean>}
 */
function isFree(port) {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, HOST, () => probe.close(() => resolve(true)));
  });
}

/**
 * A command line with environment variables before it and quotes around arguments is more than a
 * comparison needs: words are separated by spaces.
 * @param {string} command
 */
export function words(command) {
  return command.split(' ').filter((word) => word !== '');
}

export class Server {
  label;
  name;
  port = 0;
  /** Where a member of a cluster shows its metrics, also before it serves clients. */
  metricsPort = 0;
  pid = 0;
  /** performance.now() just before the process was started. */
  startedAt = 0;
  #command;
  #directory;
  #peerUrl = '';
  /** @type {string[]} */
  #flags = [];
  #env;
  /** Where its certificates are, when clients have to come over TLS with their own. */
  tls;
  /** @type {import('node:child_process').ChildProcess | null} */
  #child = null;
  /** @type {Promise<void>} */
  #exited = Promise.resolve();

  /**
   * @param {{ label: string, command: readonly string[], parent: string, name?: string,
   *   env?: Record<string, string>, tls?: string | undefined }} options
   *   `parent` is where the server's directory (data and log) is made.
   */
  constructor({ label, command, parent, name = 'bench', env = {}, tls }) {
    this.tls = tls;
    this.label = label;
    this.name = name;
    this.#command = command;
    this.#env = env;
    this.#directory = mkdtempSync(join(parent, `${label}-`));
  }

  /** Its data folder. */
  get dataPath() {
    return join(this.#directory, 'data');
  }

  get peerUrl() {
    return this.#peerUrl;
  }

  get clientUrl() {
    return `${this.tls === undefined ? 'http' : 'https'}://${HOST}:${this.port}`;
  }

  /** `name=url`, as in --initial-cluster. */
  get entry() {
    return `${this.name}=${this.#peerUrl}`;
  }

  /** False also when the process ended by itself. */
  get running() {
    return this.#child !== null && running.has(this.#child);
  }

  /** The ports stay the same for all starts. */
  async reservePorts() {
    if (this.port !== 0) return;
    this.port = await freePort();
    this.metricsPort = await freePort();
    this.#peerUrl = `http://${HOST}:${await freePort()}`;
  }

  /**
   * Starts the process on the data left by the start before, if any, and does not wait.
   * @param {readonly string[]} [more] flags of a cluster; the next start has them too, by default.
   */
  async start(more) {
    await this.reservePorts();
    if (more !== undefined) this.#flags = [...more];
    else if (this.#flags.length === 0) this.#flags = ['--initial-cluster', this.entry];
    const client = this.clientUrl;
    const flags = [
      ...['--name', this.name, '--data-dir', this.dataPath],
      ...['--listen-client-urls', client, '--advertise-client-urls', client],
      ...['--listen-peer-urls', this.#peerUrl, '--initial-advertise-peer-urls', this.#peerUrl],
      ...(this.tls === undefined ? [] : serverFlags(this.tls)),
      ...this.#flags,
    ];
    const [program, ...args] = this.#command;
    const log = openSync(this.#logPath(), 'a');
    this.startedAt = performance.now();
    const child = spawn(program, [...args, ...flags], {
      stdio: ['ignore', log, log],
      env: { ...process.env, ...this.#env },
    });
    closeSync(log);
    this.#child = child;
    if (!watched) endAllAtExit();
    watched = true;
    running.add(child);
    this.#exited = new Promise((resolve) => {
      const ended = () => {
        running.delete(child);
        resolve();
      };
      child.once('exit', ended);
      child.once('error', ended);
    });
    if (child.pid === undefined) throw new Error(`${this.label}: cannot start ${program}`);
    this.pid = child.pid;
  }

  /**
   * Waits for the next acknowledged write and returns the milliseconds since the start.
   * @param {number} timeoutMs
   */
  async firstWrite(timeoutMs) {
    const until = performance.now() + timeoutMs;
    for (;;) {
      if (await this.#tryWrite(timeoutMs)) return performance.now() - this.startedAt;
      if (!this.running || performance.now() > until) {
        throw new Error(`${this.label} does not take writes:\n${this.logTail()}`);
      }
      await sleep(RETRY_MS);
    }
  }

  /**
   * True when a write was acknowledged. Every failure means "not yet": refused while nobody
   * listens, cut or answered with an error while the server is not ready.
   * @param {number} timeoutMs
   */
  async #tryWrite(timeoutMs) {
    /** @type {Http2Connection | null} */
    let connection = null;
    /** @type {(error: Error) => void} */
    let onFailure = () => {};
    const failed = new Promise((_, reject) => {
      onFailure = reject;
    });
    failed.catch(() => {});
    try {
      connection = await Http2Connection.open({
        host: HOST,
        port: this.port,
        onFailure,
        timeoutMs,
        tls: this.tls === undefined ? undefined : credentialsIn(this.tls),
      });
      const message = putRequest({ key: 'bench-start', value: 'started' });
      await Promise.race([failed, request(connection, PUT, message, answerRevision)]);
      return true;
    } catch {
      return false;
    } finally {
      connection?.close();
    }
  }

  /** Memory in MiB as the kernel counts it for this process. */
  memory() {
    const status = readFileSync(`/proc/${this.pid}/status`, 'latin1');
    const mib = (/** @type {string} */ name) => {
      const match = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status);
      return Math.round(Number(match?.[1] ?? 0) / 1024);
    };
    return { peakRss: mib('VmHWM'), rss: mib('VmRSS'), anon: mib('RssAnon'), file: mib('RssFile') };
  }

  /** From now on `peakRss` is the peak since now. */
  resetPeak() {
    writeFileSync(`/proc/${this.pid}/clear_refs`, RESET_PEAK_RSS);
  }

  /** @param {NodeJS.Signals} signal */
  signal(signal) {
    this.#child?.kill(signal);
  }

  /** Ends the process; the data stays for another start. */
  async stop(/** @type {NodeJS.Signals} */ signal = 'SIGTERM') {
    this.signal(signal);
    const timer = setTimeout(() => this.signal('SIGKILL'), STOP_MS_MAX);
    await this.#exited;
    clearTimeout(timer);
  }

  /** Removes the data of a process that has ended. */
  wipe() {
    if (this.running) throw new Error(`${this.label} is running`);
    rmSync(this.dataPath, { recursive: true, force: true });
  }

  /** Ends the process and removes what it left. */
  async remove() {
    await this.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** Empty before the first start. */
  logTail() {
    if (this.pid === 0) return '';
    return readFileSync(this.#logPath(), 'utf8').slice(-LOG_TAIL_CHARS);
  }

  #logPath() {
    return join(this.#directory, 'log');
  }
}
