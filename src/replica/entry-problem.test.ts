// What another member's entries must be for this one to take them into its log.
import { describe, expect, it } from 'vitest';
import { encodeInternalRaftRequest } from '../codec/gen/etcdserverpb.ts';
import { encodeConfChange, encodeConfChangeV2 } from '../codec/raftpb.ts';
import { encode } from '../codec/wire.ts';
import type { ConfChange, Entry } from '../raft/messages.ts';
import type { MemberId } from '../types.ts';
import { entryProblem } from './entry-problem.ts';
import { encodeJointChange } from './joint-change.ts';
import { encodeV2ClusterVersion } from './v2-request.ts';

const NODE = 7n as MemberId;

function problem(data: Uint8Array, type: Entry['type'] = 'normal'): string | null {
  return entryProblem({ type, term: 1, index: 1, data });
}

function clusterVersion(ver: string): Uint8Array {
  const header = { id: 1n, username: '', authRevision: 0 };
  const request = { case: 'clusterVersionSet', value: { ver } } as const;
  return encode(encodeInternalRaftRequest, { id: 0n, header, request });
}

function change(context: string): Uint8Array {
  const made: ConfChange = {
    id: 1n,
    type: 'add-node',
    nodeId: NODE,
    context: Buffer.from(context),
  };
  return encodeConfChange(made);
}

describe('taken', () => {
  it.each([
    ['the entry that opens a term', 'normal', new Uint8Array(0)],
    ['a request', 'normal', clusterVersion('3.6.0')],
    ['a request of the older form', 'normal', encodeV2ClusterVersion(1n, '3.4.0')],
    ['a change of members', 'conf-change', change('{"id":7,"peerURLs":["http://a:1"]}')],
    ['the change that leaves a joint configuration', 'conf-change-v2', new Uint8Array(0)],
    [
      'several changes',
      'conf-change-v2',
      encodeJointChange(1n, [{ type: 'remove-node', nodeId: NODE, member: null }]),
    ],
  ] as const)('%s', (_what, type, data) => {
    expect(problem(data, type)).toBe(null);
  });
});

describe('not taken', () => {
  it.each([
    ['bytes that are no message', 'normal', Buffer.from('ffffff', 'hex')],
    ['a message without a request', 'normal', Buffer.from('a2060208 01'.replace(' ', ''), 'hex')],
    ['a cluster version beyond this program', 'normal', clusterVersion('9.9.0')],
    ['a cluster version that is none', 'normal', clusterVersion('nonsense')],
    ['the same in the older form', 'normal', encodeV2ClusterVersion(1n, '9.9.0')],
    ['a change that is no message', 'conf-change', Buffer.from('0a', 'hex')],
    ['a change of an unknown kind', 'conf-change', Buffer.from('1009', 'hex')],
    ['a change whose member is not JSON', 'conf-change', change('{')],
    ['a change whose member is nothing', 'conf-change', change('null')],
    [
      'several changes that name no members',
      'conf-change-v2',
      encodeConfChangeV2({
        transition: 'auto',
        changes: [{ type: 'add-node', nodeId: NODE }],
        context: Buffer.from('{"requestId":"1"}'),
      }),
    ],
  ] as const)('%s', (_what, type, data) => {
    expect(problem(data, type)).not.toBe(null);
  });
});
