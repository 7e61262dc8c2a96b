// A member started with a data directory or a list of members that is not its own says so and ends,
// as etcd does: with the same exit code and the same words. Each etcd at hand is put to the same
// test, so that what is expected here is what an etcd does.

import { cp, rename } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { until } from '../compat/servers.ts';
import { type Cluster, withCluster } from './support/cluster.ts';
import type { Member } from './support/member.ts';
import { findPrograms } from './support/programs.ts';

const TEST_MS_MAX = 90_000;
const SAYS_MS_MAX = 20_000;
const REMOVED = 'the member has been permanently removed from the cluster';
const { tested, others, ctl } = await findPrograms();

interface Stranger {
  readonly state: 'new' | 'existing';
  /** The --initial-cluster it is given. */
  readonly list: (self: Member, members: readonly Member[]) => readonly string[];
  readonly says: string | RegExp;
}

const strangers: Record<string, Stranger> = {
  'joins a cluster to which it was not added': {
    state: 'existing',
    list: (self, members) => entries([...members, self]),
    says: 'member count is unequal',
  },
  'joins with a list that lacks a member': {
    state: 'existing',
    list: (self, members) => entries([...members.slice(1), self]),
    says: 'error validating peerURLs',
  },
  'joins a cluster that does not answer': {
    state: 'existing',
    list: (self, members) => [...entries(members).map(elsewhere), self.entry],
    says: 'could not retrieve cluster information from the given URLs',
  },
  'is not in its own list': {
    state: 'new',
    list: (_self, members) => entries(members),
    says: /couldn't find local name \\*"[a-z0-9]+\\*" in the initial cluster configuration/,
  },
  'has another address in its own list': {
    state: 'new',
    list: (self, members) => [...entries(members), elsewhere(self.entry)],
    says: 'but missing from --initial-advertise-peer-urls=',
  },
};

describe.each([tested, ...others])('$label', (program) => {
  const withThree = (story: (cluster: Cluster, follower: Member) => Promise<void>) =>
    withCluster({ ctl }, async (cluster) => {
      await cluster.found([program, program, program]);
      const [follower] = cluster.followersOf(await cluster.leader());
      if (follower === undefined) throw new Error('no follower');
      await story(cluster, follower);
    });

  it('ends when its list of members is not that of the cluster', { timeout: TEST_MS_MAX }, () =>
    withThree(async (cluster) => {
      for (const [what, { state, list, says }] of Object.entries(strangers)) {
        const stranger = await cluster.newMember(program);
        stranger.launch(list(stranger, cluster.members).join(','), state);
        await expectEnd(stranger, 1, says, what);
      }
      await cluster.agree();
    }),
  );

  it('ends when it is to found a cluster that exists', { timeout: TEST_MS_MAX }, () =>
    withThree(async (cluster, follower) => {
      await follower.stop();
      await follower.wipe();
      cluster.launch(follower);
      await expectEnd(follower, 1, /member [0-9a-f]+ has already been bootstrapped/);
    }),
  );

  it('ends when it is removed, and each time it is started again', { timeout: TEST_MS_MAX }, () =>
    withThree(async (cluster, follower) => {
      await cluster.remove(follower);
      await expectEnd(follower, 0, REMOVED);
      cluster.launch(follower);
      await expectEnd(follower, 'any', REMOVED);
      await cluster.agree();
    }),
  );

  it('ends when it was removed while it was away', { timeout: TEST_MS_MAX }, () =>
    withThree(async (cluster, follower) => {
      const id = await cluster.idOf(follower);
      await follower.stop();
      await cluster.ctl(['member', 'remove', id]);
      cluster.launch(follower);
      await expectEnd(follower, 'any', REMOVED);
    }),
  );

  it('keeps out of a cluster whose data it does not have', { timeout: TEST_MS_MAX }, () =>
    withThree(async (cluster, follower) => {
      const old = `${follower.dataDir}.old`;
      for (const member of cluster.members) await member.stop();
      await cp(follower.dataDir, old, { recursive: true });
      for (const member of cluster.members) await member.wipe();
      for (const member of cluster.members) cluster.launch(member, ['--initial-cluster-token=2']);
      await Promise.all(cluster.members.map((member) => member.ready()));
      await follower.stop();
      await follower.wipe();
      await rename(old, follower.dataDir);
      cluster.launch(follower);
      const says = () => (/cluster ID mismatch/.test(follower.log) ? true : null);
      await until('it says so', says, SAYS_MS_MAX).catch((error: Error) => {
        throw new Error(`${error.message}\n${follower.tail()}`);
      });
      // etcd goes on trying for ever.
      if (program === tested) await expectEnd(follower, 1, 'the data folder is of cluster');
      await cluster.agree(cluster.followersOf(follower));
      expect(follower.log).not.toContain('ready to serve client requests');
    }),
  );
});

async function expectEnd(
  member: Member,
  code: number | 'any',
  says: string | RegExp,
  what = '',
): Promise<void> {
  const end = await member.ended(SAYS_MS_MAX).catch((error: Error) => {
    throw new Error(`${what}: ${error.message}\n${member.tail()}`);
  });
  if (typeof says === 'string') expect(member.log, what).toContain(says);
  else expect(member.log, what).toMatch(says);
  expect(end.signal, what).toBeNull();
  // etcd: 0, unless it ends before its listeners are up.
  if (code === 'any') expect([0, 1], what).toContain(end.code);
  else expect(end.code, what).toBe(code);
}

function entries(members: readonly Member[]): readonly string[] {
  return members.map(({ entry }) => entry);
}

function elsewhere(entry: string): string {
  return entry.replace(':2380', ':2390');
}
