// protobuf's JSON form, in and out. Every error text below is what etcd 3.7.1 answered to the same
// body; it prints one of two spaces after "proto:", here always the plain one.
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { describe, expect, it, test } from 'vitest';
import { Prng } from '../../test/compat/random.ts';
import { jsonFromWire, wireFromJson } from './json.ts';
import { JsonSplitter } from './json-splitter.ts';
import { DecodeError } from './wire.ts';

const RANGE = 'etcdserverpb.RangeRequest';
const TXN = 'etcdserverpb.TxnRequest';
const ROLE = 'etcdserverpb.AuthRoleAddRequest';
const REMOVE = 'etcdserverpb.MemberRemoveRequest';
const ADD = 'etcdserverpb.MemberAddRequest';
const PROTO = fileURLToPath(new URL('../../proto/', import.meta.url));

const root = new protobuf.Root();
root.resolvePath = (_origin, target) => (target.startsWith('/') ? target : PROTO + target);
root.loadSync(['etcdserverpb/rpc.proto'], { keepCase: true });
root.resolveAll();

/** What a request body says, read by another decoder. */
function read(name: string, body: string | Buffer): Record<string, unknown> {
  const type = root.lookupType(name);
  const wire = wireFromJson(name, Buffer.from(body as string));
  const message = type.toObject(type.decode(wire), { longs: String, bytes: Buffer });
  for (const [key, value] of Object.entries(message)) {
    if (Buffer.isBuffer(value)) message[key] = value.toString('latin1');
  }
  return message;
}

function fault(name: string, body: string | Buffer): string {
  try {
    wireFromJson(name, Buffer.from(body as string));
  } catch (error) {
    if (error instanceof DecodeError) return error.message;
    throw error;
  }
  return 'no fault';
}

