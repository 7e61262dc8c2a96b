#!/usr/bin/env node
/** The program: etcd's command line, one member, etcd's exit codes. */

import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { AssertionError } from './assert.ts';
import { type LogSettings, logSettings, parseCommandLine } from './config/command-line.ts';
import type { Settings } from './config/flags.ts';
import { type LogNote, writeNotes } from './config/note.ts';
import { createLog, type Log } from './log.ts';
import { LogOutputError } from './log-outputs.ts';
import { defaultHost } from './platform/default-host.ts';
import { type Member, startMember } from './server/member.ts';
import { announceStart } from './server/start-up.ts';

// Left alone, V8 lets a large heap grow to several times its size before it collects: with a
// million keys that is hundreds of megabytes of garbage in the resident size.
setFlagsFromString('--heap-growing-percent=90');

async function main(): Promise<void> {
  const parsed = parseCommandLine(
    process.argv.slice(2),
    process.env,
    (path) => readFileSync(path, 'utf8'),
    { program: process.argv[1] ?? 'etcd', defaultHost: defaultHost() },
  );
  if (parsed.kind === 'print') {
    process.stdout.write(parsed.stdout);
    process.stderr.write(parsed.stderr);
    process.exitCode = parsed.exitCode;
    return;
  }
  if (parsed.kind === 'fail') {
    writeNotes(parsed.notes, logsOf(parsed.log));
    process.stderr.write(parsed.stderr);
    process.exitCode = parsed.exitCode;
    return;
  }
  const { config, notes } = parsed;
  const logs = logsToRun(logSettings(config), notes);
  writeNotes(notes, logs);
  const log = logs.configured;
  try {
    await run(config, log);
  } catch (error) {
    if (error instanceof AssertionError) throw error;
    // etcd: whatever it was that failed.
    log.fatal('discovery failed', { error: textOf(error) });
  }
}

async function run(config: Settings, log: Log): Promise<void> {
  await announceStart(config, log);
  let running: Member | null = null;
  const member = await startMember({
    config,
    log,
    memory: null,
    links: null,
    onFatal: (error) => log.fatal('member failed', { error: textOf(error) }),
    onRemoved() {
      log.warn('server error', {
        error: 'the member has been permanently removed from the cluster',
      });
      log.warn('data-dir used by this member must be removed');
      // etcd: a success, so that nobody starts it again.
      const closed = running?.close() ?? Promise.resolve();
      closed.then(
        () => process.exit(0),
        (error: unknown) => log.fatal('failed to close etcd server', { error: textOf(error) }),
      );
    },
  });
  running = member;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info('received signal; shutting down', {
        signal: signal === 'SIGTERM' ? 'terminated' : 'interrupt',
      });
      member.close().then(
        () => {
          // etcd: the process ends by the signal it was sent.
          process.kill(process.pid, signal);
        },
        (error: unknown) => log.fatal('failed to close etcd server', { error: textOf(error) }),
      );
    });
  }
}

const DEFAULT_LOG = { level: 'info', format: 'json', outputs: ['default'] } as const;

/** `settings` is null while they are not known. */
function logsOf(settings: LogSettings | null) {
  const byDefault = createLog(DEFAULT_LOG);
  return { byDefault, configured: settings === null ? byDefault : createLog(settings) };
}

/** etcd: an output that cannot be opened is a flag that does not verify. */
function logsToRun(settings: LogSettings, notes: readonly LogNote[]): ReturnType<typeof logsOf> {
  try {
    return logsOf(settings);
  } catch (error) {
    if (!(error instanceof LogOutputError)) throw error;
    const logs = logsOf(null);
    const isEarly = ({ via, msg }: LogNote): boolean => via === 'default' || msg === 'Running: ';
    writeNotes(notes.filter(isEarly), logs);
    logs.byDefault.warn('failed to verify flags', { error: error.message });
    return process.exit(1);
  }
}

/** Errors that speak for themselves: the folder, the address or the settings are wrong. */
const PLAIN_ERRORS: ReadonlySet<string> = new Set([
  'BootstrapError',
  'EngineError',
  'ListenError',
  'TlsError',
  'ValueError',
  'WalCorruptError',
]);

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return PLAIN_ERRORS.has(error.name) ? error.message : (error.stack ?? error.message);
}

main().catch((error: unknown) => {
  // As Go ends after a panic.
  const stack = error instanceof Error ? `\n\n${error.stack ?? ''}` : '';
  process.stderr.write(`panic: ${error instanceof Error ? error.message : error}${stack}\n`);
  process.exit(2);
});
