import { mkdtempSync, readFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Authority, type Certificate } from '../../test/support/certificates.ts';
import { type Etcd, type EtcdOptions, startEtcd } from './embed.ts';

const HTTPS = ['https://127.0.0.1:0'];

let running: Etcd | null = null;

afterEach(async () => {
  await running?.close();
  running = null;
});

async function start(options: EtcdOptions): Promise<Etcd> {
  running = await startEtcd({ memory: true, ...options });
  return running;
}

function ask(url: string, path: string, as: Authority, cert: Certificate | null): Promise<string> {
  const tls = cert === null ? {} : { cert: cert.cert, key: cert.key };
  return new Promise((resolve, reject) => {
    const asked = request(`${url}${path}`, { ca: as.cert, agent: false, ...tls }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on('end', () => resolve(text));
    });
    asked.on('error', reject);
    asked.end();
  });
}

describe('an embedded member with certificates', () => {
  it('serves HTTP to clients that have one too', async () => {
    const authority = new Authority();
    const { certFile, keyFile } = authority.issue();
    const { clientUrls } = await start({
      listenClientUrls: HTTPS,
      certFile,
      keyFile,
      trustedCaFile: authority.certFile,
      hostWhitelist: ['other.example'],
    });
    const [url = ''] = clientUrls;
    const health = '{"health":"true","reason":""}';
    expect(await ask(url, '/health', authority, authority.issue())).toBe(health);
    await expect(ask(url, '/health', authority, null)).rejects.toThrow();
    await expect(ask(url, '/health', authority, new Authority().issue())).rejects.toThrow();
  });

  it.each([
    [
      { listenClientUrls: HTTPS },
      'TLS key/cert (--cert-file, --key-file) must be provided for client url ' +
        'https://127.0.0.1:0 with HTTPS scheme',
    ],
    [
      { listenPeerUrls: HTTPS },
      'cannot listen on TLS for 127.0.0.1:0: KeyFile and CertFile are not presented',
    ],
    [
      { listenMetricsUrls: HTTPS },
      'client TLS key/cert (--cert-file, --key-file) must be provided for metrics secure url',
    ],
    [
      { listenClientUrls: HTTPS, certFile: 'x' },
      'KeyFile and CertFile must both be present[key: , cert: x]',
    ],
    [{ cipherSuites: ['x'] }, 'unexpected TLS cipher suite "x"'],
  ])('says what is missing from %j', async (options, text) => {
    await expect(start(options)).rejects.toThrow(text);
  });
});

it('keeps the certificate that it makes for itself', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'etcd-auto-tls-'));
  const options = { memory: false, dataDir, listenClientUrls: HTTPS, autoTls: true };
  const made = (name: string): string =>
    readFileSync(join(dataDir, 'fixtures', 'client', name), 'utf8');
  await start(options);
  const [cert, key] = [made('cert.pem'), made('key.pem')];
  await running?.close();
  await start(options);
  expect([made('cert.pem'), made('key.pem')]).toEqual([cert, key]);
});
