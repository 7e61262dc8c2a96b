/**
 * One run: a cluster under faults and load for a while, then everything is healed and it has to
 * make progress, and at last the history of all clients is checked. The seed decides everything.
 */

import { assert } from '../../src/assert.ts';
import { EtcdError } from '../../src/errors.ts';
import { seededRandom } from '../../src/platform/random.ts';
import { memberJson } from '../../src/replica/members.ts';
import { checkHistory, type Operation } from '../support/history.ts';
import { Client } from './clients.ts';
import { Cluster } from './cluster.ts';
import { Faults } from './faults.ts';
import { LeaseHolder } from './lease-holders.ts';
import type { Running } from './machine.ts';
import { Operator } from './operator.ts';
import { useSmallLimits } from './small-limits.ts';
import { WatchClient } from './watchers.ts';

export interface RunOptions {
  readonly isVerbose?: boolean;
}

export interface RunResult {
  readonly seed: number;
  readonly traceHash: string;
  readonly founders: number;
  readonly virtualMs: number;
  readonly events: number;
  readonly revisions: number;
  readonly operations: number;
  readonly acknowledged: number;
  readonly counts: ReadonlyMap<string, number>;
  /** `null`: nothing was wrong. */
  readonly failure: Error | null;
  /** The last lines of the trace, in a verbose run. */
  readonly lines: readonly string[];
}

const BUSY_MS_MIN = 15_000;
const BUSY_MS_MORE = 30_000;
/** Virtual time in which a healed cluster must have come to rest. */
const REST_MS_MAX = 60_000;
const LOOK_MS = 250;

export async function simulate(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const random = seededRandom(BigInt(seed) * 1000n);
  const isStorm = seed % 2 === 0;
  useSmallLimits(random, isStorm);
  const founders = [isStorm ? 5 : 1, 3, 3, 5][random.below(4)] ?? 3;
  const isVerbose = options.isVerbose ?? false;
  const cluster = new Cluster(seed, { founders, isStorm, isVerbose });
  const run = new Run(cluster, random);
  let failure: Error | null = null;
  try {
    await run.play();
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error));
  }
  const { trace, timeline, history, judge } = cluster;
  return {
    seed,
    traceHash: trace.hash,
    founders,
    virtualMs: timeline.nowMs,
    events: timeline.step,
    revisions: judge.log.at(-1)?.revision ?? 1,
    operations: history.length,
    acknowledged: history.filter(({ outcome }) => outcome.case === 'ok').length,
    counts: trace.counts,
    failure,
    lines: trace.lines,
  };
}

class Run {
  readonly #cluster: Cluster;
  readonly #faults: Faults;
  readonly #operator: Operator;
  readonly #watchers: readonly WatchClient[];
  readonly #busyMs: number;
  #finals: readonly Operation[] = [];
  #last: Client;

  constructor(cluster: Cluster, random: ReturnType<typeof seededRandom>) {
    this.#cluster = cluster;
    const own = (): ReturnType<typeof seededRandom> => seededRandom(random.u64());
    this.#busyMs = (BUSY_MS_MIN + random.below(BUSY_MS_MORE)) * (cluster.isStorm ? 3 : 1);
    this.#faults = new Faults(cluster, own());
    this.#operator = new Operator(cluster, own());
    const times = <T>(n: number, make: (i: number) => T): T[] =>
      Array.from({ length: n }, (_, i) => make(i));
    const clients = times(3 + random.below(6), (i) => new Client(`c${i}`, cluster, own()));
    const holders = times(random.below(4), (i) => new LeaseHolder(i + 1, cluster, own()));
    this.#watchers = times(1 + random.below(4), (i) => new WatchClient(`w${i}`, cluster, own()));
    this.#last = new Client('last', cluster, own());
    for (const machine of cluster.machines) cluster.timeline.after(0, () => machine.boot());
    for (const actor of [...clients, ...holders, ...this.#watchers]) actor.start();
    this.#operator.start();
    this.#faults.start();
  }

  async play(): Promise<void> {
    await this.#until(this.#busyMs, () => false);
    this.#cluster.isBusy = false;
    this.#cluster.trace.add(this.#cluster.timeline.nowMs, 'everything is healed');
    this.#faults.heal();
    await this.#rest();
    this.#checkHistory();
  }

  /** Runs until `isReached` or for so long; what failed meanwhile is thrown. */
  async #until(ms: number, isReached: () => boolean): Promise<boolean> {
    const { timeline } = this.#cluster;
    let reached = false;
    await timeline.run(timeline.nowMs + ms, () => {
      reached = isReached();
      return reached || this.#cluster.isOver;
    });
    if (this.#cluster.failure !== null) throw this.#cluster.failure;
    return reached;
  }

  async #rest(): Promise<void> {
    const { timeline } = this.#cluster;
    const endMs = timeline.nowMs + REST_MS_MAX;
    let why = 'nothing was looked at';
    while (timeline.nowMs < endMs) {
      await this.#until(LOOK_MS, () => false);
      const unrest = this.#unrest();
      if (unrest === null) {
        await this.#checkEqual();
        return;
      }
      why = unrest;
    }
    throw new Error(`the healed cluster does not come to rest: ${why}`);
  }

  /** The running members of the table, or why not all of them run. */
  #members(): readonly Running[] | string {
    const { running } = this.#cluster;
    const leader = running.find(({ replica }) => replica.isLeader);
    if (leader === undefined) {
      // It may be the members that were never started who are missed.
      const furthest = running.reduce<Running | null>(
        (one, other) => (other.replica.applied > (one?.replica.applied ?? -1) ? other : one),
        null,
      );
      if (furthest !== null) this.#operator.startMembers(furthest);
      return 'there is no leader';
    }
    if (leader.replica.confState.votersOutgoing.length > 0) return 'a joint configuration';
    const members = leader.replica.stateMachine.members.list();
    const missing = members.filter(
      ({ id }) => !running.some(({ replica }) => replica.memberId === id),
    );
    if (missing.length > 0) {
      this.#operator.startMembers(leader);
      return `${missing.length} members do not run`;
    }
    if (running.length === members.length) return running;
    this.#retireUnheard();
    return 'removed members still run';
  }

