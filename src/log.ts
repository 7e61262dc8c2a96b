/**
 * The log: one JSON object per line with etcd's keys in etcd's order (level, ts, [logger], caller,
 * msg, fields), or the same separated by tabs for the console.
 *
 * Invariants: a line is handed to the operating system before the call returns, so none is lost at
 * exit; a line never spans two lines unless it carries a console stack trace. Repetitions beyond
 * zap's sampling rule are not written. The caller is read off the stack at about 5 µs a line: lines
 * are rare, and what floods is sampled before that.
 */

import { closeSync, openSync, writeSync } from 'node:fs';
import { AssertionError } from './assert.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'panic' | 'fatal';
/** bigint ids are turned into hex by the caller, durations into Go's text by `goDuration`. */
export type LogValue =
  | string
  | number
  | boolean
  | null
  | undefined
  | readonly LogValue[]
  | { readonly [key: string]: LogValue }
  | Error;
export type LogFields = Readonly<Record<string, LogValue>>;

type Write = (msg: string, fields?: LogFields) => void;

export interface Log {
  readonly debug: Write;
  readonly info: Write;
  readonly warn: Write;
  readonly error: Write;
  /** Writes the line and throws: a violated expectation. */
  readonly panic: (msg: string, fields?: LogFields) => never;
  /** Writes the line and ends the process with code 1. */
  readonly fatal: (msg: string, fields?: LogFields) => never;
  /** Whether lines of a level are written: ask before building costly fields. */
  readonly enabled: (level: LogLevel) => boolean;
  /** The same log with a `logger` key, as etcd has for raft. */
  readonly named: (name: string) => Log;
  /** Lines that an output refused (closed pipe, full disk). */
  readonly dropped: () => number;
  /** Closes the files. Lines after that are dropped and counted. */
  readonly close: () => void;
}

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: 'json' | 'console';
  /** `default`, `stderr`, `stdout`, `systemd/journal`, `/dev/null` or paths of files. */
  readonly outputs: readonly string[];
  /** Milliseconds since the epoch with microseconds after the point. */
  readonly now?: () => number;
  readonly exit?: (code: number) => never;
  /** Replaces the outputs: each line with its newline. */
  readonly write?: (line: string) => void;
}

const severities: Readonly<Record<LogLevel, number>> = {
  debug: 0,
  info: 1,
  warn: 2,
  error: 3,
  panic: 4,
  fatal: 5,
};

/** etcd: the first 100 equal messages of a second are written, then every 100th. */
const SAMPLE_FIRST = 100;
const SAMPLE_THEREAFTER = 100;
/** Limit: distinct messages counted within one second; beyond it all are written. */
const SAMPLED_MESSAGES_MAX = 4096;
const STACK_FRAMES_MAX = 16;
/** Limit: waits of 1 ms for a full pipe before a line is dropped. */
const FULL_PIPE_WAITS_MAX = 1000;

/** What all logs of one process share: outputs, format, clock, sampling. */
interface Core {
  readonly severity: number;
  readonly format: 'json' | 'console';
  readonly sinks: readonly Sink[];
  readonly now: () => number;
  readonly exit: (code: number) => never;
  readonly sampled: Map<string, number>;
  sampledSecond: number;
  dropped: number;
}

interface Sink {
  readonly write: (line: string) => void;
  readonly close: () => void;
}

type Below = (...args: never[]) => unknown;

/** Throws when a file cannot be opened. */
export function createLog(options: LogOptions): Log {
  const { write } = options;
  const core: Core = {
    severity: severities[options.level],
    format: options.format,
    sinks: write === undefined ? openSinks(options.outputs) : [{ write, close: () => undefined }],
    now: options.now ?? microsecondClock(),
    exit: options.exit ?? process.exit,
    sampled: new Map(),
    sampledSecond: 0,
    dropped: 0,
  };
  const log = logOf(core, '');
  if (options.outputs.includes('systemd/journal')) {
    log.warn('writing to the journal directly is not supported; writing to stderr instead');
  }
  return log;
}

/** Discards everything but still throws and exits. */
export function silentLog(): Log {
  return createLog({ level: 'fatal', format: 'json', outputs: ['/dev/null'] });
}

