/**
 * Another member as the transport sees it: its streams in both directions, the requests that stand
 * in for them, and the probes. A `Remote` is a member of which only its URLs are known.
 */

import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { SnapMessage } from '../ports.ts';
import type { Message } from '../raft/messages.ts';
import { hexId, type MemberId } from '../types.ts';
import type { PeerContext } from './context.ts';
import { reasonOf } from './exchange.ts';
import type { StreamKind } from './frames.ts';
import { PeerStatus } from './peer-status.ts';
import { Pipeline } from './pipeline.ts';
import { postProblem } from './post-answer.ts';
import { Prober } from './prober.ts';
import { postSnapshot, type Sending } from './snapshot-sender.ts';
import { StreamReader } from './stream-reader.ts';
import { StreamWriter } from './stream-writer.ts';
import { UrlPicker } from './url-picker.ts';

export class Peer {
  readonly id: MemberId;
  readonly picker: UrlPicker;
  readonly status: PeerStatus;
  readonly #context: PeerContext;
  readonly #writers: Readonly<Record<StreamKind, StreamWriter>>;
  readonly #readers: readonly StreamReader[];
  readonly #pipeline: Pipeline;
  #probers: readonly Prober[];

  constructor(context: PeerContext, id: MemberId, urls: readonly string[]) {
    this.id = id;
    this.#context = context;
    this.picker = new UrlPicker(urls);
    this.status = new PeerStatus(context, id);
    this.#writers = {
      message: new StreamWriter(context, id, 'message', this.status),
      msgapp: new StreamWriter(context, id, 'msgapp', this.status),
    };
    this.#readers = [
      new StreamReader(context, this, 'msgapp'),
      new StreamReader(context, this, 'message'),
    ];
    this.#pipeline = new Pipeline(context, this);
    this.#probers = Prober.both(context, id, urls);
  }

  update(urls: readonly string[]): void {
    this.picker.update(urls);
    for (const prober of this.#probers) prober.close();
    this.#probers = Prober.both(this.#context, this.id, urls);
  }

  /** Appends have a stream of their own; without streams everything is posted. */
  send(message: Message): void {
    const { message: messages, msgapp } = this.#writers;
    const writer =
      message.type === 'app' && msgapp.isAttached ? msgapp : messages.isAttached ? messages : null;
    if ((writer ?? this.#pipeline).enqueue(message)) return;
    this.#context.unreachable(this.id);
    this.#context.observer.sendFailed(this.id);
    this.#context.log.warn('dropped internal Raft message since sending buffer is full', {
      'message-type': message.type,
      'local-member-id': hexId(this.#context.memberId),
      from: hexId(message.from),
      'remote-peer-id': hexId(this.id),
      'remote-peer-name': writer === null ? 'pipeline' : `stream ${writer.kind}`,
      'remote-peer-active': this.status.activeSinceMs !== null,
    });
  }

  /** True when the member has taken the state. Rejects only for a bug. */
  async sendSnapshot(
    message: SnapMessage,
    sending: Pick<Sending, 'image' | 'ticks' | 'signal'>,
  ): Promise<boolean> {
    const { clock, log, observer, unreachable } = this.#context;
    const { bytes } = sending.image;
    const url = this.picker.pick();
    const fields = {
      'snapshot-index': message.snapshot.metadata.index,
      'remote-peer-id': hexId(this.id),
      bytes,
    };
    const startMs = clock.monotonic();
    log.info('sending database snapshot', fields);
    observer.snapshotSendStarted(this.id);
    let reason: string | null;
    try {
      const answer = await postSnapshot({ ...sending, context: this.#context, url, message });
      reason = postProblem(this.#context, { to: this.id, url: `${url}/raft/snapshot`, answer });
    } catch (error) {
      reason = reasonOf(error);
    }
    observer.snapshotSent(this.id, reason === null, (clock.monotonic() - startMs) / 1000);
    if (reason === null) {
      this.status.activate();
      observer.sent(this.id, bytes);
      log.info('sent database snapshot', fields);
      return true;
    }
    log.warn('failed to send database snapshot', { ...fields, error: reason });
    this.picker.unreachable(url);
    this.status.deactivate({ action: 'post', source: 'sendMsgSnap', reason });
    unreachable(this.id);
    observer.sendFailed(this.id);
    return false;
  }

  attach(kind: StreamKind, response: ServerResponse, socket: Socket): void {
    this.#writers[kind].attach(response, socket);
  }

  tick(nowMs: number): void {
    this.#writers.message.tick(nowMs);
    this.#writers.msgapp.tick(nowMs);
    for (const reader of this.#readers) reader.tick(nowMs);
    for (const prober of this.#probers) prober.tick(nowMs);
  }

  /** It was removed: nothing of it is heard any more. `close` follows. */
  ignore(): void {
    for (const reader of this.#readers) reader.close();
    for (const prober of this.#probers) prober.close();
  }

  close(): void {
    this.ignore();
    this.#writers.message.close();
    this.#writers.msgapp.close();
    this.#pipeline.close();
  }
}

/** Somebody who wrote to us before we heard that it is a member: posts are all it gets. */
export class Remote {
  readonly #context: PeerContext;
  readonly #id: MemberId;
  readonly #pipeline: Pipeline;

  constructor(context: PeerContext, id: MemberId, urls: readonly string[]) {
    this.#context = context;
    this.#id = id;
    const status = new PeerStatus(context, id);
    this.#pipeline = new Pipeline(context, { id, picker: new UrlPicker(urls), status });
  }

  send(message: Message): void {
    if (this.#pipeline.enqueue(message)) return;
    this.#context.observer.sendFailed(this.#id);
    this.#context.log.warn('dropped Raft message since sending buffer is full', {
      'message-type': message.type,
      'local-member-id': hexId(this.#context.memberId),
      from: hexId(message.from),
      'remote-peer-id': hexId(this.#id),
    });
  }

  close(): void {
    this.#pipeline.close();
  }
}
