/**
 * Groups of three to five members under loss, reordering, duplication, partitions, slow writes,
 * crashes, membership changes and compaction, each seed with its own mix. Every step is followed by
 * the invariant check; then everything is healed and the group must make progress.
 */

import { describe, expect, test } from 'vitest';
import { must } from '../../src/assert.ts';
import type { Random } from '../../src/ports.ts';
import { InvariantChecker } from '../../src/raft/invariants.ts';
import { EMPTY_CONF_STATE } from '../../src/raft/membership.ts';
import type { ConfChangeType, Entry, Message } from '../../src/raft/messages.ts';
import type { Index, MemberId } from '../../src/types.ts';
import { encodeConfChange, Member } from './member.ts';

/** Splitmix-like; the numbers only have to be spread out and the same each time. */
function seeded(seed: number): Random {
  let state = (seed * 0x9e3779b1 + 1) | 0;
  function next(): number {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }
  return { below: (n) => next() % n, u64: () => BigInt(next()) };
}

function foldHash(text: string, entry: Entry): string {
  let hash = Number(text);
  for (const byte of entry.data) hash = (Math.imul(hash, 31) + byte + 1) | 0;
  return String((Math.imul(hash, 31) + entry.index) | 0);
}

class Group {
  readonly random: Random;
  readonly members = new Map<MemberId, Member>();
  readonly checker = new InvariantChecker();
  network: Message[] = [];
  /** Percent of messages lost, and delivered twice. */
  loss: number;
  duplication: number;
  readonly crashes: boolean;
  readonly changes: 'none' | 'simple' | 'joint';
  readonly cut = new Set<MemberId>();
  readonly #texts = new Map<Index, string>();
  /** For each read asked: what was committed at that moment. */
  readonly #reads = new Map<string, Index>();
  readsAnswered = 0;
  #proposals = 0;

  constructor(seed: number) {
    this.random = seeded(seed);
    const { random } = this;
    this.loss = random.below(4) * 10;
    this.duplication = random.below(3) * 10;
    this.crashes = random.below(2) === 0;
    this.changes = (['none', 'simple', 'joint'] as const)[random.below(3)] ?? 'none';
    const founders = 3 + random.below(3);
    const preVote = random.below(2) === 0;
    const checkQuorum = random.below(2) === 0;
    const voters: MemberId[] = [];
    for (let i = 1; i <= founders; i++) voters.push(BigInt(i) as MemberId);
    for (let i = 1; i <= 5; i++) {
      const id = BigInt(i) as MemberId;
      const founding = i <= founders;
      // A founder starts from an agreed first snapshot; others start empty and wait to be added.
      const confState = founding ? { ...EMPTY_CONF_STATE, voters } : EMPTY_CONF_STATE;
      const member = new Member({
        id,
        random,
        text: '0',
        fold: foldHash,
        start: { index: founding ? 1 : 0, term: founding ? 1 : 0, confState },
        settings: {
          electionTicks: 5,
          heartbeatTicks: 1,
          preVote,
          checkQuorum,
          appendBytesMax: 100,
          appendsInflightMax: 3,
          applyBytesMax: 100,
        },
      });
      this.members.set(id, member);
    }
  }

  any(): Member {
    const id = BigInt(1 + this.random.below(5)) as MemberId;
    return must(this.members.get(id), 'all ids exist');
  }

  leader(): Member | null {
    let best: Member | null = null;
    for (const member of this.members.values()) {
      if (member.raft.state !== 'leader') continue;
      if (best === null || member.raft.term > best.raft.term) best = member;
    }
    return best;
  }

  post(messages: readonly Message[]): void {
    for (const message of messages) {
      if (this.cut.has(message.from) || this.cut.has(message.to)) continue;
      if (this.random.below(100) < this.loss) continue;
      this.network.push(message);
      if (this.random.below(100) < this.duplication) this.network.push(message);
    }
  }

  ready(member: Member): void {
    const ready = member.takeReady();
    this.post(ready.send);
    for (const read of ready.reads) {
      const asked = this.#reads.get(Buffer.from(read.context).toString());
      expect(read.index).toBeGreaterThanOrEqual(must(asked, 'the read was asked'));
      this.readsAnswered++;
    }
    this.checkText(member);
  }

  write(member: Member): void {
    if (member.writing === null) return;
    this.post(member.completeWrite());
    this.checkText(member);
  }

  /** Members that have applied the same prefix have the same state. */
  checkText(member: Member): void {
    const { applied, text } = member.state;
    const known = this.#texts.get(applied);
    if (known === undefined) this.#texts.set(applied, text);
    else if (known !== text) expect(text).toBe(known);
  }

  deliver(): void {
    if (this.network.length === 0) return;
    const at = this.random.below(Math.min(this.network.length, 20));
    const message = must(this.network[at], 'the message is there');
    this.network.splice(at, 1);
    if (this.cut.has(message.to)) return;
    const member = must(this.members.get(message.to), 'the addressee exists');
    expect(member.raft.step(message)).toBe(null);
    this.check(member);
  }

  propose(member: Member): boolean {
    return member.raft.propose(Buffer.from(`p${++this.#proposals}`));
  }

