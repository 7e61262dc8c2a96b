/**
 * The network between members: delay, loss, duplicates, another order, directions that are cut.
 * Messages travel as the bytes of etcd's encoding; whole states as a stream that may break off.
 */

import { must } from '../../src/assert.ts';
import { decodeMessage, encodeMessage } from '../../src/codec/raftpb.ts';
import type {
  PeerAddress,
  PeerEvents,
  Peers,
  Random,
  SnapMessage,
  StateImage,
} from '../../src/ports.ts';
import type { Message } from '../../src/raft/messages.ts';
import { hexId, type MemberId } from '../../src/types.ts';
import type { Life } from './life.ts';
import type { Timeline } from './timeline.ts';
import type { Trace } from './trace.ts';

/** How messages from one machine to another fare. */
export interface Link {
  isCut: boolean;
  /** Of a thousand messages so many are lost, and so many arrive twice. */
  lost: number;
  repeated: number;
  delayMs: number;
  /** On top of `delayMs`, and different for each message: the more, the less order. */
  jitterMs: number;
}

const HEALTHY: Link = { isCut: false, lost: 0, repeated: 0, delayMs: 0.3, jitterMs: 0.5 };
/** Milliseconds until a sender learns that nobody listens. */
const NOTICE_MS = 20;
/** Milliseconds between attempts to connect, which need no messages. */
const DIAL_MS = 300;

export class Network {
  readonly timeline: Timeline;
  readonly random: Random;
  readonly trace: Trace;
  readonly #links = new Map<string, Link>();
  readonly #listeners = new Map<MemberId, SimPeers>();
  /** A vote was given by the member of this machine. */
  onVote: (machine: number) => void = () => {};
  /** Of a thousand streams with a whole state so many break off at each piece. */
  streamsBreak = 0;

  constructor(timeline: Timeline, random: Random, trace: Trace) {
    this.timeline = timeline;
    this.random = random;
    this.trace = trace;
  }

  /** From one machine, by its number, to another. */
  link(from: number, to: number): Link {
    const name = `${from}>${to}`;
    let link = this.#links.get(name);
    if (link === undefined) {
      link = { ...HEALTHY };
      this.#links.set(name, link);
    }
    return link;
  }

  heal(): void {
    for (const link of this.#links.values()) Object.assign(link, HEALTHY);
    this.streamsBreak = 0;
  }

  join(peers: SimPeers): void {
    this.#listeners.set(peers.id, peers);
  }

  /** The process that runs this member now, if any. */
  listener(id: MemberId): SimPeers | null {
    const peers = this.#listeners.get(id);
    return peers === undefined || peers.life.isOver ? null : peers;
  }

  travelMs({ delayMs, jitterMs }: Link): number {
    return delayMs + (jitterMs * this.random.below(1000)) / 1000;
  }

  chance(ofThousand: number): boolean {
    return ofThousand > 0 && this.random.below(1000) < ofThousand;
  }
}

export class SimPeers implements Peers {
  readonly id: MemberId;
  readonly machine: number;
  readonly life: Life;
  readonly #network: Network;
  readonly #known = new Set<MemberId>();
  #removed: ReadonlySet<MemberId> = new Set();
  readonly #activeSince = new Map<MemberId, number>();
  #events: PeerEvents | null = null;

  constructor(network: Network, options: { id: MemberId; machine: number; life: Life }) {
    this.#network = network;
    this.id = options.id;
    this.machine = options.machine;
    this.life = options.life;
  }

