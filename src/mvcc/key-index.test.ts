import { describe, expect, it } from 'vitest';
import { keyFromText, NO_LEASE } from '../types.ts';
import {
  ABSENT,
  compactEntry,
  isNewest,
  type KeyEntry,
  knows,
  mainAt,
  newEntry,
  recordDelete,
  recordPut,
  subAt,
  visibleAt,
} from './key-index.ts';

/** The example at the head of the file: `2 3 5t | 8 9 10`. */
function example(): KeyEntry {
  const state = { createRevision: 2, modRevision: 2, version: 1, lease: NO_LEASE };
  const entry = newEntry(keyFromText('k'), state, 0);
  recordPut(entry, 3, 0, 2, 2, NO_LEASE);
  recordDelete(entry, 5, 0);
  recordPut(entry, 8, 4, 1, 8, NO_LEASE);
  recordPut(entry, 9, 0, 2, 8, NO_LEASE);
  recordPut(entry, 10, 0, 3, 8, NO_LEASE);
  return entry;
}

function shown(entry: KeyEntry): string {
  const parts: string[] = [];
  const top = (entry.history?.length ?? 0) / 2;
  for (let at = 0; at <= top; at++) {
    const main = mainAt(entry, at);
    parts.push(visibleAt(entry, main) === at ? `${main}` : `${main}t`);
  }
  return parts.join(' ');
}

it('a reader sees the newest revision at or below its own, unless that is a tombstone', () => {
  const entry = example();
  const seen = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11].map((revision) => {
    const at = visibleAt(entry, revision);
    return at === ABSENT ? null : mainAt(entry, at);
  });
  expect(seen).toEqual([null, 2, 3, 3, null, null, null, 8, 9, 10, 10]);
});

it('the newest revision is described by the fields', () => {
  const entry = example();
  expect(isNewest(entry, visibleAt(entry, 10))).toBe(true);
  expect(isNewest(entry, visibleAt(entry, 9))).toBe(false);
  expect(entry).toMatchObject({ modRevision: 10, createRevision: 8, version: 3 });
});

it('sub revisions are kept', () => {
  const entry = example();
  expect(subAt(entry, visibleAt(entry, 8))).toBe(4);
  expect(knows(entry, 8, 4)).toBe(true);
  expect(knows(entry, 8, 0)).toBe(false);
  expect(knows(entry, 5, 0)).toBe(true);
  expect(knows(entry, 4, 0)).toBe(false);
});

describe('compaction of the example', () => {
  it.each([
    [1, '2 3 5t 8 9 10', 'newer'],
    [2, '2 3 5t 8 9 10', 'kept'],
    [3, '3 5t 8 9 10', 'kept'],
    [4, '3 5t 8 9 10', 'kept'],
    [5, '5t 8 9 10', 'kept'],
    [6, '8 9 10', 'newer'],
    [7, '8 9 10', 'newer'],
    [8, '8 9 10', 'kept'],
    [9, '9 10', 'kept'],
    [10, '10', 'kept'],
    [11, '10', 'kept'],
  ])('at %d leaves %s', (revision, left, outcome) => {
    const entry = example();
    expect(compactEntry(entry, revision)).toBe(outcome);
    expect(shown(entry)).toBe(left);
    expect(entry).toMatchObject({ modRevision: 10, createRevision: 8, version: 3 });
    // Doing it again, as after a crash, changes nothing.
    expect(compactEntry(entry, revision)).toBe(outcome);
    expect(shown(entry)).toBe(left);
  });

  it('leaves nothing of a key whose tombstone lies below', () => {
    const entry = example();
    recordDelete(entry, 12, 0);
    expect(compactEntry(entry, 12)).toBe('kept');
    expect(shown(entry)).toBe('12t');
    expect(compactEntry(entry, 13)).toBe('empty');
  });
});

describe('a key put and deleted under one revision', () => {
  function putAndDeleted(): KeyEntry {
    const state = { createRevision: 4, modRevision: 4, version: 1, lease: NO_LEASE };
    const entry = newEntry(keyFromText('k'), state, 0);
    recordDelete(entry, 4, 1);
    return entry;
  }

  it('is seen by nobody', () => {
    const entry = putAndDeleted();
    expect(visibleAt(entry, 3)).toBe(ABSENT);
    expect(visibleAt(entry, 4)).toBe(ABSENT);
    expect(knows(entry, 4, 0)).toBe(true);
    expect(knows(entry, 4, 1)).toBe(true);
  });

  it('keeps its tombstone alone when compacted there', () => {
    const entry = putAndDeleted();
    expect(compactEntry(entry, 4)).toBe('kept');
    expect(knows(entry, 4, 0)).toBe(false);
    expect(knows(entry, 4, 1)).toBe(true);
  });

  it('and put again is seen with the last value', () => {
    const entry = putAndDeleted();
    recordPut(entry, 4, 2, 1, 4, NO_LEASE);
    expect(subAt(entry, visibleAt(entry, 4))).toBe(2);
    expect(compactEntry(entry, 4)).toBe('kept');
    expect(entry.history).toBeNull();
  });
});
