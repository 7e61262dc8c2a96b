/**
 * The arithmetic of majorities and of joint majorities (thesis 4.3): which index a quorum has
 * acknowledged, and how an election stands. Knows ids and numbers, nothing of logs or terms.
 *
 * An empty set of voters commits everything and wins every vote. That makes it the neutral element
 * of a joint quorum, so a configuration that is not joint needs no special case.
 */

import type { Index, MemberId } from '../types.ts';

export type VoteResult = 'won' | 'lost' | 'pending';

/** What an empty majority has acknowledged: more than any real index. */
export const EVERYTHING: Index = Number.MAX_SAFE_INTEGER;

/** The largest index that more than half of the voters have acknowledged. */
export function majorityIndex(
  voters: readonly MemberId[],
  acknowledged: (id: MemberId) => Index,
): Index {
  const size = voters.length;
  if (size === 0) return EVERYTHING;
  const sorted: Index[] = [];
  for (const id of voters) {
    const index = acknowledged(id);
    let at = sorted.length;
    while (at > 0 && (sorted[at - 1] ?? 0) > index) at--;
    sorted.splice(at, 0, index);
  }
  // Ascending: everyone from this position on, a majority, has acknowledged at least this much.
  return sorted[size - (Math.floor(size / 2) + 1)] ?? 0;
}

/** A joint decision needs both majorities. */
export function jointIndex(
  incoming: readonly MemberId[],
  outgoing: readonly MemberId[],
  acknowledged: (id: MemberId) => Index,
): Index {
  const index = majorityIndex(incoming, acknowledged);
  return outgoing.length === 0 ? index : Math.min(index, majorityIndex(outgoing, acknowledged));
}

export function majorityVote(
  voters: readonly MemberId[],
  votes: ReadonlyMap<MemberId, boolean>,
): VoteResult {
  if (voters.length === 0) return 'won';
  const quorum = Math.floor(voters.length / 2) + 1;
  let granted = 0;
  let missing = 0;
  for (const id of voters) {
    const vote = votes.get(id);
    if (vote === undefined) missing++;
    else if (vote) granted++;
  }
  if (granted >= quorum) return 'won';
  return granted + missing >= quorum ? 'pending' : 'lost';
}

export function jointVote(
  incoming: readonly MemberId[],
  outgoing: readonly MemberId[],
  votes: ReadonlyMap<MemberId, boolean>,
): VoteResult {
  const left = majorityVote(incoming, votes);
  const right = majorityVote(outgoing, votes);
  if (left === right) return left;
  return left === 'lost' || right === 'lost' ? 'lost' : 'pending';
}
