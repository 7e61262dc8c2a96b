import { beforeEach, describe, expect, it } from 'vitest';
import { HandClock } from '../../test/support/hand-clock.ts';
import { configFromOptions, type Options } from '../config/options.ts';
import { createLog } from '../log.ts';
import { BootstrapError } from '../replica/founding.ts';
import type { Member } from '../replica/members.ts';
import type { ClusterId, MemberId } from '../types.ts';
import { chooseStart } from './join.ts';
import type { PeerMembers, PeerRequests, PeerVersions } from './peer-requests.ts';

/** As etcd computes them for the token `etcd-cluster`. */
const [ID1, ID2, ID3] = [0x3ebc01aec68d6d70n, 0xee274cacce804b21n, 0xfe9c64eaf3991d47n].map(
  (id) => id as MemberId,
) as [MemberId, MemberId, MemberId];
const CLUSTER = 0xcd11e86392339c47n as ClusterId;
const url = (host: number | string): string => `http://10.0.0.${host}:2380`;
const three = `m1=${url(1)},m2=${url(2)},m3=${url(3)}`;

const member = (id: MemberId, host: number | string, more: Partial<Member> = {}): Member => ({
  id,
  name: '',
  peerUrls: [url(host)],
  clientUrls: [],
  isLearner: false,
  ...more,
});

/** Answers by URL; who is not in a table does not answer. */
let members: Map<string, PeerMembers>;
let versions: Map<string, PeerVersions>;
let downgrades: Map<string, boolean>;
let names: Map<string, string>;
let asked: string[];
let lines: Record<string, unknown>[];
let clock: HandClock;

const answer =
  <T>(table: Map<string, T>, what: string) =>
  (peerUrl: string, timeoutMs: number): Promise<T> => {
    asked.push(`${what} ${peerUrl} ${timeoutMs}`);
    const value = table.get(peerUrl);
    return value === undefined ? Promise.reject(new Error('refused')) : Promise.resolve(value);
  };

beforeEach(() => {
  [members, versions, downgrades, names] = [new Map(), new Map(), new Map(), new Map()];
  [asked, lines] = [[], []];
  clock = new HandClock();
});

function start(options: Options) {
  const base = {
    name: 'm1',
    dataDir: 'd',
    initialAdvertisePeerUrls: [url(1)],
    initialCluster: three,
  };
  const { config } = configFromOptions({ ...base, ...options });
  const peers: PeerRequests = {
    members: answer(members, 'members'),
    version: answer(versions, 'version'),
    downgradeEnabled: answer(downgrades, 'downgrade'),
  };
  const write = (line: string): void => {
    lines.push(JSON.parse(line));
  };
  return chooseStart({
    config,
    peers,
    requestTimeoutMs: 7000,
    resolve: (host) => {
      const address = names.get(host);
      if (address === undefined) return Promise.reject(new Error(`lookup ${host}: no such host`));
      return Promise.resolve(address);
    },
    discover: () => Promise.reject(new Error('nobody is looked for')),
    clock,
    log: createLog({ level: 'info', format: 'json', outputs: [], write }),
  });
}

