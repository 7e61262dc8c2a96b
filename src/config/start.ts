/**
 * What is derived from the settings when a member starts: effective values behind a 0, the members
 * of the initial cluster, and the checks that etcd makes only then. Nothing here reads the machine.
 */

import { isIP } from 'node:net';
import { goDuration, parseDuration } from '../duration.ts';
import type { Log } from '../log.ts';
import { GIT_SHA, goArch, SERVER_VERSION } from '../version.ts';
import { gateEnabled } from './feature-gates.ts';
import type { Settings } from './flags.ts';
import { durationFault, goQuote, parseInteger, ValueError } from './go-text.ts';
import { checkUrl, parseUrls, splitUrl } from './url.ts';

const HOUR_MS = 3_600_000;
const REQUEST_BASE_MS = 5000;

export const DEFAULT_QUOTA_BYTES = 2 * 1024 * 1024 * 1024;

export type Compaction =
  | { readonly mode: 'off' }
  | { readonly mode: 'periodic'; readonly periodMs: number }
  | { readonly mode: 'revision'; readonly revisions: number };

export interface Effective {
  readonly electionTicks: number;
  /** etcd: how long one request may take, with room for an election. */
  readonly requestTimeoutMs: number;
  readonly snapshotCount: number;
  /** null: no quota. */
  readonly quotaBytes: number | null;
  readonly compactionBatchLimit: number;
  readonly compactionSleepMs: number;
  readonly progressNotifyMs: number;
  readonly backendBatchIntervalMs: number;
  readonly backendBatchLimit: number;
  readonly walDir: string;
  readonly memberDir: string;
}

/** The values that stand behind 0 and empty. */
export function effective(config: Settings): Effective {
  const electionTicks = Math.floor(config.electionTimeout / config.heartbeatInterval);
  const quota = config.quotaBackendBytes;
  const memberDir = `${config.dataDir}/member`;
  return {
    electionTicks,
    requestTimeoutMs: REQUEST_BASE_MS + 2 * electionTicks * config.heartbeatInterval,
    snapshotCount: config.snapshotCount || 10_000,
    quotaBytes: quota < 0 ? null : quota || DEFAULT_QUOTA_BYTES,
    compactionBatchLimit: config.compactionBatchLimit || 1000,
    compactionSleepMs: config.compactionSleepInterval || 10,
    progressNotifyMs: Math.max(config.watchProgressNotifyInterval || 600_000, 100),
    backendBatchIntervalMs: config.backendBatchInterval || 100,
    backendBatchLimit: config.backendBatchLimit || 10_000,
    walDir: config.walDir === '' ? `${memberDir}/wal` : config.walDir,
    memberDir,
  };
}

/** Throws `ValueError` with etcd's text when the retention cannot be read. */
export function compactionOf(config: Settings): Compaction {
  const nanoseconds = retentionNanoseconds(config);
  if (nanoseconds <= 0) return { mode: 'off' };
  if (config.autoCompactionMode === 'revision') return { mode: 'revision', revisions: nanoseconds };
  return { mode: 'periodic', periodMs: nanoseconds / 1_000_000 };
}

/** etcd: one integer for both modes, so "5m" in revision mode is 300000000000 revisions. */
function retentionNanoseconds(config: Settings): number {
  const text = config.autoCompactionRetention === '' ? '0' : config.autoCompactionRetention;
  const whole = /^[+-]?\d+$/.test(text)
    ? parseInteger(text.replace(/^([+-]?)0+(?=\d)/, '$1'), -(1n << 63n), (1n << 63n) - 1n)
    : null;
  if (whole?.kind === 'value' && whole.value >= 0n) {
    const count = Number(whole.value);
    return config.autoCompactionMode === 'revision' ? count : count * HOUR_MS * 1_000_000;
  }
  const period = parseDuration(text);
  if (period !== null) return period * 1_000_000;
  throw new ValueError(`error parsing CompactionRetention: ${durationFault(text)}`);
}

/** Peer URLs by member name; a name may repeat. Throws `ValueError`. */
export function initialClusterUrls(text: string): ReadonlyMap<string, readonly string[]> {
  const members = new Map<string, string[]>();
  for (const part of text.split(',')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const name = equals < 0 ? part : part.slice(0, equals);
    const url = equals < 0 ? '' : part.slice(equals + 1);
    const urls = members.get(name);
    if (urls === undefined) members.set(name, [url]);
    else urls.push(url);
  }
  try {
    for (const urls of members.values()) {
      urls.splice(0, urls.length, ...urls.map((url) => checkUrl(url.trim())).sort());
    }
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw new ValueError(`error setting up initial cluster: ${error.message}`, { cause: error });
  }
  return members;
}

