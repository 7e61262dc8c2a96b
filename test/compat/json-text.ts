// JSON as text: requests are written from protobuf messages in every spelling protojson accepts,
// answers are compared as text, because key order, omitted zeros and 64-bit digits are all part of
// what a client sees and JSON.parse would hide them.
import protobuf from 'protobufjs';
import type { Message } from './proto.ts';
import type { Prng } from './random.ts';

/** Removes whitespace outside strings: protojson varies it on purpose. */
export function compactJson(text: string): string {
  let out = '';
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i);
    if (inString && char === '\\') {
      out += char + text.charAt(++i);
      continue;
    }
    if (char === '"') inString = !inString;
    if (inString || !/\s/.test(char)) out += char;
  }
  return out;
}

/** A request message as JSON; with a generator, in one of its equivalent spellings. */
export function requestJson(type: protobuf.Type, message: Message, prng: Prng | null): string {
  const members: string[] = [];
  for (const [name, value] of Object.entries(message)) {
    const field = type.fields[name];
    if (field === undefined || value === undefined) continue;
    const values = Array.isArray(value) ? value : [value];
    const texts = values.map((one) => fieldJson(field, one, prng));
    const text = Array.isArray(value) ? `[${texts.join(',')}]` : texts.join('');
    members.push(`${JSON.stringify(spelling(name, prng))}:${text}`);
  }
  return `{${members.join(prng?.chance(10) === true ? ' ,\n' : ',')}}`;
}

function spelling(name: string, prng: Prng | null): string {
  if (prng === null || /[A-Z]/.test(name) || !prng.chance(25)) return name;
  return name.replace(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase());
}

function fieldJson(field: protobuf.Field, value: unknown, prng: Prng | null): string {
  const { resolvedType } = field;
  if (resolvedType instanceof protobuf.Type) {
    return requestJson(resolvedType, value as Message, prng);
  }
  if (resolvedType instanceof protobuf.Enum) {
    const name = resolvedType.valuesById[Number(value)];
    if (name === undefined || prng?.chance(50) === true) return String(value);
    return JSON.stringify(name);
  }
  if (Buffer.isBuffer(value)) {
    const base64 = value.toString('base64');
    if (prng === null || !prng.chance(15)) return JSON.stringify(base64);
    const url = base64.replace(/\+/g, '-').replace(/\//g, '_');
    return JSON.stringify(prng.chance(50) ? url : url.replace(/=+$/, ''));
  }
  if (typeof value === 'string' && /64$/.test(field.type)) {
    return prng?.chance(30) === true ? value : JSON.stringify(value);
  }
  return JSON.stringify(value);
}

/**
 * Error bodies of ours as the newest gateway writes them: without the keys of older ones (decision
 * B6), and in its order. Other text as it is.
 */
export function newestErrorBody(text: string): string {
  return text
    .replace(/^\{"error":("(?:[^"\\]|\\.)*"),"message":\1,"code":(\d+)/, '{"code":$2,"message":$1')
    .replace(/,"grpc_code":\d+,"http_code":\d+\}/, '}');
}
