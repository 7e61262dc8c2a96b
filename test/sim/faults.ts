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
  readonly #kinds: readonly (readonly [string, Fault])[];
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
    this.#pauseMs = 1000 + random.below(9000);
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
    const machine = used[this.#random.below(Math.max(1, used.length))];
    if (machine === undefined) return;
    machine.say(`fault: ${name}`);
    trace.count(`fault: ${name}`);
    fault(machine);
  }

  /** How long a fault lasts: mostly a moment, at times several elections. */
  #lastsMs(): number {
    return this.#random.below(3) > 0 ? this.#random.below(1500) : this.#random.below(9000);
  }

  #pause(machine: Machine): void {
    const { life } = machine;
    if (life === null) return;
    life.pause();
    this.#cluster.timeline.after(this.#lastsMs(), () => life.resume());
  }

  #isolate(machine: Machine): void {
    for (const other of this.#cluster.machines) {
      if (other === machine) continue;
      this.#change(machine, other, { isCut: true });
      this.#change(other, machine, { isCut: true });
    }
  }

  #cut(machine: Machine): void {
    const inwards = this.#random.below(2) === 0;
    const all = this.#random.below(2) === 0;
    for (const other of this.#cluster.machines) {
      if (other === machine || (!all && this.#random.below(2) === 0)) continue;
      if (inwards) this.#change(other, machine, { isCut: true });
      else this.#change(machine, other, { isCut: true });
    }
  }

  #split(): void {
    const { machines } = this.#cluster;
    const side = new Set(machines.filter(() => this.#random.below(2) === 0));
    for (const one of machines) {
      for (const other of machines) {
        if (side.has(one) !== side.has(other)) this.#change(one, other, { isCut: true });
      }
    }
  }

  #degrade(machine: Machine): void {
    for (const other of this.#cluster.machines) {
      if (other === machine) continue;
      this.#change(machine, other, this.#badLink());
      this.#change(other, machine, this.#badLink());
    }
  }

  #degradeAll(): void {
    const bad = this.#badLink();
    for (const one of this.#cluster.machines) {
      for (const other of this.#cluster.machines) if (one !== other) this.#change(one, other, bad);
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

  #change(from: Machine, to: Machine, how: Partial<Link>): void {
    const link = this.#cluster.network.link(from.number, to.number);
    Object.assign(link, how);
    const isCut = how.isCut === true;
    this.#cluster.timeline.after(this.#lastsMs(), () => {
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
