import { describe, expect, test } from 'vitest';
import { must } from '../assert.ts';
import { EMPTY_CONF_STATE } from './membership.ts';
import type { Entry } from './messages.ts';
import { entryBytes, RaftLog } from './raft-log.ts';

/** Entries from `first` on with the terms given. */
function entries(first: number, terms: readonly number[]): Entry[] {
  return terms.map((term, at) => ({
    type: 'normal',
    term,
    index: first + at,
    data: Buffer.from(`${first + at}/${term}`),
  }));
}

function logOf(terms: readonly number[], commit = 0, base = { index: 0, term: 0 }): RaftLog {
  return new RaftLog({
    base,
    entries: entries(base.index + 1, terms),
    commit,
    applied: base.index,
  });
}

function terms(log: RaftLog): readonly (number | null)[] {
  const result: (number | null)[] = [];
  for (let index = log.first; index <= log.last; index++) result.push(log.termAt(index));
  return result;
}

describe('maybeAppend', () => {
  test.each([
    // log, prev index and term, new terms, matched, log afterwards
    [[1, 1, 2], 3, 2, [2], 4, [1, 1, 2, 2]],
    [[1, 1, 2], 3, 3, [3], null, [1, 1, 2]],
    [[1, 1, 2], 5, 2, [2], null, [1, 1, 2]],
    [[1, 1, 2], 2, 1, [3, 3], 4, [1, 1, 3, 3]],
    [[1, 1, 2], 1, 1, [1], 2, [1, 1, 2]],
    [[1, 1, 2], 1, 1, [1, 2, 2], 4, [1, 1, 2, 2]],
    [[1, 1, 2], 0, 0, [], 0, [1, 1, 2]],
    [[], 0, 0, [1], 1, [1]],
    [[1, 2, 2, 2], 1, 1, [3], 2, [1, 3]],
  ])('%j after %i/%i: %j', (before, index, term, added, matched, after) => {
    const log = logOf(before);
    expect(log.maybeAppend(index, term, entries(index + 1, added))).toBe(matched);
    expect(terms(log)).toEqual(after);
  });

  test('refuses to overwrite what is committed', () => {
    expect(() => logOf([1, 1, 2], 3).maybeAppend(2, 1, entries(3, [3]))).toThrow('committed');
  });

  test('refuses entries with a gap', () => {
    expect(() => logOf([1]).maybeAppend(1, 1, entries(3, [1]))).toThrow('dense');
  });
});

describe('findConflictByTerm', () => {
  test.each([
    // log, index, term, result
    [[1, 3, 3, 4, 4, 5, 5, 5, 6], 8, 3, { index: 3, term: 3 }],
    [[1, 3, 3, 3, 5, 5, 5, 5, 5], 6, 2, { index: 1, term: 1 }],
    [[1, 1], 2, 1, { index: 2, term: 1 }],
    [[2, 2], 2, 1, { index: 0, term: 0 }],
    [[1, 1], 5, 1, { index: 5, term: 0 }],
  ])('in %j at %i term %i', (before, index, term, expected) => {
    expect(logOf(before).findConflictByTerm(index, term)).toEqual(expected);
  });

  test('stops at what is compacted', () => {
    const log = logOf([5, 5], 0, { index: 10, term: 4 });
    expect(log.findConflictByTerm(12, 3)).toEqual({ index: 9, term: 0 });
    expect(log.findConflictByTerm(12, 4)).toEqual({ index: 10, term: 4 });
  });
});

