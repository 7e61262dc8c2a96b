import { describe, expect, it } from 'vitest';
import { type Key, keyFromText, type LeaseId, NO_LEASE } from '../types.ts';
import {
  createRevisionOf,
  decodeKeyValue,
  encodeDeleted,
  encodeKeyValue,
  encodeTombstone,
  type KeyValue,
  keyOf,
  leaseOf,
  modRevisionOf,
  valueBytesOf,
  versionOf,
} from './key-value.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

const foo: KeyValue = {
  key: keyFromText('foo'),
  createRevision: 2,
  modRevision: 2,
  version: 1,
  value: Buffer.from('bar'),
  lease: NO_LEASE,
};

describe('the canonical encoding', () => {
  it('is what etcd stores', () => {
    expect(hex(encodeKeyValue(foo))).toBe('0a03666f6f1002180220012a03626172');
    expect(hex(encodeTombstone(keyFromText('b')))).toBe('0a0162');
    expect(hex(encodeDeleted(keyFromText('b'), 300))).toBe('0a016218ac02');
  });

  it('omits an empty value', () => {
    expect(hex(encodeKeyValue({ ...foo, value: new Uint8Array(0) }))).toBe(
      '0a03666f6f100218022001',
    );
  });

  it('writes lease ids as 64-bit two’s complement', () => {
    const lease = 0x4b15a1f8c182a10dn as LeaseId;
    expect(hex(encodeKeyValue({ ...foo, lease })).slice(32)).toBe('308dc28a8c8cbfe88a4b');
    expect(hex(encodeKeyValue({ ...foo, lease: -1n as LeaseId })).slice(32)).toBe(
      '30ffffffffffffffffff01',
    );
  });
});

const numbers = [1, 127, 128, 16_383, 16_384, 2 ** 21, 2 ** 28 - 1, 2 ** 28, 2 ** 31, 2 ** 32 - 1];
const larger = [2 ** 32, 2 ** 35 - 1, 2 ** 35, 2 ** 42, 2 ** 49, Number.MAX_SAFE_INTEGER];
const leases = [1n, -1n, 127n, 128n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 63n - 1n, -(2n ** 63n)];

describe('decoding', () => {
  it.each([...numbers, ...larger])('returns revisions and versions of %d', (n) => {
    const kv = { ...foo, createRevision: n, modRevision: n, version: n };
    expect(decodeKeyValue(encodeKeyValue(kv))).toEqual(kv);
  });

  it.each(leases)('returns lease %d', (id) => {
    const kv = { ...foo, lease: id as LeaseId };
    expect(decodeKeyValue(encodeKeyValue(kv))).toEqual(kv);
  });

  it('returns keys and values of any bytes and length', () => {
    const everyByte = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join('') as Key;
    for (const key of [everyByte, everyByte.slice(240) as Key, everyByte.slice(0, 127) as Key]) {
      const value = Buffer.alloc(key.length * 100, key, 'latin1');
      const encoded = encodeKeyValue({ ...foo, key, value });
      expect(decodeKeyValue(encoded).key).toBe(key);
      expect(keyOf(encoded)).toBe(key);
      expect(Buffer.compare(valueBytesOf(encoded), value)).toBe(0);
    }
  });
});

it('single fields are read without decoding the rest', () => {
  const kv = { ...foo, createRevision: 7, modRevision: 900, version: 3, lease: 5n as LeaseId };
  const encoded = encodeKeyValue(kv);
  expect(keyOf(encoded)).toBe('foo');
  expect(createRevisionOf(encoded)).toBe(7);
  expect(modRevisionOf(encoded)).toBe(900);
  expect(versionOf(encoded)).toBe(3);
  expect(Buffer.from(valueBytesOf(encoded)).toString()).toBe('bar');
  expect(leaseOf(encoded)).toBe(5n);
});

it('absent fields read as zero', () => {
  const encoded = encodeTombstone(keyFromText('b'));
  expect(decodeKeyValue(encoded)).toEqual({
    key: 'b',
    createRevision: 0,
    modRevision: 0,
    version: 0,
    value: new Uint8Array(0),
    lease: NO_LEASE,
  });
  expect(modRevisionOf(encoded)).toBe(0);
  expect(leaseOf(encoded)).toBe(NO_LEASE);
});

it('fields in another order, and unknown ones, are accepted', () => {
  const encoded = Buffer.from('3a01ff2a0131100a0a0161', 'hex');
  expect(decodeKeyValue(encoded)).toMatchObject({ key: 'a', createRevision: 10 });
  expect(keyOf(encoded)).toBe('a');
});
