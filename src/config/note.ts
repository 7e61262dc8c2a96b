/**
 * A log record that arises while the settings are being read, when there may be no log yet. Whoever
 * runs the program writes them once the log is open.
 */

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
