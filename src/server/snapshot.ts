/**
 * Maintenance.Snapshot: the state of this member as a bbolt file, the form in which etcd and its
 * tools take it, followed by its SHA-256.
 *
 * A view of the engine is read twice, first to count pages and then to send them, since a bbolt
 * file begins with its totals. Writes go on meanwhile and are not in it. Memory holds one slice of
 * rows and what the network has not taken yet.
 *
 * It knows nothing of what rows mean: they lie in the engine under etcd's keys, with etcd's values.
 */

import { createHash } from 'node:crypto';
import { type BboltTotals, BboltWriter, PAGE_BYTES } from '../bbolt/writer.ts';
import { allBuckets, bucketRange, keyInBucket } from '../buckets.ts';
import type { SnapshotRequest, SnapshotResponse } from '../codec/gen/etcdserverpb.ts';
import { errors } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Engine, EngineSnapshot } from '../ports.ts';
import type { Replica } from '../replica/replica.ts';
import type { StateMachine } from '../replica/state-machine.ts';
import type { RowKey } from '../types.ts';
import { type Caller, drained, endWith, type Output } from './rpc.ts';

export interface SnapshotDeps {
  readonly replica: Pick<Replica, 'flush' | 'stopping'> & {
    readonly stateMachine: Pick<StateMachine, 'clusterVersion'>;
  };
  readonly engine: Engine;
  readonly breathe: () => Promise<void>;
  readonly onFatal: (error: unknown) => void;
}

type SnapshotStream = (
  request: SnapshotRequest,
  caller: Caller,
  output: Output<SnapshotResponse>,
) => void;

/** etcd: bytes of the image in one message. */
const BLOB_BYTES = 32 * 1024;

export function createSnapshot(deps: SnapshotDeps): SnapshotStream {
  let running = 0;
  return (_request, caller, output) => {
    // Each one keeps the space of rows that are deleted meanwhile.
    if (running >= limits.snapshotsMax) throw errors.tooManyRequests;
    running++;
    streamSnapshot(deps, caller, output)
      .finally(() => {
        running--;
      })
      .then(() => output.end(null), endWith(output, deps.onFatal));
  };
}

async function streamSnapshot(
  deps: SnapshotDeps,
  caller: Caller,
  output: Output<SnapshotResponse>,
): Promise<void> {
  const { replica, engine } = deps;
  const pace = async (): Promise<void> => {
    if (output.bufferedBytes > limits.snapshotBufferedBytesMax) await drained(output, caller);
    else await deps.breathe();
    if (caller.cancelled) throw errors.contextCanceled;
    if (replica.stopping.aborted) throw errors.stopped;
  };
  await replica.flush();
  await pace();
  const version = replica.stateMachine.clusterVersion;
  const view = engine.snapshot();
  try {
    const totals = await writeRows(view, new BboltWriter(null), pace);
    const image = new ImageOutput(output, version, totals);
    const write = (bytes: Uint8Array): void => image.write(bytes);
    await writeRows(view, new BboltWriter({ totals, write }), pace);
    image.finish();
  } finally {
    await view.close();
  }
}

/** Rows outside of buckets are the engine's own affair. */
async function writeRows(
  view: EngineSnapshot,
  writer: BboltWriter,
  pace: () => Promise<void>,
): Promise<BboltTotals> {
  const slice = { limit: limits.scanPageRowsMax, bytesMax: limits.snapshotSliceBytes };
  for (const bucket of allBuckets) {
    writer.bucket(bucket.name);
    const { to } = bucketRange(bucket);
    let { from } = bucketRange(bucket);
    for (;;) {
      const rows = await view.scan({ from, to, ...slice });
      for (const { key, value } of rows) writer.put(keyInBucket(key), value);
      const last = rows.at(-1);
      if (last === undefined) break;
      from = `${last.key}\x00` as RowKey;
      await pace();
    }
  }
  return writer.finish();
}

/** Cuts the image into messages and ends it with its digest. */
class ImageOutput {
  readonly #output: Output<SnapshotResponse>;
  readonly #version: string;
  readonly #hash = createHash('sha256');
  #remainingBytes: number;
  #blob = Buffer.allocUnsafe(BLOB_BYTES);
  #filled = 0;

  constructor(output: Output<SnapshotResponse>, version: string, { pages }: BboltTotals) {
    this.#output = output;
    this.#version = version;
    this.#remainingBytes = pages * PAGE_BYTES;
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + BLOB_BYTES - this.#filled);
      this.#blob.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === BLOB_BYTES) this.#sendBlob();
    }
  }

  finish(): void {
    if (this.#filled > 0) this.#sendBlob();
    this.#send(this.#hash.digest());
  }

  #sendBlob(): void {
    const blob = this.#blob.subarray(0, this.#filled);
    this.#hash.update(blob);
    this.#remainingBytes -= blob.length;
    this.#send(blob);
    this.#blob = Buffer.allocUnsafe(BLOB_BYTES);
    this.#filled = 0;
  }

  #send(blob: Uint8Array): void {
    const remainingBytes = this.#remainingBytes;
    this.#output.send({ header: null, remainingBytes, blob, version: this.#version });
  }
}
