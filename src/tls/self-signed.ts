/**
 * The certificate that a member makes for itself, for --auto-tls and --peer-auto-tls: the fields
 * and the key that etcd gives it.
 */

import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';
import { must } from '../assert.ts';
import { der, derInteger, derOid, readDer, Tag } from './der.ts';

const DAY_MS = 86_400_000;
const ECDSA_WITH_SHA512 = '1.2.840.10045.4.3.4';

export interface SelfSigned {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  readonly notAfterMs: number;
}

/** `hosts` are names and addresses without ports. */
export function makeSelfSigned(hosts: readonly string[], years: number, nowMs: number): SelfSigned {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-521' });
  const notAfterMs = nowMs + years * 365 * DAY_MS;
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const algorithm = der(Tag.SEQUENCE, derOid(ECDSA_WITH_SHA512));
  const etcd = name('2.5.4.10', 'etcd');
  const signed = der(
    Tag.SEQUENCE,
    der(0xa0, derInteger(Buffer.from([2]))),
    derInteger(randomBytes(16)),
    algorithm,
    etcd,
    der(Tag.SEQUENCE, time(nowMs), time(notAfterMs)),
    etcd,
    spki,
    der(0xa3, der(Tag.SEQUENCE, ...extensions(hosts, spki))),
  );
  const signature = der(Tag.BIT_STRING, Buffer.from([0]), sign('sha512', signed, privateKey));
  return {
    cert: pem('CERTIFICATE', der(Tag.SEQUENCE, signed, algorithm, signature)),
    key: privateKey.export({ type: 'sec1', format: 'pem' }).toString(),
    notAfterMs,
  };
}

function extensions(hosts: readonly string[], spki: Buffer): readonly Buffer[] {
  const yes = der(Tag.BOOLEAN, Buffer.from([0xff]));
  // digitalSignature, keyEncipherment, cRLSign.
  const keyUsage = der(Tag.BIT_STRING, Buffer.from([1, 0b1010_0010]));
  const serverAuth = der(Tag.SEQUENCE, derOid('1.3.6.1.5.5.7.3.1'));
  const names = hosts.map((host) =>
    isIP(host) === 0 ? der(0x82, Buffer.from(host, 'latin1')) : der(0x87, addressBytes(host)),
  );
  return [
    extension('2.5.29.15', keyUsage, yes),
    extension('2.5.29.37', serverAuth),
    extension('2.5.29.19', der(Tag.SEQUENCE, yes), yes),
    extension('2.5.29.14', der(Tag.OCTET_STRING, keyId(spki))),
    ...(names.length === 0 ? [] : [extension('2.5.29.17', der(Tag.SEQUENCE, ...names))]),
  ];
}

/** Go: the beginning of a hash of the key's bits, without how they are used. */
function keyId(spki: Buffer): Buffer {
  const [, bits] = readDer(must(readDer(spki)[0], 'a key').content);
  const key = must(bits, 'a key').content.subarray(1);
  return createHash('sha256').update(key).digest().subarray(0, 20);
}

function extension(oid: string, value: Buffer, critical: Buffer = Buffer.alloc(0)): Buffer {
  return der(Tag.SEQUENCE, derOid(oid), critical, der(Tag.OCTET_STRING, value));
}

function name(oid: string, value: string): Buffer {
  const text = der(Tag.PRINTABLE, Buffer.from(value, 'latin1'));
  return der(Tag.SEQUENCE, der(Tag.SET, der(Tag.SEQUENCE, derOid(oid), text)));
}

/** X.509 writes years from 2050 on with four digits. */
function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/\.\d+|[-:T]/g, '');
  if (digits >= '2050') return der(Tag.GENERALIZED_TIME, Buffer.from(digits, 'latin1'));
  return der(Tag.UTC_TIME, Buffer.from(digits.slice(2), 'latin1'));
}

/** Four bytes, or sixteen. */
function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  // The URL parser writes an address in one way only.
  const [head = '', tail = ''] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const [left, right] = [groups(head), groups(tail)];
  const zeros = Array<string>(8 - left.length - right.length).fill('0');
  const all = [...left, ...zeros, ...right].map((group) => group.padStart(4, '0'));
  return Buffer.from(all.join(''), 'hex');
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').replace(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}
