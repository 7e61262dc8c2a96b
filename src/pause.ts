/** Waiting a while by a clock, for those who have nothing to be woken by. */

import type { Clock } from './ports.ts';

/** Ends early, without an error, when the signal is aborted. */
export function pause(clock: Pick<Clock, 'every'>, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      stop();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const stop = clock.every(ms, end);
    signal.addEventListener('abort', end);
  });
}
