/**
 * From a command line to settings, as etcd does it: Go's flag syntax, ETCD_ variables, or a
 * configuration file in place of both. Pure apart from `readFile`: what is to be printed, logged or
 * ended comes back as data.
 */

import type { LogLevel } from '../log.ts';
import type { LogRotation } from '../log-rotation.ts';
import { type DefaultHost, resolveDefaults } from './defaults.ts';
import { readConfigFile } from './file.ts';
import {
  type Draft,
  defaultDraft,
  type FlagName,
  flagNames,
  isFlagName,
  readFlag,
  type Settings,
  specOf,
} from './flags.ts';
import { goQuote, parseBool, ValueError } from './go-text.ts';
import { flagsText, usageText, versionText } from './help.ts';
import { type LogNote, note } from './note.ts';
import { ignoredFlags, type RemovedFlag, removedFlags } from './removed-flags.ts';
import { parseRotation } from './rotation.ts';
import { ADVERTISE_CLIENT_URLS_ERROR, validate } from './validate.ts';

export interface LogSettings {
  readonly level: LogLevel;
  readonly format: 'json' | 'console';
  readonly outputs: readonly string[];
  readonly rotation: LogRotation | null;
}

export type CommandLine =
  | { readonly kind: 'run'; readonly config: Settings; readonly notes: readonly LogNote[] }
  /** Write both texts and exit. */
  | {
      readonly kind: 'print';
      readonly stdout: string;
      readonly stderr: string;
      readonly exitCode: number;
    }
  /** Write the notes and `stderr`, then exit. `log` is null while only the default log exists. */
  | {
      readonly kind: 'fail';
      readonly stderr: string;
      readonly notes: readonly LogNote[];
      readonly log: LogSettings | null;
      readonly exitCode: number;
    };

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Surroundings {
  /** What the process was started as; shown in the first log line. */
  readonly program?: string;
  /** Replaces default advertise hosts. */
  readonly defaultHost?: DefaultHost;
}

/** State of one reading. */
interface Reading {
  readonly draft: Draft;
  readonly explicit: Set<FlagName>;
  readonly notes: LogNote[];
  readonly env: Environment;
}

type Outcome =
  | { readonly kind: 'ok' }
  | { readonly kind: 'error'; readonly message: string; readonly logReady: boolean }
  | { readonly kind: 'stop'; readonly stderr: string; readonly exitCode: number };

const deprecated: readonly (readonly [FlagName, string])[] = [
  ['max-snapshots', '--max-snapshots is deprecated in 3.6 and will be decommissioned in 3.8.'],
  [
    'v2-deprecation',
    '--v2-deprecation is deprecated and scheduled for removal in v3.8. ' +
      'The default value is enforced, ignoring user input.',
  ],
];

/** Other programs that etcd has in one with its server. */
const subcommands: ReadonlySet<string> = new Set(['gateway', 'grpc-proxy']);
const RAFT_TIMEOUT_MS_MIN = 5000;
const WARNING_UNARY_MS = 300;

/** `argv` without the program; `readFile` throws as node:fs does. */
export function parseCommandLine(
  argv: readonly string[],
  env: Environment,
  readFile: (path: string) => string,
  surroundings: Surroundings = {},
): CommandLine {
  const [first = ''] = argv;
  if (subcommands.has(first)) {
    const stderr = `etcd ${first} is not part of this server; use etcd's own program for it\n`;
    return { kind: 'print', stdout: '', stderr, exitCode: 1 };
  }
  const reading: Reading = { draft: defaultDraft(), explicit: new Set(), notes: [], env };
  const parsed = parseFlags(reading, argv);
  if (parsed.kind === 'print') return parsed;
  const { draft, notes } = reading;
  const running = (via: LogNote['via']) =>
    note(via, 'info', 'Running: ', { args: [surroundings.program ?? 'etcd', ...argv] });
  if (parsed.kind === 'error') {
    return failed(reading, running, { message: parsed.message, logReady: false });
  }
  if (draft.version) {
    return { kind: 'print', stdout: versionText(process), stderr: '', exitCode: 0 };
  }
  const { ETCD_CONFIG_FILE: fileVariable = '' } = env;
  const path = draft.configFile || fileVariable;
  const outcome = path === '' ? fromCommandLine(reading) : fromFile(reading, path, readFile);
  if (outcome.kind === 'stop') {
    return { ...outcome, kind: 'fail', notes, log: null };
  }
  if (outcome.kind === 'error') return failed(reading, running, outcome);
  notes.push(running('configured'));
  const resolved = resolveDefaults(draft, surroundings.defaultHost ?? null);
  return { kind: 'run', config: resolved.config, notes: [...notes, ...resolved.notes] };
}

