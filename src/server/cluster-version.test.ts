import { beforeEach, describe, expect, it } from 'vitest';
import { recordedLog } from '../../test/support/fake-cluster.ts';
import { EtcdError, errors } from '../errors.ts';
import { createLog } from '../log.ts';
import { NO_DOWNGRADE } from '../replica/downgrade-info.ts';
import type { Member } from '../replica/members.ts';
import { commandOf, decodeV2Request } from '../replica/v2-request.ts';
import type { MemberId } from '../types.ts';
import { parseVersion } from '../version.ts';
import {
  type Census,
  ClusterVersion,
  downgradedVersionFor,
  formFor,
  versionFor,
} from './cluster-version.ts';
import type { PeerVersions } from './peer-requests.ts';

const version = (text: string | null) => (text === null ? null : parseVersion(text));
const census = (cluster: string | null, ...servers: (string | null)[]): Census => ({
  cluster: version(cluster),
  servers: ['3.7.1', ...servers].map(version),
});
const SILENT = null;

describe('the form of a request', () => {
  it.each([
    ['v3', census(null)],
    ['v3', census(null, '3.7.0', '3.5.9')],
    ['v2', census(null, '3.7.0', '3.4.23')],
    ['v2', census('3.4.0', '3.4.23')],
    ['v3', census('3.4.0', '3.5.9')],
    ['v2', census('3.4.0', SILENT)],
    ['v2', census(null, '3.4.23', SILENT)],
    ['v3', census('3.5.0', SILENT)],
    [null, census(null, '3.7.1', SILENT)],
    [null, census('3.0.0', '3.7.1', SILENT)],
  ])('is %s for %j', (form, members) => {
    expect(formFor(members)).toBe(form);
  });
});

describe('the version to set', () => {
  it.each([
    ['3.7.1', census(null)],
    ['3.6.4', census(null, '3.7.1', '3.6.4')],
    ['3.7.1', census(null, '3.8.0')],
    ['3.0.0', census(null, '3.7.1', SILENT)],
    [null, census('3.6.0', '3.7.1', SILENT)],
    ['3.7.1', census('3.0.0', '3.7.1')],
    ['3.5.9', census('3.4.0', '3.5.9')],
    [null, census('3.7.0', '3.7.1')],
    [null, census('3.7.0', '3.6.4')],
    [null, census('3.4.0', '3.4.23')],
  ])('is %s for %j', (text, members) => {
    expect(versionFor(members)).toEqual(version(text));
  });
});

describe('the version to set during a downgrade', () => {
  it.each([
    ['3.6.0', census('3.7.0', '3.7.1')],
    [null, census('3.6.0', '3.6.14')],
    [null, census('3.7.0', SILENT)],
    [null, census(null, '3.7.1')],
    ['cluster-version', census('3.8.0', '3.7.1')],
    ['minimal-server-version', census('3.7.0', '3.6.14')],
  ])('to 3.6 is %s for %j', (expected, members) => {
    const found = downgradedVersionFor(members, '3.6.0');
    expect('version' in found ? found.version : found.name).toEqual(
      expected?.startsWith('3') === true ? version(expected) : expected,
    );
  });
});

const id = (value: bigint) => value as MemberId;
const member = (of: bigint): Member => ({
  id: id(of),
  name: `m${of}`,
  peerUrls: [`http://10.0.0.${of}:2380`],
  clientUrls: [],
  isLearner: false,
});

/** Answers by URL; who is not there does not answer. */
let answers: Map<string, PeerVersions>;
let asked: string[];
let proposed: unknown[];
let bugs: unknown[];
let now: number;
let verdict: Error | null;
const replica = {
  memberId: id(1n),
  isLeader: true,
  term: 2,
  stateMachine: {
    clusterVersion: '',
    downgradeInfo: NO_DOWNGRADE,
    appliedTerm: 2,
    members: { list: () => [member(1n), member(2n), member(3n)], isRemoved: () => false },
  },
  propose(kind: string, value: unknown) {
    proposed.push({ kind, value });
    return verdict === null ? Promise.resolve(null) : Promise.reject(verdict);
  },
  proposeEncoded(kind: string, encode: (id: bigint) => Uint8Array) {
    proposed.push({ kind, value: commandOf(decodeV2Request(encode(9n))) });
    return Promise.resolve(null);
  },
};

beforeEach(() => {
  [answers, asked, proposed, bugs, now, verdict] = [new Map(), [], [], [], 0, null];
  Object.assign(replica, { isLeader: true, term: 2 });
  Object.assign(replica.stateMachine, {
    clusterVersion: '',
    downgradeInfo: NO_DOWNGRADE,
    appliedTerm: 2,
    members: { list: () => [member(1n), member(2n), member(3n)], isRemoved: () => false },
  });
});

