/** Each rule of the checker finds the history that breaks it, and only it. */

import { describe, expect, it } from 'vitest';
import { checkHistory, type History, type Operation, type WatchRecord } from './history.ts';
import type { Answer, Event, Request } from './model.ts';

let clock = 0;

/** One after the other, unless times are given. */
function op(request: Request, outcome: Operation['outcome'], times?: [number, number | null]) {
  clock += 10;
  const [start, end] = times ?? [clock, clock + 5];
  return { client: 'c', request, start, end, outcome } satisfies Operation;
}

function ok(revision: number, answer: Answer = {}): Operation['outcome'] {
  return { case: 'ok', revision, answer };
}

const unknown = { case: 'unknown' } as const;
const refused = { case: 'failed' } as const;
const put = (key: string, value: string, lease = 0n): Request => ({
  kind: 'put',
  key,
  value,
  lease,
});
const del = (key: string): Request => ({ kind: 'delete', key });
const get = (key: string, rangeEnd?: string): Request =>
  rangeEnd === undefined ? { kind: 'get', key } : { kind: 'get', key, rangeEnd };
const wrote = (revision: number, key: string, value: string, lease = 0n): Event => ({
  type: 'put',
  revision,
  key,
  value,
  lease,
});
const deleted = (revision: number, key: string): Event => ({ type: 'delete', revision, key });
/** Sets a key if it still is what the client thinks. */
const swap = (key: string, from: string, to: string): Request => ({
  kind: 'txn',
  compares: [{ key, target: 'value', result: '=', operand: from }],
  success: [{ kind: 'put', key, value: to }],
  failure: [{ kind: 'get', key }],
});

function rules(history: History): string[] {
  return checkHistory(history).map(({ rule }) => rule);
}

const seen: Omit<WatchRecord, 'events' | 'through'> = { client: 'w', key: 'a', startRevision: 2 };

describe('a history without fault', () => {
  it('passes with every kind of operation', () => {
    const history: History = {
      log: [
        wrote(2, 'a', 'v1'),
        wrote(3, 'b', 'v2'),
        wrote(4, 'a', 'v3'),
        deleted(5, 'b'),
        wrote(6, 'a', 'v4', 7n),
        deleted(7, 'a'),
        wrote(8, 'c', 'v9'),
        deleted(9, 'c'),
      ],
      operations: [
        op(get('a'), ok(1, { kvs: [] })),
        op(put('a', 'v1'), ok(2)),
        op(put('b', 'v2'), unknown),
        op(swap('a', 'v1', 'v3'), ok(4, { succeeded: true, steps: [{}] })),
        op(
          swap('a', 'v1', 'v5'),
          ok(4, { succeeded: false, steps: [{ kvs: [{ key: 'a', value: 'v3' }] }] }),
        ),
        op(
          get('a', 'z'),
          ok(4, {
            kvs: [
              { key: 'a', value: 'v3' },
              { key: 'b', value: 'v2' },
            ],
          }),
        ),
        op(del('b'), ok(5, { deleted: 1 })),
        op(del('b'), ok(5, { deleted: 0 })),
        op(put('x', 'v6'), refused),
        op(put('x', 'v7'), unknown),
        op(put('a', 'v4', 7n), ok(6)),
        // At 7 the lease ends.
        op(get('a'), ok(7, { kvs: [] })),
        op(put('c', 'v9'), ok(8)),
        op(del('c'), unknown),
      ],
      watches: [
        {
          ...seen,
          events: [
            wrote(2, 'a', 'v1'),
            wrote(4, 'a', 'v3'),
            wrote(6, 'a', 'v4', 7n),
            deleted(7, 'a'),
          ],
          through: 7,
        },
        {
          ...seen,
          key: 'a',
          rangeEnd: 'z',
          startRevision: 5,
          events: [deleted(5, 'b')],
          through: 5,
        },
      ],
    };
    expect(checkHistory(history)).toEqual([]);
  });

  it('may answer operations that overlap in either order', () => {
    const operations = [
      op(put('a', 'v1'), ok(3), [0, 10]),
      op(put('a', 'v2'), ok(2), [5, 20]),
      op(get('a'), ok(2, { kvs: [{ key: 'a', value: 'v2' }] }), [8, 30]),
      op(get('a'), ok(1, { kvs: [] }), [10, 12]),
    ];
    // The last read touches the first put; it does not follow it.
    expect(rules({ log: [wrote(2, 'a', 'v2'), wrote(3, 'a', 'v1')], operations })).toEqual([]);
  });
});

