// A program under test as its operator sees it: a process, the lines of its log, and how it ends.
// Every wait is bounded, and a wait that fails shows what the program has said.
import { type ChildProcess, spawn } from 'node:child_process';

const WAIT_MS_MAX = 30_000;
const LOG_BYTES_MAX = 1024 * 1024;

export interface ProgramOptions {
  /** Added to PATH alone: nothing of the tests' own environment reaches the program. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** User and group, for tests that run as root. */
  readonly user?: number;
}

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Program {
  readonly ended: Promise<Ending>;
  readonly #child: ChildProcess;
  #log = '';
  #output = '';
  #heard: () => void = () => undefined;
  #ending: Ending | null = null;

  constructor([file = '', ...args]: readonly string[], options: ProgramOptions = {}) {
    const { PATH = '' } = process.env;
    const { env, cwd, user } = options;
    this.#child = spawn(file, args, {
      env: { PATH, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(cwd === undefined ? {} : { cwd }),
      ...(user === undefined ? {} : { uid: user, gid: user }),
    });
    this.#child.stdout?.on('data', (chunk) => {
      this.#output = (this.#output + String(chunk)).slice(-LOG_BYTES_MAX);
      this.#heard();
    });
    this.#child.stderr?.on('data', (chunk) => {
      this.#log = (this.#log + String(chunk)).slice(-LOG_BYTES_MAX);
      this.#heard();
    });
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (code, signal) => {
        this.#ending = { code, signal };
        this.#heard();
        resolve(this.#ending);
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get log(): string {
    return this.#log;
  }

  get output(): string {
    return this.#output;
  }

  /** The messages of the log, in order. */
  get messages(): readonly string[] {
    return this.#log.split('\n').flatMap((line) => {
      if (!line.startsWith('{')) return [];
      try {
        return [(JSON.parse(line) as { msg: string }).msg];
      } catch {
        // The last line, of which only a part has come.
        return [];
      }
    });
  }

  /** Until the log or the output holds the text; rejects when the program ends before that. */
  async saw(text: string): Promise<void> {
    await this.#until(() => {
      if (this.#log.includes(text) || this.#output.includes(text)) return true;
      if (this.#ending === null) return false;
      throw new Error(`ended before "${text}":\n${this.#log}`);
    }, `no "${text}"`);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** How it ended after the signal. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ending> {
    this.kill(signal);
    return this.end();
  }

  async end(): Promise<Ending> {
    await this.#until(() => this.#ending !== null, 'did not end');
    return this.ended;
  }

  /** For afterEach: whatever became of the test, the process is gone. */
  async close(): Promise<void> {
    if (this.#ending !== null) return;
    this.kill('SIGKILL');
    await this.ended;
  }

  #until(holds: () => boolean, complaint: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`${complaint} within ${WAIT_MS_MAX} ms:\n${this.#log}`));
      }, WAIT_MS_MAX);
      this.#heard = () => {
        try {
          if (!holds()) return;
          resolve();
        } catch (error) {
          reject(error);
        }
        clearTimeout(timer);
        this.#heard = () => undefined;
      };
      this.#heard();
    });
  }
}