  /** As in etcd a member that was removed before it ever heard of anybody would wait for ever. */
  #retireUnheard(): void {
    const { machines, judge } = this.#cluster;
    for (const machine of machines) {
      const replica = machine.running?.replica;
      if (replica?.applied !== 0 || !judge.removed.has(replica.memberId)) continue;
      machine.begin = null;
      machine.kill();
    }
  }

  #unrest(): string | null {
    const members = this.#members();
    if (typeof members === 'string') return members;
    if (this.#finals.length === 0) {
      this.#writeFinals(members);
      return 'the last writes are on their way';
    }
    for (const { outcome } of this.#finals) {
      if (outcome.case !== 'ok') {
        this.#writeFinals(members);
        return 'the last writes did not succeed';
      }
    }
    const applied = members.map(({ replica }) => replica.applied);
    if (members.some(({ replica }) => replica.applied < replica.commit))
      return 'not all is applied';
    if (new Set(applied).size > 1) return `members stand at ${applied.join(', ')}`;
    if (this.#watchers.some((watcher) => !watcher.isLive)) return 'a watcher is behind';
    return null;
  }

  #writeFinals(members: readonly Running[]): void {
    const pending = this.#finals.some(
      ({ end, outcome }) => end === null && outcome.case === 'unknown',
    );
    if (pending && this.#finals.every(({ start }) => start > this.#cluster.timeline.step - 5000))
      return;
    const writers = members.filter(({ replica }) => !replica.isLearner);
    this.#finals = writers.map((running) => {
      const request = { kind: 'put', key: 'last', value: this.#last.value() } as const;
      return this.#last.ask(running, request, false, () => {});
    });
  }

  async #checkEqual(): Promise<void> {
    let states: readonly string[] = [];
    let failure: unknown = null;
    const members = this.#members();
    assert(typeof members !== 'string', 'the cluster has come to rest');
    Promise.all(members.map((running) => describeState(running))).then(
      (found) => {
        states = found;
      },
      (error: unknown) => {
        failure = error;
      },
    );
    // Long scans give way to other work.
    await this.#until(REST_MS_MAX, () => states.length > 0 || failure !== null);
    if (failure !== null) throw failure;
    assert(states.length > 0, 'the states of members can be described');
    for (const state of states) {
      if (state !== states[0]) throw new Error(`members differ:\n${states.join('\n')}`);
    }
  }

  #checkHistory(): void {
    const { history, judge } = this.#cluster;
    const revision = judge.log.at(-1)?.revision ?? 1;
    const watches = this.#watchers.flatMap((watcher) => watcher.records(revision));
    const violations = checkHistory({ operations: history, log: judge.log, watches });
    if (violations.length === 0) return;
    const list = violations.slice(0, 10).map(({ rule, message }) => `${rule}: ${message}`);
    throw new Error(`the history is wrong in ${violations.length} points:\n${list.join('\n')}`);
  }
}

/** Everything in which members must not differ. */
async function describeState({ replica }: Running): Promise<string> {
  const { store, members, lessor, clusterVersion, appliedIndex } = replica.stateMachine;
  const { voters, learners, votersOutgoing } = replica.confState;
  const hash = await store.hashKv(0);
  const sum = hash instanceof EtcdError ? hash.message : hash.hash;
  const leases = [...lessor.leases()].sort().map((id) => {
    const lease = lessor.get(id);
    return `${id}:${lease?.ttlSeconds}:${[...(lease?.keys ?? [])].sort().join()}`;
  });
  return [
    `applied ${appliedIndex}, revision ${store.revision}, compacted ${store.compactRevision}`,
    `hash ${sum}, keys ${store.keyCount}, leases [${leases.join(' ')}]`,
    `members ${members
      .list()
      .map((member) => memberJson(member))
      .join(' ')}`,
    `removed ${[...members.removed()].sort().join()}, version ${clusterVersion}`,
    `voters ${voters.join()}, learners ${learners.join()}, leaving ${votersOutgoing.join()}`,
  ].join(', ');
}
