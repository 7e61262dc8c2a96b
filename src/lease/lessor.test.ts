import { describe, expect, it } from 'vitest';
import { bucketRange, buckets } from '../buckets.ts';
import { EtcdError, errors } from '../errors.ts';
import type { Row, Rows } from '../ports.ts';
import { type Key, keyFromText, type LeaseId, type RowKey } from '../types.ts';
import { Lessor } from './lessor.ts';

const TICK_MS = 100;
const MIN_TTL = 2;
const RETRY_TICKS = 70;
const ELECTION_TICKS = 10;

class RowMap implements Rows {
  readonly rows = new Map<RowKey, Uint8Array>();

  get(key: RowKey): Uint8Array | null {
    return this.rows.get(key) ?? null;
  }

  put(key: RowKey, value: Uint8Array): void {
    this.rows.set(key, value);
  }

  delete(key: RowKey): void {
    this.rows.delete(key);
  }

  async scan(): Promise<readonly Row[]> {
    return this.all();
  }

  all(): readonly Row[] {
    const { from, to } = bucketRange(buckets.lease);
    return [...this.rows]
      .filter(([key]) => key >= from && key < to)
      .map(([key, value]) => ({ key, value }));
  }
}

function newLessor(rows = new RowMap()): { lessor: Lessor; rows: RowMap } {
  const options = { rows, tickMs: TICK_MS, minTtlSeconds: MIN_TTL, retryTicks: RETRY_TICKS };
  const lessor = new Lessor(options);
  lessor.load(rows.all());
  return { lessor, rows };
}

function newPrimary(): Lessor {
  const { lessor } = newLessor();
  lessor.promote(0, 0);
  return lessor;
}

const id = (n: number | bigint): LeaseId => BigInt(n) as LeaseId;
const key = (text: string): Key => keyFromText(text);
const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('hex');

describe('grant', () => {
  it('raises short TTLs to the minimum and refuses long ones', () => {
    const { lessor } = newLessor();
    expect(lessor.grant(id(1), 1)).toEqual({ ttlSeconds: 2 });
    expect(lessor.grant(id(2), 0)).toEqual({ ttlSeconds: 2 });
    expect(lessor.grant(id(3), -5)).toEqual({ ttlSeconds: 2 });
    expect(lessor.grant(id(4), 9_000_000_000)).toEqual({ ttlSeconds: 9_000_000_000 });
    expect(lessor.grant(id(5), 9_000_000_001)).toBe(errors.leaseTtlTooLarge);
    expect(lessor.grant(id(6), Number.MAX_SAFE_INTEGER)).toBe(errors.leaseTtlTooLarge);
    expect(lessor.has(id(5))).toBe(false);
  });

  it('refuses id 0 and a known id, in the order of etcd', () => {
    const { lessor } = newLessor();
    expect(lessor.grant(id(0), 9_000_000_001)).toBe(errors.leaseNotFound);
    lessor.grant(id(1), 10);
    expect(lessor.grant(id(1), 9_000_000_001)).toBe(errors.leaseTtlTooLarge);
    expect(lessor.grant(id(1), 20)).toBe(errors.leaseExist);
    expect(lessor.get(id(1))?.ttlSeconds).toBe(10);
  });

  it("stores etcd's row", () => {
    const { lessor, rows } = newLessor();
    lessor.grant(id(0x4b15a1f8c182a10dn), 600);
    lessor.grant(id(-1), 5);
    const stored = rows
      .all()
      .map((row) => [Buffer.from(row.key, 'latin1').toString('hex'), hex(row.value)]);
    expect(stored).toEqual([
      ['6c4b15a1f8c182a10d', '088dc28a8c8cbfe88a4b10d804'],
      ['6cffffffffffffffff', '08ffffffffffffffffff011005'],
    ]);
  });
});

