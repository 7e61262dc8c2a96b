/** As much of DER as certificates and revocation lists need. It knows no type of X.509. */

export interface DerItem {
  readonly tag: number;
  readonly content: Buffer;
}

/** Bytes that are not what they should be. */
export class DerError extends Error {
  override readonly name = 'DerError';
}

/** All items of one level, in their order. Throws `DerError`. */
export function readDer(bytes: Buffer): readonly DerItem[] {
  const items: DerItem[] = [];
  let at = 0;
  while (at < bytes.length) {
    const tag = byteAt(bytes, at);
    const { length, next } = readLength(bytes, at + 1);
    if (next + length > bytes.length) throw new DerError('an item is longer than its bytes');
    items.push({ tag, content: bytes.subarray(next, next + length) });
    at = next + length;
  }
  return items;
}

function readLength(bytes: Buffer, at: number): { length: number; next: number } {
  const first = byteAt(bytes, at);
  if (first < 0x80) return { length: first, next: at + 1 };
  const size = first & 0x7f;
  if (size === 0 || size > 4 || at + 1 + size > bytes.length) throw new DerError('a bad length');
  return { length: bytes.readUIntBE(at + 1, size), next: at + 1 + size };
}

function byteAt(bytes: Buffer, at: number): number {
  const value = bytes[at];
  if (value === undefined) throw new DerError('bytes are missing');
  return value;
}

export const Tag = {
  BOOLEAN: 0x01,
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OCTET_STRING: 0x04,
  OID: 0x06,
  UTF8: 0x0c,
  PRINTABLE: 0x13,
  UTC_TIME: 0x17,
  GENERALIZED_TIME: 0x18,
  SEQUENCE: 0x30,
  SET: 0x31,
} as const;

export function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag]), lengthOf(content.length), content]);
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const hex = length.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  return Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes]);
}

/** A number that is not negative, from its bytes. */
export function derInteger(bytes: Uint8Array): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const digits = bytes.subarray(start);
  const sign = (digits[0] ?? 0) >= 0x80 ? [Buffer.from([0])] : [];
  return der(Tag.INTEGER, ...sign, digits);
}

export function derOid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const septets = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) septets.unshift((left & 0x7f) | 0x80);
    bytes.push(...septets);
  }
  return der(Tag.OID, Buffer.from(bytes));
}
