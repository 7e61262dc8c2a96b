/**
 * The other members, over etcd's peer protocol (rafthttp): who they are, what goes to whom and
 * which way, and what comes in. A member of any etcd 3.x can be at the other end.
 *
 * Messages may get lost, and Raft copes; so every queue is short, a full one drops, and nothing
 * here waits for anybody. One timer drives all deadlines and repetitions.
 */

import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { assert } from '../assert.ts';
import { goDuration } from '../duration.ts';
import { limits } from '../limits.ts';
import type {
  Clock,
  PeerAddress,
  PeerEvents,
  Peers,
  SnapMessage,
  StateImage,
  Stop,
} from '../ports.ts';
import type { Message } from '../raft/messages.ts';
import type { ClientTls } from '../tls/client-tls.ts';
import { type ClusterId, hexId, type MemberId } from '../types.ts';
import { MIN_CLUSTER_VERSION, SERVER_VERSION } from '../version.ts';
import type { PeerContext, PeerLog } from './context.ts';
import { Dialer } from './dial.ts';
import type { StreamKind } from './frames.ts';
import { HeartbeatWatch } from './heartbeat-watch.ts';
import { type PeerObserver, silentObserver } from './observer.ts';
import { Peer, Remote } from './peer.ts';

export interface TransportOptions {
  readonly memberId: MemberId;
  readonly clusterId: ClusterId;
  /** As this member advertises them. */
  readonly peerUrls: readonly string[];
  /** How long a connection to another member may take to come about. */
  readonly dialTimeoutMs: number;
  /** etcd: --heartbeat-interval. */
  readonly heartbeatMs: number;
  readonly clock: Clock;
  readonly log: PeerLog;
  readonly observer?: PeerObserver;
  /** For secure URLs. */
  readonly tls?: ClientTls | null;
  /** Hears of a bug; ends the member. */
  readonly onFatal: (error: unknown) => void;
}

/** Twice as often as the shortest interval that is to be kept. */
const TICK_MS = 50;
/** How long what a removed member is told may take to leave. */
const FAREWELL_MS = 200;

export class Transport implements Peers {
  readonly context: PeerContext;
  readonly #peers = new Map<MemberId, Peer>();
  readonly #remotes = new Map<MemberId, Remote>();
  readonly #deadlines = new Set<(nowMs: number) => void>();
  /** Removed members, which are still sent what was for them: that they were removed. */
  #leaving: { readonly peer: Peer; readonly untilMs: number }[] = [];
  #removed: ReadonlySet<MemberId> = new Set();
  #lost = new Set<MemberId>();
  #events: PeerEvents | null = null;
  #stopTicking: Stop | null = null;
  readonly #closing = new AbortController();
  readonly #heartbeats: HeartbeatWatch;
  readonly #heartbeatMs: number;

  constructor(options: TransportOptions) {
    const { observer = silentObserver, tls = null, heartbeatMs, ...rest } = options;
    this.#heartbeats = new HeartbeatWatch(heartbeatMs);
    this.#heartbeatMs = heartbeatMs;
    this.context = {
      ...rest,
      serverVersion: SERVER_VERSION,
      minClusterVersion: MIN_CLUSTER_VERSION,
      observer,
      dialer: new Dialer(tls),
      deliver: (message) => this.#deliver(message),
      unreachable: (id) => this.#report(id),
      removed: () => this.#events?.removed(),
    };
  }

