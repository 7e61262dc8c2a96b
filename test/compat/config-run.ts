// One start of an etcd with given settings, until it has said what it starts with or has ended, and
// what can be compared of that. This file refuses to know which settings are tried.
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export interface Start {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Text of a configuration file, which is then given. */
  readonly file?: string;
  /** What is there before the start, by path; folders end in a slash. */
  readonly before?: Readonly<Record<string, string>>;
}

export interface Outcome {
  /** null: it has started, and was ended then. */
  readonly exitCode: number | null;
  /** Up to the line that tells the effective settings; then about discovery, and the last one. */
  readonly lines: readonly string[];
}

const STARTED = 'starting an etcd server';
const SERVING = 'now serving peer/client/metrics';
const START_MS_MAX = 30_000;
/** What is of the program, not of its settings. */
const OWN_FIELDS = ['ts', 'caller', 'stacktrace', 'git-sha', 'go-version'];

export async function start(command: readonly string[], tried: Start): Promise<Outcome> {
  const dir = await mkdtemp(join(tmpdir(), 'etcd-config-'));
  try {
    await prepare(dir, tried);
    const args = tried.file === undefined ? [] : ['--config-file', 'etcd.conf'];
    return await outcomeOf(command, [...args, ...tried.args], dir, tried.env ?? {});
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function prepare(dir: string, { file, before = {} }: Start): Promise<void> {
  if (file !== undefined) await writeFile(join(dir, 'etcd.conf'), file);
  for (const [path, text] of Object.entries(before)) {
    const full = join(dir, path);
    await mkdir(path.endsWith('/') ? full : dirname(full), { recursive: true, mode: 0o700 });
    if (!path.endsWith('/')) await writeFile(full, text);
  }
}

function outcomeOf(
  [program = '', ...first]: readonly string[],
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>>,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...first, ...args], {
      cwd,
      env: { PATH: process.env['PATH'] ?? '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: START_MS_MAX,
      killSignal: 'SIGKILL',
    });
    const texts = { stderr: '', stdout: '' };
    for (const name of ['stderr', 'stdout'] as const) {
      child[name].on('data', (chunk: Buffer) => {
        texts[name] += chunk.toString();
        // A start may still fail after it has told its settings.
        if (texts[name].includes(SERVING)) child.kill('SIGKILL');
      });
    }
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const text = texts.stderr + texts.stdout;
      if (signal !== null && !text.includes(SERVING)) reject(new Error(`it only said: ${text}`));
      else resolve({ exitCode: code, lines: comparable(text.split('\n'), code === null) });
    });
  });
}

function comparable(all: readonly string[], hasStarted: boolean): readonly string[] {
  const lines = all.filter((line) => line !== '');
  const at = lines.findIndex((line) => line.includes(STARTED));
  const until = at < 0 ? lines : lines.slice(0, at + 1);
  const after =
    at < 0 || hasStarted ? [] : lines.slice(at + 1).filter((line) => /^\{|\t/.test(line));
  const told = after.filter((line, i) => i === after.length - 1 || /discovery-token/.test(line));
  const kept = [...until, ...told];
  // What is not a log line is a usage, a help or a stack, whose first line counts.
  const plain = kept.findIndex((line) => !/^\{|^\d{4}-/.test(line));
  return (plain < 0 ? kept : kept.slice(0, plain + 1)).map(comparableLine);
}

/** The order of the fields counts. */
function comparableLine(line: string): string {
  if (/^\d{4}-/.test(line)) {
    const [, level, , msg, fields = '{}'] = line.split('\t');
    return `${level} ${msg} ${shown(fields)}`;
  }
  return line.startsWith('{') ? shown(line) : line;
}

function shown(fields: string): string {
  return JSON.stringify(JSON.parse(fields), (key: string, value: unknown) => {
    if (OWN_FIELDS.includes(key)) return undefined;
    return key === 'args' && Array.isArray(value) ? ['etcd', ...value.slice(1)] : value;
  });
}
