/**
 * The kinds of value a setting can have: how each is read from a flag or variable (Go's texts), how
 * from a YAML file, and how it is shown. A kind knows nothing about any particular setting.
 */

import { goDuration, parseDuration } from '../duration.ts';
import { type FeatureGates, parseFeatureGates } from './feature-gates.ts';
import { goQuote, parseBool, parseInteger, saturate, ValueError } from './go-text.ts';
import { parseUrls } from './url.ts';

export interface ValueKind<V> {
  /** Go's name of the type, part of the text of a YAML error. */
  readonly goType: string;
  /** A boolean flag takes no following argument. */
  readonly isBool: boolean;
  /** Reads the text of a flag or variable; `previous` is the value so far. Throws `ValueError`. */
  readonly parse: (text: string, previous: V) => V;
  /** Reads a value of a YAML file; undefined when its type does not fit. Throws `ValueError`. */
  readonly fromYaml: (value: unknown, previous: V) => V | undefined;
  readonly show: (value: V) => string;
}

const INT64_MAX = (1n << 63n) - 1n;
const UINT64_MAX = (1n << 64n) - 1n;
const UINT32_MAX = (1n << 32n) - 1n;

/**
 * Numbers that stand where text is expected become their text, which etcd 3.4 and 3.5 did and files
 * rely on. Booleans do not: a member that is called `n` or `on` would get another name.
 */
function yamlText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'bigint' ? String(value) : undefined;
}

/** 1.0 and 1e3 count as integers, as they do once YAML has become JSON. */
function yamlInteger(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value;
  return typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : undefined;
}

export const textKind: ValueKind<string> = {
  goType: 'string',
  isBool: false,
  parse: (text) => text,
  fromYaml: (value) => yamlText(value),
  show: (value) => value,
};

export const boolKind: ValueKind<boolean> = {
  goType: 'bool',
  isBool: true,
  parse: (text) => {
    const value = parseBool(text);
    if (value === null) throw new ValueError('parse error');
    return value;
  },
  fromYaml: (value) => (typeof value === 'boolean' ? value : undefined),
  show: String,
};

function integerKind(goType: string, min: bigint, max: bigint): ValueKind<number> {
  return {
    goType,
    isBool: false,
    parse: (text) => {
      const result = parseInteger(text, min, max);
      if (result.kind === 'syntax') throw new ValueError('parse error');
      if (result.kind === 'range') throw new ValueError('value out of range');
      return saturate(result.value);
    },
    fromYaml: (value) => {
      const whole = yamlInteger(value);
      return whole !== undefined && whole >= min && whole <= max ? saturate(whole) : undefined;
    },
    show: String,
  };
}

export const intKind = integerKind('int', -INT64_MAX - 1n, INT64_MAX);
export const int64Kind = integerKind('int64', -INT64_MAX - 1n, INT64_MAX);
export const uintKind = integerKind('uint', 0n, UINT64_MAX);
export const uint64Kind = integerKind('uint64', 0n, UINT64_MAX);

/** etcd: this one flag kind reports the errors of strconv instead of those of the flag package. */
export const uint32Kind: ValueKind<number> = {
  ...integerKind('uint32', 0n, UINT32_MAX),
  parse: (text) => {
    const result = parseInteger(text, 0n, UINT32_MAX);
    if (result.kind === 'value') return saturate(result.value);
    const reason = result.kind === 'syntax' ? 'invalid syntax' : 'value out of range';
    throw new ValueError(`strconv.ParseUint: parsing ${goQuote(text)}: ${reason}`);
  },
};

/** Milliseconds in memory; Go's duration text on the command line. */
export const durationKind: ValueKind<number> = {
  goType: 'time.Duration',
  isBool: false,
  parse: (text) => {
    const value = parseDuration(text);
    if (value === null) throw new ValueError('parse error');
    return value;
  },
  fromYaml: (value) => {
    // etcd reads only whole nanoseconds; the text form is accepted here on top.
    if (typeof value === 'string') return parseDuration(value) ?? undefined;
    const nanoseconds = yamlInteger(value);
    return nanoseconds === undefined ? undefined : Number(nanoseconds) / 1_000_000;
  },
  show: goDuration,
};

