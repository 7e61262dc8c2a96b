/** What may have been meant by a command that does not exist. */

import { type Command, nameOf } from './command.ts';

const DISTANCE_MAX = 2;

/** Empty, or lines to be put behind the error. */
export function suggestions(typed: string, { commands }: Command): string {
  const wanted = typed.toLowerCase();
  const near = commands
    .map(nameOf)
    // etcd: the command that lists the others is not among them.
    .filter((name) => name !== 'help')
    .filter((name) => name.startsWith(wanted) || distance(wanted, name) <= DISTANCE_MAX);
  if (near.length === 0) return '';
  return `\n\nDid you mean this?\n${near.map((name) => `\t${name}\n`).join('')}`;
}

/** Levenshtein's. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