function logOf(core: Core, name: string): Log {
  const at = (level: LogLevel): Write => {
    const write: Write = (msg, fields) => emit(core, name, level, write, msg, fields);
    return write;
  };
  const panic = (msg: string, fields?: LogFields): never => {
    emit(core, name, 'panic', panic, msg, fields);
    throw new AssertionError(msg);
  };
  const fatal = (msg: string, fields?: LogFields): never => {
    emit(core, name, 'fatal', fatal, msg, fields);
    return core.exit(1);
  };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    panic,
    fatal,
    enabled: (level) => severities[level] >= core.severity,
    named: (child) => logOf(core, name === '' ? child : `${name}.${child}`),
    dropped: () => core.dropped,
    close: () => {
      for (const sink of core.sinks) sink.close();
    },
  };
}

function emit(
  core: Core,
  name: string,
  level: LogLevel,
  below: Below,
  msg: string,
  fields: LogFields = {},
): void {
  const severity = severities[level];
  if (severity < core.severity) return;
  const now = core.now();
  if (!sample(core, now, level, msg)) return;
  const frames = callFrames(below, severity >= severities.error ? STACK_FRAMES_MAX : 1);
  const caller = shortCaller(frames[0] ?? '');
  const stack = severity >= severities.error ? goStack(frames) : '';
  const ts = timestamp(now);
  const line =
    core.format === 'json'
      ? jsonLine({ level, ts, name, caller, msg, fields, stack })
      : consoleLine({ level, ts, name, caller, msg, fields, stack });
  for (const sink of core.sinks) {
    try {
      sink.write(line);
    } catch {
      // A log that cannot be written must not stop the member; the count shows in `dropped`.
      core.dropped++;
    }
  }
}

function sample(core: Core, now: number, level: LogLevel, msg: string): boolean {
  const second = Math.floor(now / 1000);
  if (second !== core.sampledSecond) {
    core.sampledSecond = second;
    core.sampled.clear();
  }
  const key = `${level} ${msg}`;
  const count = (core.sampled.get(key) ?? 0) + 1;
  if (count === 1 && core.sampled.size >= SAMPLED_MESSAGES_MAX) return true;
  core.sampled.set(key, count);
  return count <= SAMPLE_FIRST || (count - SAMPLE_FIRST) % SAMPLE_THEREAFTER === 0;
}

// ---- lines ----------------------------------------------------------------------------------

interface Line {
  readonly level: LogLevel;
  readonly ts: string;
  readonly name: string;
  readonly caller: string;
  readonly msg: string;
  readonly fields: LogFields;
  readonly stack: string;
}

function jsonLine({ level, ts, name, caller, msg, fields, stack }: Line): string {
  const logger = name === '' ? '' : `"logger":${JSON.stringify(name)},`;
  let line = `{"level":"${level}","ts":"${ts}",${logger}"caller":${JSON.stringify(caller)}`;
  line += `,"msg":${JSON.stringify(msg)}`;
  for (const [key, value] of Object.entries(fields)) {
    if (value !== undefined) line += `,${JSON.stringify(key)}:${encode(value, ',', ':')}`;
  }
  if (stack !== '') line += `,"stacktrace":${JSON.stringify(stack)}`;
  return `${line}}\n`;
}

function consoleLine({ level, ts, name, caller, msg, fields, stack }: Line): string {
  const columns = [ts, level, ...(name === '' ? [] : [name]), caller, msg];
  const present = Object.entries(fields).filter(([, value]) => value !== undefined);
  if (present.length > 0) {
    const pairs = present.map(
      ([key, value]) => `${JSON.stringify(key)}: ${encode(value, ', ', ': ')}`,
    );
    columns.push(`{${pairs.join(', ')}}`);
  }
  return `${columns.join('\t')}\n${stack === '' ? '' : `${stack}\n`}`;
}

function encode(value: LogValue, comma: string, colon: string): string {
  if (value === undefined || value === null) return 'null';
  if (value instanceof Error) return JSON.stringify(value.message);
  if (Array.isArray(value)) {
    return `[${value.map((item: LogValue) => encode(item, comma, colon)).join(comma)}]`;
  }
  if (typeof value === 'number' && !Number.isFinite(value))
    return JSON.stringify(goInfinity(value));
  if (typeof value !== 'object') return JSON.stringify(value);
  const pairs = Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .map(([key, item]) => `${JSON.stringify(key)}${colon}${encode(item, comma, colon)}`);
  return `{${pairs.join(comma)}}`;
}

