/**
 * The TLS settings of one side, clients or peers, as etcd puts them together, and what a member
 * without certificates makes for itself.
 */

import type { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Settings } from '../config/flags.ts';
import { splitUrl } from '../config/url.ts';
import type { Log } from '../log.ts';
import { commonNameOf, hostnameProblem } from './certificate.ts';
import { makeSelfSigned } from './self-signed.ts';

export interface TlsInfo {
  readonly certFile: string;
  readonly keyFile: string;
  /** For connections that the member opens; empty: the same as above. */
  readonly clientCertFile: string;
  readonly clientKeyFile: string;
  readonly trustedCaFile: string;
  readonly clientCertAuth: boolean;
  readonly crlFile: string;
  readonly allowedCns: readonly string[];
  readonly allowedHostnames: readonly string[];
  readonly skipClientSanVerify: boolean;
  readonly cipherSuites: readonly string[];
  readonly minVersion: TlsVersion | '';
  readonly maxVersion: TlsVersion | '';
  /** Made by the member itself: nobody can verify it, and the member does not verify others. */
  readonly selfSigned: boolean;
  /** Certificate and key (PEM) that lie in no file: those of a member in memory. */
  readonly inMemory: { readonly cert: string; readonly key: string } | null;
}

export type TlsVersion = 'TLS1.2' | 'TLS1.3';

export function hasCertificate(info: TlsInfo): boolean {
  return info.certFile !== '' || info.keyFile !== '' || info.inMemory !== null;
}

/** Of a member that makes its own certificates. */
export interface MakeOptions {
  /** Nothing is written. */
  readonly inMemory: boolean;
  readonly nowMs: number;
}

/** The side of other members. Throws the system's error when what it makes cannot be written. */
export function peerTls(config: Settings, log: Log, options: MakeOptions): TlsInfo {
  const info = peerInfo(config);
  if (!config.peerAutoTls) return info;
  return madeUnlessGiven(config, log, {
    ...options,
    info,
    side: 'peer',
    urls: config.listenPeerUrls,
  });
}

/** The side of clients, as above. */
export function clientTls(config: Settings, log: Log, options: MakeOptions): TlsInfo {
  const info = clientInfo(config);
  if (!config.autoTls) return info;
  const urls = [...config.listenClientUrls, ...config.listenClientHttpUrls];
  return madeUnlessGiven(config, log, { ...options, info, side: 'client', urls });
}

interface AutoOptions extends MakeOptions {
  readonly info: TlsInfo;
  readonly side: 'client' | 'peer';
  readonly urls: readonly string[];
}

function madeUnlessGiven(config: Settings, log: Log, options: AutoOptions): TlsInfo {
  const { info, side, urls, inMemory, nowMs } = options;
  if (hasCertificate(info)) {
    log.warn(`ignoring ${side} auto TLS since certs given`);
    return info;
  }
  return selfSignedInfo(config, log, { side, hosts: hostsOf(urls), inMemory, nowMs });
}

/** The names that a member demands of certificates, of clients as of those whom it dials. */
export function allowedProblem(info: TlsInfo, cert: X509Certificate): string | null {
  const { allowedCns, allowedHostnames } = info;
  const allowed =
    allowedCns.length > 0
      ? allowedCns.includes(commonNameOf(cert))
      : allowedHostnames.length === 0 ||
        allowedHostnames.some((name) => hostnameProblem(cert, name) === null);
  return allowed ? null : 'client certificate authentication failed';
}

/** What of the settings contradicts itself; `null` for nothing. */
export function settingsProblem(info: TlsInfo): string | null {
  const { certFile, keyFile, clientCertFile, clientKeyFile, allowedCns, allowedHostnames } = info;
  if (info.inMemory === null && (certFile === '' || keyFile === '')) {
    return `KeyFile and CertFile must both be present[key: ${keyFile}, cert: ${certFile}]`;
  }
  if ((clientKeyFile === '') !== (clientCertFile === '')) {
    const files = `key: ${clientKeyFile}, cert: ${clientCertFile}`;
    return `ClientKeyFile and ClientCertFile must both be present or both absent: ${files}]`;
  }
  if (allowedCns.length > 0 && allowedHostnames.length > 0) {
    const list = (names: readonly string[]): string =>
      `[${names.map((name) => JSON.stringify(name)).join(' ')}]`;
    const both = `cns=${list(allowedCns)}, hostnames=${list(allowedHostnames)}`;
    return `AllowedCNs and AllowedHostnames are mutually exclusive (${both})`;
  }
  return hasCertificate(info) ? null : 'no certificate';
}