function listText(value: readonly string[]): string {
  return value.join(',');
}

/** etcd: an empty text leaves the list as it is; in a file it does so too. */
export const urlsKind: ValueKind<readonly string[]> = {
  goType: 'string',
  isBool: false,
  parse: (text, previous) => (text === '' ? previous : parseUrls(text)),
  fromYaml: (value, previous) => {
    const text = yamlText(value);
    return text === undefined || text === ''
      ? text === ''
        ? previous
        : undefined
      : parseUrls(text);
  },
  show: listText,
};

/** etcd: `*` is added to what is already there, a list of URLs replaces it. */
export const originsKind: ValueKind<readonly string[]> = {
  goType: 'string',
  isBool: false,
  parse: (text, previous) => {
    if (previous.includes(text)) return previous;
    return text === '*' ? [...previous, '*'].sort() : parseUrls(text);
  },
  fromYaml: (value, previous) => {
    const text = yamlText(value);
    if (text === undefined || text === '') return text === '' ? previous : undefined;
    return text === '*' ? ['*'] : parseUrls(text);
  },
  show: listText,
};

function uniqueTexts(text: string): readonly string[] {
  return [...new Set(text.split(','))].sort();
}

/** A comma-separated set on the command line and in a file. */
export const textSetKind: ValueKind<readonly string[]> = {
  goType: 'string',
  isBool: false,
  parse: uniqueTexts,
  fromYaml: (value, previous) => {
    const text = yamlText(value);
    return text === undefined ? undefined : text === '' ? previous : uniqueTexts(text);
  },
  show: listText,
};

function yamlList(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const texts: string[] = [];
  for (const item of value) {
    const text = yamlText(item);
    if (text === undefined) return undefined;
    texts.push(text);
  }
  return texts;
}

/** A comma-separated set on the command line, a YAML list in a file. */
export const textListSetKind: ValueKind<readonly string[]> = {
  goType: '[]string',
  isBool: false,
  parse: uniqueTexts,
  fromYaml: yamlList,
  show: listText,
};

/** Comma-separated in the given order on the command line, a YAML list in a file. */
export const textListKind: ValueKind<readonly string[]> = {
  goType: '[]string',
  isBool: false,
  parse: (text) => text.split(','),
  fromYaml: yamlList,
  show: listText,
};

/** As `textListKind`; etcd up to 3.5 had one plain name here, so that is accepted in a file too. */
export const textListOrOneKind: ValueKind<readonly string[]> = {
  ...textListKind,
  fromYaml: (value) => (typeof value === 'string' ? value.split(',') : yamlList(value)),
};

/** One of fixed words. In a file any word is taken and judged by validation, as etcd does. */
export function choiceKind(words: readonly string[]): ValueKind<string> {
  return {
    ...textKind,
    parse: (text) => {
      if (!words.includes(text)) throw new ValueError('invalid value');
      return text;
    },
  };
}

/** Several of fixed words, comma-separated. */
export function choicesKind(words: readonly string[]): ValueKind<string> {
  return {
    ...textKind,
    parse: (text) => {
      for (const word of text.split(',')) {
        if (!words.includes(word)) throw new ValueError(`invalid value ${goQuote(word)}`);
      }
      return text;
    },
  };
}

export const featureGatesKind: ValueKind<FeatureGates> = {
  goType: 'string',
  isBool: false,
  parse: parseFeatureGates,
  fromYaml: (value, previous) => {
    const text = yamlText(value);
    return text === undefined ? undefined : parseFeatureGates(text, previous);
  },
  show: (gates) => gates.text,
};
