/**
 * One applied request's changes. All of them share one main revision, the next after the store's,
 * and take sub revisions 0, 1, 2, ... in the order in which they are made.
 *
 * Invariant: rows and index change at once, the store's revision only at the end, so there must be
 * no wait between opening a transaction and ending it.
 */

import { assert, must } from '../assert.ts';
import { type EncodedKeyValue, encodeFields, encodeTombstone } from '../codec/key-value.ts';
import type { EtcdError } from '../errors.ts';
import { type Key, type LeaseId, NO_LEASE, type Revision } from '../types.ts';
import { deleteEvent, type Event } from './event.ts';
import { isLive, type KeyEntry, newEntry, recordDelete, recordPut } from './key-index.ts';
import { keyBounds } from './key-range.ts';
import type { RangeResult, RangeSource, ReadOptions } from './range.ts';
import { recordRowKey, tombstoneRowKey } from './record.ts';

export interface PutResult {
  /** The pair before, when asked for and there was one. */
  readonly prev: EncodedKeyValue | null;
  /** The lease that the key was attached to before. */
  readonly prevLease: LeaseId;
}

export interface DeletedKey {
  readonly key: Key;
  readonly prev: EncodedKeyValue | null;
  readonly prevLease: LeaseId;
}

export interface WriteResult {
  /** The revision of the changes, or the store's when there were none. */
  readonly revision: Revision;
  readonly events: readonly Event[];
}

interface Owner extends RangeSource {
  read(options: ReadOptions, current: Revision): RangeResult | EtcdError;
  ended(revision: Revision): void;
}

export class WriteTxn {
  readonly #owner: Owner;
  readonly #base: Revision;
  readonly #events: Event[] = [];
  #ended = false;

  constructor(owner: Owner, base: Revision) {
    this.#owner = owner;
    this.#base = base;
  }

  /** The store's revision, or the one after it as soon as something has changed. */
  get revision(): Revision {
    return this.#events.length > 0 ? this.#base + 1 : this.#base;
  }

  /** With a revision of 0 or below it sees the changes made so far. */
  range(options: ReadOptions): RangeResult | EtcdError {
    return this.#owner.read(options, this.revision);
  }

  /** `wantPrev` false saves reading the row of the pair before. */
  put(key: Key, value: Uint8Array, lease: LeaseId, wantPrev = true): PutResult {
    assert(!this.#ended, 'a transaction that has ended takes no changes');
    const { tree, rows } = this.#owner;
    const main = this.#base + 1;
    const sub = this.#events.length;
    const entry = tree.get(key);
    const live = entry !== null && isLive(entry);
    const prev = live && wantPrev ? this.#row(entry) : null;
    const prevLease = live ? entry.lease : NO_LEASE;
    const createRevision = live ? entry.createRevision : main;
    const version = live ? entry.version + 1 : 1;
    const heldLease = lease === NO_LEASE ? NO_LEASE : lease;
    const kv = encodeFields(key, createRevision, main, version, value, heldLease);
    rows.put(recordRowKey(main, sub), kv);
    if (entry === null) {
      const state = { createRevision, modRevision: main, version, lease: heldLease };
      tree.insert(key, newEntry(key, state, sub));
    } else {
      recordPut(entry, main, sub, version, createRevision, heldLease);
      if (!live) tree.reweigh(key, 1);
    }
    this.#events.push({
      type: 'put',
      key,
      revision: main,
      createRevision,
      version,
      lease: heldLease,
      kv,
    });
    return { prev, prevLease };
  }

  /** Deletes in key order. `wantPrev` false saves reading the rows of the pairs before. */
  deleteRange(key: Key, rangeEnd: Key, wantPrev = true): readonly DeletedKey[] {
    assert(!this.#ended, 'a transaction that has ended takes no changes');
    const deleted: DeletedKey[] = [];
    for (const entry of this.#liveEntries(key, rangeEnd)) {
      deleted.push({
        key: entry.key,
        prev: wantPrev ? this.#row(entry) : null,
        prevLease: entry.lease,
      });
      this.#delete(entry);
    }
    return deleted;
  }

  end(): WriteResult {
    assert(!this.#ended, 'a transaction ends once');
    this.#ended = true;
    this.#owner.ended(this.revision);
    return { revision: this.revision, events: this.#events };
  }

  #liveEntries(key: Key, rangeEnd: Key): readonly KeyEntry[] {
    const { tree } = this.#owner;
    if (rangeEnd === '') {
      const entry = tree.get(key);
      return entry !== null && isLive(entry) ? [entry] : [];
    }
    const { from, to } = keyBounds(key, rangeEnd);
    const entries: KeyEntry[] = [];
    tree.scan(from, to, (entry) => {
      if (isLive(entry)) entries.push(entry);
      return true;
    });
    return entries;
  }

  #delete(entry: KeyEntry): void {
    const { tree, rows } = this.#owner;
    const main = this.#base + 1;
    const sub = this.#events.length;
    rows.put(tombstoneRowKey(main, sub), encodeTombstone(entry.key));
    recordDelete(entry, main, sub);
    tree.reweigh(entry.key, -1);
    this.#events.push(deleteEvent(entry.key, main));
  }

  #row(entry: KeyEntry): EncodedKeyValue {
    const row = this.#owner.rows.get(recordRowKey(entry.modRevision, entry.modSub));
    return must(row, 'every revision of the index has its row');
  }
}
