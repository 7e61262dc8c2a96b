/**
 * The first election after a start. etcd: once enough others are in reach, a member need not wait
 * out the whole election timeout, since nobody can have been promised its silence.
 */

import type { Peers } from '../ports.ts';
import type { Raft } from '../raft/raft.ts';
import type { MemberId } from '../types.ts';

export class FirstElection {
  readonly #electionTicks: number;
  #isOver = false;

  constructor(electionTicks: number) {
    this.#electionTicks = electionTicks;
  }

  tick(raft: Raft, peers: Peers, voters: readonly MemberId[]): void {
    if (this.#isOver || voters.length < 2) return;
    if (raft.lead !== null) {
      this.#isOver = true;
      return;
    }
    const reached = voters.filter((id) => id === raft.id || peers.activeSinceMs(id) !== null);
    if (2 * reached.length <= voters.length) return;
    this.#isOver = true;
    for (let i = 2; i < this.#electionTicks; i++) raft.tick();
    // A cluster that was just founded has had no leader whose time might have to be waited out:
    // its log is the entries that name its members.
    const isFounding = raft.term === 1 && raft.lastIndex === voters.length;
    if (isFounding && voters.every((id) => id >= raft.id)) raft.campaign();
  }
}
