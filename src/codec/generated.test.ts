// The generated encoders and decoders against protobufjs, which shares nothing with them but the
// .proto files: random messages of every type, and bytes that no encoder would write.
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { Prng } from '../../test/compat/random.ts';
import * as authpb from './gen/authpb.ts';
import * as etcdserverpb from './gen/etcdserverpb.ts';
import * as leasepb from './gen/leasepb.ts';
import * as membershippb from './gen/membershippb.ts';
import * as v3electionpb from './gen/v3electionpb.ts';
import * as v3lockpb from './gen/v3lockpb.ts';
import { DecodeError, decode, encode, type Reader, type Writer } from './wire.ts';

type Plain = Record<string, unknown>;

interface Codec {
  readonly name: string;
  readonly type: protobuf.Type;
  readonly decode: (r: Reader) => Plain;
  readonly encode: (w: Writer, message: Plain) => void;
  readonly empty: Plain;
}

const PROTO = fileURLToPath(new URL('../../proto/', import.meta.url));
const MODULES: Readonly<Record<string, Plain>> = {
  authpb,
  etcdserverpb,
  leasepb,
  membershippb,
  v3electionpb,
  v3lockpb,
};
/** These stay encoded in the messages that hold them. */
const ENCODED = new Set(['.mvccpb.KeyValue', '.mvccpb.Event']);
const SAFE = Number.MAX_SAFE_INTEGER;

const root = new protobuf.Root();
root.resolvePath = (_origin, target) => (target.startsWith('/') ? target : PROTO + target);
root.loadSync(
  [
    'etcdserverpb/rpc.proto',
    'etcdserverpb/raft_internal.proto',
    'leasepb/lease.proto',
    'v3lockpb/v3lock.proto',
    'v3electionpb/v3election.proto',
  ],
  { keepCase: true },
);
root.resolveAll();

const codecs: Codec[] = Object.entries(MODULES).flatMap(([name, module]) =>
  root.lookup(name) === null ? [] : codecsOf(root.lookup(name) as protobuf.Namespace, module),
);

function codecsOf(namespace: protobuf.NamespaceBase, module: Plain): Codec[] {
  return namespace.nestedArray.flatMap((type): Codec[] => {
    if (!(type instanceof protobuf.Type)) return [];
    const decoder = module[`decode${type.name}`] as Codec['decode'];
    const encoder = module[`encode${type.name}`] as Codec['encode'];
    const empty = decode(decoder, Buffer.alloc(0));
    const codec = { name: type.fullName.slice(1), type, decode: decoder, encode: encoder, empty };
    return [codec, ...codecsOf(type, module)];
  });
}

/** `range_end` and `rangeEnd`, `ID` and `id` are the same name. */
function flat(name: string): string {
  return name.replaceAll('_', '').toLowerCase();
}

function member(message: Plain, name: string): unknown {
  const key = Object.keys(message).find((key) => flat(key) === flat(name));
  return key === undefined ? undefined : message[key];
}

/** etcd sends one request per log entry, so that message is read as if it had a oneof. */
function unionOf(type: protobuf.Type, field: protobuf.Field): string | null {
  if (field.partOf !== null) return field.partOf.name;
  const isEntry = type.name === 'InternalRaftRequest';
  return isEntry && field.name !== 'header' && field.name !== 'ID' ? 'request' : null;
}

function codecOf(type: protobuf.Type): Codec {
  const codec = codecs.find((one) => one.type === type);
  if (codec === undefined) throw new Error(`no codec for ${type.fullName}`);
  return codec;
}

/** Whether a 64-bit field is an id, which is exact, and no count. */
function isId(codec: Codec, field: protobuf.Field): boolean {
  if (field.repeated) return false;
  return typeof member(codec.empty, field.name) === 'bigint';
}

