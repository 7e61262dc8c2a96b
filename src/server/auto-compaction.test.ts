/**
 * The schedules of the fixture were recorded from etcd 3.7.1's own `v3compactor`, run on a clock of
 * its own: when it asked for which compaction, with revisions that grow evenly or stand still, a
 * leadership that comes and goes, and compactions that fail.
 */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { HandClock } from '../../test/support/hand-clock.ts';
import { must } from '../assert.ts';
import { type EtcdError, errors } from '../errors.ts';
import { createLog } from '../log.ts';
import { type AutoCompaction, startAutoCompaction } from './auto-compaction.ts';

/** Windows are seconds, [from, to); calls are milliseconds and revisions. */
interface Recorded {
  readonly name: string;
  readonly mode: 'periodic' | 'revision';
  /** Nanoseconds, or revisions. */
  readonly retention: number;
  readonly seconds: number;
  readonly stepMs: number;
  readonly revisionEverySeconds: number;
  readonly still: readonly Window[];
  readonly paused: readonly Window[];
  readonly failing: readonly Window[];
  readonly compacted: readonly Window[];
  readonly calls: readonly (readonly [number, number])[];
}
type Window = readonly [from: number, to: number];

const recorded = JSON.parse(
  readFileSync(
    new URL('../../test/fixtures/etcd-3.7.1-auto-compaction.json', import.meta.url),
    'utf8',
  ),
) as readonly Recorded[];

const within = (windows: readonly Window[], ms: number): boolean =>
  windows.some(([from, to]) => ms >= from * 1000 && ms < to * 1000);

class World {
  readonly clock = new HandClock();
  readonly calls: [number, number][] = [];
  readonly lines: Record<string, unknown>[] = [];
  readonly fatal: unknown[] = [];
  isLeader: (ms: number) => boolean = () => true;
  revision: (ms: number) => number = (ms) => 1 + Math.floor(ms / 1000);
  outcome: (ms: number) => EtcdError | null = () => null;
  compact = async (revision: number): Promise<void> => {
    this.calls.push([this.ms, revision]);
    const failure = this.outcome(this.ms);
    if (failure !== null) throw failure;
  };

  get ms(): number {
    return this.clock.monotonic();
  }

  start(mode: 'periodic' | 'revision', retention: number): AutoCompaction {
    const isPeriodic = mode === 'periodic';
    const compaction = isPeriodic
      ? ({ mode, periodMs: retention } as const)
      : ({ mode, revisions: retention } as const);
    const started = startAutoCompaction(compaction, {
      isLeader: () => this.isLeader(this.ms),
      revision: () => this.revision(this.ms),
      compact: (revision) => this.compact(revision),
      monotonic: () => this.ms,
      log: createLog({
        level: 'info',
        format: 'json',
        outputs: [],
        write: (line) => this.lines.push(JSON.parse(line)),
      }),
      onFatal: (error) => this.fatal.push(error),
    });
    return must(started, 'it was asked for');
  }

  /** Looks at the time every `tickMs` milliseconds. */
  async run(compaction: AutoCompaction, seconds: number, tickMs: number): Promise<void> {
    for (let ms = 0; ms < seconds * 1000; ms += tickMs) {
      await this.clock.advance(tickMs);
      compaction.tick(this.ms);
      await this.clock.settle();
    }
  }

  texts(): string[] {
    return this.lines.map(({ level, msg, ...rest }) => {
      const { ts: _, caller: __, ...fields } = rest;
      return `${level} ${msg} ${JSON.stringify(fields)}`;
    });
  }
}

function worldOf(story: Recorded): World {
  const world = new World();
  world.isLeader = (ms) => !within(story.paused, ms);
  world.revision = (ms) => {
    let moving = ms;
    for (const [from, to] of story.still) {
      moving -= Math.max(0, Math.min(ms, to * 1000) - from * 1000);
    }
    return 1 + Math.floor(moving / (1000 * story.revisionEverySeconds));
  };
  world.outcome = (ms) => {
    if (within(story.failing, ms)) return errors.timeout;
    return within(story.compacted, ms) ? errors.compacted : null;
  };
  return world;
}

