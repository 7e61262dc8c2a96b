/**
 * One way in from another member: dials it, reads the endless answer, and dials again whenever that
 * ends, at most ten times a second, at its next URL if it was not reached.
 *
 * Whatever the other end sends, at worst the connection is given up.
 */

import type { ClientRequest, IncomingMessage } from 'node:http';
import { DecodeError } from '../codec/wire.ts';
import { limits } from '../limits.ts';
import type { Message } from '../raft/messages.ts';
import { hexId, type MemberId } from '../types.ts';
import { AppendDecoder } from './append-frames.ts';
import { type PeerContext, SOCKET_TIMEOUT_MS } from './context.ts';
import { reasonOf } from './exchange.ts';
import { type FrameDecoder, FrameError, isLinkHeartbeat, type StreamKind } from './frames.ts';
import {
  CLUSTER_ID_MISMATCH,
  hasStreams,
  headerOf,
  INCOMPATIBLE_VERSION,
  MEMBER_REMOVED,
  requestHeaders,
} from './headers.ts';
import { MessageDecoder } from './message-frames.ts';
import type { PeerStatus } from './peer-status.ts';
import { STREAM_NAMES } from './stream-writer.ts';
import type { UrlPicker } from './url-picker.ts';

const DIAL_INTERVAL_MS = 100;

interface Attempt {
  readonly url: string;
  request: ClientRequest | null;
  /** Something must happen until then. */
  deadlineMs: number;
  isEstablished: boolean;
}

