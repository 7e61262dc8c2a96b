import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryRows } from '../../test/support/memory-rows.ts';
import { decodeConfChangeV2, encodeConfChangeV2 } from '../codec/raftpb.ts';
import { errors } from '../errors.ts';
import { EMPTY_BYTES, type MemberId } from '../types.ts';
import { encodeJointChange, jointChangeOf, type MemberChange } from './joint-change.ts';
import { type Member, Members } from './members.ts';

const id = (value: bigint) => value as MemberId;
const OLD = id(0xfe9c_64ea_f399_1d47n);
const NEW = id(0xee27_4cac_ce80_4b21n);
const member = (of: MemberId, url: string, more: Partial<Member> = {}): Member => ({
  id: of,
  name: '',
  peerUrls: [url],
  clientUrls: [],
  isLearner: false,
  ...more,
});
const add = (of: MemberId, url: string): MemberChange => ({
  type: 'add-node',
  nodeId: of,
  member: member(of, url),
});
const remove = (of: MemberId): MemberChange => ({ type: 'remove-node', nodeId: of, member: null });
const read = (data: Uint8Array) => jointChangeOf(decodeConfChangeV2(data));

let members: Members;
beforeEach(async () => {
  members = await Members.open(new MemoryRows(), { learnersMax: 1 });
  for (const change of read(encodeJointChange(1n, [add(OLD, 'http://a:1')])).changes) {
    members.apply(change);
  }
});

describe('a joint change', () => {
  it('keeps ids exact, its own too', () => {
    const requestId = (1n << 64n) - 1n;
    const change = read(encodeJointChange(requestId, [remove(OLD), add(NEW, 'http://b:1')]));
    expect(change.requestId).toBe(requestId);
    expect(change.changes.map(({ nodeId }) => nodeId)).toEqual([OLD, NEW]);
  });

  it('is etcd’s ConfChangeV2 on the wire', () => {
    const data = encodeJointChange(1n, [remove(OLD), add(NEW, 'http://b:1')], 'joint-explicit');
    const { transition, changes } = decodeConfChangeV2(data);
    expect(transition).toBe('joint-explicit');
    expect(changes).toEqual([
      { type: 'remove-node', nodeId: OLD },
      { type: 'add-node', nodeId: NEW },
    ]);
  });

  it('without changes has no request and changes nothing', () => {
    expect(read(EMPTY_BYTES)).toEqual({ requestId: null, changes: [] });
    const leave = encodeConfChangeV2({ transition: 'auto', changes: [], context: EMPTY_BYTES });
    expect(read(leave).changes).toEqual([]);
    expect(members.validateAll([])).toBeNull();
  });

  it('is judged as a whole: an address may pass from one member to another', () => {
    const { changes } = read(encodeJointChange(1n, [remove(OLD), add(NEW, 'http://a:1')]));
    expect(members.validateAll(changes)).toBeNull();
    expect(members.validateAll([...changes].reverse())).toBe(errors.peerUrlExist);
    expect(members.list().map((each) => each.id)).toEqual([OLD]);
  });

  it('counts learners over all of its changes', () => {
    const learner = (of: bigint, url: string): MemberChange => ({
      type: 'add-learner-node',
      nodeId: id(of),
      member: member(id(of), url, { isLearner: true }),
    });
    const one = read(encodeJointChange(1n, [learner(7n, 'http://c:1')])).changes;
    const two = read(encodeJointChange(1n, [learner(7n, 'http://c:1'), learner(8n, 'http://d:1')]));
    expect(members.validateAll(one)).toBeNull();
    expect(members.validateAll(two.changes)).toBe(errors.tooManyLearners);
    const promoted: MemberChange = { ...learner(7n, ''), type: 'add-node', promote: true };
    const both = read(encodeJointChange(1n, [learner(7n, 'http://c:1'), promoted])).changes;
    for (const change of both) members.apply(change);
    expect(members.get(id(7n))).toMatchObject({ isLearner: false, peerUrls: ['http://c:1'] });
  });

  it('refuses what was removed, before or within it', () => {
    const { changes } = read(encodeJointChange(1n, [remove(OLD), add(OLD, 'http://b:1')]));
    expect(members.validateAll(changes)).toBe(errors.memberNotFound);
  });
});