function newClusterVersion(more: object = {}): ClusterVersion {
  return new ClusterVersion({
    replica: replica as never,
    peers: {
      version: (url, timeoutMs) => {
        asked.push(`${url} ${timeoutMs}`);
        const answer = answers.get(url);
        return answer === undefined ? Promise.reject(new Error('no')) : Promise.resolve(answer);
      },
    },
    remotes: [],
    requestTimeoutMs: 7000,
    monotonic: () => now,
    log: createLog({ level: 'info', format: 'json', outputs: [], write: () => undefined }),
    ...more,
  });
}

function says(of: number, server: string, cluster = 'not_decided'): void {
  answers.set(`http://10.0.0.${of}:2380`, { server, cluster });
}

const settle = () => new Promise((resolve) => setImmediate(resolve));
const set = (ver: string) => ({ kind: 'clusterVersionSet', value: { ver } });

describe('the leader', () => {
  const tick = async (versions: ClusterVersion, ms: number): Promise<void> => {
    now += ms;
    versions.tick(now, (error) => bugs.push(error));
    await settle();
  };

  it('decides once it has committed in its term, and looks again every four seconds', async () => {
    says(2, '3.7.1');
    says(3, '3.6.4');
    const versions = newClusterVersion();
    replica.stateMachine.appliedTerm = 1;
    await tick(versions, 100);
    expect(asked).toEqual([]);
    replica.stateMachine.appliedTerm = 2;
    await tick(versions, 100);
    expect(proposed).toEqual([set('3.6.0')]);
    replica.stateMachine.clusterVersion = '3.6.0';
    says(3, '3.7.1');
    await tick(versions, 3900);
    expect(proposed).toHaveLength(1);
    await tick(versions, 100);
    expect(proposed).toEqual([set('3.6.0'), set('3.7.0')]);
    replica.stateMachine.clusterVersion = '3.7.0';
    await tick(versions, 4000);
    expect(proposed).toHaveLength(2);
    replica.term = 3;
    replica.stateMachine.appliedTerm = 3;
    asked.length = 0;
    await tick(versions, 100);
    expect(asked).toHaveLength(2);
  });

  it('is the only one to decide', async () => {
    replica.isLeader = false;
    await tick(newClusterVersion(), 5000);
    expect(asked).toEqual([]);
  });

  it('waits a moment for who does not answer, then sets the lowest version', async () => {
    says(2, '3.7.1');
    const versions = newClusterVersion();
    await tick(versions, 100);
    await tick(versions, 800);
    expect(proposed).toEqual([]);
    await tick(versions, 200);
    expect(proposed).toEqual([set('3.0.0')]);
    replica.stateMachine.clusterVersion = '3.0.0';
    says(3, '3.7.1');
    await tick(versions, 4000);
    expect(proposed.at(-1)).toEqual(set('3.7.0'));
  });

  it('speaks to a member of 3.4 in the older form', async () => {
    says(2, '3.4.23');
    says(3, '3.5.9');
    await tick(newClusterVersion(), 100);
    expect(proposed).toEqual([
      { kind: 'normal', value: { case: 'clusterVersionSet', value: { ver: '3.4.0' } } },
    ]);
  });

  it('and every other member tells which version it has learned', async () => {
    replica.isLeader = false;
    const { log, lines } = recordedLog();
    const versions = newClusterVersion({ log });
    await tick(versions, 100);
    expect(lines).toEqual([]);
    replica.stateMachine.clusterVersion = '3.4.0';
    await tick(versions, 100);
    await tick(versions, 100);
    replica.stateMachine.clusterVersion = '3.7.0';
    await tick(versions, 100);
    expect(lines.map(({ msg, level, ...fields }) => [msg, fields])).toEqual([
      ['set initial cluster version', { 'cluster-version': '3.4' }],
      ['enabled capabilities for version', { 'cluster-version': '3.4' }],
      ['updated cluster version', { from: '3.4', to: '3.7' }],
      ['enabled capabilities for version', { 'cluster-version': '3.7' }],
    ]);
  });

  it('lowers the version for a downgrade, and raises it when that is cancelled', async () => {
    says(2, '3.7.1');
    says(3, '3.7.0');
    const { log, lines } = recordedLog();
    const versions = newClusterVersion({ log });
    Object.assign(replica.stateMachine, {
      clusterVersion: '3.7.0',
      downgradeInfo: { enabled: true, targetVersion: '3.6.0' },
    });
    await tick(versions, 100);
    expect(proposed).toEqual([set('3.6.0')]);
    replica.stateMachine.clusterVersion = '3.6.0';
    await tick(versions, 4000);
    expect(proposed).toHaveLength(1);
    const told = lines.map(({ msg, level, ...fields }) => [msg, fields]);
    expect(told).toContainEqual([
      'The server is ready to downgrade',
      { 'target-version': '3.6.0', 'server-version': '3.7.1' },
    ]);
    expect(told).toContainEqual([
      'updating cluster version using v3 API',
      { from: '3.7', to: '3.6' },
    ]);
    replica.stateMachine.downgradeInfo = NO_DOWNGRADE;
    await tick(versions, 4000);
    expect(proposed).toEqual([set('3.6.0'), set('3.7.0')]);
  });

  it('says what stands in the way of a downgrade', async () => {
    says(2, '3.7.1');
    says(3, '3.5.9');
    const { log, lines } = recordedLog();
    Object.assign(replica.stateMachine, {
      clusterVersion: '3.7.0',
      downgradeInfo: { enabled: true, targetVersion: '3.6.0' },
    });
    await tick(newClusterVersion({ log }), 100);
    expect(proposed).toEqual([]);
    expect(lines.slice(-2)).toEqual([
      {
        level: 'error',
        msg: 'Cannot downgrade from minimal-server-version to downgrade-target',
        'downgrade-target': '3.6.0',
        'minimal-server-version': '3.5.9',
      },
      {
        level: 'error',
        msg: 'Failed to monitor cluster version',
        error: 'invalid downgrade target',
      },
    ]);
  });

  it('takes a refusal, and nothing else, in its stride', async () => {
    says(2, '3.7.1');
    says(3, '3.7.1');
    verdict = errors.timeout;
    expect(verdict).toBeInstanceOf(EtcdError);
    const versions = newClusterVersion();
    await tick(versions, 100);
    expect(bugs).toEqual([]);
    verdict = new Error('bug');
    await tick(versions, 4000);
    expect(bugs).toEqual([verdict]);
  });

  it('asks the second address of a member when the first does not answer', async () => {
    const peerUrls = ['http://10.0.0.8:2380', 'http://10.0.0.2:2380'];
    const list = [member(1n), { ...member(2n), peerUrls }];
    replica.stateMachine.members.list = () => list;
    says(2, '3.7.1');
    await newClusterVersion().decide();
    expect(proposed).toEqual([set('3.7.0')]);
    expect(asked).toEqual(['http://10.0.0.8:2380 1000', 'http://10.0.0.2:2380 1000']);
  });

  it('alone decides at once', async () => {
    replica.stateMachine.members.list = () => [member(1n)];
    await newClusterVersion().decide();
    expect(proposed).toEqual([set('3.7.0')]);
  });
});