/** A random message without zeros, as an encoder would leave them out. */
function randomMessage(type: protobuf.Type, prng: Prng, depth: number): Plain {
  const message: Plain = {};
  const unions = new Set<string>();
  for (const field of shuffled(type.fieldsArray, prng)) {
    const union = unionOf(type, field);
    if (prng.chance(35) || (union !== null && unions.has(union))) continue;
    if (depth > 4 && field.resolvedType instanceof protobuf.Type) continue;
    if (union !== null) unions.add(union);
    const count = field.repeated ? 1 + prng.below(3) : 1;
    const values = Array.from({ length: count }, () => randomValue(type, field, prng, depth));
    message[field.name] = field.repeated ? values : values[0];
  }
  return message;
}

function shuffled<T>(list: readonly T[], prng: Prng): T[] {
  return [...list]
    .map((one) => [prng.below(1000), one] as const)
    .sort(([a], [b]) => a - b)
    .map(([, one]) => one);
}

function randomValue(
  type: protobuf.Type,
  field: protobuf.Field,
  prng: Prng,
  depth: number,
): unknown {
  if (field.resolvedType instanceof protobuf.Type) {
    return randomMessage(field.resolvedType, prng, depth + 1);
  }
  if (field.resolvedType instanceof protobuf.Enum) return 1 + prng.below(4);
  switch (field.type) {
    case 'bool':
      return true;
    case 'string':
      return prng.pick(['x', 'größe', '\u{1f600}', 'http://127.0.0.1:2380', '\0']);
    case 'bytes':
      return Buffer.from(Array.from({ length: 1 + prng.below(200) }, () => prng.below(256)));
    case 'int32':
      return prng.pick([1, -1, 2147483647, -2147483648]);
    case 'uint32':
      return prng.pick([1, 300, 4294967295]);
    default: {
      const exact = ENCODED.has(type.fullName) ? false : isId(codecOf(type), field);
      const bits = prng.u64() >> BigInt(prng.below(63));
      const small = bits >> 11n === 0n ? 1n : bits >> 11n;
      if (field.type === 'uint64') return String(exact ? bits || 1n : small);
      const signed = exact ? BigInt.asIntN(64, bits || 1n) : prng.chance(30) ? -small : small;
      return String(signed);
    }
  }
}

/** Compares ours with the message it was made from, by names. */
function expectSame(codec: Codec, ours: Plain, message: Plain, path: string): void {
  for (const field of codec.type.fieldsArray) {
    const union = unionOf(codec.type, field);
    const where = `${path}.${field.name}`;
    const expected = message[field.name];
    if (union !== null) {
      const chosen = member(ours, union) as { case: string; value: unknown } | null;
      const isChosen = chosen !== null && flat(chosen.case) === flat(field.name);
      expect(isChosen, where).toBe(expected !== undefined);
      if (isChosen) expectValue(field, chosen.value, expected, where);
      continue;
    }
    const actual = member(ours, field.name);
    if (expected === undefined) {
      expect(actual, where).toEqual(member(codec.empty, field.name));
    } else if (field.repeated) {
      const items = actual as unknown[];
      expect(items.length, where).toBe((expected as unknown[]).length);
      items.forEach((item, i) => {
        expectValue(field, item, (expected as unknown[])[i], `${where}[${i}]`);
      });
    } else expectValue(field, actual, expected, where);
  }
}

function expectValue(field: protobuf.Field, ours: unknown, expected: unknown, at: string): void {
  const type = field.resolvedType;
  if (type instanceof protobuf.Type) {
    if (ENCODED.has(type.fullName)) {
      const bytes = type.encode(type.fromObject(expected as Plain)).finish();
      expect(Buffer.from(ours as Uint8Array).equals(bytes), at).toBe(true);
    } else expectSame(codecOf(type), ours as Plain, expected as Plain, at);
  } else if (Buffer.isBuffer(expected)) {
    const bytes =
      typeof ours === 'string' ? Buffer.from(ours, 'latin1') : Buffer.from(ours as Uint8Array);
    expect(bytes.equals(expected), at).toBe(true);
  } else if (typeof expected === 'string' && field.type !== 'string') {
    expect(String(ours), at).toBe(expected);
  } else expect(ours, at).toBe(expected);
}

