/**
 * The configuration file: YAML or JSON, nested as etcd nests it. Unknown keys are ignored as etcd
 * ignores them; errors carry the texts of Go's decoder, in the order in which it meets the keys.
 */

import { createRequire } from 'node:module';
import type * as Yaml from 'yaml';
import {
  type Draft,
  type FlagName,
  flagNames,
  isFlagName,
  readFlag,
  readYaml,
  specOf,
} from './flags.ts';
import { goQuote, ValueError } from './go-text.ts';
import { type LogNote, note } from './note.ts';
import { removedFlags } from './removed-flags.ts';

export type FileFailure =
  /** Reported as a failed verification. */
  | { readonly kind: 'error'; readonly message: string }
  /** Printed bare: etcd stops before it has a log. */
  | { readonly kind: 'print'; readonly message: string }
  /** etcd: a Go panic, exit code 2. */
  | { readonly kind: 'panic'; readonly message: string };

export interface FileResult {
  readonly failure: FileFailure | null;
  /** Top-level keys, and those of the peer block with `peer-` before them. */
  readonly keys: ReadonlySet<string>;
  readonly notes: readonly LogNote[];
}

type YamlMap = Readonly<Record<string, unknown>>;

/** The blocks, with the Go types that error texts name. */
const blocks: ReadonlyMap<string, { readonly goType: string; readonly owner: string }> = new Map([
  ['client-transport-security', { goType: 'embed.securityConfig', owner: 'securityConfig' }],
  ['peer-transport-security', { goType: 'embed.securityConfig', owner: 'securityConfig' }],
  ['socket-options', { goType: 'transport.SocketOpts', owner: 'SocketOpts' }],
  ['discovery-config', { goType: 'v3discovery.DiscoveryConfig', owner: 'DiscoveryConfig' }],
  ['discovery-config.client', { goType: 'clientv3.ConfigSpec', owner: 'ConfigSpec' }],
  ['discovery-config.client.secure', { goType: 'clientv3.SecureConfig', owner: 'SecureConfig' }],
  ['discovery-config.client.auth', { goType: 'clientv3.AuthConfig', owner: 'AuthConfig' }],
]);

/** etcd: these live in a second Go struct, which shows in error texts. */
const secondStruct: ReadonlySet<string> = new Set([
  'listen-peer-urls',
  'listen-client-urls',
  'listen-client-http-urls',
  'initial-advertise-peer-urls',
  'advertise-client-urls',
  'cors',
  'host-whitelist',
  'client-transport-security',
  'peer-transport-security',
  'feature-gates',
]);

const flagOfPath: ReadonlyMap<string, FlagName> = new Map(
  flagNames.flatMap((name): [string, FlagName][] => {
    const path = specOf(name).yaml;
    return path === null ? [] : [[path ?? name, name]];
  }),
);

/** etcd: the order in which it looks at URL lists, and the name it reports for each. */
const urlLists: readonly (readonly [FlagName, string])[] = [
  ['listen-peer-urls', 'listen-peer-urls'],
  ['listen-client-urls', 'listen-client-urls'],
  ['listen-client-http-urls', 'listen-client-http-urls'],
  ['initial-advertise-peer-urls', 'initial-advertise-peer-urls'],
  ['advertise-client-urls', 'advertise-peer-urls'],
  ['listen-metrics-urls', 'listen-metrics-urls'],
];

interface Walk {
  readonly draft: Draft;
  /** Values of the right type that their setting refuses. */
  readonly refused: Map<FlagName, string>;
  readonly notes: LogNote[];
  typeError: string | null;
}

