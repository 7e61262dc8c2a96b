/** The real clock. The only place that reads time or sets timers for the member's core. */

import type { Clock } from '../ports.ts';

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  every: (ms, fn) => {
    const timer = setInterval(fn, ms);
    return () => clearInterval(timer);
  },
  defer: (fn) => {
    setImmediate(fn);
  },
};
