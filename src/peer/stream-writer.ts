/**
 * One way out to another member: a queue of messages and, while that member has dialled us for it,
 * a connection that takes them. Everything queued in one turn leaves in one write.
 *
 * Invariants: nothing waits for more than the queue's limits; of a connection that ends, what was
 * not handed over is given up and reported, since Raft sends again what matters. The connection's
 * head was written by `node:http`; the chunks of its body are written here.
 */

import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { limits } from '../limits.ts';
import type { Message } from '../raft/messages.ts';
import { hexId, type MemberId } from '../types.ts';
import { AppendEncoder } from './append-frames.ts';
import { type PeerContext, SOCKET_TIMEOUT_MS } from './context.ts';
import { FrameWriter } from './frame-writer.ts';
import { type FrameEncoder, messageBytesMax, type StreamKind } from './frames.ts';
import { MessageEncoder } from './message-frames.ts';
import type { PeerStatus } from './peer-status.ts';

/** etcd's names, for log lines. */
export const STREAM_NAMES: Readonly<Record<StreamKind, string>> = {
  message: 'stream Message',
  msgapp: 'stream MsgApp v2',
};

const HEARTBEAT_MS = SOCKET_TIMEOUT_MS / 3;
const HEARTBEAT_BYTES_MAX = 16;

interface Connection {
  readonly response: ServerResponse;
  readonly socket: Socket;
  readonly encoder: FrameEncoder;
  /** Writes that the socket has not finished, and when it last finished one. */
  writes: number;
  progressMs: number;
}

export class StreamWriter {
  readonly kind: StreamKind;
  readonly #context: PeerContext;
  readonly #peer: MemberId;
  readonly #status: PeerStatus;
  #queue: Message[] = [];
  #queuedBytes = 0;
  #connection: Connection | null = null;
  #heartbeatMs = 0;
  #isFlushDue = false;

  constructor(context: PeerContext, peer: MemberId, kind: StreamKind, status: PeerStatus) {
    this.kind = kind;
    this.#context = context;
    this.#peer = peer;
    this.#status = status;
  }

  get isAttached(): boolean {
    return this.#connection !== null;
  }

  /** Takes over a request that was answered with a head and nothing else. */
  attach(response: ServerResponse, socket: Socket): void {
    const { clock, log, memberId } = this.#context;
    const encoder = this.kind === 'msgapp' ? new AppendEncoder() : new MessageEncoder();
    const now = clock.monotonic();
    const connection = { response, socket, encoder, writes: 0, progressMs: now };
    const isReplaced = this.#close();
    socket.setNoDelay(true);
    response.on('close', () => {
      if (connection === this.#connection) this.#lose('write', 'connection closed by the remote');
    });
    this.#connection = connection;
    this.#heartbeatMs = now;
    log.info('set message encoder', {
      from: hexId(memberId),
      to: hexId(this.#peer),
      'stream-type': STREAM_NAMES[this.kind],
    });
    this.#status.activate();
    if (isReplaced) log.warn('closed TCP streaming connection with remote peer', this.#fields());
    log.info('established TCP streaming connection with remote peer', this.#fields());
  }

  /** False when there is no room: the message is not taken. */
  enqueue(message: Message): boolean {
    if (this.#queue.length >= limits.peerStreamQueueMax) return false;
    if (this.#queuedBytes >= limits.peerStreamQueueBytesMax) return false;
    this.#queue.push(message);
    this.#queuedBytes += messageBytesMax(message);
    if (this.#isFlushDue) return true;
    this.#isFlushDue = true;
    queueMicrotask(() => {
      this.#isFlushDue = false;
      this.#flush();
    });
    return true;
  }

  tick(nowMs: number): void {
    const connection = this.#connection;
    if (connection === null) return;
    if (connection.writes > 0 && nowMs - connection.progressMs >= SOCKET_TIMEOUT_MS) {
      this.#lose('write', 'i/o timeout');
      return;
    }
    if (nowMs - this.#heartbeatMs < HEARTBEAT_MS) return;
    this.#heartbeatMs = nowMs;
    // What is still on its way in the socket is a sign of life too.
    if (connection.writes > 0) return;
    const frames = new FrameWriter(HEARTBEAT_BYTES_MAX);
    connection.encoder.heartbeat(frames);
    this.#write(connection, frames);
  }

  close(): void {
    if (!this.#close()) return;
    this.#context.log.warn('closed TCP streaming connection with remote peer', this.#fields());
  }

  #flush(): void {
    const connection = this.#connection;
    if (connection === null) return;
    const queue = this.#queue;
    let taken = 0;
    while (taken < queue.length && connection.socket.writableLength < limits.peerSocketBytesMax) {
      taken = this.#writeBatch(connection, taken);
    }
    if (taken === queue.length) {
      this.#queue = [];
      this.#queuedBytes = 0;
      return;
    }
    for (const message of queue.splice(0, taken)) this.#queuedBytes -= messageBytesMax(message);
  }

  /** Writes messages from `first` on and returns the first that is left. */
  #writeBatch(connection: Connection, first: number): number {
    let next = first;
    let bytes = 0;
    while (next < this.#queue.length && bytes < limits.peerWriteBytes) {
      bytes += messageBytesMax(this.#queue[next++] as Message);
    }
    const frames = new FrameWriter(bytes);
    for (let at = first; at < next; at++) {
      connection.encoder.encode(this.#queue[at] as Message, frames);
    }
    this.#write(connection, frames);
    return next;
  }

  #write(connection: Connection, frames: FrameWriter): void {
    const { clock, observer } = this.#context;
    if (connection.writes === 0) connection.progressMs = clock.monotonic();
    connection.writes++;
    observer.sent(this.#peer, frames.bytes);
    connection.socket.write(frames.finish(), () => {
      connection.writes--;
      connection.progressMs = clock.monotonic();
      if (connection === this.#connection && this.#queue.length > 0) this.#flush();
    });
  }

  #lose(action: string, reason: string): void {
    const { log, observer } = this.#context;
    const source = STREAM_NAMES[this.kind];
    this.#status.deactivate({ action, source, reason });
    observer.sendFailed(this.#peer);
    // Of what the socket has taken, nobody knows what arrived.
    if (!this.#close()) return;
    this.#context.unreachable(this.#peer);
    log.warn('lost TCP streaming connection with remote peer', this.#fields());
  }

  /** Lets go of the connection and of what waits for it. False when there is none. */
  #close(): boolean {
    const connection = this.#connection;
    if (connection === null) return false;
    this.#connection = null;
    if (this.#queue.length > 0 || connection.writes > 0) this.#context.unreachable(this.#peer);
    this.#queue = [];
    this.#queuedBytes = 0;
    // A proper end of the body, unless the connection is stuck.
    if (connection.writes === 0) connection.response.end();
    else connection.socket.destroy();
    return true;
  }

  #fields() {
    return {
      'stream-writer-type': STREAM_NAMES[this.kind],
      'local-member-id': hexId(this.#context.memberId),
      'remote-peer-id': hexId(this.#peer),
    };
  }
}
