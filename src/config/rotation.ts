/** The JSON of --log-rotation-config-json, with the texts of Go's decoder for what is wrong. */

import { jsonSyntaxError } from '../json-syntax.ts';
import type { LogRotation } from '../log-rotation.ts';
import { ValueError } from './go-text.ts';

const FIELDS = {
  maxsize: 'int',
  maxage: 'int',
  maxbackups: 'int',
  localtime: 'bool',
  compress: 'bool',
} as const;

/** Throws a `ValueError` with etcd's text. */
export function parseRotation(json: string): LogRotation {
  const value = decode(json);
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw misfit(value, 'value of type embed.logRotationConfig');
  }
  const given = new Map(
    Object.entries(value ?? {}).map(([key, each]) => [key.toLowerCase(), each]),
  );
  for (const [name, type] of Object.entries(FIELDS)) {
    const field: unknown = given.get(name) ?? null;
    const fits = type === 'int' ? Number.isSafeInteger(field) : typeof field === 'boolean';
    if (field === null || fits) continue;
    throw misfit(field, `struct field logRotationConfig.Logger.${name} of type ${type}`);
  }
  return {
    maxSize: Number(given.get('maxsize') ?? 0),
    maxAge: Number(given.get('maxage') ?? 0),
    maxBackups: Number(given.get('maxbackups') ?? 0),
    localTime: given.get('localtime') === true,
    compress: given.get('compress') === true,
  };
}

function decode(json: string): unknown {
  const bytes = Buffer.from(json, 'utf8').toString('latin1');
  // In a list, what follows the first value is out of place as well.
  const fault =
    jsonSyntaxError(bytes) ??
    jsonSyntaxError(`[${bytes}]`)?.replace('after array element', 'after top-level value') ??
    null;
  if (json.trim() !== '' && fault === null) return JSON.parse(json);
  const reason =
    fault === null || fault === 'unexpected EOF' ? 'unexpected end of JSON input' : fault;
  throw new ValueError(`improperly formatted log rotation config: ${reason}`);
}

function misfit(value: unknown, target: string): ValueError {
  const kind = Array.isArray(value)
    ? 'array'
    : typeof value === 'boolean'
      ? 'bool'
      : typeof value === 'number' && target.endsWith(' int')
        ? `number ${value}`
        : typeof value;
  return new ValueError(
    `invalid log rotation config: json: cannot unmarshal ${kind} into Go ${target}`,
  );
}
