/** What the client of a request is told that was proposed and then not heard of again. */

import { type EtcdError, errors } from '../errors.ts';
import type { MemberId } from '../types.ts';

export interface LostProposal {
  /** When it was proposed, in ticks and in monotonic milliseconds. */
  readonly startTick: number;
  readonly startMs: number;
  /** When the present leader, or the last one, came to be known. */
  readonly electedTick: number;
  readonly electionTicks: number;
  readonly self: MemberId;
  readonly lead: MemberId | null;
  readonly members: readonly MemberId[];
  readonly activeSinceMs: (id: MemberId) => number | null;
}

/** etcd: a timeout that names the likely reason, as far as this member can know it. */
export function lostProposalError(lost: LostProposal): EtcdError {
  const { startTick, electedTick, electionTicks, self, lead, members } = lost;
  if (startTick > electedTick - 2 * electionTicks && startTick < electedTick) {
    return errors.timeoutDueToLeaderFail;
  }
  if (lead === null) return errors.timeout;
  const connected = (id: MemberId): boolean => {
    const since = id === self ? 0 : lost.activeSinceMs(id);
    return since !== null && since <= lost.startMs;
  };
  const reached =
    lead === self ? 2 * members.filter(connected).length > members.length : connected(lead);
  return reached ? errors.timeout : errors.timeoutDueToConnectionLost;
}
