// A downgrade in a cluster of etcd 3.7 and this build: begun and cancelled through each of them,
// under the leadership of each, while a member that was away learns of it from a snapshot.

import { describe, expect, it } from 'vitest';
import { until } from '../compat/servers.ts';
import { type Cluster, withCluster } from './support/cluster.ts';
import type { Member } from './support/member.ts';
import { findPrograms, type Program } from './support/programs.ts';

const FLAGS = ['--snapshot-count=100', '--snapshot-catchup-entries=100', '--election-timeout=1500'];
const ENTRIES = 2_000;
const TEST_MS_MAX = 240_000;
const TOLD_MS_MAX = 30_000;
const { tested, others, ctl } = await findPrograms();
const sameLine = others.filter(({ version }) => version.startsWith('3.7.'));

describe.each(sameLine)('with $label', (other) => {
  for (const [leads, follows] of [
    [tested, other],
    [other, tested],
  ] as const) {
    it(`is led by ${leads.label} and cancelled`, { timeout: TEST_MS_MAX }, async () => {
      await withCluster({ ctl, flags: FLAGS }, async (cluster) => {
        await cluster.found([leads, follows, follows]);
        await everywhere(cluster, '3.7.0', false);
        const leader = only(cluster, leads);
        await cluster.moveLeader(leader);
        const [through, away] = cluster.followersOf(leader);
        if (through === undefined || away === undefined) throw new Error('three members');
        await away.stop();

        await downgrade(cluster, 'enable', through);
        // Nobody knows what the member is that is away.
        await everywhere(cluster, '3.7.0', true);
        await cluster.fill(leader, ENTRIES);
        await cluster.restart(away);
        await everywhere(cluster, '3.6.0', true);
        expect(await cluster.snapshotsTaken(away)).toBeGreaterThan(0);
        await until('the line that tools wait for', () =>
          leader.log.includes('The server is ready to downgrade') ? true : null,
        );
        const enabled = cluster.members.map(({ peerUrl }) =>
          textOf(`${peerUrl}/downgrade/enabled`),
        );
        expect(await Promise.all(enabled)).toEqual(['true', 'true', 'true']);

        await downgrade(cluster, 'cancel', leader);
        await everywhere(cluster, '3.7.0', false);
        await cluster.agree();
      });
    });
  }
});

function only({ members }: Cluster, program: Program): Member {
  const found = members.filter((member) => member.program === program);
  if (found.length !== 1 || found[0] === undefined) throw new Error('one of that program');
  return found[0];
}

async function downgrade(cluster: Cluster, verb: string, through: Member): Promise<void> {
  const target = verb === 'enable' ? ['3.6'] : [];
  expect(await cluster.ctl(['downgrade', verb, ...target], [through])).toContain('success');
}

/** Waits until every member that runs tells these versions and this state of a downgrade. */
async function everywhere(cluster: Cluster, version: string, enabled: boolean): Promise<void> {
  for (const member of cluster.members.filter(({ running }) => running)) {
    await until(
      `${member.name} (${member.program.label}) is of ${version}`,
      async () => {
        const status = await member.api.call('Maintenance/Status', {});
        if (!status.ok) return null;
        const { etcdcluster } = JSON.parse(await textOf(`http://${member.endpoint}/version`));
        const { storageVersion, downgradeInfo } = status.message as {
          readonly storageVersion?: string;
          readonly downgradeInfo?: { readonly enabled?: boolean };
        };
        const told = [etcdcluster, storageVersion, downgradeInfo?.enabled ?? false];
        return told.join() === [version, version, enabled].join() ? true : null;
      },
      TOLD_MS_MAX,
    );
  }
}

async function textOf(url: string): Promise<string> {
  return (await fetch(url)).text();
}
