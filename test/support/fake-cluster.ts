/** What the checks of membership and leadership ask of a replica, as a test says it is. */

import { decodeConfChangeV2 } from '../../src/codec/raftpb.ts';
import { EtcdError } from '../../src/errors.ts';
import { createLog, type Log } from '../../src/log.ts';
import { jointChangeOf } from '../../src/replica/joint-change.ts';
import { type Member, Members } from '../../src/replica/members.ts';
import type { ProposedChange } from '../../src/server/member-changes.ts';
import type { ClusterId, MemberId } from '../../src/types.ts';
import { MemoryRows } from './memory-rows.ts';

export const memberId = (n: number): MemberId => BigInt(n) as MemberId;
const CLUSTER_ID = 0xcafen as ClusterId;

/** Members 1, 2, … named `m1`, …; a change is judged by the real table and takes effect. */
export class FakeCluster {
  readonly memberId = memberId(1);
  readonly clusterId = CLUSTER_ID;
  readonly stopping = new AbortController().signal;
  lead: MemberId | null = memberId(1);
  commit = 100;
  /** How far each member's log matches the leader's. */
  readonly match = new Map<MemberId, number>();
  readonly active = new Map<MemberId, number>();
  readonly proposed: ProposedChange[] = [];
  readonly joint: string[] = [];
  readonly transferred: MemberId[] = [];
  /** What waiting for an applied index, or for another leader, ends with. */
  applied: () => Promise<void> = () => Promise.resolve();
  transfer: () => Promise<void> = () => Promise.resolve();
  readonly stateMachine: { readonly members: Members };

  private constructor(members: Members) {
    this.stateMachine = { members };
  }

  static async of(voters: number, learners = 0): Promise<FakeCluster> {
    const members = await Members.open(new MemoryRows(), { learnersMax: 1 });
    const cluster = new FakeCluster(members);
    for (let n = 1; n <= voters + learners; n++) {
      cluster.add({ id: memberId(n), isLearner: n > voters });
    }
    return cluster;
  }

  readonly peers = {
    activeSinceMs: (id: MemberId): number | null => this.active.get(id) ?? null,
  };

  /** A member that has started, and has been connected for ever. */
  add(member: Pick<Member, 'id'> & Partial<Member>): void {
    const name = member.name ?? `m${member.id}`;
    const peerUrls = member.peerUrls ?? [`http://127.0.0.1:${10_000n + member.id}`];
    const whole = { clientUrls: [], isLearner: false, ...member, name, peerUrls };
    const type = whole.isLearner ? 'add-learner-node' : 'add-node';
    const json = `{"id":${member.id},"peerURLs":${JSON.stringify(peerUrls)},"name":"${name}"}`;
    this.stateMachine.members.apply({
      id: 0n,
      type,
      nodeId: member.id,
      context: Buffer.from(json),
    });
    this.match.set(member.id, this.commit);
    if (member.id !== this.memberId) this.active.set(member.id, 0);
  }

  whenApplied(): Promise<void> {
    return this.applied();
  }

  raftStatus() {
    const isLeader = this.lead === this.memberId;
    const progress = [...this.match].map(([id, match]) => ({ id, match }));
    return { state: isLeader ? 'leader' : 'follower', progress: isLeader ? progress : [] } as never;
  }

  async changeMembership(change: ProposedChange): Promise<void> {
    this.proposed.push(change);
    const entry = { ...change, id: 1n };
    const refused = this.stateMachine.members.validate(entry);
    if (refused instanceof EtcdError) throw refused;
    this.stateMachine.members.apply(entry);
  }

  /** A joint change, as the log takes it. */
  async proposeEncoded(kind: string, encode: (id: bigint) => Uint8Array): Promise<never> {
    const change = decodeConfChangeV2(encode(7n));
    this.joint.push(`${kind} ${change.transition}`);
    const { members } = this.stateMachine;
    const { changes } = jointChangeOf(change);
    const refused = members.validateAll(changes);
    if (refused !== null) throw refused;
    for (const one of changes) members.apply(one);
    return null as never;
  }

  async transferLeadership(to: MemberId): Promise<void> {
    this.transferred.push(to);
    await this.transfer();
    this.lead = to;
  }
}

/** A log whose lines a test reads: message and fields, without time and place. */
export function recordedLog(): { readonly log: Log; readonly lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const log = createLog({
    level: 'debug',
    format: 'json',
    outputs: [],
    write(line) {
      const { ts: _, caller: __, stacktrace: ___, ...rest } = JSON.parse(line);
      lines.push(rest);
    },
  });
  return { log, lines };
}