describe('marks', () => {
  test('counting copies commits only entries of the current term (figure 8)', () => {
    const log = logOf([1, 2, 2, 4]);
    expect(log.maybeCommit(3, 4)).toBe(false);
    expect(log.commit).toBe(0);
    expect(log.maybeCommit(4, 4)).toBe(true);
    expect(log.commit).toBe(4);
  });

  test('a commit beyond the log is a lost log', () => {
    expect(() => logOf([1]).commitTo(2)).toThrow('beyond the log');
  });

  test('an overwritten entry takes the durable mark back', () => {
    const log = logOf([1, 1, 1]);
    log.maybeAppend(1, 1, entries(2, [2]));
    expect(log.durable).toBe(1);
    expect(log.handOut().entries.map((e) => e.index)).toEqual([2]);
    log.persisted();
    expect(log.durable).toBe(2);
  });

  test('entries are applied when they are committed and durable, in batches of bytes', () => {
    const log = logOf([1]);
    for (const entry of entries(2, [1, 1])) log.append(entry);
    log.commitTo(3);
    expect(log.handOutApplicable(1).map((e) => e.index)).toEqual([1]);
    log.appliedTo(1);
    expect(log.hasApplicable).toBe(false);
    log.handOut();
    log.persisted();
    expect(log.handOutApplicable(1000).map((e) => e.index)).toEqual([2, 3]);
    expect(log.hasApplicable).toBe(false);
  });

  test('a snapshot holds back applying until it is durable, and then counts as applied', () => {
    const log = logOf([1, 1]);
    const metadata = { index: 8, term: 3, confState: EMPTY_CONF_STATE };
    log.restore({ metadata, data: new Uint8Array(0) });
    log.maybeAppend(8, 3, entries(9, [3]));
    log.commitTo(9);
    expect(log.hasApplicable).toBe(false);
    expect(log.handOut().snapshot?.metadata).toBe(metadata);
    log.persisted();
    expect(log.applied).toBe(8);
    expect(log.handOutApplicable(1000).map((e) => e.index)).toEqual([9]);
  });

  test('a snapshot that arrives during a write is not done with that write', () => {
    const log = logOf([]);
    log.append({ type: 'normal', term: 1, index: 1, data: new Uint8Array(0) });
    log.handOut();
    const metadata = { index: 8, term: 3, confState: EMPTY_CONF_STATE };
    log.restore({ metadata, data: new Uint8Array(0) });
    log.persisted();
    expect(log.snapshotPending).toBe(true);
    expect(log.applied).toBe(0);
  });

  test('compacting keeps the term of the last entry dropped, and nothing unapplied goes', () => {
    const log = logOf([1, 2, 3], 2);
    expect(() => log.compact(1)).toThrow('applied');
    log.handOutApplicable(1000);
    log.appliedTo(2);
    log.compact(2);
    expect([log.first, log.last, log.termAt(2), log.termAt(1)]).toEqual([3, 3, 2, null]);
    expect(log.entriesFrom(3, 1000).length).toBe(1);
    expect(() => log.entriesFrom(2, 1000)).toThrow('compacted');
  });

  test('a conf change between applied and commit is seen', () => {
    const [first, second] = entries(1, [1, 1]);
    const log = logOf([]);
    if (first !== undefined) log.append(first);
    if (second !== undefined) log.append({ ...second, type: 'conf-change' });
    log.commitTo(1);
    expect(log.hasUnappliedConfChange).toBe(false);
    log.commitTo(2);
    expect(log.hasUnappliedConfChange).toBe(true);
  });
});

describe('entriesFrom', () => {
  test('keeps to the bytes allowed, but gives at least one', () => {
    const log = logOf([1, 1, 1, 1]);
    const one = entryBytes(must(log.entryAt(1), 'the log has entries'));
    expect(log.entriesFrom(1, 0).length).toBe(1);
    expect(log.entriesFrom(1, one * 2).length).toBe(2);
    expect(log.entriesFrom(1, one * 2 - 1).length).toBe(1);
    expect(log.entriesFrom(2, 10_000).map((e) => e.index)).toEqual([2, 3, 4]);
    expect(log.entriesFrom(5, 10_000)).toEqual([]);
  });
});

test.each([
  // last index and term of the other log; ours ends 3/2
  [3, 2, true],
  [4, 2, true],
  [2, 2, false],
  [1, 3, true],
  [9, 1, false],
])('a log that ends at %i/%i is up to date: %s', (index, term, expected) => {
  expect(logOf([1, 1, 2]).isUpToDate(index, term)).toBe(expected);
});
