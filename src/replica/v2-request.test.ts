import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { walEntries } from '../../test/support/wal-entries.ts';
import { must } from '../assert.ts';
import { encodeInternalRaftRequest } from '../codec/gen/etcdserverpb.ts';
import { DecodeError, encode } from '../codec/wire.ts';
import { keyFromText, type MemberId } from '../types.ts';
import {
  commandOf,
  decodeV2Request,
  encodeV2Attributes,
  encodeV2ClusterVersion,
  isV2Request,
} from './v2-request.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytes = (text: string): Uint8Array => Buffer.from(text, 'hex');

/** As 3.4.23 wrote them into its log: `PUT /0/version` and the attributes of a member. */
const TAIL = '2800320038004800500058006000680070007800800100';
const ascii = (text: string): string => Buffer.from(text).toString('hex');
const VERSION = `0885be${'f8828ebfa8d139'}1203505554${'1a0a'}${ascii('/0/version')}${'2205'}${ascii(
  '3.4.0',
)}${TAIL}`;

const member = 0x7628_9e71_d043_4b15n as MemberId;
const memberAttributes = { name: 'm1', clientUrls: ['http://127.0.0.1:21491'] };

describe('a v2 request', () => {
  it('sets the cluster version', () => {
    const request = decodeV2Request(bytes(VERSION));
    expect(commandOf(request)).toEqual({ case: 'clusterVersionSet', value: { ver: '3.4.0' } });
    expect(hex(encodeV2ClusterVersion(request.id, '3.4.0'))).toBe(VERSION);
  });

  it('says the name and the client URLs of a member', () => {
    const data = encodeV2Attributes(7n, { memberId: member, memberAttributes });
    const path = '/0/members/76289e71d0434b15/attributes';
    const value = '{"name":"m1","clientURLs":["http://127.0.0.1:21491"]}';
    expect(hex(data)).toBe(`0807${'1203505554'}1a26${ascii(path)}2235${ascii(value)}${TAIL}`);
    expect(isV2Request(data)).toBe(true);
    expect(commandOf(decodeV2Request(data))).toEqual({
      case: 'clusterMemberAttrSet',
      value: { memberId: member, memberAttributes },
    });
  });

  it('reads attributes with keys in any case, and without client URLs', () => {
    const request = { id: 1n, method: 'PUT', path: '/0/members/1f/attributes' };
    expect(commandOf({ ...request, value: '{"NAME":"x"}' })).toEqual({
      case: 'clusterMemberAttrSet',
      value: { memberId: 0x1fn, memberAttributes: { name: 'x', clientUrls: [] } },
    });
    expect(() => commandOf({ ...request, value: 'no' })).toThrow(DecodeError);
    expect(() => commandOf({ ...request, value: '3' })).toThrow(DecodeError);
  });

  it.each([
    ['SYNC', '/', ''],
    ['PUT', '/1/key', 'v'],
    ['PUT', '/0/members/1f/raftAttributes', '{}'],
    ['DELETE', '/0/version', ''],
  ])('%s %s concerns the v2 store only', (method, path, value) => {
    expect(commandOf({ id: 1n, method, path, value })).toBeNull();
  });
});

describe('telling the forms apart', () => {
  it('takes every method of the v2 store, behind an id of any length', () => {
    for (const id of ['00', '07', 'ffffffffffffffffff01']) {
      for (const method of ['PUT', 'POST', 'DELETE', 'QGET', 'SYNC']) {
        const length = method.length.toString(16).padStart(2, '0');
        expect(isV2Request(bytes(`08${id}12${length}${ascii(method)}1a00`))).toBe(true);
      }
    }
  });

  it('takes no request of today for one, whatever its id', () => {
    const put = {
      case: 'put',
      value: {
        key: keyFromText('PUT'),
        value: Buffer.from('PUT'),
        lease: 0n,
        prevKv: false,
        ignoreValue: false,
        ignoreLease: false,
      },
    } as const;
    for (const id of [0n, 1n, (1n << 64n) - 1n]) {
      const request = { id, header: { id: 1n, username: '', authRevision: 0 }, request: put };
      expect(isV2Request(encode(encodeInternalRaftRequest, request as never))).toBe(false);
    }
    expect(isV2Request(bytes('22 0a 0a03666f6f'.replaceAll(' ', '')))).toBe(false);
    expect(isV2Request(bytes(''))).toBe(false);
    expect(isV2Request(bytes('08'))).toBe(false);
    // The second field as a nested message: an id, then whatever.
    expect(isV2Request(bytes('080112030801ff'))).toBe(false);
  });
});

describe('the log of a member of 3.4.23', () => {
  it('holds both requests, and encoding makes the same bytes', () => {
    const path = 'test/fixtures/wal/single/0000000000000000-0000000000000000.wal';
    const entries = walEntries(readFileSync(path));
    const old = entries.filter(({ data }) => isV2Request(data));
    const commands = old.map(({ data }) => commandOf(decodeV2Request(data)));
    expect(commands.map((command) => command?.case)).toEqual([
      'clusterMemberAttrSet',
      'clusterVersionSet',
    ]);
    for (const { data } of old) {
      const { id } = decodeV2Request(data);
      const command = must(commandOf(decodeV2Request(data)), 'one of the two');
      if (command.case === 'clusterMemberAttrSet') {
        expect(hex(encodeV2Attributes(id, command.value))).toBe(hex(data));
      } else if (command.case === 'clusterVersionSet') {
        expect(hex(encodeV2ClusterVersion(id, command.value.ver))).toBe(hex(data));
      }
    }
  });
});
