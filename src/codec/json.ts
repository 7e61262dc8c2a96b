/**
 * protobuf's JSON form, between text and wire bytes directly, by walking the schema tables: the
 * gateway needs no second set of encoders. Rules are those of protojson as etcd configures it
 * (proto field names out, both spellings in, zeros omitted, unknown fields ignored).
 *
 * 64-bit integers never become a JavaScript number here.
 */

import { isUtf8 } from 'node:buffer';
import { assert, must } from '../assert.ts';
import { jsonSyntaxError } from '../json-syntax.ts';
import { enumSchemas, messageSchemas } from './gen/schema.ts';
import { JsonScanner } from './json-scanner.ts';
import { base64Text, integerFromText } from './json-values.ts';
import type { FieldSchema } from './schema.ts';
import { DecodeError, Reader, Writer } from './wire.ts';

interface FieldPlan extends FieldSchema {
  /** Position among the message's fields, which is the order of keys. */
  readonly position: number;
  readonly tag: number;
  readonly tagBytes: number;
  readonly quoted: string;
  /** Both ways; empty for all but enums. */
  readonly enumNames: ReadonlyMap<number, string>;
  readonly enumNumbers: ReadonlyMap<string, number>;
  /** The message's plan, found on first use since messages may hold themselves. */
  plan: MessagePlan | null;
}

interface MessagePlan {
  readonly name: string;
  readonly fields: readonly FieldPlan[];
  readonly byNumber: ReadonlyMap<number, FieldPlan>;
  readonly byName: ReadonlyMap<string, FieldPlan>;
}

const WIRE_TYPES: Readonly<Record<string, number>> = { string: 2, bytes: 2, message: 2 };
/** etcd: protojson takes 10 000, of which no more than --max-txn-ops reach the state machine. */
const DEPTH_MAX = 1000;
const FIELDS_MAX = 31;

const plans = new Map<string, MessagePlan>();

function planOf(name: string): MessagePlan {
  const known = plans.get(name);
  if (known !== undefined) return known;
  const schema = must(messageSchemas[name], 'the message has a schema');
  assert(schema.length <= FIELDS_MAX, 'the fields of a message fit into a bit set');
  const fields = schema.map((field, position): FieldPlan => {
    const values = Object.entries(
      field.kind === 'enum' ? must(enumSchemas[field.type], 'a known enum') : {},
    );
    return {
      ...field,
      position,
      tag: (field.number << 3) | (WIRE_TYPES[field.kind] ?? 0),
      tagBytes: field.number < 16 ? 1 : 2,
      quoted: `"${field.name}":`,
      enumNames: new Map(values.map(([text, value]) => [value, text])),
      enumNumbers: new Map(values),
      plan: null,
    };
  });
  const byName = new Map<string, FieldPlan>();
  for (const field of fields) byName.set(field.json, field).set(field.name, field);
  const plan: MessagePlan = {
    name,
    fields,
    byNumber: new Map(fields.map((field) => [field.number, field])),
    byName,
  };
  plans.set(name, plan);
  return plan;
}

function planOfField(field: FieldPlan): MessagePlan {
  field.plan ??= planOf(field.type);
  return field.plan;
}

/** The JSON text of an encoded message. */
export function jsonFromWire(message: string, bytes: Uint8Array): string {
  return printMessage(planOf(message), new Reader(bytes));
}

function printMessage(plan: MessagePlan, r: Reader): string {
  const values: (string | undefined)[] = new Array(plan.fields.length);
  while (!r.done) {
    const tag = r.tag();
    const field = plan.byNumber.get(tag >>> 3);
    if (field === undefined) {
      r.discard(tag);
    } else if (tag === field.tag) {
      const value = printValue(field, r);
      if (field.repeated) append(values, field, value);
      else values[field.position] = value;
    } else if (field.repeated && (tag & 7) === 2 && (field.tag & 7) === 0) {
      const outer = r.enter();
      while (!r.done) append(values, field, printValue(field, r));
      r.leave(outer);
    } else {
      // A field of another wire type is an unknown field.
      r.discard(tag);
    }
  }
  let text = '{';
  for (const field of plan.fields) {
    const value = values[field.position];
    if (value === undefined) continue;
    if (text.length > 1) text += ',';
    text += field.repeated ? `${field.quoted}[${value}]` : field.quoted + value;
  }
  return `${text}}`;
}

function append(values: (string | undefined)[], field: FieldPlan, value: string): void {
  const before = values[field.position];
  values[field.position] = before === undefined ? value : `${before},${value}`;
}

function printValue(field: FieldPlan, r: Reader): string {
  switch (field.kind) {
    case 'int64':
      return `"${r.int64Text()}"`;
    case 'uint64':
      return `"${r.uint64Text()}"`;
    case 'int32':
      return String(r.int32());
    case 'uint32':
      return String(r.uint32());
    case 'bool':
      return r.bool() ? 'true' : 'false';
    case 'string':
      return JSON.stringify(r.string());
    case 'bytes':
      return `"${r.base64()}"`;
    case 'enum': {
      const number = r.int32();
      const name = field.enumNames.get(number);
      return name === undefined ? String(number) : `"${name}"`;
    }
    case 'message': {
      const outer = r.enter();
      const text = printMessage(planOfField(field), r);
      r.leave(outer);
      return text;
    }
  }
}

