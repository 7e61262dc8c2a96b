/**
 * How a member without a log begins: as one of the founders of a cluster, or as a member that a
 * running cluster was told about. Either way others are asked first, so that nobody founds a
 * cluster a second time and nobody joins one that it does not fit into.
 *
 * Refusals are `BootstrapError` with etcd's texts. It looks at no file and changes nothing.
 */

import { must } from '../assert.ts';
import type { Settings } from '../config/flags.ts';
import {
  bootstrapProblem,
  duplicateProblem,
  initialClusterUrls,
  joinProblem,
} from '../config/start.ts';
import type { Log } from '../log.ts';
import type { Clock } from '../ports.ts';
import type { Start } from '../replica/bootstrap.ts';
import {
  BootstrapError,
  type Founding,
  foundingMembers,
  type NamedMember,
} from '../replica/founding.ts';
import type { Member } from '../replica/members.ts';
import { type ClusterId, hexId, type MemberId } from '../types.ts';
import {
  clusterVersionText,
  compareMinor,
  MIN_CLUSTER_VERSION,
  parseVersion,
  SERVER_VERSION,
  type Version,
} from '../version.ts';
import type { PeerMembers, PeerRequests } from './peer-requests.ts';
import { PeerUrls, type Resolve } from './peer-urls.ts';

export interface JoinDeps {
  readonly config: Settings;
  /** How long one question to another member about its version may take. */
  readonly requestTimeoutMs: number;
  readonly peers: PeerRequests;
  readonly resolve: Resolve;
  /** The founders by way of a discovery service, in the form of --initial-cluster. */
  readonly discover: (memberId: MemberId, self: string) => Promise<string>;
  readonly clock: Pick<Clock, 'every'>;
  readonly log: Log;
}

/** etcd: a founder that does not answer at once has probably not been started. */
const BOOTSTRAPPED_TIMEOUT_MS = 1000;
const MEMBERS_TIMEOUT_MS = 10_000;

/** For a data folder without a log. Rejects with `BootstrapError`. */
export function chooseStart(deps: JoinDeps): Promise<Start> {
  const urls = new PeerUrls(deps.resolve, deps.clock);
  return deps.config.initialClusterState === 'existing'
    ? joinExisting(deps, urls)
    : foundNew(deps, urls);
}

async function foundNew(deps: JoinDeps, urls: PeerUrls): Promise<Start> {
  const { config } = deps;
  const problem = await founderProblem(config, urls);
  if (problem !== null) throw new BootstrapError(problem);
  const founding = foundingOf(config);
  const founders = foundingMembers(founding);
  const self = localMember(founders, config);
  if (await isBootstrapped(deps, self, founders)) {
    throw new BootstrapError(`member ${hexId(self.id)} has already been bootstrapped`);
  }
  checkLearners(config, []);
  if (config.discoveryEndpoints.length === 0) return { kind: 'new', ...founding };
  deps.log.info('Bootstrapping cluster using v3 discovery.');
  const initialCluster = await deps.discover(self.id, config.initialCluster);
  const duplicate = duplicateProblem(initialClusterUrls(initialCluster), 'discovery');
  if (duplicate !== null) throw new BootstrapError(duplicate);
  return { kind: 'new', ...foundingOf({ ...config, initialCluster }) };
}

/** What founders are told by their flags. */
export type FounderSettings = Pick<
  Settings,
  'name' | 'initialCluster' | 'initialClusterToken' | 'initialAdvertisePeerUrls'
>;

/** What this member announces may name its host otherwise than the initial cluster does. */
export async function founderProblem(
  config: FounderSettings,
  urls: PeerUrls,
): Promise<string | null> {
  const problem = bootstrapProblem(config);
  const listed = initialClusterUrls(config.initialCluster).get(config.name);
  if (problem === null || listed === undefined) return problem;
  const different = await urls.difference(config.initialAdvertisePeerUrls, listed);
  return different === null
    ? bootstrapProblem({ ...config, initialAdvertisePeerUrls: [...listed] })
    : problem;
}