function failed(
  reading: Reading,
  running: (via: LogNote['via']) => LogNote,
  outcome: { readonly message: string; readonly logReady: boolean },
): CommandLine {
  const via = outcome.logReady ? 'configured' : 'default';
  const error = { error: outcome.message };
  const notes = [
    ...reading.notes,
    running(via),
    note(via, 'warn', 'failed to verify flags', error),
  ];
  if (outcome.message === ADVERTISE_CLIENT_URLS_ERROR) {
    notes.push(note(via, 'warn', 'advertise client URLs are not set', error));
  }
  const configured = notes.some((each) => each.via === 'configured');
  const log = configured ? logSettings(reading.draft) : null;
  return { kind: 'fail', stderr: '', notes, log, exitCode: 1 };
}

const logLevels: ReadonlyMap<string, LogLevel> = new Map([
  ['debug', 'debug'],
  ['info', 'info'],
  ['warn', 'warn'],
  ['warning', 'warn'],
  ['error', 'error'],
  ['dpanic', 'panic'],
  ['panic', 'panic'],
  ['fatal', 'fatal'],
]);

/** What the log is to be opened with; zap's spellings of a level are put into one form. */
export function logSettings(config: Settings): LogSettings {
  return {
    level: logLevels.get(config.logLevel.toLowerCase()) ?? 'info',
    format: config.logFormat === 'console' ? 'console' : 'json',
    outputs: config.logOutputs,
    rotation: config.enableLogRotation ? parseRotation(config.logRotationConfigJson) : null,
  };
}

// ---- flags ----------------------------------------------------------------------------------

type FlagsOutcome =
  | { readonly kind: 'ok' }
  | { readonly kind: 'error'; readonly message: string }
  | Extract<CommandLine, { kind: 'print' }>;

interface FlagTarget {
  readonly isBool: boolean;
  readonly set: (value: string) => void;
}

/** Go's flag.FlagSet.Parse. */
function parseFlags(reading: Reading, argv: readonly string[]): FlagsOutcome {
  let at = 0;
  for (; at < argv.length; at++) {
    const argument = argv[at] ?? '';
    if (argument.length < 2 || !argument.startsWith('-')) break;
    if (argument === '--') {
      at++;
      break;
    }
    const body = argument.replace(/^--?/, '');
    if (body === '' || body.startsWith('-') || body.startsWith('=')) {
      return misuse(`bad flag syntax: ${argument}`);
    }
    const equals = body.indexOf('=');
    const name = equals < 0 ? body : body.slice(0, equals);
    const target = targetOf(reading, name);
    if (target === null) {
      if (name === 'help' || name === 'h') {
        return { kind: 'print', stdout: `${flagsText()}\n`, stderr: `${usageText}\n`, exitCode: 0 };
      }
      return misuse(`flag provided but not defined: -${name}`);
    }
    let value = equals < 0 ? null : body.slice(equals + 1);
    if (value === null && target.isBool) value = 'true';
    if (value === null) {
      at++;
      value = argv[at] ?? null;
    }
    if (value === null) return misuse(`flag needs an argument: -${name}`);
    const reason = trySet(target, value);
    if (reason === null) continue;
    const what = target.isBool
      ? `invalid boolean value ${goQuote(value)} for -${name}`
      : `invalid value ${goQuote(value)} for flag -${name}`;
    return misuse(`${what}: ${reason}`);
  }
  const rest = argv[at];
  if (rest === undefined) return { kind: 'ok' };
  return { kind: 'error', message: `${goQuote(rest)} is not a valid flag` };
}

function misuse(message: string): FlagsOutcome {
  return { kind: 'print', stdout: '', stderr: `${message}\n${usageText}\n`, exitCode: 2 };
}

function trySet(target: FlagTarget, value: string): string | null {
  try {
    target.set(value);
    return null;
  } catch (error) {
    if (error instanceof ValueError) return error.message;
    throw error;
  }
}

function targetOf(reading: Reading, name: string): FlagTarget | null {
  if (isFlagName(name)) {
    const spec = specOf(name);
    if (spec.fileOnly === true) return null;
    return {
      isBool: spec.kind.isBool,
      set: (value) => {
        readFlag(reading.draft, name, value);
        reading.explicit.add(name);
      },
    };
  }
  if (ignoredFlags.has(name)) return { isBool: true, set: () => undefined };
  const removed = removedFlags.get(name);
  if (removed === undefined) return null;
  return {
    isBool: removed.isBool,
    set: (value) => setRemoved(reading, `--${name}`, removed, value),
  };
}