  get events(): PeerEvents {
    return must(this.#events, 'the replica has joined its peers');
  }

  start(events: PeerEvents): void {
    this.#events = events;
    this.#network.join(this);
    this.life.clock.every(DIAL_MS, () => {
      for (const id of this.#known) if (id !== this.id) this.#dial(id);
    });
  }

  #dial(id: MemberId): void {
    const target = this.#network.listener(id);
    if (target === null) {
      this.#activeSince.delete(id);
      return;
    }
    const link = this.#network.link(this.machine, target.machine);
    const back = this.#network.link(target.machine, this.machine);
    if (link.isCut || back.isCut) {
      this.#activeSince.delete(id);
      return;
    }
    const travelMs = this.#network.travelMs(link);
    this.life.after(travelMs, () => target.life.run(() => target.#refuses(this)));
  }

  setMembers(members: readonly PeerAddress[], removed: ReadonlySet<MemberId>): void {
    for (const { id } of members) this.#known.add(id);
    for (const id of removed) this.#known.delete(id);
    this.#removed = new Set(removed);
  }

  activeSinceMs(id: MemberId): number | null {
    return this.#activeSince.get(id) ?? null;
  }

  send(messages: readonly Message[]): void {
    if (this.life.isOver) return;
    for (const message of messages) {
      if (this.#known.has(message.to)) this.#post(message);
    }
  }

  #post(message: Message): void {
    const { timeline, trace } = this.#network;
    const bytes = encodeMessage(message);
    const target = this.#network.listener(message.to);
    const name = describe(message);
    if (message.type === 'vote-resp' && !message.reject) this.#network.onVote(this.machine);
    if (target === null) {
      this.#lost(message.to);
      return;
    }
    const link = this.#network.link(this.machine, target.machine);
    if (link.isCut || this.#network.chance(link.lost)) {
      trace.count(link.isCut ? 'messages cut off' : 'messages lost');
      if (link.isCut) this.#lost(message.to);
      return;
    }
    // A forwarded proposal that came twice would be carried out twice, as by etcd; no transport of
    // either repeats one.
    const mayRepeat = message.type !== 'prop' && this.#network.chance(link.repeated);
    const copies = mayRepeat ? 2 : 1;
    if (copies === 2) trace.count('messages repeated');
    for (let copy = 0; copy < copies; copy++) {
      timeline.after(this.life.lagMs + this.#network.travelMs(link), () => {
        const listener = this.#network.listener(message.to);
        if (listener === null || link.isCut) return;
        trace.count('messages');
        trace.add(timeline.nowMs, `${this.machine}>${listener.machine} ${name}`);
        listener.life.run(() => listener.#receive(bytes, this));
      });
    }
  }

  #lost(to: MemberId): void {
    this.#activeSince.delete(to);
    if (this.#network.random.below(2) === 0) return;
    this.life.after(NOTICE_MS, () => this.events.unreachable(to));
  }

  #receive(bytes: Uint8Array, from: SimPeers): void {
    if (this.#refuses(from)) return;
    const message = must(decodeMessage(bytes), 'a message that was encoded can be decoded');
    this.events.message(message);
  }

  /** etcd: who was removed is told so and not listened to. */
  #refuses(from: SimPeers): boolean {
    if (!this.#removed.has(from.id)) {
      // etcd: who calls says where it can be reached, for its addition may not have come here yet.
      this.#known.add(from.id);
      if (!this.#activeSince.has(from.id)) {
        this.#activeSince.set(from.id, this.#network.timeline.nowMs);
      }
      return false;
    }
    const back = this.#network.link(this.machine, from.machine);
    if (!back.isCut) from.life.after(this.#network.travelMs(back), () => from.events.removed());
    return true;
  }

  async sendSnapshot(
    message: SnapMessage,
    image: StateImage,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { trace, timeline } = this.#network;
    const target = this.#network.listener(message.to);
    const { index } = message.snapshot.metadata;
    const name = `${this.machine}>${target?.machine ?? '?'} state ${index}`;
    trace.add(timeline.nowMs, `${name} begins`);
    const taken = target === null ? false : await this.#stream(message, image, target, signal);
    trace.add(timeline.nowMs, `${name} ${taken ? 'taken' : 'not taken'}`);
    trace.count(taken ? 'states sent' : 'states not taken');
    await image.close();
    return taken;
  }

  #stream(
    message: SnapMessage,
    image: StateImage,
    target: SimPeers,
    signal: AbortSignal,
  ): Promise<boolean> {
    return new Promise((resolve) => {
      const link = this.#network.link(this.machine, target.machine);
      const answer = (taken: boolean): void =>
        this.life.after(this.#network.travelMs(link), () => resolve(taken));
      signal.addEventListener('abort', () => resolve(false));
      target.life.onEnd(() => answer(false));
      const bytes = encodeMessage(message);
      const begin = (): void => {
        if (target.#refuses(this) || link.isCut) {
          answer(false);
          return;
        }
        const received = must(decodeMessage(bytes), 'a message that was encoded can be decoded');
        const body = this.#pieces(image, target, link);
        target.events.snapshot(received as SnapMessage, body).then(
          () => answer(true),
          () => answer(false),
        );
      };
      this.life.after(this.#network.travelMs(link), () => target.life.run(begin));
    });
  }

  /** Runs in the receiver's process, except for the reading of the image. */
  async *#pieces(image: StateImage, target: SimPeers, link: Link): AsyncGenerator<Uint8Array> {
    const broken = new Promise<never>((_resolve, reject) => {
      const breakOff = (): void => target.life.after(0, () => reject(new Error('broken off')));
      this.life.onEnd(breakOff);
    });
    // Nobody may be waiting for it when it comes.
    broken.catch(() => {});
    const pieces = image.read()[Symbol.asyncIterator]();
    for (;;) {
      await Promise.race([target.life.sleep(this.#network.travelMs(link)), broken]);
      if (link.isCut || this.#network.chance(this.#network.streamsBreak)) {
        throw new Error('broken off');
      }
      const next = await Promise.race([pieces.next(), broken]);
      if (next.done === true) return;
      yield Uint8Array.prototype.slice.call(next.value);
    }
  }

  async close(): Promise<void> {}
}

function describe(message: Message): string {
  const parts: string[] = [message.type];
  if ('term' in message) parts.push(`t${message.term}`);
  if ('index' in message) parts.push(`i${message.index}`);
  if ('entries' in message) parts.push(`n${message.entries.length}`);
  if ('commit' in message) parts.push(`c${message.commit}`);
  if ('reject' in message && message.reject) parts.push('reject');
  return parts.join(' ');
}

export function shortId(id: MemberId): string {
  return hexId(id).slice(0, 4);
}