describe('a request', () => {
  test.each([
    ['', {}],
    [' \n\t', {}],
    ['{}', {}],
    ['{"key":"YQ=="} trailing', { key: 'a' }],
    ['{"key":"YQ=="}{"key":', { key: 'a' }],
    ['{"range_end":"YQ==","sortOrder":"DESCEND"}', { range_end: 'a', sort_order: 2 }],
    ['{"rangeEnd":"YQ==","sort_order":2}', { range_end: 'a', sort_order: 2 }],
    ['{"key":null,"limit":null,"sort_order":null}', {}],
    ['{"nosuch":{"a":[1,-2.5e3,{"b":null,"c":[]}],"d":"\\u00e9"},"key":"YQ=="}', { key: 'a' }],
    ['{"@type":5,"[x]":1,"constructor":1,"__proto__":{}}', {}],
    ['{"\\u006bey":"\\u0059Q=="}', { key: 'a' }],
    ['{ "key" : "YQ==" ,\r\n\t"limit" : 1 }', { key: 'a', limit: '1' }],
    ['{"key":""}', {}],
    ['{"sort_order":"NOPE"}', {}],
    ['{"sort_order":"constructor"}', {}],
    ['{"sort_order":"2"}', {}],
    ['{"sort_order":17}', { sort_order: 17 }],
    ['{"sort_order":-1}', { sort_order: -1 }],
    ['{"sort_order":1e0}', { sort_order: 1 }],
    ['{"serializable":false,"keys_only":true}', { keys_only: true }],
  ])('%s', (body, message) => {
    expect(read(RANGE, body)).toEqual(message);
  });

  test.each([
    ['YQ==', 'a'],
    ['YQ', 'a'],
    ['YWI', 'ab'],
    ['_-8=', '\xff\xef'],
    ['/+8', '\xff\xef'],
    ['YR==', 'a'],
    ['YW\\nJj', null],
    ['YWJj\\n\\n\\n\\n', 'abc'],
    ['YW\\nJj\\r\\n\\n', 'abc'],
    ['YQ\\r\\n==', null],
    ['Y=Q=', null],
    ['==', null],
    ['YQ=', null],
    ['YWJjZ', null],
    ['A-+A', null],
    ['A_/A', null],
    ['***', null],
    [' YQ=', null],
    ['YQ===', null],
  ])('bytes from %j', (text, bytes) => {
    const body = `{"key":"${text}"}`;
    if (bytes !== null) expect(read(RANGE, body)).toEqual({ key: bytes });
    else if (text === 'YW\\nJj') expect(read(RANGE, body)).toEqual({ key: 'abc' });
    else {
      const shown = `"${text}"`;
      expect(fault(RANGE, body)).toBe(
        `proto: (line 1:8): invalid value for bytes field key: ${shown}`,
      );
    }
  });

  test.each([
    ['5', '5'],
    ['"5"', '5'],
    ['-0', '0'],
    ['"-0"', '0'],
    ['-0.0', '0'],
    ['1e2', '100'],
    ['"1E2"', '100'],
    ['1.0', '1'],
    ['1.50e1', '15'],
    ['0.1e1', '1'],
    ['100e-2', '1'],
    ['1000000000000000000000e-20', '10'],
    ['0e99999999999', '0'],
    ['9007199254740993', '9007199254740993'],
    ['9223372036854775807', '9223372036854775807'],
    ['"-9223372036854775808"', '-9223372036854775808'],
    // What follows a number within a string is not looked at.
    ['"1 2"', '1'],
    ['"1,2"', '1'],
    ['"1]"', '1'],
    ['"\\u0031"', '1'],
  ])('an int64 from %s', (text, value) => {
    // Zeros are left out.
    expect(read(RANGE, `{"limit":${text}}`)).toEqual(value === '0' ? {} : { limit: value });
  });

  test.each([
    '1.5',
    '10e-2',
    '1e19',
    '1e400',
    '9223372036854775808',
    '"-9223372036854775809"',
    '" 1"',
    '"1 "',
    '""',
    '"-"',
    '"+1"',
    '"01"',
    '"0x10"',
    '"1x"',
    '"[1"',
    '"1.5"',
    'true',
  ])('no int64 from %s', (text) => {
    expect(fault(RANGE, `{"limit":${text}}`)).toBe(
      `proto: (line 1:10): invalid value for int64 field limit: ${text}`,
    );
  });

  it('has exact ids up to their bounds', () => {
    expect(read(REMOVE, '{"ID":18446744073709551615}')).toEqual({ ID: '18446744073709551615' });
    for (const id of ['-1', '"-1"', '18446744073709551616', '1e20']) {
      expect(fault(REMOVE, `{"ID":${id}}`)).toBe(
        `proto: (line 1:7): invalid value for uint64 field ID: ${id}`,
      );
    }
  });
});

