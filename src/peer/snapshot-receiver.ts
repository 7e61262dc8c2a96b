/**
 * A whole state arrives: the message that announces it, and behind it, to the end of the request,
 * the bytes of the database.
 */

import type { IncomingMessage } from 'node:http';
import { decodeMessage } from '../codec/raftpb.ts';
import { limits } from '../limits.ts';
import type { SnapMessage } from '../ports.ts';
import type { Message } from '../raft/messages.ts';
import { hexId } from '../types.ts';
import { reasonOf } from './exchange.ts';
import { IncomingBody } from './incoming-body.ts';
import type { Transport } from './transport.ts';

export interface SnapshotProblem {
  readonly status: 400 | 500;
  readonly text: string;
}

const LENGTH_BYTES = 8;
const TWO_32 = 0x1_0000_0000;

/** `null`: Raft has had the message. */
export async function receiveSnapshot(
  transport: Transport,
  request: IncomingMessage,
): Promise<SnapshotProblem | null> {
  const { observer, log, memberId } = transport.context;
  const local = { 'local-member-id': hexId(memberId) };
  const body = new IncomingBody(request, transport);
  let message: Message | null;
  let bytes: number;
  try {
    const length = await body.take(LENGTH_BYTES);
    bytes = length.readUInt32BE(0) * TWO_32 + length.readUInt32BE(4);
    if (bytes > limits.peerSnapshotMessageBytesMax) throw new Error(TOO_LONG);
    message = decodeMessage(await body.take(bytes));
  } catch (error) {
    const reason = reasonOf(error);
    log.warn('failed to decode Raft message', { ...local, error: reason });
    observer.receiveFailed(request.socket.remoteAddress ?? '');
    observer.snapshotRefused('0');
    return { status: 400, text: `failed to decode raft message (${reason})` };
  }
  if (message?.type !== 'snap') {
    const type = message?.type ?? 'unknown';
    log.warn('unexpected Raft message type', { ...local, 'message-type': type });
    observer.snapshotRefused(hexId(message?.from ?? 0n));
    return { status: 400, text: 'wrong raft message type' };
  }
  observer.received(message.from, bytes);
  return receiveDatabase(transport, message, { body, bytes });
}

async function receiveDatabase(
  transport: Transport,
  message: SnapMessage,
  { body, bytes }: { readonly body: IncomingBody; readonly bytes: number },
): Promise<SnapshotProblem | null> {
  const { observer, log, memberId, clock } = transport.context;
  const { from } = message;
  const fields = {
    'local-member-id': hexId(memberId),
    'remote-snapshot-sender-id': hexId(from),
    'incoming-snapshot-index': message.snapshot.metadata.index,
  };
  const startMs = clock.monotonic();
  observer.snapshotReceiveStarted(from);
  log.info('receiving database snapshot', {
    ...fields,
    'incoming-snapshot-message-size-bytes': bytes,
  });
  let received = 0;
  async function* counted(): AsyncGenerator<Uint8Array, void, void> {
    for await (const piece of body.rest()) {
      received += piece.length;
      observer.received(from, piece.length);
      yield piece;
    }
  }
  const seconds = (): number => (clock.monotonic() - startMs) / 1000;
  try {
    const { events } = transport;
    const refusal = transport.problemOf(message);
    if (events === null) throw new Error('the member is not ready');
    if (refusal !== null) throw new Error(refusal);
    await events.snapshot(message, counted());
  } catch (error) {
    const reason = reasonOf(error);
    log.warn('failed to save incoming database snapshot', { ...fields, error: reason });
    observer.snapshotReceived(from, false, seconds());
    return { status: 500, text: `failed to save KV snapshot (${reason})` };
  }
  log.info('received and saved database snapshot', {
    ...fields,
    'incoming-snapshot-size-bytes': received,
    'download-took': `${seconds()}s`,
  });
  observer.snapshotReceived(from, true, seconds());
  return null;
}

const TOO_LONG = 'rafthttp: error limit exceeded';
