/**
 * A member for tests: a `Raft`, a disk that holds what was written, and a state machine that is a
 * running text of what was applied. The test decides when a write completes and what is delivered;
 * a crash keeps the disk and the last checkpoint of the state machine.
 */

import { must } from '../../src/assert.ts';
import type { Random } from '../../src/ports.ts';
import { EMPTY_CONF_STATE } from '../../src/raft/membership.ts';
import type {
  ConfChange,
  ConfChangeV2,
  ConfState,
  Entry,
  HardState,
  Message,
  SnapshotMetadata,
} from '../../src/raft/messages.ts';
import { type Persist, Raft, type RaftOptions, type Ready } from '../../src/raft/raft.ts';
import type { Index, MemberId } from '../../src/types.ts';

export interface State {
  readonly applied: Index;
  readonly text: string;
  readonly confState: ConfState;
}

export interface DiskImage {
  hardState: HardState;
  snapshot: SnapshotMetadata;
  entries: Entry[];
}

export type MemberSettings = Omit<RaftOptions, 'id' | 'restored' | 'decodeConfChange' | 'random'>;

/** Conf changes travel as JSON here: the core must not care. */
export function encodeConfChange(change: ConfChange | ConfChangeV2): Uint8Array {
  const text = JSON.stringify(change, (key, value: unknown) => {
    if (key === 'context') return undefined;
    return typeof value === 'bigint' ? `${value}n` : value;
  });
  return Buffer.from(text);
}

export function decodeConfChange(entry: Entry): ConfChange | ConfChangeV2 | null {
  if (entry.data.length === 0) return { transition: 'auto', changes: [], context: entry.data };
  return parse(entry.data) as ConfChange | ConfChangeV2;
}

function parse(bytes: Uint8Array): unknown {
  return JSON.parse(Buffer.from(bytes).toString(), (_key, value: unknown) =>
    typeof value === 'string' && /^\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value,
  );
}

function encodeState(state: State): Uint8Array {
  return Buffer.from(
    JSON.stringify(state, (_key, value: unknown) =>
      typeof value === 'bigint' ? `${value}n` : value,
    ),
  );
}

export class Member {
  readonly id: MemberId;
  #settings: MemberSettings;
  readonly #random: Random;
  readonly disk: DiskImage;
  raft: Raft;
  /** The write in flight. */
  writing: Persist | null = null;
  state: State;
  /** The state machine as it would be found after a crash. */
  checkpoint: State;
  /** Keeps the text short where only equality matters. */
  readonly #fold: (text: string, entry: Entry) => string;

  constructor(options: {
    readonly id: MemberId;
    readonly settings: MemberSettings;
    readonly random: Random;
    readonly start: SnapshotMetadata;
    readonly text: string;
    readonly fold: (text: string, entry: Entry) => string;
  }) {
    this.id = options.id;
    this.#settings = options.settings;
    this.#random = options.random;
    this.#fold = options.fold;
    const { index, term, confState } = options.start;
    this.disk = {
      hardState: { term, vote: null, commit: index },
      snapshot: options.start,
      entries: [],
    };
    this.state = { applied: index, text: options.text, confState };
    this.checkpoint = this.state;
    this.raft = this.#restore();
  }

  #restore(): Raft {
    const { hardState, snapshot, entries } = this.disk;
    return new Raft({
      ...this.#settings,
      id: this.id,
      random: this.#random,
      decodeConfChange,
      restored: {
        hardState,
        snapshot,
        entries,
        confState: this.state.confState,
        applied: this.state.applied,
      },
    });
  }

  /** Loses what is not on disk. The write in flight may have reached it or not. */
  restart(writeSurvives: boolean, settings: MemberSettings = this.#settings): void {
    this.#settings = settings;
    if (this.writing !== null && writeSurvives) this.#write(this.writing);
    this.writing = null;
    this.state = this.checkpoint;
    this.raft = this.#restore();
  }

  /** Takes one Ready: starts its write, applies, and returns it with its snapshots filled in. */
  takeReady(): Ready {
    const ready = this.raft.takeReady();
    const send = ready.send.map((message) => this.#withState(message));
    if (ready.persist !== null) this.writing = ready.persist;
    for (const entry of ready.apply) this.#apply(entry);
    const last = ready.apply.at(-1);
    if (last !== undefined) this.raft.applied(last.index);
    return { ...ready, send };
  }

  #withState(message: Message): Message {
    if (message.type !== 'snap') return message;
    return { ...message, snapshot: { ...message.snapshot, data: encodeState(this.state) } };
  }

  #apply(entry: Entry): void {
    let { confState } = this.state;
    if (entry.type !== 'normal') confState = this.raft.applyConfChange(decodeConfChange(entry));
    const text = this.#fold(this.state.text, entry);
    this.state = { applied: entry.index, text, confState };
  }

  /** Completes the write in flight and returns what may be sent now. */
  completeWrite(): readonly Message[] {
    const persist = must(this.writing, 'a write is in flight');
    this.#write(persist);
    this.writing = null;
    if (persist.snapshot !== null) this.state = this.checkpoint;
    this.raft.persisted();
    return persist.thenSend;
  }

  #write(persist: Persist): void {
    const { disk } = this;
    if (persist.snapshot !== null) {
      disk.snapshot = persist.snapshot.metadata;
      disk.entries = [];
      this.checkpoint = parse(persist.snapshot.data) as State;
    }
    const first = persist.entries[0];
    if (first !== undefined) {
      disk.entries.length = first.index - disk.snapshot.index - 1;
      disk.entries.push(...persist.entries);
    }
    if (persist.hardState !== null) disk.hardState = persist.hardState;
  }

  saveCheckpoint(): void {
    this.checkpoint = this.state;
  }

  /** Compacts memory and disk up to `index`, at most to what a restart would find applied. */
  compact(index: Index): void {
    const through = Math.min(index, this.checkpoint.applied, this.raft.appliedIndex);
    if (through < this.raft.firstIndex) return;
    const term = must(this.raft.termAt(through), 'the term of a kept index is known');
    this.raft.compactLog(through);
    const { disk } = this;
    disk.entries = disk.entries.slice(through - disk.snapshot.index);
    disk.snapshot = { index: through, term, confState: this.checkpoint.confState };
  }
}

export const NEW_GROUP: SnapshotMetadata = { index: 0, term: 0, confState: EMPTY_CONF_STATE };
