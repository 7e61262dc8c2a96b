import { describe, expect, it } from 'vitest';
import { bindError, checkUrl, parseUrls, splitUrl } from './url.ts';

describe('checkUrl', () => {
  it.each([
    ['HTTP://127.0.0.1:1', 'http://127.0.0.1:1'],
    ['http://[::1]:2379', 'http://[::1]:2379'],
    ['unix:foo', 'unix:foo'],
    ['unix:/x', 'unix:/x'],
    ['unix:///x', 'unix:///x'],
    ['unixs://localhost:1', 'unixs://localhost:1'],
    ['http://a:1?x=1', 'http://a:1?x=1'],
    ['http://é:1', 'http://%C3%A9:1'],
  ])('%s', (text, normal) => {
    expect(checkUrl(text)).toBe(normal);
  });
});

describe('splitUrl', () => {
  it('takes hosts and socket files apart', () => {
    expect(splitUrl('https://[::1]:2379')).toEqual({
      text: 'https://[::1]:2379',
      scheme: 'https',
      secure: true,
      host: '::1',
      port: 2379,
      address: '[::1]:2379',
    });
    expect(splitUrl('unix://localhost:1234')).toMatchObject({ address: 'localhost:1234' });
    expect(splitUrl('unixs:///run/etcd.sock')).toMatchObject({
      address: '/run/etcd.sock',
      secure: true,
    });
  });
});

describe('lists', () => {
  it('are sorted by text, without repetitions', () => {
    expect(parseUrls('http://b:1, http://a:1,http://b:1')).toEqual(['http://a:1', 'http://b:1']);
  });

  it('bind to addresses, localhost and sockets only', () => {
    expect(bindError(['http://localhost:1', 'http://[::]:1', 'unix://x:1'])).toBeNull();
    expect(bindError(['http://0.0.0.0:1', 'http://db1:1'])).toContain('(http://db1:1)');
  });
});
