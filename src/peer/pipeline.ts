/**
 * The way out to a member that has not dialled us: each message in a request of its own. etcd: four
 * of them at once, and a short queue, since this is only for the time until the streams stand.
 */

import { encodeMessage } from '../codec/raftpb.ts';
import { limits } from '../limits.ts';
import type { Message } from '../raft/messages.ts';
import type { MemberId } from '../types.ts';
import { type PeerContext, SOCKET_TIMEOUT_MS } from './context.ts';
import { exchange, reasonOf } from './exchange.ts';
import { messageBytesMax } from './frames.ts';
import { requestHeaders } from './headers.ts';
import type { PeerStatus } from './peer-status.ts';
import { postProblem } from './post-answer.ts';
import type { UrlPicker } from './url-picker.ts';

const SOURCE = 'pipeline';

export class Pipeline {
  readonly #context: PeerContext;
  readonly #peer: MemberId;
  readonly #picker: UrlPicker;
  readonly #status: PeerStatus;
  readonly #queue: Message[] = [];
  #queuedBytes = 0;
  #posts = 0;
  readonly #closing = new AbortController();

  constructor(
    context: PeerContext,
    peer: { readonly id: MemberId; readonly picker: UrlPicker; readonly status: PeerStatus },
  ) {
    this.#context = context;
    this.#peer = peer.id;
    this.#picker = peer.picker;
    this.#status = peer.status;
  }

  /** False when there is no room: the message is not taken. */
  enqueue(message: Message): boolean {
    if (this.#queue.length >= limits.peerPipelineQueueMax) return false;
    if (this.#queuedBytes >= limits.peerPipelineQueueBytesMax) return false;
    this.#queue.push(message);
    this.#queuedBytes += messageBytesMax(message);
    this.#work();
    return true;
  }

  close(): void {
    this.#queue.length = 0;
    this.#queuedBytes = 0;
    this.#closing.abort();
  }

  #work(): void {
    while (this.#posts < limits.peerPipelinePostsMax && !this.#closing.signal.aborted) {
      const message = this.#queue.shift();
      if (message === undefined) return;
      this.#queuedBytes -= messageBytesMax(message);
      this.#posts++;
      this.#post(message).then(() => {
        this.#posts--;
        this.#work();
      }, this.#context.onFatal);
    }
  }

  async #post(message: Message): Promise<void> {
    const { observer, dialTimeoutMs } = this.#context;
    const url = this.#picker.pick();
    const body = encodeMessage(message);
    let reason: string | null;
    try {
      const answer = await exchange(this.#context, {
        url,
        method: 'POST',
        path: '/raft',
        headers: { ...requestHeaders(this.#context), 'Content-Type': 'application/protobuf' },
        connection: 'kept',
        body,
        timeoutMs: dialTimeoutMs + SOCKET_TIMEOUT_MS,
        answerBytesMax: limits.peerRefusalBytesMax,
        signal: this.#closing.signal,
      });
      reason = postProblem(this.#context, { to: this.#peer, url: `${url}/raft`, answer });
    } catch (error) {
      reason = reasonOf(error);
    }
    if (this.#closing.signal.aborted) return;
    if (reason === null) {
      this.#status.activate();
      observer.sent(this.#peer, body.length);
      return;
    }
    this.#picker.unreachable(url);
    this.#status.deactivate({ action: 'write', source: SOURCE, reason });
    this.#context.unreachable(this.#peer);
    observer.sendFailed(this.#peer);
  }
}
