/**
 * Two things that etcd does not do, and nobody gets unless they are asked for: a warning before the
 * quota is reached, and the end of this member's NOSPACE alarm once there is space again.
 *
 * Invariant: the warning ends, and the alarm is cleared, well below the level at which either
 * begins, so that neither flutters. The alarms of other members are theirs.
 */

import { EtcdError } from '../errors.ts';
import { humanBytes } from '../human-bytes.ts';
import type { Log, LogFields } from '../log.ts';

export interface SpaceWatchOptions {
  readonly quotaBytes: number;
  /** Percent of the quota; 0: no warning. */
  readonly warningPercent: number;
  /** Percent of the quota; 0: the alarm stays until somebody clears it. */
  readonly clearPercent: number;
  readonly size: { readonly total: number; readonly inUse: number };
  /** Whether this member's own NOSPACE alarm is active. */
  readonly isAlarmed: () => boolean;
  readonly defragment: () => Promise<void>;
  /** Clears this member's NOSPACE alarm, through the log. */
  readonly disarm: () => Promise<unknown>;
  readonly warned: (isActive: boolean) => void;
  readonly log: Log;
  /** Hears of exceptions that are no answers; ends the member. */
  readonly onFatal: (error: unknown) => void;
}

const CHECK_MS = 1000;
/** After an attempt to clear the alarm that failed. */
const RETRY_MS = 10_000;
/** Percent of the quota by which the size must fall below the warning level to end the warning. */
const WARNING_SLACK_PERCENT = 5;

export class SpaceWatch {
  readonly #options: SpaceWatchOptions;
  #checkMs = 0;
  #clearMs = 0;
  #isWarning = false;
  #isClearing = false;

  constructor(options: SpaceWatchOptions) {
    this.#options = options;
    if (options.warningPercent > 0) options.warned(false);
  }

  /** `nowMs`: the monotonic clock. */
  tick(nowMs: number): void {
    if (nowMs < this.#checkMs) return;
    this.#checkMs = nowMs + CHECK_MS;
    const { warningPercent, clearPercent, isAlarmed, size, onFatal } = this.#options;
    if (warningPercent > 0) this.#warn(warningPercent);
    if (clearPercent === 0 || this.#isClearing || nowMs < this.#clearMs || !isAlarmed()) return;
    if (size.inUse >= this.#part(clearPercent)) return;
    this.#clearMs = nowMs + RETRY_MS;
    this.#isClearing = true;
    this.#clear(this.#part(clearPercent)).then(() => {
      this.#isClearing = false;
    }, onFatal);
  }

  #warn(percent: number): void {
    const { size, log, warned } = this.#options;
    const isWarning = this.#isWarning
      ? size.total >= this.#part(percent - WARNING_SLACK_PERCENT)
      : size.total >= this.#part(percent);
    if (isWarning === this.#isWarning) return;
    this.#isWarning = isWarning;
    warned(isWarning);
    const fields = { ...this.#fields(), 'warning-percent': percent };
    if (isWarning) log.warn('database size is near the quota', fields);
    else log.info('database size is no longer near the quota', fields);
  }

  async #clear(levelBytes: number): Promise<void> {
    const { size, log, defragment, disarm } = this.#options;
    log.info('clearing the NOSPACE alarm of this member', this.#fields());
    try {
      // The quota judges the size with its holes.
      if (size.total >= levelBytes) await defragment();
      if (size.total >= levelBytes) return;
      await disarm();
    } catch (error) {
      if (!(error instanceof EtcdError)) throw error;
      log.warn('failed to clear the NOSPACE alarm of this member', { error: error.message });
      return;
    }
    log.info('cleared the NOSPACE alarm of this member', this.#fields());
  }

  #part(percent: number): number {
    return (this.#options.quotaBytes * percent) / 100;
  }

  #fields(): LogFields {
    const { size, quotaBytes } = this.#options;
    return {
      'current-db-size-bytes': size.total,
      'current-db-size': humanBytes(size.total),
      'current-db-size-in-use-bytes': size.inUse,
      'current-db-size-in-use': humanBytes(size.inUse),
      'quota-size-bytes': quotaBytes,
      'quota-size': humanBytes(quotaBytes),
    };
  }
}