describe('a request whose fields do not fit', () => {
  test.each([
    [RANGE, '{"key":5}', '(line 1:8): invalid value for bytes field key: 5'],
    [RANGE, '{"key":["YQ=="]}', '(line 1:8): invalid value for bytes field key: ['],
    [RANGE, '{"key":{"a":[1]}}', '(line 1:8): invalid value for bytes field key: {'],
    [RANGE, '\n {"key":5}', '(line 1:8): invalid value for bytes field key: 5'],
    [RANGE, '{"é":1,"key":5}', '(line 1:14): invalid value for bytes field key: 5'],
    [
      RANGE,
      '{"key":"YQ",\n "limit":\n "x"}',
      '(line 3:2): invalid value for int64 field limit: "x"',
    ],
    [RANGE, '{"sort_target":1.5}', '(line 1:16): invalid value for enum field sortTarget: 1.5'],
    [
      RANGE,
      '{"serializable":"true"}',
      '(line 1:17): invalid value for bool field serializable: "true"',
    ],
    [RANGE, '{"serializable":1}', '(line 1:17): invalid value for bool field serializable: 1'],
    [RANGE, '{"key":"YQ","key":"YQ"}', '(line 1:13): duplicate field "key"'],
    [RANGE, '{"key":null,"key":"YQ"}', '(line 1:13): duplicate field "key"'],
    [RANGE, '{"sort_order":1,"sortOrder":1}', '(line 1:17): duplicate field "sortOrder"'],
    [RANGE, 'null', 'syntax error (line 1:1): unexpected token null'],
    [RANGE, '[]', 'syntax error (line 1:1): unexpected token ['],
    [RANGE, '"x"', 'syntax error (line 1:1): unexpected token "x"'],
    [RANGE, '5', 'syntax error (line 1:1): unexpected token 5'],
    [TXN, '{"compare":{}}', 'syntax error (line 1:12): unexpected token {'],
    [TXN, '{"compare":[null]}', 'syntax error (line 1:13): unexpected token null'],
    [TXN, '{"success":"x"}', 'syntax error (line 1:12): unexpected token "x"'],
    [TXN, '{"success":[{"request_put":"x"}]}', 'syntax error (line 1:28): unexpected token "x"'],
    [
      TXN,
      '{"compare":[{"version":1,"lease":2}]}',
      '(line 1:26): error parsing "lease", oneof etcdserverpb.Compare.target_union is already set',
    ],
    [ROLE, '{"name":5}', '(line 1:9): invalid value for string field name: 5'],
    [ROLE, '{"name":"\\ud800"}', 'unexpected EOF'],
    [ROLE, '{"name":"\\udc00"}', 'unexpected EOF'],
    [ROLE, '{"x":"\\ud800"}', 'unexpected EOF'],
    [
      ROLE,
      '{"name":"\\ud800\\ud800"}',
      'syntax error (line 1:9): invalid escape code "\\\\ud800" in string',
    ],
    [ADD, '{"peerURLs":["a",null]}', '(line 1:18): invalid value for string field peerURLs: null'],
    [ADD, '{"peerURLs":["a",[1]]}', '(line 1:18): invalid value for string field peerURLs: ['],
  ])('%s %s', (name, body, text) => {
    expect(fault(name, body)).toBe(`proto: ${text}`);
  });

  it('or are no UTF-8', () => {
    const bytes = (text: string) => Buffer.from(text, 'latin1');
    const text = 'invalid UTF-8 in string';
    expect(fault(ROLE, bytes('{"name":"\xff"}'))).toBe(`proto: syntax error (line 1:9): ${text}`);
    expect(fault(ROLE, bytes('{"na\xff":"x"}'))).toBe(`proto: syntax error (line 1:2): ${text}`);
    expect(fault(ROLE, bytes('{"x":"\xff"}'))).toBe(`proto: syntax error (line 1:6): ${text}`);
    expect(read(ROLE, '{"name":"\ufffd\\ud83d\\ude00"}')).toEqual({ name: '\ufffd\u{1f600}' });
  });

  it('keeps one member of a oneof, the one that is not null', () => {
    const wire = wireFromJson(TXN, Buffer.from('{"compare":[{"version":null,"lease":0}]}'));
    expect(Buffer.from(wire).toString('hex')).toBe('0a024000');
  });
});

