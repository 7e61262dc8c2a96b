import { createPrivateKey, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { commonNameOf, hostnameProblem, namesOf } from './certificate.ts';
import { unknownSuite } from './cipher-suites.ts';
import { makeSelfSigned } from './self-signed.ts';

const NOW = Date.UTC(2026, 10, 21, 12);

describe('a certificate of our own making', () => {
  const made = makeSelfSigned(['127.0.0.1', '2001:db8::1', '::', 'localhost'], 1, NOW);
  const cert = new X509Certificate(made.cert);

  it('has the fields that etcd gives it', () => {
    expect(cert.subject).toBe('O=etcd');
    expect(cert.issuer).toBe('O=etcd');
    // It says that it is an authority, and its key may not sign certificates.
    expect(cert.ca).toBe(false);
    expect(cert.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(cert.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'secp521r1' });
    expect(Date.parse(cert.validFrom)).toBe(NOW);
    expect(Date.parse(cert.validTo)).toBe(NOW + 365 * 86_400_000);
    expect(namesOf(cert)).toEqual({
      ipAddresses: ['127.0.0.1', '2001:db8::1', '::'],
      dnsNames: ['localhost'],
    });
    expect(commonNameOf(cert)).toBe('');
  });

  it('is signed with its key', () => {
    expect(cert.verify(cert.publicKey)).toBe(true);
    expect(cert.checkPrivateKey(createPrivateKey(made.key))).toBe(true);
  });

  it('may outlive the short form of dates', () => {
    const long = new X509Certificate(makeSelfSigned(['a'], 30, NOW).cert);
    expect(Date.parse(long.validTo)).toBe(NOW + 30 * 365 * 86_400_000);
  });

  it.each([
    ['127.0.0.1', null],
    ['[2001:db8::1]', null],
    ['LocalHost.', null],
    ['10.0.0.1', 'x509: certificate is valid for 127.0.0.1, 2001:db8::1, ::, not 10.0.0.1'],
    ['a.localhost', 'x509: certificate is valid for localhost, not a.localhost'],
  ])('is asked whether it is of %s', (host, problem) => {
    expect(hostnameProblem(cert, host)).toBe(problem);
  });
});

it('knows the suites that Go knows', () => {
  const known = [
    'TLS_AES_128_GCM_SHA256',
    'TLS_RSA_WITH_RC4_128_SHA',
    'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305',
    'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256',
  ];
  expect(unknownSuite(known)).toBeNull();
  expect(unknownSuite([...known, 'AES128-SHA', 'x'])).toBe('AES128-SHA');
});
