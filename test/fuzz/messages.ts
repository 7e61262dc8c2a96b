/**
 * Makes requests of every kind from the descriptors of etcd's API: as protobuf and as JSON, with
 * plausible fields, with odd ones, and with bytes changed afterwards. Knows nothing of transports.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Prng } from '../compat/random.ts';

interface Field {
  readonly name: string;
  readonly number: number;
  readonly type: string;
  readonly label: string;
  readonly oneof?: string;
}

export interface Method {
  readonly path: string;
  readonly request: string;
  readonly client_streaming: boolean;
  readonly server_streaming: boolean;
}

interface Descriptors {
  readonly messages: Readonly<Record<string, { readonly fields: readonly Field[] }>>;
  readonly enums: Readonly<Record<string, { readonly values: Record<string, number> }>>;
  readonly services: Readonly<Record<string, Readonly<Record<string, Method>>>>;
  readonly http_routes: readonly { readonly path: string | null; readonly rpc: string }[];
}

/** A value of any field; messages are lists of fields, so that order and repeats are free. */
type Value = bigint | Buffer | string | Tree;
interface Tree {
  readonly fields: readonly (readonly [Field, Value])[];
}

/** What would rightly end the service that is being watched: a lone member has no quorum of two. */
const SELF_DESTRUCTIVE =
  /Auth\/AuthEnable|Cluster\/Member(?:Add|Remove|Promote|Update)|Maintenance\/(?:Alarm|Downgrade)/;
const DEPTH_MAX = 6;
const KEYS = ['', 'a', 'b', 'key', 'key/1', 'key/2', '\0', '\xff', '\xff\xff', 'zz', 'probe'];
const WORDS = ['root', 'user', 'role', '3.6.0', 'v3.7', 'http://127.0.0.1:1', '', '\u0000', 'ü'];
const NUMBERS = [0n, 1n, 2n, 3n, 10n, 100n, 127n, 128n, 1000n, 1n << 31n, (1n << 32n) + 1n];
const ODD_NUMBERS = [-1n, 1n << 53n, (1n << 63n) - 1n, -(1n << 63n), (1n << 64n) - 1n];

export class Messages {
  readonly methods: readonly Method[];
  readonly routes: readonly { readonly path: string; readonly request: string }[];
  readonly #descriptors: Descriptors;

  constructor(root: string) {
    const file = join(root, 'test/fixtures/api-descriptors.json');
    const descriptors = JSON.parse(readFileSync(file, 'utf8')) as Descriptors;
    this.#descriptors = descriptors;
    const all = Object.values(descriptors.services).flatMap((service) => Object.values(service));
    this.methods = all.filter(({ path }) => !SELF_DESTRUCTIVE.test(path));
    const byPath = new Map(this.methods.map((method) => [method.path.slice(1), method.request]));
    this.routes = descriptors.http_routes.flatMap(({ path, rpc }) => {
      const request = byPath.get(rpc);
      return path === null || request === undefined ? [] : [{ path, request }];
    });
  }

  /** One request in wire form; `oddity` in percent is how often a value is not a plausible one. */
  wire(random: Prng, type: string, oddity = 10): Buffer {
    return wireOf(random, this.#tree(random, type, { oddity, depth: 0 }), oddity);
  }

  json(random: Prng, type: string, oddity = 10): string {
    return jsonOf(random, this.#tree(random, type, { oddity, depth: 0 }), oddity);
  }

  #tree(random: Prng, type: string, at: { oddity: number; depth: number }): Tree {
    const { fields = [] } = this.#descriptors.messages[type] ?? {};
    const taken: (readonly [Field, Value])[] = [];
    const chosen = new Map<string, Field>();
    for (const field of fields) {
      if (field.oneof !== undefined && (!chosen.has(field.oneof) || random.chance(50))) {
        chosen.set(field.oneof, field);
      }
    }
    for (const field of fields) {
      const isOther = field.oneof !== undefined && chosen.get(field.oneof) !== field;
      if (isOther && !random.chance(at.oddity)) continue;
      if (field.oneof === undefined && !random.chance(60)) continue;
      const count = field.label === 'repeated' ? random.below(4) : 1;
      for (let i = 0; i < count; i++) {
        const value = this.#value(random, field, at);
        if (value !== null) taken.push([field, value]);
      }
    }
    return { fields: taken };
  }

  #value(random: Prng, { name, type }: Field, at: { oddity: number; depth: number }): Value | null {
    const { oddity, depth } = at;
    if (this.#descriptors.messages[type] !== undefined) {
      if (depth >= DEPTH_MAX) return null;
      return this.#tree(random, type, { oddity, depth: depth + 1 });
    }
    const known = this.#descriptors.enums[type];
    if (random.chance(oddity)) return oddValue(random, type);
    if (known !== undefined) return BigInt(random.pick(Object.values(known.values)));
    if (type === 'bool') return BigInt(random.below(2));
    if (type === 'bytes') return bytesFor(random, name);
    if (type === 'string') return random.pick(WORDS);
    return random.pick(NUMBERS);
  }
}

