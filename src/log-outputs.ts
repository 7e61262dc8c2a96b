/**
 * Where lines of the log go: the standard streams, files, files that rotate, the journal. A line is
 * with the operating system when `write` returns. It refuses to know what a line says.
 */

import { closeSync, existsSync, openSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { AssertionError } from './assert.ts';
import { journalEntry } from './log-journal.ts';
import type { LogLevel } from './log-line.ts';
import { type LogRotation, RotatedFile } from './log-rotation.ts';

export interface Sink {
  /** Throws when the line cannot be written. */
  readonly write: (line: string, about: { level: LogLevel; caller: string }) => void;
  readonly close: () => void;
}

export interface Opening {
  readonly outputs: readonly string[];
  /** `null`: files grow. */
  readonly rotation: LogRotation | null;
  /**
   * Closed when no output needs it. `null`: the journal's lines go to stderr, which under systemd
   * is the journal too.
   */
  readonly journal: number | null;
  /** Hears of rotated files that could not be compressed or removed. */
  readonly onProblem: (error: unknown) => void;
}

/** An output cannot be written to; the text is Go's. */
export class LogOutputError extends Error {
  override readonly name = 'LogOutputError';
}

const JOURNAL_SOCKET = '/run/systemd/journal/socket';
const FILE_MODE = 0o666;
/** Limit: waits of 1 ms for a full pipe before a line is dropped. */
const FULL_PIPE_WAITS_MAX = 1000;

/** etcd: each output once, and /dev/null silences all of them. */
export function openSinks(opening: Opening): Sink[] {
  const { outputs, journal } = opening;
  const isJournal = outputs.includes('systemd/journal') && !outputs.includes('/dev/null');
  if (journal !== null && !isJournal) closeSync(journal);
  if (outputs.includes('/dev/null')) return [];
  if (isJournal) {
    requireJournal();
    return [journal === null ? descriptorSink(2, false) : journalSink(journal)];
  }
  const targets = new Set(outputs.map((output) => (output === 'default' ? 'stderr' : output)));
  const sinks: Sink[] = [];
  const problems: string[] = [];
  for (const target of [...targets].sort()) {
    try {
      sinks.push(openSink(target, opening));
    } catch (error) {
      problems.push(`open sink ${JSON.stringify(target)}: ${reasonOf(target, error)}`);
    }
  }
  if (problems.length === 0) return sinks;
  for (const sink of sinks) sink.close();
  throw new LogOutputError(problems.join('; '));
}

function openSink(target: string, { rotation, onProblem }: Opening): Sink {
  if (target === 'stderr') return descriptorSink(2, false);
  if (target === 'stdout') return descriptorSink(1, false);
  if (rotation === null) return descriptorSink(openSync(pathOf(target), 'a', FILE_MODE), true);
  const file = new RotatedFile(target, rotation, onProblem);
  return {
    write: (line) => file.write(Buffer.from(line, 'utf8')),
    close: () => file.close(),
  };
}

/** etcd: an output is a URL when it is no absolute path; files alone are known. */
function pathOf(target: string): string {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(target)?.[1]?.toLowerCase();
  if (scheme === undefined) return target;
  if (scheme !== 'file') throw new LogOutputError(`no sink found for scheme "${scheme}"`);
  return fileURLToPath(target);
}

function reasonOf(target: string, error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const reason = 'code' in error ? OPEN_REASONS[String(error.code)] : undefined;
  return reason === undefined ? error.message : `open ${target}: ${reason}`;
}

const OPEN_REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EISDIR: 'is a directory',
  ENOTDIR: 'not a directory',
  EROFS: 'read-only file system',
};

function requireJournal(): void {
  if (existsSync(JOURNAL_SOCKET)) return;
  const dial = `dial unixgram ${JOURNAL_SOCKET}: connect: no such file or directory`;
  throw new LogOutputError(`can't find journal (${dial})`);
}

/** etcd: what the journal does not take goes to stderr, entries beyond one datagram among it. */
function journalSink(descriptor: number): Sink {
  return {
    write(line, { level, caller }) {
      try {
        writeAll(descriptor, journalEntry(line, level, caller));
      } catch {
        writeAll(2, Buffer.from(line, 'utf8'));
      }
    },
    close: () => undefined,
  };
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