function bytesOf(type: protobuf.Type, message: Plain): Buffer {
  return Buffer.from(type.encode(type.fromObject(message)).finish());
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}

function tagged(field: number, wire: number, body: Buffer): Buffer {
  return Buffer.concat([varint(BigInt(field * 8 + wire)), body]);
}

function sized(bytes: Buffer): Buffer {
  return Buffer.concat([varint(BigInt(bytes.length)), bytes]);
}

describe('random messages of every type', () => {
  it('covers them all', () => {
    expect(codecs.length).toBeGreaterThan(110);
  });

  it.each(codecs.map((codec) => [codec.name, codec] as const))('%s', (_name, codec) => {
    const prng = new Prng(codec.name.length * 1000 + codec.type.fieldsArray.length);
    for (let i = 0; i < 30; i++) {
      const message = randomMessage(codec.type, prng, 0);
      const bytes = bytesOf(codec.type, message);
      const ours = decode(codec.decode, bytes);
      expectSame(codec, ours, message, codec.name);
      expect(Buffer.from(encode(codec.encode, ours)).toString('hex')).toBe(bytes.toString('hex'));
    }
  });
});

describe('bytes that no encoder writes', () => {
  const prng = new Prng(5);

  it('are malformed or a message wherever they are cut, and nothing else', () => {
    for (const codec of codecs) {
      const bytes = bytesOf(codec.type, randomMessage(codec.type, prng, 2));
      for (let end = 0; end <= Math.min(bytes.length, 400); end++) {
        tryDecode(codec, bytes.subarray(0, end));
      }
    }
  });

  it('are malformed or a message when some are changed', () => {
    for (const codec of codecs) {
      for (let i = 0; i < 50; i++) {
        const bytes = bytesOf(codec.type, randomMessage(codec.type, prng, 2));
        for (let j = 0; j < 3 && bytes.length > 0; j++) {
          bytes[prng.below(bytes.length)] = prng.below(256);
        }
        const ours = tryDecode(codec, bytes);
        // What was understood is a message like any other.
        if (ours !== null) {
          const again = encode(codec.encode, ours);
          expect(Buffer.from(encode(codec.encode, decode(codec.decode, again)))).toEqual(
            Buffer.from(again),
          );
        }
      }
    }
  });

  function tryDecode(codec: Codec, bytes: Buffer): Plain | null {
    try {
      return decode(codec.decode, bytes);
    } catch (error) {
      if (error instanceof DecodeError) return null;
      throw error;
    }
  }

  it('are skipped when the field is unknown, groups too', () => {
    const group = Buffer.concat([
      tagged(3000, 3, Buffer.alloc(0)),
      tagged(1, 0, varint(5n)),
      tagged(7, 3, Buffer.alloc(0)),
      tagged(7, 4, Buffer.alloc(0)),
      tagged(3000, 4, Buffer.alloc(0)),
    ]);
    const unknown = Buffer.concat([
      tagged(3001, 0, varint(-1n)),
      tagged(3002, 1, Buffer.alloc(8)),
      tagged(3003, 2, sized(Buffer.from('xyz'))),
      group,
      tagged(3004, 5, Buffer.alloc(4)),
    ]);
    for (const codec of codecs) {
      const bytes = bytesOf(codec.type, randomMessage(codec.type, prng, 3));
      const ours = decode(codec.decode, Buffer.concat([unknown, bytes, unknown]));
      expect(ours).toEqual(decode(codec.decode, bytes));
    }
  });

  it('are unknown fields when the wire type is another', () => {
    for (const codec of codecs) {
      for (const field of codec.type.fieldsArray) {
        const body = { 1: Buffer.alloc(8, 1), 5: Buffer.alloc(4, 1) };
        for (const [wire, bytes] of Object.entries(body)) {
          const ours = decode(codec.decode, tagged(field.id, Number(wire), bytes));
          expect(ours, `${codec.name}.${field.name}`).toEqual(codec.empty);
        }
        const isVarint = /^(u?int(32|64)|bool)$/.test(field.type) || isEnum(field);
        const swapped = isVarint
          ? tagged(field.id, 2, sized(Buffer.from([1, 1])))
          : tagged(field.id, 0, varint(1n));
        if (!(isVarint && field.repeated)) {
          expect(decode(codec.decode, swapped), `${codec.name}.${field.name}`).toEqual(codec.empty);
        }
      }
    }
  });

  function isEnum(field: protobuf.Field): boolean {
    return field.resolvedType instanceof protobuf.Enum;
  }

  it('mean the zero value when they are written out', () => {
    const { decodeRangeRequest } = etcdserverpb;
    const bytes = Buffer.concat([
      tagged(1, 2, sized(Buffer.from('k'))),
      tagged(2, 2, sized(Buffer.alloc(0))),
      tagged(3, 0, varint(0n)),
      tagged(7, 0, varint(0n)),
    ]);
    const short = tagged(1, 2, sized(Buffer.from('k')));
    expect(decode(decodeRangeRequest, bytes)).toEqual(decode(decodeRangeRequest, short));
    // In a oneof the field is chosen all the same.
    const compare = decode(etcdserverpb.decodeCompare, tagged(4, 0, varint(0n)));
    expect(compare.targetUnion).toEqual({ case: 'version', value: 0 });
    expect(Buffer.from(encode(etcdserverpb.encodeCompare, compare))).toEqual(
      tagged(4, 0, varint(0n)),
    );
  });

  it('may repeat a field, of which the last counts, and pack a list or not', () => {
    const twice = Buffer.concat([tagged(3, 0, varint(1n)), tagged(3, 0, varint(2n))]);
    expect(decode(etcdserverpb.decodeRangeRequest, twice).limit).toBe(2);
    const filters = Buffer.concat([
      tagged(5, 0, varint(1n)),
      tagged(5, 2, sized(Buffer.from([0, 1]))),
      tagged(5, 2, sized(Buffer.alloc(0))),
    ]);
    expect(decode(etcdserverpb.decodeWatchCreateRequest, filters).filters).toEqual([1, 0, 1]);
    // protobuf would merge the two; here the last one counts, since no client sends that.
    const messages = Buffer.concat([
      tagged(1, 2, sized(tagged(1, 2, sized(Buffer.from('a'))))),
      tagged(1, 2, sized(tagged(3, 0, varint(5n)))),
    ]);
    const { requestUnion } = decode(etcdserverpb.decodeWatchRequest, messages);
    expect(requestUnion).toMatchObject({ case: 'createRequest', value: { startRevision: 5 } });
  });
});

