/**
 * Power cuts at any operation of the disk, with every unsynced block surviving or not: whatever was
 * acknowledged in one of the lives is there in the next.
 */

import { describe, expect, it } from 'vitest';
import { LoneReplica } from '../../test/support/lone-replica.ts';
import { decodeKeyValue } from '../codec/key-value.ts';
import { seededRandom } from '../platform/random.ts';
import type { Random } from '../ports.ts';
import { keyFromText } from '../types.ts';

const KEYS = 8;

interface Expected {
  /** Newest acknowledged value of each key. */
  readonly acknowledged: Map<string, number>;
  /** Newest value that was asked for: it may have been written without an answer. */
  asked: number;
}

function storedValue(lone: LoneReplica, key: string): number {
  const kv = lone.replica.stateMachine.store.latest(keyFromText(key));
  return kv === null ? 0 : Number(Buffer.from(decodeKeyValue(kv).value).toString());
}

/** Writes until the power goes. */
async function live(lone: LoneReplica, random: Random, expected: Expected): Promise<void> {
  const dies = 1 + random.below(60);
  let operations = 0;
  let isOn = true;
  lone.disk.setFault(() => {
    if (!isOn || ++operations >= dies) {
      isOn = false;
      throw new Error('power');
    }
  });
  for (let burst = 0; isOn && burst < 40; burst++) {
    for (let i = random.below(6); i >= 0; i--) {
      const key = `k${random.below(KEYS)}`;
      const value = ++expected.asked;
      lone.put(key, `${value}`).then(
        () => expected.acknowledged.set(key, value),
        () => {},
      );
    }
    await lone.clock.advance(random.below(3) === 0 ? 100 : 0);
  }
}

function check(lone: LoneReplica, expected: Expected): void {
  for (let i = 0; i < KEYS; i++) {
    const key = `k${i}`;
    const value = storedValue(lone, key);
    expect(value).toBeGreaterThanOrEqual(expected.acknowledged.get(key) ?? 0);
    expect(value).toBeLessThanOrEqual(expected.asked);
    // Without an acknowledgement it may come to light, but it then stays.
    if (value > 0) expected.acknowledged.set(key, value);
  }
}

describe.each(Array.from({ length: 30 }, (_, i) => i + 1))('seed %d', (seed) => {
  it('loses nothing that was acknowledged', async () => {
    const random = seededRandom(seed);
    const lone = new LoneReplica();
    const options = { replica: { snapshotEntries: 20, catchUpEntries: 5 } };
    const expected: Expected = { acknowledged: new Map(), asked: 0 };
    for (let life = 0; life < 12; life++) {
      // The power may also go while it starts.
      const starts = random.below(4) > 0;
      let operations = random.below(20);
      lone.disk.setFault(
        starts
          ? null
          : () => {
              if (--operations < 0) throw new Error('power');
            },
      );
      const isUp = await lone.open(options).then(
        () => lone.fatal.length === 0,
        (error: unknown) => {
          expect(String(error)).toBe('Error: power');
          return false;
        },
      );
      if (starts) {
        expect(isUp).toBe(true);
        check(lone, expected);
        await live(lone, random, expected);
        for (const error of lone.fatal) expect(String(error)).toBe('Error: power');
      }
      lone.fatal.length = 0;
      const survives = random.below(3);
      lone.crash(() => survives === 0 || (survives === 1 && random.below(2) === 0));
    }
    lone.disk.setFault(null);
    await lone.open(options);
    check(lone, expected);
    expect(lone.replica.stateMachine.members.list()).toHaveLength(1);
    expect(expected.acknowledged.size).toBeGreaterThan(KEYS / 2);
    await lone.close();
  });
});
