import { describe, expect, it } from 'vitest';
import { HpackDecoder, HpackEncoder } from './hpack.mjs';
import { parseAnswer } from './http1.mjs';
import { leaseAnswer, leaseGrantRequest, rangeAnswer, watchAnswer } from './messages.mjs';

/**
 * @param {HpackDecoder} decoder
 * @param {Uint8Array} bytes
 */
function decode(decoder, bytes) {
  /** @type {[string, string][]} */
  const fields = [];
  const buffer = Buffer.from(bytes);
  decoder.decode(buffer, 0, buffer.length, (name, value) => fields.push([name, value]));
  return fields;
}

describe('hpack', () => {
  it('decodes the three Huffman-coded requests of RFC 7541, C.4', () => {
    const decoder = new HpackDecoder();
    const hex = (/** @type {string} */ text) => Buffer.from(text, 'hex');
    expect(decode(decoder, hex('828684418cf1e3c2e5f23a6ba0ab90f4ff'))).toEqual([
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', '/'],
      [':authority', 'www.example.com'],
    ]);
    expect(decode(decoder, hex('828684be5886a8eb10649cbf'))).toContainEqual([
      'cache-control',
      'no-cache',
    ]);
    const third = decode(decoder, hex('828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf'));
    expect(third).toContainEqual([':authority', 'www.example.com']);
    expect(third).toContainEqual(['custom-key', 'custom-value']);
  });

  it('reads what it encodes, the second time by index only', () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder();
    /** @type {[string, string][]} */
    const fields = [
      [':method', 'POST'],
      [':path', '/etcdserverpb.KV/Put'],
      ['te', 'trailers'],
    ];
    const first = encoder.encode(fields);
    const second = encoder.encode(fields);
    expect(decode(decoder, first)).toEqual(fields);
    expect(decode(decoder, second)).toEqual(fields);
    expect(second.length).toBe(3);
  });

  it('indexes nothing for a peer without a table', () => {
    const encoder = new HpackEncoder();
    encoder.limitTable(0);
    const decoder = new HpackDecoder();
    for (let i = 0; i < 2; i++) {
      expect(decode(decoder, encoder.encode([['te', 'trailers']]))).toEqual([['te', 'trailers']]);
    }
    expect(encoder.encode([['te', 'trailers']])[0]).toBe(0);
  });

  it('refuses an index that nobody added', () => {
    expect(() => decode(new HpackDecoder(), Uint8Array.of(0xbe))).toThrow('no entry 62');
  });
});

describe('http answers', () => {
  it('reads a body with a length, and waits while it is cut', () => {
    const text = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';
    expect(parseAnswer(text)).toEqual({ status: 200, body: 'hello', bytes: text.length });
    for (let cut = 0; cut < text.length; cut++) expect(parseAnswer(text.slice(0, cut))).toBeNull();
  });

  it('joins chunks, and waits while one is cut', () => {
    const text =
      'HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n' +
      '3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n';
    expect(parseAnswer(text)).toEqual({ status: 503, body: 'abc0123456789', bytes: text.length });
    for (let cut = 0; cut < text.length; cut++) expect(parseAnswer(text.slice(0, cut))).toBeNull();
  });

  it('refuses an answer without a length', () => {
    expect(() => parseAnswer('HTTP/1.1 200 OK\r\nServer: x\r\n\r\n')).toThrow('without length');
  });
});

describe('messages', () => {
  it('encodes large numbers that fit a double exactly', () => {
    // A lease grant is TTL (1) and id (2); in the answer the id is field 2 as well.
    const bytes = leaseGrantRequest({ id: 9_007_199_254_740_991, ttlSeconds: 3600 });
    expect(leaseAnswer(bytes, 0, bytes.length).id).toBe(9_007_199_254_740_991);
  });

  it('reads a range answer and skips fields it does not know', () => {
    const kv = Buffer.from('0a016b10021803200128003a0076', 'hex').subarray(0, 9);
    const answer = Buffer.concat([
      Buffer.from('0a0408011805', 'hex'),
      Buffer.of(0x12, kv.length),
      kv,
      Buffer.from('7a0178', 'hex'),
      Buffer.from('2001', 'hex'),
    ]);
    expect(rangeAnswer(answer, 0, answer.length)).toEqual({
      revision: 5,
      count: 1,
      more: false,
      kvs: [{ key: 'k', value: '', createRevision: 2, modRevision: 3, version: 1 }],
    });
  });

  it('refuses a cut message and an event that is no put', () => {
    expect(() => rangeAnswer(Buffer.from('1205', 'hex'), 0, 2)).toThrow('longer');
    const deletion = Buffer.from('5a020801', 'hex');
    expect(() => watchAnswer(deletion, 0, deletion.length, () => {})).toThrow('no put');
  });
});
