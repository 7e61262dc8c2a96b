// proto/ against the descriptors of etcd 3.7.1, both ways, and src/codec/gen/ against proto/. The
// protos are brought into the fixture's form, so that anything missing, added or changed shows as a
// difference between two plain values.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { generate } from '../scripts/gen-codec.mjs';
import { methodSchemas } from '../src/codec/gen/schema.ts';

interface Field {
  readonly name: string;
  readonly number: number;
  readonly type: string;
  readonly label: string;
  readonly oneof?: string;
  readonly packed?: boolean;
}

interface Descriptors {
  readonly files: readonly { readonly package: string; readonly syntax: string }[];
  readonly messages: Readonly<
    Record<
      string,
      { readonly syntax: string; readonly fields: readonly Field[]; readonly reserved?: unknown }
    >
  >;
  readonly enums: Readonly<Record<string, { readonly values: Readonly<Record<string, number>> }>>;
  readonly services: Readonly<Record<string, Readonly<Record<string, Method>>>>;
  readonly http_routes: readonly {
    readonly verb: string | null;
    readonly path: string | null;
    readonly rpc: string;
  }[];
  readonly extensions: readonly {
    readonly extends: string;
    readonly name: string;
    readonly number: number;
    readonly type: string;
  }[];
}

interface Method {
  readonly request: string;
  readonly response: string;
  readonly client_streaming: boolean;
  readonly server_streaming: boolean;
  readonly path: string;
}

const PROTO = fileURLToPath(new URL('../proto/', import.meta.url));
const GENERATED = fileURLToPath(new URL('../src/codec/gen/', import.meta.url));
const GOOGLE = fileURLToPath(new URL('../node_modules/protobufjs/', import.meta.url));

const etcd = JSON.parse(
  readFileSync(new URL('./fixtures/api-descriptors.json', import.meta.url), 'utf8'),
) as Descriptors;
const files = readdirSync(PROTO, { recursive: true, encoding: 'utf8' }).filter((path) =>
  path.endsWith('.proto'),
);
const syntaxes = new Map(files.map((path) => [path, headOf(path, /syntax = "(\w+)";/)]));
const packages = new Map(files.map((path) => [path, headOf(path, /^package (\w+);/m)]));
const ours = load();

function headOf(path: string, pattern: RegExp): string {
  return pattern.exec(readFileSync(join(PROTO, path), 'utf8'))?.[1] ?? '';
}

function load(): protobuf.ReflectionObject[] {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) =>
    target.startsWith('google/') ? GOOGLE + target : join(PROTO, target);
  root.loadSync(files, { keepCase: true });
  root.resolveAll();
  const found: protobuf.ReflectionObject[] = [];
  const collect = (namespace: protobuf.NamespaceBase): void => {
    for (const child of namespace.nestedArray) {
      if (child.fullName.startsWith('.google')) continue;
      found.push(child);
      if (child instanceof protobuf.Namespace) collect(child);
    }
  };
  collect(root);
  return found;
}

function nameOf(object: protobuf.ReflectionObject): string {
  return object.fullName.slice(1);
}

function syntaxOf(object: protobuf.ReflectionObject): string {
  return syntaxes.get((object.filename ?? '').slice(PROTO.length)) ?? '';
}

/** The fixture's form of a field. */
function described(field: protobuf.Field): Field {
  const scalar = field.resolvedType === null;
  const packable = scalar
    ? !['string', 'bytes'].includes(field.type)
    : field.resolvedType instanceof protobuf.Enum;
  return {
    name: field.name,
    number: field.id,
    type: field.resolvedType === null ? field.type : nameOf(field.resolvedType),
    label: field.repeated ? 'repeated' : field.required ? 'required' : 'optional',
    ...(field.partOf === null ? {} : { oneof: field.partOf.name }),
    ...(field.repeated && packable ? { packed: field.packed } : {}),
  };
}

