import { beforeEach, describe, expect, it } from 'vitest';
import { HandClock } from '../../test/support/hand-clock.ts';
import { errors } from '../errors.ts';
import { createLog } from '../log.ts';
import { SpaceWatch, type SpaceWatchOptions } from './space-watch.ts';

const QUOTA = 1000;
const TICK_MS = 100;

let clock: HandClock;
let told: string[];
let size: { total: number; inUse: number };
let isAlarmed: boolean;
let refuse: Error | null;

beforeEach(() => {
  clock = new HandClock();
  told = [];
  size = { total: 100, inUse: 100 };
  isAlarmed = false;
  refuse = null;
});

function watch(options: Partial<SpaceWatchOptions>): void {
  const one = new SpaceWatch({
    quotaBytes: QUOTA,
    warningPercent: 0,
    clearPercent: 0,
    size,
    isAlarmed: () => isAlarmed,
    async defragment() {
      told.push('defragment');
      size.total = size.inUse;
    },
    async disarm() {
      told.push('disarm');
      if (refuse !== null) throw refuse;
      isAlarmed = false;
    },
    warned: (isActive) => told.push(`warned ${isActive}`),
    log: createLog({
      level: 'info',
      format: 'json',
      outputs: [],
      write(line) {
        const { level, msg, error = '' } = JSON.parse(line) as Record<string, string>;
        told.push(`${level} ${msg}${error === '' ? '' : `: ${error}`}`);
      },
    }),
    onFatal: (error) => told.push(`fatal ${String(error)}`),
    ...options,
  });
  clock.every(TICK_MS, () => one.tick(clock.monotonic()));
}

/** What was told within so many seconds. */
async function within(seconds: number): Promise<string[]> {
  await clock.advance(seconds * 1000);
  return told.splice(0);
}

describe('the warning before the quota', () => {
  it('comes once at its level, and goes well below it', async () => {
    watch({ warningPercent: 80 });
    expect(await within(5)).toEqual(['warned false']);
    size.total = 799;
    expect(await within(5)).toEqual([]);
    size.total = 800;
    expect(await within(5)).toEqual(['warned true', 'warn database size is near the quota']);
    size.total = 750;
    expect(await within(5)).toEqual([]);
    size.total = 749;
    const gone = ['warned false', 'info database size is no longer near the quota'];
    expect(await within(5)).toEqual(gone);
  });

  it('is nothing unless it is asked for', async () => {
    watch({});
    size.total = QUOTA;
    expect(await within(5)).toEqual([]);
  });
});

describe('the NOSPACE alarm of this member', () => {
  const began = 'info clearing the NOSPACE alarm of this member';
  const ended = 'info cleared the NOSPACE alarm of this member';

  it('stays unless it is asked to go', async () => {
    watch({});
    isAlarmed = true;
    expect(await within(60)).toEqual([]);
  });

  it('goes once there is space, after a defragmentation', async () => {
    watch({ clearPercent: 70 });
    isAlarmed = true;
    Object.assign(size, { total: 990, inUse: 700 });
    expect(await within(60)).toEqual([]);
    size.inUse = 699;
    expect(await within(2)).toEqual([began, 'defragment', 'disarm', ended]);
    expect(await within(60)).toEqual([]);
  });

  it('goes without one when somebody has defragmented', async () => {
    watch({ clearPercent: 70 });
    isAlarmed = true;
    Object.assign(size, { total: 500, inUse: 400 });
    expect(await within(2)).toEqual([began, 'disarm', ended]);
  });

  it('is tried again, not at once, when it could not be cleared', async () => {
    watch({ clearPercent: 70 });
    isAlarmed = true;
    refuse = errors.timeout;
    const failed =
      'warn failed to clear the NOSPACE alarm of this member: etcdserver: request timed out';
    expect(await within(9)).toEqual([began, 'disarm', failed]);
    refuse = null;
    expect(await within(3)).toEqual([began, 'disarm', ended]);
  });

  it('does not hide what is no answer', async () => {
    watch({ clearPercent: 70 });
    isAlarmed = true;
    refuse = new TypeError('broken');
    expect(await within(2)).toEqual([began, 'disarm', 'fatal TypeError: broken']);
  });
});
