// Generates src/codec/gen/ from proto/: an interface, an encoder and a decoder for each message,
// and the schema table that the JSON transcoder walks. `npm run gen` writes the files; the codec
// test calls `generate()` and compares, so they cannot drift apart.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

const FILES = [
  'mvccpb/kv.proto',
  'authpb/auth.proto',
  'membershippb/membership.proto',
  'etcdserverpb/rpc.proto',
  'etcdserverpb/raft_internal.proto',
  'leasepb/lease.proto',
  'v3lockpb/v3lock.proto',
  'v3electionpb/v3election.proto',
];
const PACKAGES = [
  'mvccpb',
  'authpb',
  'membershippb',
  'etcdserverpb',
  'leasepb',
  'v3lockpb',
  'v3electionpb',
];

// Stored and published bytes pass through responses untouched, so these stay encoded.
const ENCODED = new Set(['mvccpb.KeyValue', 'mvccpb.Event']);
const KEY_FIELDS = new Set(['key', 'keys', 'range_end', 'name']);

const ID_TYPES = new Map([
  ['cluster_id', 'ClusterId'],
  ['member_id', 'MemberId'],
  ['memberID', 'MemberId'],
  ['member_ID', 'MemberId'],
  ['targetID', 'MemberId'],
  ['leader', 'MemberId'],
  ['lease', 'LeaseId'],
]);

function idType(message, field) {
  if (field.type !== 'int64' && field.type !== 'uint64') return null;
  if (field.name === 'ID') {
    if (/Lease/.test(message.name)) return 'LeaseId';
    if (/Member/.test(message.name)) return 'MemberId';
    return 'bigint';
  }
  return ID_TYPES.get(field.name) ?? null;
}

