/**
 * Runs the stories in `raft/` and compares what they print. `UPDATE=1` rewrites them instead: look
 * at the difference before keeping it.
 */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseStory, printStory, type Story } from './story.ts';
import { World } from './world.ts';

const folder = new URL('./raft/', import.meta.url);
const update = process.env['UPDATE'] === '1';

function rerun(story: Story): Story {
  const world = new World();
  const blocks = story.blocks.map((block) => {
    const printed = block.commands.flatMap((line) => world.run(line));
    return { ...block, output: printed.length > 0 ? printed.join('\n') : 'ok' };
  });
  return { ...story, blocks };
}

describe('raft stories', () => {
  const names = readdirSync(folder).filter((name) => name.endsWith('.txt'));
  test.each(names)('%s', (name) => {
    const path = new URL(name, folder);
    const text = readFileSync(path, 'utf8');
    const actual = printStory(rerun(parseStory(text)));
    if (update) writeFileSync(path, actual);
    else expect(actual).toBe(text);
  });

  test('are all in the table, and the table names no others', () => {
    const table = readFileSync(new URL('README.md', folder), 'utf8');
    const cells = table.split('\n').filter((line) => line.startsWith('|'));
    const told = cells.flatMap((line) => line.match(/`\w+`/g) ?? []);
    const stories = names.map((name) => name.replace(/(.*)\.txt/, '`$1`'));
    expect([...new Set(told)].sort()).toEqual(stories.sort());
  });
});
