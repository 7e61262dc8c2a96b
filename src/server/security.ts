/**
 * TLS of one member: which listeners and connections are secure, by which files, and what its log
 * says about that at start.
 */

import type { Settings } from '../config/flags.ts';
import { goQuote } from '../config/go-text.ts';
import { splitUrl } from '../config/url.ts';
import type { Log } from '../log.ts';
import { systemClock } from '../platform/clock.ts';
import { unknownSuite } from '../tls/cipher-suites.ts';
import { ClientTls } from '../tls/client-tls.ts';
import { TlsError } from '../tls/material.ts';
import { ServerTls } from '../tls/server-tls.ts';
import { clientTls, describe, hasCertificate, peerTls, type TlsInfo } from '../tls/tls-info.ts';
import { ListenError } from './listener.ts';

/** Each is made when it is first asked for, and throws a `TlsError` when its files do not work. */
export interface Security {
  readonly forClients: () => ServerTls;
  readonly forMetrics: () => ServerTls;
  readonly forPeers: () => ServerTls;
  /** To other members. */
  readonly toPeers: () => ClientTls;
  /** The lines of a start, when it has come to these listeners. */
  readonly announcePeers: () => void;
  readonly announceClients: () => void;
}

/** Makes certificates for --auto-tls where there are none. */
export function openSecurity(config: Settings, log: Log, inMemory: boolean): Security {
  const { now } = systemClock;
  // etcd makes each side's certificate when it comes to that side's listeners.
  const options = { inMemory, nowMs: now() };
  const peer = once(() => peerTls(config, log, options));
  const client = once(() => clientTls(config, log, options));
  const serverTls = (info: TlsInfo, endpoint: 'client' | 'peer', checksSource: boolean) =>
    new ServerTls({ info, endpoint, checksSource, log, now });
  return {
    forClients: once(() => serverTls(client(), 'client', false)),
    forMetrics: once(() => serverTls(client(), 'client', !client().skipClientSanVerify)),
    forPeers: once(() => {
      if (!hasCertificate(peer())) throw withoutCertificate(config);
      return serverTls(peer(), 'peer', !peer().skipClientSanVerify);
    }),
    toPeers: once(() => new ClientTls(peer(), { log, now })),
    announcePeers() {
      const unknown = unknownSuite(config.cipherSuites);
      if (unknown !== null) throw new TlsError(`unexpected TLS cipher suite ${goQuote(unknown)}`);
      logPeerTls(config, log, peer());
    },
    announceClients: () => logClientTls(config, log, client()),
  };
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | null = null;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

function withoutCertificate(config: Settings): ListenError {
  const url = config.listenPeerUrls.find((text) => splitUrl(text).secure) ?? '';
  const reason = 'KeyFile and CertFile are not presented';
  return new ListenError(`cannot listen on TLS for ${splitUrl(url).address}: ${reason}`);
}

function logPeerTls(config: Settings, log: Log, peer: TlsInfo): void {
  if (hasCertificate(peer)) logStart(config, log, 'peer', peer);
  for (const url of config.listenPeerUrls) {
    if (splitUrl(url).scheme !== 'http') continue;
    const field = { 'peer-url': url };
    if (hasCertificate(peer)) {
      log.warn(
        'scheme is HTTP while key and cert files are present; ignoring key and cert files',
        field,
      );
    }
    if (peer.clientCertAuth) {
      log.warn(
        'scheme is HTTP while --peer-client-cert-auth is enabled; ' +
          'ignoring client cert auth for this URL',
        field,
      );
    }
  }
}

function logClientTls(config: Settings, log: Log, client: TlsInfo): void {
  for (const url of [...config.listenClientUrls, ...config.listenClientHttpUrls]) {
    if (splitUrl(url).secure) continue;
    const field = { 'client-url': url };
    if (hasCertificate(client)) {
      log.warn(
        'scheme is http or unix while key and cert files are present; ignoring key and cert files',
        field,
      );
    }
    if (client.clientCertAuth) {
      log.warn(
        'scheme is http or unix while --client-cert-auth is enabled; ' +
          'ignoring client cert auth for this URL',
        field,
      );
    }
  }
  if (hasCertificate(client)) logStart(config, log, 'client', client);
}

function logStart(config: Settings, log: Log, side: 'client' | 'peer', info: TlsInfo): void {
  log.info(`starting with ${side} TLS`, {
    'tls-info': describe(info),
    'cipher-suites': config.cipherSuites,
  });
}
