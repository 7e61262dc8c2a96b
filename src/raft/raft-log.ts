/**
 * The log of one member: an array of entries behind a base position, and the marks on it.
 *
 *   base < first .. applied <= applying <= min(commit, durable) .. last
 *
 * `durable` is what this member's disk is known to hold of exactly this log; an entry that gets
 * overwritten takes the mark back with it. Entries are handed out for persisting once, at most one
 * hand-out at a time, so an acknowledgement can only name entries that are still there.
 *
 * Invariants: indexes are dense, terms do not fall, nothing committed is ever overwritten, `commit`
 * never falls. Refuses to know terms of office, votes, members and bytes on disk.
 */

import { assert } from '../assert.ts';
import type { Index, Term } from '../types.ts';
import type { Entry, Snapshot } from './messages.ts';

/** Bytes that an entry's type, term, index and length take on the wire, rounded up. */
const ENTRY_OVERHEAD_BYTES = 24;

export function entryBytes(entry: Entry): number {
  return entry.data.length + ENTRY_OVERHEAD_BYTES;
}

export interface Position {
  readonly index: Index;
  /** 0 when it is not known: compacted, or the position before the first entry. */
  readonly term: Term;
}

export class RaftLog {
  #baseIndex: Index;
  #baseTerm: Term;
  #entries: Entry[];
  #commit: Index;
  #applying: Index;
  #applied: Index;
  #durable: Index;
  /** Last index of the hand-out in flight that has not been overwritten since. */
  #handedTo: Index;
  /** A snapshot that replaced the log and is not durable yet. */
  #snapshot: Snapshot | null = null;
  #handedSnapshot: Snapshot | null = null;

