import { expect, it } from 'vitest';
import type { MemberId } from '../types.ts';
import { HeartbeatWatch } from './heartbeat-watch.ts';

const to = (id: number, term = 2) => ({ to: BigInt(id) as MemberId, term });

it('finds a heartbeat late after twice its interval, for each member', () => {
  const watch = new HeartbeatWatch(100);
  expect(watch.sent(to(2), 1000)).toBe(0);
  expect(watch.sent(to(2), 1200)).toBe(0);
  expect(watch.sent(to(3), 1900)).toBe(0);
  expect(watch.sent(to(2), 1450)).toBe(50);
  expect(watch.sent(to(2), 1550)).toBe(0);
});

it('does not count the time before a term', () => {
  const watch = new HeartbeatWatch(100);
  watch.sent(to(2), 1000);
  expect(watch.sent(to(2, 5), 9000)).toBe(0);
  expect(watch.sent(to(2, 5), 9300)).toBe(100);
});
