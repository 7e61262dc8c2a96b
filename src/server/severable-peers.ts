/**
 * A transport whose links a test may cut: what goes to or comes from a severed member is lost, in
 * both directions, as if the network between them were down.
 */

import type { PeerAddress, PeerEvents, Peers, SnapMessage, StateImage } from '../ports.ts';
import type { Message } from '../raft/messages.ts';
import type { MemberId } from '../types.ts';

/** The links of one member; whoever holds this may change it at any time. */
export interface Links {
  severed: ReadonlySet<MemberId>;
}

export class SeverablePeers implements Peers {
  readonly #inner: Peers;
  readonly #links: Links;

  constructor(inner: Peers, links: Links) {
    this.#inner = inner;
    this.#links = links;
  }

  start(events: PeerEvents): void {
    this.#inner.start({
      ...events,
      message: (message) => {
        if (!this.#links.severed.has(message.from)) events.message(message);
      },
      snapshot: (message, body) => {
        if (!this.#links.severed.has(message.from)) return events.snapshot(message, body);
        return Promise.reject(new Error('the link is cut'));
      },
    });
  }

  send(messages: readonly Message[]): void {
    if (this.#links.severed.size === 0) this.#inner.send(messages);
    else this.#inner.send(messages.filter(({ to }) => !this.#links.severed.has(to)));
  }

  async sendSnapshot(
    message: SnapMessage,
    image: StateImage,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (!this.#links.severed.has(message.to))
      return this.#inner.sendSnapshot(message, image, signal);
    await image.close();
    return false;
  }

  setMembers(members: readonly PeerAddress[], removed: ReadonlySet<MemberId>): void {
    this.#inner.setMembers(members, removed);
  }

  activeSinceMs(id: MemberId): number | null {
    return this.#links.severed.has(id) ? null : this.#inner.activeSinceMs(id);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
