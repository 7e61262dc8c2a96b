import { describe, expect, it } from 'vitest';
import { putRequest } from '../../test/support/lone-replica.ts';
import { keyFromBytes, type LeaseId } from '../types.ts';
import { encodeInternalRaftRequest, type InternalRaftRequest } from './gen/etcdserverpb.ts';
import { putText, raftRequestText, txnText } from './request-text.ts';
import { textFromWire } from './text.ts';
import { encode } from './wire.ts';

// The texts are those of etcd 3.7.1 for the same requests.
const ODD = keyFromBytes(Buffer.from([0x61, 0x22, 0x5c, 0x0a, 0x01, 0xff, 0xc3, 0xa9, 0x7f]));

function raft(request: InternalRaftRequest['request']): string {
  const header = { id: 11705877969743107073n, username: 'u', authRevision: 3 };
  return raftRequestText(encode(encodeInternalRaftRequest, { id: 0n, header, request }));
}

const HEAD = 'ID:11705877969743107073 username:"u" auth_revision:3';

describe('a request in a log line', () => {
  it('shows the size of a value instead of it', () => {
    const value = putRequest('a', 'secret', 77n as LeaseId, { prevKv: true });
    const text = 'key:"a" value_size:6 lease:77 prev_kv:true ';
    expect(raft({ case: 'put', value })).toBe(`header:<${HEAD}> put:<${text}>`);
  });

  it('shows no password', () => {
    const value = { name: 'u', password: 'secret', options: null, hashedPassword: 'secret' };
    expect(raft({ case: 'authUserAdd', value })).toBe(`header:<${HEAD}> auth_user_add:<name:u>`);
    const change = { name: 'u', password: 'secret', hashedPassword: 'secret' };
    expect(raft({ case: 'authUserChangePassword', value: change })).not.toContain('secret');
    const login = { name: 'u', password: 'secret', simpleToken: 't' };
    expect(raft({ case: 'authenticate', value: login })).toBe(
      `header:<${HEAD}> authenticate:<name:u simple_token:t>`,
    );
  });

  it('is told as protobuf tells it where there is nothing to hide', () => {
    expect(raft({ case: 'compaction', value: { revision: 2, physical: true } })).toBe(
      `header:{${HEAD}} compaction:{revision:2 physical:true}`,
    );
    expect(raft({ case: 'downgradeInfoSet', value: { enabled: false, ver: '' } })).toBe(
      `header:{${HEAD}} downgrade_info_set:{}`,
    );
    const attributes = { name: 'm', clientUrls: ['http://a:1', 'http://b:1'] };
    const value = { memberId: 5n as never, memberAttributes: attributes };
    expect(raft({ case: 'clusterMemberAttrSet', value })).toBe(
      `header:{${HEAD}} cluster_member_attr_set:{member_ID:5 member_attributes:` +
        '{name:"m" client_urls:"http://a:1" client_urls:"http://b:1"}}',
    );
  });

  it('shows leases in hex', () => {
    expect(raft({ case: 'leaseRevoke', value: { id: -1n as LeaseId } })).toBe(
      `header:<${HEAD}> lease_revoke:<id:ffffffffffffffff>`,
    );
  });

  it('escapes bytes in one of two ways', () => {
    const put = { ...putRequest('', ''), key: ODD };
    expect(putText(put)).toBe('key:"a\\"\\\\\\n\\001\\377\\303\\251\\177" ');
    const op = {
      request: { case: 'requestDeleteRange', value: { key: ODD, rangeEnd: '', prevKv: false } },
    } as never;
    expect(txnText({ compare: [], success: [op], failure: [] })).toBe(
      'compare:<> success:<request_delete_range:{key:"a\\"\\\\\\n\\x01\\xffé\\x7f"}> failure:<>',
    );
  });

  it('leaves out zeros, but not the one that a comparison is about', () => {
    const compare = {
      result: 0,
      target: 0,
      key: keyFromBytes(Buffer.from('a')),
      rangeEnd: '' as never,
      targetUnion: { case: 'version', value: 0 } as const,
    };
    const value = { case: 'value', value: Buffer.from('xyz') } as const;
    const compares = [compare, { ...compare, result: 1, target: 3, targetUnion: value }];
    expect(txnText({ compare: compares, success: [], failure: [] })).toBe(
      'compare:<key:"a" version:0 result:GREATER target:VALUE key:"a" value_size:3 > ' +
        'success:<> failure:<>',
    );
  });

  it('of a kind that nobody knows is empty', () => {
    expect(textFromWire('etcdserverpb.RangeRequest', Uint8Array.from([0xf8, 0x07, 1]))).toBe('');
  });
});