const writer = new Writer();

/**
 * The wire bytes of the first JSON value in `body`; an empty body is an empty message. What follows
 * the value is not looked at. Throws `DecodeError`, with the text that etcd's gateway gives.
 */
export function wireFromJson(message: string, body: Buffer): Uint8Array {
  const text = body.toString('utf8');
  const scanner = new JsonScanner(text, text.includes('\ufffd') && !isUtf8(body));
  const w = writer.reset();
  try {
    if (!scanner.atEnd()) parseMessage(planOf(message), scanner, w, 0);
  } catch (error) {
    // etcd: encoding/json reads the whole value before protojson looks at its fields.
    const syntax = error instanceof DecodeError ? jsonSyntaxError(body.toString('latin1')) : null;
    throw syntax === null ? error : new DecodeError(syntax);
  }
  return w.finish();
}

function parseMessage(plan: MessagePlan, scanner: JsonScanner, w: Writer, depth: number): void {
  if (depth > DEPTH_MAX) throw new DecodeError('proto: exceeded max recursion depth');
  scanner.open('{');
  let seen = 0;
  let oneofs: Set<string> | null = null;
  while (scanner.more('}')) {
    const at = scanner.position;
    const name = scanner.name();
    scanner.expect(':');
    const field = plan.byName.get(name);
    if (field === undefined) {
      scanner.skipValue();
      continue;
    }
    const bit = 1 << field.position;
    if ((seen & bit) !== 0) throw scanner.error(at, `duplicate field ${scanner.rawAt(at)}`);
    seen |= bit;
    // `null` leaves any field as it is, so it does not take the place of a oneof's member either.
    if (scanner.skipNull()) continue;
    if (field.oneof !== '') {
      oneofs ??= new Set();
      if (oneofs.has(field.oneof)) {
        const oneof = `oneof ${plan.name}.${field.oneof}`;
        throw scanner.error(at, `error parsing ${scanner.rawAt(at)}, ${oneof} is already set`);
      }
      oneofs.add(field.oneof);
    }
    if (field.repeated) parseList(field, scanner, w, depth);
    else parseField(field, scanner, w, depth);
  }
}

function parseList(field: FieldPlan, scanner: JsonScanner, w: Writer, depth: number): void {
  scanner.open('[');
  while (scanner.more(']')) parseField(field, scanner, w, depth);
}

function parseField(field: FieldPlan, scanner: JsonScanner, w: Writer, depth: number): void {
  if (field.kind === 'message') {
    w.uint32(field.tag);
    const start = w.open();
    parseMessage(planOfField(field), scanner, w, depth + 1);
    w.close(start);
    return;
  }
  scanner.scalar();
  const start = w.length;
  if (parseScalar(field, scanner, w)) {
    // The canonical form leaves out zero and empty: a tag with a single byte of 0.
    const isDefault = w.length === start + field.tagBytes + 1 && w.endsWithZero;
    if (isDefault && !field.repeated && field.oneof === '') w.truncate(start);
    return;
  }
  const at = scanner.tokenStart;
  const text = `invalid value for ${field.kind} field ${field.json}: ${scanner.rawAt(at)}`;
  throw scanner.error(at, text);
}

/** False when the token does not suit the field. */
function parseScalar(field: FieldPlan, scanner: JsonScanner, w: Writer): boolean {
  const { tokenKind, tokenText } = scanner;
  switch (field.kind) {
    case 'string':
      if (tokenKind !== 'string') return false;
      w.uint32(field.tag);
      w.string(tokenText);
      return true;
    case 'bytes': {
      const digits = tokenKind === 'string' ? base64Text(tokenText) : null;
      if (digits === null) return false;
      w.uint32(field.tag);
      w.base64(digits);
      return true;
    }
    case 'bool':
      if (tokenKind !== 'word' || tokenText === 'null') return false;
      w.uint32(field.tag);
      w.bool(tokenText === 'true');
      return true;
    case 'enum':
      return parseEnum(field, scanner, w);
    case 'message':
      return false;
    default: {
      const isNumber = tokenKind === 'number' || tokenKind === 'string';
      const value = isNumber ? integerFromText(tokenText, field.kind) : null;
      if (value === null) return false;
      w.uint32(field.tag);
      w.int64Exact(value);
      return true;
    }
  }
}

function parseEnum(field: FieldPlan, { tokenKind, tokenText }: JsonScanner, w: Writer): boolean {
  let value: number | undefined;
  if (tokenKind === 'string') {
    value = field.enumNumbers.get(tokenText);
    // An unknown name is dropped like an unknown field.
    if (value === undefined) return true;
  } else if (tokenKind === 'number') {
    const number = integerFromText(tokenText, 'int32');
    if (number !== null) value = Number(number);
  }
  if (value === undefined) return false;
  w.uint32(field.tag);
  w.int64(value);
  return true;
}
