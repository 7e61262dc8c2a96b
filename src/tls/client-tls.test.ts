import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer as createPlainServer, type Server } from 'node:net';
import { createServer } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Authority, type Certificate, Usage } from '../../test/support/certificates.ts';
import { silentLog } from '../log.ts';
import { ClientTls } from './client-tls.ts';
import type { TlsInfo } from './tls-info.ts';

let authority: Authority;
let own: Certificate;
let server: Server;
let seen: (string | undefined)[];

beforeEach(() => {
  authority = new Authority();
  own = authority.issue({ commonName: 'dialler' });
  seen = [];
});

afterEach(() => server.close());

const clientOf = (more: Partial<TlsInfo> = {}): ClientTls =>
  new ClientTls(
    {
      certFile: own.certFile,
      keyFile: own.keyFile,
      clientCertFile: '',
      clientKeyFile: '',
      trustedCaFile: authority.certFile,
      clientCertAuth: false,
      crlFile: '',
      allowedCns: [],
      allowedHostnames: [],
      skipClientSanVerify: false,
      cipherSuites: [],
      minVersion: 'TLS1.2',
      maxVersion: '',
      selfSigned: false,
      inMemory: null,
      ...more,
    },
    { log: silentLog(), now: Date.now },
  );

/** A member with this certificate, that asks for one and takes any. */
async function serve({ cert, key }: Certificate): Promise<void> {
  server = createServer({ cert, key, requestCert: true, rejectUnauthorized: false }, (socket) => {
    seen.push(socket.getPeerX509Certificate()?.subject);
    socket.on('error', () => undefined);
    socket.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
}

/** `null` when the connection has come about. */
function dial(client: ClientTls, host = '127.0.0.1'): Promise<string | null> {
  const { port } = server.address() as AddressInfo;
  return new Promise((resolve) => {
    client.connect({ host, port, path: null }, (error, socket) => {
      if (error !== null) return resolve(error.message);
      // The other end has said all it wants to.
      socket?.resume().once('close', () => resolve(null));
    });
  });
}

describe('another member', () => {
  it('is reached, and shown the certificate for clients where there is one', async () => {
    await serve(authority.issue());
    expect(await dial(clientOf())).toBeNull();
    const { certFile: clientCertFile, keyFile: clientKeyFile } = authority.issue({
      commonName: 'other',
    });
    expect(await dial(clientOf({ clientCertFile, clientKeyFile }))).toBeNull();
    expect(await dial(clientOf(), 'localhost')).toBeNull();
    expect(seen).toEqual(['CN=dialler', 'CN=other', 'CN=dialler']);
  });

  it.each([
    ['of another authority', () => new Authority().issue(), /: certificate signed by unknown auth/],
    [
      'that has expired',
      () => authority.issue({ validDays: [-3, -1] }),
      /: certificate has expired/,
    ],
    [
      'of another address',
      () => authority.issue({ names: ['10.0.0.1'] }),
      /: certificate is valid for 10\.0\.0\.1, not 127\.0\.0\.1$/,
    ],
    [
      'with nothing but a common name',
      () => authority.issue({ names: [], commonName: '127.0.0.1' }),
      /: cannot validate certificate for 127\.0\.0\.1 because it doesn't contain any IP SANs$/,
    ],
    [
      'for clients only',
      () => authority.issue({ usages: [Usage.client] }),
      /incompatible key usage/,
    ],
  ])('is not believed with a certificate %s', async (_what, make, text) => {
    await serve(make());
    const error = await dial(clientOf());
    expect(error).toMatch(/^tls: failed to verify certificate: x509: /);
    expect(error).toMatch(text);
    // etcd: a member that makes its own certificate believes everybody.
    expect(await dial(clientOf({ selfSigned: true }))).toBeNull();
  });

  it('must have one of the common names that are allowed', async () => {
    await serve(authority.issue({ commonName: 'b' }));
    expect(await dial(clientOf({ allowedCns: ['a', 'b'] }))).toBeNull();
    expect(await dial(clientOf({ allowedCns: ['a'] }))).toBe(
      'client certificate authentication failed',
    );
  });

  it('is judged by the files of now', async () => {
    const next = new Authority('next');
    await serve(next.issue());
    const client = clientOf();
    expect(await dial(client)).toMatch(/unknown authority$/);
    writeFileSync(authority.certFile, next.cert);
    expect(await dial(client)).toBeNull();
    writeFileSync(own.keyFile, next.key);
    expect(await dial(client)).toBe('tls: private key does not match public key');
  });
});

it('says that the other end is no server of TLS, or gone', async () => {
  server = createPlainServer((socket) => socket.resume().end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  expect(await dial(clientOf())).toBe('tls: first record does not look like a TLS handshake');
  const client = clientOf();
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const error = await new Promise<Error | null>((resolve) =>
    client.connect({ host: '127.0.0.1', port, path: null }, resolve),
  );
  expect(error?.message).toMatch(/ECONNREFUSED/);
});