describe('a request that is no JSON', () => {
  test.each([
    ['{', 'unexpected EOF'],
    ['[', 'unexpected EOF'],
    ['{"a', 'unexpected EOF'],
    ['{"a":', 'unexpected EOF'],
    ['{"a":1,', 'unexpected EOF'],
    ['{"x":{"a":1}', 'unexpected EOF'],
    ['nul', 'unexpected EOF'],
    ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
    ['{a:1}', "invalid character 'a' looking for beginning of object key string"],
    ["'", "invalid character '\\'' looking for beginning of value"],
    ['}', "invalid character '}' looking for beginning of value"],
    ['[,]', "invalid character ',' looking for beginning of value"],
    ['{,}', "invalid character ',' looking for beginning of object key string"],
    ['\ufeff{}', "invalid character 'ï' looking for beginning of value"],
    ['{"x":\x7f}', "invalid character '\\x7f' looking for beginning of value"],
    ['{"x":\x00}', "invalid character '\\x00' looking for beginning of value"],
    ['{"x":"a" \u00a0}', "invalid character 'Â' after object key:value pair"],
    ['{"x" 1}', "invalid character '1' after object key"],
    ['{"key":"YQ","limit":5]', "invalid character ']' after object key:value pair"],
    ['{"x":{"a":1 "b"}}', `invalid character '"' after object key:value pair`],
    ['{"x":[1 2]}', "invalid character '2' after array element"],
    ['{"key":"a\u0001"}', "invalid character '\\x01' in string literal"],
    ['{"x":"\t"}', "invalid character '\\t' in string literal"],
    ['{"key":"\\x"}', "invalid character 'x' in string escape code"],
    ['{"key":"\\u12"}', `invalid character '"' in \\u hexadecimal character escape`],
    ['{"x":trux}', "invalid character 'x' in literal true (expecting 'e')"],
    ['{"x":falsE}', "invalid character 'E' in literal false (expecting 'e')"],
    ['{"key":-}', "invalid character '}' in numeric literal"],
    ['{"key":1.}', "invalid character '}' after decimal point in numeric literal"],
    ['{"key":1e+a}', "invalid character 'a' in exponent of numeric literal"],
    ['{"key":01}', "invalid character '1' after object key:value pair"],
    ['{"key":+1}', "invalid character '+' looking for beginning of value"],
    // Where both are wrong, the JSON is: it is read as a whole before its fields are.
    ['{"key":5,"key":5,}', "invalid character '}' looking for beginning of object key string"],
  ])('%s', (body, text) => {
    expect(fault(RANGE, body)).toBe(text);
  });

  it('nests as deep as etcd allows', () => {
    const deep = (levels: number) => `{"x":${'['.repeat(levels)}${']'.repeat(levels)}}`;
    expect(fault(RANGE, deep(9999))).toBe('no fault');
    expect(fault(RANGE, deep(10_000))).toBe("invalid character '[' exceeded max depth");
    expect(fault(RANGE, deep(200_000))).toBe("invalid character '[' exceeded max depth");
    const nested = (levels: number) =>
      `${'{"success":[{"request_txn":'.repeat(levels)}{}${'}]}'.repeat(levels)}`;
    expect(fault(TXN, nested(400))).toBe('no fault');
    expect(fault(TXN, nested(3000))).toBe('proto: exceeded max recursion depth');
  });

  it('never is anything but a fault, however it is damaged', () => {
    const prng = new Prng(3);
    const body =
      '{"compare":[{"key":"YQ==","result":"EQUAL","version":"1e0"}],"success":[{"request_put":' +
      '{"key":"YQ\\u003d=","value":"_-8","lease":12}}],"nosuch":[true,null,{"a":-1.5e3}]}';
    for (let i = 0; i < 3000; i++) {
      const damaged = Buffer.from(body);
      for (let j = 0; j < 2; j++) damaged[prng.below(damaged.length)] = prng.below(256);
      const text = damaged.subarray(0, prng.chance(20) ? prng.below(body.length) : body.length);
      const said = fault(TXN, text);
      let valid = true;
      try {
        JSON.parse(text.toString());
      } catch {
        valid = false;
      }
      // A fault of JSON's own grammar is told in encoding/json's words, and only such a fault.
      if (valid) expect(said).not.toMatch(/^(invalid character|unexpected EOF)/);
    }
  });
});

