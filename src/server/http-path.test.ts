import { describe, expect, test } from 'vitest';
import { requestPath } from './http-path.ts';

// What etcd 3.7.1 did with each of these.
describe('the path of a request', () => {
  test.each([
    ['/version', '/version'],
    ['/version?', '/version'],
    ['/v3/kv/range?a=//b', '/v3/kv/range'],
    ['/%76ersion', '/version'],
    ['/v3/kv%2Frange', '/v3/kv/range'],
    ['http://x/version', '/version'],
    ['/debug/vars/', '/debug/vars/'],
    ['/%ff', '/%ff'],
  ])('%s is %s', (target, path) => {
    expect(requestPath(target)).toEqual({ kind: 'path', path });
  });

  test.each([
    ['/v3//kv/range', '/v3/kv/range'],
    ['/v3//kv/range?a=b', '/v3/kv/range?a=b'],
    ['/a/../b', '/b'],
    ['/a/./b/', '/a/b/'],
    ['//', '/'],
    ['/..', '/'],
    ['/a//b%20c', '/a/b%2520c'],
  ])('%s leads to %s', (target, location) => {
    expect(requestPath(target)).toEqual({ kind: 'redirect', location });
  });

  test.each(['*', '/v3/%zz', '/%'])('%s is malformed', (target) => {
    expect(requestPath(target)).toEqual({ kind: 'malformed' });
  });
});
