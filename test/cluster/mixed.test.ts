// From a cluster of one program to one of another and back, without stopping: every member of the
// first is replaced, one by one, while clients write. The second joins as a learner, is promoted
// and leads; a fresh member of the first joins from its snapshot; and the way back is the same. An
// older etcd may come back as long as one of its kind is left, and is refused later: etcd's rule.

import { describe, expect, it } from 'vitest';
import { type Cluster, ENTRIES_KEPT, withCluster } from './support/cluster.ts';
import { Load } from './support/load.ts';
import type { Member } from './support/member.ts';
import { findPrograms, type Program } from './support/programs.ts';

const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const CLIENTS = 4;
const SOME = 40;
// Writes that take so long that a leader has looked at the versions of all members, every 4 s.
const MANY = 2_500;
const SIZE = 3;
const FLAGS = ['--snapshot-count=100'];
const TEST_MS_MAX = 400_000;
const { tested, others, ctl } = await findPrograms();

describe.each(others)('with $label', (other) => {
  it(`gives way to ${tested.label}, and comes back`, { timeout: TEST_MS_MAX }, async () => {
    console.log(`${other.label} and ${tested.label}, seed ${SEED}`);
    // Two roles, even when one program plays both.
    const host: Program = { ...other };
    const guest: Program = { ...tested };
    await withCluster({ ctl, flags: FLAGS }, async (cluster) => {
      await cluster.found(Array.from({ length: SIZE }, () => host));
      // A learner serves nothing of what clients ask.
      const members = () => cluster.members.filter((member) => cluster.isVoter(member));
      const load = new Load({ clients: CLIENTS, seed: SEED, members });
      try {
        load.start();
        await load.more(SOME);
        const story = new Story(cluster, load);
        await story.join(guest);
        await story.lead(guest);
        await story.joinFromSnapshot(host);
        await story.lead(host);
        await story.joinFromSnapshot(guest);
        const isOlder = minorOf(host) !== minorOf(guest);
        // etcd: once the last older member has left, the cluster is no longer one for older ones.
        await story.replace(host, guest, isOlder ? 1 : 0);
        await load.more(MANY);
        await story.joinFromSnapshot(host);
        await story.lead(host);
        await story.replace(guest, host, 0);
        if (isOlder) {
          await story.join(guest);
          await story.replace(host, guest, 0);
          await load.more(MANY);
        }
        console.log(await load.stop(), story.log);
        const last = isOlder ? guest : host;
        expect(cluster.members.map(({ program }) => program)).toEqual([last, last, last]);
        const [witness] = cluster.members;
        if (isOlder) {
          const incompatible = 'incompatible with current running cluster';
          await expect(cluster.join(host, true)).rejects.toThrow(incompatible);
        }
        expect(witness && (await load.violations(witness))).toEqual([]);
      } finally {
        await load.close();
      }
    });
  });
});

function minorOf({ version }: Program): string {
  return version.replace(/\.\d+$/, '');
}

class Story {
  /** What happened, for the eyes of whoever reads a failure. */
  readonly log: string[] = [];
  readonly #cluster: Cluster;
  readonly #load: Load;

  constructor(cluster: Cluster, load: Load) {
    this.#cluster = cluster;
    this.#load = load;
  }

  /** The leader's log no longer begins at the beginning, so that a joiner needs all its state. */
  async joinFromSnapshot(program: Program): Promise<void> {
    const leader = await this.#cluster.leader();
    await this.#cluster.fill(leader, ENTRIES_KEPT + 1_000);
    const joiner = await this.join(program);
    await this.#step(`${joiner.name} joined from ${leader.name}'s snapshot`);
    expect(await this.#cluster.snapshotsTaken(joiner)).toBeGreaterThan(0);
  }

  /** Members of `to`, as many as a cluster has, take the places of those of `from` but `kept`. */
  async replace(from: Program, to: Program, kept: number): Promise<void> {
    const { members } = this.#cluster;
    await this.lead(to);
    for (;;) {
      const [first, ...rest] = members.filter(({ program }) => program === from);
      if (first === undefined || rest.length < kept) return;
      if (members.filter(({ program }) => program === to).length < SIZE) await this.join(to);
      await this.#remove(first);
    }
  }

  /** A member of `program` joins as a learner and is promoted. */
  async join(program: Program): Promise<Member> {
    const learner = await this.#cluster.join(program, true);
    await this.#load.more(SOME);
    await this.#cluster.promote(learner);
    await this.#load.more(SOME);
    await this.#step(`${learner.name} (${program.label}) joined`);
    return learner;
  }

  async lead(program: Program): Promise<void> {
    const candidate = this.#cluster.members.find((member) => member.program === program);
    if (candidate === undefined) throw new Error(`no ${program.label} to lead`);
    await this.#cluster.moveLeader(candidate);
    await this.#load.more(SOME);
    await this.#step(`${candidate.name} leads`);
  }

  async #remove(member: Member): Promise<void> {
    await this.#cluster.remove(member);
    const { code } = await member.ended();
    expect(code, `${member.name} was removed`).toBe(0);
    await this.#load.more(SOME);
    await this.#step(`${member.name} (${member.program.label}) left`);
  }

  async #step(what: string): Promise<void> {
    const hash = await this.#cluster.agree();
    this.log.push(`${what}: hash ${hash}`);
  }
}
