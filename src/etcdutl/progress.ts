/** How far long work has come: a bar on a terminal, and nothing elsewhere. */

import { systemClock } from '../platform/clock.ts';
import { humanBytes } from './printer.ts';

export interface Progress {
  /** So many bytes more are done. */
  advance(bytes: number): void;
  /** Takes the bar away again. */
  end(): void;
}

export interface Terminal {
  readonly isTTY?: boolean;
  readonly write: (text: string) => unknown;
}

const BAR_COLUMNS = 30;
const REDRAW_MS = 100;
/** Work that ends sooner shows no bar. */
const PATIENCE_MS = 300;
const CLEAR_LINE = '\r\x1b[K';

export function progressOf(
  label: string,
  totalBytes: number,
  terminal: Terminal,
  now: () => number = systemClock.monotonic,
): Progress {
  if (terminal.isTTY !== true) return { advance() {}, end() {} };
  let done = 0;
  let isDrawn = false;
  let nextDraw = now() + PATIENCE_MS;
  return {
    advance(bytes) {
      done += bytes;
      if (now() < nextDraw) return;
      nextDraw = now() + REDRAW_MS;
      isDrawn = true;
      terminal.write(`${CLEAR_LINE}${barOf(label, done, totalBytes)}`);
    },
    end() {
      if (isDrawn) terminal.write(CLEAR_LINE);
    },
  };
}

function barOf(label: string, done: number, total: number): string {
  const share = total === 0 ? 1 : Math.min(1, done / total);
  const bar = '#'.repeat(Math.round(share * BAR_COLUMNS)).padEnd(BAR_COLUMNS, '.');
  const percent = String(Math.floor(share * 100)).padStart(3);
  return `${label} [${bar}] ${percent}% of ${humanBytes(total)}`;
}
