/**
 * The state of this member as a bbolt file, the form in which etcd, its tools and its members take
 * it. A view of the engine is read twice, first to count pages and then to make them, since a bbolt
 * file begins with its totals. Writes go on meanwhile and are not in it. Memory holds one slice of
 * rows and the pages made of it.
 *
 * It knows nothing of what rows mean beyond where a state stands and who the members are: rows lie
 * in the engine under etcd's keys, with etcd's values.
 */

import { type BboltTotals, BboltWriter, PAGE_BYTES } from '../bbolt/writer.ts';
import { allBuckets, type Bucket, bucketRange, buckets, keyInBucket, rowKey } from '../buckets.ts';
import { limits } from '../limits.ts';
import type { Engine, EngineSnapshot, Row, StateImage } from '../ports.ts';
import type { SnapshotMetadata } from '../raft/messages.ts';
import type { RowKey } from '../types.ts';
import { Members } from './members.ts';
import { membershipStoreJson } from './membership-store.ts';
import { type GetRow, storedPosition, storedText } from './position.ts';
import type { OpenedState } from './state-transfers.ts';

/** etcd: bytes of the image in one message to a client. */
export const IMAGE_PIECE_BYTES: number = 32 * 1024;

/** Gives way to other work, and to who takes the bytes; rejects when nobody wants them any more. */
export type Pace = () => Promise<void>;

/** The rows of the engine at the moment of the call. Every piece read but the last one is full. */
export async function openImage(engine: Pick<Engine, 'snapshot'>, pace: Pace): Promise<StateImage> {
  const view = engine.snapshot();
  return closingOnError(view, () => imageOf(view, pace));
}

/** The same as one member sends it to another. Everything comes from one view. */
export async function openStateImage(
  engine: Pick<Engine, 'snapshot'>,
  pace: Pace,
): Promise<OpenedState> {
  const view = engine.snapshot();
  return closingOnError(view, async () => {
    const metadata = await positionOf(view);
    const members = await Members.view(view);
    const membership = membershipStoreJson({
      members: members.list(),
      removed: members.removed(),
      clusterVersion: await clusterVersionOf(view),
    });
    return { metadata, membership, image: await imageOf(view, pace) };
  });
}

async function closingOnError<T>(view: EngineSnapshot, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    await view.close();
    throw error;
  }
}

async function positionOf(view: EngineSnapshot): Promise<SnapshotMetadata> {
  return storedPosition(await rowsOf(view, buckets.meta));
}

async function clusterVersionOf(view: EngineSnapshot): Promise<string> {
  return storedText(await rowsOf(view, buckets.cluster), clusterVersionRow);
}

const clusterVersionRow = rowKey(buckets.cluster, 'clusterVersion');

/** Of a bucket that has a handful. */
async function rowsOf(view: EngineSnapshot, bucket: Bucket): Promise<GetRow> {
  const rows = await view.scan({ ...bucketRange(bucket), limit: limits.scanPageRowsMax });
  const values = new Map(rows.map(({ key, value }) => [key, value]));
  return (key) => values.get(key) ?? null;
}

async function imageOf(view: EngineSnapshot, pace: Pace): Promise<StateImage> {
  const counting = new BboltWriter(null);
  for await (const slice of slicesOf(view)) {
    add(counting, slice);
    await pace();
  }
  const totals = counting.finish();
  let isOpen = true;
  return {
    bytes: totals.pages * PAGE_BYTES,
    read: () => piecesOf(view, totals, pace),
    async close() {
      if (!isOpen) return;
      isOpen = false;
      await view.close();
    },
  };
}

async function* piecesOf(
  view: EngineSnapshot,
  totals: BboltTotals,
  pace: Pace,
): AsyncGenerator<Uint8Array> {
  const pieces = new Pieces();
  const write = (bytes: Uint8Array): void => pieces.add(bytes);
  const writer = new BboltWriter({ totals, write });
  for await (const slice of slicesOf(view)) {
    add(writer, slice);
    yield* pieces.takeFull();
    await pace();
  }
  writer.finish();
  yield* pieces.takeAll();
}

interface Slice {
  readonly bucket: Bucket;
  /** Every bucket has a first slice, which may be empty. */
  readonly isFirst: boolean;
  readonly rows: readonly Row[];
}

/** Rows outside of buckets are the engine's own affair. */
async function* slicesOf(view: EngineSnapshot): AsyncGenerator<Slice> {
  const bounds = { limit: limits.scanPageRowsMax, bytesMax: limits.snapshotSliceBytes };
  for (const bucket of allBuckets) {
    const { from: start, to } = bucketRange(bucket);
    for (let from: RowKey | null = start; from !== null; ) {
      const rows: readonly Row[] = await view.scan({ from, to, ...bounds });
      const isFirst = from === start;
      const last = rows.at(-1);
      from = last === undefined ? null : (`${last.key}\x00` as RowKey);
      if (isFirst || rows.length > 0) yield { bucket, isFirst, rows };
    }
  }
}

function add(writer: BboltWriter, { bucket, isFirst, rows }: Slice): void {
  if (isFirst) writer.bucket(bucket.name);
  for (const { key, value } of rows) writer.put(keyInBucket(key), value);
}

/** Cuts what is written into pieces of one size. */
class Pieces {
  #full: Uint8Array[] = [];
  #piece = Buffer.allocUnsafe(IMAGE_PIECE_BYTES);
  #filled = 0;

  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + IMAGE_PIECE_BYTES - this.#filled);
      this.#piece.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled < IMAGE_PIECE_BYTES) return;
      this.#full.push(this.#piece);
      this.#piece = Buffer.allocUnsafe(IMAGE_PIECE_BYTES);
      this.#filled = 0;
    }
  }

  takeFull(): readonly Uint8Array[] {
    const full = this.#full;
    this.#full = [];
    return full;
  }

  takeAll(): readonly Uint8Array[] {
    const rest = this.#filled === 0 ? [] : [this.#piece.subarray(0, this.#filled)];
    return [...this.takeFull(), ...rest];
  }
}