function goInfinity(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  return value > 0 ? '+Inf' : '-Inf';
}

/** Go's 2006-01-02T15:04:05.000000Z0700: Z in UTC, otherwise the offset as ±hhmm. */
export function timestamp(milliseconds: number): string {
  const whole = Math.floor(milliseconds);
  const micros = Math.min(999, Math.floor((milliseconds - whole) * 1000));
  const minutes = -new Date(whole).getTimezoneOffset();
  const local = new Date(whole + minutes * 60_000).toISOString();
  const base = `${local.slice(0, 23)}${String(micros).padStart(3, '0')}`;
  if (minutes === 0) return `${base}Z`;
  const size = Math.abs(minutes);
  const hours = String(Math.floor(size / 60)).padStart(2, '0');
  return `${base}${minutes < 0 ? '-' : '+'}${hours}${String(size % 60).padStart(2, '0')}`;
}

/** Wall time with the microseconds of the monotonic clock: lines of one burst are in order. */
function microsecondClock(): () => number {
  let offset = Date.now() - performance.now();
  return () => {
    const wall = Date.now();
    const fine = offset + performance.now();
    if (Math.abs(fine - wall) < 2) return fine;
    offset = wall - performance.now();
    return wall;
  };
}

// ---- callers --------------------------------------------------------------------------------

function callFrames(below: Below, limit: number): string[] {
  const holder: { stack?: string } = {};
  const before = Error.stackTraceLimit;
  Error.stackTraceLimit = limit;
  Error.captureStackTrace(holder, below);
  const stack = holder.stack ?? '';
  Error.stackTraceLimit = before;
  return stack.split('\n').slice(1);
}

/** `    at put (file:///…/server/kv.js:12:3)` as name and `…/server/kv.js:12`. */
function parseFrame(frame: string): { readonly name: string; readonly location: string } {
  const match = /^\s*at (?:(.*?) \()?(?:file:\/\/)?(.*?):(\d+):\d+\)?$/.exec(frame);
  if (match === null) return { name: frame.trim(), location: '' };
  return { name: match[1] ?? '', location: `${match[2] ?? ''}:${match[3] ?? ''}` };
}

function shortCaller(frame: string): string {
  const { location } = parseFrame(frame);
  return location.split('/').slice(-2).join('/');
}

/** As Go prints stacks: function, then tab and position. */
function goStack(frames: readonly string[]): string {
  return frames
    .map(parseFrame)
    .map(({ name, location }) => `${name === '' ? '<anonymous>' : name}\n\t${location}`)
    .join('\n');
}

// ---- outputs --------------------------------------------------------------------------------

/** etcd: each output once, and /dev/null silences all of them. */
function openSinks(outputs: readonly string[]): Sink[] {
  if (outputs.includes('/dev/null')) return [];
  const targets = new Set(outputs.map(targetOf));
  return [...targets].sort().map((target) => {
    if (target === 'stderr') return descriptorSink(2, false);
    if (target === 'stdout') return descriptorSink(1, false);
    return descriptorSink(openSync(target, 'a', 0o666), true);
  });
}

function targetOf(output: string): string {
  return output === 'default' || output === 'systemd/journal' ? 'stderr' : output;
}

function descriptorSink(descriptor: number, owned: boolean): Sink {
  let open = true;
  return {
    write: (line) => {
      if (!open) throw new AssertionError('the log is closed');
      writeAll(descriptor, Buffer.from(line, 'utf8'));
    },
    close: () => {
      if (open && owned) closeSync(descriptor);
      open = !owned;
    },
  };
}

/** A pipe may be non-blocking and full: its reader gets a moment to catch up. */
function writeAll(descriptor: number, bytes: Uint8Array): void {
  let at = 0;
  let waits = 0;
  while (at < bytes.length) {
    try {
      at += writeSync(descriptor, bytes, at);
    } catch (error) {
      const full = error instanceof Error && 'code' in error && error.code === 'EAGAIN';
      if (!full || ++waits > FULL_PIPE_WAITS_MAX) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}
