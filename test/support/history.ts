/**
 * Checks what clients saw of a cluster against what the cluster did. etcd shows its order of
 * serialization, the revision in every header, so no search is needed: each answer is compared with
 * the state at its revision, and real time is checked against the order of revisions.
 *
 * What it is given: the operations of all clients, and the log: every event of every revision, from
 * a watch or from the history of the members that are left. Values must be unique, one per put.
 * Times are points on one monotonic scale of any unit; operations that touch there are concurrent.
 *
 * It knows nothing of clusters, clients and faults, and costs O(n log n) beside the ranges read.
 */

import {
  type Answer,
  applyEvent,
  type Effect,
  type Event,
  type Request,
  run,
  type State,
} from './model.ts';

export type Outcome =
  /** `revision`: the header's. Parts that the answer leaves out are not checked. */
  | { readonly case: 'ok'; readonly revision: number; readonly answer: Answer }
  /** Refused before it could have been carried out. */
  | { readonly case: 'failed' }
  /** Carried out at most once, at any time after the start. */
  | { readonly case: 'unknown' };

export interface Operation {
  readonly client: string;
  readonly request: Request;
  readonly start: number;
  /** When the client knew the outcome; `null`: never. */
  readonly end: number | null;
  readonly outcome: Outcome;
  /** A read that may be stale: its content is checked, its order is not. */
  readonly serializable?: boolean;
}

/** All that one watcher saw, across as many resumes as it took. */
export interface WatchRecord {
  readonly client: string;
  readonly key: string;
  /** Exclusive; left out for a single key. */
  readonly rangeEnd?: string;
  readonly startRevision: number;
  readonly events: readonly Event[];
  /** It must have seen everything up to here. */
  readonly through: number;
}

export interface History {
  readonly operations: readonly Operation[];
  readonly watches?: readonly WatchRecord[];
  /** All events, in order. */
  readonly log: readonly Event[];
  /** The revision of the first change (2: the log begins with the cluster). */
  readonly firstRevision?: number;
  /** Whether only these clients write a key; changes of other keys are taken as they are. */
  readonly isOurs?: (key: string) => boolean;
}

export type Rule =
  /** Revisions of the log have no gaps and do not go back. */
  | 'dense'
  /** An acknowledged write is in the log at exactly its revision, and only it. */
  | 'acknowledged'
  /** A refused write never took place. */
  | 'refused'
  /** No write took place twice. */
  | 'once'
  /** Everything in the log was asked for, or is the end of a lease. */
  | 'asked'
  /** Who begins after another has ended does not see less, and writes later. */
  | 'real-time'
  /** What was answered is true at the revision of the answer. */
  | 'answer'
  /** A watcher sees everything in its range, once, in order. */
  | 'watch';

export interface Violation {
  readonly rule: Rule;
  readonly message: string;
}

const FIRST_CHANGE = 2;

export function checkHistory(history: History): readonly Violation[] {
  const checker = new HistoryChecker(history);
  checker.check();
  return checker.violations;
}

interface Acknowledged {
  readonly operation: Operation;
  readonly revision: number;
  readonly answer: Answer;
}

class HistoryChecker {
  readonly violations: Violation[] = [];
  readonly #history: History;
  readonly #isOurs: (key: string) => boolean;
  /** Events by revision, from the first one on. */
  readonly #log: readonly (readonly Event[])[];
  readonly #first: number;
  readonly #acknowledged: readonly Acknowledged[];
  /** By revision: before when it had certainly happened. */
  readonly #knownBy: readonly number[];

