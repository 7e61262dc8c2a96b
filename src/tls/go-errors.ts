/** What Go's TLS would have said where OpenSSL says it in its own words. */

import type { X509Certificate } from 'node:crypto';

interface CodedError {
  readonly code?: string | undefined;
  readonly message: string;
}

/** What OpenSSL finds wrong with a chain; the texts are those of Go's verifier. */
const CHAIN_ERRORS: Readonly<Record<string, string>> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'certificate signed by unknown authority',
  UNABLE_TO_GET_ISSUER_CERT: 'certificate signed by unknown authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'certificate signed by unknown authority',
  SELF_SIGNED_CERT_IN_CHAIN: 'certificate signed by unknown authority',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'certificate signed by unknown authority',
  CERT_SIGNATURE_FAILURE: 'certificate signed by unknown authority',
  CERT_UNTRUSTED: 'certificate signed by unknown authority',
  CERT_REJECTED: 'certificate signed by unknown authority',
  INVALID_PURPOSE: 'certificate specifies an incompatible key usage',
  INVALID_CA: 'certificate signed by unknown authority',
  PATH_LENGTH_EXCEEDED: 'too many intermediates for path length constraint',
};

/** The same, by OpenSSL's text, where Node has no code for it. */
const CHAIN_TEXTS: Readonly<Record<string, string>> = {
  'unhandled critical extension': 'unhandled critical extension',
  'key usage does not include certificate signing': 'certificate signed by unknown authority',
  'permitted subtree violation':
    'a root or intermediate certificate is not authorized to sign for this name',
  'excluded subtree violation':
    'a root or intermediate certificate is not authorized to sign for this name',
};

/** What OpenSSL says of a chain. */
export interface ChainVerdict {
  readonly code: string;
  readonly message: string;
}

/** Why the chain of a certificate was refused. */
export function chainError(verdict: ChainVerdict, cert: X509Certificate, nowMs: number): string {
  const { code, message } = verdict;
  const prefix = 'tls: failed to verify certificate: x509: ';
  const now = `current time ${stamp(nowMs)} is`;
  const untimely = `${prefix}certificate has expired or is not yet valid: ${now}`;
  if (code === 'CERT_HAS_EXPIRED') return `${untimely} after ${stamp(Date.parse(cert.validTo))}`;
  if (code === 'CERT_NOT_YET_VALID') {
    return `${untimely} before ${stamp(Date.parse(cert.validFrom))}`;
  }
  return `${prefix}${CHAIN_ERRORS[code] ?? CHAIN_TEXTS[message] ?? message}`;
}

function stamp(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+/, '');
}

/** Alerts of the other end, by OpenSSL's name. */
const ALERTS: Readonly<Record<string, string>> = {
  UNEXPECTED_MESSAGE: 'unexpected message',
  BAD_RECORD_MAC: 'bad record MAC',
  RECORD_OVERFLOW: 'record overflow',
  HANDSHAKE_FAILURE: 'handshake failure',
  BAD_CERTIFICATE: 'bad certificate',
  UNSUPPORTED_CERTIFICATE: 'unsupported certificate',
  CERTIFICATE_REVOKED: 'revoked certificate',
  CERTIFICATE_EXPIRED: 'expired certificate',
  CERTIFICATE_UNKNOWN: 'unknown certificate',
  ILLEGAL_PARAMETER: 'illegal parameter',
  UNKNOWN_CA: 'unknown certificate authority',
  ACCESS_DENIED: 'access denied',
  DECODE_ERROR: 'error decoding message',
  DECRYPT_ERROR: 'error decrypting message',
  PROTOCOL_VERSION: 'protocol version not supported',
  INSUFFICIENT_SECURITY: 'insufficient security level',
  INTERNAL_ERROR: 'internal error',
  USER_CANCELLED: 'user canceled',
  NO_RENEGOTIATION: 'no renegotiation',
  MISSING_EXTENSION: 'missing extension',
  UNSUPPORTED_EXTENSION: 'unsupported extension',
  UNRECOGNIZED_NAME: 'unrecognized name',
  CERTIFICATE_REQUIRED: 'certificate required',
  NO_APPLICATION_PROTOCOL: 'no application protocol',
};

const HANDSHAKE_ERRORS: Readonly<Record<string, string>> = {
  ERR_SSL_HTTP_REQUEST: 'tls: first record does not look like a TLS handshake',
  ERR_SSL_WRONG_VERSION_NUMBER: 'tls: first record does not look like a TLS handshake',
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: "tls: client didn't provide a certificate",
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'tls: client offered only unsupported versions',
  ERR_SSL_NO_SHARED_CIPHER: 'tls: no cipher suite supported by both client and server',
  ERR_SSL_NO_APPLICATION_PROTOCOL: 'tls: client requested unsupported application protocols',
};

/** The text of an error of a connection, Go's where it has one. */
export function handshakeError({ code = '', message }: CodedError): string {
  const alert = /^ERR_SSL_(?:TLSV1|TLSV13|SSLV3)_ALERT_(.+)$/.exec(code)?.[1];
  if (alert !== undefined) return `remote error: tls: ${ALERTS[alert] ?? alert.toLowerCase()}`;
  return HANDSHAKE_ERRORS[code] ?? message;
}

/** What is wrong with certificate and key that were read. */
export function keyPairError({ code = '', message }: CodedError): string {
  if (code === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH') {
    return 'tls: private key does not match public key';
  }
  return message;
}

/** Why a file could not be read, as Go says it. */
export function fileError(path: string, { code = '', message }: CodedError): string {
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: 'open: no such file or directory',
    EACCES: 'open: permission denied',
    EISDIR: 'read: is a directory',
  };
  const [verb, reason] = (reasons[code] ?? '').split(': ');
  return reason === undefined ? message : `${verb} ${path}: ${reason}`;
}
