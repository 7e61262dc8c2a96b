import { expect, it } from 'vitest';
import { Periodic } from './periodic.ts';

const settle = () => new Promise((resolve) => setImmediate(resolve));

function start(intervalMs: number) {
  const runs: { signal: AbortSignal; end: () => void; fail: (error: unknown) => void }[] = [];
  const bugs: unknown[] = [];
  const periodic = new Periodic({
    intervalMs,
    run: (signal) =>
      new Promise<void>((resolve, reject) => runs.push({ signal, end: resolve, fail: reject })),
  });
  let now = 500;
  const pass = async (ms: number): Promise<void> => {
    for (const until = now + ms; now < until; ) {
      now += 100;
      periodic.tick(now, (error) => bugs.push(error));
      await settle();
    }
  };
  return { periodic, runs, bugs, pass };
}

it('runs at its interval, one run at a time', async () => {
  const { runs, pass } = start(1000);
  await pass(1000);
  expect(runs).toHaveLength(0);
  await pass(100);
  expect(runs).toHaveLength(1);
  await pass(5000);
  expect(runs).toHaveLength(1);
  runs[0]?.end();
  await pass(200);
  expect(runs).toHaveLength(2);
});

it('never runs without an interval', async () => {
  const { runs, pass } = start(0);
  await pass(5000);
  expect(runs).toHaveLength(0);
});

it('passes on what a run fails with', async () => {
  const { runs, bugs, pass } = start(1000);
  await pass(1100);
  runs[0]?.fail('bug');
  await settle();
  expect(bugs).toEqual(['bug']);
});

it('tells a run to stop when it is closed, and waits for its end', async () => {
  const { periodic, runs, bugs, pass } = start(1000);
  await pass(1100);
  let isClosed = false;
  const closing = periodic.close().then(() => {
    isClosed = true;
  });
  await settle();
  expect(runs[0]?.signal.aborted).toBe(true);
  expect(isClosed).toBe(false);
  runs[0]?.fail(new Error('aborted'));
  await closing;
  await pass(5000);
  expect(runs).toHaveLength(1);
  expect(bugs).toEqual([]);
});