async function problemOf(options: Options): Promise<string> {
  const error: unknown = await start(options).then(
    () => new Error('started'),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(BootstrapError);
  return (error as Error).message;
}

describe('a founder', () => {
  it('founds when none of the others answers', async () => {
    const begun = await start({});
    expect(begun).toMatchObject({ kind: 'new', name: 'm1', clusterToken: 'etcd-cluster' });
    expect(asked).toEqual([`members ${url(2)} 1000`, `members ${url(3)} 1000`]);
  });

  it('founds when the others do not know it, or not as one that has run', async () => {
    members.set(url(2), { clusterId: CLUSTER, members: [member(ID1, 1), member(ID2, 2)] });
    await expect(start({})).resolves.toMatchObject({ kind: 'new' });
    const other = member(ID2, 2, { clientUrls: ['http://10.0.0.2:2379'] });
    members.set(url(2), { clusterId: CLUSTER, members: [other] });
    await expect(start({})).resolves.toMatchObject({ kind: 'new' });
  });

  it('does not found a cluster in which it has run before', async () => {
    const self = member(ID1, 1, { name: 'm1', clientUrls: ['http://10.0.0.1:2379'] });
    members.set(url(3), { clusterId: CLUSTER, members: [self, member(ID3, 3)] });
    expect(await problemOf({})).toBe('member 3ebc01aec68d6d70 has already been bootstrapped');
  });

  it('asks nobody when it is alone', async () => {
    await start({ initialCluster: `m1=${url(1)}` });
    expect(asked).toEqual([]);
  });

  it('may announce itself by a name for the host of the initial cluster', async () => {
    const initialCluster = `m1=http://one.example:2380,m2=${url(2)}`;
    names.set('one.example', '10.0.0.1');
    const begun = await start({ initialCluster });
    expect(begun).toMatchObject({
      initialCluster: [{ name: 'm1', peerUrls: ['http://one.example:2380'] }, { name: 'm2' }],
    });
  });

  it.each([
    [{ name: 'm4' }, 'couldn\'t find local name "m4" in the initial cluster configuration'],
    [
      { initialAdvertisePeerUrls: [url(9)] },
      '--initial-cluster has m1=http://10.0.0.1:2380 but missing from ' +
        '--initial-advertise-peer-urls=http://10.0.0.9:2380 (resolved urls: ' +
        '"http://10.0.0.9:2380" != "http://10.0.0.1:2380")',
    ],
    [
      { initialCluster: `m1=${url(1)},m2=${url(1)}` },
      'initial cluster m1=http://10.0.0.1:2380,m2=http://10.0.0.1:2380 has duplicate url',
    ],
  ])('%s is refused', async (options, problem) => {
    expect(await problemOf(options)).toBe(problem);
  });
});

describe('a joiner', () => {
  const existing = { initialClusterState: 'existing' } as const;
  const NEW_ID = 0xffff_ffff_ffff_fff7n as MemberId;

  beforeEach(() => {
    // Added while the cluster ran, so its id is not the one of a founder.
    const list = [member(ID3, 3), member(NEW_ID, 1), member(ID2, 2, { name: 'm2' })];
    for (const host of [2, 3]) {
      members.set(url(host), { clusterId: CLUSTER, members: list });
      versions.set(url(host), { server: '3.7.1', cluster: '3.7.0' });
      downgrades.set(url(host), false);
    }
  });

  it('takes its id and the cluster’s from the members that are there', async () => {
    expect(await start(existing)).toEqual({
      kind: 'existing',
      clusterId: CLUSTER,
      memberId: NEW_ID,
      remotes: [
        { id: ID2, peerUrls: [url(2)] },
        { id: ID3, peerUrls: [url(3)] },
        { id: NEW_ID, peerUrls: [url(1)] },
      ],
    });
    expect(asked).toEqual([
      `members ${url(2)} 10000`,
      `version ${url(2)} 7000`,
      `version ${url(3)} 7000`,
      `downgrade ${url(2)} 7000`,
    ]);
  });

  it('asks one after the other, and says who did not answer', async () => {
    members.delete(url(2));
    await expect(start(existing)).resolves.toMatchObject({ memberId: NEW_ID });
    const warning = { msg: 'failed to get cluster response', address: `${url(2)}/members` };
    expect(lines).toMatchObject([warning]);
  });

  it('needs somebody who knows the cluster', async () => {
    members.clear();
    expect(await problemOf(existing)).toBe(
      'cannot fetch cluster info from peer urls: ' +
        'could not retrieve cluster information from the given URLs',
    );
    members.set(url(2), { clusterId: CLUSTER, members: [] });
    expect(await problemOf(existing)).toBe(
      'cannot fetch cluster info from peer urls: ' +
        'failed to get raft cluster member(s) from the given URLs',
    );
  });

  it('must have been told of every member, and no more', async () => {
    members.set(url(2), { clusterId: CLUSTER, members: [member(ID2, 2)] });
    expect(await problemOf(existing)).toBe(
      'error validating peerURLs {ClusterID:cd11e86392339c47 Members:[&{ID:ee274cacce804b21 ' +
        'RaftAttributes:{PeerURLs:[http://10.0.0.2:2380] IsLearner:false} ' +
        'Attributes:{Name: ClientURLs:[]}}] RemovedMemberIDs:[]}: member count is unequal',
    );
  });

  it('must find each of them in its initial cluster, by address', async () => {
    const list = [member(ID2, 2), member(ID3, 7), member(NEW_ID, 1)];
    members.set(url(2), { clusterId: CLUSTER, members: list });
    const problem = await problemOf(existing);
    expect(problem).toContain(
      ': PeerURLs: no match found for existing member ' +
        '(fe9c64eaf3991d47, [http://10.0.0.7:2380]), ' +
        'last resolver error (resolved urls: "http://10.0.0.7:2380" != "http://10.0.0.',
    );
  });

  it('waits for names to become known', async () => {
    const initialCluster = `m1=${url(1)},m2=${url(2)},m3=http://three.example:2380`;
    const starting = start({ ...existing, initialCluster });
    await clock.settle();
    await clock.advance(3000);
    names.set('three.example', '10.0.0.3');
    await clock.advance(1000);
    await expect(starting).resolves.toMatchObject({ memberId: NEW_ID });
    names.clear();
    let problem = '';
    const failing = problemOf({ ...existing, initialCluster }).then((text) => {
      problem = text;
    });
    await clock.settle();
    await clock.advance(29_500);
    expect(problem).toBe('');
    await clock.advance(1000);
    await failing;
    expect(problem).toContain('no match found for existing member (fe9c64eaf3991d47');
  });

  it.each([
    ['3.8.0', 'too high', { 'maximum-cluster-version-supported': '3.7.0' }],
    ['2.3.0', 'too low', { 'minimum-cluster-version-supported': '3.0.0' }],
  ])('does not fit into a cluster of version %s', async (cluster, side, limit) => {
    versions.set(url(3), { server: cluster, cluster });
    expect(await problemOf(existing)).toBe('incompatible with current running cluster');
    const msg = `cluster version of remote member is not compatible; ${side}`;
    expect(lines).toMatchObject([{ msg, 'remote-member-cluster-version': cluster, ...limit }]);
  });

  it('needs one member that says the version', async () => {
    versions.set(url(2), { server: '3.7.1', cluster: 'not_decided' });
    await expect(start(existing)).resolves.toMatchObject({ memberId: NEW_ID });
    versions.delete(url(3));
    expect(await problemOf(existing)).toBe('incompatible with current running cluster');
  });

  it('while a downgrade is under way must be of the line below', async () => {
    downgrades.set(url(2), true);
    expect(await problemOf(existing)).toBe('incompatible with current running cluster');
    for (const host of [2, 3]) versions.set(url(host), { server: '3.8.0', cluster: '3.8.0' });
    await expect(start(existing)).resolves.toMatchObject({ memberId: NEW_ID });
    // The first that can say it says it for all.
    downgrades.delete(url(2));
    expect(await problemOf(existing)).toBe('incompatible with current running cluster');
  });

  it('counts learners against its own limit', async () => {
    const learner = { isLearner: true };
    const list = [member(ID2, 2), member(ID3, 3, learner), member(NEW_ID, 1, learner)];
    members.set(url(2), { clusterId: CLUSTER, members: list });
    expect(await problemOf(existing)).toBe('membership: too many learner members in cluster');
    await expect(start({ ...existing, maxLearners: 2 })).resolves.toBeTruthy();
  });

  it('must be named in its own initial cluster', async () => {
    expect(await problemOf({ ...existing, name: 'm4' })).toContain('local name "m4"');
  });
});