describe('keys', () => {
  it('belong to one lease at a time', () => {
    const { lessor } = newLessor();
    lessor.grant(id(1), 10);
    lessor.grant(id(-2), 10);
    expect(lessor.attach(id(1), key('a'))).toBe(true);
    expect(lessor.attach(id(1), key('a'))).toBe(true);
    expect(lessor.leaseOf(key('a'))).toBe(1n);
    expect(lessor.attach(id(-2), key('a'))).toBe(true);
    expect(lessor.leaseOf(key('a'))).toBe(-2n);
    expect(lessor.get(id(1))?.keys.size).toBe(0);
    expect([...(lessor.get(id(-2))?.keys ?? [])]).toEqual(['a']);
    lessor.detach(key('a'));
    lessor.detach(key('a'));
    expect(lessor.leaseOf(key('a'))).toBe(0n);
    expect(lessor.get(id(-2))?.keys.size).toBe(0);
  });

  it('of an unknown lease end up without one', () => {
    const { lessor } = newLessor();
    lessor.grant(id(1), 10);
    lessor.attach(id(1), key('a'));
    expect(lessor.attach(id(9), key('a'))).toBe(false);
    expect(lessor.leaseOf(key('a'))).toBe(0n);
  });

  it('come back sorted by bytes from a revoke, which forgets the lease', () => {
    const { lessor, rows } = newLessor();
    lessor.grant(id(1), 10);
    for (const text of ['b', 'ü', 'a', 'aa', 'z']) lessor.attach(id(1), key(text));
    expect(lessor.revoke(id(1))).toEqual(['a', 'aa', 'b', 'z', key('ü')]);
    expect(lessor.revoke(id(1))).toBe(errors.leaseNotFound);
    expect(lessor.leaseOf(key('a'))).toBe(0n);
    expect(rows.all()).toEqual([]);
    expect(lessor.grant(id(1), 10)).toEqual({ ttlSeconds: 10 });
    expect(lessor.revoke(id(1))).toEqual([]);
  });
});

describe('expiry', () => {
  it('comes after the TTL, never before', () => {
    const lessor = newPrimary();
    lessor.tick(5);
    lessor.grant(id(1), 10);
    expect(lessor.expired(105, 10)).toEqual([]);
    expect(lessor.expired(106, 10)).toEqual([1n]);
  });

  it('does not exist before promotion and after demotion', () => {
    const { lessor } = newLessor();
    lessor.grant(id(1), 2);
    expect(lessor.expired(1000, 10)).toEqual([]);
    lessor.promote(1000, 0);
    lessor.demote();
    expect(lessor.expired(2000, 10)).toEqual([]);
  });

  it('hands out the earliest first, at most so many, and the rest next time', () => {
    const lessor = newPrimary();
    lessor.grant(id(3), 30);
    lessor.grant(id(1), 10);
    lessor.grant(id(2), 20);
    expect(lessor.expired(1000, 2)).toEqual([1n, 2n]);
    expect(lessor.expired(1000, 2)).toEqual([3n]);
    expect(lessor.expired(1000, 2)).toEqual([]);
  });

  it('is repeated until the revoke has come through', () => {
    const lessor = newPrimary();
    lessor.grant(id(1), 2);
    expect(lessor.expired(21, 10)).toEqual([1n]);
    expect(lessor.expired(21 + RETRY_TICKS - 1, 10)).toEqual([]);
    expect(lessor.expired(21 + RETRY_TICKS, 10)).toEqual([1n]);
    lessor.revoke(id(1));
    expect(lessor.expired(21 + 3 * RETRY_TICKS, 10)).toEqual([]);
  });

  it('is put off by renewal', () => {
    const lessor = newPrimary();
    lessor.grant(id(1), 10);
    for (let now = 50; now <= 1000; now += 50) {
      expect(lessor.renew(id(1), now)).toEqual({
        case: 'renewed',
        ttlSeconds: 10,
        checkpointed: false,
      });
      expect(lessor.expired(now, 10)).toEqual([]);
    }
    expect(lessor.expired(1100, 10)).toEqual([]);
    expect(lessor.expired(1101, 10)).toEqual([1n]);
  });

  it('does not mistake a lease for an earlier one with its id', () => {
    const lessor = newPrimary();
    lessor.grant(id(1), 2);
    lessor.revoke(id(1));
    lessor.grant(id(1), 100);
    expect(lessor.expired(500, 10)).toEqual([]);
    expect(lessor.expired(1001, 10)).toEqual([1n]);
  });

  it('reaches the longest TTL', () => {
    const lessor = newPrimary();
    lessor.grant(id(1), 9_000_000_000);
    expect(lessor.expired(90_000_000_000, 10)).toEqual([]);
    expect(lessor.expired(90_000_000_001, 10)).toEqual([1n]);
  });
});

