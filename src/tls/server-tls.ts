/**
 * The server's half of TLS: turns accepted connections into secure ones, and says no.
 *
 * The handshake ends before OpenSSL's verdict on a certificate is looked at, since only then is the
 * certificate at hand that etcd's log lines tell of. Nothing is read from a connection before the
 * verdict. The number and the time of handshakes are bounded.
 */

import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { limits } from '../limits.ts';
import type { Log, LogFields } from '../log.ts';
import { peerName } from '../server/h2/peer-name.ts';
import { commonNameOf, namesOf } from './certificate.ts';
import { chainVerdict } from './chain-verdict.ts';
import { revokedSerials, serialKey } from './crl.ts';
import { DerError } from './der.ts';
import { type ChainVerdict, chainError, handshakeError } from './go-errors.ts';
import { FileBacked, Material, TlsError } from './material.ts';
import { type Resolver, sourceProblem, systemResolver } from './source-address.ts';
import { allowedProblem, settingsProblem, type TlsInfo } from './tls-info.ts';

export interface ServerTlsOptions {
  readonly info: TlsInfo;
  readonly endpoint: 'client' | 'peer';
  /** Whether certificates must be of the address from which they come. */
  readonly checksSource: boolean;
  readonly log: Log;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly resolver?: Resolver;
  readonly handshakeMsMax?: number;
  readonly handshakesMax?: number;
}

/** What a protocol is offered to clients that ask which there are, the first one they know. */
export type Protocols = readonly ('http/1.1' | 'h2')[];

/** `commonName` is that of the client's certificate where it makes a user, otherwise ''. */
export type OnSecure = (socket: TLSSocket, commonName: string) => void;

export class ServerTls {
  readonly #options: ServerTlsOptions;
  readonly #material: Material;
  readonly #revoked: FileBacked<ReadonlySet<string>> | null;
  readonly #demandsCertificate: boolean;
  /** The one that has waited longest is the first. */
  readonly #underWay = new Set<Handshake>();

  /** Throws a `TlsError` with Go's text when the settings or their files do not work. */
  constructor(options: ServerTlsOptions) {
    const { info, log } = options;
    const problem = settingsProblem(info);
    if (problem !== null) throw new TlsError(problem);
    this.#options = options;
    this.#material = new Material(info, 'server', log);
    // Their files are looked at before anybody connects, as in etcd.
    if (info.clientCertFile !== '') new Material(info, 'client', log);
    this.#demandsCertificate = info.trustedCaFile !== '' || info.clientCertAuth;
    this.#revoked =
      info.crlFile === ''
        ? null
        : new FileBacked([info.crlFile], ([file]) => revokedSerials(file ?? Buffer.alloc(0)));
  }

  /** Takes over an accepted connection; ends it when it does not become secure. */
  accept(raw: Socket, protocols: Protocols, onSecure: OnSecure): void {
    const remoteName = peerName(raw);
    const handshake = new Handshake(raw, remoteName, {
      log: this.#options.log,
      endpoint: this.#options.endpoint,
      onEnd: () => this.#underWay.delete(handshake),
    });
    this.#underWay.add(handshake);
    const [oldest] = this.#underWay;
    const atOnceMax = this.#options.handshakesMax ?? limits.tlsHandshakesMax;
    if (this.#underWay.size > atOnceMax) oldest?.refuse('too many handshakes');
    try {
      handshake.begin({
        secureContext: this.#material.context(),
        demandsCertificate: this.#demandsCertificate,
        protocols,
        msMax: this.#options.handshakeMsMax ?? limits.tlsHandshakeMsMax,
      });
    } catch (error) {
      if (!(error instanceof TlsError)) throw error;
      handshake.refuse(error.message);
      return;
    }
    handshake.onSecure((socket, verdict) => this.#judge(handshake, socket, verdict, onSecure));
  }

  async #judge(
    handshake: Handshake,
    socket: TLSSocket,
    verdict: ChainVerdict | null,
    onSecure: OnSecure,
  ): Promise<void> {
    const cert = this.#demandsCertificate ? socket.getPeerX509Certificate() : undefined;
    if (cert !== undefined) {
      const problem = await this.#problem(cert, verdict, socket);
      if (problem !== null) return handshake.refuse(problem, cert);
    }
    if (!handshake.succeed()) return;
    const isUser = this.#options.info.clientCertAuth && cert !== undefined;
    onSecure(socket, isUser ? commonNameOf(cert) : '');
  }

  /** What is wrong with a client's certificate, in etcd's order. */
  async #problem(
    cert: X509Certificate,
    verdict: ChainVerdict | null,
    socket: TLSSocket,
  ): Promise<string | null> {
    const { info, checksSource, now, resolver = systemResolver } = this.#options;
    if (verdict !== null) return chainError(verdict, cert, now());
    const notAllowed = allowedProblem(info, cert);
    if (notAllowed !== null) return notAllowed;
    if (checksSource && socket.remoteAddress !== undefined) {
      const foreign = await sourceProblem(cert, socket.remoteAddress, resolver);
      if (foreign !== null) return foreign;
    }
    return this.#revocation(cert);
  }

