import { expect, it } from 'vitest';
import { DeadlineHeap } from './deadline-heap.ts';

it('is empty at first', () => {
  const heap = new DeadlineHeap<string>();
  expect(heap.pop()).toBeNull();
  expect(heap.earliest).toBe(Number.POSITIVE_INFINITY);
});

it('gives back every item once, earliest first, whatever the order of coming and going', () => {
  const heap = new DeadlineHeap<number>();
  const model: number[] = [];
  let seed = 5;
  const below = (n: number): number => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return Math.floor((seed / 2147483648) * n);
  };
  for (let step = 0; step < 20_000; step++) {
    if (below(5) < 3) {
      const deadline = below(500);
      heap.push(deadline, deadline);
      model.push(deadline);
    } else {
      const least = model.length === 0 ? null : Math.min(...model);
      expect(heap.earliest).toBe(least ?? Number.POSITIVE_INFINITY);
      expect(heap.pop()).toBe(least);
      if (least !== null) model.splice(model.indexOf(least), 1);
    }
    expect(heap.size).toBe(model.length);
    if (model.length > 60) {
      model.length = 0;
      heap.clear();
    }
  }
});

it('sorts many equal and infinite deadlines', () => {
  const heap = new DeadlineHeap<number>();
  for (const deadline of [3, Number.POSITIVE_INFINITY, 1, 3, 1, 2, 3])
    heap.push(deadline, deadline);
  const order: (number | null)[] = [];
  while (heap.size > 0) order.push(heap.pop());
  expect(order).toEqual([1, 1, 2, 3, 3, 3, Number.POSITIVE_INFINITY]);
});
