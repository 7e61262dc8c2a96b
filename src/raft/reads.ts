/**
 * ReadIndex on the leader (thesis 6.4): a read may be served at the commit index of the moment it
 * was asked, once a quorum has confirmed that this leader was still the leader afterwards.
 *
 * Reads are numbered; a heartbeat carries the number of the newest one as 8 little-endian bytes,
 * and an answer that echoes n confirms every read up to n. Followers echo the bytes unseen, so
 * members of any version confirm for each other.
 *
 * Limit: `pendingMax` unconfirmed reads; beyond that they are dropped, and the asker asks again.
 */

import { EMPTY_BYTES, type Index, type MemberId } from '../types.ts';
import { jointIndex } from './quorum.ts';

export interface PendingRead {
  /** Who asked: this member itself or the one that forwarded it. */
  readonly from: MemberId;
  readonly context: Uint8Array;
}

export interface ConfirmedRead extends PendingRead {
  readonly index: Index;
}

export class ReadQueue {
  readonly #pendingMax: number;
  /** Asked before this leader committed in its term, so before it knows the commit index. */
  #early: PendingRead[] = [];
  #unconfirmed: ConfirmedRead[] = [];
  /** How many reads of this term are confirmed. */
  #confirmed = 0;
  readonly #echoes = new Map<MemberId, number>();

  constructor(pendingMax: number) {
    this.#pendingMax = pendingMax;
  }

  /** An empty queue with the same limit: reads do not outlive the term they were asked in. */
  successor(): ReadQueue {
    return this.pending === 0 && this.#confirmed === 0 ? this : new ReadQueue(this.#pendingMax);
  }

  get pending(): number {
    return this.#early.length + this.#unconfirmed.length;
  }

  get full(): boolean {
    return this.pending >= this.#pendingMax;
  }

  addEarly(read: PendingRead): void {
    this.#early.push(read);
  }

  takeEarly(): readonly PendingRead[] {
    const early = this.#early;
    this.#early = [];
    return early;
  }

  add(read: ConfirmedRead): void {
    this.#unconfirmed.push(read);
  }

  /** What a heartbeat carries to have every pending read confirmed; empty when there is none. */
  heartbeatContext(): Uint8Array {
    if (this.#unconfirmed.length === 0) return EMPTY_BYTES;
    return encodeCount(this.#confirmed + this.#unconfirmed.length);
  }

  echoed(from: MemberId, context: Uint8Array): void {
    const count = decodeCount(context);
    if (count > (this.#echoes.get(from) ?? 0)) this.#echoes.set(from, count);
  }

  /** Removes and returns the reads that a quorum has confirmed. The leader confirms all its own. */
  takeConfirmed(
    self: MemberId,
    voters: readonly MemberId[],
    outgoing: readonly MemberId[],
  ): readonly ConfirmedRead[] {
    const asked = this.#confirmed + this.#unconfirmed.length;
    const quorum = jointIndex(voters, outgoing, (id) =>
      id === self ? asked : (this.#echoes.get(id) ?? 0),
    );
    // A malformed echo must not confirm what was never asked.
    const confirmed = Math.min(quorum, asked);
    if (confirmed <= this.#confirmed) return [];
    const reads = this.#unconfirmed.slice(0, confirmed - this.#confirmed);
    this.#unconfirmed = this.#unconfirmed.slice(reads.length);
    this.#confirmed = confirmed;
    return reads;
  }
}

function encodeCount(count: number): Uint8Array {
  const bytes = new Uint8Array(8);
  let rest = count;
  for (let i = 0; i < 8; i++) {
    bytes[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return bytes;
}

/** 0, which confirms nothing, for anything that this leader cannot have sent. */
function decodeCount(bytes: Uint8Array): number {
  if (bytes.length !== 8) return 0;
  let count = 0;
  for (let i = 7; i >= 0; i--) count = count * 256 + (bytes[i] ?? 0);
  return Number.isSafeInteger(count) ? count : 0;
}
