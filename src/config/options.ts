/**
 * Settings from a program that embeds the server: the flags in camelCase, with ready values in
 * place of text. URL lists are checked and brought to normal form as on the command line; where
 * no advertised URLs are given, those that are listened on are advertised.
 */

import { freeze, initialClusterFromName, resolveDefaults } from './defaults.ts';
import { type Draft, defaultDraft, type Settings } from './flags.ts';
import { ValueError } from './go-text.ts';
import type { LogNote } from './note.ts';
import { urlList } from './start.ts';
import { validate } from './validate.ts';

export type Options = Partial<Settings>;

const urlSettings = [
  'listenPeerUrls',
  'listenClientUrls',
  'listenClientHttpUrls',
  'listenMetricsUrls',
  'initialAdvertisePeerUrls',
  'advertiseClientUrls',
] as const;

/** Throws `ValueError` with etcd's text when the options do not fit together. */
export function configFromOptions(options: Options): {
  readonly config: Settings;
  readonly notes: readonly LogNote[];
} {
  const draft: Draft = { ...defaultDraft(), ...definedOnly(options) };
  for (const name of urlSettings) {
    if (draft[name].length > 0) draft[name] = urlList(draft[name]);
  }
  if (options.advertiseClientUrls === undefined) draft.advertiseClientUrls = draft.listenClientUrls;
  if (options.initialAdvertisePeerUrls === undefined) {
    draft.initialAdvertisePeerUrls = draft.listenPeerUrls;
  }
  if (options.initialCluster === undefined) {
    const discovers = draft.discoverySrv !== '' || draft.discoveryEndpoints.length > 0;
    draft.initialCluster = discovers
      ? ''
      : initialClusterFromName(draft.name, draft.initialAdvertisePeerUrls);
  }
  const verdict = validate(draft);
  const problem = verdict.panic ?? verdict.error;
  if (problem !== null) throw new ValueError(problem);
  const resolved = resolveDefaults(draft, null);
  return { config: freeze(resolved.config), notes: verdict.notes };
}

/** An option given as undefined is one that was not given. */
function definedOnly(options: Options): Options {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