  start(events: PeerEvents): void {
    assert(this.#events === null && !this.#isClosed, 'a transport is started once');
    this.#events = events;
    const { clock } = this.context;
    this.#stopTicking = clock.every(TICK_MS, () => {
      const nowMs = clock.monotonic();
      for (const peer of this.#peers.values()) peer.tick(nowMs);
      for (const check of this.#deadlines) check(nowMs);
      this.#closeLeaving(nowMs);
    });
  }

  /** `null` before it is started and after it is closed. */
  get events(): PeerEvents | null {
    return this.#events;
  }

  send(messages: readonly Message[]): void {
    for (const message of messages) {
      assert(message.type !== 'snap', 'a state has its own way');
      const { to } = message;
      if (message.type === 'heartbeat') this.#watch(message);
      const target = this.#peers.get(to) ?? this.#remotes.get(to);
      target?.send(message);
    }
  }

  #watch(heartbeat: Extract<Message, { readonly type: 'heartbeat' }>): void {
    const { clock, log, observer } = this.context;
    const lateMs = this.#heartbeats.sent(heartbeat, clock.monotonic());
    if (lateMs === 0) return;
    log.warn(
      'leader failed to send out heartbeat on time; took too long, ' +
        'leader is overloaded likely from slow disk',
      {
        to: hexId(heartbeat.to),
        'heartbeat-interval': goDuration(this.#heartbeatMs),
        'expected-duration': goDuration(this.#heartbeats.maxMs),
        'exceeded-duration': goDuration(lateMs),
      },
    );
    observer.heartbeatLate();
  }

  async sendSnapshot(
    message: SnapMessage,
    image: StateImage,
    signal: AbortSignal,
  ): Promise<boolean> {
    try {
      const peer = this.#peers.get(message.to);
      if (peer === undefined || this.#isClosed) return false;
      return await peer.sendSnapshot(message, {
        image,
        ticks: this,
        signal: AbortSignal.any([signal, this.#closing.signal]),
      });
    } finally {
      await image.close();
    }
  }

  setMembers(members: readonly PeerAddress[], removed: ReadonlySet<MemberId>): void {
    if (this.#isClosed) return;
    this.#removed = removed;
    for (const id of removed) this.#remove(id);
    for (const { id, peerUrls } of members) this.#set(id, peerUrls);
  }

  activeSinceMs(id: MemberId): number | null {
    return this.#peers.get(id)?.status.activeSinceMs ?? null;
  }

  isRemoved(id: MemberId): boolean {
    return this.#removed.has(id);
  }

  /** Somebody writes to us whom we do not know yet. `urls` must be ones that can be dialled. */
  addRemote(id: MemberId, urls: readonly string[]): void {
    const { log, memberId } = this.context;
    if (this.#isClosed || id === memberId || this.#removed.has(id)) return;
    if (this.#peers.has(id) || this.#remotes.has(id)) return;
    if (this.#remotes.size >= limits.peerRemotesMax) return;
    this.#remotes.set(id, new Remote(this.context, id, urls));
    log.info('added new remote peer', this.#fields(id, urls));
  }

  /** Why a message is not taken, which is logged; `null`: it is. */
  problemOf({ from, to }: Message): string | null {
    const { log, memberId } = this.context;
    const local = hexId(memberId);
    if (this.#removed.has(from)) {
      const fields = { 'local-member-id': local, 'removed-member-id': hexId(from) };
      log.warn('rejected Raft message from removed member', fields);
      return 'cannot process message from removed member';
    }
    if (to !== memberId) {
      const fields = { 'local-member-id': local, 'mismatch-member-id': hexId(to) };
      log.warn('rejected Raft message to mismatch member', fields);
      return 'cannot process message to mismatch member';
    }
    return null;
  }

  isPeer(id: MemberId): boolean {
    return this.#peers.has(id);
  }

  /** A member that is known has dialled us for its messages. */
  attach(id: MemberId, kind: StreamKind, response: ServerResponse, socket: Socket): void {
    this.#peers.get(id)?.attach(kind, response, socket);
  }

  /** Calls `check` with every tick. */
  everyTick(check: (nowMs: number) => void): Stop {
    this.#deadlines.add(check);
    return () => this.#deadlines.delete(check);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#events = null;
    this.#stopTicking?.();
    for (const peer of this.#peers.values()) peer.close();
    this.#closeLeaving(Number.POSITIVE_INFINITY);
    for (const remote of this.#remotes.values()) remote.close();
    this.#peers.clear();
    this.#remotes.clear();
    this.context.dialer.close();
  }

  get #isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  #set(id: MemberId, urls: readonly string[]): void {
    const { clock, log, memberId } = this.context;
    if (id === memberId) return;
    const known = this.#peers.get(id);
    if (known === undefined) {
      this.#remotes.get(id)?.close();
      this.#remotes.delete(id);
      const peer = new Peer(this.context, id, urls);
      this.#peers.set(id, peer);
      // Not to lose the time until the next tick.
      if (this.#events !== null) peer.tick(clock.monotonic());
      log.info('added remote peer', this.#fields(id, urls));
    } else if (known.picker.urls.join() !== urls.join()) {
      known.update(urls);
      log.info('updated remote peer', {
        'local-member-id': hexId(memberId),
        'updated-remote-peer-id': hexId(id),
        'updated-remote-peer-urls': urls,
      });
    }
  }

  #closeLeaving(nowMs: number): void {
    if (this.#leaving.length === 0) return;
    for (const { peer, untilMs } of this.#leaving) if (untilMs <= nowMs) peer.close();
    this.#leaving = this.#leaving.filter(({ untilMs }) => untilMs > nowMs);
  }

  #remove(id: MemberId): void {
    const peer = this.#peers.get(id);
    this.#remotes.get(id)?.close();
    this.#remotes.delete(id);
    if (peer === undefined) return;
    peer.ignore();
    const untilMs = this.context.clock.monotonic() + FAREWELL_MS;
    this.#leaving.push({ peer, untilMs });
    this.#peers.delete(id);
    this.context.log.info('removed remote peer', {
      'local-member-id': hexId(this.context.memberId),
      'removed-remote-peer-id': hexId(id),
    });
  }

  #deliver(message: Message): void {
    if (message.type === 'snap') {
      this.context.log.warn('rejected Raft message; a snapshot comes with its database', {
        'local-member-id': hexId(this.context.memberId),
      });
    } else if (this.problemOf(message) === null) {
      this.#events?.message(message);
    }
  }

  /** Once for all that was lost in this turn, and after whoever lost it has returned. */
  #report(id: MemberId): void {
    if (this.#lost.size === 0) {
      queueMicrotask(() => {
        const lost = this.#lost;
        this.#lost = new Set();
        for (const one of lost) this.#events?.unreachable(one);
      });
    }
    this.#lost.add(id);
  }

  #fields(id: MemberId, urls: readonly string[]) {
    return {
      'local-member-id': hexId(this.context.memberId),
      'remote-peer-id': hexId(id),
      'remote-peer-urls': urls,
    };
  }
}
