import { describe, expect, it } from 'vitest';
import { HpackDecoder, HpackError } from './hpack-decoder.ts';
import { ResponseEncoder } from './hpack-encoder.ts';

const FIELD_BYTES_MAX = 4096;

function decode(decoder: HpackDecoder, hex: string): string[] {
  const block = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  return texts(decoder, block);
}

function texts(decoder: HpackDecoder, block: Uint8Array): string[] {
  const fields = decoder.decode(block, 0, block.length, FIELD_BYTES_MAX);
  return fields.map(({ name, value }) => `${name}: ${value}`);
}

const FIRST_REQUEST = [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'];
const SECOND_REQUEST = [...FIRST_REQUEST, 'cache-control: no-cache'];
const THIRD_REQUEST = [
  ':method: GET',
  ':scheme: https',
  ':path: /index.html',
  ':authority: www.example.com',
  'custom-key: custom-value',
];
const FIRST_RESPONSE = [
  ':status: 302',
  'cache-control: private',
  'date: Mon, 21 Oct 2013 20:13:21 GMT',
  'location: https://www.example.com',
];
const SECOND_RESPONSE = [':status: 307', ...FIRST_RESPONSE.slice(1)];
const THIRD_RESPONSE = [
  ':status: 200',
  'cache-control: private',
  'date: Mon, 21 Oct 2013 20:13:22 GMT',
  'location: https://www.example.com',
  'content-encoding: gzip',
  'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
];
/** The vectors of responses assume a table of 256 bytes. */
const TABLE_256 = '3fe101';

/** RFC 7541, appendix C. */
const VECTORS: readonly { name: string; blocks: readonly [hex: string, fields: string[]][] }[] = [
  {
    name: 'C.2.1 literal with indexing',
    blocks: [
      ['400a637573746f6d2d6b65790d637573746f6d2d686561646572', ['custom-key: custom-header']],
    ],
  },
  {
    name: 'C.2.2 literal without indexing',
    blocks: [['040c2f73616d706c652f70617468', [':path: /sample/path']]],
  },
  {
    name: 'C.2.3 literal never indexed',
    blocks: [['100870617373776f726406736563726574', ['password: secret']]],
  },
  { name: 'C.2.4 indexed', blocks: [['82', [':method: GET']]] },
  {
    name: 'C.3 requests',
    blocks: [
      ['828684410f7777772e6578616d706c652e636f6d', FIRST_REQUEST],
      ['828684be58086e6f2d6361636865', SECOND_REQUEST],
      ['828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565', THIRD_REQUEST],
    ],
  },
  {
    name: 'C.4 requests with Huffman code',
    blocks: [
      ['828684418cf1e3c2e5f23a6ba0ab90f4ff', FIRST_REQUEST],
      ['828684be5886a8eb10649cbf', SECOND_REQUEST],
      ['828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf', THIRD_REQUEST],
    ],
  },
  {
    name: 'C.5 responses with eviction',
    blocks: [
      [
        `${TABLE_256}
        4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a
        31333a323120474d546e1768747470733a2f2f7777772e6578616d706c652e636f6d`.replace(/\s/g, ''),
        FIRST_RESPONSE,
      ],
      ['4803333037c1c0bf', SECOND_RESPONSE],
      [
        `
        88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d
        4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b20766572
        73696f6e3d31`.replace(/\s/g, ''),
        THIRD_RESPONSE,
      ],
    ],
  },
  {
    name: 'C.6 responses with Huffman code',
    blocks: [
      [
        `${TABLE_256}
        488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad
        171863c78f0b97c8e9ae82ae43d3`.replace(/\s/g, ''),
        FIRST_RESPONSE,
      ],
      ['4883640effc1c0bf', SECOND_RESPONSE],
      [
        `
        88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdf
        cd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007`.replace(/\s/g, ''),
        THIRD_RESPONSE,
      ],
    ],
  },
];

describe('decoder', () => {
  for (const { name, blocks } of VECTORS) {
    it(name, () => {
      const decoder = new HpackDecoder();
      for (const [hex, fields] of blocks) expect(decode(decoder, hex)).toEqual(fields);
    });
  }

  it.each([
    ['an index beyond the table', 'be'],
    ['index 0', '80'],
    ['an integer that does not end', 'ffffffffffffff'],
    ['an integer that is cut off', 'ff'],
    ['a string that is cut off', '400a6375'],
    ['a table larger than announced', '3fe21f'],
    ['a table size after a field', '8220'],
    ['the end-of-string symbol', '00811f84ffffffff'],
    ['Huffman padding of zeros', '00811f8118'],
    ['Huffman padding of a whole byte', '00811f821fff'],
  ])('refuses %s', (_, hex) => {
    expect(() => decode(new HpackDecoder(), hex)).toThrow(HpackError);
  });

  it('keeps its table right while it drops fields beyond the limit', () => {
    const decoder = new HpackDecoder();
    const block = Buffer.from('400a637573746f6d2d6b65790d637573746f6d2d686561646572', 'hex');
    expect(decoder.decode(block, 0, block.length, 20)).toEqual([]);
    expect(decoder.truncated).toBe(true);
    expect(decode(decoder, 'be')).toEqual(['custom-key: custom-header']);
    expect(decoder.truncated).toBe(false);
  });

  it('empties the table for a field that is larger than it', () => {
    const decoder = new HpackDecoder();
    decode(decoder, '400a637573746f6d2d6b65790d637573746f6d2d686561646572');
    const large = Buffer.concat([
      Buffer.from('4001617fc91f', 'hex'),
      Buffer.alloc(127 + 73 + 31 * 128, 'x'),
    ]);
    decoder.decode(large, 0, large.length, FIELD_BYTES_MAX);
    expect(() => decode(decoder, 'be')).toThrow(HpackError);
  });

  it('changes its generation exactly with the table', () => {
    const decoder = new HpackDecoder();
    const start = decoder.generation;
    decode(decoder, '040c2f73616d706c652f70617468');
    expect(decoder.generation).toBe(start);
    decode(decoder, '400a637573746f6d2d6b65790d637573746f6d2d686561646572');
    const inserted = decoder.generation;
    expect(inserted).not.toBe(start);
    decode(decoder, 'be');
    expect(decoder.generation).toBe(inserted);
    decode(decoder, '20');
    expect(decoder.generation).not.toBe(inserted);
  });

  it.each([
    ['upper case in a name', '0001410161'],
    ['an empty name', '00000161'],
    ['a line feed in a value', '000161010a'],
  ])('marks %s as invalid', (_, hex) => {
    const block = Buffer.from(hex, 'hex');
    const [field] = new HpackDecoder().decode(block, 0, block.length, FIELD_BYTES_MAX);
    expect(field?.valid).toBe(false);
  });
});

describe('encoder', () => {
  const HEADERS = [':status: 200', 'content-type: application/grpc'];
  const SUCCESS = ['grpc-status: 0', 'grpc-message: '];

  it.each([
    'headers success headers success',
    'headers headers success success headers',
    'success headers success headers',
  ])('says the same in every order: %s', (order) => {
    const encoder = new ResponseEncoder();
    const decoder = new HpackDecoder();
    for (const kind of order.split(' ')) {
      const headers = kind === 'headers';
      const block = headers ? encoder.headers() : encoder.success();
      expect(texts(decoder, block)).toEqual(headers ? HEADERS : SUCCESS);
    }
    expect(encoder.headers().length).toBe(2);
    expect(encoder.success().length).toBe(2);
  });

  it('does without the table when the peer wants a smaller one, and says so once', () => {
    const encoder = new ResponseEncoder();
    const decoder = new HpackDecoder();
    texts(decoder, encoder.headers());
    encoder.setTableBytesMax(0);
    const first = encoder.success();
    expect(first[0]).toBe(0x20);
    expect(texts(decoder, first)).toEqual(SUCCESS);
    const second = encoder.headers();
    expect(texts(decoder, second)).toEqual(HEADERS);
    expect(encoder.headers()).toEqual(second);
  });

  it('writes long values', () => {
    const value = 'x'.repeat(40_000);
    const block = new ResponseEncoder().fields([['grpc-message', value]]);
    const [field] = new HpackDecoder().decode(block, 0, block.length, 50_000);
    expect(field).toEqual({ name: 'grpc-message', value, valid: true });
  });
});
