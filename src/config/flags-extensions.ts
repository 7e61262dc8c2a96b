/** Settings that etcd does not have. Each one is off unless it is asked for. */

import { text, uint } from './flag.ts';

export const extensionFlags = {
  'ext-space-warning-percent': uint(
    0,
    'Warn when the database has reached this part of its quota, in percent; 0: never.',
  ),
  'ext-space-alarm-clear-percent': uint(
    0,
    'Clear the NOSPACE alarm of this member, defragmenting if need be, once the data in use is ' +
      'below this part of the quota, in percent; 0: never.',
  ),
  'ext-audit-log-path': text(
    '',
    'File that gets a JSON line for every request of a client: who, from where, what, which ' +
      'keys, and the outcome.',
  ),
  'ext-user-requests-per-second': uint(
    0,
    'Requests per second of each user, and of each address without one, beyond which they are ' +
      'refused; 0: any number.',
  ),
};

/** The clear level leaves room, so that the next writes do not raise the alarm again. */
const CLEAR_PERCENT_MAX = 95;

/** What is wrong with them; `null`: nothing. */
export function extensionError(config: {
  readonly extSpaceWarningPercent: number;
  readonly extSpaceAlarmClearPercent: number;
}): string | null {
  const { extSpaceWarningPercent: warning, extSpaceAlarmClearPercent: clear } = config;
  if (warning > 100) return `--ext-space-warning-percent must be <=100 (set to ${warning})`;
  if (clear <= CLEAR_PERCENT_MAX) return null;
  return `--ext-space-alarm-clear-percent must be <=${CLEAR_PERCENT_MAX} (set to ${clear})`;
}
