import { describe, expect, it } from 'vitest';
import { errors } from '../errors.ts';
import { Proposals } from './proposals.ts';

const data = Buffer.from('an entry');

function fakeRaft(state: 'leader' | 'follower', term: number) {
  const taken: Uint8Array[] = [];
  const propose = (bytes: Uint8Array): boolean => taken.push(bytes) > 0;
  const proposeMembership = (_kind: string, bytes: Uint8Array): boolean => propose(bytes);
  return { state, term, taken, propose, proposeMembership };
}

describe('what only the leader of one term may append', () => {
  it('is taken by that leader', async () => {
    const proposals = new Proposals(10);
    const outcome = proposals.add(1n, { kind: 'normal', data, onlyInTerm: 3 }, 0);
    const raft = fakeRaft('leader', 3);
    proposals.offerTo(raft);
    expect(raft.taken).toEqual([data]);
    proposals.resolve(1n, 'done');
    await expect(outcome).resolves.toBe('done');
  });

  it.each([
    ['forwarded by a follower', fakeRaft('follower', 3)],
    ['appended in a later term', fakeRaft('leader', 5)],
  ])('is not %s', async (_how, raft) => {
    const proposals = new Proposals(10);
    const outcome = proposals.add(1n, { kind: 'normal', data, onlyInTerm: 3 }, 0);
    const other = proposals.add(2n, { kind: 'normal', data }, 0);
    proposals.offerTo(raft);
    expect(raft.taken).toHaveLength(1);
    expect(proposals.unaccepted).toBe(0);
    await expect(outcome).rejects.toBe(errors.leaderChanged);
    proposals.resolve(2n, 'done');
    await expect(other).resolves.toBe('done');
  });
});