export function foundingOf(config: FounderSettings): Founding {
  const members = initialClusterUrls(config.initialCluster);
  return {
    name: config.name,
    clusterToken: config.initialClusterToken,
    initialCluster: [...members].map(([name, peerUrls]) => ({ name, peerUrls })),
  };
}

function localMember(members: readonly NamedMember[], { name }: Settings): NamedMember {
  return must(
    members.find((member) => member.name === name),
    'the local name was looked for before',
  );
}

function otherUrls(members: readonly NamedMember[], self: NamedMember): readonly string[] {
  return members
    .filter(({ id }) => id !== self.id)
    .flatMap(({ peerUrls }) => peerUrls)
    .sort();
}

/** All are asked at once, and the first good answer counts. Without one: no. */
async function isBootstrapped(
  { peers }: JoinDeps,
  self: NamedMember,
  founders: readonly NamedMember[],
): Promise<boolean> {
  const asked = otherUrls(founders, self).map(async (url) => {
    const { members } = await peers.members(url, BOOTSTRAPPED_TIMEOUT_MS);
    if (members.length === 0) throw new Error('no members');
    return members;
  });
  const members = await Promise.any(asked).catch(() => []);
  return members.some(({ id, clientUrls }) => id === self.id && clientUrls.length > 0);
}

async function joinExisting(deps: JoinDeps, urls: PeerUrls): Promise<Start> {
  const { config } = deps;
  const problem = joinProblem(config);
  if (problem !== null) throw new BootstrapError(problem);
  const local = foundingMembers(foundingOf(config));
  const self = localMember(local, config);
  const existing = await fetchMembers(deps, otherUrls(local, self));
  const memberId = await assignedId(existing, local, self, urls);
  if (!(await isCompatible(deps, existing.members, memberId))) {
    throw new BootstrapError('incompatible with current running cluster');
  }
  checkLearners(config, existing.members);
  const remotes = existing.members.map(({ id, peerUrls }) => ({ id, peerUrls }));
  return { kind: 'existing', clusterId: existing.clusterId, memberId, remotes };
}

/** etcd: also where there are none, since the maximum may be negative. */
function checkLearners({ maxLearners }: Settings, members: readonly { isLearner: boolean }[]) {
  if (members.filter(({ isLearner }) => isLearner).length <= maxLearners) return;
  throw new BootstrapError('membership: too many learner members in cluster');
}

async function fetchMembers(
  { peers, log }: JoinDeps,
  urls: readonly string[],
): Promise<PeerMembers> {
  const cannot = 'cannot fetch cluster info from peer urls';
  for (const url of urls) {
    try {
      const answer = await peers.members(url, MEMBERS_TIMEOUT_MS);
      if (answer.members.length > 0) return { ...answer, members: byId(answer.members) };
    } catch (error) {
      log.warn('failed to get cluster response', {
        address: `${url}/members`,
        error: textOf(error),
      });
      continue;
    }
    throw new BootstrapError(`${cannot}: failed to get raft cluster member(s) from the given URLs`);
  }
  throw new BootstrapError(`${cannot}: could not retrieve cluster information from the given URLs`);
}

function byId(members: readonly Member[]): readonly Member[] {
  return [...members].sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
}

/**
 * The id under which the running cluster knows this member: each of its members must be one of the
 * initial cluster, by its peer URLs.
 */
async function assignedId(
  existing: PeerMembers,
  local: readonly NamedMember[],
  self: NamedMember,
  urls: PeerUrls,
): Promise<MemberId> {
  const refuse = (reason: string): never => {
    throw new BootstrapError(`error validating peerURLs ${goCluster(existing)}: ${reason}`);
  };
  if (existing.members.length !== local.length) refuse('member count is unequal');
  let assigned: MemberId | null = null;
  for (const { id, peerUrls } of existing.members) {
    let different: string | null = 'none';
    for (const candidate of local) {
      different = await urls.difference(peerUrls, candidate.peerUrls);
      if (different !== null) continue;
      if (candidate === self) assigned = id;
      break;
    }
    if (different === null) continue;
    const who = `(${hexId(id)}, [${peerUrls.join(' ')}])`;
    const why = `last resolver error (${different})`;
    refuse(`PeerURLs: no match found for existing member ${who}, ${why}`);
  }
  return assigned ?? refuse('the local member is not among them');
}