/** Reads `text` into `draft`, which holds the defaults. */
export function readConfigFile(text: string, draft: Draft): FileResult {
  const keys = new Set<string>();
  const done = (failure: FileFailure | null, notes: readonly LogNote[] = []): FileResult => ({
    failure,
    keys,
    notes,
  });
  let document: unknown;
  try {
    document = parseDocument(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    return done({ kind: 'error', message: `error converting YAML to JSON: yaml: ${reason}` });
  }
  if (document === null || document === undefined) return done(null);
  if (!isMap(document)) {
    return done({ kind: 'error', message: typeText(document, '', 'embed.configYAML', null) });
  }
  const walk: Walk = { draft, refused: new Map(), notes: [], typeError: null };
  readMap(walk, document, '');
  if (walk.typeError !== null) return done({ kind: 'error', message: walk.typeError });
  for (const key of Object.keys(document)) keys.add(key);
  const peer = document['peer-transport-security'];
  if (peer === null) return done({ kind: 'error', message: 'invalid peer-transport-security' });
  if (isMap(peer)) for (const key of Object.keys(peer)) keys.add(`peer-${key}`);
  return done(refusal(walk.refused), walk.notes);
}

/** etcd: integers keep all digits, `yes` and `on` are booleans, the last of equal keys wins. */
function parseDocument(text: string): unknown {
  // Only who starts from a file pays for loading the parser, some 50 ms of a start.
  const { parse } = createRequire(import.meta.url)('yaml') as typeof Yaml;
  return parse(text, {
    version: '1.1',
    intAsBigInt: true,
    uniqueKeys: false,
    merge: true,
    logLevel: 'silent',
    // go-yaml has no base-60 numbers; a date would turn into an object.
    customTags: (tags) =>
      tags.filter((tag) => typeof tag === 'string' || (tag.format !== 'TIME' && !isDate(tag.tag))),
  });
}

function isDate(tag: string): boolean {
  return tag.endsWith(':timestamp');
}

function readMap(walk: Walk, map: YamlMap, prefix: string): void {
  for (const key of Object.keys(map).sort()) {
    const value = map[key];
    const path = `${prefix}${key}`;
    const name = flagOfPath.get(path) ?? flagOfPath.get(path.toLowerCase());
    const block = blocks.get(path);
    if (value === null || value === undefined) continue;
    if (name !== undefined) {
      readValue(walk, name, path, value);
    } else if (block !== undefined) {
      if (isMap(value)) readMap(walk, value, `${path}.`);
      else walk.typeError ??= typeText(value, path, block.goType, 'block');
    } else if (prefix === '') {
      readUnknown(walk, key, value);
    }
  }
}

function readValue(walk: Walk, name: FlagName, path: string, value: unknown): void {
  try {
    if (readYaml(walk.draft, name, value)) return;
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    walk.refused.set(name, error.message);
    return;
  }
  walk.typeError ??= typeText(value, path, specOf(name).kind.goType, 'value');
}

/** Settings of older releases, and the trap of TLS settings outside their block. */
function readUnknown(walk: Walk, key: string, value: unknown): void {
  const path = isFlagName(key) ? specOf(key).yaml : undefined;
  if (typeof path === 'string') {
    walk.notes.push(
      note(
        'configured',
        'warn',
        'setting has no effect outside its block in the configuration file',
        {
          setting: key,
          'expected-at': path,
        },
      ),
    );
    return;
  }
  const removed = removedFlags.get(key);
  if (removed === undefined) return;
  const field = { setting: key };
  switch (removed.kind) {
    case 'alias':
      walk.notes.push(note('configured', 'warn', `setting was renamed to ${removed.to}`, field));
      readValue(walk, removed.to, key, value);
      return;
    case 'gate': {
      const hint = `setting was replaced by feature gate ${removed.gate}`;
      walk.notes.push(note('configured', 'warn', hint, field));
      readValue(walk, 'feature-gates', key, `${removed.gate}=${String(value)}`);
      return;
    }
    case 'switch':
      walk.notes.push(note('configured', 'warn', `setting was replaced by ${removed.to}`, field));
      if (value === true) readFlag(walk.draft, removed.to, removed.value);
      return;
    case 'gone':
      walk.notes.push(
        note('configured', 'warn', `setting has no effect any more: ${removed.hint}`, field),
      );
  }
}

function refusal(refused: ReadonlyMap<FlagName, string>): FileFailure | null {
  const gates = refused.get('feature-gates');
  if (gates !== undefined) return { kind: 'error', message: gates };
  for (const [name, shown] of urlLists) {
    const reason = refused.get(name);
    if (reason === undefined) continue;
    return { kind: 'print', message: `unexpected error setting up ${shown}: ${reason}` };
  }
  const cors = refused.get('cors');
  if (cors === undefined) return null;
  return { kind: 'panic', message: `panic: new UniqueURLs should never fail: ${cors}` };
}

function isMap(value: unknown): value is YamlMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The text of Go's JSON decoder for a value of the wrong type. */
function typeText(
  value: unknown,
  path: string,
  goType: string,
  place: 'value' | 'block' | null,
): string {
  const start = 'error unmarshaling JSON: while decoding JSON: json: cannot unmarshal';
  const found = place === 'value' ? wrongItem(value, goType) : { value, goType };
  const what = `${start} ${jsonKind(found.value, found.goType)} into Go`;
  if (place === null) return `${what} value of type ${goType}`;
  const parent = path.includes('.') ? path.slice(0, path.lastIndexOf('.')) : '';
  const owner = parent === '' ? 'configYAML' : (blocks.get(parent)?.owner ?? goQuote(parent));
  const struct = secondStruct.has(path.split('.')[0] ?? '') ? 'configJSON' : 'Config';
  return `${what} struct field ${owner}.${struct}.${path} of type ${found.goType}`;
}

/** In a list the offending item is reported, not the list. */
function wrongItem(value: unknown, goType: string): { value: unknown; goType: string } {
  if (goType !== '[]string' || !Array.isArray(value)) return { value, goType };
  const item: unknown = value.find((each) => typeof each === 'object');
  return { value: item, goType: 'string' };
}

function jsonKind(value: unknown, goType: string): string {
  switch (typeof value) {
    case 'bigint':
    case 'number':
      return /^(u?int|time)/.test(goType) ? `number ${value}` : 'number';
    case 'boolean':
      return 'bool';
    case 'string':
      return 'string';
    default:
      return Array.isArray(value) ? 'array' : 'object';
  }
}