/** Our names: camelCase with acronyms as words, so `grantedTTL` is `grantedTtl`. */
function camel(name) {
  const words = name.replace(/URLs/g, 'Urls').match(/[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+/g);
  return words
    .map((word) => word.toLowerCase())
    .map((word, i) => (i === 0 ? word : word[0].toUpperCase() + word.slice(1)))
    .join('');
}

/** protobuf's own lowerCamelCase JSON name. */
function jsonName(name) {
  return name.replace(/_(.)/g, (_, c) => c.toUpperCase());
}

const fullName = (object) => object.fullName.slice(1);
const packageOf = (object) => fullName(object).split('.')[0];
/** `WatchCreateRequest.FilterType` becomes `FilterType`: nested names are unique here. */
const tsName = (object) => object.name;

function loadRoot() {
  const proto = new protobuf.Root();
  proto.resolvePath = (_, target) =>
    target.startsWith('google/') ? target : join(root, 'proto', target);
  proto.loadSync(
    FILES.map((file) => file),
    { keepCase: true },
  );
  proto.resolveAll();
  return proto;
}

function collect(namespace, messages, enums, services) {
  for (const child of namespace.nestedArray) {
    if (child instanceof protobuf.Type) messages.push(child);
    else if (child instanceof protobuf.Enum) enums.push(child);
    else if (child instanceof protobuf.Service) services.push(child);
    if (child instanceof protobuf.Namespace) collect(child, messages, enums, services);
  }
}

function fieldKind(message, field) {
  const type = field.resolvedType;
  const id = idType(message, field);
  if (type instanceof protobuf.Enum)
    return { ts: 'number', read: 'int32', write: 'int64', zero: '0', wire: 0 };
  if (type !== null) {
    if (ENCODED.has(fullName(type)))
      return {
        ts: 'Uint8Array',
        read: 'bytes',
        write: 'bytes',
        zero: null,
        wire: 2,
        presence: true,
      };
    return { ts: tsName(type), message: type, zero: null, wire: 2, presence: true };
  }
  if (id !== null) {
    const read = field.type === 'int64' ? 'int64Exact' : 'uint64Exact';
    const cast = id === 'bigint' ? '' : ` as ${id}`;
    return {
      ts: id,
      read,
      cast,
      write: 'int64Exact',
      zero: '0n',
      wire: 0,
      brand: id === 'bigint' ? null : id,
    };
  }
  switch (field.type) {
    case 'int64':
      return { ts: 'number', read: 'int64', write: 'int64', zero: '0', wire: 0 };
    case 'uint64':
      return { ts: 'number', read: 'uint64', write: 'int64', zero: '0', wire: 0 };
    case 'int32':
      return { ts: 'number', read: 'int32', write: 'int64', zero: '0', wire: 0 };
    case 'uint32':
      return { ts: 'number', read: 'uint32', write: 'uint32', zero: '0', wire: 0 };
    case 'bool':
      return { ts: 'boolean', read: 'bool', write: 'bool', zero: 'false', wire: 0 };
    case 'string':
      return { ts: 'string', read: 'string', write: 'string', zero: "''", wire: 2 };
    case 'bytes':
      if (KEY_FIELDS.has(field.name) && packageOf(message) !== 'authpb' && message.name !== 'Role')
        return { ts: 'Key', read: 'key', write: 'key', zero: "''", wire: 2, brand: 'Key' };
      if ((field.name === 'key' || field.name === 'range_end') && packageOf(message) === 'authpb')
        return { ts: 'Key', read: 'key', write: 'key', zero: "''", wire: 2, brand: 'Key' };
      return { ts: 'Uint8Array', read: 'bytes', write: 'bytes', zero: 'EMPTY_BYTES', wire: 2 };
    default:
      throw new Error(`${message.name}.${field.name}: no mapping for ${field.type}`);
  }
}

/** etcd sends one request per log entry, so its bag of optional fields is read as a union. */
function unionOf(message, field) {
  if (field.partOf) return camel(field.partOf.name);
  if (message.name === 'InternalRaftRequest' && field.name !== 'header' && field.name !== 'ID')
    return 'request';
  return null;
}

function interfaceOf(message) {
  const lines = [`export interface ${tsName(message)} {`];
  const unions = new Map();
  for (const field of message.fieldsArray) {
    const kind = fieldKind(message, field);
    const union = unionOf(message, field);
    if (union !== null) {
      if (!unions.has(union)) unions.set(union, []);
      unions
        .get(union)
        .push(`{ readonly case: '${camel(field.name)}'; readonly value: ${kind.ts} }`);
      continue;
    }
    let ts = kind.ts;
    if (field.repeated) ts = `readonly ${ts}[]`;
    else if (kind.presence) ts = `${ts} | null`;
    lines.push(`  readonly ${camel(field.name)}: ${ts};`);
  }
  for (const [name, cases] of unions)
    lines.push(`  readonly ${name}:\n    | ${cases.join('\n    | ')}\n    | null;`);
  lines.push('}');
  return lines.join('\n');
}

/**
 * A field that occurs twice keeps its last value. protobuf would merge two singular messages; no
 * encoder writes that, so the decoders are spared the bookkeeping.
 */
function decoderOf(message) {
  const name = tsName(message);
  const fields = message.fieldsArray;
  if (fields.length === 0)
    return [
      `export function decode${name}(r: Reader): ${name} {`,
      '  while (!r.done) r.discard(r.tag());',
      '  return {};',
      '}',
    ].join('\n');
  const out = [`export function decode${name}(r: Reader): ${name} {`];
  const result = [];
  const declared = new Set();
  for (const field of fields) {
    const kind = fieldKind(message, field);
    const union = unionOf(message, field);
    const local = union ?? camel(field.name);
    if (declared.has(local)) continue;
    declared.add(local);
    result.push(local);
    if (union !== null) out.push(`  let ${local}: ${name}['${local}'] = null;`);
    else if (field.repeated) out.push(`  const ${local}: ${kind.ts}[] = [];`);
    else if (kind.presence) out.push(`  let ${local}: ${kind.ts} | null = null;`);
    else if (kind.brand) out.push(`  let ${local} = ${kind.zero} as ${kind.brand};`);
    else if (kind.zero === 'EMPTY_BYTES') out.push(`  let ${local}: Uint8Array = EMPTY_BYTES;`);
    else out.push(`  let ${local} = ${kind.zero};`);
  }
  out.push('  while (!r.done) {', '    const tag = r.tag();', '    switch (tag) {');
  for (const field of fields) {
    const kind = fieldKind(message, field);
    const union = unionOf(message, field);
    const local = union ?? camel(field.name);
    const tag = (field.id << 3) | kind.wire;
    const set = (value) => {
      if (union !== null) return `${local} = { case: '${camel(field.name)}', value: ${value} };`;
      if (field.repeated) return `${local}.push(${value});`;
      return `${local} = ${value};`;
    };
    const value = kind.message
      ? `decode${tsName(kind.message)}(r)`
      : `r.${kind.read}()${kind.cast ?? ''}`;
    out.push(`      case ${tag}:${kind.message ? ' {' : ''}`);
    if (kind.message)
      out.push(
        '        const outer = r.enter();',
        `        ${set(value)}`,
        '        r.leave(outer);',
        '        break;',
        '      }',
      );
    else out.push(`        ${set(value)}`, '        break;');
    if (field.repeated && kind.wire === 0) {
      // A parser must take packed and unpacked forms alike.
      out.push(
        `      case ${(field.id << 3) | 2}: {`,
        '        const outer = r.enter();',
        `        while (!r.done) ${set(value)}`,
        '        r.leave(outer);',
        '        break;',
        '      }',
      );
    }
  }
  out.push('      default:', '        r.discard(tag);', '    }', '  }');
  out.push(`  return { ${result.join(', ')} };`, '}');
  return out.join('\n');
}

function encodeField(message, field) {
  const kind = fieldKind(message, field);
  const union = unionOf(message, field);
  const tag = (field.id << 3) | kind.wire;
  const access = `m.${camel(field.name)}`;
  const body = (value) =>
    kind.message
      ? [
          `w.uint32(${tag});`,
          'const start = w.open();',
          `encode${tsName(kind.message)}(w, ${value});`,
          'w.close(start);',
        ]
      : [`w.uint32(${tag});`, `w.${kind.write}(${value});`];
  const block = (head, lines) => [`  ${head} {`, ...lines.map((line) => `    ${line}`), '  }'];
  if (union !== null)
    return block(`if (m.${union}?.case === '${camel(field.name)}')`, body(`m.${union}.value`));
  if (field.repeated) {
    if (kind.wire === 0)
      return block(`if (${access}.length > 0)`, [
        `w.uint32(${(field.id << 3) | 2});`,
        'const start = w.open();',
        `for (const item of ${access}) w.${kind.write}(item);`,
        'w.close(start);',
      ]);
    return block(`for (const item of ${access})`, body('item'));
  }
  if (kind.presence) return block(`if (${access} !== null)`, body(access));
  const nonZero =
    {
      false: access,
      "''": `${access} !== ''`,
      EMPTY_BYTES: `${access}.length > 0`,
    }[kind.zero] ?? `${access} !== ${kind.zero}`;
  return block(`if (${nonZero})`, body(access));
}

function encoderOf(message) {
  const fields = [...message.fieldsArray].sort((a, b) => a.id - b.id);
  const name = tsName(message);
  if (fields.length === 0) return `export function encode${name}(_w: Writer, _m: ${name}): void {}`;
  return [
    `export function encode${name}(w: Writer, m: ${name}): void {`,
    ...fields.flatMap((field) => encodeField(message, field)),
    '}',
  ].join('\n');
}

function enumOf(type) {
  const values = Object.entries(type.values).map(([name, value]) => `  ${name}: ${value},`);
  return [`export const ${tsName(type)} = {`, ...values, '} as const;'].join('\n');
}

function packageFile(name, messages, enums) {
  const body = [...enums.map(enumOf)];
  for (const message of messages)
    body.push(interfaceOf(message), decoderOf(message), encoderOf(message));
  const text = body.join('\n\n');
  const types = ['ClusterId', 'Key', 'LeaseId', 'MemberId']
    .filter((type) => new RegExp(`\\b${type}\\b`).test(text))
    .map((t) => `type ${t}`);
  if (/EMPTY_BYTES/.test(text)) types.push('EMPTY_BYTES');
  const imports = [];
  if (types.length > 0) imports.push(`import { ${types.join(', ')} } from '../../types.ts';`);
  if (messages.length > 0) imports.push("import type { Reader, Writer } from '../wire.ts';");
  const foreign = new Map();
  for (const message of messages)
    for (const field of message.fieldsArray) {
      const type = field.resolvedType;
      if (!(type instanceof protobuf.Type) || ENCODED.has(fullName(type))) continue;
      const other = packageOf(type);
      if (other === name) continue;
      if (!foreign.has(other)) foreign.set(other, new Set());
      for (const symbol of [
        `type ${tsName(type)}`,
        `decode${tsName(type)}`,
        `encode${tsName(type)}`,
      ])
        foreign.get(other).add(symbol);
    }
  for (const [other, symbols] of foreign)
    imports.push(`import { ${[...symbols].join(', ')} } from './${other}.ts';`);
  const head = '// Generated from proto/ by scripts/gen-codec.mjs; do not edit.';
  return `${[head, imports.join('\n'), text].filter((part) => part !== '').join('\n\n')}\n`;
}

function schemaFile(messages, enums, services) {
  const out = [
    '// Generated from proto/ by scripts/gen-codec.mjs; do not edit.',
    '',
    "import type { EnumSchema, MessageSchema, MethodSchema } from '../schema.ts';",
    '',
    'export const enumSchemas: { readonly [name: string]: EnumSchema } = {',
    ...enums.map((type) => `  '${fullName(type)}': ${JSON.stringify(type.values)},`),
    '};',
    '',
    'export const messageSchemas: { readonly [name: string]: MessageSchema } = {',
  ];
  for (const message of messages) {
    out.push(`  '${fullName(message)}': [`);
    for (const field of message.fieldsArray) {
      const type = field.resolvedType;
      const kind = type === null ? field.type : type instanceof protobuf.Enum ? 'enum' : 'message';
      const parts = {
        number: field.id,
        name: field.name,
        json: jsonName(field.name),
        kind,
        type: type === null ? '' : fullName(type),
        repeated: field.repeated,
        oneof: field.partOf ? field.partOf.name : '',
      };
      out.push(`    ${JSON.stringify(parts)},`);
    }
    out.push('  ],');
  }
  out.push('};', '', 'export const methodSchemas: readonly MethodSchema[] = [');
  for (const service of services)
    for (const method of service.methodsArray) {
      const parts = {
        service: fullName(service),
        name: method.name,
        request: fullName(method.resolvedRequestType),
        response: fullName(method.resolvedResponseType),
        clientStreaming: method.requestStream === true,
        serverStreaming: method.responseStream === true,
        routes: routesOf(method.comment),
      };
      out.push(`  ${JSON.stringify(parts)},`);
    }
  out.push('];', '');
  return out.join('\n');
}

function routesOf(comment) {
  return [...(comment ?? '').matchAll(/POST (\S+)/g)].map((match) => match[1]);
}

/** File name in src/codec/gen/ to text. */
export function generate() {
  const proto = loadRoot();
  const messages = [];
  const enums = [];
  const services = [];
  for (const name of PACKAGES) collect(proto.lookup(name), messages, enums, services);
  for (const service of services)
    for (const method of service.methodsArray) method.comment = commentsOf(service, method);
  const files = new Map();
  for (const name of PACKAGES)
    files.set(
      `${name}.ts`,
      packageFile(
        name,
        messages.filter((m) => packageOf(m) === name && !ENCODED.has(fullName(m))),
        enums.filter((e) => packageOf(e) === name),
      ),
    );
  files.set('schema.ts', schemaFile(messages, enums, services));
  return files;
}

/** protobufjs keeps one comment line per method; a method may have two routes, so read the file. */
function commentsOf(service, method) {
  const text = readFileSync(service.filename, 'utf8');
  const start = text.indexOf(`service ${service.name} {`);
  const at = text.indexOf(`rpc ${method.name}(`, start);
  const before = text.slice(start, at).split('\n').slice(0, -1).reverse();
  const comment = [];
  for (const line of before) {
    if (!line.trim().startsWith('//')) break;
    comment.unshift(line);
  }
  return comment.join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const target = join(root, 'src/codec/gen');
  mkdirSync(target, { recursive: true });
  for (const [name, text] of generate()) writeFileSync(join(target, name), text);
}
