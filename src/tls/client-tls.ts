/**
 * The client's half of TLS: secure connections to other members, whose certificates are checked
 * before a byte is said to them. Files are looked at again for each connection.
 */

import { connect, type TLSSocket } from 'node:tls';
import { limits } from '../limits.ts';
import type { Log } from '../log.ts';
import { hostnameProblem } from './certificate.ts';
import { chainVerdict } from './chain-verdict.ts';
import { chainError, handshakeError } from './go-errors.ts';
import { Material, TlsError } from './material.ts';
import { allowedProblem, hasCertificate, settingsProblem, type TlsInfo } from './tls-info.ts';

export interface Target {
  /** Also the name that the other end's certificate must carry. */
  readonly host: string;
  readonly port: number;
  /** A Unix socket in place of host and port. */
  readonly path: string | null;
}

export type OnConnected = (error: Error | null, socket: TLSSocket | null) => void;

export class ClientTls {
  readonly #info: TlsInfo;
  readonly #material: Material;
  readonly #now: () => number;

  /** Throws a `TlsError` with Go's text when the settings or their files do not work. */
  constructor(info: TlsInfo, { log, now }: { readonly log: Log; readonly now: () => number }) {
    const problem = hasCertificate(info) ? settingsProblem(info) : null;
    if (problem !== null) throw new TlsError(problem);
    this.#info = info;
    this.#material = new Material(info, 'client', log);
    this.#now = now;
  }

  /** Tells once, and within a bounded time, that there is a connection or why there is none. */
  connect({ host, port, path }: Target, onConnected: OnConnected): void {
    let isOver = false;
    const end = (error: Error | null, socket: TLSSocket | null): void => {
      if (isOver) return;
      isOver = true;
      onConnected(error, socket);
    };
    let socket: TLSSocket;
    try {
      socket = connect({
        ...(path === null ? { host, port } : { path }),
        // An address is not sent as a name.
        ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
        secureContext: this.#material.context(),
        // The verdict is ours, in Go's words, below.
        rejectUnauthorized: false,
      });
    } catch (error) {
      if (!(error instanceof TlsError)) throw error;
      return end(error, null);
    }
    const fail = (error: Error): void => {
      end(error, null);
      socket.destroy();
    };
    socket.setTimeout(limits.tlsHandshakeMsMax, () => fail(new TlsError(HANDSHAKE_TIMEOUT)));
    // Whoever uses the connection hears of its errors too, and in the same words.
    socket.on('error', (error) => {
      error.message = handshakeError(error);
      fail(error);
    });
    socket.on('close', () => fail(new TlsError('EOF')));
    socket.once('secureConnect', () => {
      const problem = this.#problem(socket, host);
      if (problem !== null) return fail(new TlsError(problem));
      socket.setTimeout(0);
      end(null, socket);
    });
  }

  /** etcd: a member with a certificate of its own making believes everybody. */
  #problem(socket: TLSSocket, host: string): string | null {
    const cert = socket.getPeerX509Certificate();
    if (cert === undefined) return 'tls: no certificate';
    if (!this.#info.selfSigned) {
      const verdict = chainVerdict(socket);
      if (verdict !== null) return chainError(verdict, cert, this.#now());
      const foreign = hostnameProblem(cert, host);
      if (foreign !== null) return `tls: failed to verify certificate: ${foreign}`;
    }
    return allowedProblem(this.#info, cert);
  }
}

const HANDSHAKE_TIMEOUT = 'net/http: TLS handshake timeout';
