import { describe, expect, it } from 'vitest';
import { AssertionError } from '../assert.ts';
import { limits } from '../limits.ts';
import { keyFromText } from '../types.ts';
import { deleteEvent, type Event } from './event.ts';
import { RecentEvents } from './recent-events.ts';

const event = (revision: number, key = 'k'): Event => deleteEvent(keyFromText(key), revision);
/** What one small event counts. */
const ONE = filled(1_000_000, 300, 300).bytes;

function filled(bytesMax: number, first: number, last: number): RecentEvents {
  const recent = new RecentEvents(bytesMax);
  for (let revision = first; revision <= last; revision++) recent.add(revision, [event(revision)]);
  return recent;
}

function revisions(recent: RecentEvents, from: number, to: number): number[] | null {
  return recent.between(from, to)?.events.map(({ revision }) => revision) ?? null;
}

describe('recent events', () => {
  it('know nothing at first', () => {
    expect(new RecentEvents(1000).between(2, 3)).toBeNull();
  });

  it('answer any stretch that they hold', () => {
    const recent = filled(100_000, 300, 320);
    expect(revisions(recent, 300, 302)).toEqual([300, 301, 302]);
    expect(revisions(recent, 319, 320)).toEqual([319, 320]);
    expect(recent.between(319, 320)?.next).toBe(321);
    expect(recent.between(310, 311)?.next).toBe(312);
  });

  it('have no answer for what is older', () => {
    expect(filled(100_000, 300, 320).between(299, 320)).toBeNull();
  });

  it('hold as much as fits, always the newest', () => {
    const recent = filled(10 * ONE, 300, 1000);
    expect(recent.bytes).toBe(10 * ONE);
    expect(recent.between(990, 1000)).toBeNull();
    expect(revisions(recent, 991, 1000)).toEqual([
      991, 992, 993, 994, 995, 996, 997, 998, 999, 1000,
    ]);
  });

  it('hold nothing of one that is too large by itself, and go on after it', () => {
    const recent = new RecentEvents(3 * ONE);
    recent.add(300, [event(300)]);
    recent.add(301, [event(301, 'k'.repeat(1000))]);
    expect(recent.bytes).toBe(0);
    expect(recent.between(301, 301)).toBeNull();
    recent.add(302, [event(302)]);
    expect(revisions(recent, 302, 302)).toEqual([302]);
    expect(recent.between(301, 302)).toBeNull();
  });

  it('keep the events of a revision together and in order', () => {
    const recent = new RecentEvents(100_000);
    const changes = [event(5, 'b'), event(5, 'a'), event(5, 'b')];
    recent.add(5, changes);
    recent.add(6, [event(6)]);
    expect(recent.between(5, 5)).toEqual({ events: changes, next: 6 });
  });

  it('stop after a bounded number of revisions', () => {
    const max = limits.watchCatchUpRevisionsMax;
    const recent = filled(100_000_000, 1, 3 * max);
    const history = recent.between(2, 3 * max);
    expect(history?.events.length).toBe(max);
    expect(history?.next).toBe(2 + max);
  });

  it('stop after a bounded number of bytes, but not before the first', () => {
    const recent = new RecentEvents(100_000_000);
    const large = 'k'.repeat(limits.watchCatchUpBytesMax);
    for (const revision of [7, 8, 9]) recent.add(revision, [event(revision, large)]);
    expect(recent.between(7, 9)?.next).toBe(8);
  });

  it('refuse a gap', () => {
    const recent = filled(1000, 5, 6);
    expect(() => recent.add(8, [event(8)])).toThrow(AssertionError);
  });
});
