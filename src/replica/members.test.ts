import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryRows } from '../../test/support/memory-rows.ts';
import { errors } from '../errors.ts';
import type { ConfChange, ConfChangeType } from '../raft/messages.ts';
import { hexId, type MemberId } from '../types.ts';
import { clusterIdOf, type Member, Members, memberIdOf, memberJson } from './members.ts';

const TOKEN = 'etcd-cluster';
const id = (value: bigint) => value as MemberId;
const BIG = id(0xa0c1_ff40_2452_8650n);

describe('ids', () => {
  it.each([
    ['http://10.0.0.1:2380', TOKEN, '3ebc01aec68d6d70'],
    ['http://10.0.0.2:2380', TOKEN, 'ee274cacce804b21'],
    ['http://10.0.0.3:2380', TOKEN, 'fe9c64eaf3991d47'],
    ['http://127.0.0.1:45280', TOKEN, 'a0c1ff4024528650'],
    ['https://127.0.0.1:45280', 'etcd', '79ee2c53d8a9fdc2'],
  ])('of member %s with token %s is %s', (url, token, expected) => {
    expect(hexId(memberIdOf([url], token, null))).toBe(expected);
  });

  it('of clusters come from their members, in any order', () => {
    const members = [1, 2, 3].map((i) => memberIdOf([`http://10.0.0.${i}:2380`], TOKEN, null));
    expect(hexId(clusterIdOf(members))).toBe('cd11e86392339c47');
    expect(hexId(clusterIdOf(members.reverse()))).toBe('cd11e86392339c47');
    expect(hexId(clusterIdOf([BIG]))).toBe('1f54c1f77ec83c13');
  });

  it('do not depend on the order of URLs, but on the second of an addition', () => {
    const [a, b] = ['http://b:2380', 'http://a:2380'];
    expect(memberIdOf([a, b], '', 5)).toBe(memberIdOf([b, a], '', 5));
    expect(memberIdOf([a], '', 5)).not.toBe(memberIdOf([a], '', 6));
    expect(memberIdOf([a], '', null)).not.toBe(memberIdOf([a], '', 0));
  });
});

describe('the JSON of a member', () => {
  const member: Member = {
    id: BIG,
    name: '',
    peerUrls: ['http://a:1'],
    clientUrls: [],
    isLearner: false,
  };

  it('keeps ids exact and leaves out what is empty', () => {
    expect(memberJson(member)).toBe('{"id":11583820367526004304,"peerURLs":["http://a:1"]}');
    const full = { ...member, name: 'n"1', clientUrls: ['http://c'], isLearner: true };
    expect(memberJson(full, { promote: true })).toBe(
      '{"id":11583820367526004304,"peerURLs":["http://a:1"],"isLearner":true,"name":"n\\"1",' +
        '"clientURLs":["http://c"],"isPromote":true}',
    );
  });
});

describe('the table', () => {
  let rows: MemoryRows;
  let members: Members;

  beforeEach(async () => {
    rows = new MemoryRows();
    members = await Members.open(rows, { learnersMax: 1 });
  });

  function change(
    type: ConfChangeType,
    nodeId: MemberId,
    more: Partial<Member> & { promote?: boolean } = {},
  ) {
    const { promote = false, ...fields } = more;
    const member = {
      id: nodeId,
      name: '',
      peerUrls: [`http://${nodeId}:1`],
      clientUrls: [],
      isLearner: false,
      ...fields,
    };
    const context = type === 'remove-node' ? '' : memberJson(member, { promote });
    const made: ConfChange = { id: 1n, type, nodeId, context: Buffer.from(context) };
    const refused = members.validate(made);
    if (refused === null) members.apply(made);
    return refused;
  }

  it("refuses what does not fit, in etcd's order", () => {
    expect(change('add-node', id(1n))).toBeNull();
    expect(change('add-node', id(1n))).toBe(errors.memberExist);
    expect(change('add-node', id(2n), { peerUrls: ['http://1:1'] })).toBe(errors.peerUrlExist);
    expect(change('update-node', id(2n))).toBe(errors.memberNotFound);
    expect(change('remove-node', id(2n))).toBe(errors.memberNotFound);
    expect(change('add-learner-node', id(2n))).toBeNull();
    expect(change('add-learner-node', id(3n))).toBe(errors.tooManyLearners);
    expect(change('update-node', id(2n), { peerUrls: ['http://1:1'] })).toBe(errors.peerUrlExist);
    expect(change('add-node', id(1n), { promote: true })).toBe(errors.memberNotLearner);
    expect(change('add-node', id(9n), { promote: true })).toBe(errors.memberNotFound);
    expect(change('remove-node', id(1n))).toBeNull();
    expect(change('add-node', id(1n))).toBe(errors.memberNotFound);
    expect(members.isRemoved(id(1n))).toBe(true);
  });

  it('keeps the learner flag over an update, and loses it by promotion', () => {
    change('add-learner-node', BIG);
    change('update-node', BIG, { peerUrls: ['http://new:1'] });
    expect(members.get(BIG)).toMatchObject({ isLearner: true, peerUrls: ['http://new:1'] });
    change('add-node', BIG, { promote: true });
    expect(members.get(BIG)).toMatchObject({ isLearner: false, peerUrls: ['http://new:1'] });
  });

  it('is the same after a restart', async () => {
    change('add-node', BIG);
    change('add-node', id(2n));
    change('add-learner-node', id(3n));
    change('remove-node', id(2n));
    members.publish(BIG, 'one', ['http://client']);
    members.publish(id(77n), 'nobody', []);
    const again = await Members.open(rows, { learnersMax: 1 });
    expect(again.list()).toEqual(members.list());
    expect(again.list().map((member) => member.id)).toEqual([3n, BIG]);
    expect(again.get(BIG)).toMatchObject({ name: 'one', clientUrls: ['http://client'] });
    expect(again.isRemoved(id(2n))).toBe(true);
  });
});