describe('an answer', () => {
  const type = (name: string) => root.lookupType(`etcdserverpb.${name}`);
  const print = (name: string, message: Record<string, unknown>): string => {
    const found = type(name);
    return jsonFromWire(found.fullName.slice(1), found.encode(found.fromObject(message)).finish());
  };

  it('has proto names in declaration order, and no zeros', () => {
    const kv = { key: Buffer.from('a'), value: Buffer.from([0xff, 0xef]), mod_revision: 3 };
    expect(print('RangeResponse', { header: {}, count: '12345678901', kvs: [kv, {}] })).toBe(
      '{"header":{},"kvs":[{"key":"YQ==","mod_revision":"3","value":"/+8="},{}],' +
        '"count":"12345678901"}',
    );
    expect(
      print('StatusResponse', { dbSizeInUse: 5, isLearner: true, errors: ['a"\n', 'é'] }),
    ).toBe('{"errors":["a\\"\\n","é"],"dbSizeInUse":"5","isLearner":true}');
  });

  it('has exact 64-bit numbers as text, and others as numbers', () => {
    const ids = ['18446744073709551615', '9007199254740993', '1'];
    for (const member_id of ids) {
      expect(print('ResponseHeader', { member_id })).toBe(`{"member_id":"${member_id}"}`);
      expect(print('ResponseHeader', { member_id })).toBe(`{"member_id":"${member_id}"}`);
    }
    for (const ID of ['-1', '-9223372036854775808', '9223372036854775807']) {
      expect(print('LeaseGrantResponse', { ID })).toBe(`{"ID":"${ID}"}`);
    }
    expect(print('HashKVResponse', { hash: 4294967295 })).toBe('{"hash":4294967295}');
  });

  it('names what it knows of an enum', () => {
    expect(print('AlarmMember', { alarm: 2 })).toBe('{"alarm":"CORRUPT"}');
    expect(print('AlarmMember', { alarm: 9 })).toBe('{"alarm":9}');
    expect(jsonFromWire('mvccpb.Event', Buffer.from('0801', 'hex'))).toBe('{"type":"DELETE"}');
  });

  it('shows a chosen member of a oneof even when it is zero or empty', () => {
    expect(print('ResponseOp', { response_put: {} })).toBe('{"response_put":{}}');
    expect(print('Compare', { version: 0 })).toBe('{"version":"0"}');
    expect(print('Compare', { value: Buffer.alloc(0) })).toBe('{"value":""}');
  });

  it('takes packed and unpacked lists, and no field of another type', () => {
    const filters = Buffer.from('2802' + '2a020001' + '2801' + '0d00000000' + '1801', 'hex');
    expect(jsonFromWire('etcdserverpb.WatchCreateRequest', filters)).toBe(
      '{"start_revision":"1","filters":[2,"NOPUT","NODELETE","NODELETE"]}',
    );
  });
});

describe('a stream of values', () => {
  const text = ' {"a":"}\\"]"}\n[1,{"b":[]}]{} 5 true\t"x" {"c":"\\\\"}';
  const values = ['{"a":"}\\"]"}', '[1,{"b":[]}]', '{}', '5', 'true', '"x"', '{"c":"\\\\"}'];

  it('is cut at the same places whatever the chunks', () => {
    for (let size = 1; size <= text.length; size++) {
      const splitter = new JsonSplitter(1000);
      const found: string[] = [];
      for (let at = 0; at < text.length; at += size) {
        found.push(...splitter.push(text.slice(at, at + size)));
      }
      expect([...found, splitter.end()], String(size)).toEqual([...values, null]);
    }
  });

  it('gives what is left at its end', () => {
    const splitter = new JsonSplitter(1000);
    expect(splitter.push('{"a":1}{"b"')).toEqual(['{"a":1}']);
    expect(splitter.end()).toBe('{"b"');
    expect(splitter.end()).toBe(null);
  });

  it('has no value beyond the limit', () => {
    const splitter = new JsonSplitter(10);
    expect(splitter.push('{"a":1}{"b":2}{"c":3}')).toHaveLength(3);
    expect(() => splitter.push('{"a":"123456"')).toThrow(DecodeError);
  });
});