  read(member: Member): void {
    const name = `r${this.#reads.size}`;
    this.#reads.set(name, this.checker.committedLast);
    member.raft.requestRead(Buffer.from(name));
  }

  change(member: Member): void {
    const type: ConfChangeType =
      (['add-node', 'remove-node', 'add-learner-node', 'add-node'] as const)[
        this.random.below(4)
      ] ?? 'add-node';
    const nodeId = this.any().id;
    const context = new Uint8Array(0);
    if (this.changes === 'simple') {
      const data = encodeConfChange({ id: 0n, type, nodeId, context });
      member.raft.proposeMembership('conf-change', data);
    } else if (this.changes === 'joint') {
      const changes = [
        { type, nodeId },
        { type: 'add-node', nodeId: this.any().id },
      ] as const;
      const transition = this.random.below(3) === 0 ? 'joint-explicit' : 'auto';
      const leave = this.random.below(3) === 0;
      const data = leave
        ? new Uint8Array(0)
        : encodeConfChange({ transition, changes: [...changes], context });
      member.raft.proposeMembership('conf-change-v2', data);
    }
  }

  check(member: Member): void {
    this.checker.check([member.raft]);
  }

  disturb(): void {
    const member = this.any();
    switch (this.random.below(9)) {
      case 0:
        if (!this.crashes) break;
        member.restart(this.random.below(2) === 0);
        this.checker.restarted(member.id);
        break;
      case 1:
        if (this.random.below(3) > 0) this.cut.clear();
        else this.cut.add(member.id);
        break;
      case 2:
        member.saveCheckpoint();
        member.compact(member.raft.appliedIndex - this.random.below(5));
        break;
      case 3:
        member.raft.transferLeadership(this.any().id);
        break;
      case 4:
        member.raft.unreachable(this.any().id);
        break;
      case 5:
        member.raft.snapshotSent(this.any().id, this.random.below(2) === 0);
        break;
      case 6:
        member.raft.campaign();
        break;
      default:
        this.change(member);
        break;
    }
    this.check(member);
  }

  step(): void {
    const member = this.any();
    const dice = this.random.below(100);
    if (dice < 6) member.raft.tick();
    else if (dice < 46) this.deliver();
    else if (dice < 68) this.ready(member);
    else if (dice < 87) this.write(member);
    else if (dice < 95) this.propose(member);
    else if (dice < 98) this.read(member);
    else this.disturb();
    this.check(member);
  }

  /** One unhurried round without faults. */
  calmRound(): void {
    for (const member of this.members.values()) {
      member.raft.tick();
      this.ready(member);
      this.write(member);
      this.check(member);
    }
    for (let left = this.network.length * 2; left > 0; left--) this.deliver();
    const leader = this.leader();
    if (leader === null) return;
    // etcd: a leader that was removed goes on leading, and its server ends itself soon after.
    if (!leader.raft.confState.voters.includes(leader.id)) {
      leader.saveCheckpoint();
      leader.restart(true);
      this.checker.restarted(leader.id);
    }
    // What the members do not know themselves, their surroundings tell them after a while.
    for (const progress of leader.raft.status().progress) {
      if (progress.state === 'snapshot') leader.raft.snapshotSent(progress.id, true);
    }
  }

  heal(): void {
    this.loss = 0;
    this.duplication = 0;
    this.cut.clear();
  }
}

function isCaughtUp(group: Group, index: Index): boolean {
  const leader = group.leader();
  if (leader === null) return false;
  const { voters, learners, votersOutgoing } = leader.raft.confState;
  for (const id of [...voters, ...learners, ...votersOutgoing]) {
    const member = must(group.members.get(id), 'all ids exist');
    if (member.raft.appliedIndex < index || member.raft.lead !== leader.id) return false;
  }
  return leader.raft.commit >= index;
}

function run(seed: number, steps: number): { readonly commits: Index; readonly reads: number } {
  const group = new Group(seed);
  for (let i = 0; i < steps; i++) group.step();
  const commits = group.checker.committedLast;
  group.heal();
  let target: Index | null = null;
  for (let round = 0; round < 400; round++) {
    group.calmRound();
    const leader = group.leader();
    if (target === null && leader !== null && round > 60 && group.propose(leader)) {
      target = leader.raft.lastIndex;
    }
    if (target !== null && isCaughtUp(group, target)) {
      return { commits, reads: group.readsAnswered };
    }
  }
  throw new Error('the healed group made no progress');
}

const SEEDS = Number(process.env['RAFT_SEEDS'] ?? 300);
const FIRST = Number(process.env['RAFT_FIRST'] ?? 1);

describe('random faults', () => {
  test('no seed breaks an invariant, and every healed group makes progress', () => {
    let commits = 0;
    let reads = 0;
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
      try {
        const result = run(seed, 2500);
        commits += result.commits;
        reads += result.reads;
      } catch (cause) {
        throw new Error(`seed ${seed}`, { cause });
      }
    }
    // The mix must not be so harsh that nothing happens.
    expect(commits).toBeGreaterThan(SEEDS * 10);
    expect(reads).toBeGreaterThan(SEEDS);
  });
});