  constructor(history: History) {
    this.#history = history;
    this.#isOurs = history.isOurs ?? (() => true);
    this.#first = history.firstRevision ?? FIRST_CHANGE;
    this.#log = this.#byRevision(history.log);
    this.#acknowledged = history.operations.flatMap((operation) => {
      const { outcome } = operation;
      if (outcome.case !== 'ok') return [];
      return [{ operation, revision: outcome.revision, answer: outcome.answer }];
    });
    this.#knownBy = this.#timesKnown();
  }

  check(): void {
    const writers = this.#findByValue();
    this.#checkRealTime();
    this.#replay(writers);
    for (const watch of this.#history.watches ?? []) this.#checkWatch(watch);
  }

  get #last(): number {
    return this.#first + this.#log.length - 1;
  }

  #report(rule: Rule, message: string): void {
    this.violations.push({ rule, message });
  }

  #byRevision(events: readonly Event[]): Event[][] {
    const log: Event[][] = [];
    let last = this.#first - 1;
    for (const event of events) {
      if (event.revision === last && log.length > 0) {
        log.at(-1)?.push(event);
        continue;
      }
      if (event.revision !== last + 1) {
        this.#report('dense', `revision ${event.revision} follows ${last}`);
        // What comes later is still looked at.
        while (last + 1 < event.revision) {
          log.push([]);
          last++;
        }
        if (event.revision <= last) continue;
      }
      log.push([event]);
      last = event.revision;
    }
    return log;
  }

  #eventsAt(revision: number): readonly Event[] {
    return this.#log[revision - this.#first] ?? [];
  }

  /** An answer at a revision shows that everything up to it had happened. */
  #timesKnown(): number[] {
    const known: number[] = new Array(this.#log.length).fill(Number.POSITIVE_INFINITY);
    for (const { operation, revision } of this.#acknowledged) {
      const at = revision - this.#first;
      const end = operation.end ?? Number.POSITIVE_INFINITY;
      if (at >= 0 && at < known.length) known[at] = Math.min(known[at] ?? end, end);
    }
    let earliest = Number.POSITIVE_INFINITY;
    for (let at = known.length - 1; at >= 0; at--) {
      earliest = Math.min(earliest, known[at] ?? earliest);
      known[at] = earliest;
    }
    return known;
  }

  #couldBe(operation: Operation, revision: number): boolean {
    return operation.start <= (this.#knownBy[revision - this.#first] ?? Number.POSITIVE_INFINITY);
  }

  /** Writes with unknown outcome that took place, by revision: their values tell. */
  #findByValue(): Map<number, Operation> {
    const revisionOf = new Map<string, number>();
    for (const event of this.#history.log) {
      if (event.type !== 'put' || !this.#isOurs(event.key)) continue;
      const before = revisionOf.get(event.value);
      if (before !== undefined) {
        this.#report('once', `${event.value} was written at ${before} and at ${event.revision}`);
      } else revisionOf.set(event.value, event.revision);
    }
    const writers = new Map<number, Operation>();
    for (const operation of this.#history.operations) {
      const { outcome } = operation;
      if (outcome.case === 'ok') continue;
      for (const value of valuesOf(operation.request)) {
        const revision = revisionOf.get(value);
        if (revision === undefined) continue;
        if (outcome.case === 'unknown') writers.set(revision, operation);
        else this.#report('refused', `${describe(operation)} took place at ${revision}`);
      }
    }
    return writers;
  }

  #checkRealTime(): void {
    const { operations } = this.#history;
    const ended = this.#acknowledged
      .filter(({ operation }) => operation.end !== null && operation.serializable !== true)
      .sort((a, b) => (a.operation.end ?? 0) - (b.operation.end ?? 0));
    const begun = [...this.#acknowledged].sort((a, b) => a.operation.start - b.operation.start);
    let at = 0;
    let newest: Acknowledged | null = null;
    for (const later of begun) {
      for (let next = ended[at]; next !== undefined; next = ended[++at]) {
        if ((next.operation.end ?? 0) >= later.operation.start) break;
        if (newest === null || next.revision > newest.revision) newest = next;
      }
      if (newest === null || later.operation.serializable === true) continue;
      if (later.revision < newest.revision) {
        const seen = `${describe(newest.operation)} had ended at revision ${newest.revision}`;
        this.#report('real-time', `${describe(later.operation)} at ${later.revision}, but ${seen}`);
      }
    }
    for (const { operation, revision } of this.#acknowledged) {
      const { end, start } = operation;
      if (end !== null && end < start) {
        this.#report('real-time', `${describe(operation)} at ${revision} ends before it begins`);
      }
    }
    this.#checkBeyond(operations);
  }

  #checkBeyond(operations: readonly Operation[]): void {
    for (const operation of operations) {
      const { outcome } = operation;
      if (outcome.case !== 'ok' || outcome.revision <= this.#last) continue;
      // Revision 1 is that of a store to which nothing has happened.
      if (outcome.revision === this.#first - 1) continue;
      const rule = valuesOf(operation.request).length > 0 ? 'acknowledged' : 'answer';
      this.#report(
        rule,
        `${describe(operation)} at ${outcome.revision}, where the log ends at ${this.#last}`,
      );
    }
  }

  /** Goes through the revisions with the state of each at hand. */
  #replay(writers: ReadonlyMap<number, Operation>): void {
    const answered = new Map<number, Acknowledged[]>();
    for (const item of this.#acknowledged) {
      const list = answered.get(item.revision);
      if (list === undefined) answered.set(item.revision, [item]);
      else list.push(item);
    }
    // Deletions leave no value behind by which they could be found.
    const anonymous = this.#history.operations.filter(
      ({ request, outcome }) => outcome.case === 'unknown' && deletesOnly(request),
    );
    const state: State = new Map();
    for (const item of answered.get(this.#first - 1) ?? []) this.#checkAnswer(item, state);
    for (let revision = this.#first; revision <= this.#last; revision++) {
      const events = this.#eventsAt(revision);
      const rest: Acknowledged[] = [];
      let writer: Operation | null = null;
      for (const item of answered.get(revision) ?? []) {
        if (!isWriter(item, state, events)) rest.push(item);
        else if (writer === null) writer = item.operation;
        else {
          const both = `${describe(writer)} and ${describe(item.operation)}`;
          this.#report('acknowledged', `${both} at ${revision}`);
        }
      }
      if (writer === null) this.#findWriter(revision, state, writers.get(revision), anonymous);
      else this.#checkWriter(writer, revision);
      const writes = rest.map(({ operation }) => run(operation.request, state, revision));
      for (const event of events) applyEvent(state, event);
      rest.forEach((item, i) => {
        this.#checkAnswer(item, state, writes[i]);
      });
    }
  }

  #checkWriter(writer: Operation, revision: number): void {
    if (this.#couldBe(writer, revision)) return;
    this.#report('real-time', `${describe(writer)} at ${revision}, which was seen before it began`);
  }

  /** The revision is nobody's by its acknowledgement. */
  #findWriter(
    revision: number,
    state: State,
    named: Operation | undefined,
    anonymous: Operation[],
  ): void {
    const events = this.#eventsAt(revision);
    if (events.length === 0 || !events.some(({ key }) => this.#isOurs(key))) return;
    if (named !== undefined) {
      if (sameEvents(run(named.request, state, revision).events, events)) {
        this.#checkWriter(named, revision);
      } else {
        this.#report('asked', `${describe(named)} at ${revision} is not ${describeEvents(events)}`);
      }
      return;
    }
    const at = anonymous.findIndex(
      (operation) =>
        this.#couldBe(operation, revision) &&
        sameEvents(run(operation.request, state, revision).events, events),
    );
    if (at >= 0) anonymous.splice(at, 1);
    else if (!isEndOfLease(state, events)) {
      this.#report('asked', `nobody asked for ${describeEvents(events)} at ${revision}`);
    }
  }

  /** For an answer that changed nothing. `write`: what it would have been as the change itself. */
  #checkAnswer(item: Acknowledged, state: State, write?: Effect): void {
    const { operation, revision, answer } = item;
    const found = run(operation.request, state, revision);
    const wrong = mismatch(answer, found.answer);
    if (found.events.length === 0 && wrong === null) return;
    const isChange = (write ?? found).events.length > 0;
    const isJudgedWrong =
      answer.succeeded !== undefined && answer.succeeded !== write?.answer.succeeded;
    if (isChange && !isJudgedWrong) {
      this.#report('acknowledged', `${describe(operation)} did not take place at ${revision}`);
    } else {
      const detail = wrong ?? 'compares otherwise';
      this.#report('answer', `${describe(operation)} at ${revision}: ${detail}`);
    }
  }

  #checkWatch({ client, key, rangeEnd, startRevision, events, through }: WatchRecord): void {
    let at = 0;
    for (const event of this.#history.log) {
      if (event.revision < startRevision || !within(event.key, key, rangeEnd)) continue;
      const seen = events[at];
      if (seen === undefined) {
        if (event.revision > through) break;
        this.#report('watch', `${client} did not see ${describeEvents([event])}`);
        return;
      }
      if (!sameEvents([seen], [event]) || seen.revision !== event.revision) {
        const due = describeEvents([event]);
        this.#report('watch', `${client} saw ${describeEvents([seen])} where ${due} was due`);
        return;
      }
      at++;
    }
    const more = events[at];
    if (more !== undefined) {
      this.#report(
        'watch',
        `${client} saw ${describeEvents([more])}, of which the log knows nothing`,
      );
    }
  }
}

