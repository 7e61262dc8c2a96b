#!/usr/bin/env node
/** The program: etcd's command line, one member, etcd's exit codes. */

import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { AssertionError } from './assert.ts';
import { logSettings, parseCommandLine } from './config/command-line.ts';
import type { Settings } from './config/flags.ts';
import { type LogNote, writeNotes } from './config/note.ts';
import { createLog, type Log, type LogOptions } from './log.ts';
import { LogOutputError } from './log-outputs.ts';
import { defaultHost } from './platform/default-host.ts';
import { notifyReady } from './platform/init-daemon.ts';
import { type Launched, takeLaunched } from './platform/launcher.ts';
import { prepareForSignals, stopOnSignals } from './platform/signals.ts';
import { DiscoveryError } from './server/discovery.ts';
import { type Member, startMember } from './server/member.ts';
import { announceStart } from './server/start-up.ts';

// Left alone, V8 lets a large heap grow to several times its size before it collects: with a
// million keys that is hundreds of megabytes of garbage in the resident size.
setFlagsFromString('--heap-growing-percent=90');

async function main(): Promise<void> {
  prepareForSignals();
  const launched = takeLaunched(process.env, process.pid);
  const parsed = parseCommandLine(
    process.argv.slice(2),
    process.env,
    (path) => readFileSync(path, 'utf8'),
    { program: launched.program, defaultHost: defaultHost() },
  );
  if (parsed.kind === 'print') {
    process.stdout.write(parsed.stdout);
    process.stderr.write(parsed.stderr);
    process.exitCode = parsed.exitCode;
    return;
  }
  if (parsed.kind === 'fail') {
    openLogs(parsed.log, parsed.notes);
    process.stderr.write(parsed.stderr);
    process.exitCode = parsed.exitCode;
    return;
  }
  const { config, notes } = parsed;
  const settings = { ...logSettings(config), journal: launched.journal };
  const log = openLogs(settings, notes).configured;
  try {
    await run(config, launched, log);
  } catch (error) {
    if (error instanceof AssertionError) throw error;
    if (error instanceof DiscoveryError) {
      log.warn('failed to bootstrap; discovery token was already used', {
        'discovery-token': config.discoveryToken,
        'discovery-endpoints': config.discoveryEndpoints,
        error: error.message,
      });
      log.warn('do not reuse discovery token; generate a new one to bootstrap a cluster');
      process.exit(1);
    }
    // etcd: whatever it was that failed.
    log.fatal('discovery failed', { error: textOf(error) });
  }
}

async function run(config: Settings, launched: Launched, log: Log): Promise<void> {
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
  stopOnSignals((signal) => {
    log.info('received signal; shutting down', { signal });
    return member.close().catch((error: unknown) => {
      log.fatal('failed to close etcd server', { error: textOf(error) });
    });
  });
  await notifyReady(launched.notify, log);
}

const DEFAULT_LOG = { level: 'info', format: 'json', outputs: ['default'] } as const;

/**
 * Both logs, with the notes in them. `settings` is null while they are not known. etcd: an output
 * that cannot be opened is a flag that does not verify, before all others.
 */
function openLogs(settings: LogOptions | null, notes: readonly LogNote[]) {
  const byDefault = createLog(DEFAULT_LOG);
  try {
    const logs = { byDefault, configured: settings === null ? byDefault : createLog(settings) };
    writeNotes(notes, logs);
    return logs;
  } catch (error) {
    if (!(error instanceof LogOutputError)) throw error;
    const isEarly = ({ via, msg }: LogNote): boolean => via === 'default' || msg === 'Running: ';
    writeNotes(notes.filter(isEarly), { byDefault, configured: null });
    byDefault.warn('failed to verify flags', { error: error.message });
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
