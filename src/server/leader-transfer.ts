/**
 * Handing the leadership to another voter: because somebody asks for it, and when this member
 * stops, so that the others need not wait for an election timeout.
 */

import { goDuration } from '../duration.ts';
import { errors } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Clock } from '../ports.ts';
import type { Member } from '../replica/members.ts';
import type { Replica } from '../replica/replica.ts';
import { hexId, type MemberId } from '../types.ts';

export interface LeaderTransferDeps {
  readonly replica: Pick<Replica, 'memberId' | 'lead' | 'transferLeadership'> & {
    readonly stateMachine: {
      readonly members: { get(id: MemberId): Member | null; list(): readonly Member[] };
    };
    readonly peers: { activeSinceMs(id: MemberId): number | null } | null;
  };
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly log: Log;
  /** How long a member that stops waits for its successor: the others would wait no longer. */
  readonly electionTicks: number;
}

export interface LeaderTransfer {
  /**
   * Resolves when `to` leads, at once when it does already. Rejects with `notLeader` where this
   * member does not lead, with `badLeaderTransferee` unless `to` is a voter, with
   * `timeoutLeaderTransfer`.
   */
  moveLeader(to: MemberId): Promise<void>;
  /**
   * To the voter that has been connected longest. Does nothing when this member does not lead, or
   * has no other voter; rejects with `unhealthy` when no other is there, or as `moveLeader`.
   */
  handOver(): Promise<void>;
}

export function createLeaderTransfer({
  replica,
  clock,
  log,
  electionTicks,
}: LeaderTransferDeps): LeaderTransfer {
  const { members } = replica.stateMachine;
  const self = hexId(replica.memberId);

  async function transfer(to: MemberId, ticks?: number): Promise<void> {
    const target = members.get(to);
    if (target === null || target.isLearner) throw errors.badLeaderTransferee;
    const started = clock.monotonic();
    log.info('leadership transfer starting', {
      'local-member-id': self,
      'current-leader-member-id': self,
      'transferee-member-id': hexId(to),
    });
    await replica.transferLeadership(to, ticks);
    log.info('leadership transfer finished', {
      'local-member-id': self,
      'old-leader-member-id': self,
      'new-leader-member-id': hexId(to),
      took: goDuration(clock.monotonic() - started),
    });
  }

  function skip(why: string): void {
    log.info(`skipped leadership transfer${why}`, {
      'local-member-id': self,
      'current-leader-member-id': hexId(replica.lead ?? 0n),
    });
  }

  /** The voter with the oldest connection; among equals the one with the lowest id. */
  function longestConnected(voters: readonly Member[]): MemberId | null {
    let longest: { readonly id: MemberId; readonly since: number } | null = null;
    for (const { id } of voters) {
      const since = replica.peers?.activeSinceMs(id) ?? null;
      if (since !== null && (longest === null || since < longest.since)) longest = { id, since };
    }
    return longest === null ? null : longest.id;
  }

  return {
    async moveLeader(to) {
      if (replica.lead !== replica.memberId) throw errors.notLeader;
      await transfer(to);
    },

    async handOver() {
      if (replica.lead !== replica.memberId) return skip('; local server is not leader');
      const voters = members.list().filter(({ isLearner }) => !isLearner);
      if (voters.length <= 1) return skip(' for single voting member cluster');
      const to = longestConnected(voters.filter(({ id }) => id !== replica.memberId));
      if (to === null) throw errors.unhealthy;
      await transfer(to, electionTicks);
    },
  };
}