function oddValue(random: Prng, type: string): Value {
  if (type === 'string') return Buffer.from([0xff, 0xfe, 0xc0]).toString('latin1');
  if (type === 'bytes') return Buffer.alloc(random.pick([300, 5000, 70_000]), random.below(256));
  return random.pick(ODD_NUMBERS);
}

function bytesFor(random: Prng, name: string): Buffer {
  if (name === 'value') return Buffer.alloc(random.below(200), random.below(256));
  return Buffer.from(random.pick(KEYS), 'latin1');
}

function wireOf(random: Prng, { fields }: Tree, oddity: number): Buffer {
  const parts: Buffer[] = [];
  for (const [{ number }, value] of fields) {
    const lies = random.chance(oddity) && random.chance(20);
    if (typeof value === 'bigint') {
      parts.push(varint((number << 3) | (lies ? 5 : 0)), varint(value));
      continue;
    }
    const bytes =
      typeof value === 'string'
        ? Buffer.from(value, 'latin1')
        : Buffer.isBuffer(value)
          ? value
          : wireOf(random, value, oddity);
    const length = lies ? random.pick([0, bytes.length + 1, 2 ** 31, 2 ** 40]) : bytes.length;
    parts.push(varint((number << 3) | 2), varint(length), bytes);
  }
  return Buffer.concat(parts);
}

function jsonOf(random: Prng, { fields }: Tree, oddity: number): string {
  const texts = fields.map(([{ name, type, label }, value]) => {
    const odd = random.chance(oddity) && random.chance(30);
    const text = odd
      ? random.pick(['null', '[]', '{}', '"', '1e400', '-0', '""', 'true', '[[[['])
      : jsonValue(random, value, type, oddity);
    return `${JSON.stringify(name)}:${label === 'repeated' && !odd ? `[${text}]` : text}`;
  });
  return `{${texts.join(',')}}`;
}

function jsonValue(random: Prng, value: Value, type: string, oddity: number): string {
  if (typeof value === 'bigint') {
    if (type === 'bool') return value === 0n ? 'false' : 'true';
    return random.chance(50) ? `"${value}"` : `${value}`;
  }
  if (typeof value === 'string') return JSON.stringify(value);
  return Buffer.isBuffer(value) ? `"${value.toString('base64')}"` : jsonOf(random, value, oddity);
}

export function varint(value: bigint | number): Buffer {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

/** Bytes changed, cut out, doubled or put in; the length may change. */
export function mutate(random: Prng, bytes: Buffer, changesMax = 4): Buffer {
  let result = Buffer.from(bytes);
  const changes = 1 + random.below(changesMax);
  for (let i = 0; i < changes && result.length > 0; i++) {
    const at = random.below(result.length);
    const size = Math.min(result.length - at, 1 + random.below(16));
    const [head, tail] = [result.subarray(0, at), result.subarray(at)];
    switch (random.below(5)) {
      case 0:
        result[at] = random.below(256);
        break;
      case 1:
        result[at] = (result[at] ?? 0) ^ (1 << random.below(8));
        break;
      case 2:
        result = Buffer.concat([head, tail.subarray(size)]);
        break;
      case 3:
        result = Buffer.concat([head, tail.subarray(0, size), tail]);
        break;
      default:
        result = Buffer.concat([head, noise(random, size), tail]);
    }
  }
  return result;
}

export function noise(random: Prng, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = random.below(256);
  return bytes;
}

/** A gRPC message behind its prefix. */
export function grpcMessage(message: Buffer, flag = 0, length = message.length): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(length >>> 0, 1);
  return Buffer.concat([prefix, message]);
}
