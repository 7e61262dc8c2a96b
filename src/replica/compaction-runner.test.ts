import { expect, it } from 'vitest';
import { LoneReplica } from '../../test/support/lone-replica.ts';
import type { CompactionObserver } from './compaction-runner.ts';

/** Pauses of 10 ms come after every 10 rows there. */
async function compacted(puts: number): Promise<string[]> {
  const told: string[] = [];
  const compactionObserver: CompactionObserver = {
    began: (revision) => told.push(`began ${revision}`),
    indexTrimmed: (ms) => told.push(`index ${ms} ms`),
    rowsSeen: (ms) => told.push(`rows ${ms} ms`),
    finished: ({ revision, rowsDeleted, hashKept }, ms) =>
      told.push(`finished ${revision}, ${rowsDeleted} rows, ${ms} ms, hash kept: ${hashKept}`),
  };
  const lone = await LoneReplica.start({ replica: { compactionObserver } });
  for (let i = 0; i < puts; i++) await lone.whileRunning(lone.put('k', String(i)));
  const { store } = lone.started.stateMachine;
  const { revision } = store;
  await lone.whileRunning(lone.replica.propose('compaction', { revision, physical: false }));
  while (store.compactionPending) await lone.clock.advance(5);
  await lone.close();
  return told;
}

it('tells what a compaction did, and how long its steps took without the pauses', async () => {
  expect(await compacted(25)).toEqual([
    'began 26',
    'index 0 ms',
    'rows 0 ms',
    'rows 0 ms',
    'rows 0 ms',
    'finished 26, 24 rows, 20 ms, hash kept: true',
  ]);
});
