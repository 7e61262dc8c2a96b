import { expect, test } from 'vitest';
import { Gate } from '../../test/support/gate.ts';
import { WalQueue } from './wal-queue.ts';

/** A queue, and what was begun and done, in order. */
function newQueue() {
  const log: string[] = [];
  const gate = new Gate();
  const queue = new WalQueue({
    guard: (step) => step(),
    turn: () => log.push('turn'),
    failed: (error) => log.push(String(error)),
  });
  const add = (name: string, kind: 'slow' | 'at once', done: () => void = () => {}): void => {
    const run = (): Promise<void> | null => {
      log.push(`run ${name}`);
      return kind === 'slow' ? gate.pass() : null;
    };
    queue.add({
      run,
      done: () => {
        log.push(`done ${name}`);
        done();
      },
    });
  };
  return { add, gate, log, queue };
}

test('one operation at a time, and a turn after each that took time', async () => {
  const { add, gate, log, queue } = newQueue();
  add('a', 'slow');
  add('b', 'slow');
  expect(log).toEqual(['run a']);
  await gate.open();
  expect(log).toEqual(['run a', 'done a', 'run b', 'turn']);
  await gate.open();
  await queue.idle();
  expect(log.slice(4)).toEqual(['done b', 'turn']);
});

test('what waits behind an operation that is done at once is not overtaken', async () => {
  const { add, gate, log } = newQueue();
  add('a', 'slow');
  add('b', 'at once');
  add('c', 'slow');
  await gate.open();
  add('d', 'at once');
  await gate.open();
  const runs = log.filter((line) => line.startsWith('run'));
  expect(runs).toEqual(['run a', 'run b', 'run c', 'run d']);
});

test('what an operation asks for when it is done comes after what waits', async () => {
  const { add, gate, log } = newQueue();
  add('a', 'slow', () => add('d', 'at once'));
  add('b', 'at once');
  add('c', 'slow');
  await gate.open();
  await gate.open();
  const runs = log.filter((line) => line.startsWith('run'));
  expect(runs).toEqual(['run a', 'run b', 'run c', 'run d']);
});
