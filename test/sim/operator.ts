/**
 * Whoever runs the cluster: adds members on spare machines, promotes, removes, hands the leadership
 * over, compacts. What the table of members says is what gets started.
 */

import { must } from '../../src/assert.ts';
import { EtcdError } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import type { Random } from '../../src/ports.ts';
import type { Member } from '../../src/replica/members.ts';
import { createJointChanges, type MemberStep } from '../../src/server/joint-changes.ts';
import type { Cluster } from './cluster.ts';
import type { Machine, Running } from './machine.ts';

const MEMBERS_MAX = 5;

export class Operator {
  readonly #cluster: Cluster;
  readonly #random: Random;
  readonly #changesMembers: boolean;
  readonly #compacts: boolean;

  constructor(cluster: Cluster, random: Random) {
    this.#cluster = cluster;
    this.#random = random;
    this.#changesMembers = !cluster.isStorm && random.below(3) > 0;
    this.#compacts = random.below(3) > 0;
  }

  start(): void {
    this.#cluster.timeline.after(300 + this.#random.below(2500), () => {
      if (!this.#cluster.isBusy) return;
      this.#act();
      this.start();
    });
  }

  #act(): void {
    const running = this.#cluster.anyRunning(this.#random);
    if (running === null) return;
    const dice = this.#random.below(10);
    if (dice < 2) {
      if (this.#compacts) this.#compact(running);
    } else if (dice < 3) this.#handOver();
    else if (this.#changesMembers) this.#do(running, () => this.#change(running));
    this.#do(running, async () => {
      await running.replica.readBarrier();
      this.startMembers(running);
    });
  }

  /** Begins every member of the table that has never run. */
  startMembers({ replica }: Running): void {
    const members = replica.stateMachine.members.list();
    const remotes = members.map(({ id, peerUrls }) => ({ id, peerUrls }));
    for (const { id, peerUrls } of members) {
      const machine = this.#cluster.machineAt(must(peerUrls[0], 'a member has an address'));
      if (machine === null || machine.begin !== null || machine.life !== null) continue;
      machine.disk.replace();
      machine.memberId = id;
      const { clusterId } = this.#cluster;
      machine.begin = { kind: 'existing', clusterId, memberId: id, remotes };
      machine.say('joins');
      this.#cluster.trace.count('members joined');
      this.#cluster.timeline.after(0, () => machine.boot());
    }
  }

  #do({ life }: Running, action: () => Promise<void>): void {
    const { trace } = this.#cluster;
    life.run(() => {
      action().catch((error: unknown) => {
        if (life.isOver) return;
        if (error instanceof EtcdError) trace.count(`operator: ${error.message}`);
        else this.#cluster.failed(error);
      });
    });
  }

  async #change(running: Running): Promise<void> {
    const { trace } = this.#cluster;
    const { replica, changes } = running;
    const members = replica.stateMachine.members.list();
    // A member that has just begun knows nobody yet.
    if (members.length === 0) return;
    if (this.#random.below(4) === 0) {
      await this.#changeSeveral(running, members);
      return;
    }
    const learner = members.find(({ isLearner }) => isLearner);
    if (learner !== undefined && this.#random.below(2) === 0) {
      trace.count('promotions asked');
      await changes.promote(learner.id);
    } else if (members.length < MEMBERS_MAX && this.#random.below(2) === 0) {
      const [spare] = this.#spares(members);
      if (spare === undefined) return;
      trace.count('additions asked');
      await changes.add([spare.peerUrl], this.#random.below(4) > 0);
    } else {
      const member: Member = must(members[this.#random.below(members.length)], 'one of them');
      const voters = members.filter(({ isLearner }) => !isLearner);
      // etcd: of two voters none should be removed. If the one that stays crashes before it has
      // written that the removal is committed, it waits for a vote of the one that has left.
      if (voters.length <= 2 && !member.isLearner) return;
      trace.count('removals asked');
      await changes.remove(member.id);
    }
  }

  /** Machines without a member, in the table or on them. */
  #spares(members: readonly Member[]): readonly Machine[] {
    return this.#cluster.machines.filter(
      ({ begin, life, peerUrl }) =>
        begin === null && life === null && !members.some((one) => one.peerUrls.includes(peerUrl)),
    );
  }

  /** By joint consensus: one voter goes, one or two come. */
  async #changeSeveral({ replica, changes }: Running, members: readonly Member[]): Promise<void> {
    const voters = members.filter(({ isLearner }) => !isLearner);
    const spares = this.#spares(members).slice(0, 1 + this.#random.below(2));
    if (voters.length <= 2 || members.length + spares.length > MEMBERS_MAX + 1) return;
    const gone = must(voters[this.#random.below(voters.length)], 'one of them');
    const steps: MemberStep[] = spares.map(({ peerUrl }) => ({ add: [peerUrl] }));
    this.#cluster.trace.count('joint changes asked');
    const change = createJointChanges({
      replica,
      changes,
      peers: { version: () => Promise.resolve({ server: '', cluster: '', jointChanges: true }) },
      requestTimeoutMs: 1000,
      log: silentLog(),
    });
    await change([...steps, { remove: gone.id }]);
    this.#cluster.trace.count('joint changes made');
  }

  #handOver(): void {
    const leader = this.#cluster.running.find(({ replica }) => replica.isLeader);
    if (leader === undefined) return;
    const { voters } = leader.replica.confState;
    const to = voters[this.#random.below(voters.length)];
    if (to === undefined) return;
    this.#cluster.trace.count('transfers asked');
    this.#do(leader, () => leader.replica.transferLeadership(to));
  }

  #compact(running: Running): void {
    const { revision } = running.replica.stateMachine.store;
    this.#cluster.trace.count('compactions asked');
    this.#do(running, async () => {
      const target = Math.max(1, revision - this.#random.below(40));
      await running.replica.propose('compaction', { revision: target, physical: false });
    });
  }
}