describe('numbers of 64 bits', () => {
  const MIN = -(2n ** 63n);
  const MAX = 2n ** 63n - 1n;

  it('saturate when they count', () => {
    const limit = (value: bigint) =>
      decode(etcdserverpb.decodeRangeRequest, tagged(3, 0, varint(value))).limit;
    expect([limit(MAX), limit(MIN), limit(-1n)]).toEqual([SAFE, -SAFE, -1]);
    expect([limit(2n ** 53n), limit(2n ** 53n - 1n), limit(-(2n ** 53n))]).toEqual([
      SAFE,
      SAFE,
      -SAFE,
    ]);
    const term = (value: bigint) =>
      decode(etcdserverpb.decodeResponseHeader, tagged(4, 0, varint(value))).raftTerm;
    expect([term(-1n), term(MAX), term(300n)]).toEqual([SAFE, SAFE, 300]);
  });

  it('stay exact when they are ids', () => {
    for (const value of [MIN, MAX, -1n, 1n, 2n ** 53n + 1n, -(2n ** 32n), 2n ** 32n, 2n ** 31n]) {
      const bytes = tagged(1, 0, varint(value));
      const lease = decode(etcdserverpb.decodeLeaseRevokeRequest, bytes);
      expect(lease.id).toBe(value);
      expect(Buffer.from(encode(etcdserverpb.encodeLeaseRevokeRequest, lease))).toEqual(bytes);
      const member = decode(etcdserverpb.decodeMemberRemoveRequest, bytes);
      expect(member.id).toBe(BigInt.asUintN(64, value));
      expect(Buffer.from(encode(etcdserverpb.encodeMemberRemoveRequest, member))).toEqual(bytes);
    }
  });

  it('are written as int64 whatever their size', () => {
    for (const value of [
      1,
      127,
      128,
      2 ** 31,
      2 ** 32 - 1,
      2 ** 32,
      2 ** 45 + 3,
      SAFE,
      -1,
      -SAFE,
    ]) {
      const request = { ...decode(etcdserverpb.decodeRangeRequest, Buffer.alloc(0)), limit: value };
      const bytes = Buffer.from(encode(etcdserverpb.encodeRangeRequest, request));
      expect(bytes).toEqual(tagged(3, 0, varint(BigInt(value))));
    }
  });
});

