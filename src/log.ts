/**
 * The log: one JSON object per line with etcd's keys in etcd's order (level, ts, [logger], caller,
 * msg, fields), or the same separated by tabs for the console.
 *
 * Invariants: a line is handed to the operating system before the call returns, so none is lost at
 * exit; a line never spans two lines unless it carries a console stack trace. Repetitions beyond
 * zap's sampling rule are not written. The caller is read off the stack at about 5 µs a line: lines
 * are rare, and what floods is sampled before that.
 */

import { AssertionError } from './assert.ts';
import {
  type Below,
  callFrames,
  consoleLine,
  goStack,
  jsonLine,
  type LogFields,
  type LogLevel,
  microsecondClock,
  shortCaller,
  timestamp,
} from './log-line.ts';
import { openSinks, type Sink } from './log-outputs.ts';
import type { LogRotation } from './log-rotation.ts';

export type { LogFields, LogLevel, LogValue } from './log-line.ts';

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
  /** For the file among the outputs; absent: it is left to grow. */
  readonly rotation?: LogRotation | null;
  /** A datagram socket of the journal that the process was started with. */
  readonly journal?: number | null;
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

/** What all logs of one process share: outputs, format, clock, sampling. */
interface Core {
  readonly severity: number;
  readonly format: 'json' | 'console';
  readonly sinks: readonly Sink[];
  readonly now: () => number;
  readonly exit: (code: number) => never;
  /** etcd: what goes to the journal is not sampled and carries no stack. */
  readonly plain: boolean;
  readonly sampled: Map<string, number>;
  sampledSecond: number;
  dropped: number;
}

/** Throws a `LogOutputError` when an output cannot be opened. */
export function createLog(options: LogOptions): Log {
  const { write, outputs, rotation = null, journal = null } = options;
  const onProblem = (error: unknown): void =>
    log.warn('rotated log files are not in order', { error: String(error) });
  const opening = { outputs, rotation, journal, onProblem };
  const core: Core = {
    severity: severities[options.level],
    format: options.format,
    sinks: write === undefined ? openSinks(opening) : [{ write, close: () => undefined }],
    now: options.now ?? microsecondClock(),
    exit: options.exit ?? process.exit,
    plain: outputs.includes('systemd/journal'),
    sampled: new Map(),
    sampledSecond: 0,
    dropped: 0,
  };
  const log = logOf(core, '');
  if (core.plain && journal === null) {
    log.warn('the journal can only be reached by the packaged program; writing to stderr');
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
  if (!core.plain && !sample(core, now, level, msg)) return;
  const withStack = !core.plain && severity >= severities.error;
  const frames = callFrames(below, withStack ? STACK_FRAMES_MAX : 1);
  const caller = shortCaller(frames[0] ?? '');
  const stack = withStack ? goStack(frames) : '';
  const ts = timestamp(now);
  const line =
    core.format === 'json'
      ? jsonLine({ level, ts, name, caller, msg, fields, stack })
      : consoleLine({ level, ts, name, caller, msg, fields, stack });
  for (const sink of core.sinks) {
    try {
      sink.write(line, { level, caller });
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
