/**
 * What both kinds of streams have in common. A frame is a message or a sign of life; how it looks
 * is the business of `message-frames.ts` and `append-frames.ts`.
 *
 * Whatever bytes arrive, a decoder either hands out messages or throws `FrameError` or
 * `DecodeError`, after which its connection is of no use.
 */

import type { Entry, Message } from '../raft/messages.ts';
import type { FrameWriter } from './frame-writer.ts';

/** Malformed bytes on a stream. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

export type StreamKind = 'message' | 'msgapp';

export interface FrameEncoder {
  encode(message: Message, frames: FrameWriter): void;
  /** A sign of life, for a connection on which nothing else is said. */
  heartbeat(frames: FrameWriter): void;
}

/** `null` for what a member drops: types of messages that do not travel. */
export type OnFrame = (message: Message | null, bytes: number) => void;

export interface FrameDecoder {
  /** Hands out what has become complete. Entries' data and contexts are views of `bytes`. */
  push(bytes: Buffer): void;
}

/** etcd: raft's own heartbeats have a sender and a receiver, those of the connection do not. */
export function isLinkHeartbeat(message: Message): boolean {
  return message.type === 'heartbeat' && message.from === 0n && message.to === 0n;
}

const FIELDS_BYTES_MAX = 128;
const ENTRY_FIELDS_BYTES_MAX = 48;

/** At least what a message takes on a stream, unless it carries a snapshot; cheap to tell. */
export function messageBytesMax(message: Message): number {
  let bytes = FIELDS_BYTES_MAX;
  if ('entries' in message) for (const entry of message.entries) bytes += entryBytesMax(entry);
  if ('context' in message) bytes += message.context.length;
  if (message.type === 'snap') bytes += message.snapshot.data.length;
  return bytes;
}

function entryBytesMax({ data }: Entry): number {
  return data.length + ENTRY_FIELDS_BYTES_MAX;
}
