/**
 * What is asked of a certificate whose chain is good: names, addresses, and Go's answer when they
 * do not fit. A common name is no host name.
 */

import type { X509Certificate } from 'node:crypto';
import { isIP, isIPv6, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

export interface CertificateNames {
  readonly ipAddresses: readonly string[];
  readonly dnsNames: readonly string[];
}

export function namesOf(cert: X509Certificate): CertificateNames {
  const ipAddresses: string[] = [];
  const dnsNames: string[] = [];
  // Safety: one entry after the other, so that nothing inside a quoted one is taken for an entry.
  const entries = /([^:,"]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?:, |$)/y;
  for (const [, kind, value = ''] of allMatches(entries, cert.subjectAltName ?? '')) {
    if (kind === 'DNS') dnsNames.push(value.startsWith('"') ? unquoted(value) : value);
    if (kind === 'IP Address') ipAddresses.push(canonicalAddress(value));
  }
  return { ipAddresses, dnsNames };
}

function* allMatches(sticky: RegExp, text: string): Generator<RegExpExecArray> {
  for (;;) {
    const match = sticky.exec(text);
    if (match === null) return;
    yield match;
  }
}

/** Node quotes what could be mistaken for something else, as JSON does. */
function unquoted(value: string): string {
  return String(JSON.parse(value));
}

/** '' when there is none; Go takes the last of several. */
export function commonNameOf(cert: X509Certificate): string {
  const { CN: names } = cert.toLegacyObject().subject as { CN?: string | readonly string[] };
  if (names === undefined) return '';
  return typeof names === 'string' ? names : (names.at(-1) ?? '');
}

/** Of whoever is at the other end of a connection; '' without TLS or certificate. */
export function peerCommonName(socket: Socket): string {
  const cert = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
  return cert === undefined ? '' : commonNameOf(cert);
}

/** Why a certificate is not one of this host, in Go's words; `null` when it is. */
export function hostnameProblem(cert: X509Certificate, host: string): string | null {
  const address = host.replace(/^\[(.*)\]$/, '$1');
  const { ipAddresses, dnsNames } = namesOf(cert);
  if (isIP(address) !== 0) {
    if (cert.checkIP(address) !== undefined) return null;
    if (ipAddresses.length > 0) {
      return `x509: certificate is valid for ${ipAddresses.join(', ')}, not ${host}`;
    }
    return `x509: cannot validate certificate for ${host} because it doesn't contain any IP SANs`;
  }
  if (dnsNames.some((pattern) => matches(pattern, host))) return null;
  if (cert.subjectAltName === undefined && commonNameOf(cert) === host) {
    return 'x509: certificate relies on legacy Common Name field, use SANs instead';
  }
  if (dnsNames.length > 0) {
    return `x509: certificate is valid for ${dnsNames.join(', ')}, not ${host}`;
  }
  return `x509: certificate is not valid for any names, but wanted to match ${host}`;
}

/** Go: a `*` stands for the first label and nothing else, however few labels follow. */
function matches(pattern: string, host: string): boolean {
  const labels = host.toLowerCase().replace(/\.$/, '').split('.');
  const patterns = pattern.toLowerCase().split('.');
  if (host === '' || labels.length !== patterns.length) return false;
  return patterns.every((part, i) => part === labels[i] || (i === 0 && part === '*'));
}

/** An address as Go prints it. */
export function canonicalAddress(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/, '');
  return isIPv6(plain) && !plain.includes('%')
    ? new URL(`http://[${plain}]`).hostname.slice(1, -1)
    : plain;
}