/** Fields in one order: that of declaration, which is the order of keys in JSON. */
function messages(): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const type of ours) {
    if (!(type instanceof protobuf.Type)) continue;
    const reserved = (type.reserved ?? []).flatMap((one): readonly (string | number)[] =>
      typeof one === 'string' ? [one] : range(one[0] ?? 0, one[1] ?? 0),
    );
    found[nameOf(type)] = {
      syntax: syntaxOf(type),
      fields: type.fieldsArray.map(described),
      reserved,
    };
  }
  return found;
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

describe('the protos', () => {
  it('hold the packages of etcd, each in its syntax', () => {
    const pairs = (list: readonly (readonly [string, string])[]) =>
      list.map(([name, syntax]) => `${name} ${syntax}`).sort();
    const mine = files.map((path) => [packages.get(path) ?? '', syntaxes.get(path) ?? ''] as const);
    expect(pairs(mine)).toEqual(
      pairs(etcd.files.map((file) => [file.package, file.syntax] as const)),
    );
  });

  it('hold the messages of etcd, field for field', () => {
    const expected: Record<string, unknown> = {};
    for (const [name, { syntax, fields, reserved }] of Object.entries(etcd.messages)) {
      expected[name] = { syntax, fields, reserved: reserved ?? [] };
    }
    expect(messages()).toEqual(expected);
  });

  it('hold the enums of etcd, value for value', () => {
    const mine = ours
      .filter((type) => type instanceof protobuf.Enum)
      .map((type) => [nameOf(type), type.values] as const);
    const theirs = Object.entries(etcd.enums).map(([name, { values }]) => [name, values] as const);
    expect(Object.fromEntries(mine)).toEqual(Object.fromEntries(theirs));
  });

  it('hold the services of etcd, method for method', () => {
    const mine: Record<string, Record<string, Method>> = {};
    for (const service of ours) {
      if (!(service instanceof protobuf.Service)) continue;
      mine[nameOf(service)] = Object.fromEntries(
        service.methodsArray.map((method) => [
          method.name,
          {
            request: method.resolvedRequestType === null ? '' : nameOf(method.resolvedRequestType),
            response:
              method.resolvedResponseType === null ? '' : nameOf(method.resolvedResponseType),
            client_streaming: method.requestStream === true,
            server_streaming: method.responseStream === true,
            path: `/${nameOf(service)}/${method.name}`,
          },
        ]),
      );
    }
    expect(mine).toEqual(etcd.services);
  });

  it('hold the extensions of etcd', () => {
    const mine = ours
      .filter((field) => field instanceof protobuf.Field)
      .map((field) => `${field.extend} ${nameOf(field)} ${field.id} ${field.type}`);
    const theirs = etcd.extensions.map(
      (field) => `${field.extends} ${field.name} ${field.number} ${field.type}`,
    );
    expect(mine.sort()).toEqual(theirs.sort());
  });
});

describe('the generated code', () => {
  it('has the HTTP routes of etcd', () => {
    const mine = methodSchemas.flatMap(({ service, name, routes }) =>
      routes.map((path) => `POST ${path} ${service}/${name}`),
    );
    const theirs = etcd.http_routes
      .filter(({ path }) => path !== null)
      .map(({ verb, path, rpc }) => `${verb} ${path} ${rpc}`);
    expect(mine.sort()).toEqual(theirs.sort());
    const rpcs = etcd.http_routes.map(({ rpc }) => rpc);
    const known = methodSchemas.map(({ service, name }) => `${service}/${name}`);
    expect(known.sort()).toEqual([...new Set(rpcs)].sort());
  });

  it('is what the generator makes of the protos', () => {
    const files = generate();
    expect(readdirSync(GENERATED).sort()).toEqual([...files.keys()].sort());
    for (const [name, text] of files) {
      expect(readFileSync(join(GENERATED, name), 'utf8') === text, name).toBe(true);
    }
  });
});