/** As etcd prints a set of members. */
export function clusterText(members: ReadonlyMap<string, readonly string[]>): string {
  const pairs = [...members].flatMap(([name, urls]) => urls.map((url) => `${name}=${url}`));
  return pairs.sort().join(',');
}

type Founder = Pick<Settings, 'name' | 'initialCluster' | 'initialAdvertisePeerUrls'>;

/**
 * The checks of a first start with state `new`. URLs are compared as text; where they differ only
 * in how they name a host, the caller resolves both sides and asks again.
 */
export function bootstrapProblem(config: Founder): string | null {
  const members = initialClusterUrls(config.initialCluster);
  return (
    localMemberProblem(config, members) ??
    advertiseProblem(config, members.get(config.name) ?? []) ??
    duplicateProblem(members)
  );
}

/** The checks of a first start with state `existing`. */
export function joinProblem(config: Settings): string | null {
  const members = initialClusterUrls(config.initialCluster);
  const discovers = config.discoveryEndpoints.length > 0;
  return (
    localMemberProblem(config, members) ??
    duplicateProblem(members) ??
    (discovers ? 'discovery URL should not be set when joining existing initial cluster' : null)
  );
}

type Members = ReadonlyMap<string, readonly string[]>;

function localMemberProblem(config: Pick<Settings, 'name'>, members: Members): string | null {
  if (members.has(config.name)) return null;
  return `couldn't find local name ${goQuote(config.name)} in the initial cluster configuration`;
}

export function duplicateProblem(
  members: Members,
  origin: 'initial' | 'discovery' = 'initial',
): string | null {
  const urls = [...members.values()].flat();
  if (new Set(urls).size === urls.length) return null;
  return `${origin} cluster ${clusterText(members)} has duplicate url`;
}

function advertiseProblem(config: Founder, listed: readonly string[]): string | null {
  const advertised = config.initialAdvertisePeerUrls;
  const name = config.name;
  const onlyListed = listed.filter((url) => !advertised.includes(url));
  if (onlyListed.length > 0) {
    const has = onlyListed.map((url) => `${name}=${url}`).join(',');
    const from = [...advertised].sort().join(',');
    const why =
      listed.length === advertised.length
        ? `resolved urls: ${goQuote(from)} != ${goQuote(listed.join(','))}`
        : `len(${goList(advertised)}) != len(${goList(listed)})`;
    const missing = `missing from --initial-advertise-peer-urls=${from} (${why})`;
    return `--initial-cluster has ${has} but ${missing}`;
  }
  const onlyAdvertised = advertised.filter((url) => !listed.includes(url));
  if (onlyAdvertised.length === 0) return null;
  const has = onlyAdvertised.join(',');
  const from = clusterText(new Map([[name, advertised]]));
  return `--initial-advertise-peer-urls has ${has} but missing from --initial-cluster=${from}`;
}

/** As Go's %q of a list. */
function goList(texts: readonly string[]): string {
  return `[${texts.map(goQuote).join(' ')}]`;
}

/** Listener settings that contradict each other or miss a certificate; etcd's texts. */
export function listenerProblem(config: Settings): string | null {
  const hasCert = config.certFile !== '' || config.keyFile !== '' || config.autoTls;
  const client = [...config.listenClientUrls, ...config.listenClientHttpUrls];
  for (const text of client) {
    if (splitUrl(text).secure && !hasCert) {
      const need = 'TLS key/cert (--cert-file, --key-file) must be provided for client url';
      return `${need} ${text} with HTTPS scheme`;
    }
  }
  if (config.listenMetricsUrls.some((text) => splitUrl(text).secure) && !hasCert) {
    return 'client TLS key/cert (--cert-file, --key-file) must be provided for metrics secure url';
  }
  const taken = new Set(config.listenClientUrls.map((text) => splitUrl(text).address));
  for (const text of config.listenClientHttpUrls) {
    if (!taken.has(splitUrl(text).address)) continue;
    const both = 'cannot bind both --listen-client-urls and --listen-client-http-urls';
    return `${both} on the same url ${text}`;
  }
  return null;
}

/** The URL list of a setting, from text: for the embedding interface. */
export function urlList(value: string | readonly string[]): readonly string[] {
  return parseUrls(typeof value === 'string' ? value : value.join(','));
}

/**
 * etcd: with a feature gate, connections to other members come from the address that this member
 * is known by to them. Empty: from any.
 */
export function localAddress(config: Settings, log: Log): string {
  if (!gateEnabled(config.featureGates, 'SetMemberLocalAddr')) return '';
  const urls = { 'advertise-peer-urls': config.initialAdvertisePeerUrls };
  log.info('searching for a suitable member local address in AdvertisePeerURLs', urls);
  for (const url of config.initialAdvertisePeerUrls) {
    const host = splitUrl(url).host.replace(/^\[|\]$/g, '');
    if (isIP(host) === 0 || /^(127\..*|::1|0\.0\.0\.0|::)$/.test(host)) continue;
    log.info('setting member local address', { LocalAddr: host });
    return host;
  }
  const lack = 'unable to set a member local address due to lack of suitable local addresses';
  log.warn(lack, urls);
  return '';
}