describe('a member that tells its name', () => {
  const attributes = { name: 'm1', clientUrls: ['http://10.0.0.1:2379'] };
  const value = { memberId: 1n, memberAttributes: attributes };

  it('asks nobody where no member of 3.4 can be', async () => {
    replica.stateMachine.clusterVersion = '3.5.0';
    expect(await newClusterVersion().publish(attributes)).toBe(true);
    expect(asked).toEqual([]);
    expect(proposed).toEqual([{ kind: 'clusterMemberAttrSet', value }]);
  });

  it('uses the older form among members of 3.4, and where one of them may be silent', async () => {
    const older = { kind: 'normal', value: { case: 'clusterMemberAttrSet', value } };
    says(2, '3.4.23');
    expect(await newClusterVersion().publish(attributes)).toBe(true);
    expect(proposed).toEqual([older]);
    says(2, '3.5.9', '3.4.0');
    expect(await newClusterVersion().publish(attributes)).toBe(true);
    expect(proposed).toEqual([older, older]);
  });

  it('waits only a moment for who does not answer', async () => {
    says(2, '3.7.1');
    const versions = newClusterVersion();
    expect(await versions.publish(attributes)).toBe(false);
    now = 1000;
    expect(await versions.publish(attributes)).toBe(true);
    expect(proposed).toEqual([{ kind: 'clusterMemberAttrSet', value }]);
  });

  it('as a joiner asks whom it was told of', async () => {
    replica.stateMachine.members.list = () => [];
    const remotes = [member(1n), member(2n)].map((each) => ({
      id: each.id,
      peerUrls: each.peerUrls,
    }));
    says(2, '3.7.1', '3.7.0');
    expect(await newClusterVersion({ remotes }).publish(attributes)).toBe(true);
    expect(asked).toEqual(['http://10.0.0.2:2380 1000']);
  });
});
