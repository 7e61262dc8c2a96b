/**
 * The settings table. Types, command line, environment, configuration file, defaults and help all
 * come from here; nothing else lists the settings.
 */

import type { FlagSpec } from './flag.ts';
import { clusterFlags } from './flags-cluster.ts';
import {
  authFlags,
  loggingFlags,
  monitoringFlags,
  securityFlags,
  tracingFlags,
} from './flags-edges.ts';
import { extensionFlags } from './flags-extensions.ts';
import { commandFlags, featureFlags, memberFlags, unsafeFlags } from './flags-member.ts';

export const flags = {
  ...memberFlags,
  ...clusterFlags,
  ...securityFlags,
  ...authFlags,
  ...monitoringFlags,
  ...loggingFlags,
  ...tracingFlags,
  ...featureFlags,
  ...unsafeFlags,
  ...extensionFlags,
  ...commandFlags,
};

export type FlagName = keyof typeof flags;
/** Lexical order: the order in which etcd visits its flags. */
export const flagNames = (Object.keys(flags) as FlagName[]).sort();

type SpecValue<S> = S extends FlagSpec<infer V> ? V : never;
type Camel<S extends string> = S extends `${infer A}-${infer B}`
  ? `${A}${Capitalize<Camel<B>>}`
  : S;

/** The settings, named as the flags in camelCase. Durations are milliseconds. */
export type Settings = {
  readonly [N in FlagName as Camel<N>]: SpecValue<(typeof flags)[N]>;
};
export type SettingName = keyof Settings;
/** Settings that are being read. */
export type Draft = { -readonly [N in SettingName]: Settings[N] };

/** `listen-peer-urls` as `listenPeerUrls`. */
export function settingName(name: FlagName): SettingName {
  return name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()) as SettingName;
}

export function isFlagName(name: string): name is FlagName {
  return Object.hasOwn(flags, name);
}

/** The row of a setting, its value type forgotten; `readFlag` and `readYaml` keep both together. */
export function specOf(name: FlagName): FlagSpec<unknown> {
  return flags[name] as unknown as FlagSpec<unknown>;
}

export function defaultDraft(): Draft {
  const draft: Record<string, unknown> = {};
  for (const name of flagNames) draft[settingName(name)] = specOf(name).default;
  return draft as Draft;
}

/** Sets one setting from text. Throws `ValueError`. */
export function readFlag(draft: Draft, name: FlagName, value: string): void {
  const values = draft as Record<string, unknown>;
  const key = settingName(name);
  values[key] = specOf(name).kind.parse(value, values[key]);
}

/** Sets one setting from a file; false when the value's type does not fit. Throws `ValueError`. */
export function readYaml(draft: Draft, name: FlagName, value: unknown): boolean {
  const values = draft as Record<string, unknown>;
  const key = settingName(name);
  const read = specOf(name).kind.fromYaml(value, values[key]);
  if (read === undefined) return false;
  values[key] = read;
  return true;
}

export interface FlagGroup {
  readonly title: string;
  readonly names: readonly FlagName[];
}

function group(title: string, rows: object): FlagGroup {
  const names = Object.keys(rows) as FlagName[];
  return { title, names: names.filter((name) => specOf(name).fileOnly !== true) };
}

/** The groups of the printed list, in etcd's order. */
export const flagGroups: readonly FlagGroup[] = [
  group('Member', memberFlags),
  group('Clustering', clusterFlags),
  group('Security', securityFlags),
  group('Auth', authFlags),
  group('Profiling and Monitoring', monitoringFlags),
  group('Logging', loggingFlags),
  group('Distributed tracing', tracingFlags),
  group('Features', featureFlags),
  group('Unsafe feature', unsafeFlags),
  group('Extensions that etcd does not have', extensionFlags),
];
