import { describe, expect, test } from 'vitest';
import { Inflights } from './inflights.ts';
import {
  acknowledged,
  becomeProbe,
  becomeReplicate,
  becomeSnapshot,
  canBumpCommit,
  hasRoom,
  isPaused,
  maybeAdvance,
  maybeDecrease,
  newProgress,
  type Progress,
  resume,
  sentAppend,
  snapshotReported,
} from './progress.ts';

const window = { countMax: 2, bytesMax: 100 };

function probing(match: number, next: number): Progress {
  return newProgress({ match, next, learner: false, recentActive: true });
}

function replicating(match: number): Progress {
  const progress = probing(match, match + 1);
  becomeReplicate(progress, window);
  return progress;
}

function sent(progress: Progress, count: number, bytes = 1): void {
  sentAppend(progress, { count, bytes, commit: 0 });
}

describe('probe', () => {
  test('waits after one append with entries, not after an empty one', () => {
    const progress = probing(1, 5);
    sent(progress, 0);
    expect(isPaused(progress)).toBe(false);
    sent(progress, 3);
    expect(isPaused(progress)).toBe(true);
    expect(progress.next).toBe(5);
    resume(progress);
    expect(isPaused(progress)).toBe(false);
  });

  test.each([
    // next, rejected, hint, moved, next afterwards; match is 3
    [10, 9, 6, true, 7],
    [10, 9, 20, true, 9],
    [10, 9, 1, true, 4],
    [10, 8, 6, false, 10],
    [4, 3, 0, true, 4],
  ])('next %i, rejected %i, hint %i', (next, rejected, hint, moved, after) => {
    const progress = probing(3, next);
    sent(progress, 1);
    expect(maybeDecrease(progress, rejected, hint)).toBe(moved);
    expect(progress.next).toBe(after);
    expect(isPaused(progress)).toBe(!moved);
  });
});

describe('replicate', () => {
  test('sends ahead until the window is full, and one more after a sign of life', () => {
    const progress = replicating(3);
    sent(progress, 2);
    expect(progress.next).toBe(6);
    expect(isPaused(progress)).toBe(false);
    sent(progress, 1);
    expect(isPaused(progress)).toBe(true);
    resume(progress);
    expect(isPaused(progress)).toBe(false);
    expect(hasRoom(progress)).toBe(false);
    sent(progress, 0);
    expect(isPaused(progress)).toBe(true);
  });

  test('an acknowledgement frees what it covers', () => {
    const progress = replicating(3);
    sent(progress, 2);
    sent(progress, 1);
    expect(maybeAdvance(progress, 5)).toBe(true);
    acknowledged(progress, 5);
    expect(hasRoom(progress)).toBe(true);
    expect(isPaused(progress)).toBe(false);
    expect(progress.next).toBe(7);
    expect(maybeAdvance(progress, 5)).toBe(false);
  });

  test('the window is bounded in bytes as well, and takes the one that crosses', () => {
    const progress = replicating(3);
    sent(progress, 1, 500);
    expect(hasRoom(progress)).toBe(false);
  });

  test('a rejection starts again behind what is known to match, unless it is stale', () => {
    const progress = replicating(3);
    sent(progress, 4);
    expect(maybeDecrease(progress, 3, 0)).toBe(false);
    expect(maybeDecrease(progress, 5, 4)).toBe(true);
    expect(progress.next).toBe(4);
  });

  test('falls back to probing behind the match', () => {
    const progress = replicating(3);
    sent(progress, 4);
    becomeProbe(progress);
    expect(progress.flow.kind).toBe('probe');
    expect(progress.next).toBe(4);
  });

  test('a commit index is worth sending once, and only for what was sent', () => {
    const progress = replicating(3);
    expect(canBumpCommit(progress, 3)).toBe(true);
    sentAppend(progress, { count: 0, bytes: 0, commit: 3 });
    expect(canBumpCommit(progress, 3)).toBe(false);
    expect(canBumpCommit(progress, 9)).toBe(false);
    sentAppend(progress, { count: 1, bytes: 1, commit: 3 });
    expect(canBumpCommit(progress, 9)).toBe(true);
  });
});

describe('snapshot', () => {
  test('nothing is sent, and signs of life do not change that', () => {
    const progress = probing(1, 2);
    becomeSnapshot(progress, 10);
    expect(progress.next).toBe(11);
    resume(progress);
    expect(isPaused(progress)).toBe(true);
  });

  test.each([
    [true, 11],
    [false, 2],
  ])('reported %s: probes from %i after a sign of life', (ok, next) => {
    const progress = probing(1, 2);
    becomeSnapshot(progress, 10);
    snapshotReported(progress, ok);
    expect(progress.flow).toEqual({ kind: 'probe', paused: true });
    expect(progress.next).toBe(next);
  });

  test('a report outside of it changes nothing', () => {
    const progress = replicating(3);
    snapshotReported(progress, false);
    expect(progress.flow.kind).toBe('replicate');
  });
});

test('the window keeps its order while it wraps around and grows', () => {
  const inflights = new Inflights({ countMax: 10, bytesMax: 1000 });
  for (let index = 1; index <= 100; index++) {
    inflights.add(index, 7);
    // Never more than eight behind: the ring wraps around many times.
    inflights.freeThrough(index - 8);
    expect(inflights.count).toBe(Math.min(index, 8));
    expect(inflights.bytes).toBe(inflights.count * 7);
  }
  inflights.freeThrough(100);
  expect(inflights.count).toBe(0);
  expect(inflights.bytes).toBe(0);
});
