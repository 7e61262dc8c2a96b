import { describe, expect, it } from 'vitest';
import type { MemberId } from '../types.ts';
import { RequestIds } from './request-ids.ts';

const MEMBER = 0x7628_9e71_d043_4b15n as MemberId;
const NOW_MS = 1_700_000_000_000;

describe('request ids', () => {
  it('begin with the low bits of the member and then the time', () => {
    const ids = new RequestIds(MEMBER, NOW_MS);
    const first = ids.next();
    expect(first >> 48n).toBe(0x4b15n);
    expect(first & 0xffff_ffff_ffffn).toBe(((BigInt(NOW_MS) & 0xff_ffff_ffffn) << 8n) + 1n);
    expect(ids.next()).toBe(first + 1n);
  });

  it('of a later life do not meet those of a busy one', () => {
    const before = new RequestIds(MEMBER, NOW_MS);
    let last = 0n;
    for (let i = 0; i < 1000; i++) last = before.next();
    // 256 per millisecond: more than a member takes.
    expect(new RequestIds(MEMBER, NOW_MS + 4).next() > last).toBe(true);
  });

  it('are positive 63-bit numbers for leases', () => {
    const high = new RequestIds(0xffffn as MemberId, NOW_MS);
    expect(high.next() >= 1n << 63n).toBe(true);
    const lease = high.nextLease();
    expect(lease > 0n && lease < 1n << 63n).toBe(true);
  });
});
