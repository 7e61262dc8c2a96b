/**
 * Certificates, keys and authorities as OpenSSL takes them, read again when a file has changed.
 *
 * etcd: certificate and key are read at every handshake, and one that cannot be read fails it.
 * Authorities are read again too, which etcd does not do; a file of them that cannot be read leaves
 * those that were known.
 */

import { constants, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Log } from '../log.ts';
import { openSslCiphers } from './cipher-suites.ts';
import { fileError, keyPairError } from './go-errors.ts';
import type { TlsInfo } from './tls-info.ts';

/** Certificates or settings of TLS do not work; the text is Go's. */
export class TlsError extends Error {
  override readonly name = 'TlsError';
}

/** A value made of files, and made again when one of them is another one. */
export class FileBacked<T> {
  readonly #paths: readonly string[];
  readonly #make: (contents: readonly Buffer[]) => T;
  #made: { readonly signature: string; readonly value: T } | null = null;

  constructor(paths: readonly string[], make: (contents: readonly Buffer[]) => T) {
    this.#paths = paths;
    this.#make = make;
  }

  /** Throws what `make` throws, and a `TlsError` when a file cannot be read. */
  get(): T {
    const signature = this.#paths.map(signatureOf).join();
    if (this.#made?.signature !== signature) {
      this.#made = { signature, value: this.#make(this.#paths.map(readFile)) };
    }
    return this.#made.value;
  }
}

function signatureOf(path: string): string {
  try {
    const { mtimeMs, ctimeMs, size, ino } = statSync(path);
    return `${mtimeMs} ${ctimeMs} ${size} ${ino}`;
  } catch {
    // Reading it says why.
    return 'gone';
  }
}

function readFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new TlsError(fileError(path, error as NodeJS.ErrnoException), { cause: error });
  }
}

interface KeyPair {
  readonly cert: Buffer | string;
  readonly key: Buffer | string;
}

type Role = 'server' | 'client';

interface Made {
  readonly pair: KeyPair | null;
  readonly authorities: readonly string[] | null;
  readonly context: SecureContext;
}

/** The files of one side, and the contexts that they make. */
export class Material {
  readonly #info: TlsInfo;
  readonly #role: Role;
  readonly #log: Log;
  readonly #files: readonly [string, string];
  readonly #pair: FileBacked<KeyPair> | null;
  readonly #authorities: FileBacked<readonly string[]> | null;
  /** The last ones that could be read. */
  #trusted: readonly string[] | null;
  #reloadError = '';
  #made: Made | null = null;

  /** `role`: which certificate, where a side has two. Throws a `TlsError` when files are bad. */
  constructor(info: TlsInfo, role: Role, log: Log) {
    this.#info = info;
    this.#role = role;
    this.#log = log;
    this.#files =
      role === 'client' && info.clientCertFile !== ''
        ? [info.clientCertFile, info.clientKeyFile]
        : [info.certFile, info.keyFile];
    this.#pair = this.#files[0] === '' ? null : new FileBacked(this.#files, keyPair);
    this.#authorities =
      info.trustedCaFile === '' ? null : new FileBacked([info.trustedCaFile], authorities);
    // etcd: at start it is the caller who says what is wrong.
    this.#pair?.get();
    this.#trusted = this.#authorities?.get() ?? null;
    this.context();
  }

  /** For the next connection. Throws a `TlsError` when certificate and key are bad. */
  context(): SecureContext {
    const pair = this.#readPair();
    this.#reloadTrusted();
    const trusted = this.#trusted;
    if (this.#made?.pair === pair && this.#made.authorities === trusted) return this.#made.context;
    const context = makeContext(this.#info, pair, trusted);
    this.#made = { pair, authorities: trusted, context };
    return context;
  }

  #readPair(): KeyPair | null {
    if (this.#pair === null) return this.#info.inMemory;
    try {
      return this.#pair.get();
    } catch (error) {
      if (!(error instanceof TlsError)) throw error;
      const isGone = (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
      const whose = this.#role === 'server' ? 'peer' : 'client';
      const what = isGone ? `find ${whose} cert files` : `create ${whose} certificate`;
      const [certFile, keyFile] = this.#files;
      this.#log.warn(`failed to ${what}`, {
        'cert-file': certFile,
        'key-file': keyFile,
        error: error.message,
      });
      throw error;
    }
  }

  #reloadTrusted(): void {
    if (this.#authorities === null) return;
    const file = { 'ca-file': this.#info.trustedCaFile };
    try {
      const found = this.#authorities.get();
      if (found !== this.#trusted) this.#log.info('reloaded trusted CA file', file);
      this.#trusted = found;
      this.#reloadError = '';
    } catch (error) {
      if (!(error instanceof TlsError)) throw error;
      // Said once, not at every connection.
      if (error.message === this.#reloadError) return;
      this.#reloadError = error.message;
      this.#log.warn('failed to reload trusted CA file; keeping the former authorities', {
        ...file,
        error: error.message,
      });
    }
  }
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

function keyPair([cert, key]: readonly Buffer[]): KeyPair {
  const [certPem, keyPem] = [cert ?? Buffer.alloc(0), key ?? Buffer.alloc(0)];
  if (!certPem.includes('-----BEGIN ')) {
    throw new TlsError('tls: failed to find any PEM data in certificate input');
  }
  if (!keyPem.includes('-----BEGIN ')) {
    throw new TlsError('tls: failed to find any PEM data in key input');
  }
  try {
    createSecureContext({ cert: certPem, key: keyPem });
  } catch (error) {
    throw new TlsError(keyPairError(error as NodeJS.ErrnoException), { cause: error });
  }
  return { cert: certPem, key: keyPem };
}

/** etcd: what is not a certificate is passed over, and a file without any trusts nobody. */
function authorities([file]: readonly Buffer[]): readonly string[] {
  const found = file?.toString('latin1').match(CERTIFICATE) ?? [];
  for (const pem of found) {
    try {
      new X509Certificate(pem);
    } catch (error) {
      throw new TlsError('x509: malformed certificate', { cause: error });
    }
  }
  return found;
}

function makeContext(
  info: TlsInfo,
  pair: KeyPair | null,
  known: readonly string[] | null,
): SecureContext {
  const min = info.minVersion === 'TLS1.3' ? 'TLSv1.3' : 'TLSv1.2';
  return createSecureContext({
    ...(pair ?? {}),
    ca: [...(known ?? systemAuthorities())],
    ciphers: openSslCiphers(info.cipherSuites),
    minVersion: min,
    maxVersion: info.maxVersion === 'TLS1.2' ? 'TLSv1.2' : 'TLSv1.3',
    // Go: every certificate that is trusted ends a chain, not only one that signs itself.
    allowPartialTrustChain: true,
    // Sessions are not resumed: every connection is checked by the files of now.
    secureOptions:
      constants.SSL_OP_NO_TICKET |
      constants.SSL_OP_NO_RENEGOTIATION |
      constants.SSL_OP_CIPHER_SERVER_PREFERENCE,
  });
}

/** Where systems keep the authorities that everybody trusts; the first that is there counts. */
const SYSTEM_FILES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/tls/cacert.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

let system: readonly string[] | null = null;

function systemAuthorities(): readonly string[] {
  const file = SYSTEM_FILES.find((path) => signatureOf(path) !== 'gone');
  system ??= file === undefined ? [] : (readFile(file).toString('latin1').match(CERTIFICATE) ?? []);
  return system;
}
