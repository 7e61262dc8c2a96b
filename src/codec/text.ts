/**
 * protobuf's text form on one line, from wire bytes, as Go prints messages into log lines. Fields
 * come in the order of their declaration, zeros are left out except inside of a oneof.
 *
 * Go puts one blank or two between fields, at random per build; here it is always one.
 */

import { must } from '../assert.ts';
import { enumSchemas, messageSchemas } from './gen/schema.ts';
import type { FieldSchema } from './schema.ts';
import { Reader } from './wire.ts';

/** `message`: its full name. Throws `DecodeError` when the bytes are none. */
export function textFromWire(message: string, bytes: Uint8Array): string {
  return messageText(message, new Reader(bytes));
}

function messageText(message: string, r: Reader): string {
  const fields = must(messageSchemas[message], 'the message has a schema');
  const values = new Map<number, string[]>();
  while (!r.done) {
    const tag = r.tag();
    const field = fields.find(({ number }) => number === tag >>> 3);
    if (field === undefined) r.discard(tag);
    else take(values, field, r, tag);
  }
  const parts: string[] = [];
  for (const { number, name } of fields) {
    for (const value of values.get(number) ?? []) parts.push(`${name}:${value}`);
  }
  return parts.join(' ');
}

function take(values: Map<number, string[]>, field: FieldSchema, r: Reader, tag: number): void {
  const known = values.get(field.number);
  if (!field.repeated) {
    const value = valueText(field, r);
    if (field.oneof !== '' || !isZero(field, value)) values.set(field.number, [value]);
    return;
  }
  const list = known ?? [];
  values.set(field.number, list);
  const isPacked = (tag & 7) === 2 && !DELIMITED.has(field.kind);
  if (!isPacked) return void list.push(valueText(field, r));
  const outer = r.enter();
  while (!r.done) list.push(valueText(field, r));
  r.leave(outer);
}

const DELIMITED: ReadonlySet<string> = new Set(['string', 'bytes', 'message']);

function isZero({ kind, type }: FieldSchema, text: string): boolean {
  if (kind === 'message') return false;
  return text === '0' || text === 'false' || text === '""' || text === enumName(type, 0);
}

function valueText(field: FieldSchema, r: Reader): string {
  switch (field.kind) {
    case 'int64':
      return r.int64Text();
    case 'uint64':
      return r.uint64Text();
    case 'int32':
      return String(r.int32());
    case 'uint32':
      return String(r.uint32());
    case 'bool':
      return String(r.bool());
    case 'string':
    case 'bytes':
      return quoted(r.bytes());
    case 'enum': {
      const number = r.int32();
      return enumName(field.type, number) ?? String(number);
    }
    case 'message': {
      const outer = r.enter();
      const text = messageText(field.type, r);
      r.leave(outer);
      return `{${text}}`;
    }
  }
}

/** `null` for a number without a name. */
export function enumName(type: string, number: number): string | null {
  const names = Object.entries(enumSchemas[type] ?? {});
  return names.find(([, value]) => value === number)?.[0] ?? null;
}

const ESCAPES: ReadonlyMap<number, string> = new Map([
  [0x0a, '\\n'],
  [0x0d, '\\r'],
  [0x09, '\\t'],
  [0x22, '\\"'],
  [0x5c, '\\\\'],
]);
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** UTF-8 stays as it is; control characters and everything else are escaped. */
function quoted(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const character = characterAt(bytes, at);
    const code = character?.codePointAt(0) ?? bytes[at] ?? 0;
    const short = ESCAPES.get(code);
    if (short !== undefined) text += short;
    else if (character === null || code < 0x20 || code === 0x7f) {
      text += `\\x${code.toString(16).padStart(2, '0')}`;
    } else if (code >= 0x80 && code <= 0x9f) text += `\\u${code.toString(16).padStart(4, '0')}`;
    else text += character;
    at += character === null ? 1 : Buffer.byteLength(character);
  }
  return `"${text}"`;
}

/** The UTF-8 character that begins there; `null` when none does. */
function characterAt(bytes: Uint8Array, at: number): string | null {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return String.fromCharCode(first);
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  try {
    return utf8.decode(bytes.subarray(at, at + length));
  } catch {
    return null;
  }
}
