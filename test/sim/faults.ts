/**
 * What goes wrong. Each seed has its own mixture: some kinds of faults are left out altogether, so
 * that others get the time to do their work.
 */

import { must } from '../../src/assert.ts';
import type { Random } from '../../src/ports.ts';
import type { Cluster } from './cluster.ts';
import type { Machine } from './machine.ts';
import type { Link } from './network.ts';

type Fault = (machine: Machine) => void;

export class Faults {
  readonly #cluster: Cluster;
  readonly #random: Random;
  #kinds: readonly (readonly [string, Fault])[];
  readonly #pauseMs: number;

  constructor(cluster: Cluster, random: Random) {
    this.#cluster = cluster;
    this.#random = random;
    const all: readonly (readonly [string, Fault])[] = [
      ['power loss', (machine) => machine.losePower()],
      ['kill in an operation', (machine) => machine.interruptAfter(random.below(60), 'kill')],
      [
        'power loss in an operation',
        (machine) => machine.interruptAfter(random.below(60), 'power loss'),
      ],
      ['kill, then power loss', () => this.#killAndCut()],
      ['kill', (machine) => machine.kill()],
      ['stop', (machine) => machine.stop()],
      ['pause', (machine) => this.#pause(machine)],
      ['isolation', (machine) => this.#isolate(machine)],
      ['leader cut off', () => this.#cutLeaderOff()],
      ['one-way cut', (machine) => this.#cut(machine)],
      ['split', () => this.#split()],
      ['bad link', (machine) => this.#degrade(machine)],
      ['bad network', () => this.#degradeAll()],
      ['disk stall', (machine) => this.#stall(machine)],
      ['slow disk', (machine) => this.#slow(machine)],
      ['disk errors', (machine) => this.#fail(machine)],
      ['restart of all', () => this.#restartAll()],
    ];
    this.#kinds = all.filter(() => random.below(2) === 0);
    this.#pauseMs = 500 + random.below(5000);
    if (cluster.isStorm) {
      this.#kinds = all.filter(([name]) => name === 'power loss' || name === 'split');
      this.#storm();
    }
    cluster.network.streamsBreak = random.below(2) * 20;
  }

  start(): void {
    this.#cluster.timeline.after(this.#random.below(this.#pauseMs), () => {
      if (!this.#cluster.isBusy) return;
      this.#strike();
      this.start();
    });
  }

  /** Everything works again from now on. */
  heal(): void {
    this.#cluster.network.heal();
    for (const machine of this.#cluster.machines) {
      machine.disk.heal();
      machine.life?.resume();
      this.#cluster.timeline.after(10, () => machine.boot());
    }
  }

  #strike(): void {
    if (this.#kinds.length === 0) return;
    const [name, fault] = must(this.#kinds[this.#random.below(this.#kinds.length)], 'a fault');
    const { machines, trace } = this.#cluster;
    const used = machines.filter(({ begin }) => begin !== null);
    const any = used[this.#random.below(Math.max(1, used.length))];
    const leader = used.find(({ running }) => running?.replica.isLeader === true);
    const machine = this.#random.below(2) === 0 ? any : (leader ?? any);
    if (machine === undefined) return;
    machine.say(`fault: ${name}`);
    trace.count(`fault: ${name}`);
    fault(machine);
  }

  /** Leaders fall before they have done much, and voters forget what they have not written. */
  #storm(): void {
    const { machines, network, timeline } = this.#cluster;
    const { below } = this.#random;
    const slow = { lost: below(150), delayMs: 1 + below(150), jitterMs: below(250) };
    for (const one of machines) {
      for (const other of machines) Object.assign(network.link(one.number, other.number), slow);
    }
    this.#cluster.onElected = (machine) => {
      // Cut off before its first entry is anywhere else, or with some of them under way.
      if (below(2) === 0) timeline.after(0, () => this.#isolate(machine, 500 + below(3000)));
      else timeline.after(below(1500), () => this.#topple(machine));
    };
    network.onVote = (number) => {
      const machine = must(machines[number - 1], 'a machine votes');
      if (below(2) === 0) timeline.after(below(20), () => this.#interrupt(machine));
    };
  }

  #interrupt(machine: Machine): void {
    if (!this.#cluster.isBusy) return;
    this.#cluster.trace.count('fault: interrupted');
    if (this.#random.below(2) === 0) machine.losePower();
    else machine.kill();
    this.#cluster.timeline.after(1 + this.#random.below(60), () => machine.boot());
  }

  #topple(machine: Machine): void {
    if (!this.#cluster.isBusy) return;
    this.#cluster.trace.count('fault: toppled');
    const how = this.#random.below(6);
    if (how === 0) machine.losePower();
    else if (how === 1) machine.kill();
    else if (how < 4) this.#pause(machine);
    else this.#isolate(machine, 500 + this.#random.below(3000));
  }

  /** How long a fault lasts: mostly a moment, at times several elections. */
  #lastsMs(): number {
    return this.#random.below(3) > 0 ? this.#random.below(1500) : this.#random.below(9000);
  }

  /** Mostly long enough for the others to elect a leader. */
  #partedMs(): number {
    return this.#random.below(3) === 0 ? this.#lastsMs() : 1500 + this.#random.below(4000);
  }

  #pause(machine: Machine): void {
    const { life } = machine;
    if (life === null) return;
    life.pause();
    this.#cluster.timeline.after(this.#partedMs(), () => life.resume());
  }

  #cutLeaderOff(): void {
    const leader = this.#cluster.machines.find(({ running }) => running?.replica.isLeader);
    if (leader !== undefined) this.#isolate(leader, 2000 + this.#random.below(2000));
  }

  #isolate(machine: Machine, ms: number = this.#partedMs()): void {
    if (!this.#cluster.isBusy) return;
    for (const other of this.#cluster.machines) {
      if (other === machine) continue;
      this.#change(machine, other, { isCut: true }, ms);
      this.#change(other, machine, { isCut: true }, ms);
    }
  }

  #cut(machine: Machine): void {
    const inwards = this.#random.below(2) === 0;
    const all = this.#random.below(2) === 0;
    const ms = this.#partedMs();
    for (const other of this.#cluster.machines) {
      if (other === machine || (!all && this.#random.below(2) === 0)) continue;
      if (inwards) this.#change(other, machine, { isCut: true }, ms);
      else this.#change(machine, other, { isCut: true }, ms);
    }
  }

  #split(): void {
    const { machines } = this.#cluster;
    const side = new Set(machines.filter(() => this.#random.below(2) === 0));
    const ms = this.#partedMs();
    for (const one of machines) {
      for (const other of machines) {
        if (side.has(one) !== side.has(other)) this.#change(one, other, { isCut: true }, ms);
      }
    }
  }

  #degrade(machine: Machine): void {
    const ms = this.#lastsMs();
    for (const other of this.#cluster.machines) {
      if (other === machine) continue;
      this.#change(machine, other, this.#badLink(), ms);
      this.#change(other, machine, this.#badLink(), ms);
    }
  }

  #degradeAll(): void {
    const bad = this.#badLink();
    const ms = this.#lastsMs();
    for (const one of this.#cluster.machines) {
      for (const other of this.#cluster.machines) {
        if (one !== other) this.#change(one, other, bad, ms);
      }
    }
  }

  #badLink(): Partial<Link> {
    const { below } = this.#random;
    return {
      lost: below(3) === 0 ? 0 : below(300),
      repeated: below(3) === 0 ? 0 : below(200),
      delayMs: below(2) === 0 ? 0.3 : below(120),
      jitterMs: below(2) === 0 ? 2 : below(400),
    };
  }

  #change(from: Machine, to: Machine, how: Partial<Link>, ms: number): void {
    const link = this.#cluster.network.link(from.number, to.number);
    Object.assign(link, how);
    const isCut = how.isCut === true;
    this.#cluster.timeline.after(ms, () => {
      if (!this.#cluster.isBusy) return;
      if (isCut) link.isCut = false;
      else Object.assign(link, { lost: 0, repeated: 0, delayMs: 0.3, jitterMs: 0.5 });
    });
  }

  #stall(machine: Machine): void {
    machine.disk.stallUntil(this.#cluster.timeline.nowMs + this.#lastsMs());
  }

  #slow(machine: Machine): void {
    machine.disk.latencyMs = 20 + this.#random.below(200);
    this.#cluster.timeline.after(this.#lastsMs(), () => machine.disk.heal());
  }

  #fail(machine: Machine): void {
    machine.disk.failsOneIn = 2 + this.#random.below(40);
    this.#cluster.timeline.after(this.#lastsMs(), () => {
      machine.disk.failsOneIn = 0;
    });
  }

  /** What a process has not synced must not count for the next one either. */
  #killAndCut(): void {
    const { machines, timeline } = this.#cluster;
    for (const machine of machines) machine.interruptAfter(this.#random.below(8), 'kill');
    for (let ms = 400; ms <= 2000; ms += 400) timeline.after(ms, () => this.#bootAll());
    timeline.after(2000 + this.#random.below(1500), () => {
      if (this.#cluster.isBusy) for (const machine of machines) machine.losePower();
    });
  }

  #bootAll(): void {
    for (const machine of this.#cluster.machines) machine.boot();
  }

  #restartAll(): void {
    const powerCut = this.#random.below(2) === 0;
    for (const machine of this.#cluster.machines) {
      if (powerCut) machine.losePower();
      else machine.kill();
    }
  }
}
