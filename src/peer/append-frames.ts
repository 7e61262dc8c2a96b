/**
 * The msgapp stream (etcd's version 2 of it): appends, of which most only carry entries, since both
 * ends know after which position and in which term the next ones follow.
 *
 * Invariant: encoder and decoder of one connection hold the same position and term after the same
 * frames. A term travels only with a whole message.
 */

import { decodeEntry, decodeMessage, encodeMessage } from '../codec/raftpb.ts';
import { limits } from '../limits.ts';
import type { Entry, Message } from '../raft/messages.ts';
import type { MemberId } from '../types.ts';
import { ByteQueue } from './byte-queue.ts';
import type { FrameWriter } from './frame-writer.ts';
import { type FrameDecoder, type FrameEncoder, FrameError, type OnFrame } from './frames.ts';

const HEARTBEAT = 0;
const ENTRIES = 1;
const MESSAGE = 2;
const U64_BYTES = 8;

type Append = Extract<Message, { readonly type: 'app' }>;

/** Where the next entries are expected to follow. */
interface Position {
  term: number;
  index: number;
}

function follow(position: Position, { term, index, entries }: Append): void {
  position.term = term;
  position.index = entries.at(-1)?.index ?? index;
}

export class AppendEncoder implements FrameEncoder {
  readonly #position: Position = { term: 0, index: 0 };

  encode(message: Message, frames: FrameWriter): void {
    if (message.type !== 'app') throw new FrameError('only appends travel on a msgapp stream');
    const { term, index } = this.#position;
    if (message.index === index && message.logTerm === term && message.term === term) {
      this.#entries(message, frames);
      return;
    }
    const bytes = encodeMessage(message);
    frames.u8(MESSAGE);
    frames.u64(bytes.length);
    frames.raw(bytes);
    follow(this.#position, message);
  }

  heartbeat(frames: FrameWriter): void {
    frames.u8(HEARTBEAT);
  }

  #entries({ entries, commit }: Append, frames: FrameWriter): void {
    frames.u8(ENTRIES);
    frames.u64(entries.length);
    for (const entry of entries) frames.entry(entry);
    frames.u64(commit);
    this.#position.index += entries.length;
  }
}

type Part = 'kind' | 'count' | 'entry-length' | 'entry' | 'commit' | 'message-length' | 'message';

const FIXED_BYTES: Readonly<Record<Exclude<Part, 'entry' | 'message'>, number>> = {
  kind: 1,
  count: U64_BYTES,
  'entry-length': U64_BYTES,
  commit: U64_BYTES,
  'message-length': U64_BYTES,
};

export class AppendDecoder implements FrameDecoder {
  readonly #queue = new ByteQueue();
  readonly #ends: { readonly from: MemberId; readonly to: MemberId };
  readonly #onFrame: OnFrame;
  readonly #position: Position = { term: 0, index: 0 };
  /** What comes next, and how many bytes it has. */
  #part: Part = 'kind';
  #need = 1;
  // Of the frame that is being read.
  #entries: Entry[] = [];
  #entriesLeft = 0;
  #bytes = 0;

  /** `ends`: who sends on this stream, and who this member is. */
  constructor(ends: { readonly from: MemberId; readonly to: MemberId }, onFrame: OnFrame) {
    this.#ends = ends;
    this.#onFrame = onFrame;
  }

  push(bytes: Buffer): void {
    this.#queue.push(bytes);
    while (this.#queue.available >= this.#need) this.#step();
  }

  #step(): void {
    const queue = this.#queue;
    this.#bytes += this.#need;
    switch (this.#part) {
      case 'kind':
        return this.#begin(queue.u8());
      case 'count':
        this.#entriesLeft = queue.u64();
        if (this.#entriesLeft > limits.peerFrameEntriesMax) throw new FrameError(TOO_LONG);
        return this.#expectEntry();
      case 'entry-length':
        return this.#expect('entry', queue.u64());
      case 'entry':
        this.#entry(decodeEntry(queue.take(this.#need)));
        return this.#expectEntry();
      case 'commit':
        return this.#finishEntries(queue.u64());
      case 'message-length':
        return this.#expect('message', queue.u64());
      case 'message':
        return this.#message(decodeMessage(queue.take(this.#need)));
    }
  }

  #expect(part: Part, bytes: number): void {
    if (this.#bytes + bytes > limits.peerFrameBytesMax) throw new FrameError(TOO_LONG);
    this.#part = part;
    this.#need = bytes;
  }

  #expectFixed(part: keyof typeof FIXED_BYTES): void {
    this.#expect(part, FIXED_BYTES[part]);
  }

  #expectEntry(): void {
    this.#expectFixed(this.#entriesLeft > 0 ? 'entry-length' : 'commit');
  }

  #begin(kind: number): void {
    if (kind === ENTRIES) this.#expectFixed('count');
    else if (kind === MESSAGE) this.#expectFixed('message-length');
    else if (kind === HEARTBEAT) this.#finish(LINK_HEARTBEAT);
    else throw new FrameError(`failed to parse type ${kind} in msgappv2 stream`);
  }

  #entry(entry: Entry): void {
    // A position that does not follow means that the ends no longer agree.
    if (entry.index !== this.#position.index + this.#entries.length + 1) {
      throw new FrameError('entries in msgappv2 stream do not follow each other');
    }
    this.#entries.push(entry);
    this.#entriesLeft--;
  }

  #finishEntries(commit: number): void {
    const { term, index } = this.#position;
    const entries = this.#entries;
    this.#entries = [];
    this.#position.index += entries.length;
    this.#finish({ type: 'app', ...this.#ends, term, logTerm: term, index, entries, commit });
  }

  #message(message: Message | null): void {
    if (message?.type !== 'app') throw new FrameError('not an append in msgappv2 stream');
    follow(this.#position, message);
    this.#finish(message);
  }

  #finish(message: Message): void {
    const bytes = this.#bytes;
    this.#bytes = 0;
    this.#expectFixed('kind');
    this.#onFrame(message, bytes);
  }
}

const TOO_LONG = 'rafthttp: error limit exceeded';

const NOBODY = 0n as MemberId;
const LINK_HEARTBEAT: Message = {
  type: 'heartbeat',
  from: NOBODY,
  to: NOBODY,
  term: 0,
  commit: 0,
  context: new Uint8Array(0),
};
