/** The storage of a member together with its way to the other members. */

import { must } from '../assert.ts';
import type { Settings } from '../config/flags.ts';
import { effective } from '../config/start.ts';
import type { Log } from '../log.ts';
import type { PeerClient } from '../peer/client.ts';
import { Transport } from '../peer/transport.ts';
import { systemClock } from '../platform/clock.ts';
import { resolveHost } from '../platform/resolve.ts';
import type { StateOptions } from '../replica/open-state.ts';
import { type MemoryFolder, openDataFolder, touchFolders } from './data-folder.ts';
import { discoverCluster } from './discovery.ts';
import { chooseStart } from './join.ts';
import type { Observation } from './observation.ts';
import type { Security } from './security.ts';
import { type Links, SeverablePeers } from './severable-peers.ts';
import { openStorage, type Storage } from './storage.ts';

export interface LinkedStorageOptions {
  readonly config: Settings;
  readonly log: Log;
  /** `null`: in the data folder. */
  readonly memory: MemoryFolder | null;
  readonly links: Links | null;
  readonly auth: StateOptions['auth'];
  readonly security: Pick<Security, 'toPeers'>;
  readonly onFatal: (error: unknown) => void;
  readonly onRemoved: () => void;
  /** Ends the search for the founders of a cluster. */
  readonly signal: AbortSignal;
}

/** etcd: beside an election timeout, how long a connection to another member may take. */
const DIAL_BASE_MS = 1000;

export async function openLinkedStorage(
  { config, log, memory, links, security, auth, onFatal, onRemoved, signal }: LinkedStorageOptions,
  observation: Observation,
  peerClient: PeerClient,
): Promise<{ readonly storage: Storage; readonly transport: Transport }> {
  const derived = effective(config);
  if (memory === null) await touchFolders(config.dataDir, derived.memberDir, log);
  const folder = await openDataFolder(config.dataDir, derived, memory);
  if (folder.hasLog && config.discoveryEndpoints.length > 0) {
    const ignored =
      'discovery token is ignored since cluster already initialized; valid logs are found';
    log.warn(ignored, { 'wal-dir': folder.walDir });
  }
  const transports: Transport[] = [];
  const storage = await openStorage({
    config,
    derived,
    folder,
    start: () =>
      chooseStart({
        config,
        requestTimeoutMs: derived.requestTimeoutMs,
        peers: peerClient,
        resolve: resolveHost,
        discover: (memberId, self) =>
          discoverCluster({ config, clock: systemClock, log, signal }, memberId, self),
        clock: systemClock,
        log,
      }),
    connect({ memberId, clusterId }) {
      const transport = new Transport({
        memberId,
        clusterId,
        peerUrls: config.initialAdvertisePeerUrls,
        heartbeatMs: config.heartbeatInterval,
        dialTimeoutMs: DIAL_BASE_MS + config.electionTimeout,
        clock: systemClock,
        log,
        observer: observation.peersOf(memberId),
        tls: security.toPeers(),
        onFatal,
      });
      transports.push(transport);
      return links === null ? transport : new SeverablePeers(transport, links);
    },
    observation,
    auth,
    onFatal,
    onRemoved,
  });
  return { storage, transport: must(transports[0], 'the replica was connected') };
}
