/**
 * A log record that arises while the settings are being read, when there may be no log yet. Whoever
 * runs the program writes them once the log is open.
 */

import type { Log } from '../log.ts';

export interface LogNote {
  /** `default`: JSON to stderr at info, while the log settings are unknown; or the real log. */
  readonly via: 'default' | 'configured';
  readonly level: 'info' | 'warn' | 'fatal';
  readonly msg: string;
  readonly fields: Readonly<Record<string, string | readonly string[]>>;
}

export function note(
  via: LogNote['via'],
  level: LogNote['level'],
  msg: string,
  fields: LogNote['fields'] = {},
): LogNote {
  return { via, level, msg, fields };
}

/** Writes the notes in their order. A fatal one ends the process. */
export function writeNotes(
  notes: readonly LogNote[],
  logs: { readonly byDefault: Log; readonly configured: Log | null },
): void {
  for (const { via, level, msg, fields } of notes) {
    const log = via === 'configured' ? (logs.configured ?? logs.byDefault) : logs.byDefault;
    log[level](msg, fields);
  }
}
