/**
 * The cluster's version: what every member is able to do, decided by the leader from what the
 * members say of themselves. It is only ever raised, except on the way of a downgrade. A member
 * also tells its name and client URLs from here, because both are told in one of two forms, and the
 * version decides which.
 *
 * The forms: members of 3.4 end themselves when they meet a request of today, and members of 3.7
 * when they meet one of the v2 store. So the older form is used exactly as long as some member is
 * of 3.4. Who has not answered might be; it is waited for only for a short while, since otherwise
 * one member that is down could keep the others from starting.
 */

import { must } from '../assert.ts';
import { EtcdError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { PeerAddress } from '../ports.ts';
import type { CommandOf } from '../replica/outcome.ts';
import type { Replica } from '../replica/replica.ts';
import { encodeV2Attributes, encodeV2ClusterVersion } from '../replica/v2-request.ts';
import { hexId } from '../types.ts';
import {
  clusterVersionText,
  compareMinor,
  MIN_CLUSTER_VERSION,
  oneMinorBelow,
  parseVersion,
  SERVER_VERSION,
  type Version,
} from '../version.ts';
import type { MemberVersion } from './downgrade-monitor.ts';
import type { PeerRequests, PeerVersions } from './peer-requests.ts';

export interface ClusterVersionDeps {
  readonly replica: Pick<
    Replica,
    'memberId' | 'isLeader' | 'term' | 'stateMachine' | 'propose' | 'proposeEncoded'
  >;
  readonly peers: Pick<PeerRequests, 'version'>;
  /** What a joiner knows of the others before it has applied the entries that name them. */
  readonly remotes: readonly PeerAddress[];
  readonly requestTimeoutMs: number;
  /** Monotonic milliseconds. */
  readonly monotonic: () => number;
  readonly log: Log;
}

export type RequestForm = 'v2' | 'v3';

/** etcd: how often the leader asks the members. */
const MONITOR_MS = 4000;
/** After how long it asks again when it could not decide. */
const RETRY_MS = 200;
/** How long a member that might be of 3.4 is waited for. */
const PATIENCE_MS = 1000;
const OWN = must(parseVersion(SERVER_VERSION), 'the own version is one');
/** From here on every member understands the requests of today. */
const V3_SINCE: Version = { major: 3, minor: 5, patch: 0 };

/** etcd: from here on a database says its version. */
const STORAGE_SINCE: Version = { major: 3, minor: 6, patch: 0 };

/** What the members said, this one included. */
export interface Census {
  /** `null` for a member that did not answer, or not with a version. */
  readonly servers: readonly (Version | null)[];
  /** The cluster's version here, or the highest that another member knows; `null`: undecided. */
  readonly cluster: Version | null;
}

/** `null`: it depends on members that did not answer. */
export function formFor({ servers, cluster }: Census): RequestForm | null {
  if (cluster !== null && compareMinor(cluster, V3_SINCE) >= 0) return 'v3';
  if (servers.some((server) => server !== null && compareMinor(server, V3_SINCE) < 0)) return 'v2';
  if (!servers.includes(null)) return 'v3';
  const isUndecided = cluster === null || clusterVersionText(cluster) === MIN_CLUSTER_VERSION;
  return isUndecided ? null : 'v2';
}

/** The version to set, or `null` to leave it. */
export function versionFor({ servers, cluster }: Census): Version | null {
  const lowest = lowestOf(servers);
  if (cluster === null) return lowest ?? parseVersion(MIN_CLUSTER_VERSION);
  if (lowest === null || lowest.major !== cluster.major) return null;
  return compareMinor(cluster, lowest) < 0 ? lowest : null;
}

/** The version to set while a downgrade is under way, `null` to leave it, or why it cannot be. */
export function downgradedVersionFor({ servers, cluster }: Census, target: string): Downgraded {
  const lowest = lowestOf(servers);
  if (cluster === null || lowest === null) return { version: null };
  if (target === clusterVersionText(cluster)) return { version: null };
  for (const [name, from] of [
    ['cluster-version', cluster],
    ['minimal-server-version', lowest],
  ] as const) {
    if (target !== clusterVersionText(oneMinorBelow(from))) return { name, from };
  }
  return { version: parseVersion(target) };
}

type Downgraded =
  | { readonly version: Version | null }
  | { readonly name: 'cluster-version' | 'minimal-server-version'; readonly from: Version };

/** `null` when one of them is not known. */
function lowestOf(servers: readonly (Version | null)[]): Version | null {
  let lowest = OWN;
  for (const server of servers) {
    if (server === null) return null;
    if (compareMinor(server, lowest) < 0) lowest = server;
  }
  return lowest;
}

function highestOf(versions: readonly (Version | null)[]): Version | null {
  return versions.reduce((highest, version) => {
    if (highest === null || version === null) return highest ?? version;
    return compareMinor(highest, version) < 0 ? version : highest;
  }, null);
}

export class ClusterVersion {
  readonly #deps: ClusterVersionDeps;
  readonly #startedMs: number;
  /** The term of office in which was asked last, and when. */
  #askedTerm = -1;
  #askedMs = 0;
  #isAsking = false;
  /** What was applied when it was last looked at. */
  #applied = '';

  constructor(deps: ClusterVersionDeps) {
    this.#deps = deps;
    this.#startedMs = deps.monotonic();
  }

  /**
   * To be called with every tick: the leader decides when it has committed in its term, and every
   * four seconds after. Anything but a refused request is passed to `onBug`.
   */
  tick(now: number, onBug: (error: unknown) => void): void {
    const { replica, log } = this.#deps;
    this.#logChange();
    const { term } = replica;
    if (this.#isAsking || !replica.isLeader || replica.stateMachine.appliedTerm !== term) return;
    if (term === this.#askedTerm && now - this.#askedMs < MONITOR_MS) return;
    this.#askedTerm = term;
    this.#askedMs = now;
    this.#isAsking = true;
    this.decide()
      .catch((error: unknown) => {
        if (!(error instanceof EtcdError)) throw error;
        log.warn('failed to update cluster version', { error: error.message });
      })
      .catch(onBug)
      .finally(() => {
        this.#isAsking = false;
      });
  }

  /** etcd's lines about what was applied; harnesses of 3.4 wait for the last one. */
  #logChange(): void {
    const { replica, log } = this.#deps;
    const applied = replica.stateMachine.clusterVersion;
    if (applied === this.#applied) return;
    const before = parseVersion(this.#applied);
    const version = parseVersion(applied);
    const storage = this.#applied;
    this.#applied = applied;
    if (version === null) return;
    const to = { 'cluster-version': minorText(version) };
    if (before === null) this.#logDowngrade();
    if (before === null) log.info('set initial cluster version', to);
    else log.info('updated cluster version', { from: minorText(before), to: minorText(version) });
    log.info('enabled capabilities for version', to);
    const isVersioned = before !== null && compareMinor(before, STORAGE_SINCE) >= 0;
    if (isVersioned && compareMinor(version, STORAGE_SINCE) >= 0)
      this.#logStorage(storage, applied);
  }

  #logDowngrade(): void {
    const { enabled, targetVersion } = this.#deps.replica.stateMachine.downgradeInfo;
    if (!enabled) return;
    this.#deps.log.info('cluster is downgrading to target version', {
      'target-cluster-version': targetVersion,
      'current-server-version': SERVER_VERSION,
    });
  }

  /** The version of the database is set with the cluster's. */
  #logStorage(from: string, to: string): void {
    const { replica, log } = this.#deps;
    log.info('cluster version differs from storage version.', {
      'cluster-version': to,
      'storage-version': from,
    });
    log.info('updated storage version', { 'new-storage-version': to });
    const { enabled, targetVersion } = replica.stateMachine.downgradeInfo;
    if (!enabled) return;
    log.info('The server is ready to downgrade', {
      'target-version': targetVersion,
      'server-version': SERVER_VERSION,
    });
  }

  /** Sets the version when it is due. Rejects as `propose` does. */
  async decide(): Promise<void> {
    const { replica, log } = this.#deps;
    const isUndecided = replica.stateMachine.clusterVersion === '';
    const timeoutMs = isUndecided ? PATIENCE_MS : this.#deps.requestTimeoutMs;
    const census = await this.#census(timeoutMs);
    const version = this.#due(census);
    if (version === null || !replica.isLeader) return;
    const form = this.#formNow(census);
    if (form === null) {
      this.#askedMs -= MONITOR_MS - RETRY_MS;
      return;
    }
    const ver = clusterVersionText(version);
    const to = minorText(version);
    const api = `using ${form} API`;
    if (census.cluster === null) {
      log.info(`setting up initial cluster version ${api}`, { 'cluster-version': to });
    } else {
      const from = minorText(census.cluster);
      log.info(`updating cluster version ${api}`, { from, to });
    }
    if (form === 'v3') await replica.propose('clusterVersionSet', { ver });
    else await replica.proposeEncoded('normal', (id) => encodeV2ClusterVersion(id, ver));
    log.info('cluster version is updated', { 'cluster-version': to });
  }

  #due(census: Census): Version | null {
    const { replica, log } = this.#deps;
    const { enabled, targetVersion } = replica.stateMachine.downgradeInfo;
    if (!enabled || census.cluster === null) return versionFor(census);
    const due = downgradedVersionFor(census, targetVersion);
    if ('version' in due) return due.version;
    log.error(`Cannot downgrade from ${due.name} to downgrade-target`, {
      'downgrade-target': targetVersion,
      [due.name]: versionText(due.from),
    });
    log.error('Failed to monitor cluster version', { error: 'invalid downgrade target' });
    return null;
  }

  /**
   * One attempt to tell name and client URLs. False: it is not yet known in which form to tell
   * them; try again a little later. Rejects as `propose` does.
   */
  async publish(
    memberAttributes: CommandOf<'clusterMemberAttrSet'>['memberAttributes'],
  ): Promise<boolean> {
    const { replica } = this.#deps;
    // Not to wait for anybody's answer where it makes no difference.
    const known = { servers: [], cluster: parseVersion(replica.stateMachine.clusterVersion) };
    const isKnown = known.cluster !== null && compareMinor(known.cluster, V3_SINCE) >= 0;
    const form = this.#formNow(isKnown ? known : await this.#census(PATIENCE_MS));
    if (form === null) return false;
    const value = { memberId: replica.memberId, memberAttributes };
    if (form === 'v3') await replica.propose('clusterMemberAttrSet', value);
    else await replica.proposeEncoded('normal', (id) => encodeV2Attributes(id, value));
    return true;
  }

  #formNow(census: Census): RequestForm | null {
    const isPatient = this.#deps.monotonic() - this.#startedMs < PATIENCE_MS;
    return formFor(census) ?? (isPatient ? null : 'v3');
  }

  /** What every member says of itself, this one included. */
  async memberVersions(): Promise<readonly MemberVersion[]> {
    const { replica, requestTimeoutMs } = this.#deps;
    const ask = async (member: PeerAddress): Promise<MemberVersion> => {
      const answer = await this.#ask(member, requestTimeoutMs);
      return { id: member.id, server: answer?.server ?? null };
    };
    const others = await Promise.all(this.#others().map(ask));
    return [{ id: replica.memberId, server: SERVER_VERSION }, ...others];
  }

  async #census(timeoutMs: number): Promise<Census> {
    const { replica, log } = this.#deps;
    const own = parseVersion(replica.stateMachine.clusterVersion);
    const answers = await Promise.all(this.#others().map((member) => this.#ask(member, timeoutMs)));
    const servers = answers.map((answer) => (answer === null ? null : parseVersion(answer.server)));
    // A joiner has not applied yet what the cluster decided.
    const cluster = own ?? highestOf(answers.map((answer) => parseVersion(answer?.cluster ?? '')));
    const higher = servers.find((server) => server !== null && compareMinor(OWN, server) < 0);
    if (higher !== undefined && replica.isLeader) {
      log.warn('leader found higher-versioned member', { 'local-member-version': SERVER_VERSION });
    }
    return { servers: [OWN, ...servers], cluster };
  }

  #others(): readonly PeerAddress[] {
    const { replica, remotes } = this.#deps;
    const { members } = replica.stateMachine;
    const known = members.list();
    const ids = new Set(known.map(({ id }) => id));
    const unknown = remotes.filter(({ id }) => !ids.has(id) && !members.isRemoved(id));
    return [...known, ...unknown].filter(({ id }) => id !== replica.memberId);
  }

  async #ask({ id, peerUrls }: PeerAddress, timeoutMs: number): Promise<PeerVersions | null> {
    const { peers, log } = this.#deps;
    let reason = 'no peer URL';
    for (const url of peerUrls) {
      try {
        return await peers.version(url, timeoutMs);
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error);
      }
    }
    log.warn('failed to get version', { 'remote-member-id': hexId(id), error: reason });
    return null;
  }
}

function versionText({ major, minor, patch }: Version): string {
  return `${major}.${minor}.${patch}`;
}

function minorText({ major, minor }: Version): string {
  return `${major}.${minor}`;
}