describe('malformed messages', () => {
  const INVALID = 'proto: cannot parse invalid wire-format data';

  it.each([
    ['field number 0', Buffer.from([0x00, 0x00])],
    ['a field number beyond 2^29', Buffer.from([0x80, 0x80, 0x80, 0x80, 0x10, 0x00])],
    ['wire type 6', tagged(1, 6, Buffer.from([0]))],
    ['the end of no group', tagged(9, 4, Buffer.alloc(0))],
    ['a group without end', tagged(9, 3, Buffer.alloc(0))],
    ['a group with the end of another', Buffer.from([0x4b, 0x54])],
    ['a varint of eleven bytes', tagged(3, 0, Buffer.alloc(11, 0x80))],
    ['a varint beyond 64 bits', tagged(3, 0, Buffer.from([...Buffer.alloc(9, 0xff), 2]))],
    ['a length beyond the end', tagged(1, 2, varint(5n))],
    ['a negative length', tagged(1, 2, varint(-1n))],
  ])('%s', (_name, bytes) => {
    expect(() => decode(etcdserverpb.decodeRangeRequest, bytes)).toThrow(INVALID);
  });

  it('a string that is no UTF-8', () => {
    for (const text of ['\xff', '\xc0\x80', '\xed\xa0\x80', '\xe2\x82']) {
      const bytes = tagged(1, 2, sized(Buffer.from(text, 'latin1')));
      expect(() => decode(etcdserverpb.decodeAuthRoleAddRequest, bytes)).toThrow(DecodeError);
    }
    const marked = tagged(1, 2, sized(Buffer.from('\ufeffx')));
    expect(decode(etcdserverpb.decodeAuthRoleAddRequest, marked).name).toBe('\ufeffx');
  });

  it('nesting without bound', () => {
    const nested = (levels: number): Buffer => {
      let bytes: Buffer = Buffer.alloc(0);
      for (let i = 0; i < levels; i++) bytes = tagged(2, 2, sized(tagged(4, 2, sized(bytes))));
      return bytes;
    };
    decode(etcdserverpb.decodeTxnRequest, nested(400));
    const tooDeep = 'proto: exceeded maximum recursion depth';
    expect(() => decode(etcdserverpb.decodeTxnRequest, nested(5000))).toThrow(tooDeep);
    const groups = Buffer.alloc(100_000, 0x4b);
    expect(() => decode(etcdserverpb.decodeTxnRequest, groups)).toThrow(tooDeep);
  });
});