describe('the log', () => {
  it('has no gaps', () => {
    const operations = [op(put('a', 'v1'), ok(2)), op(put('a', 'v2'), ok(4))];
    expect(rules({ log: [wrote(2, 'a', 'v1'), wrote(4, 'a', 'v2')], operations })).toEqual([
      'dense',
    ]);
  });

  it('does not go back', () => {
    const operations = [
      op(put('a', 'v1'), ok(2)),
      op(put('a', 'v2'), ok(3)),
      op(put('a', 'v0'), unknown),
    ];
    const log = [wrote(2, 'a', 'v1'), wrote(3, 'a', 'v2'), wrote(2, 'a', 'v0')];
    expect(rules({ log, operations })).toContain('dense');
  });
});

describe('an acknowledged write', () => {
  it('is in the log', () => {
    const operations = [op(put('a', 'v1'), ok(2)), op(put('a', 'v2'), ok(3))];
    expect(rules({ log: [wrote(2, 'a', 'v1')], operations })).toEqual(['acknowledged']);
  });

  it('is at its revision', () => {
    const operations = [op(put('a', 'v1'), ok(3)), op(put('a', 'v2'), ok(3), [0, 100])];
    const log = [wrote(2, 'a', 'v1'), wrote(3, 'a', 'v2')];
    expect(rules({ log, operations })).toContain('acknowledged');
  });

  it('has its value', () => {
    const operations = [op(put('a', 'v1'), ok(2)), op(put('a', 'v2'), unknown, [0, null])];
    expect(rules({ log: [wrote(2, 'a', 'v2')], operations })).toEqual(['acknowledged']);
  });

  it('has its revision for itself', () => {
    const operations = [
      op(put('a', 'v1'), ok(2)),
      op(del('a'), ok(3, { deleted: 1 }), [clock + 50, clock + 60]),
      op(del('a'), ok(3, { deleted: 1 }), [clock + 50, clock + 60]),
    ];
    expect(rules({ log: [wrote(2, 'a', 'v1'), deleted(3, 'a')], operations })).toEqual([
      'acknowledged',
    ]);
  });
});

it('a refused write never takes place', () => {
  const operations = [op(put('a', 'v1'), refused)];
  expect(rules({ log: [wrote(2, 'a', 'v1')], operations })).toContain('refused');
});

describe('a write with unknown outcome', () => {
  it('takes place once', () => {
    const operations = [op(put('a', 'v1'), unknown)];
    const log = [wrote(2, 'a', 'v1'), wrote(3, 'a', 'v1')];
    expect(rules({ log, operations })).toContain('once');
  });

  it('takes place once if it deletes', () => {
    const operations = [
      op(put('a', 'v1'), ok(2)),
      op(put('a', 'v2'), ok(4)),
      op(del('a'), unknown, [0, null]),
    ];
    const log = [wrote(2, 'a', 'v1'), deleted(3, 'a'), wrote(4, 'a', 'v2'), deleted(5, 'a')];
    expect(rules({ log, operations })).toEqual(['asked']);
  });

  it('does not take place before it was asked for', () => {
    const operations = [op(put('a', 'v1'), ok(2), [0, 5]), op(get('a'), ok(3), [5, 7])];
    const late = op(put('a', 'v2'), unknown, [8, null]);
    const lateDelete = op(del('a'), unknown, [8, null]);
    const first = wrote(2, 'a', 'v1');
    expect(rules({ log: [first, wrote(3, 'a', 'v2')], operations: [...operations, late] })).toEqual(
      ['real-time'],
    );
    expect(
      rules({ log: [first, deleted(3, 'a')], operations: [...operations, lateDelete] }),
    ).toEqual(['asked']);
  });

  it('takes place as it was asked for', () => {
    const operations = [op(put('a', 'v1'), ok(2)), op(swap('a', 'v0', 'v2'), unknown)];
    expect(rules({ log: [wrote(2, 'a', 'v1'), wrote(3, 'a', 'v2')], operations })).toEqual([
      'asked',
    ]);
  });
});

describe('what nobody asked for', () => {
  it('is not in the log', () => {
    expect(rules({ log: [wrote(2, 'a', 'v1')], operations: [] })).toEqual(['asked']);
    const operations = [op(put('a', 'v1'), ok(2))];
    expect(rules({ log: [wrote(2, 'a', 'v1'), deleted(3, 'a')], operations })).toEqual(['asked']);
  });

  it('is not the end of a lease if a key of the lease is left', () => {
    const operations = [op(put('a', 'v1', 7n), ok(2)), op(put('b', 'v2', 7n), ok(3))];
    const log = [wrote(2, 'a', 'v1', 7n), wrote(3, 'b', 'v2', 7n), deleted(4, 'a')];
    expect(rules({ log, operations })).toEqual(['asked']);
    expect(rules({ log: [...log, deleted(4, 'b')], operations })).toEqual([]);
  });

  it('is of no concern on keys of others', () => {
    const isOurs = (key: string): boolean => key === 'a';
    expect(rules({ log: [wrote(2, 'b', 'v1')], operations: [], isOurs })).toEqual([]);
  });
});

