import { expect, it } from 'vitest';
import { ValueError } from './go-text.ts';
import { parseRotation } from './rotation.ts';

it('fills in what is not said', () => {
  expect(parseRotation('{"maxsize": 1, "MaxAge": 2, "compress": true, "other": {}}')).toEqual({
    maxSize: 1,
    maxAge: 2,
    maxBackups: 0,
    localTime: false,
    compress: true,
  });
});

const IMPROPER = 'improperly formatted log rotation config: ';
const INVALID = 'invalid log rotation config: json: cannot unmarshal ';
const FIELD = 'into Go struct field logRotationConfig.Logger.';

it.each([
  ['', `${IMPROPER}unexpected end of JSON input`],
  ['{"maxsize":', `${IMPROPER}unexpected end of JSON input`],
  ['x', `${IMPROPER}invalid character 'x' looking for beginning of value`],
  ['{} x', `${IMPROPER}invalid character 'x' after top-level value`],
  ['{"a":1,}', `${IMPROPER}invalid character '}' looking for beginning of object key string`],
  ['[]', `${INVALID}array into Go value of type embed.logRotationConfig`],
  ['3', `${INVALID}number into Go value of type embed.logRotationConfig`],
  ['true', `${INVALID}bool into Go value of type embed.logRotationConfig`],
  ['{"maxsize":1.5}', `${INVALID}number 1.5 ${FIELD}maxsize of type int`],
  ['{"maxage":"1"}', `${INVALID}string ${FIELD}maxage of type int`],
  ['{"maxbackups":[1]}', `${INVALID}array ${FIELD}maxbackups of type int`],
  ['{"localtime":{}}', `${INVALID}object ${FIELD}localtime of type bool`],
  ['{"compress":1}', `${INVALID}number ${FIELD}compress of type bool`],
])('refuses %s as Go does', (json, message) => {
  expect(() => parseRotation(json)).toThrow(new ValueError(message));
});
