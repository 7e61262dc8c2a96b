import { describe, expect, it } from 'vitest';
import { decodeTxnRequest } from './gen/etcdserverpb.ts';
import { decodeHealthCheckRequest } from './grpc-health.ts';
import { DecodeError, decode, Reader } from './wire.ts';

/** Transactions in the success lists of transactions: two messages per level. */
function nested(levels: number): Buffer {
  const heads: Buffer[] = [];
  let length = 0;
  for (let i = 0; i < levels; i++) {
    for (const tag of [0x22, 0x12]) {
      const head = Buffer.from([tag, ...varint(length)]);
      heads.push(head);
      length += head.length;
    }
  }
  return Buffer.concat(heads.reverse());
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return [...bytes, rest];
}

describe('malformed bytes, in the words of protobuf-go', () => {
  it('says when messages are nested too deeply, before the stack is used up', () => {
    expect(decode(decodeTxnRequest, nested(2500)).success).toHaveLength(1);
    const tooDeep = () => decode(decodeTxnRequest, nested(2501));
    expect(tooDeep).toThrow(new DecodeError('proto: exceeded maximum recursion depth'));
    expect(() => decode(decodeTxnRequest, nested(100_000))).toThrow(DecodeError);
  });

  it('says when groups of unknown fields are nested too deeply', () => {
    const groups = Buffer.alloc(12_000, 0x1b);
    const read = () => decode(decodeHealthCheckRequest, groups);
    expect(read).toThrow(new DecodeError('proto: exceeded maximum recursion depth'));
  });

  it('says which text is not UTF-8, without naming protobuf', () => {
    const read = () => decode(decodeHealthCheckRequest, Buffer.from('0a03c328ff', 'hex'));
    expect(read).toThrow(new DecodeError('string field contains invalid UTF-8'));
  });

  it.each([
    ['a tag without end', 'ff'],
    ['field number 0', '0000'],
    ['wire type 6', '0e'],
    ['a field longer than the message', '0a0561'],
    ['a length above 2^32', '0affffffff7f'],
    ['the end of no group', '9c06'],
    ['a group ended by another', '9b06a406'],
    ['a varint of eleven bytes', '18ffffffffffffffffffff01'],
    ['a varint above 64 bits', '18ffffffffffffffffff02'],
  ])('refuses %s', (_name, hex) => {
    const read = () => decode(decodeHealthCheckRequest, Buffer.from(hex, 'hex'));
    expect(read).toThrow(new DecodeError('proto: cannot parse invalid wire-format data'));
  });

  it('skips whole unknown fields of every wire type', () => {
    const bytes = Buffer.from(
      `${'9b0608019c06'}${'1905'.padEnd(18, '0')}${'1d00000000'}0a0161`,
      'hex',
    );
    expect(decode(decodeHealthCheckRequest, bytes)).toEqual({ service: 'a' });
    expect(new Reader(Buffer.alloc(0)).done).toBe(true);
  });
});
