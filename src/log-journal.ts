/**
 * A record in the journal's native protocol: one datagram of fields, each `NAME=value` and a
 * newline, or, where the value holds newlines, the name, a newline, the length in 64 bits
 * little-endian, the value and a newline. It sends nothing.
 */

import { dirname } from 'node:path';
import type { LogLevel } from './log-line.ts';

/** etcd: syslog's priorities, where both ways to end are critical. */
const PRIORITIES: Readonly<Record<LogLevel, number>> = {
  debug: 7,
  info: 6,
  warn: 4,
  error: 3,
  panic: 2,
  fatal: 2,
};

/** `line` is the whole record with its newline, `caller` the place `folder/file:line`. */
export function journalEntry(line: string, level: LogLevel, caller: string): Buffer {
  return Buffer.concat([
    field('PRIORITY', String(PRIORITIES[level])),
    field('MESSAGE', line),
    field('PACKAGE', dirname(caller)),
    field('SYSLOG_IDENTIFIER', 'etcd'),
  ]);
}

function field(name: string, value: string): Buffer {
  if (!value.includes('\n')) return Buffer.from(`${name}=${value}\n`, 'utf8');
  const bytes = Buffer.from(value, 'utf8');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([Buffer.from(`${name}\n`, 'utf8'), length, bytes, Buffer.from('\n')]);
}