describe('renewal', () => {
  it('tells why it is impossible', async () => {
    const { lessor } = newLessor();
    expect(lessor.renew(id(1), 0)).toEqual({ case: 'not-primary' });
    await expect(lessor.renewed(id(1), 0)).rejects.toBe(errors.notPrimaryLessor);
    lessor.promote(0, 0);
    expect(lessor.renew(id(1), 0)).toEqual({ case: 'missing' });
    expect(await lessor.renewed(id(1), 0)).toBe(0);
    lessor.grant(id(1), 10);
    expect(await lessor.renewed(id(1), 10)).toBe(10);
  });

  it('of an expired lease waits for its revoke', async () => {
    const lessor = newPrimary();
    lessor.grant(id(1), 10);
    expect(lessor.renew(id(1), 101)).toEqual({ case: 'expired' });
    const renewed = lessor.renewed(id(1), 101);
    expect(lessor.expired(102, 10)).toEqual([1n]);
    lessor.revoke(id(1));
    expect(await renewed).toBe(0);
  });

  it('of an expired lease ends at demotion', async () => {
    const lessor = newPrimary();
    lessor.grant(id(1), 10);
    const renewed = lessor.renewed(id(1), 101);
    lessor.demote();
    await expect(renewed).rejects.toBe(errors.notPrimaryLessor);
    expect(lessor.has(id(1))).toBe(true);
  });
});

describe('timeToLive', () => {
  it('truncates as Go does', () => {
    const lessor = newPrimary();
    lessor.grant(id(1), 10);
    const at = (now: number): number | undefined => lessor.timeToLive(id(1), now)?.remainingSeconds;
    // Some part of the first tick is already over.
    expect(at(0)).toBe(9);
    expect(at(9)).toBe(9);
    expect(at(10)).toBe(8);
    expect(at(99)).toBe(0);
    expect(at(100)).toBe(0);
    expect(at(109)).toBe(0);
    expect(at(110)).toBe(-1);
    expect(Object.is(at(105), 0)).toBe(true);
  });

  it('tells keys and granted TTL, and null when missing', () => {
    const { lessor } = newLessor();
    lessor.grant(id(1), 10);
    lessor.attach(id(1), key('a'));
    const found = lessor.timeToLive(id(1), 0);
    expect(found?.grantedTtl).toBe(10);
    expect(found?.remainingSeconds).toBe(10);
    expect(found?.keys).toEqual(['a']);
    expect(lessor.timeToLive(id(2), 0)).toBeNull();
  });
});

describe('promotion', () => {
  it('gives each lease its full TTL and the extension', () => {
    const { lessor } = newLessor();
    lessor.grant(id(1), 10);
    lessor.promote(1000, ELECTION_TICKS);
    expect(lessor.expired(1110, 10)).toEqual([]);
    expect(lessor.expired(1111, 10)).toEqual([1n]);
    // The next term: a lease handed out before starts over.
    lessor.demote();
    lessor.promote(1120, ELECTION_TICKS);
    expect(lessor.expired(1230, 10)).toEqual([]);
    expect(lessor.expired(1231, 10)).toEqual([1n]);
  });

  it('starts from what a checkpoint left, which a renewal clears', () => {
    const { lessor, rows } = newLessor();
    lessor.grant(id(1), 600);
    lessor.checkpoint(id(1), 30);
    lessor.checkpoint(id(7), 30);
    expect(rows.all().map((row) => hex(row.value))).toEqual(['080110d804181e']);
    const next = newLessor(rows).lessor;
    expect(next.get(id(1))?.remainingTtl).toBe(30);
    next.promote(0, 0);
    expect(next.timeToLive(id(1), 0)?.remainingSeconds).toBe(29);
    expect(next.renew(id(1), 5)).toEqual({ case: 'renewed', ttlSeconds: 600, checkpointed: true });
    expect(next.renew(id(1), 5)).toEqual({ case: 'renewed', ttlSeconds: 600, checkpointed: false });
    expect(next.expired(6000, 10)).toEqual([]);
  });

  it('sorts leases by what remains', () => {
    const { lessor } = newLessor();
    for (const [n, ttl] of [
      [1, 30],
      [2, 10],
      [3, 20],
    ] as const)
      lessor.grant(id(n), ttl);
    lessor.promote(0, 0);
    expect(lessor.leases()).toEqual([2n, 3n, 1n]);
    lessor.renew(id(2), 99);
    lessor.grant(id(4), 2);
    expect(lessor.leases()).toEqual([4n, 2n, 3n, 1n]);
    lessor.demote();
    expect([...lessor.leases()].sort()).toEqual([1n, 2n, 3n, 4n]);
  });

  it('spreads many leases so that at most 750 expire per second, and none earlier', () => {
    const { lessor } = newLessor();
    for (let n = 1; n <= 3000; n++) lessor.grant(id(n), 60);
    for (let n = 3001; n <= 3100; n++) lessor.grant(id(n), 600);
    lessor.promote(0, ELECTION_TICKS);
    expect(lessor.expired(610, 10_000)).toEqual([]);
    let sum = 0;
    for (let now = 620; now <= 660; now += 10) {
      const count = lessor.expired(now, 10_000).length;
      expect(count).toBeLessThanOrEqual(751);
      sum += count;
    }
    expect(sum).toBe(3000);
    // Those that expire later are on their own and stay where they were.
    expect(lessor.expired(6010, 10_000).filter((lease) => lease > 3000n)).toEqual([]);
    expect(lessor.expired(6012, 10_000).filter((lease) => lease > 3000n)).not.toEqual([]);
  });

  it('leaves fewer leases together', () => {
    const { lessor } = newLessor();
    for (let n = 1; n <= 999; n++) lessor.grant(id(n), 60);
    lessor.promote(0, 0);
    expect(lessor.expired(601, 10_000)).toHaveLength(999);
  });
});

