/**
 * Revocation lists, read for their serial numbers. etcd: neither signature, issuer nor age of the
 * list is looked at.
 */

import { DerError, type DerItem, readDer, Tag } from './der.ts';

/** Revoked serials as `serialKey` writes them. Takes DER and PEM. Throws `DerError`. */
export function revokedSerials(file: Buffer): ReadonlySet<string> {
  const pem = /-----BEGIN X509 CRL-----([^-]*)-----END X509 CRL-----/.exec(file.toString('latin1'));
  const bytes = pem?.[1] === undefined ? file : Buffer.from(pem[1], 'base64');
  try {
    return serialsOf(bytes);
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw new DerError('x509: malformed crl', { cause: error });
  }
}

/** Hex without leading zeros, in whole bytes: how Go prints a serial number. */
export function serialKey(hex: string): string {
  const digits = hex.toLowerCase().replace(/^(00)+(?=..)/, '');
  return digits.length % 2 === 0 ? digits : `0${digits}`;
}

function serialsOf(bytes: Buffer): ReadonlySet<string> {
  const [list] = sequenceOf(readDer(bytes)[0]);
  const fields = [...sequenceOf(list)];
  // version, signature, issuer, thisUpdate, and nextUpdate where it is given.
  if (fields[0]?.tag === Tag.INTEGER) fields.shift();
  const [algorithm, issuer, updated] = fields.splice(0, 3);
  sequenceOf(algorithm);
  sequenceOf(issuer);
  if (!isTime(updated)) throw new DerError('no time of update');
  if (isTime(fields[0])) fields.shift();
  const serials = new Set<string>();
  const [revoked] = fields;
  // The list may be missing; what follows then is marked as extensions.
  if (revoked?.tag !== Tag.SEQUENCE) return serials;
  for (const entry of readDer(revoked.content)) {
    const [serial] = sequenceOf(entry);
    if (serial?.tag !== Tag.INTEGER) throw new DerError('no serial number');
    serials.add(serialKey(serial.content.toString('hex')));
  }
  return serials;
}

function isTime(item: DerItem | undefined): boolean {
  return item?.tag === Tag.UTC_TIME || item?.tag === Tag.GENERALIZED_TIME;
}

function sequenceOf(item: DerItem | undefined): readonly DerItem[] {
  if (item?.tag !== Tag.SEQUENCE) throw new DerError('not a sequence');
  return readDer(item.content);
}
