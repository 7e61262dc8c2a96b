/**
 * A whole state that another member sends: a bbolt file. It is stored, looked into, and loaded into
 * a replacement of the engine's rows, with a state machine over it, before this member changes in
 * any way. So everything that can be wrong with it is found first; then the switch is one small
 * synced write, and an exchange of what lies in memory, in one step.
 *
 * Invariants: a state that cannot be used leaves neither file nor rows behind, and one that a crash
 * interrupted leaves nothing that the next start does not remove; memory holds the new index beside
 * the old one and a few MiB of rows, however large the file is.
 */

import { openBboltFile } from '../bbolt/source.ts';
import { metaRows } from '../buckets.ts';
import { limits } from '../limits.ts';
import { IndexBuilder } from '../mvcc/build-index.ts';
import type { Disk, DurableRows, Engine, Replacement, SnapMessage, StagedRows } from '../ports.ts';
import type { SnapshotMetadata } from '../raft/messages.ts';
import type { RowKey } from '../types.ts';
import { reconcileMembers } from './incoming-members.ts';
import { loadRows } from './load-rows.ts';
import { openStateMachine, type StateOptions } from './open-state.ts';
import { positionRows, receivedRow, storedNumber } from './position.ts';
import type { StateMachine } from './state-machine.ts';
import type { IncomingState } from './state-transfers.ts';

export interface IncomingStateOptions extends StateOptions {
  readonly disk: Disk;
  /** For the file, while it is looked into. */
  readonly dir: string;
  readonly engine: Pick<Engine, 'beginReplacement'>;
  /** This member's own, which will show the state. */
  readonly rows: StagedRows;
  readonly stateMachine: StateMachine;
}

/** etcd's name for such a file. */
const SUFFIX = '.snap.db';
const INDEX_DIGITS = 16;

/**
 * Rejects when the state cannot be used; the error says why. One at a time. Whoever gave the body
 * ends it then.
 */
export async function receiveState(
  options: IncomingStateOptions,
  message: SnapMessage,
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<IncomingState> {
  const { disk, dir, engine } = options;
  const { metadata } = message.snapshot;
  await removeReceived(disk, dir);
  const replacement = await engine.beginReplacement();
  try {
    const path = `${dir}/${metadata.index.toString(16).padStart(INDEX_DIGITS, '0')}${SUFFIX}`;
    await store(disk, path, body, signal);
    const loaded = await load(options, message, path, replacement, signal);
    await removeReceived(disk, dir);
    return {
      metadata,
      install: () =>
        replacement.commit(() => {
          loaded.adoptRows();
          options.stateMachine.adopt(loaded.stateMachine);
        }),
      discard: () => replacement.discard(),
    };
  } catch (cause) {
    await replacement.discard();
    await removeReceived(disk, dir);
    if (signal.aborted) throw signal.reason;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`the state at index ${metadata.index} cannot be used: ${reason}`, { cause });
  }
}

/** What a life that was interrupted has left in the folder. */
export async function removeReceived(disk: Disk, dir: string): Promise<void> {
  for (const name of await disk.list(dir)) {
    if (name.endsWith(SUFFIX)) await disk.remove(`${dir}/${name}`);
  }
}

/**
 * Nothing relies on the file after a crash. It is synced all the same, as a device that fails tells
 * of it there, and in portions, so that the log's own syncs need not wait for the whole of it.
 */
async function store(
  disk: Disk,
  path: string,
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const file = await disk.open(path, 'create');
  try {
    const pieces = body[Symbol.asyncIterator]();
    let bytes = 0;
    let synced = 0;
    for (;;) {
      const piece = await orAborted(pieces.next(), signal);
      if (piece.done === true) break;
      file.write(bytes, piece.value);
      bytes += piece.value.length;
      if (bytes - synced < limits.stateUnsyncedBytesMax) continue;
      await file.sync();
      synced = bytes;
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

interface Loaded {
  readonly stateMachine: StateMachine;
  readonly adoptRows: () => void;
}

async function load(
  options: IncomingStateOptions,
  message: SnapMessage,
  path: string,
  replacement: Replacement,
  signal: AbortSignal,
): Promise<Loaded> {
  const breathe = async (): Promise<void> => {
    await options.breathe();
    signal.throwIfAborted();
  };
  const { metadata } = message.snapshot;
  const index = new IndexBuilder();
  const file = await options.disk.open(path, 'read');
  try {
    const reader = await openBboltFile(file);
    await loadRows({
      reader,
      rows: replacement,
      breathe,
      record: (row) => index.add(row),
      checkMeta: () => checkPosition(replacement, metadata),
    });
  } finally {
    await file.close();
  }
  const { rows, adopt } = await options.rows.openReplacement(replacement);
  await reconcileMembers(rows, message.snapshot);
  await rows.flush(positionRows(metadata));
  await replacement.write([receivedRow(metadata.index)]);
  const stateMachine = await openStateMachine(rows, { ...options, breathe }, index);
  return { stateMachine, adoptRows: adopt };
}

function checkPosition(rows: Pick<DurableRows, 'get'>, { index, term }: SnapshotMetadata): void {
  const stored = (row: RowKey): number => storedNumber((key) => rows.get(key), row);
  const found = stored(metaRows.consistentIndex);
  if (found !== index) throw new Error(`it stands at index ${found}`);
  // etcd: 3.4 stores no term, and for good keeps the one of a state that it was sent itself.
  const foundTerm = stored(metaRows.term);
  if (foundTerm > term) throw new Error(`its last entry is of term ${foundTerm}, not ${term}`);
}