/** Whether the operation is what happened at its revision, by content and by answer. */
function isWriter(
  { operation, revision, answer }: Acknowledged,
  before: State,
  events: readonly Event[],
): boolean {
  if (operation.request.kind === 'get' || events.length === 0) return false;
  const found = run(operation.request, before, revision);
  return sameEvents(found.events, events) && mismatch(answer, found.answer) === null;
}

/** All keys of one lease, and nothing else, are gone. */
function isEndOfLease(state: State, events: readonly Event[]): boolean {
  const lease = state.get(events[0]?.key ?? '')?.lease ?? 0n;
  if (lease === 0n) return false;
  const isAttached = (event: Event): boolean =>
    event.type === 'delete' && state.get(event.key)?.lease === lease;
  let attached = 0;
  for (const kv of state.values()) if (kv.lease === lease) attached++;
  return events.every(isAttached) && attached === events.length;
}

function sameEvents(a: readonly Event[], b: readonly Event[]): boolean {
  if (a.length !== b.length) return false;
  return a.every((event, i) => {
    const other = b[i];
    if (other === undefined || other.type !== event.type || other.key !== event.key) return false;
    if (event.type === 'delete' || other.type === 'delete') return true;
    return event.value === other.value && (event.lease ?? 0n) === (other.lease ?? 0n);
  });
}

