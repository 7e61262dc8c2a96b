/**
 * The state of this member as a bbolt file, the form in which etcd, its tools and its members take
 * it. A view of the engine is read once, from front to back. A bbolt file begins with its number of
 * pages, which follows, up to a few that stay free, from the number and size of the rows. Writes go
 * on meanwhile and are not in it. Memory holds one page of rows, and the pieces made of it.
 *
 * It knows nothing of what rows mean beyond where a state stands and who the members are: rows lie
 * in the engine under etcd's keys, with etcd's values.
 */

import {
  type BboltTotals,
  BboltWriter,
  leafPagesMax,
  PAGE_BYTES,
  rootPagesMax,
} from '../bbolt/writer.ts';
import { allBuckets, type Bucket, bucketRange, buckets, keyInBucket, rowKey } from '../buckets.ts';
import { limits } from '../limits.ts';
import type { Engine, EngineSnapshot, Row, StateImage } from '../ports.ts';
import type { SnapshotMetadata } from '../raft/messages.ts';
import { decodeTotals, type RowTotals, TOTALS_ROW, TOTALS_ROW_END } from '../row-totals.ts';
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
  const totals = await totalsOf(view, pace);
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

/** Buckets that may be large have short keys; all others are looked through beforehand. */
const LARGE: readonly Bucket[] = [buckets.key, buckets.lease];

async function totalsOf(view: EngineSnapshot, pace: Pace): Promise<BboltTotals> {
  const counting = new BboltWriter(null);
  const small: Counted = { rows: 0, bytes: 0 };
  for (const bucket of allBuckets) {
    if (LARGE.includes(bucket)) continue;
    counting.bucket(bucket.name);
    for await (const rows of view.walk(bucketRange(bucket))) {
      add(counting, rows);
      count(small, rows);
      await pace();
    }
  }
  const all = await storedTotals(view);
  const large = { rows: (all?.rows ?? 0) - small.rows, bytes: (all?.bytes ?? 0) - small.bytes };
  if (all === null) Object.assign(large, await countLarge(view, pace));
  const sizes = { buckets: LARGE.length, items: large.rows, bytes: large.bytes - large.rows };
  const root = counting.finish().root + leafPagesMax(sizes);
  return { root, pages: root + rootPagesMax(allBuckets.map(({ name }) => name)) };
}

async function storedTotals(view: EngineSnapshot): Promise<RowTotals | null> {
  const [row] = await view.scan({ from: TOTALS_ROW, to: TOTALS_ROW_END, limit: 1 });
  return decodeTotals(row?.value ?? null);
}

/** The engine was filled by something else than a table of rows, or by an earlier version. */
async function countLarge(view: EngineSnapshot, pace: Pace): Promise<Counted> {
  const totals: Counted = { rows: 0, bytes: 0 };
  for (const bucket of LARGE) {
    for await (const rows of view.walk(bucketRange(bucket))) {
      count(totals, rows);
      await pace();
    }
  }
  return totals;
}

interface Counted {
  rows: number;
  bytes: number;
}

function count(totals: Counted, rows: readonly Row[]): void {
  totals.rows += rows.length;
  for (const { key, value } of rows) totals.bytes += key.length + value.length;
}

/** Rows outside of buckets are the engine's own affair. */
async function* piecesOf(
  view: EngineSnapshot,
  totals: BboltTotals,
  pace: Pace,
): AsyncGenerator<Uint8Array> {
  const pieces = new Pieces();
  const writer = new BboltWriter({ totals, write: (bytes) => pieces.add(bytes) });
  for (const bucket of allBuckets) {
    writer.bucket(bucket.name);
    for await (const rows of view.walk(bucketRange(bucket))) {
      add(writer, rows);
      yield* pieces.takeFull();
      await pace();
    }
  }
  writer.finish();
  yield* pieces.takeAll();
}

function add(writer: BboltWriter, rows: readonly Row[]): void {
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
