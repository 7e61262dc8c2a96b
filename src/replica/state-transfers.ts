/**
 * Whole states on their way between members, in both directions. A member that lacks entries which
 * its leader has dropped gets the leader's state as a file; it loads the file aside, and only when
 * nothing can be wrong with it any more does its Raft hear of it.
 *
 * It refuses to know how a state looks (`states`), and how it travels (`peers`).
 */

import { assert } from '../assert.ts';
import { limits } from '../limits.ts';
import type { Peers, SnapMessage, StateImage } from '../ports.ts';
import type { SnapshotMetadata } from '../raft/messages.ts';
import type { MemberId } from '../types.ts';

/** A state that was received, checked and loaded, but is not this member's yet. */
export interface IncomingState {
  readonly metadata: SnapshotMetadata;
  /** From here on the member's state is this one. */
  install(): Promise<void>;
  discard(): Promise<void>;
}

export interface OpenedState {
  /** Where the state stands. */
  readonly metadata: SnapshotMetadata;
  /** etcd's older form of the members, which 3.4 and 3.5 read. */
  readonly membership: Uint8Array;
  readonly image: StateImage;
}

export interface States {
  /** The state as the engine holds it. */
  open(signal: AbortSignal): Promise<OpenedState>;
  /** Rejects, leaving nothing behind, when the state cannot be used. */
  receive(
    message: SnapMessage,
    body: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<IncomingState>;
}

export interface StateTransfersOptions {
  readonly states: States;
  readonly peers: Peers;
  readonly stopping: AbortSignal;
  /** Makes everything applied durable in the engine. */
  readonly flush: () => Promise<void>;
  readonly sent: (to: MemberId, ok: boolean) => void;
  /** Raft takes the message; true when it wants the state. */
  readonly offer: (message: SnapMessage) => boolean;
  /** The disk failed. */
  readonly failed: (error: unknown) => void;
}

export class StateTransfers {
  readonly #options: StateTransfersOptions;
  readonly #sending = new Set<MemberId>();
  readonly #underWay = new Set<Promise<void>>();
  #receiving = false;
  #incoming: IncomingState | null = null;

  constructor(options: StateTransfersOptions) {
    this.#options = options;
  }

  get sending(): number {
    return this.#sending.size;
  }

  /** Sends the state at `message`'s position or a later one; the outcome goes to `sent`. */
  send(message: SnapMessage): void {
    const { sent } = this.#options;
    const { to } = message;
    if (this.#sending.has(to)) return;
    if (this.#sending.size >= limits.statesSentMax) {
      sent(to, false);
      return;
    }
    this.#sending.add(to);
    this.#keep(
      this.#send(message).then((ok) => {
        this.#sending.delete(to);
        sent(to, ok);
      }),
    );
  }

  /** For `PeerEvents.snapshot`. */
  receive(message: SnapMessage, body: AsyncIterable<Uint8Array>): Promise<void> {
    if (this.#receiving) return Promise.reject(new Error('another snapshot is being received'));
    this.#receiving = true;
    const received = this.#receive(message, body);
    // The sender hears of what fails; `close` only has to know that it is over.
    this.#keep(received.catch(() => {}));
    return received;
  }

  async #receive(message: SnapMessage, body: AsyncIterable<Uint8Array>): Promise<void> {
    const { states, stopping, offer } = this.#options;
    try {
      const incoming = await states.receive(message, body, stopping);
      if (stopping.aborted || !this.#offer(incoming, () => offer(message))) {
        await incoming.discard();
      }
    } finally {
      this.#receiving = this.#incoming !== null;
    }
  }

  /** Raft wants the state at `metadata` now: it is the one that was offered. */
  async install(metadata: SnapshotMetadata): Promise<void> {
    const incoming = this.#incoming;
    assert(incoming !== null, 'Raft only takes a snapshot that was received');
    assert(incoming.metadata.index === metadata.index, 'Raft takes the snapshot that was offered');
    await incoming.install();
    this.#incoming = null;
    this.#receiving = false;
  }

  /** Everything that was under way has ended. */
  async close(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
    await this.#incoming?.discard();
  }

  #offer(incoming: IncomingState, offer: () => boolean): boolean {
    this.#incoming = incoming;
    if (offer()) return true;
    this.#incoming = null;
    return false;
  }

  async #send(message: SnapMessage): Promise<boolean> {
    const { states, peers, stopping, flush, failed } = this.#options;
    let opened: OpenedState;
    try {
      await flush();
      opened = await states.open(stopping);
    } catch (error) {
      if (!stopping.aborted) failed(error);
      return false;
    }
    const { metadata, membership, image } = opened;
    if (metadata.index < message.snapshot.metadata.index) {
      // The flush was not carried out: the member is ending.
      await image.close();
      return false;
    }
    return peers.sendSnapshot(
      { ...message, snapshot: { metadata, data: membership } },
      image,
      stopping,
    );
  }

  #keep(work: Promise<void>): void {
    this.#underWay.add(work);
    work.then(
      () => this.#underWay.delete(work),
      (error: unknown) => {
        this.#underWay.delete(work);
        this.#options.failed(error);
      },
    );
  }
}
