/** The world of one run: machines, their network, who watches, and what clients have seen. */

import { must } from '../../src/assert.ts';
import { seededRandom } from '../../src/platform/random.ts';
import type { Random } from '../../src/ports.ts';
import { foundingMembers } from '../../src/replica/founding.ts';
import { clusterIdOf } from '../../src/replica/members.ts';
import type { ClusterId, LeaseId } from '../../src/types.ts';
import type { Operation } from '../support/history.ts';
import { Judge } from './judge.ts';
import { Machine, type MachineSettings, type Running } from './machine.ts';
import { Network } from './network.ts';
import { Timeline } from './timeline.ts';
import { Trace } from './trace.ts';

/** Machines that may become members, the founders' among them. */
const MACHINES = 7;
const TOKEN = 'simulation';

export interface ClusterOptions {
  readonly founders: number;
  /** The run is one of elections: leaders and voters fall at once, and the network is slow. */
  readonly isStorm: boolean;
  readonly isVerbose: boolean;
}

export class Cluster {
  readonly timeline = new Timeline();
  readonly trace: Trace;
  readonly network: Network;
  readonly judge: Judge;
  readonly machines: readonly Machine[];
  readonly clusterId: ClusterId;
  readonly history: Operation[] = [];
  readonly random: Random;
  readonly settings: MachineSettings;
  /** Faults happen and clients work. */
  isBusy = true;
  readonly isStorm: boolean;
  readonly founders: number;
  onElected: (machine: Machine) => void = () => {};
  #failure: unknown = null;
  isOver = false;

  constructor(seed: number, options: ClusterOptions) {
    const part = (name: bigint): bigint => BigInt(seed) * 1000n + name;
    this.random = seededRandom(part(1n));
    this.trace = new Trace(options.isVerbose);
    this.network = new Network(this.timeline, seededRandom(part(2n)), this.trace);
    this.judge = new Judge(this.timeline, this.trace);
    this.isStorm = options.isStorm;
    this.founders = options.founders;
    this.settings = {
      snapshotEntries: this.#oneOf([10, 30, 100, 1_000_000]),
      catchUpEntries: this.#oneOf([5, 20, 200]),
      preVote: !this.isStorm && this.random.below(3) > 0,
      strict: this.random.below(3) > 0,
    };
    const failed = (error: unknown): void => this.failed(error);
    this.machines = Array.from(
      { length: MACHINES },
      (_, i) =>
        new Machine(i + 1, part(100n + BigInt(i)), {
          network: this.network,
          judge: this.judge,
          trace: this.trace,
          settings: this.settings,
          askForLease: (from, url, id) => this.#askForLease(from, url, id),
          failed,
          elected: (machine) => this.onElected(machine),
          wentDown: (machine) => this.#wentDown(machine),
        }),
    );
    this.clusterId = this.#found(options.founders);
  }

  /** What went wrong; `null`: nothing so far. */
  get failure(): unknown {
    return this.#failure;
  }

  failed(error: unknown): void {
    this.#failure ??= error;
    this.isOver = true;
  }

  get running(): readonly Running[] {
    return this.machines.map(({ running }) => running).filter((running) => running !== null);
  }

  /** A member that a client finds; learners take only some requests. */
  anyRunning(random: Random, { learners = false } = {}): Running | null {
    const some = this.running.filter(({ replica }) => learners || !replica.isLearner);
    return some.length === 0 ? null : must(some[random.below(some.length)], 'one of them');
  }

  /** The granted TTL, 0 when the lease is gone. */
  async keepAlive(id: LeaseId, random: Random): Promise<number> {
    const running = this.anyRunning(random);
    if (running === null) return 0;
    return new Promise((resolve, reject) => {
      running.life.onEnd(() => reject(new Error('the member is gone')));
      running.life.run(() => {
        running.leases.renew({ id }).then(({ ttl }) => resolve(ttl), reject);
      });
    });
  }

  machineAt(url: string): Machine | null {
    return this.machines.find(({ peerUrl }) => peerUrl === url) ?? null;
  }

  #oneOf(choices: readonly number[]): number {
    return must(choices[this.random.below(choices.length)], 'one of them');
  }

  #found(founders: number): ClusterId {
    const first = this.machines.slice(0, founders);
    const initialCluster = first.map(({ name, peerUrl }) => ({ name, peerUrls: [peerUrl] }));
    for (const machine of first) {
      machine.begin = { kind: 'new', name: machine.name, clusterToken: TOKEN, initialCluster };
    }
    const name = must(first[0], 'a cluster has a founder').name;
    const members = foundingMembers({ name, clusterToken: TOKEN, initialCluster });
    return clusterIdOf(members.map(({ id }) => id));
  }

  /** Over the network and back, as the peers' HTTP does it. */
  #askForLease(from: Machine, url: string, id: LeaseId): Promise<number> {
    const to = this.machineAt(url);
    const asker = from.running;
    return new Promise((resolve, reject) => {
      const lost = (): void => asker?.life.after(100, () => reject(new Error('no answer')));
      const target = to?.running ?? null;
      if (to === null || target === null || this.network.link(from.number, to.number).isCut) {
        lost();
        return;
      }
      target.life.onEnd(lost);
      const answer = (settle: () => void): void => {
        const link = this.network.link(to.number, from.number);
        if (link.isCut) lost();
        else target.life.after(this.network.travelMs(link), () => asker?.life.run(settle));
      };
      this.timeline.after(this.network.travelMs(this.network.link(from.number, to.number)), () =>
        target.life.run(() => {
          target.primary
            .caughtUp()
            .then(() => target.primary.renew(id))
            .then(
              (ttl) => answer(() => resolve(ttl)),
              (error: unknown) => answer(() => reject(error)),
            );
        }),
      );
    });
  }

  /** Somebody looks after a machine that is down. */
  #wentDown(machine: Machine): void {
    if (machine.begin === null) return;
    const isPrompt = this.isStorm || this.random.below(2) === 0;
    const ms = this.isBusy ? 10 + this.random.below(isPrompt ? 300 : 6000) : 50;
    this.timeline.after(ms, () => machine.boot());
  }
}
