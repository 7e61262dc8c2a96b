// Clusters of real processes under load while members die, freeze, are cut off or have a slow disk:
// no acknowledged write is lost, histories are linearizable, watches are complete, and all members
// hold the same at the end. SIZES, ROUNDS and SEED choose the run; CLUSTER_PROGRAM whose it is.

import { afterAll, describe, expect, it } from 'vitest';
import { Prng } from '../compat/random.ts';
import { type Cluster, ENTRIES_KEPT, withCluster } from './support/cluster.ts';
import { Load, type LoadFigures } from './support/load.ts';
import type { Member } from './support/member.ts';
import { findPrograms } from './support/programs.ts';
import { writeResults } from './support/results.ts';
import { canStall, stallDisk } from './support/stall.ts';

const SIZES = (process.env['SIZES'] ?? '3').split(',').map(Number);
const ROUNDS = Number(process.env['ROUNDS'] ?? 1);
const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const CLIENTS = 6;
/** How many acknowledged writes show that the cluster works. */
const SOME = 60;
const STALL_MS = 3_000;
const TEST_MS_MAX = 60_000 + ROUNDS * 60_000;
// A small count, so that members that were away are behind the leader's log now and then.
const FLAGS = ['--snapshot-count=500'];
const canCut = process.env['CLUSTER_NET'] === 'own';
const { tested, ctl } = await findPrograms();

/** What clients were told is undone; the check has to say so. */
async function loseEverything(cluster: Cluster): Promise<void> {
  await Promise.all(cluster.members.map((member) => member.kill()));
  await Promise.all(cluster.members.map((member) => member.wipe()));
  await Promise.all(cluster.members.map((member) => cluster.restart(member)));
}

interface Run extends LoadFigures {
  readonly members: number;
  readonly what: string;
  readonly violations: number;
}

const runs: Run[] = [];

const LOST = 'is told when writes are lost';

type Story = (cluster: Cluster, load: Load, prng: Prng, round: number) => Promise<void>;

/** What was wrong with the history of clients during the story. */
async function underLoad(size: number, what: string, story: Story): Promise<readonly string[]> {
  console.log(`${tested.label} × ${size}, seed ${SEED}`);
  const prng = new Prng(SEED);
  return withCluster({ ctl, flags: FLAGS }, async (cluster) => {
    await cluster.found(Array.from({ length: size }, () => tested));
    const load = new Load({ clients: CLIENTS, seed: SEED, members: () => cluster.members });
    try {
      load.start();
      await load.more(SOME);
      for (let round = 0; round < ROUNDS; round++) {
        await story(cluster, load, prng, round);
      }
      await load.more(SOME);
      const figures = await load.stop();
      await cluster.agree();
      const [witness] = cluster.members;
      if (witness === undefined) throw new Error('no members');
      const violations = await load.violations(witness);
      runs.push({ members: size, what, ...figures, violations: violations.length });
      console.log(runs.at(-1));
      return violations;
    } finally {
      await load.close();
    }
  });
}

async function killAndRestart(cluster: Cluster, load: Load, members: readonly Member[]) {
  await Promise.all(members.map((member) => member.kill()));
  if (members.length * 2 < cluster.members.length) await load.more(SOME);
  await Promise.all(members.map((member) => cluster.restart(member)));
  await load.more(SOME);
}

/** Most members that may be away. */
function minorityOf(cluster: Cluster): number {
  return Math.floor((cluster.members.length - 1) / 2);
}

const crashes: Record<string, Story> = {
  'the leader is killed': async (cluster, load) => {
    await killAndRestart(cluster, load, [await cluster.leader()]);
  },
  'a follower is killed': async (cluster, load, prng) => {
    const followers = cluster.followersOf(await cluster.leader());
    await killAndRestart(cluster, load, [prng.pick(followers)]);
  },
  'as many as may be are killed at once': async (cluster, load) => {
    const leader = await cluster.leader();
    const others = cluster.followersOf(leader).slice(0, minorityOf(cluster) - 1);
    await killAndRestart(cluster, load, [leader, ...others]);
  },
  'all are killed at once': async (cluster, load) => {
    await killAndRestart(cluster, load, cluster.members);
  },
  'a follower is left far behind': async (cluster, load, prng, round) => {
    const leader = await cluster.leader();
    const follower = prng.pick(cluster.followersOf(leader));
    await follower.kill();
    await cluster.fill(leader, ENTRIES_KEPT + 1_500);
    await cluster.restart(follower);
    await load.more(SOME);
    await cluster.agree();
    // etcd: after sending a state, a leader lets nothing of its log go for half a minute.
    if (round === 0) expect(await cluster.snapshotsTaken(follower)).toBeGreaterThan(0);
  },
  'the leader is frozen': async (cluster, load) => {
    const leader = await cluster.leader();
    leader.freeze();
    await load.more(SOME);
    leader.thaw();
    await load.more(SOME);
  },
  'every member is restarted in turn': async (cluster, load) => {
    for (const member of [...cluster.members]) {
      await member.stop();
      await load.more(SOME);
      await cluster.restart(member);
    }
    await load.more(SOME);
  },
};

