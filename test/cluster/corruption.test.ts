// One member's data is changed while it is stopped. Each of the three comparisons finds it, and
// finds nothing in a cluster that is sound, however it is mixed.

import { describe, expect, it } from 'vitest';
import { until } from '../compat/servers.ts';
import { type Cluster, withCluster } from './support/cluster.ts';
import { damageNewestPair } from './support/damage.ts';
import { Load } from './support/load.ts';
import type { Member } from './support/member.ts';
import { findPrograms, type Program } from './support/programs.ts';

const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const TEST_MS_MAX = 120_000;
const FOUND_MS_MAX = 30_000;
const PAIRS = 30;
const DATA_LOSS = 15;
const PERIODIC = '--corrupt-check-time=1s';
const COMPACT = ['--feature-gates=CompactHashCheck=true', '--compact-hash-check-time=1s'];
const INITIAL = '--feature-gates=InitialCorruptCheck=true';
const ALL = [
  PERIODIC,
  '--compact-hash-check-time=1s',
  '--feature-gates=CompactHashCheck=true,InitialCorruptCheck=true',
];
const { tested, others, ctl } = await findPrograms();
const newest = others.filter(({ version }) => version.startsWith('3.7.'));

describe.each([tested, ...newest])('beside $label', (other) => {
  const clusterOf = (flags: readonly string[], story: (cluster: Cluster) => Promise<void>) =>
    withCluster({ ctl, flags }, async (cluster) => {
      await cluster.found([other, other, tested]);
      await story(cluster);
    });

  it('is found by the periodic check', { timeout: TEST_MS_MAX }, async () => {
    await clusterOf([PERIODIC], async (cluster) => {
      const { victim, id } = await damaged(cluster);
      await cluster.restart(victim);
      expect(await alarms(cluster)).toBe(`memberID:${BigInt(`0x${id}`)} alarm:CORRUPT`);
      await expectFrozen(cluster);
    });
  });

  it('is found by the hash of a compaction', { timeout: TEST_MS_MAX }, async () => {
    await clusterOf(COMPACT, async (cluster) => {
      const { victim, id, leader } = await damaged(cluster);
      await cluster.restart(victim);
      await leader.api.must('KV/Compact', { revision: `${PAIRS + 1}` });
      expect(await alarms(cluster)).toBe(`memberID:${BigInt(`0x${id}`)} alarm:CORRUPT`);
      expect((await cluster.leader()).log).toContain('Detected compaction hash mismatch');
    });
  });

  it('keeps the member from starting', { timeout: TEST_MS_MAX }, async () => {
    await clusterOf([INITIAL], async (cluster) => {
      const { victim, id, leader } = await damaged(cluster);
      cluster.launch(victim);
      expect(await victim.ended()).toMatchObject({ code: 1 });
      expect(victim.log).toContain('found different hash values from remote peer');
      expect(victim.log).toContain(`${id} found data inconsistency with peers`);
      expect(await cluster.ctl(['alarm', 'list'], [leader])).toBe('');
      await leader.api.must('KV/Put', { key: Buffer.from('after') });
    });
  });

  for (const program of other === tested ? [tested] : [tested, other]) {
    const name = `is not seen where there is none, with ${program.label} as the leader`;
    it(name, { timeout: TEST_MS_MAX }, async () => {
      console.log(`${other.label} and ${tested.label}, seed ${SEED}`);
      await clusterOf(ALL, (cluster) => sound(cluster, program));
    });
  }
});

/** Stops a follower of this build, and changes its data. */
async function damaged(cluster: Cluster) {
  const leads = cluster.members[0];
  const victim = cluster.members[2];
  if (leads === undefined || victim === undefined) throw new Error('three members');
  await cluster.moveLeader(leads);
  for (let i = 0; i < PAIRS; i++) {
    const pair = { key: Buffer.from(`k${i}`), value: Buffer.from(`v${i}`) };
    await leads.api.must('KV/Put', pair);
  }
  await cluster.agree();
  const id = await cluster.idOf(victim);
  await victim.stop();
  await damageNewestPair(victim);
  return { victim, id, leader: leads };
}

/** What etcdctl lists, once there is something. */
function alarms(cluster: Cluster): Promise<string> {
  return until(
    'an alarm',
    async () => (await cluster.ctl(['alarm', 'list'])).trim().replace(/ +/g, ' ') || null,
    FOUND_MS_MAX,
  );
}

async function expectFrozen(cluster: Cluster): Promise<void> {
  for (const member of cluster.members) {
    const put = await member.api.call('KV/Put', { key: Buffer.from('a') });
    expect(put).toMatchObject({ code: DATA_LOSS, text: 'etcdserver: corrupt cluster' });
    const health = await fetch(`http://${member.endpoint}/health`);
    expect([health.status, await health.text()]).toEqual([
      503,
      '{"health":"false","reason":"ALARM CORRUPT"}\n',
    ]);
    expect((await fetch(`http://${member.endpoint}/readyz/data_corruption`)).status).toBe(503);
  }
  await cluster.ctl(['alarm', 'disarm']);
}

/** Load, compactions and restarts, until each kind of comparison has been made several times. */
async function sound(cluster: Cluster, leads: Program): Promise<void> {
  const leader = cluster.members.find(({ program }) => program === leads);
  if (leader === undefined) throw new Error(`no ${leads.label}`);
  await cluster.moveLeader(leader);
  const load = new Load({ clients: 4, seed: SEED, members: () => cluster.members });
  try {
    load.start();
    for (let round = 0; round < 4; round++) {
      await load.more(300);
      const { revision } = await revisionOf(leader);
      await leader.api.must('KV/Compact', { revision: `${revision - 20}` });
    }
    const counts = () => [
      count(leader, 'finished peer corruption check'),
      count(leader, 'successfully checked hash on whole cluster'),
    ];
    await until('comparisons', () => (Math.min(...counts()) >= 2 ? true : null), FOUND_MS_MAX);
    for (const follower of cluster.followersOf(leader)) {
      await follower.stop();
      await cluster.restart(follower);
      expect(follower.log).toContain('initial corruption checking passed; no corruption');
      await load.more(50);
    }
    await load.stop();
    expect(await cluster.ctl(['alarm', 'list'])).toBe('');
    await cluster.agree();
  } finally {
    await load.close();
  }
}

async function revisionOf(member: Member): Promise<{ readonly revision: number }> {
  const { header } = (await member.api.must('KV/Range', { key: Buffer.from('a') })) as {
    readonly header: { readonly revision: string };
  };
  return { revision: Number(header.revision) };
}

function count({ log }: Member, text: string): number {
  return log.split(text).length - 1;
}
