/** What happens between members, for whoever counts it (etcd's `etcd_network_*` families). */

import type { MemberId } from '../types.ts';

export interface PeerObserver {
  sent(to: MemberId, bytes: number): void;
  /** A message could not be sent. */
  sendFailed(to: MemberId): void;
  /** `from` is 0 for signs of life. */
  received(from: MemberId, bytes: number): void;
  /** `from`: a member's id, or an address where nothing else is known. */
  receiveFailed(from: string): void;
  /** A heartbeat left later than it should. */
  heartbeatLate(): void;
  /** Smoothed, as etcd's prober does it. */
  roundTrip(to: MemberId, seconds: number): void;
  /** Messages to and from the member get through, or have ceased to. */
  activeChanged(peer: MemberId, isActive: boolean): void;
  snapshotSendStarted(to: MemberId): void;
  /** `seconds`: since it was started. */
  snapshotSent(to: MemberId, ok: boolean, seconds: number): void;
  snapshotReceiveStarted(from: MemberId): void;
  snapshotReceived(from: MemberId, ok: boolean, seconds: number): void;
  /** Before it was known what was to be received. */
  snapshotRefused(from: string): void;
}

export const silentObserver: PeerObserver = {
  sent() {},
  sendFailed() {},
  received() {},
  receiveFailed() {},
  heartbeatLate() {},
  roundTrip() {},
  activeChanged() {},
  snapshotSendStarted() {},
  snapshotSent() {},
  snapshotReceiveStarted() {},
  snapshotReceived() {},
  snapshotRefused() {},
};
