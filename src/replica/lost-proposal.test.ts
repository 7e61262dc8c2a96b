import { describe, expect, it } from 'vitest';
import { errors } from '../errors.ts';
import type { MemberId } from '../types.ts';
import { type LostProposal, lostProposalError } from './lost-proposal.ts';

const [SELF, OTHER, THIRD] = [1n, 2n, 3n] as MemberId[] as [MemberId, MemberId, MemberId];

function verdict(lost: Partial<LostProposal>) {
  return lostProposalError({
    startTick: 100,
    startMs: 5000,
    electedTick: 10,
    electionTicks: 10,
    self: SELF,
    lead: SELF,
    members: [SELF, OTHER, THIRD],
    activeSinceMs: () => 0,
    ...lost,
  });
}

describe('a request that was lost', () => {
  it('shortly before the leader was elected blames the former one', () => {
    expect(verdict({ electedTick: 101 })).toBe(errors.timeoutDueToLeaderFail);
    expect(verdict({ electedTick: 119 })).toBe(errors.timeoutDueToLeaderFail);
    expect(verdict({ electedTick: 120 })).toBe(errors.timeout);
    expect(verdict({ electedTick: 100 })).toBe(errors.timeout);
  });

  it('blames the connections of a leader that had no quorum all the time', () => {
    const onlyOther = (id: MemberId) => (id === OTHER ? 4000 : null);
    expect(verdict({ activeSinceMs: onlyOther })).toBe(errors.timeout);
    expect(verdict({ activeSinceMs: () => 5001 })).toBe(errors.timeoutDueToConnectionLost);
    expect(verdict({ activeSinceMs: () => null })).toBe(errors.timeoutDueToConnectionLost);
  });

  it('blames the connection to the leader that was not there all the time', () => {
    const since = (ms: number | null) => (id: MemberId) => (id === OTHER ? ms : null);
    expect(verdict({ lead: OTHER, activeSinceMs: since(5000) })).toBe(errors.timeout);
    expect(verdict({ lead: OTHER, activeSinceMs: since(5001) })).toBe(
      errors.timeoutDueToConnectionLost,
    );
    expect(verdict({ lead: OTHER, activeSinceMs: since(null) })).toBe(
      errors.timeoutDueToConnectionLost,
    );
  });

  it('names no reason where nobody leads', () => {
    expect(verdict({ lead: null, activeSinceMs: () => null })).toBe(errors.timeout);
  });
});