/** Applies a setting of an older release; `shown` is the flag or variable as the user wrote it. */
function setRemoved(reading: Reading, shown: string, removed: RemovedFlag, value: string): void {
  const warn = (replacement: string) => {
    const msg = `${shown} is not a setting of etcd 3.7: ${replacement}`;
    reading.notes.push(note('default', 'warn', msg));
  };
  const set = (name: FlagName, text: string) => {
    readFlag(reading.draft, name, text);
    reading.explicit.add(name);
  };
  const on = removed.isBool ? parseBool(value) : null;
  if (removed.isBool && on === null) throw new ValueError('parse error');
  switch (removed.kind) {
    case 'alias':
      set(removed.to, value);
      warn(`use --${removed.to}`);
      return;
    case 'gate':
      set('feature-gates', `${removed.gate}=${on === true}`);
      warn(`use --feature-gates=${removed.gate}=${on === true}`);
      return;
    case 'switch':
      if (on === true) set(removed.to, removed.value);
      warn(`use --${removed.to}=${removed.value}`);
      return;
    case 'gone':
      if (removed.harmless !== null && !removed.harmless.includes(value)) {
        throw new ValueError(removed.hint);
      }
      warn(`ignored, ${removed.hint}`);
  }
}

// ---- environment ----------------------------------------------------------------------------

function variableOf(name: string): string {
  return `ETCD_${name.toUpperCase().replaceAll('-', '_')}`;
}

function fromCommandLine(reading: Reading): Outcome {
  const { draft, notes, env, explicit } = reading;
  const { ETCD_VERSION: special = '' } = env;
  if (special !== '') {
    const fields = { key: 'ETCD_VERSION', value: special };
    notes.push(note('default', 'warn', 'cannot set special environment variable', fields));
  }
  const outcome = readEnvironment(reading);
  if (outcome.kind !== 'ok') return outcome;
  for (const side of ['Read', 'Write'] as const) {
    if (draft[`raft${side}Timeout`] >= RAFT_TIMEOUT_MS_MIN) continue;
    draft[`raft${side}Timeout`] = RAFT_TIMEOUT_MS_MIN;
    const name = `raft-${side.toLowerCase()}-timeout`;
    notes.push(note('default', 'info', `${name} increased to minimum value: 5s`));
  }
  if (explicit.has('listen-client-urls') && !explicit.has('advertise-client-urls')) {
    draft.advertiseClientUrls = [];
  }
  const discovers =
    draft.discoverySrv !== '' ||
    draft.discoverySrvName !== '' ||
    draft.discoveryEndpoints.length > 0;
  if (discovers && !explicit.has('initial-cluster')) draft.initialCluster = '';
  const fallbackError =
    draft.discoveryFallback === 'proxy'
      ? 'v2 proxy is deprecated, and --discovery-fallback can\'t be configured as "proxy"'
      : null;
  if (fallbackError !== null) return { kind: 'error', message: fallbackError, logReady: false };
  return verify(reading, new Set<string>(explicit), true);
}

/** etcd: a flag that is given shadows its variable, which is an error even when they agree. */
function readEnvironment(reading: Reading): Outcome {
  const { notes, env } = reading;
  const shadowed = new Set([...reading.explicit].map(variableOf));
  const used = new Set<string>();
  let message: string | null = null;
  const settable = flagNames.filter((name) => name !== 'version' && !specOf(name).fileOnly);
  for (const name of [...settable, ...ignoredFlags, ...removedFlags.keys()].sort()) {
    const key = variableOf(name);
    const value = env[key] ?? '';
    if (shadowed.has(key) || value === '') continue;
    used.add(key);
    const reason = trySet(variableTarget(reading, name, key), value);
    if (reason !== null) {
      message = `invalid value ${goQuote(value)} for ${key}: ${reason}`;
      continue;
    }
    if (removedFlags.has(name)) continue;
    const fields = { 'variable-name': key, 'variable-value': value };
    notes.push(note('default', 'info', 'recognized and used environment variable', fields));
  }
  const conflict = checkVariables(reading, used, shadowed);
  if (conflict !== null) return conflict;
  return message === null ? { kind: 'ok' } : { kind: 'error', message, logReady: false };
}