/** What is wrong with an answer; parts that it leaves out are not. */
function mismatch(answer: Answer, expected: Answer): string | null {
  const { succeeded, deleted, kvs, steps } = answer;
  if (succeeded !== undefined && succeeded !== expected.succeeded) return `succeeded=${succeeded}`;
  if (deleted !== undefined && deleted !== expected.deleted) {
    return `deleted ${deleted} and not ${expected.deleted}`;
  }
  if (kvs !== undefined) {
    const due = expected.kvs ?? [];
    const same =
      kvs.length === due.length &&
      kvs.every((kv, i) => {
        const other = due[i];
        if (other === undefined || kv.key !== other.key || kv.value !== other.value) return false;
        return kv.modRevision === undefined || kv.modRevision === other.modRevision;
      });
    const list = (pairs: typeof kvs): string => pairs.map((kv) => `${kv.key}=${kv.value}`).join();
    if (!same) return `answered [${list(kvs)}] and not [${list(due)}]`;
  }
  for (const [i, step] of (steps ?? []).entries()) {
    const due = expected.steps?.[i];
    if (due === undefined) return 'answered to more steps than there were';
    const wrong = mismatch(step, due);
    if (wrong !== null) return wrong;
  }
  return null;
}

function within(key: string, from: string, rangeEnd: string | undefined): boolean {
  return rangeEnd === undefined ? key === from : from <= key && key < rangeEnd;
}

function valuesOf(request: Request): readonly string[] {
  if (request.kind === 'put') return [request.value];
  if (request.kind !== 'txn') return [];
  return [...request.success, ...request.failure].flatMap(valuesOf);
}

function deletesOnly(request: Request): boolean {
  return request.kind !== 'get' && valuesOf(request).length === 0;
}

function describe({ client, request, start, end }: Operation): string {
  const key = request.kind === 'txn' ? '' : ` ${request.key}`;
  const value = valuesOf(request).map((text) => ` ${text}`);
  return `${client}'s ${request.kind}${key}${value.join('')} (${start} to ${end ?? 'nowhere'})`;
}

function describeEvents(events: readonly Event[]): string {
  return events
    .map((event) => {
      const value = event.type === 'put' ? `=${event.value}` : '';
      return `${event.type} ${event.key}${value} at ${event.revision}`;
    })
    .join(', ');
}