describe('restart', () => {
  it('brings the leases back, and keys as they are attached again', () => {
    const { lessor, rows } = newLessor();
    lessor.grant(id(1), 10);
    lessor.grant(id(-9_223_372_036_854_775_808n), 9_000_000_000);
    lessor.grant(id(3), 30);
    lessor.revoke(id(3));
    const next = newLessor(rows).lessor;
    expect(next.size).toBe(2);
    expect(next.get(id(1))?.ttlSeconds).toBe(10);
    expect(next.get(id(-9_223_372_036_854_775_808n))?.ttlSeconds).toBe(9_000_000_000);
    expect(next.grant(id(1), 10)).toBe(errors.leaseExist);
    expect(next.attach(id(1), key('a'))).toBe(true);
    expect(next.revoke(id(1))).toEqual(['a']);
  });
});

describe('many leases', () => {
  it('do not pile up in the heap as they come and go', () => {
    const lessor = newPrimary();
    for (let n = 1; n <= 100_000; n++) {
      lessor.grant(id(n), 9_000_000_000);
      lessor.revoke(id(n));
    }
    expect(lessor.size).toBe(0);
    expect(lessor.heapSize).toBeLessThan(2000);
  });

  it('are handed out once each though the heap is rebuilt in between', () => {
    const lessor = newPrimary();
    for (let n = 1; n <= 5000; n++) lessor.grant(id(n), 10);
    const seen = new Set<LeaseId>();
    for (let now = 101; now < 101 + RETRY_TICKS; now += 5) {
      const due = lessor.expired(now, 500);
      for (const lease of due) {
        expect(seen.has(lease)).toBe(false);
        seen.add(lease);
      }
      // Half of the revokes come through at once, the others are late.
      for (const lease of due) if (lease % 2n === 0n) lessor.revoke(lease);
    }
    expect(seen.size).toBe(5000);
  });

  it('cost little: grant, attach, renew and expire 100 000', () => {
    const lessor = newPrimary();
    for (let n = 1; n <= 100_000; n++) {
      lessor.grant(id(n), 10 + (n % 50));
      lessor.attach(id(n), key(`k${n}`));
    }
    for (let n = 1; n <= 100_000; n++) lessor.renew(id(n), 50);
    let leases = 0;
    let keys = 0;
    for (let now = 51; now <= 700; now++) {
      for (const lease of lessor.expired(now, 100_000)) {
        leases++;
        const revoked = lessor.revoke(lease);
        if (!(revoked instanceof EtcdError)) keys += revoked.length;
      }
    }
    expect(leases).toBe(100_000);
    expect(keys).toBe(100_000);
    expect(lessor.size).toBe(0);
  });
});

describe('taking over the leases of another lessor', () => {
  it('is like a start with its rows: no lease has an end before promotion', () => {
    const { lessor: other } = newLessor();
    other.grant(2n as LeaseId, 60);
    other.attach(2n as LeaseId, keyFromText('b'));
    const { lessor, rows } = newLessor();
    lessor.grant(1n as LeaseId, 60);
    lessor.attach(1n as LeaseId, keyFromText('a'));
    lessor.promote(5, 0);
    lessor.demote();
    lessor.adopt(other);
    expect(lessor.leases()).toEqual([2n]);
    expect(lessor.leaseOf(keyFromText('a'))).toBe(0n);
    expect(lessor.leaseOf(keyFromText('b'))).toBe(2n);
    expect(lessor.expired(100_000, 10)).toEqual([]);
    lessor.promote(100_000, 0);
    expect(lessor.expired(100_000 + 601, 10)).toEqual([2n]);
    // Rows are still this one's.
    lessor.grant(3n as LeaseId, 60);
    expect(rows.all()).toHaveLength(2);
  });

  it('does not happen to a primary, whose clients count on their time', () => {
    const lessor = newPrimary();
    expect(() => lessor.adopt(newLessor().lessor)).toThrow('where no time is kept');
  });
});
