/** Clients that hold a lease with a key or two, keep it alive for a while, and let it end. */

import type { EtcdError } from '../../src/errors.ts';
import type { Random } from '../../src/ports.ts';
import type { LeaseId } from '../../src/types.ts';
import { Client } from './clients.ts';
import type { Cluster } from './cluster.ts';

export class LeaseHolder {
  readonly #cluster: Cluster;
  readonly #random: Random;
  readonly #client: Client;
  readonly #number: number;
  #leases = 0;

  constructor(number: number, cluster: Cluster, random: Random) {
    this.#number = number;
    this.#cluster = cluster;
    this.#random = random;
    this.#client = new Client(`l${number}`, cluster, random);
  }

  start(): void {
    this.#later(() => this.#grant());
  }

  #later(then: () => void, ms = 100 + this.#random.below(900)): void {
    this.#cluster.timeline.after(ms, () => {
      if (!this.#cluster.isBusy) return;
      then();
    });
  }

  #grant(): void {
    const { timeline, judge, trace } = this.#cluster;
    const running = this.#cluster.anyRunning(this.#random);
    if (running === null) {
      this.start();
      return;
    }
    const id = BigInt(this.#number * 1000 + ++this.#leases) as LeaseId;
    const ttl = 2 + this.#random.below(4);
    const began = timeline.nowMs;
    running.life.run(() => {
      running.replica.propose('leaseGrant', { id, ttl }).then(
        ({ ttlSeconds }) => {
          if (running.life.isOver) return;
          judge.promised(id, ttlSeconds, began);
          trace.count('leases granted');
          this.#attach(id, ttlSeconds);
        },
        () => {},
      );
    });
    // Whatever became of it: the next one.
    this.#later(() => this.#grant(), 3000 + this.#random.below(9000));
  }

  #attach(id: LeaseId, ttl: number): void {
    for (let keys = 1 + this.#random.below(2); keys > 0; keys--) {
      const running = this.#cluster.anyRunning(this.#random);
      if (running === null) break;
      const key = `k${this.#random.below(7)}`;
      const value = this.#client.value();
      this.#client.ask(running, { kind: 'put', key, value, lease: id }, false, () => {});
    }
    this.#keep(id, ttl, this.#random.below(8));
  }

  #keep(id: LeaseId, ttl: number, times: number): void {
    if (times === 0) {
      if (this.#random.below(3) === 0) this.#revoke(id);
      return;
    }
    const { timeline, judge, trace } = this.#cluster;
    this.#later(
      () => {
        const began = timeline.nowMs;
        this.#cluster.keepAlive(id, this.#random).then(
          (answer) => {
            if (answer > 0) {
              trace.count('leases kept alive');
              judge.promised(id, answer, began);
            }
          },
          (_error: EtcdError) => trace.count('keep-alives failed'),
        );
        this.#keep(id, ttl, times - 1);
      },
      (ttl * 1000) / 3,
    );
  }

  #revoke(id: LeaseId): void {
    const running = this.#cluster.anyRunning(this.#random);
    if (running === null) return;
    this.#cluster.judge.revoking(id);
    running.life.run(() => {
      running.replica.propose('leaseRevoke', { id }).catch(() => {});
    });
  }
}
