/**
 * One record of the log as a line of text, in zap's two forms, and what goes into it: Go's
 * timestamp, the caller's place, a stack as Go prints it. It knows no output and keeps nothing.
 */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'panic' | 'fatal';
/** Ids that etcd prints in hex, and durations in Go's text, are turned into text by the caller. */
export type LogValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | readonly LogValue[]
  | { readonly [key: string]: LogValue }
  | Error;
export type LogFields = Readonly<Record<string, LogValue>>;
/** What calls the log: the frames above it are those of the caller. */
export type Below = (...args: never[]) => unknown;

export interface Line {
  readonly level: LogLevel;
  readonly ts: string;
  readonly name: string;
  readonly caller: string;
  readonly msg: string;
  readonly fields: LogFields;
  readonly stack: string;
}

export function jsonLine({ level, ts, name, caller, msg, fields, stack }: Line): string {
  const logger = name === '' ? '' : `"logger":${JSON.stringify(name)},`;
  let line = `{"level":"${level}","ts":"${ts}",${logger}"caller":${JSON.stringify(caller)}`;
  line += `,"msg":${JSON.stringify(msg)}`;
  for (const [key, value] of Object.entries(fields)) {
    if (value !== undefined) line += `,${JSON.stringify(key)}:${encode(value, ',', ':')}`;
  }
  if (stack !== '') line += `,"stacktrace":${JSON.stringify(stack)}`;
  return `${line}}\n`;
}

export function consoleLine({ level, ts, name, caller, msg, fields, stack }: Line): string {
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
  if (typeof value === 'bigint') return String(value);
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
export function microsecondClock(): () => number {
  let offset = Date.now() - performance.now();
  return () => {
    const wall = Date.now();
    const fine = offset + performance.now();
    if (Math.abs(fine - wall) < 2) return fine;
    offset = wall - performance.now();
    return wall;
  };
}

export function callFrames(below: Below, limit: number): string[] {
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

export function shortCaller(frame: string): string {
  const { location } = parseFrame(frame);
  return location.split('/').slice(-2).join('/');
}

/** As Go prints stacks: function, then tab and position. */
export function goStack(frames: readonly string[]): string {
  return frames
    .map(parseFrame)
    .map(({ name, location }) => `${name === '' ? '<anonymous>' : name}\n\t${location}`)
    .join('\n');
}
