/**
 * What must hold among all members of a group at every moment, checked from outside by tests and
 * the simulator (thesis figure 3.2):
 *
 * - election safety: one leader per term;
 * - log matching: an index and a term name one entry, and one entry before it;
 * - leader completeness: a new leader holds everything that was committed in earlier terms;
 * - state machine safety: members agree on every committed entry;
 * - within a member: term and commit do not fall, applied <= commit <= last, applied <= durable.
 *
 * Log matching is checked by induction (what precedes an entry is fixed when the entry is first
 * seen), so a check costs as much as what changed since the last one. Checking a member after each
 * of its steps is enough; leader completeness relies on not missing an election.
 */

import { assert } from '../assert.ts';
import type { Index, MemberId, Term } from '../types.ts';
import type { Entry } from './messages.ts';

/** What the checker looks at; a `Raft` is one. */
export interface MemberView {
  readonly id: MemberId;
  readonly term: Term;
  readonly state: string;
  readonly commit: Index;
  readonly appliedIndex: Index;
  readonly durableIndex: Index;
  readonly firstIndex: Index;
  readonly lastIndex: Index;
  termAt(index: Index): Term | null;
  entryAt(index: Index): Entry | null;
}

interface Committed {
  readonly entry: Entry;
  /** The term in which it was first known to be committed. */
  readonly inTerm: Term;
}

interface Seen {
  term: Term;
  commit: Index;
  last: Index;
  readonly entries: Map<Index, Entry>;
}

export class InvariantChecker {
  readonly #leaders = new Map<Term, MemberId>();
  /** Every entry ever seen, by index and term, with the term before it. */
  readonly #entries = new Map<Index, Map<Term, { entry: Entry; before: Term | null }>>();
  readonly #committed = new Map<Index, Committed>();
  #committedLast: Index = 0;
  readonly #members = new Map<MemberId, Seen>();

  /** The highest index that any member has known to be committed. */
  get committedLast(): Index {
    return this.#committedLast;
  }

  check(members: readonly MemberView[]): void {
    for (const member of members) this.#checkMember(member);
  }

  /** The member was restarted from disk: what it had only in memory is gone. */
  restarted(id: MemberId): void {
    this.#members.delete(id);
  }

  #checkMember(member: MemberView): void {
    const seen = this.#seenOf(member.id);
    assert(member.term >= seen.term, 'the term of a member does not fall');
    assert(member.commit >= seen.commit, 'the commit index of a member does not fall');
    assert(member.appliedIndex <= member.commit, 'what is applied is committed');
    assert(member.commit <= member.lastIndex, 'what is committed is in the log');
    assert(member.appliedIndex <= member.durableIndex, 'what is applied is durable here');
    assert(member.durableIndex <= member.lastIndex, 'what is durable is in the log');
    this.#checkLog(member, seen);
    // Before the commits: a leader must hold what was committed before it was elected.
    if (member.state === 'leader') this.#checkLeader(member);
    this.#checkCommitted(member, seen);
    seen.term = member.term;
    seen.commit = member.commit;
    seen.last = member.lastIndex;
  }

  #seenOf(id: MemberId): Seen {
    const known = this.#members.get(id);
    if (known !== undefined) return known;
    const seen: Seen = { term: 0, commit: 0, last: 0, entries: new Map() };
    this.#members.set(id, seen);
    return seen;
  }

  #checkLog(member: MemberView, seen: Seen): void {
    for (let index = seen.last; index > member.lastIndex; index--) seen.entries.delete(index);
    for (let index = member.lastIndex; index >= member.firstIndex; index--) {
      const entry = member.entryAt(index);
      assert(entry !== null && entry.index === index, 'the log has no holes');
      // Logs change at their end, so everything before a known entry is known as well.
      if (seen.entries.get(index) === entry) return;
      seen.entries.set(index, entry);
      this.#checkEntry(entry, member.termAt(index - 1));
    }
  }

  #checkEntry(entry: Entry, before: Term | null): void {
    assert(before === null || before <= entry.term, 'terms do not fall along a log');
    let atIndex = this.#entries.get(entry.index);
    if (atIndex === undefined) {
      atIndex = new Map();
      this.#entries.set(entry.index, atIndex);
    }
    const known = atIndex.get(entry.term);
    if (known === undefined) {
      atIndex.set(entry.term, { entry, before });
      return;
    }
    assert(sameEntry(known.entry, entry), 'an index and a term name one entry');
    assert(known.before === before, 'logs with the same entry have the same entry before it');
  }

  #checkLeader(member: MemberView): void {
    const known = this.#leaders.get(member.term);
    if (known !== undefined) {
      assert(known === member.id, 'a term has one leader');
      return;
    }
    this.#leaders.set(member.term, member.id);
    for (let index = member.firstIndex; index <= this.#committedLast; index++) {
      const committed = this.#committed.get(index);
      // Who was held up and learns late that it has won a term need not have what came after it.
      if (committed === undefined || committed.inTerm >= member.term) continue;
      const { term } = committed.entry;
      assert(member.termAt(index) === term, 'a new leader has all that is committed');
    }
  }

  #checkCommitted(member: MemberView, seen: Seen): void {
    const base = member.firstIndex - 1;
    const atBase = this.#committed.get(base);
    if (atBase !== undefined) {
      const { term } = atBase.entry;
      assert(member.termAt(base) === term, 'a log is compacted to what is committed');
    }
    for (let index = Math.max(seen.commit, base) + 1; index <= member.commit; index++) {
      const entry = member.entryAt(index);
      assert(entry !== null, 'a committed entry is in the log');
      const known = this.#committed.get(index);
      if (known === undefined) this.#committed.set(index, { entry, inTerm: member.term });
      else assert(sameEntry(known.entry, entry), 'members agree on what is committed');
    }
    this.#committedLast = Math.max(this.#committedLast, member.commit);
  }
}

function sameEntry(a: Entry, b: Entry): boolean {
  if (a === b) return true;
  if (a.index !== b.index || a.term !== b.term || a.type !== b.type) return false;
  return a.data === b.data || Buffer.compare(a.data, b.data) === 0;
}
