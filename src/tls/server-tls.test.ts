import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Authority, type Certificate, pem, Usage } from '../../test/support/certificates.ts';
import { createLog } from '../log.ts';
import { type Protocols, ServerTls, type ServerTlsOptions } from './server-tls.ts';
import type { TlsInfo } from './tls-info.ts';

let authority: Authority;
let own: Certificate;
let server: Server;
let clients: Socket[];
let lines: Record<string, unknown>[];
let onLine: () => void;
let accepted: string[];

beforeEach(() => {
  authority = new Authority();
  own = authority.issue({ commonName: 'server' });
  clients = [];
  lines = [];
  accepted = [];
  onLine = () => undefined;
});

afterEach(async () => {
  for (const client of clients) client.destroy();
  await new Promise((resolve) => server.close(resolve));
});

const log = createLog({
  level: 'debug',
  format: 'json',
  outputs: ['default'],
  write(line) {
    lines.push(JSON.parse(line));
    onLine();
  },
});

const infoOf = (more: Partial<TlsInfo> = {}): TlsInfo => ({
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
});

interface Given extends Partial<Omit<ServerTlsOptions, 'info'>> {
  readonly info?: Partial<TlsInfo>;
  readonly protocols?: Protocols;
}

/** A server that says hello, with the client's name, to whom it accepts. */
async function serve(given: Given = {}): Promise<ServerTls> {
  const { info, protocols = ['http/1.1', 'h2'], ...rest } = given;
  const tls = new ServerTls({
    info: infoOf(info),
    endpoint: 'client',
    checksSource: false,
    log,
    now: Date.now,
    ...rest,
  });
  server = createServer({ pauseOnConnect: true }, (raw) => {
    clients.push(raw);
    raw.on('error', () => undefined);
    tls.accept(raw, protocols, (socket, commonName) => {
      accepted.push(commonName);
      socket.end(`hello ${commonName}`);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return tls;
}

const port = (): number => (server.address() as AddressInfo).port;

/** What the server says to a client with this certificate: text, or the code of an error. */
async function answer(cert: Certificate | null, more: ConnectionOptions = {}): Promise<string> {
  const socket = connectTls({
    host: '127.0.0.1',
    port: port(),
    ca: authority.cert,
    ...(cert === null ? {} : { cert: cert.cert, key: cert.key }),
    ...more,
  });
  return heard(socket);
}

function heard(socket: Socket | TLSSocket): Promise<string> {
  clients.push(socket);
  let text = '';
  return new Promise((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.on('close', () => resolve(text));
  });
}

function plain(bytes: string | Buffer): Socket {
  const socket = connect(port(), '127.0.0.1');
  clients.push(socket);
  socket.on('error', () => undefined);
  socket.write(bytes);
  return socket;
}

/** The next line that says that a connection was rejected. */
async function rejection(): Promise<Record<string, unknown>> {
  for (;;) {
    const found = lines.find(({ msg }) => String(msg).startsWith('rejected connection'));
    if (found !== undefined) return found;
    await new Promise<void>((resolve) => {
      onLine = resolve;
    });
  }
}

const VERSIONS = ['TLSv1.3', 'TLSv1.2'] as const;

describe.each(VERSIONS)('a client of %s', (version) => {
  const only = { minVersion: version, maxVersion: version };

  it('is let in with a certificate of the authority, whatever it may be used for', async () => {
    await serve();
    for (const usages of [[], [Usage.client], [Usage.server, Usage.client]]) {
      expect(await answer(authority.issue({ commonName: 'me', usages }), only)).toBe('hello ');
    }
  });

  it('is told that it needs a certificate', async () => {
    await serve();
    expect(await answer(null, only)).toBe(
      version === 'TLSv1.3'
        ? 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'
        : 'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE',
    );
    expect(await rejection()).toMatchObject({
      level: 'warn',
      msg: 'rejected connection on client endpoint',
      'remote-addr': expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      error: "tls: client didn't provide a certificate",
    });
  });

  it.each([
    ['of another authority', () => new Authority().issue(), /signed by unknown authority$/],
    [
      'that has expired',
      () => authority.issue({ validDays: [-3, -1] }),
      /certificate has expired or is not yet valid: current time \S+Z is after \S+Z$/,
    ],
    [
      'that is not valid yet',
      () => authority.issue({ validDays: [1, 3] }),
      /certificate has expired or is not yet valid: current time \S+Z is before \S+Z$/,
    ],
    [
      'for servers only',
      () => authority.issue({ usages: [Usage.server] }),
      /certificate specifies an incompatible key usage$/,
    ],
    [
      'with a critical extension that nobody knows',
      () => authority.issue({ unknownCritical: true }),
      /unhandled critical extension$/,
    ],
    [
      'for any use, which Go takes',
      () => authority.issue({ usages: ['2.5.29.37.0'] }),
      /certificate specifies an incompatible key usage$/,
    ],
  ])('is refused with a certificate %s', async (_what, make, error) => {
    await serve();
    expect(await answer(make(), only)).not.toContain('hello');
    const line = await rejection();
    expect(Object.keys(line).slice(3)).toEqual([
      'msg',
      'remote-addr',
      'server-name',
      'ip-addresses',
      'dns-names',
      'error',
    ]);
    expect(line).toMatchObject({ 'ip-addresses': ['127.0.0.1'], 'dns-names': ['localhost'] });
    expect(line['error']).toMatch(error);
    expect(String(line['error'])).toMatch(/^tls: failed to verify certificate: x509: /);
    expect(accepted).toEqual([]);
  });
});

describe('the common name', () => {
  it('is a user with client-cert-auth only', async () => {
    const cert = authority.issue({ commonName: 'alice' });
    await serve({ info: { clientCertAuth: true } });
    expect(await answer(cert)).toBe('hello alice');
    await new Promise((resolve) => server.close(resolve));
    await serve();
    expect(await answer(cert)).toBe('hello ');
  });

  it('must be one of those that are allowed', async () => {
    await serve({ info: { allowedCns: ['alice', 'bob'] } });
    expect(await answer(authority.issue({ commonName: 'bob' }))).toBe('hello ');
    expect(await answer(authority.issue({ commonName: 'eve' }))).not.toContain('hello');
    expect(await rejection()).toMatchObject({ error: 'client certificate authentication failed' });
  });
});

it('lets in whoever carries an allowed host name', async () => {
  await serve({ info: { allowedHostnames: ['a.example', '10.0.0.1'] } });
  expect(await answer(authority.issue({ names: ['*.example'] }))).toBe('hello ');
  expect(await answer(authority.issue({ names: ['10.0.0.1'] }))).toBe('hello ');
  expect(await answer(authority.issue({ names: ['b.a.example'] }))).not.toContain('hello');
});

describe('a revocation list', () => {
  const serial = Buffer.from('00f1e2', 'hex');

  it.each(['DER', 'PEM'])('of %s refuses, and is read again', async (form) => {
    const cert = authority.issue({ serial });
    const encode = (list: Buffer): string | Buffer =>
      form === 'DER' ? list : pem('X509 CRL', list);
    const crlFile = authority.file('crl', encode(authority.revoke([Buffer.from([7])])));
    await serve({ info: { crlFile } });
    expect(await answer(cert)).toBe('hello ');
    writeFileSync(crlFile, encode(authority.revoke([Buffer.from([7]), serial])));
    expect(await answer(cert)).not.toContain('hello');
    expect(await rejection()).toMatchObject({
      error: 'transport: certificate serial f1e2 revoked',
    });
  });

  it.each([
    ['is gone', null, /^open .*: no such file or directory$/],
    ['is garbage', 'garbage', /^x509: malformed crl$/],
    ['ends early', Buffer.from('3082010a300d', 'hex'), /^x509: malformed crl$/],
  ])('that %s refuses everybody', async (_what, content, error) => {
    const crlFile = content === null ? '/nowhere/crl' : authority.file('crl', content);
    await serve({ info: { crlFile } });
    expect(await answer(authority.issue())).not.toContain('hello');
    expect((await rejection())['error']).toMatch(error);
  });
});

describe('the source of a certificate', () => {
  const resolver = {
    names: async () => ['known.example.'],
    addresses: async (name: string) => {
      if (name === 'here.example') return ['127.0.0.1'];
      throw new Error(`lookup ${name}: no such host`);
    },
  };

  it.each([
    [['127.0.0.1'], null],
    [[], null],
    [['10.0.0.1', '10.0.0.2'], 'x509: certificate is valid for 10.0.0.1, 10.0.0.2, not 127.0.0.1'],
    [['10.0.0.1', 'known.example'], null],
    [['*.example'], null],
    [['here.example'], null],
    [
      ['there.example'],
      'tls: "127.0.0.1" does not match any of DNSNames ["there.example"] ' +
        '(lookup there.example: no such host)',
    ],
  ])('with names %j', async (names, error) => {
    await serve({ checksSource: true, resolver, endpoint: 'peer' });
    const said = await answer(authority.issue({ names }));
    if (error === null) return expect(said).toBe('hello ');
    expect(said).not.toContain('hello');
    expect(await rejection()).toMatchObject({
      msg: 'rejected connection on peer endpoint',
      error,
    });
  });
});

describe('what is no handshake', () => {
  it.each(['GET / HTTP/1.1\r\n\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'x'.repeat(99)])(
    'ends the connection: %j',
    async (bytes) => {
      await serve();
      await once(plain(bytes), 'close');
      expect(await rejection()).toMatchObject({
        level: 'warn',
        error: 'tls: first record does not look like a TLS handshake',
      });
    },
  );

  it('is told at debug when somebody only looks whether the port is open', async () => {
    await serve();
    plain('').end();
    expect(await rejection()).toMatchObject({ level: 'debug', error: 'EOF' });
  });

  it.each(['', '\x16\x03\x01'])('ends after a while when nothing follows %j', async (bytes) => {
    await serve({ handshakeMsMax: 50 });
    await once(plain(bytes), 'close');
    expect((await rejection())['error']).toMatch(
      /^read tcp 127\.0\.0\.1:\d+->127\.0\.0\.1:\d+: i\/o timeout$/,
    );
  });

  it('ends after a while however slowly it goes on', async () => {
    await serve({ handshakeMsMax: 200 });
    const hello = Buffer.concat([Buffer.from('16030101fd010001f90303', 'hex'), Buffer.alloc(500)]);
    const socket = plain('');
    let sent = 0;
    const drip = setInterval(() => socket.write(hello.subarray(sent, ++sent)), 10);
    await once(socket, 'close');
    clearInterval(drip);
    expect(sent).toBeLessThan(100);
  });
});

it('gives up the handshake that has waited longest when there are too many', async () => {
  await serve({ handshakesMax: 2 });
  const stalled = Array.from({ length: 2 }, () => plain('\x16\x03\x01'));
  const [first] = stalled;
  await Promise.all(stalled.map((socket) => once(socket, 'connect')));
  expect(await answer(authority.issue())).toBe('hello ');
  if (first !== undefined && !first.closed) await once(first, 'close');
  expect(await rejection()).toMatchObject({ level: 'warn', error: 'too many handshakes' });
  // The one that gave way is over, and whoever comes next finds room.
  expect(await answer(authority.issue())).toBe('hello ');
});

describe('protocols', () => {
  it('are offered so that HTTP clients get HTTP/1.1 and gRPC clients HTTP/2', async () => {
    await serve();
    const chosen = async (offered: string[]): Promise<string | false | null> => {
      const { cert, key } = authority.issue();
      const socket = connectTls({
        host: '127.0.0.1',
        port: port(),
        ca: authority.cert,
        cert,
        key,
        ALPNProtocols: offered,
      });
      await heard(socket);
      return socket.alpnProtocol;
    };
    expect(await chosen(['h2'])).toBe('h2');
    expect(await chosen(['h2', 'http/1.1'])).toBe('http/1.1');
    expect(await chosen([])).toBe(false);
  });

  it.each([
    ['TLS 1.2 when only 1.3 is spoken', { minVersion: 'TLS1.3' }, { maxVersion: 'TLSv1.2' }],
    ['TLS 1.3 when only 1.2 is spoken', { maxVersion: 'TLS1.2' }, { minVersion: 'TLSv1.3' }],
    [
      'a suite that was not chosen',
      { cipherSuites: ['TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384'] },
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' },
    ],
    [
      'a suite that Go leaves off',
      {},
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256' },
    ],
  ] as const)('refuse %s', async (_what, info, offered) => {
    await serve({ info });
    expect(await answer(authority.issue(), offered)).toMatch(/^ERR_SSL_/);
    expect((await rejection())['level']).toBe('warn');
  });

  it('take a suite that was chosen', async () => {
    await serve({ info: { cipherSuites: ['TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256'] } });
    const offered = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256' } as const;
    expect(await answer(authority.issue(), offered)).toBe('hello ');
  });

  it.each(VERSIONS)('resume no session of %s', async (version) => {
    await serve();
    const cert = authority.issue();
    const options = { maxVersion: version, cert: cert.cert, key: cert.key, ca: authority.cert };
    const first = connectTls({ host: '127.0.0.1', port: port(), ...options });
    let session: Buffer | undefined;
    first.on('session', (given: Buffer) => {
      session = given;
    });
    await heard(first);
    session ??= first.getSession();
    const reused = session === undefined ? {} : { session };
    const second = connectTls({ host: '127.0.0.1', port: port(), ...options, ...reused });
    await once(second, 'secureConnect');
    expect(second.isSessionReused()).toBe(false);
    expect(await heard(second)).toBe('hello ');
  });
});

describe('files', () => {
  it('are read again for each connection', async () => {
    await serve();
    const cert = authority.issue();
    const serials = new Set<string>();
    for (let i = 0; i < 2; i++) {
      const { certFile, keyFile } = own;
      const renewed = authority.issue({ serial: Buffer.from([77 + i]) });
      writeFileSync(certFile, renewed.cert);
      writeFileSync(keyFile, renewed.key);
      const options = { ca: authority.cert, cert: cert.cert, key: cert.key };
      const socket = connectTls({ host: '127.0.0.1', port: port(), ...options });
      await once(socket, 'secureConnect');
      serials.add(socket.getPeerX509Certificate()?.serialNumber ?? '');
      await heard(socket);
    }
    expect([...serials]).toEqual(['4D', '4E']);
  });

  it('that do not fit fail the handshake until they do', async () => {
    await serve();
    const cert = authority.issue();
    const other = authority.issue();
    writeFileSync(own.certFile, other.cert);
    expect(await answer(cert)).not.toContain('hello');
    const error = 'tls: private key does not match public key';
    expect(lines[0]).toMatchObject({
      level: 'warn',
      msg: 'failed to create peer certificate',
      'cert-file': own.certFile,
      'key-file': own.keyFile,
      error,
    });
    expect(await rejection()).toMatchObject({ error });
    writeFileSync(own.keyFile, other.key);
    expect(await answer(cert)).toBe('hello ');
  });

  it('of authorities are read again too, and kept when the new ones are bad', async () => {
    await serve();
    const [former, next] = [authority.issue(), new Authority('next')];
    const newcomer = next.issue();
    expect(await answer(newcomer)).not.toContain('hello');
    writeFileSync(authority.certFile, authority.cert + next.cert);
    expect(await answer(newcomer)).toBe('hello ');
    expect(await answer(former)).toBe('hello ');
    writeFileSync(
      authority.certFile,
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
    );
    expect(await answer(newcomer)).toBe('hello ');
    writeFileSync(authority.certFile, next.cert);
    expect(await answer(former)).not.toContain('hello');
  });

  it.each([
    [{ keyFile: '' }, /^KeyFile and CertFile must both be present\[key: , cert: .+\]$/],
    [{ certFile: '/nowhere' }, /^open \/nowhere: no such file or directory$/],
    [{ clientCertFile: 'x' }, /^ClientKeyFile and ClientCertFile must both be present or both/],
    [{ trustedCaFile: '/nowhere' }, /^open \/nowhere: no such file or directory$/],
    [
      { allowedCns: ['a'], allowedHostnames: ['b'] },
      /^AllowedCNs and AllowedHostnames are mutually exclusive \(cns=\["a"\], hostnames=\["b"\]\)$/,
    ],
  ])('that do not work are told at start: %j', (info, text) => {
    server = createServer();
    const make = (): ServerTls =>
      new ServerTls({
        info: infoOf(info),
        endpoint: 'client',
        checksSource: false,
        log,
        now: Date.now,
      });
    expect(make).toThrow(text);
  });
});