describe('real time', () => {
  const log = [wrote(2, 'a', 'v1'), wrote(3, 'a', 'v2')];

  it('orders writes', () => {
    const operations = [op(put('a', 'v2'), ok(3)), op(put('a', 'v1'), ok(2))];
    expect(rules({ log, operations })).toContain('real-time');
  });

  it('lets no read be older than what ended before it', () => {
    const kvs = [{ key: 'a', value: 'v1' }];
    const operations = [
      op(put('a', 'v1'), ok(2)),
      op(put('a', 'v2'), ok(3)),
      op(get('a'), ok(2, { kvs })),
    ];
    expect(rules({ log, operations })).toEqual(['real-time']);
    const stale = operations.map((operation, i) => ({ ...operation, serializable: i === 2 }));
    expect(rules({ log, operations: stale })).toEqual([]);
  });

  it('does not let a write begin after it was read', () => {
    const kvs = [{ key: 'a', value: 'v2' }];
    const operations = [
      op(put('a', 'v1'), ok(2)),
      op(get('a'), ok(3, { kvs })),
      op(put('a', 'v2'), ok(3)),
    ];
    expect(rules({ log, operations })).toEqual(['real-time']);
  });
});

describe('an answer', () => {
  const log = [wrote(2, 'a', 'v1'), wrote(3, 'b', 'v2')];
  const writes = [op(put('a', 'v1'), ok(2)), op(put('b', 'v2'), ok(3))];

  it('has the value of its revision', () => {
    const wrong = op(get('a'), ok(3, { kvs: [{ key: 'a', value: 'v2' }] }));
    expect(rules({ log, operations: [...writes, wrong] })).toEqual(['answer']);
  });

  it('has all keys of a range', () => {
    const wrong = op(get('a', 'z'), ok(3, { kvs: [{ key: 'a', value: 'v1' }] }));
    expect(rules({ log, operations: [...writes, wrong] })).toEqual(['answer']);
  });

  it('has the right revision of a pair', () => {
    const wrong = op(get('a'), ok(3, { kvs: [{ key: 'a', value: 'v1', modRevision: 3 }] }));
    expect(rules({ log, operations: [...writes, wrong] })).toEqual(['answer']);
  });

  it('counts what a delete found', () => {
    const wrong = op(del('c'), ok(3, { deleted: 1 }));
    expect(rules({ log, operations: [...writes, wrong] })).toEqual(['answer']);
  });

  it('judges compares by the state before the transaction', () => {
    const wrong = op(swap('a', 'v1', 'v3'), ok(3, { succeeded: false }));
    expect(rules({ log, operations: [...writes, wrong] })).toEqual(['answer']);
    const lost = op(swap('a', 'v1', 'v3'), ok(3, { succeeded: true }));
    expect(rules({ log, operations: [...writes, lost] })).toContain('acknowledged');
  });

  it('is not of a revision that never was', () => {
    expect(rules({ log, operations: [...writes, op(get('a'), ok(4))] })).toEqual(['answer']);
  });
});

describe('a watcher', () => {
  const log = [wrote(2, 'a', 'v1'), wrote(3, 'b', 'v2'), wrote(4, 'a', 'v3'), deleted(5, 'a')];
  const operations = [
    op(put('a', 'v1'), ok(2)),
    op(put('b', 'v2'), ok(3)),
    op(put('a', 'v3'), ok(4)),
    op(del('a'), ok(5, { deleted: 1 })),
  ];
  const watched = (events: readonly Event[], through: number, startRevision = 2): string[] =>
    rules({ log, operations, watches: [{ ...seen, startRevision, events, through }] });
  const [first, , third, fourth] = log as [Event, Event, Event, Event];

  it('sees everything as far as it has come', () => {
    expect(watched([first, third, fourth], 5)).toEqual([]);
    expect(watched([first], 3)).toEqual([]);
    expect(watched([first, third], 4)).toEqual([]);
  });

  it('has no gap', () => {
    expect(watched([first, fourth], 5)).toEqual(['watch']);
    expect(watched([first], 4)).toEqual(['watch']);
  });

  it('sees nothing twice', () => {
    expect(watched([first, first, third], 4)).toEqual(['watch']);
  });

  it('sees nothing in another order', () => {
    expect(watched([third, first], 4)).toEqual(['watch']);
  });

  it('sees nothing from before its start, of other keys, or with other values', () => {
    expect(watched([first, third], 4, 3)).toEqual(['watch']);
    expect(watched([first, wrote(3, 'b', 'v2'), third], 4)).toEqual(['watch']);
    expect(watched([first, wrote(4, 'a', 'v9')], 4)).toEqual(['watch']);
    expect(watched([first, third, fourth, wrote(6, 'a', 'v9')], 5)).toEqual(['watch']);
  });
});
