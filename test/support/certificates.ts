/**
 * Certificates for tests, made when they are asked for: authorities, servers, clients, and those
 * that must be refused. Keys are P-256, which is quick.
 */

import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { der, derInteger, derOid, Tag } from '../../src/tls/der.ts';

const DAY_MS = 86_400_000;
const ECDSA_WITH_SHA256 = der(Tag.SEQUENCE, derOid('1.2.840.10045.4.3.2'));
const YES = der(Tag.BOOLEAN, Buffer.from([0xff]));

export interface CertificateOptions {
  readonly commonName?: string;
  /** IPv4 addresses and DNS names. */
  readonly names?: readonly string[];
  /** Object ids of extended key usages; none by default, as Pigsty makes them. */
  readonly usages?: readonly string[];
  readonly serial?: Buffer;
  /** Days from now; the default is from yesterday to ten days ahead. */
  readonly validDays?: readonly [number, number];
  readonly isAuthority?: boolean;
  readonly unknownCritical?: boolean;
}

/** PEM, and as files. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly keyFile: string;
}

export const Usage = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' } as const;

export class Authority implements Certificate {
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly #key: KeyObject;
  readonly #name: Buffer;
  readonly #folder: string;
  #made = 0;

  constructor(commonName = 'test authority', folder = mkdtempSync(join(tmpdir(), 'etcd-tls-'))) {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#key = pair.privateKey;
    this.#folder = folder;
    this.#name = nameOf(commonName);
    this.cert = this.#sign(pair.publicKey, { commonName, isAuthority: true });
    this.key = keyPem(pair.privateKey);
    [this.certFile, this.keyFile] = this.#write('ca', this.cert, this.key);
  }

  /** A certificate signed by this authority, with files of its own. */
  issue(options: CertificateOptions = {}): Certificate {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const cert = this.#sign(pair.publicKey, { names: ['127.0.0.1', 'localhost'], ...options });
    const key = keyPem(pair.privateKey);
    const [certFile, keyFile] = this.#write(`cert${this.#made++}`, cert, key);
    return { cert, key, certFile, keyFile };
  }

  /** A revocation list of these serials. */
  revoke(serials: readonly Buffer[]): Buffer {
    const entries = serials.map((serial) => der(Tag.SEQUENCE, derInteger(serial), time(0)));
    const list = der(
      Tag.SEQUENCE,
      derInteger(Buffer.from([1])),
      ECDSA_WITH_SHA256,
      this.#name,
      time(0),
      time(DAY_MS),
      ...(entries.length === 0 ? [] : [der(Tag.SEQUENCE, ...entries)]),
    );
    return signed(list, this.#key);
  }

  /** A file beside those of this authority. */
  file(name: string, content: string | Buffer): string {
    const path = join(this.#folder, name);
    writeFileSync(path, content);
    return path;
  }

  #write(name: string, cert: string, key: string): [string, string] {
    return [this.file(`${name}.crt`, cert), this.file(`${name}.key`, key)];
  }

  #sign(publicKey: KeyObject, options: CertificateOptions): string {
    const [from, to] = options.validDays ?? [-1, 10];
    const body = der(
      Tag.SEQUENCE,
      der(0xa0, derInteger(Buffer.from([2]))),
      derInteger(options.serial ?? randomBytes(8)),
      ECDSA_WITH_SHA256,
      this.#name,
      der(Tag.SEQUENCE, time(from * DAY_MS), time(to * DAY_MS)),
      nameOf(options.commonName ?? ''),
      publicKey.export({ type: 'spki', format: 'der' }),
      der(0xa3, der(Tag.SEQUENCE, ...extensionsOf(options))),
    );
    return pem('CERTIFICATE', signed(body, this.#key));
  }
}

export function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').replace(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}

function extensionsOf(options: CertificateOptions): Buffer[] {
  const { names = [], usages = [], isAuthority, unknownCritical } = options;
  const encoded = names.map((name) =>
    isIPv4(name)
      ? der(0x87, Buffer.from(name.split('.').map(Number)))
      : der(0x82, Buffer.from(name, 'latin1')),
  );
  const found = [extension('2.5.29.19', der(Tag.SEQUENCE, ...(isAuthority === true ? [YES] : [])))];
  if (encoded.length > 0) found.push(extension('2.5.29.17', der(Tag.SEQUENCE, ...encoded)));
  if (usages.length > 0) {
    found.push(extension('2.5.29.37', der(Tag.SEQUENCE, ...usages.map(derOid))));
  }
  if (unknownCritical === true) found.push(extension('1.2.3.4', der(Tag.SEQUENCE), YES));
  return found;
}

function extension(oid: string, value: Buffer, critical: Buffer = Buffer.alloc(0)): Buffer {
  return der(Tag.SEQUENCE, derOid(oid), critical, der(Tag.OCTET_STRING, value));
}

function nameOf(commonName: string): Buffer {
  if (commonName === '') return der(Tag.SEQUENCE);
  const text = der(Tag.UTF8, Buffer.from(commonName));
  return der(Tag.SEQUENCE, der(Tag.SET, der(Tag.SEQUENCE, derOid('2.5.4.3'), text)));
}

function time(fromNowMs: number): Buffer {
  const digits = new Date(Date.now() + fromNowMs).toISOString().replace(/\.\d+|[-:T]/g, '');
  return der(Tag.UTC_TIME, Buffer.from(digits.slice(2), 'latin1'));
}

function signed(body: Buffer, key: KeyObject): Buffer {
  const signature = der(Tag.BIT_STRING, Buffer.from([0]), sign('sha256', body, key));
  return der(Tag.SEQUENCE, body, ECDSA_WITH_SHA256, signature);
}

function keyPem(key: KeyObject): string {
  return key.export({ type: 'sec1', format: 'pem' }).toString();
}
