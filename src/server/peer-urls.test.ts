import { describe, expect, it } from 'vitest';
import { HandClock } from '../../test/support/hand-clock.ts';
import { PeerUrls } from './peer-urls.ts';

const names = new Map([
  ['a.example', '10.0.0.1'],
  ['six.example', 'fd00::1'],
]);

function newUrls(clock = new HandClock()): PeerUrls {
  return new PeerUrls((host) => {
    const address = names.get(host);
    return address === undefined
      ? Promise.reject(new Error(`lookup ${host}: no such host`))
      : Promise.resolve(address);
  }, clock);
}

describe('the difference of peer URLs', () => {
  it.each([
    [['http://x:1'], ['http://x:1']],
    [
      ['http://b:1', 'http://a:1'],
      ['http://a:1', 'http://b:1'],
    ],
    [['http://a.example:1'], ['http://10.0.0.1:1']],
    [['https://[fd00:0:0::1]:1'], ['https://six.example:1']],
    [['http://localhost:1'], ['http://localhost:1']],
  ])('of %j and %j is none', async (a, b) => {
    expect(await newUrls().difference(a, b)).toBeNull();
    expect(await newUrls().difference(b, a)).toBeNull();
  });

  it.each([
    [['http://a:1'], [], 'len(["http://a:1"]) != len([])'],
    [['http://a:1', 'http://b:1'], ['http://a:1'], 'len(["http://a:1" "http://b:1"]) != len(['],
    [['http://10.0.0.1:1'], ['http://10.0.0.1:2'], '"http://10.0.0.1:1" != "http://10.0.0.1:2"'],
    [['http://10.0.0.1:1'], ['https://10.0.0.1:1'], 'resolved urls: '],
    // etcd leaves the name of the own machine as it is.
    [
      ['http://localhost:1'],
      ['http://127.0.0.1:1'],
      '"http://localhost:1" != "http://127.0.0.1:1"',
    ],
    [['http://10.0.0.1:1'], ['junk'], 'junk'],
  ])('of %j and %j is told', async (a, b, text) => {
    expect(await newUrls().difference(a, b)).toContain(text);
  });

  it('is told after half a minute when a name stays unknown', async () => {
    const clock = new HandClock();
    const urls = newUrls(clock);
    let told: string | null = null;
    const asking = urls.difference(['http://10.0.0.1:1'], ['http://no.example:1']);
    const done = asking.then((text) => {
      told = text;
    });
    await clock.settle();
    await clock.advance(29_500);
    expect(told).toBeNull();
    await clock.advance(1000);
    await done;
    expect(told).toBe('failed to resolve "http://no.example:1" (lookup no.example: no such host)');
    expect(await urls.difference(['http://10.0.0.1:1'], ['http://no.example:1'])).toBe(told);
  });
});