describe("etcd's own schedule", () => {
  it.each(recorded)('$mode, $name', async (story) => {
    const world = worldOf(story);
    const isPeriodic = story.mode === 'periodic';
    const retention = isPeriodic ? story.retention / 1_000_000 : story.retention;
    const compaction = world.start(story.mode, retention);
    await world.run(compaction, story.seconds, story.stepMs);
    expect(world.calls).toEqual(story.calls);
    expect(world.fatal).toEqual([]);
  });
});

describe('looking at the time', () => {
  it('more often than steps are due changes nothing', async () => {
    const story = recorded.find(({ name }) => name === '5 seconds') as Recorded;
    const world = worldOf(story);
    await world.run(world.start('periodic', 5000), story.seconds, 100);
    expect(world.calls).toEqual(story.calls);
  });

  it('less often than steps are due makes up for them', async () => {
    const world = new World();
    world.revision = (ms) => 1 + ms;
    await world.run(world.start('periodic', 500), 3, 100);
    expect(world.calls.map(([ms]) => ms)).toEqual([500, 1000, 1500, 2000, 2500, 3000]);
  });

  it('after a long rest makes up for no more than still counts', async () => {
    const world = new World();
    let asked = 0;
    world.revision = () => ++asked;
    const compaction = world.start('periodic', 10_000);
    await world.clock.advance(3_600_000_000);
    world.isLeader = () => false;
    asked = 0;
    compaction.tick(world.ms);
    expect(asked).toBeLessThanOrEqual(12);
  });

  it('while a compaction is under way begins no other', async () => {
    const world = new World();
    let finish = (): void => {};
    world.compact = (revision) => {
      world.calls.push([world.ms, revision]);
      return new Promise((resolve) => {
        finish = resolve;
      });
    };
    const compaction = world.start('periodic', 1000);
    await world.run(compaction, 10, 100);
    expect(world.calls).toEqual([[1000, 1]]);
    finish();
    await world.run(compaction, 1, 100);
    expect(world.calls).toHaveLength(1);
    await world.run(compaction, 1, 100);
    expect(world.calls).toHaveLength(2);
  });
});

describe('the lines it writes', () => {
  it('are those of a periodic compaction', async () => {
    const world = new World();
    world.outcome = (ms) => (ms < 3_700_000 ? errors.timeout : null);
    await world.run(world.start('periodic', 3_600_000), 3960, 360_000);
    const known = '"revision":1,"compact-period":"1h0m0s"';
    const failed = '"retry-interval":"6m0s","error":"etcdserver: request timed out"';
    expect(world.texts()).toEqual([
      `info starting auto periodic compaction {${known}}`,
      `warn failed auto periodic compaction {${known},${failed}}`,
      `info starting auto periodic compaction {${known}}`,
      `info completed auto periodic compaction {${known},"took":"0s"}`,
    ]);
  });

  it('are those of a compaction by revision', async () => {
    const world = new World();
    world.outcome = (ms) => (ms < 400_000 ? errors.timeout : null);
    await world.run(world.start('revision', 10), 600, 300_000);
    const known = '"revision":291,"revision-compaction-retention":10';
    const failed = '"retry-interval":"5m0s","error":"etcdserver: request timed out"';
    const later = '"revision":591,"revision-compaction-retention":10';
    expect(world.texts()).toEqual([
      `info starting auto revision compaction {${known}}`,
      `warn failed auto revision compaction {${known},${failed}}`,
      `info starting auto revision compaction {${later}}`,
      `info completed auto revision compaction {${later},"took":"0s"}`,
    ]);
  });
});

it('hands on what is no answer', async () => {
  const world = new World();
  const broken = new TypeError('broken');
  world.compact = () => Promise.reject(broken);
  await world.run(world.start('periodic', 1000), 2, 100);
  expect(world.fatal).toEqual([broken]);
});
