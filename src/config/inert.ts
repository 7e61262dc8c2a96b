/**
 * Settings that are taken and have no effect here, for reasons that docs/compat.md gives. Whoever
 * sets one is told so.
 */

import { type FlagName, flagNames, type Settings, settingName, specOf } from './flags.ts';

export const inertFlags: ReadonlySet<FlagName> = new Set<FlagName>([
  'backend-batch-interval',
  'backend-batch-limit',
  'backend-bbolt-freelist-type',
  'max-snapshots',
  'memory-mlock',
  'raft-read-timeout',
  'raft-write-timeout',
  'socket-reuse-port',
  'unsafe-no-fsync',
]);

/** Those that were given another value than their default. */
export function inertSettings(config: Settings): readonly FlagName[] {
  return flagNames.filter(
    (name) => inertFlags.has(name) && config[settingName(name)] !== specOf(name).default,
  );
}
