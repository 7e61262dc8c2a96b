/**
 * protobuf's JSON form, between text and wire bytes directly, by walking the schema tables: the
 * gateway needs no second set of encoders. Rules are those of protojson as etcd configures it
 * (proto field names out, both spellings in, zeros omitted, unknown fields ignored).
 *
 * 64-bit integers never become a JavaScript number here.
 */

import { must } from '../assert.ts';
import { enumSchemas, messageSchemas } from './gen/schema.ts';
import { JsonScanner } from './json-scanner.ts';
import type { FieldSchema } from './schema.ts';
import { DecodeError, Reader, Writer } from './wire.ts';

interface FieldPlan extends FieldSchema {
  /** Position among the message's fields, which is the order of keys. */
  readonly position: number;
  readonly tag: number;
  readonly quoted: string;
  readonly enumNames: ReadonlyMap<number, string> | null;
}

interface MessagePlan {
  readonly name: string;
  readonly fields: readonly FieldPlan[];
  readonly byNumber: ReadonlyMap<number, FieldPlan>;
  readonly byName: ReadonlyMap<string, FieldPlan>;
}

const WIRE_TYPES: Readonly<Record<string, number>> = { string: 2, bytes: 2, message: 2 };
/** protobuf's own bound is 10 000; nothing etcd accepts nests deeper than --max-txn-ops. */
const DEPTH_MAX = 1000;

const plans = new Map<string, MessagePlan>();