const cuts: Record<string, Story> = {
  'the leader is cut off': async (cluster, load) => {
    const leader = await cluster.leader();
    const others = cluster.followersOf(leader).map(({ host }) => host);
    await cluster.network.cutBothWays([leader.host], others);
    await load.more(SOME);
    await cluster.network.heal();
    await load.more(SOME);
  },
  'the leader is heard but hears nothing': async (cluster, load) => {
    const leader = await cluster.leader();
    for (const { host } of cluster.followersOf(leader))
      await cluster.network.cut(host, leader.host);
    await load.more(SOME);
    await cluster.network.heal();
    await load.more(SOME);
  },
  'the leader hears but is not heard': async (cluster, load) => {
    const leader = await cluster.leader();
    for (const { host } of cluster.followersOf(leader))
      await cluster.network.cut(leader.host, host);
    await load.more(SOME);
    await cluster.network.heal();
    await load.more(SOME);
  },
  'the leader and a minority are on one side': async (cluster, load) => {
    const leader = await cluster.leader();
    const others = cluster.followersOf(leader);
    const side = [leader, ...others.slice(0, minorityOf(cluster) - 1)].map(({ host }) => host);
    const rest = others.slice(minorityOf(cluster) - 1).map(({ host }) => host);
    await cluster.network.cutBothWays(side, rest);
    await load.more(SOME);
    await cluster.network.heal();
    await load.more(SOME);
  },
  'a follower does not hear the leader': async (cluster, load, prng) => {
    const leader = await cluster.leader();
    const follower = prng.pick(cluster.followersOf(leader));
    await cluster.network.cut(leader.host, follower.host);
    await load.more(SOME);
    await cluster.network.heal();
    await load.more(SOME);
  },
  'nobody hears anybody': async (cluster, load) => {
    const hosts = cluster.members.map(({ host }) => host);
    for (const [i, host] of hosts.entries()) {
      await cluster.network.cutBothWays([host], hosts.slice(i + 1));
    }
    const before = load.acknowledged;
    await cluster.noLeader();
    // At most the answers that were on their way.
    expect(load.acknowledged - before).toBeLessThanOrEqual(CLIENTS);
    await cluster.network.heal();
    await load.more(SOME);
  },
};

const stalls: Record<string, Story> = {
  "the leader's disk stalls": async (cluster, load) => {
    const end = await stallDisk(await cluster.leader(), STALL_MS);
    await load.more(SOME);
    await end();
    await load.more(SOME);
  },
  "a follower's disk stalls": async (cluster, load, prng) => {
    const follower = prng.pick(cluster.followersOf(await cluster.leader()));
    const end = await stallDisk(follower, STALL_MS);
    await load.more(SOME);
    await end();
    await load.more(SOME);
  },
};

describe.each(SIZES)('%i members', (size) => {
  const stories = { ...crashes, ...(canCut ? cuts : {}), ...(canStall ? stalls : {}) };
  it.each(Object.entries(stories))('%s', { timeout: TEST_MS_MAX }, async (name, story) => {
    expect(await underLoad(size, name, story)).toEqual([]);
  });

  it(LOST, { timeout: TEST_MS_MAX }, async () => {
    const lost = (await underLoad(size, LOST, loseEverything)).filter((violation) =>
      violation.startsWith('acknowledged'),
    );
    expect(lost.length).toBeGreaterThan(0);
  });
});

afterAll(async () => {
  const { label, version } = tested;
  const figures = { program: label, version, rounds: ROUNDS, clients: CLIENTS, seed: SEED, runs };
  await writeResults('histories of clients while members die, freeze, are cut off', figures);
});
