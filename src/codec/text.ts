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
/** By byte: what stands for it where it is no part of a character, or one that must not be seen. */
const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => `\\x${hex(byte, 2)}`);

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

/**
 * UTF-8 stays as it is; control characters and everything else are escaped. Whoever asks chooses
 * the bytes, so none of them may be dear: no exceptions, and no decoding one by one.
 */
function quoted(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let text = '';
  let shown = 0;
  for (let at = 0; at < buffer.length; ) {
    const length = characterBytes(buffer, at);
    const escaped = escapeOf(buffer, at, length);
    if (escaped !== null) {
      if (shown < at) text += buffer.toString('utf8', shown, at);
      text += escaped;
      shown = at + Math.max(length, 1);
    }
    at += Math.max(length, 1);
  }
  if (shown < buffer.length) text += buffer.toString('utf8', shown);
  return `"${text}"`;
}

/** `null` for a character that is shown as it is; `length` is 0 where there is none. */
function escapeOf(bytes: Uint8Array, at: number, length: number): string | null {
  const first = bytes[at] ?? 0;
  if (length === 0) return HEX[first] ?? '';
  if (length === 1) {
    const isControl = first < 0x20 || first === 0x7f;
    return ESCAPES.get(first) ?? (isControl ? (HEX[first] ?? '') : null);
  }
  const second = bytes[at + 1] ?? 0;
  return first === 0xc2 && second < 0xa0 ? `\\u${hex(second, 4)}` : null;
}

/** Bytes of the UTF-8 character that begins there; 0 when none does. */
function characterBytes(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  for (let i = 1; i < length; i++) if (((bytes[at + i] ?? 0) & 0xc0) !== 0x80) return 0;
  const second = bytes[at + 1] ?? 0;
  // Too long for what they say, surrogates, and beyond the last character.
  if (first === 0xe0 && second < 0xa0) return 0;
  if (first === 0xed && second > 0x9f) return 0;
  if (first === 0xf0 && second < 0x90) return 0;
  return first === 0xf4 && second > 0x8f ? 0 : length;
}
