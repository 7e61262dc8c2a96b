/**
 * Walks a range of rows in pages of bounded size. Rows are counted before their bytes are known, so
 * the number asked for follows the mean size of the page before.
 */

import { limits } from '../limits.ts';
import type { Row, Rows } from '../ports.ts';
import type { RowKey } from '../types.ts';

const FIRST_PAGE_ROWS = 64;

export interface PageOptions {
  readonly from: RowKey;
  readonly to: RowKey;
  readonly rowsMax: number;
}

export interface Pager {
  /** The next rows in order; empty at the end. */
  next(): Promise<readonly Row[]>;
  /** Whether the last page was the end. */
  readonly done: boolean;
}

/** Each page shows the rows as they are when it is asked for. */
export function pagesOf(rows: Rows, { from, to, rowsMax }: PageOptions): Pager {
  let start = from;
  let limit = Math.min(FIRST_PAGE_ROWS, rowsMax);
  let done = false;
  return {
    get done() {
      return done;
    },
    async next() {
      const page = await rows.scan({ from: start, to, limit });
      done = page.length < limit;
      const last = page.at(-1);
      if (last === undefined) return page;
      start = `${last.key}\x00` as RowKey;
      limit = nextLimit(page, rowsMax);
      return page;
    },
  };
}

/**
 * Visits all rows of a range. The engine already reads the next page while `visit` works on one, so
 * rows that change meanwhile may be seen as they were before.
 */
export async function visitPages(
  rows: Rows,
  options: PageOptions,
  visit: (page: readonly Row[]) => void | Promise<void>,
): Promise<void> {
  const pager = pagesOf(rows, options);
  let page = await pager.next();
  while (page.length > 0) {
    const [next] = await Promise.all([pager.next(), visit(page)]);
    page = next;
  }
}

function nextLimit(page: readonly Row[], rowsMax: number): number {
  let bytes = 0;
  for (const row of page) bytes += row.key.length + row.value.length;
  const fitting = Math.floor((limits.scanPageBytes * page.length) / bytes);
  return Math.max(1, Math.min(rowsMax, fitting, page.length * 8));
}