  constructor(restored: {
    readonly base: Position;
    readonly entries: readonly Entry[];
    readonly commit: Index;
    readonly applied: Index;
  }) {
    this.#baseIndex = restored.base.index;
    this.#baseTerm = restored.base.term;
    this.#entries = [...restored.entries];
    assertDense(this.#entries, this.#baseIndex);
    assert(restored.applied >= this.#baseIndex, 'what is compacted has been applied');
    assert(restored.applied <= this.last, 'what is applied is in the log');
    assert(restored.commit <= this.last, 'what is committed is in the log');
    // The commit mark is written without a sync, so it may trail what is known to be committed.
    this.#commit = Math.max(restored.commit, restored.applied);
    this.#applied = restored.applied;
    this.#applying = restored.applied;
    this.#durable = this.last;
    this.#handedTo = this.last;
  }

  get first(): Index {
    return this.#baseIndex + 1;
  }

  get last(): Index {
    return this.#baseIndex + this.#entries.length;
  }

  get lastTerm(): Term {
    return this.#entries.at(-1)?.term ?? this.#baseTerm;
  }

  get commit(): Index {
    return this.#commit;
  }

  get applied(): Index {
    return this.#applied;
  }

  get durable(): Index {
    return this.#durable;
  }

  get snapshotPending(): boolean {
    return this.#snapshot !== null;
  }

  /** `null` outside [base, last]. The base's own term is known though its entry is gone. */
  termAt(index: Index): Term | null {
    if (index === this.#baseIndex) return this.#baseTerm;
    return this.#entries[index - this.#baseIndex - 1]?.term ?? null;
  }

  entryAt(index: Index): Entry | null {
    return this.#entries[index - this.#baseIndex - 1] ?? null;
  }

  matches(index: Index, term: Term): boolean {
    return this.termAt(index) === term;
  }

  /** Thesis 3.6.1: the later last term wins, then the longer log. */
  isUpToDate(index: Index, term: Term): boolean {
    return term > this.lastTerm || (term === this.lastTerm && index >= this.last);
  }

  /** A leader's own entry. */
  append(entry: Entry): void {
    assert(entry.index === this.last + 1, 'a leader appends at the end of its log');
    assert(entry.term >= this.lastTerm, 'terms do not fall along the log');
    this.#entries.push(entry);
  }

  /**
   * A leader's entries behind (prevIndex, prevTerm). Returns the last index now known to equal the
   * leader's log, or `null` when the logs differ at `prevIndex`. What is already there is kept:
   * the message may be old and the log may have grown since.
   */
  maybeAppend(prevIndex: Index, prevTerm: Term, entries: readonly Entry[]): Index | null {
    if (!this.matches(prevIndex, prevTerm)) return null;
    assertDense(entries, prevIndex);
    let known = 0;
    for (const entry of entries) {
      if (!this.matches(entry.index, entry.term)) break;
      known++;
    }
    if (known < entries.length) this.#replaceTail(prevIndex + known + 1, entries, known);
    return prevIndex + entries.length;
  }

  #replaceTail(from: Index, entries: readonly Entry[], skip: number): void {
    assert(from > this.#commit, 'nothing committed is overwritten');
    this.#entries.length = from - this.#baseIndex - 1;
    for (let i = skip; i < entries.length; i++) {
      const entry = entries[i];
      if (entry !== undefined) this.#entries.push(entry);
    }
    this.#durable = Math.min(this.#durable, from - 1);
    this.#handedTo = Math.min(this.#handedTo, from - 1);
  }

  /**
   * The largest position at or below `index` whose term is at most `term`: the best guess at where
   * this log stops to differ from one that has `term` there. The term is 0 where it is unknown.
   */
  findConflictByTerm(index: Index, term: Term): Position {
    for (let at = index; at > 0; at--) {
      const own = this.termAt(at);
      if (own === null) return { index: at, term: 0 };
      if (own <= term) return { index: at, term: own };
    }
    return { index: 0, term: 0 };
  }

  /** Entries from `from` on, up to `bytesMax` but at least one if there is one. */
  entriesFrom(from: Index, bytesMax: number): readonly Entry[] {
    return this.#slice(from, this.last, bytesMax);
  }

  #slice(from: Index, through: Index, bytesMax: number): readonly Entry[] {
    const start = from - this.#baseIndex - 1;
    const end = through - this.#baseIndex;
    assert(start >= 0, 'the entries asked for are not compacted');
    let bytes = 0;
    for (let at = start; at < end; at++) {
      const entry = this.#entries[at];
      if (entry === undefined) return this.#entries.slice(start, at);
      bytes += entryBytes(entry);
      if (bytes > bytesMax && at > start) return this.#entries.slice(start, at);
    }
    return start < end ? this.#entries.slice(start, end) : [];
  }

  commitTo(index: Index): void {
    if (index <= this.#commit) return;
    assert(index <= this.last, 'a commit beyond the log: it was truncated, damaged or lost');
    this.#commit = index;
  }

  /** Thesis 3.6.2: counting copies commits entries of the current term only. */
  maybeCommit(index: Index, term: Term): boolean {
    if (index <= this.#commit || !this.matches(index, term)) return false;
    this.commitTo(index);
    return true;
  }

  /** A snapshot replaces the whole log. It counts as applied when it is durable. */
  restore(snapshot: Snapshot): void {
    const { index, term } = snapshot.metadata;
    assert(index > this.#commit, 'a snapshot brings the log forward');
    this.#baseIndex = index;
    this.#baseTerm = term;
    this.#entries = [];
    this.#commit = index;
    this.#durable = index;
    this.#handedTo = index;
    this.#snapshot = snapshot;
  }

  get hasUnpersisted(): boolean {
    return this.#snapshot !== null || this.last > this.#durable;
  }

  /** Everything that is not durable; must not be called while a hand-out is in flight. */
  handOut(): { readonly snapshot: Snapshot | null; readonly entries: readonly Entry[] } {
    const entries = this.#entries.slice(this.#durable - this.#baseIndex);
    this.#handedTo = this.last;
    this.#handedSnapshot = this.#snapshot;
    return { snapshot: this.#snapshot, entries };
  }

  /** The hand-out is durable, and if it held a snapshot, the state machine stands at it. */
  persisted(): void {
    this.#durable = Math.max(this.#durable, this.#handedTo);
    const snapshot = this.#handedSnapshot;
    this.#handedSnapshot = null;
    if (snapshot === null) return;
    if (this.#snapshot === snapshot) this.#snapshot = null;
    this.#applied = Math.max(this.#applied, snapshot.metadata.index);
    this.#applying = Math.max(this.#applying, this.#applied);
  }

  get hasApplicable(): boolean {
    // One batch at a time bounds what is handed out, and keeps conf changes in step with `applied`.
    return (
      this.#snapshot === null &&
      this.#applying === this.#applied &&
      this.#applying < Math.min(this.#commit, this.#durable)
    );
  }

  handOutApplicable(bytesMax: number): readonly Entry[] {
    if (!this.hasApplicable) return [];
    const through = Math.min(this.#commit, this.#durable);
    const entries = this.#slice(this.#applying + 1, through, bytesMax);
    this.#applying += entries.length;
    return entries;
  }

  appliedTo(index: Index): void {
    if (index <= this.#applied) return;
    assert(index <= this.#applying, 'only what was handed out is applied');
    this.#applied = index;
  }

  /** Whether a conf change is committed but not applied: the configuration is about to change. */
  get hasUnappliedConfChange(): boolean {
    for (let index = this.#applied + 1; index <= this.#commit; index++) {
      if (this.entryAt(index)?.type !== 'normal') return true;
    }
    return false;
  }

  /** Forgets entries up to `index`; what is not applied and durable stays. */
  compact(index: Index): void {
    if (index <= this.#baseIndex) return;
    assert(index <= Math.min(this.#applied, this.#durable), 'only what is applied is compacted');
    this.#baseTerm = this.termAt(index) ?? 0;
    this.#entries = this.#entries.slice(index - this.#baseIndex);
    this.#baseIndex = index;
  }
}

function assertDense(entries: readonly Entry[], before: Index): void {
  let index = before;
  for (const entry of entries) {
    index++;
    assert(entry.index === index, 'log entries have dense indexes');
  }
}
