import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { walEntries } from '../../test/support/wal-entries.ts';
import { decodeConfChange } from '../codec/raftpb.ts';
import type { Entry } from '../raft/messages.ts';
import { hexId } from '../types.ts';
import { foundingLog } from './founding.ts';

/** One URL each; ids as etcd gives them for the token `etcd-cluster`. */
const three = {
  name: 'm2',
  clusterToken: 'etcd-cluster',
  initialCluster: [
    { name: 'm3', peerUrls: ['http://10.0.0.3:2380'] },
    { name: 'm1', peerUrls: ['http://10.0.0.1:2380'] },
    { name: 'm2', peerUrls: ['http://10.0.0.2:2380'] },
  ],
};

describe('foundingLog', () => {
  it('begins with one committed entry per member, in order of ids', () => {
    const { metadata, entries, hardState } = foundingLog(three);
    expect(hexId(metadata.clusterId)).toBe('cd11e86392339c47');
    expect(hexId(metadata.memberId)).toBe('ee274cacce804b21');
    expect(hardState).toEqual({ term: 1, vote: null, commit: 3 });
    expect(entries.map(({ type, term, index }) => [type, term, index])).toEqual([
      ['conf-change', 1, 1],
      ['conf-change', 1, 2],
      ['conf-change', 1, 3],
    ]);
    const changes = entries.map(({ data }) => decodeConfChange(data));
    expect(changes.map(({ nodeId }) => nodeId && hexId(nodeId))).toEqual([
      '3ebc01aec68d6d70',
      'ee274cacce804b21',
      'fe9c64eaf3991d47',
    ]);
    expect(Buffer.from(changes[0]?.context ?? []).toString()).toBe(
      '{"id":4520489976140230000,"peerURLs":["http://10.0.0.1:2380"],"name":"m1"}',
    );
  });

  it('is the same on every member, in whatever order the flags name them', () => {
    const other = { ...three, name: 'm1', initialCluster: [...three.initialCluster].reverse() };
    expect(foundingLog(other).entries).toEqual(foundingLog(three).entries);
    expect(foundingLog(other).metadata.clusterId).toBe(foundingLog(three).metadata.clusterId);
  });

  it.each([
    ['etcd-cluster', 'http://127.0.0.1:45280', 'a0c1ff4024528650', '1f54c1f77ec83c13'],
    ['etcd', 'https://127.0.0.1:45280', '79ee2c53d8a9fdc2', 'ae00a80b8eb48387'],
  ])('has the ids of etcd for token %s and %s', (clusterToken, url, memberId, clusterId) => {
    const initialCluster = [{ name: 'one', peerUrls: [url] }];
    const { metadata } = foundingLog({ name: 'one', clusterToken, initialCluster });
    expect(hexId(metadata.memberId)).toBe(memberId);
    expect(hexId(metadata.clusterId)).toBe(clusterId);
  });

  it('refuses a local name that is not among the founders', () => {
    const nameless = { ...three, name: 'm4' };
    expect(() => foundingLog(nameless)).toThrow(
      'couldn\'t find local name "m4" in the initial cluster configuration',
    );
  });

  it('refuses two founders with the same id', () => {
    const twice = [...three.initialCluster, { name: 'm4', peerUrls: ['http://10.0.0.1:2380'] }];
    expect(() => foundingLog({ ...three, initialCluster: twice })).toThrow('identical ID');
  });
});

describe('the log of a member of 3.7.1', () => {
  it('begins with the same entries, byte for byte', () => {
    const segment = readFileSync(
      'test/fixtures/wal/founding/0000000000000000-0000000000000000.wal',
    );
    const { entries, metadata } = foundingLog({
      name: 'a&b',
      clusterToken: 'tok',
      initialCluster: [
        { name: 'a&b', peerUrls: ['http://127.0.0.1:24381'] },
        { name: 'm2', peerUrls: ['http://127.0.0.1:24382', 'http://localhost:24382'] },
        { name: 'm3', peerUrls: ['http://127.0.0.1:24383'] },
      ],
    });
    const theirs = walEntries(segment).slice(0, 4);
    expect(entries.map(plain)).toEqual(theirs.slice(0, 3).map(plain));
    expect(theirs[3]?.term).toBeGreaterThan(1);
    expect(hexId(metadata.memberId)).toBe('ab6a52b5594cda18');
  });
});

function plain({ type, term, index, data }: Entry): string {
  return `${type} ${term} ${index} ${Buffer.from(data).toString('hex')}`;
}