  /** etcd: an unreadable list refuses everybody. */
  #revocation(leaf: X509Certificate): string | null {
    if (this.#revoked === null) return null;
    let revoked: ReadonlySet<string>;
    try {
      revoked = this.#revoked.get();
    } catch (error) {
      if (error instanceof TlsError || error instanceof DerError) return error.message;
      throw error;
    }
    for (const cert of sentChain(leaf)) {
      const serial = serialKey(cert.serialNumber);
      if (revoked.has(serial)) return `transport: certificate serial ${serial} revoked`;
    }
    return null;
  }
}

/** The leaf, and above it what is not a root: roots are not sent. */
function sentChain(leaf: X509Certificate): readonly X509Certificate[] {
  const chain = [leaf];
  let above = leaf.issuerCertificate;
  while (above !== undefined && !above.checkIssued(above)) {
    chain.push(above);
    above = above.issuerCertificate;
  }
  return chain;
}

interface HandshakeOptions {
  readonly log: Log;
  readonly endpoint: 'client' | 'peer';
  readonly onEnd: () => void;
}

interface HandshakeTerms {
  readonly secureContext: ReturnType<Material['context']>;
  readonly demandsCertificate: boolean;
  readonly protocols: Protocols;
  readonly msMax: number;
}

/** One connection from its first byte to its verdict, of which there is exactly one. */
class Handshake {
  readonly #raw: Socket;
  readonly #remoteName: string;
  readonly #options: HandshakeOptions;
  #socket: TLSSocket | null = null;
  #isOver = false;

  constructor(raw: Socket, remoteName: string, options: HandshakeOptions) {
    this.#raw = raw;
    this.#remoteName = remoteName;
    this.#options = options;
  }

  begin({ secureContext, demandsCertificate, protocols, msMax }: HandshakeTerms): void {
    const socket = new TLSSocket(this.#raw, {
      isServer: true,
      secureContext,
      requestCert: demandsCertificate,
      rejectUnauthorized: demandsCertificate,
      ALPNProtocols: [...protocols],
    });
    this.#socket = socket;
    const local = `${this.#raw.localAddress}:${this.#raw.localPort}`.replace(/^::ffff:/, '');
    const late = `read tcp ${local}->${this.#remoteName}: i/o timeout`;
    socket.setTimeout(msMax, () => this.refuse(late));
    const onError = (error: Error): void => {
      this.refuse(handshakeError(error));
      socket.destroy();
    };
    socket.on('error', onError);
    // Errors of a connection that no TLS server owns are told by this event only.
    socket.on('_tlsError', onError);
    socket.on('close', () => this.refuse('EOF'));
  }

  onSecure(judge: (socket: TLSSocket, verdict: ChainVerdict | null) => Promise<void>): void {
    const socket = this.#socket;
    // `secure` is when the handshake is done; its owner would be told by `secureConnection`.
    socket?.once('secure', () => {
      judge(socket, chainVerdict(socket)).catch((error: unknown) => {
        socket.destroy();
        throw error;
      });
    });
  }

  /** False when it had been refused before. */
  succeed(): boolean {
    if (this.#isOver) return false;
    this.#end();
    this.#socket?.setTimeout(0);
    return true;
  }

  refuse(error: string, cert: X509Certificate | null = null): void {
    if (this.#isOver) return;
    this.#end();
    const { log, endpoint } = this.#options;
    const fields: LogFields = {
      'remote-addr': this.#remoteName,
      'server-name': serverName(this.#socket),
      ...(cert === null ? {} : certificateFields(cert)),
      error,
    };
    const msg = `rejected connection on ${endpoint} endpoint`;
    // Who looks whether a port is open says nothing.
    if (error === 'EOF') log.debug(msg, fields);
    else log.warn(msg, fields);
    this.#socket?.destroy();
    this.#raw.destroy();
  }

  #end(): void {
    this.#isOver = true;
    this.#options.onEnd();
  }
}

function certificateFields(cert: X509Certificate): LogFields {
  const { ipAddresses, dnsNames } = namesOf(cert);
  return { 'ip-addresses': ipAddresses, 'dns-names': dnsNames };
}

function serverName(socket: TLSSocket | null): string {
  const { servername } = (socket ?? {}) as { readonly servername?: string | false | null };
  return typeof servername === 'string' ? servername : '';
}