function variableTarget(reading: Reading, name: string, key: string): FlagTarget {
  const removed = removedFlags.get(name);
  if (removed !== undefined) {
    return { isBool: false, set: (value) => setRemoved(reading, key, removed, value) };
  }
  return targetOf(reading, name) ?? { isBool: false, set: () => undefined };
}

function checkVariables(
  reading: Reading,
  used: ReadonlySet<string>,
  shadowed: ReadonlySet<string>,
): Outcome | null {
  for (const [key, value] of Object.entries(reading.env)) {
    if (value === undefined || used.has(key) || key === 'ETCD_VERSION') continue;
    if (shadowed.has(key)) {
      const msg =
        'conflicting environment variable is shadowed by corresponding command-line flag ' +
        '(either unset environment variable or disable flag))';
      reading.notes.push(note('default', 'fatal', msg, { 'environment-variable': key }));
      return { kind: 'stop', stderr: '', exitCode: 1 };
    }
    if (!key.startsWith('ETCD_')) continue;
    const fields = { 'environment-variable': `${key}=${value}` };
    reading.notes.push(note('default', 'warn', 'unrecognized environment variable', fields));
  }
  return null;
}

// ---- file -----------------------------------------------------------------------------------

function fromFile(reading: Reading, path: string, readFile: (path: string) => string): Outcome {
  // etcd: flags that were parsed before the file is read have no effect.
  Object.assign(reading.draft, defaultDraft());
  reading.notes.length = 0;
  let text: string;
  try {
    text = readFile(path);
  } catch (error) {
    return { kind: 'error', message: readErrorText(path, error), logReady: false };
  }
  const { draft, notes } = reading;
  const initialCluster = draft.initialCluster;
  const result = readConfigFile(text, draft);
  if (result.failure?.kind === 'error') {
    return { kind: 'error', message: result.failure.message, logReady: false };
  }
  if (result.failure !== null) {
    const exitCode = result.failure.kind === 'panic' ? 2 : 1;
    return { kind: 'stop', stderr: `${result.failure.message}\n`, exitCode };
  }
  notes.push(...result.notes);
  if (
    (draft.discoverySrv !== '' || draft.discoveryEndpoints.length > 0) &&
    draft.initialCluster === initialCluster
  ) {
    draft.initialCluster = '';
  }
  if (draft.initialClusterState === '') draft.initialClusterState = 'new';
  if (draft.selfSignedCertValidity === 0) draft.selfSignedCertValidity = 1;
  const outcome = verify(reading, result.keys, false);
  if (outcome.kind !== 'ok') return outcome;
  const msg =
    'loaded server configuration, other configuration command line flags and environment ' +
    'variables will be ignored if provided';
  notes.push(note('configured', 'info', msg, { path }));
  warnDeprecated(notes, result.keys);
  return outcome;
}

function readErrorText(path: string, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'ENOENT':
      return `open ${path}: no such file or directory`;
    case 'EACCES':
      return `open ${path}: permission denied`;
    case 'EISDIR':
      return `read ${path}: is a directory`;
    default:
      return `open ${path}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

// ---- both -----------------------------------------------------------------------------------

function verify(reading: Reading, given: ReadonlySet<string>, fromCommandLine: boolean): Outcome {
  const { draft, notes } = reading;
  if (draft.logOutputs.length === 0) draft.logOutputs = ['default'];
  const verdict = validate(draft);
  notes.push(...verdict.notes);
  if (verdict.panic !== null) {
    return { kind: 'stop', stderr: `${verdict.panic}\n`, exitCode: 2 };
  }
  // etcd: the effect of --v2-deprecation is gone, and 0 means the default here.
  draft.v2Deprecation = 'write-only';
  if (draft.warningUnaryRequestDuration === 0) draft.warningUnaryRequestDuration = WARNING_UNARY_MS;
  if (draft.logger === 'capnslog') {
    draft.logger = 'zap';
    const msg = '--logger=capnslog is not a setting of etcd 3.7: use --logger=zap';
    notes.push(note('configured', 'warn', msg));
  }
  if (fromCommandLine && verdict.logReady) warnDeprecated(notes, given);
  if (verdict.error === null) return { kind: 'ok' };
  // etcd: the log of a file that does not verify is forgotten again.
  const logReady = verdict.logReady && fromCommandLine;
  return { kind: 'error', message: verdict.error, logReady };
}

function warnDeprecated(notes: LogNote[], given: ReadonlySet<string>): void {
  for (const [name, msg] of deprecated) {
    if (given.has(name)) notes.push(note('configured', 'warn', msg));
  }
}
