import { expect, it } from 'vitest';
import { createLog } from '../log.ts';
import { note, writeNotes } from './note.ts';

it('writes each note to its log, in order', () => {
  const lines: string[] = [];
  const logTo = (name: string, level: 'info' | 'warn') =>
    createLog({
      level,
      format: 'json',
      outputs: ['default'],
      write: (line) => lines.push(`${name} ${String(JSON.parse(line).msg)}`),
    });
  const byDefault = logTo('default', 'info');
  const notes = [
    note('default', 'info', 'a'),
    note('configured', 'info', 'b'),
    note('configured', 'warn', 'c', { args: ['x'] }),
  ];
  writeNotes(notes, { byDefault, configured: logTo('configured', 'warn') });
  writeNotes(notes.slice(1, 2), { byDefault, configured: null });
  expect(lines).toEqual(['default a', 'configured c', 'default b']);
});
