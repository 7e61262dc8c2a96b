/** The last step to settings: what depends on other settings or on the machine is filled in. */

import { defaultDraft, type Settings } from './flags.ts';
import { type LogNote, note } from './note.ts';
import { splitUrl } from './url.ts';

const defaults = defaultDraft();

export interface Resolved {
  readonly config: Settings;
  readonly notes: readonly LogNote[];
}

/** Either the address of the machine's default route, or why there is none. */
export type DefaultHost =
  | { readonly host: string; readonly problem: null }
  | { readonly host: null; readonly problem: string };

/** `name=url` for each peer URL of this member. */
export function initialClusterFromName(name: string, peerUrls: readonly string[]): string {
  return peerUrls.map((url) => `${name === '' ? 'default' : name}=${url}`).join(',');
}

/**
 * etcd: UpdateDefaultClusterFromName. A member that listens on every address and was told nothing
 * else advertises the address of its default route. `null`: nobody looked for one.
 */
export function resolveDefaults(settings: Settings, found: DefaultHost | null): Resolved {
  const config = { ...settings };
  const defaultHost = found?.host ?? null;
  const notes: LogNote[] = [];
  const peer = advertised(config.listenPeerUrls, config.initialAdvertisePeerUrls, defaultHost, {
    unchanged: defaults.initialAdvertisePeerUrls,
  });
  const client = advertised(config.listenClientUrls, config.advertiseClientUrls, defaultHost, {
    unchanged: defaults.advertiseClientUrls,
  });
  if (peer !== null) config.initialAdvertisePeerUrls = peer;
  if (client !== null) config.advertiseClientUrls = client;
  if (config.name !== defaults.name && config.initialCluster === defaults.initialCluster) {
    config.initialCluster = initialClusterFromName(config.name, config.initialAdvertisePeerUrls);
  }
  if (defaultHost !== null && (peer !== null || client !== null)) {
    const fields = { host: defaultHost };
    notes.push(note('configured', 'info', 'detected default host for advertise', fields));
  }
  if (found !== null && found.problem !== null) {
    const fields = { error: found.problem };
    notes.push(note('configured', 'info', 'failed to detect default host', fields));
  }
  if (config.dataDir === '') {
    config.dataDir = `${config.name}.etcd`;
    const fields = { 'data-dir': config.dataDir };
    notes.push(note('configured', 'warn', "'data-dir' was empty; using default", fields));
  }
  return { config: freeze(config), notes };
}

function advertised(
  listen: readonly string[],
  advertise: readonly string[],
  defaultHost: string | null,
  { unchanged }: { readonly unchanged: readonly string[] },
): readonly string[] | null {
  const first = listen[0];
  if (defaultHost === null || first === undefined) return null;
  if (advertise.join(',') !== unchanged.join(',')) return null;
  const { host, port } = splitUrl(first);
  if (host !== '0.0.0.0') return null;
  const shown = defaultHost.includes(':') ? `[${defaultHost}]` : defaultHost;
  return [`http://${shown}:${port}`];
}

/** Settings never change after this. */
export function freeze(settings: Settings): Settings {
  for (const value of Object.values(settings)) if (Array.isArray(value)) Object.freeze(value);
  return Object.freeze(settings);
}