/** The fields of the lines around the end of a member. */
export function closingFields(config: Settings) {
  return {
    name: config.name,
    'data-dir': config.dataDir,
    'advertise-peer-urls': config.initialAdvertisePeerUrls,
    'advertise-client-urls': config.advertiseClientUrls,
  };
}

/** The fields of the line "starting an etcd server", in etcd's order. */
export function startFields(
  config: Settings,
  facts: {
    readonly memberInitialized: boolean;
    /** See `localAddress`. */
    readonly localAddress: string;
    readonly cpus: number;
    readonly runtime: string;
    readonly platform: string;
    readonly arch: string;
  },
): Readonly<Record<string, string | number | boolean | readonly string[]>> {
  const { electionTicks, memberDir } = effective(config);
  const compaction = goDuration(retentionNanoseconds(config) / 1_000_000);
  const cluster = facts.memberInitialized
    ? ''
    : clusterText(initialClusterUrls(config.initialCluster));
  return {
    'etcd-version': SERVER_VERSION,
    'git-sha': GIT_SHA,
    'go-version': facts.runtime,
    'go-os': facts.platform,
    'go-arch': goArch(facts.arch),
    'max-cpu-set': facts.cpus,
    'max-cpu-available': facts.cpus,
    'member-initialized': facts.memberInitialized,
    name: config.name,
    'data-dir': config.dataDir,
    'wal-dir': config.walDir,
    'wal-dir-dedicated': config.walDir,
    'member-dir': memberDir,
    'force-new-cluster': config.forceNewCluster,
    'heartbeat-interval': goDuration(config.heartbeatInterval),
    'election-timeout': goDuration(electionTicks * config.heartbeatInterval),
    'initial-election-tick-advance': config.initialElectionTickAdvance,
    'snapshot-count': config.snapshotCount,
    'max-wals': config.maxWals,
    'max-snapshots': config.maxSnapshots,
    'snapshot-catchup-entries': config.snapshotCatchupEntries,
    'initial-advertise-peer-urls': config.initialAdvertisePeerUrls,
    'listen-peer-urls': config.listenPeerUrls,
    'advertise-client-urls': config.advertiseClientUrls,
    'listen-client-urls': config.listenClientUrls,
    'listen-metrics-urls': config.listenMetricsUrls,
    'local-address': facts.localAddress,
    cors: config.cors,
    'host-whitelist': config.hostWhitelist,
    'initial-cluster': cluster,
    'initial-cluster-state': config.initialClusterState,
    // etcd: neither is looked at any more.
    'initial-cluster-token': facts.memberInitialized ? '' : config.initialClusterToken,
    'quota-backend-bytes': config.quotaBackendBytes || DEFAULT_QUOTA_BYTES,
    'max-request-bytes': config.maxRequestBytes,
    'max-concurrent-streams': config.maxConcurrentStreams,
    'pre-vote': config.preVote,
    'feature-gates': config.featureGates.text,
    'initial-corrupt-check': false,
    'corrupt-check-time-interval': goDuration(config.corruptCheckTime),
    'compact-check-time-interval': goDuration(config.compactHashCheckTime),
    'auto-compaction-mode': config.autoCompactionMode,
    'auto-compaction-retention': compaction,
    'auto-compaction-interval': compaction,
    ...discoveryFields(config),
    'downgrade-check-interval': goDuration(config.downgradeCheckTime),
    'max-learners': config.maxLearners,
    'v2-deprecation': config.v2Deprecation,
  };
}

function discoveryFields(config: Settings): Readonly<Record<string, string | boolean>> {
  return {
    'discovery-token': config.discoveryToken,
    'discovery-endpoints': config.discoveryEndpoints.join(','),
    'discovery-dial-timeout': goDuration(config.discoveryDialTimeout),
    'discovery-request-timeout': goDuration(config.discoveryRequestTimeout),
    'discovery-keepalive-time': goDuration(config.discoveryKeepaliveTime),
    'discovery-keepalive-timeout': goDuration(config.discoveryKeepaliveTimeout),
    'discovery-insecure-transport': config.discoveryInsecureTransport,
    'discovery-insecure-skip-tls-verify': config.discoveryInsecureSkipTlsVerify,
    'discovery-cert': config.discoveryCert,
    'discovery-key': config.discoveryKey,
    'discovery-cacert': config.discoveryCacert,
    'discovery-user': config.discoveryUser,
  };
}
