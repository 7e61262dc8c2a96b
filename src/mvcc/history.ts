/** The stored history as events, for watchers that catch up. */

import { limits } from '../limits.ts';
import type { Rows } from '../ports.ts';
import type { Revision } from '../types.ts';
import { type Event, eventFromRow } from './event.ts';
import { pagesOf } from './pages.ts';
import { firstRowOf } from './record.ts';

export interface History {
  readonly events: readonly Event[];
  /** Everything below is covered: the revision to ask for next. */
  readonly next: Revision;
}

/**
 * Events of the revisions `from` to `to`, inclusive, in order. Stops early, at the end of a
 * revision, after `revisionsMax` revisions with events or a bounded number of bytes.
 */
export async function readHistory(
  rows: Rows,
  { from, to, revisionsMax }: { from: Revision; to: Revision; revisionsMax: number },
): Promise<History> {
  const events: Event[] = [];
  const pager = pagesOf(rows, {
    from: firstRowOf(from),
    to: firstRowOf(to + 1),
    rowsMax: limits.scanPageRowsMax,
  });
  let revisions = 0;
  let bytes = 0;
  let newest = 0;
  for (let page = await pager.next(); page.length > 0; page = await pager.next()) {
    for (const row of page) {
      const event = eventFromRow(row.key, row.value);
      if (event.revision !== newest) {
        if (revisions === revisionsMax || bytes >= limits.watchCatchUpBytesMax) {
          return { events, next: event.revision };
        }
        revisions++;
        newest = event.revision;
      }
      bytes += event.kv.length;
      events.push(event);
    }
  }
  return { events, next: to + 1 };
}