function planOf(name: string): MessagePlan {
  const known = plans.get(name);
  if (known !== undefined) return known;
  const schema = must(messageSchemas[name], 'the message has a schema');
  const fields = schema.map((field, position): FieldPlan => {
    const names = field.kind === 'enum' ? must(enumSchemas[field.type], 'a known enum') : null;
    return {
      ...field,
      position,
      tag: (field.number << 3) | (WIRE_TYPES[field.kind] ?? 0),
      quoted: `"${field.name}":`,
      enumNames:
        names === null ? null : new Map(Object.entries(names).map(([key, value]) => [value, key])),
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
      r.skip(tag);
    } else if (!field.repeated) {
      values[field.position] = printValue(field, r);
    } else if ((tag & 7) === 2 && (field.tag & 7) === 0) {
      const outer = r.enter();
      while (!r.done) append(values, field, printValue(field, r));
      r.leave(outer);
    } else {
      append(values, field, printValue(field, r));
    }
  }
  let text = '';
  for (const field of plan.fields) {
    const value = values[field.position];
    if (value === undefined) continue;
    const separator = text === '' ? '' : ',';
    text += separator + field.quoted + (field.repeated ? `[${value}]` : value);
  }
  return `{${text}}`;
}

function append(values: (string | undefined)[], field: FieldPlan, value: string): void {
  const before = values[field.position];
  values[field.position] = before === undefined ? value : `${before},${value}`;
}

function printValue(field: FieldPlan, r: Reader): string {
  switch (field.kind) {
    case 'int64':
      return `"${r.int64Exact()}"`;
    case 'uint64':
      return `"${r.uint64Exact()}"`;
    case 'int32':
      return String(r.int32());
    case 'uint32':
      return String(r.uint32());
    case 'bool':
      return String(r.bool());
    case 'string':
      return JSON.stringify(r.string());
    case 'bytes': {
      const bytes = r.bytes();
      return `"${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')}"`;
    }
    case 'enum': {
      const number = r.int32();
      const name = field.enumNames?.get(number);
      return name === undefined ? String(number) : `"${name}"`;
    }
    case 'message': {
      const outer = r.enter();
      const text = printMessage(planOf(field.type), r);
      r.leave(outer);
      return text;
    }
  }
}

/**
 * The wire bytes of the first JSON value in `text`; an empty text is an empty message. What follows
 * the value is not looked at. Throws `DecodeError`.
 */
export function wireFromJson(message: string, text: string): Uint8Array {
  const scanner = new JsonScanner(text);
  const w = new Writer();
  if (!scanner.atEnd()) parseMessage(planOf(message), scanner, w, 0);
  return w.finish();
}

function parseMessage(plan: MessagePlan, scanner: JsonScanner, w: Writer, depth: number): void {
  if (depth > DEPTH_MAX) throw new DecodeError('proto: exceeded max recursion depth');
  scanner.open('{');
  const seen = new Set<string>();
  while (scanner.more('}')) {
    const at = scanner.position;
    const name = scanner.string();
    scanner.expect(':');
    const field = plan.byName.get(name);
    if (field === undefined) {
      scanner.skipValue(depth);
      continue;
    }
    // `null` leaves any field as it is, so it does not take the place of a oneof's member either.
    if (scanner.skipNull()) continue;
    if (seen.has(field.name)) throw scanner.error(at, `duplicate field ${JSON.stringify(name)}`);
    seen.add(field.name);
    if (field.oneof !== '') {
      const oneof = `oneof ${plan.name}.${field.oneof}`;
      if (seen.has(oneof)) {
        throw scanner.error(at, `error parsing ${JSON.stringify(name)}, ${oneof} is already set`);
      }
      seen.add(oneof);
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
  const at = scanner.position;
  if (field.kind === 'message') {
    w.uint32(field.tag);
    const start = w.open();
    parseMessage(planOf(field.type), scanner, w, depth + 1);
    w.close(start);
    return;
  }
  const token = scanner.scalar();
  const fail = (): DecodeError =>
    scanner.error(at, `invalid value for ${field.kind} field ${field.name}: ${token.raw}`);
  switch (field.kind) {
    case 'string':
      if (token.kind !== 'string') throw fail();
      w.uint32(field.tag);
      w.string(token.text);
      return;
    case 'bytes': {
      const bytes = token.kind === 'string' ? fromBase64(token.text) : null;
      if (bytes === null) throw fail();
      w.uint32(field.tag);
      w.bytes(bytes);
      return;
    }
    case 'bool':
      if (token.raw !== 'true' && token.raw !== 'false') throw fail();
      w.uint32(field.tag);
      w.bool(token.raw === 'true');
      return;
    case 'enum':
      parseEnum(field, token, w, fail);
      return;
    default: {
      const value = token.kind === 'word' ? null : integer(token.text, field.kind);
      if (value === null) throw fail();
      w.uint32(field.tag);
      w.int64Exact(value);
    }
  }
}

function parseEnum(
  field: FieldPlan,
  token: ReturnType<JsonScanner['scalar']>,
  w: Writer,
  fail: () => DecodeError,
): void {
  let value: bigint | null = null;
  if (token.kind === 'string') {
    const number = enumSchemas[field.type]?.[token.text];
    // An unknown name is dropped like an unknown field.
    if (number === undefined) return;
    value = BigInt(number);
  } else if (token.kind === 'number') {
    value = integer(token.text, 'int32');
  }
  if (value === null) throw fail();
  w.uint32(field.tag);
  w.int64Exact(value);
}

const BOUNDS: Readonly<Record<string, readonly [bigint, bigint]>> = {
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
};

/** Limit: digits of an exponent form that is expanded. */
const EXPONENT_MAX = 20;

/** `1e2` and `1.0` are integers, too. `null` when the text is none, or out of bounds. */
function integer(text: string, kind: string): bigint | null {
  const parts = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([+-]?\d{1,3}))?$/.exec(text);
  if (parts === null) return null;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = parts;
  const shift = Number(exponent);
  if (Math.abs(shift) > EXPONENT_MAX) return null;
  const point = whole.length + shift;
  const digits = whole + fraction;
  const integral = point > 0 ? digits.slice(0, point).padEnd(point, '0') : '0';
  const rest = point > 0 ? digits.slice(point) : digits;
  if (/[1-9]/.test(rest)) return null;
  const value = BigInt(sign + integral);
  const [low, high] = must(BOUNDS[kind], 'an integer kind');
  return value < low || value > high ? null : value;
}

const STANDARD = /^[A-Za-z0-9+/]*(={0,2})$/;
const URL_SAFE = /^[A-Za-z0-9_-]*(={0,2})$/;

/** Either alphabet, with or without padding, as protojson takes it. */
function fromBase64(text: string): Uint8Array | null {
  const match = (/[-_]/.test(text) ? URL_SAFE : STANDARD).exec(text);
  if (match === null) return null;
  const padding = match[1]?.length ?? 0;
  const isWhole = text.length % 4 === 0;
  if (isWhole ? false : padding > 0 || text.length % 4 === 1) return null;
  return Buffer.from(text, 'base64');
}
