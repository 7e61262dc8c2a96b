import { expect, it } from 'vitest';
import { journalEntry } from './log-journal.ts';

it('tells the length of a message that holds a newline', () => {
  const entry = journalEntry('{"msg":"é"}\n', 'warn', 'server/kv.ts:12');
  const length = Buffer.from([13, 0, 0, 0, 0, 0, 0, 0]);
  expect(entry).toEqual(
    Buffer.concat([
      Buffer.from('PRIORITY=4\nMESSAGE\n'),
      length,
      Buffer.from('{"msg":"é"}\n\nPACKAGE=server\nSYSLOG_IDENTIFIER=etcd\n'),
    ]),
  );
});

it.each([
  ['debug', 7],
  ['info', 6],
  ['warn', 4],
  ['error', 3],
  ['panic', 2],
  ['fatal', 2],
] as const)('gives %s the priority %i', (level, priority) => {
  expect(journalEntry('x\n', level, 'a.ts:1').toString()).toMatch(`PRIORITY=${priority}\n`);
});
