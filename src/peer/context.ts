/** What every part of a member's transport knows of the member, and where it reports. */

import type { Log } from '../log.ts';
import type { Clock } from '../ports.ts';
import type { Message } from '../raft/messages.ts';
import type { ClusterId, MemberId } from '../types.ts';
import type { Dialer } from './dial.ts';
import type { PeerObserver } from './observer.ts';

export interface PeerContext {
  readonly memberId: MemberId;
  readonly clusterId: ClusterId;
  /** Where this member can be reached, as it tells the others. */
  readonly peerUrls: readonly string[];
  readonly serverVersion: string;
  readonly minClusterVersion: string;
  /** How long a connection may take to come about. */
  readonly dialTimeoutMs: number;
  readonly clock: Clock;
  readonly log: PeerLog;
  readonly observer: PeerObserver;
  readonly dialer: Dialer;
  /** Takes what has arrived. */
  readonly deliver: (message: Message) => void;
  /** Tells Raft, and never from within a call of Raft's owner. */
  readonly unreachable: (id: MemberId) => void;
  /** Another member says that this one was removed. */
  readonly removed: () => void;
  /** Hears of a bug; ends the member. */
  readonly onFatal: (error: unknown) => void;
}

export type PeerLog = Pick<Log, 'debug' | 'info' | 'warn' | 'error'>;

/** etcd: how long a socket may take to read or write something. */
export const SOCKET_TIMEOUT_MS = 5000;