/**
 * etcd: at least one other member says the cluster's version, and none says one that this server
 * cannot be part of. While a downgrade is under way only the next line may be joined, downwards.
 */
async function isCompatible(
  deps: JoinDeps,
  members: readonly Member[],
  self: MemberId,
): Promise<boolean> {
  const { peers, log, requestTimeoutMs } = deps;
  const others = members.filter(({ id }) => id !== self);
  const versions = await Promise.all(
    others.map((member) =>
      firstAnswer(deps, member, (url) => peers.version(url, requestTimeoutMs)),
    ),
  );
  const own = must(parseVersion(SERVER_VERSION), 'the own version is one');
  let [low, high] = [must(parseVersion(MIN_CLUSTER_VERSION), 'a version'), own];
  if (await isDowngrading(deps, others)) low = high = { ...own, minor: own.minor + 1 };
  let isKnown = false;
  for (const [at, { id }] of others.entries()) {
    const cluster = versions[at]?.cluster;
    if (cluster === undefined) continue;
    const fields = {
      'remote-member-id': hexId(id),
      'remote-member-cluster-version': cluster,
    };
    const version = parseVersion(cluster);
    if (version === null) {
      log.warn('failed to parse cluster version of remote member', {
        ...fields,
        error: `${cluster} is not in dotted-tri format`,
      });
      continue;
    }
    const side = sideOf(version, low, high);
    if (side !== null) {
      const limit = side === 'low' ? 'minimum' : 'maximum';
      log.warn(`cluster version of remote member is not compatible; too ${side}`, {
        ...fields,
        [`${limit}-cluster-version-supported`]: clusterVersionText(side === 'low' ? low : high),
      });
      return false;
    }
    isKnown = true;
  }
  return isKnown;
}

function sideOf(version: Version, low: Version, high: Version): 'low' | 'high' | null {
  if (compareMinor(version, low) < 0) return 'low';
  return compareMinor(high, version) < 0 ? 'high' : null;
}

/** The first member that can say it says it for all. */
async function isDowngrading(deps: JoinDeps, others: readonly Member[]): Promise<boolean> {
  const { peers, log, requestTimeoutMs } = deps;
  for (const member of others) {
    const enabled = await firstAnswer(deps, member, (url) =>
      peers.downgradeEnabled(url, requestTimeoutMs),
    );
    if (enabled !== null) return enabled;
    log.warn('failed to get downgrade enabled status', { 'remote-member-id': hexId(member.id) });
  }
  return false;
}

/** Of the URLs of one member, in order; `null` when none answers. */
async function firstAnswer<T>(
  { log }: Pick<JoinDeps, 'log'>,
  member: Pick<Member, 'id' | 'peerUrls'>,
  ask: (url: string) => Promise<T>,
): Promise<T | null> {
  for (const url of member.peerUrls) {
    try {
      return await ask(url);
    } catch (error) {
      log.warn('failed to reach the peer URL', {
        address: url,
        'remote-member-id': hexId(member.id),
        error: textOf(error),
      });
    }
  }
  return null;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** As etcd prints a cluster. */
function goCluster({ clusterId, members }: { clusterId: ClusterId; members: readonly Member[] }) {
  const each = members.map(({ id, peerUrls, isLearner, name, clientUrls }) => {
    const raft = `RaftAttributes:{PeerURLs:[${peerUrls.join(' ')}] IsLearner:${isLearner}}`;
    const rest = `Attributes:{Name:${name} ClientURLs:[${clientUrls.join(' ')}]}`;
    return `&{ID:${hexId(id)} ${raft} ${rest}}`;
  });
  return `{ClusterID:${hexId(clusterId)} Members:[${each.join(' ')}] RemovedMemberIDs:[]}`;
}
