import { describe, expect, it } from 'vitest';
import { seededRandom } from '../platform/random.ts';
import { SimpleTokens } from './simple-tokens.ts';

function tokens(options: { ttlSeconds?: number; max?: number } = {}): SimpleTokens {
  const made = new SimpleTokens({ random: seededRandom(1), ttlSeconds: 300, nowMs: 0, ...options });
  made.enable();
  return made;
}

describe('a simple token', () => {
  it('is sixteen letters, a point and the index of its entry', () => {
    const simple = tokens();
    const prefix = simple.prefix();
    expect(prefix).toMatch(/^[a-zA-Z]{16}$/);
    expect(simple.prefix()).not.toBe(prefix);
    expect(simple.assign('u', 7, prefix, 42)).toBe(`${prefix}.42`);
  });

  it('stands for its user at the revision of the moment', () => {
    const simple = tokens();
    const token = simple.assign('u', 7, 'abc', 42);
    expect(simple.info(token, 9)).toEqual({ user: 'u', revision: 9 });
    expect(simple.info('abc.43', 9)).toBeNull();
    expect(simple.info('', 9)).toBeNull();
  });

  it('names the entry that it waits for, or none when it is garbled', () => {
    const simple = tokens();
    const waits = ['abc.42', 'x.0042', '.5', 'abc', 'a.b.5', 'abc.', 'abc.-1', 'abc.1x', 'abc.+1'];
    expect(waits.map((token) => simple.waitsFor(token))).toEqual([42, 42, 5, 0, 0, 0, 0, 0, 0]);
    expect(simple.waitsFor('abc.18446744073709551615')).toBe(Number.MAX_SAFE_INTEGER);
    expect(simple.waitsFor('abc.18446744073709551616')).toBe(0);
  });
});

describe('the time to live', () => {
  it('ends at the first sweep after it', () => {
    const simple = tokens({ ttlSeconds: 2 });
    const token = simple.assign('u', 1, 'abc', 1);
    simple.tick(1000);
    simple.tick(2000);
    simple.tick(2999);
    expect(simple.info(simple.assign('v', 1, 'abc', 2), 1)).not.toBeNull();
    simple.tick(3000);
    expect(simple.info(token, 1)).toBeNull();
    expect(simple.info('abc.2', 1)).not.toBeNull();
  });

  it('starts afresh with each use', () => {
    const simple = tokens({ ttlSeconds: 2 });
    const used = simple.assign('u', 1, 'abc', 1);
    const unused = simple.assign('u', 1, 'abc', 2);
    for (let now = 1000; now <= 20_000; now += 1000) {
      simple.tick(now);
      expect(simple.info(used, 1)).not.toBeNull();
    }
    expect(simple.info(unused, 1)).toBeNull();
    for (let now = 21_000; now <= 24_000; now += 1000) simple.tick(now);
    expect(simple.info(used, 1)).toBeNull();
  });

  it('is five minutes when set to nothing', () => {
    const simple = tokens({ ttlSeconds: 0 });
    const token = simple.assign('u', 1, 'abc', 1);
    simple.tick(299_000);
    simple.tick(300_000);
    simple.assign('v', 1, 'abc', 2);
    simple.tick(301_000);
    expect(simple.info(token, 1)).toBeNull();
    expect(simple.info('abc.2', 1)).not.toBeNull();
  });
});

describe('tokens are forgotten', () => {
  it('with their user', () => {
    const simple = tokens();
    for (const [i, user] of ['u', 'v', 'u'].entries()) simple.assign(user, 1, 'abc', i + 1);
    simple.invalidateUser('u');
    const left = ['abc.1', 'abc.2', 'abc.3'].filter((token) => simple.info(token, 1) !== null);
    expect(left).toEqual(['abc.2']);
  });

  it('when auth is turned off, and stay so', () => {
    const simple = tokens();
    const before = simple.assign('u', 1, 'abc', 1);
    simple.disable();
    const whileOff = simple.assign('u', 1, 'abc', 2);
    simple.enable();
    expect(simple.info(before, 1)).toBeNull();
    expect(simple.info(whileOff, 1)).toBeNull();
  });

  it('when there are too many, the longest unused first', () => {
    const simple = tokens({ max: 3 });
    for (let index = 1; index <= 3; index++) simple.assign('u', 1, 'abc', index);
    simple.info('abc.1', 1);
    simple.assign('u', 1, 'abc', 4);
    const there = [1, 2, 3, 4].filter((index) => simple.info(`abc.${index}`, 1) !== null);
    expect(there).toEqual([1, 3, 4]);
  });
});