export class StreamReader {
  readonly kind: StreamKind;
  readonly #context: PeerContext;
  readonly #peer: MemberId;
  readonly #picker: UrlPicker;
  readonly #status: PeerStatus;
  #attempt: Attempt | null = null;
  #dialledMs = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  constructor(
    context: PeerContext,
    peer: { readonly id: MemberId; readonly picker: UrlPicker; readonly status: PeerStatus },
    kind: StreamKind,
  ) {
    this.kind = kind;
    this.#context = context;
    this.#peer = peer.id;
    this.#picker = peer.picker;
    this.#status = peer.status;
  }

  tick(nowMs: number): void {
    const attempt = this.#attempt;
    if (attempt === null) this.#maybeDial(nowMs);
    else if (nowMs >= attempt.deadlineMs) this.#fail(attempt, 'i/o timeout');
  }

  close(): void {
    this.#isClosed = true;
    const attempt = this.#attempt;
    this.#attempt = null;
    attempt?.request?.destroy();
  }

  #maybeDial(nowMs: number): void {
    if (this.#isClosed || nowMs - this.#dialledMs < DIAL_INTERVAL_MS) return;
    this.#dialledMs = nowMs;
    this.#dial(nowMs);
  }

  #dial(nowMs: number): void {
    const { dialer, clock, memberId, dialTimeoutMs } = this.#context;
    const url = this.#picker.pick();
    const deadlineMs = nowMs + dialTimeoutMs;
    const attempt: Attempt = { url, request: null, deadlineMs, isEstablished: false };
    this.#attempt = attempt;
    let request: ClientRequest;
    try {
      request = dialer.open({
        url,
        method: 'GET',
        path: `/raft/stream/${this.kind}/${hexId(memberId)}`,
        headers: { ...requestHeaders(this.#context), 'X-Raft-To': hexId(this.#peer) },
        connection: 'own',
      });
    } catch (error) {
      this.#fail(attempt, reasonOf(error));
      return;
    }
    attempt.request = request;
    request.on('socket', (socket) => {
      socket.once('connect', () => {
        attempt.deadlineMs = clock.monotonic() + SOCKET_TIMEOUT_MS;
      });
    });
    request.on('error', (error) => this.#fail(attempt, error.message));
    request.on('close', () => this.#fail(attempt, 'connection closed'));
    request.on('response', (response) => this.#onResponse(attempt, response));
    request.end();
  }

  #onResponse(attempt: Attempt, response: IncomingMessage): void {
    const { clock } = this.#context;
    response.on('error', (error) => this.#fail(attempt, error.message));
    if (attempt !== this.#attempt) return;
    attempt.deadlineMs = clock.monotonic() + SOCKET_TIMEOUT_MS;
    if (!hasStreams(response.headers)) {
      this.#end(attempt);
      this.#picker.unreachable(attempt.url);
      return;
    }
    if (response.statusCode === 200) this.#read(attempt, response);
    else this.#readRefusal(attempt, response);
  }

  #read(attempt: Attempt, response: IncomingMessage): void {
    const { clock, log } = this.#context;
    attempt.isEstablished = true;
    this.#status.activate();
    log.info('established TCP streaming connection with remote peer', this.#fields());
    const decoder = this.#decoder(attempt);
    response.on('data', (bytes: Buffer) => {
      if (attempt !== this.#attempt) return;
      attempt.deadlineMs = clock.monotonic() + SOCKET_TIMEOUT_MS;
      try {
        decoder.push(bytes);
      } catch (error) {
        if (!(error instanceof DecodeError || error instanceof FrameError)) throw error;
        this.#context.observer.receiveFailed(hexId(this.#peer));
        this.#fail(attempt, error.message);
      }
    });
    // A proper end: the other member has let go of this stream, for example for a newer one.
    response.on('end', () => {
      if (!this.#end(attempt)) return;
      log.warn('lost TCP streaming connection with remote peer', this.#fields('EOF'));
      this.#maybeDial(clock.monotonic());
    });
  }

  #decoder(attempt: Attempt): FrameDecoder {
    const { memberId, observer, deliver } = this.#context;
    const onFrame = (message: Message | null, bytes: number): void => {
      if (attempt !== this.#attempt || message === null) return;
      observer.received(message.from, bytes);
      if (!isLinkHeartbeat(message)) deliver(message);
    };
    return this.kind === 'msgapp'
      ? new AppendDecoder({ from: this.#peer, to: memberId }, onFrame)
      : new MessageDecoder(onFrame);
  }

  /** Reads why, as far as that is of a reasonable length. */
  #readRefusal(attempt: Attempt, response: IncomingMessage): void {
    const pieces: Buffer[] = [];
    let bytes = 0;
    response.on('data', (piece: Buffer) => {
      bytes += piece.length;
      if (bytes <= limits.peerRefusalBytesMax) pieces.push(piece);
      else this.#refused(attempt, response, '');
    });
    response.on('end', () => this.#refused(attempt, response, Buffer.concat(pieces).toString()));
  }

  #refused(attempt: Attempt, response: IncomingMessage, body: string): void {
    if (attempt !== this.#attempt) return;
    const { log, removed, memberId, clusterId } = this.#context;
    const reason = body.replace(/\n$/, '');
    const local = hexId(memberId);
    const remote = hexId(this.#peer);
    const ignored = 'request sent was ignored by remote peer due to';
    switch (response.statusCode) {
      case 410:
        removed();
        return this.#fail(attempt, MEMBER_REMOVED);
      case 404:
        return this.#fail(attempt, `peer ${remote} failed to find local node ${local}`);
      case 412:
        if (reason === INCOMPATIBLE_VERSION) {
          log.warn(`${ignored} server version incompatibility`, {
            'local-member-id': local,
            'remote-peer-id': remote,
            error: reason,
          });
          return this.#fail(attempt, reason);
        }
        if (reason === CLUSTER_ID_MISMATCH) {
          log.warn(`${ignored} cluster ID mismatch`, {
            'remote-peer-id': remote,
            'remote-peer-cluster-id': headerOf(response.headers, 'x-etcd-cluster-id'),
            'local-member-id': local,
            'local-member-cluster-id': hexId(clusterId),
            error: reason,
          });
          return this.#fail(attempt, reason);
        }
        return this.#fail(
          attempt,
          `unhandled error ${JSON.stringify(body)} when precondition failed`,
        );
      default:
        return this.#fail(attempt, `unhandled http status ${response.statusCode}`);
    }
  }

  /** The first failure of an attempt ends it; what it reports later is of no interest. */
  #fail(attempt: Attempt, reason: string): void {
    if (!this.#end(attempt)) return;
    const { clock, log } = this.#context;
    const { isEstablished } = attempt;
    if (isEstablished) {
      log.warn('lost TCP streaming connection with remote peer', this.#fields(reason));
    } else {
      this.#picker.unreachable(attempt.url);
    }
    this.#status.deactivate({
      action: isEstablished ? 'read' : 'dial',
      source: STREAM_NAMES[this.kind],
      reason,
    });
    this.#maybeDial(clock.monotonic());
  }

  /** False when the attempt had ended before. */
  #end(attempt: Attempt): boolean {
    if (attempt !== this.#attempt) return false;
    this.#attempt = null;
    attempt.request?.destroy();
    return true;
  }

  #fields(error?: string) {
    return {
      'stream-reader-type': STREAM_NAMES[this.kind],
      'local-member-id': hexId(this.#context.memberId),
      'remote-peer-id': hexId(this.#peer),
      error,
    };
  }
}
