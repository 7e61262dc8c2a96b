// A folder of certificates for a comparison: one authority, one certificate for the server and one
// for clients. Keys are P-256: handshakes are not what is measured.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
const DAYS = ['-days', '2'];

/** @param {string} folder made by the caller */
export function makeCredentials(folder) {
  const openssl = (/** @type {string[]} */ ...args) => {
    execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  };
  const names = 'subjectAltName=IP:127.0.0.1,DNS:localhost';
  writeFileSync(join(folder, 'names'), names);
  openssl(
    ...['req', '-x509', ...KEY, ...DAYS, '-subj', '/CN=bench'],
    ...['-keyout', 'ca.key', '-out', 'ca.crt'],
  );
  for (const name of ['server', 'client']) {
    const [key, request, cert] = ['key', 'csr', 'crt'].map((kind) => `${name}.${kind}`);
    openssl('req', ...KEY, '-subj', `/O=${name}`, '-keyout', key, '-out', request);
    openssl(
      ...['x509', '-req', '-in', request, '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial'],
      ...[...DAYS, '-extfile', 'names', '-out', cert],
    );
  }
}

/**
 * What a client needs.
 * @param {string} folder
 */
export function credentialsIn(folder) {
  const [ca, cert, key] = ['ca.crt', 'client.crt', 'client.key'].map((name) =>
    readFileSync(join(folder, name), 'latin1'),
  );
  return { ca, cert, key };
}

/**
 * A server with its certificate, which demands one of clients.
 * @param {string} folder
 */
export function serverFlags(folder) {
  return [
    ...['--cert-file', join(folder, 'server.crt'), '--key-file', join(folder, 'server.key')],
    ...['--trusted-ca-file', join(folder, 'ca.crt')],
  ];
}
