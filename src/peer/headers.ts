/** What members say of themselves in requests to each other, and how that is judged. */

import type { IncomingHttpHeaders } from 'node:http';
import { must } from '../assert.ts';
import { type ClusterId, hexId, type MemberId } from '../types.ts';
import { compareMinor, parseVersion, type Version } from '../version.ts';
import type { PeerContext } from './context.ts';

export type Identity = Pick<
  PeerContext,
  'memberId' | 'clusterId' | 'peerUrls' | 'serverVersion' | 'minClusterVersion'
>;

export function requestHeaders(self: Identity): Record<string, string> {
  return {
    'X-Server-From': hexId(self.memberId),
    'X-Server-Version': self.serverVersion,
    'X-Min-Cluster-Version': self.minClusterVersion,
    'X-Etcd-Cluster-ID': hexId(self.clusterId),
    'X-PeerURLs': self.peerUrls.join(','),
  };
}

/** etcd: who says nothing is of a time when nobody did. */
const UNSAID = '2.0.0';

export const INCOMPATIBLE_VERSION = 'incompatible version';
export const CLUSTER_ID_MISMATCH = 'cluster ID mismatch';
export const MEMBER_REMOVED = 'the member has been permanently removed from the cluster';

/** Said with the versions by members that know joint membership changes; only ours do. */
export const JOINT_CHANGES_HEADER = 'X-Etcd-Joint-Changes';

/** A single header; repeated ones are not what etcd sends. */
export function headerOf(headers: IncomingHttpHeaders, name: string): string {
  const value = headers[name];
  return (Array.isArray(value) ? value[0] : value) ?? '';
}

export interface RemoteVersions {
  readonly server: Version;
  readonly minCluster: Version;
}

/** `null` when one of them is no version, for which etcd cuts the connection. */
export function remoteVersions(headers: IncomingHttpHeaders): RemoteVersions | null {
  const server = parseVersion(headerOf(headers, 'x-server-version') || UNSAID);
  const minCluster = parseVersion(headerOf(headers, 'x-min-cluster-version') || UNSAID);
  return server === null || minCluster === null ? null : { server, minCluster };
}

/** Why these members cannot talk; `null` when they can. Patches do not count. */
export function versionProblem(
  self: Pick<Identity, 'serverVersion' | 'minClusterVersion'>,
  remote: RemoteVersions,
): string | null {
  const own = must(parseVersion(self.serverVersion), 'the own version is one');
  const min = must(parseVersion(self.minClusterVersion), 'the lowest version is one');
  if (compareMinor(remote.server, min) < 0) return 'remote version is too low';
  if (compareMinor(own, remote.minCluster) < 0) return 'local version is too low';
  return null;
}

/** The first version that has both kinds of streams. */
const STREAMS_SINCE: Version = { major: 2, minor: 1, patch: 0 };

/** Whether a member whose answer has these headers serves the streams of today. */
export function hasStreams(headers: IncomingHttpHeaders): boolean {
  const version = parseVersion(headerOf(headers, 'x-server-version') || UNSAID);
  return version !== null && compareMinor(version, STREAMS_SINCE) >= 0;
}

/** As Go's ParseUint to base 16; `null`: not an id. */
export function parseHexId(text: string): MemberId | null {
  if (!/^[0-9a-fA-F]+$/.test(text)) return null;
  const digits = text.replace(/^0+(?=.)/, '');
  return digits.length > 16 ? null : (BigInt(`0x${digits}`) as MemberId);
}

export function parseClusterId(text: string): ClusterId | null {
  return parseHexId(text) as bigint | null as ClusterId | null;
}

/** Whether all of them can be dialled. */
export function arePeerUrls(urls: readonly string[]): boolean {
  return urls.every((url) => /^(https?|unixs?):\/\/[^/\s]+$/.test(url) && URL.canParse(url));
}
