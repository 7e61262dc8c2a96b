/** From rows to a state machine: at a start, and when another member's state was received. */

import { AuthStore, type AuthStoreOptions } from '../auth/auth-store.ts';
import { type Bucket, bucketRange, buckets, metaRows, rowKey } from '../buckets.ts';
import { Lessor } from '../lease/lessor.ts';
import { limits } from '../limits.ts';
import type { Index } from '../mvcc/build-index.ts';
import { KvStore } from '../mvcc/store.ts';
import { WatchHub } from '../mvcc/watch-hub.ts';
import type { Row, StagedRows } from '../ports.ts';
import type { RowKey } from '../types.ts';
import { Alarms } from './alarms.ts';
import { storedDowngrade } from './downgrade-info.ts';
import { Members } from './members.ts';
import { storedNumber, storedText } from './position.ts';
import { StateMachine } from './state-machine.ts';

export interface StateOptions {
  readonly tickMs: number;
  readonly requestTimeoutTicks: number;
  readonly learnersMax: number;
  readonly leaseTtlMinSeconds: number;
  readonly compactionBatchLimit: number;
  /** Lets other work run between slices of long work. */
  readonly breathe: () => Promise<void>;
  readonly onFatal: (error: unknown) => void;
  readonly auth: Omit<AuthStoreOptions, 'rows'>;
  /** Whether so many more bytes fit below the quota. */
  readonly space: (cost: number) => boolean;
}

export async function openStateMachine(
  rows: StagedRows,
  options: StateOptions,
  index: Index | null = null,
): Promise<StateMachine> {
  const { breathe, onFatal } = options;
  const store = await KvStore.open(rows, {
    compactionBatchLimit: options.compactionBatchLimit,
    breathe,
    index,
  });
  const lessor = new Lessor({
    rows,
    minTtlSeconds: options.leaseTtlMinSeconds,
    tickMs: options.tickMs,
    retryTicks: options.requestTimeoutTicks,
  });
  await load(rows, buckets.lease, lessor);
  if (lessor.size > 0) store.forEachLeased((key, lease) => lessor.attach(lease, key));
  const auth = new AuthStore({ ...options.auth, rows });
  for (const table of auth.tables) await load(rows, table.bucket, table);
  const get = rows.get.bind(rows);
  return new StateMachine(
    {
      rows,
      store,
      lessor,
      hub: new WatchHub(store, { breathe, onError: onFatal }),
      alarms: await Alarms.open(rows),
      auth,
      members: await Members.open(rows, { learnersMax: options.learnersMax }),
      appliedIndex: storedNumber(get, metaRows.consistentIndex),
      appliedTerm: storedNumber(get, metaRows.term),
      clusterVersion: storedText(get, rowKey(buckets.cluster, 'clusterVersion')),
      downgradeInfo: storedDowngrade(get),
    },
    options.space,
  );
}

async function load(
  rows: StagedRows,
  bucket: Bucket,
  target: { load(rows: readonly Row[]): void },
): Promise<void> {
  const { to } = bucketRange(bucket);
  let { from } = bucketRange(bucket);
  for (;;) {
    const page = await rows.scan({ from, to, limit: limits.scanPageRowsMax });
    target.load(page);
    const last = page.at(-1);
    if (last === undefined || page.length < limits.scanPageRowsMax) return;
    from = `${last.key}\x00` as RowKey;
  }
}
