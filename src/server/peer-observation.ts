/** What happens between members, in etcd's `etcd_network_*` families. */

import type { Metrics } from '../metrics/metrics.ts';
import type { PeerObserver } from '../peer/observer.ts';
import { hexId, type MemberId } from '../types.ts';

/** Looks up a series once per member: bytes are counted for every message. */
function perMember<I>(make: (id: string) => I): (id: MemberId) => I {
  const known = new Map<MemberId, I>();
  return (id) => {
    let item = known.get(id);
    if (item === undefined) {
      item = make(hexId(id));
      known.set(id, item);
    }
    return item;
  };
}

export function peerObserver(metrics: Metrics, local: MemberId): PeerObserver {
  const { network, server, snap } = metrics;
  const sentBytes = perMember((To) => network.peerSentBytesTotal.with({ To }));
  const receivedBytes = perMember((From) => network.peerReceivedBytesTotal.with({ From }));
  const pair = (peer: MemberId) => ({ Local: hexId(local), Remote: hexId(peer) });
  return {
    sent: (to, bytes) => sentBytes(to).inc(bytes),
    sendFailed: (to) => network.peerSentFailuresTotal.with({ To: hexId(to) }).inc(),
    received: (from, bytes) => receivedBytes(from).inc(bytes),
    receiveFailed: (From) => network.peerReceivedFailuresTotal.with({ From }).inc(),
    heartbeatLate: () => server.heartbeatSendFailuresTotal.inc(),
    roundTrip: (to, seconds) =>
      network.peerRoundTripTimeSeconds.with({ To: hexId(to) }).observe(seconds),
    activeChanged(peer, isActive) {
      const labels = pair(peer);
      network.activePeers.with(labels).set(isActive ? 1 : 0);
      if (!isActive) network.disconnectedPeersTotal.with(labels).inc();
    },
    snapshotSendStarted: (to) => network.snapshotSendInflightsTotal.with({ To: hexId(to) }).inc(),
    snapshotSent(to, ok, seconds) {
      const labels = { To: hexId(to) };
      network.snapshotSendInflightsTotal.with(labels).inc(-1);
      if (!ok) return network.snapshotSendFailures.with(labels).inc();
      network.snapshotSendSuccess.with(labels).inc();
      network.snapshotSendTotalDurationSeconds.with(labels).observe(seconds);
    },
    snapshotReceiveStarted(from) {
      network.snapshotReceiveInflightsTotal.with({ From: hexId(from) }).inc();
      // A state is loaded while it arrives.
      server.snapshotApplyInProgressTotal.set(1);
    },
    snapshotReceived(from, ok, seconds) {
      const labels = { From: hexId(from) };
      server.snapshotApplyInProgressTotal.set(0);
      if (ok) snap.dbSaveTotalDurationSeconds.observe(seconds);
      network.snapshotReceiveInflightsTotal.with(labels).inc(-1);
      if (!ok) return network.snapshotReceiveFailures.with(labels).inc();
      network.snapshotReceiveSuccess.with(labels).inc();
      network.snapshotReceiveTotalDurationSeconds.with(labels).observe(seconds);
    },
    snapshotRefused: (From) => network.snapshotReceiveFailures.with({ From }).inc(),
  };
}