/** As etcd logs it. */
export function describe(info: TlsInfo): string {
  return [
    `cert = ${info.certFile}`,
    `key = ${info.keyFile}`,
    `client-cert=${info.clientCertFile}`,
    `client-key=${info.clientKeyFile}`,
    `trusted-ca = ${info.trustedCaFile}`,
    `client-cert-auth = ${info.clientCertAuth}`,
    `crl-file = ${info.crlFile}`,
  ].join(', ');
}

function common(config: Settings) {
  return {
    cipherSuites: config.cipherSuites,
    minVersion: config.tlsMinVersion as TlsVersion | '',
    maxVersion: config.tlsMaxVersion as TlsVersion | '',
    selfSigned: false,
    inMemory: null,
  };
}

function clientInfo(config: Settings): TlsInfo {
  return {
    ...common(config),
    certFile: config.certFile,
    keyFile: config.keyFile,
    clientCertFile: config.clientCertFile,
    clientKeyFile: config.clientKeyFile,
    trustedCaFile: config.trustedCaFile,
    clientCertAuth: config.clientCertAuth,
    crlFile: config.clientCrlFile,
    allowedCns: config.clientCertAllowedCn,
    allowedHostnames: config.clientCertAllowedHostname,
    skipClientSanVerify: config.clientSkipClientSanVerification,
  };
}

function peerInfo(config: Settings): TlsInfo {
  return {
    ...common(config),
    certFile: config.peerCertFile,
    keyFile: config.peerKeyFile,
    clientCertFile: config.peerClientCertFile,
    clientKeyFile: config.peerClientKeyFile,
    trustedCaFile: config.peerTrustedCaFile,
    clientCertAuth: config.peerClientCertAuth,
    crlFile: config.peerCrlFile,
    allowedCns: config.peerCertAllowedCn,
    allowedHostnames: config.peerCertAllowedHostname,
    skipClientSanVerify: config.peerSkipClientSanVerification,
  };
}

interface SelfSignedOptions extends MakeOptions {
  readonly side: 'client' | 'peer';
  readonly hosts: readonly string[];
}

/** etcd: what was set beside --auto-tls, like authorities, is forgotten. */
function selfSignedInfo(config: Settings, log: Log, options: SelfSignedOptions): TlsInfo {
  const { side, hosts, inMemory, nowMs } = options;
  const nothing = {
    ...common(config),
    certFile: '',
    keyFile: '',
    clientCertFile: '',
    clientKeyFile: '',
    trustedCaFile: '',
    clientCertAuth: false,
    crlFile: '',
    allowedCns: [],
    allowedHostnames: [],
    skipClientSanVerify: false,
    selfSigned: true,
  };
  const years = config.selfSignedCertValidity;
  if (inMemory) return { ...nothing, inMemory: makeSelfSigned(hosts, years, nowMs) };
  const folder = resolve(join(config.dataDir, 'fixtures', side));
  const certFile = join(folder, 'cert.pem');
  const keyFile = join(folder, 'key.pem');
  if (!existsSync(certFile) || !existsSync(keyFile)) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const made = makeSelfSigned(hosts, years, nowMs);
    log.warn('automatically generate certificates', {
      'certificate-validity-bound-not-after': new Date(made.notAfterMs).toISOString(),
    });
    writeFileSync(certFile, made.cert);
    log.info('created cert file', { path: certFile });
    writeFileSync(keyFile, made.key, { mode: 0o600 });
    log.info('created key file', { path: keyFile });
  }
  const files = { certFile, keyFile, clientCertFile: certFile, clientKeyFile: keyFile };
  return { ...nothing, ...files };
}

function hostsOf(urls: readonly string[]): readonly string[] {
  const hosts = urls.map((url) => splitUrl(url).host).filter((host) => host !== '');
  return [...new Set(hosts)];
}
