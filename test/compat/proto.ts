// The API's messages from this repository's proto files, through protobufjs: the tests must not
// share a codec with the server they check. Longs are strings, bytes are Buffers, enums numbers.
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

export type Message = Record<string, unknown>;

export interface Method {
  readonly name: string;
  readonly path: string;
  readonly request: protobuf.Type;
  readonly response: protobuf.Type;
}

const PROTO_DIR = fileURLToPath(new URL('../../proto/', import.meta.url));
const root = new protobuf.Root();
root.resolvePath = (_origin, target) => (target.startsWith('/') ? target : PROTO_DIR + target);
root.loadSync(
  ['etcdserverpb/rpc.proto', 'v3lockpb/v3lock.proto', 'v3electionpb/v3election.proto'],
  { keepCase: true },
);
root.resolveAll();

const methods = new Map<string, Method>();
for (const service of services(root)) {
  for (const rpc of service.methodsArray) {
    const { resolvedRequestType: request, resolvedResponseType: response } = rpc;
    if (request === null || response === null) throw new Error(`unresolved ${rpc.fullName}`);
    const path = `/${service.fullName.slice(1)}/${rpc.name}`;
    methods.set(`${service.name}/${rpc.name}`, { name: rpc.name, path, request, response });
  }
}

/** A method by its short name, such as `KV/Range`. */
export function method(name: string): Method {
  const found = methods.get(name);
  if (found === undefined) throw new Error(`no method ${name}`);
  return found;
}

export function encode(type: protobuf.Type, message: Message): Buffer {
  return Buffer.from(type.encode(type.fromObject(message)).finish());
}

export function decode(type: protobuf.Type, bytes: Uint8Array): Message {
  return type.toObject(type.decode(bytes), { longs: String, bytes: Buffer, enums: Number });
}

/** Protobuf wire pieces, for messages no encoder would produce. */
export const raw = {
  varint(value: bigint | number): Buffer {
    let rest = BigInt.asUintN(64, BigInt(value));
    const bytes: number[] = [];
    for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
    bytes.push(Number(rest));
    return Buffer.from(bytes);
  },
  int(field: number, value: bigint | number): Buffer {
    return Buffer.concat([raw.varint(field * 8), raw.varint(value)]);
  },
  bytes(field: number, value: Uint8Array): Buffer {
    return Buffer.concat([raw.varint(field * 8 + 2), raw.varint(value.length), value]);
  },
};

function services(namespace: protobuf.NamespaceBase): protobuf.Service[] {
  const found: protobuf.Service[] = [];
  for (const nested of namespace.nestedArray) {
    if (nested instanceof protobuf.Service) found.push(nested);
    else if (nested instanceof protobuf.Namespace) found.push(...services(nested));
  }
  return found;
}
