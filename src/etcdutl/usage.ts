/** The help of a command, in the form in which etcd's tools print it. */

import { goQuote } from '../config/go-text.ts';
import {
  type Command,
  commandPath,
  type Flag,
  last,
  nameOf,
  ownFlags,
  type Path,
} from './command.ts';

const NAME_COLUMNS_MIN = 11;
const FLAG_GAP = 3;

/** `flags`: its own, where they are not the usual ones. */
export function usageOf(path: Path, flags: readonly Flag[] = ownFlags(path)): string {
  const command = last(path);
  const name = commandPath(path);
  let text = 'Usage:\n';
  if (command.run !== null) text += `  ${useLine(path)}\n`;
  if (command.commands.length > 0) {
    text += `  ${name} [command]\n\nAvailable Commands:\n${commandLines(command.commands)}`;
  }
  const shared = path[0].flags;
  const local = path.length === 1 ? [...flags, ...shared] : flags;
  text += `\nFlags:\n${flagLines(local)}`;
  if (path.length > 1) text += `\nGlobal Flags:\n${flagLines(shared)}`;
  if (command.commands.length > 0) {
    text += `\nUse "${name} [command] --help" for more information about a command.\n`;
  }
  return text;
}

function useLine(path: Path): string {
  const { use, args } = last(path);
  const parents = path.slice(0, -1).map(nameOf);
  // etcd: a command that lists its arguments does not mention flags.
  const flags = Array.isArray(args) ? '' : ' [flags]';
  return `${[...parents, use].join(' ')}${flags}`;
}

function commandLines(commands: readonly Command[]): string {
  const columns = Math.max(NAME_COLUMNS_MIN, ...commands.map((one) => nameOf(one).length));
  return sorted(commands, nameOf)
    .map((command) => `  ${nameOf(command).padEnd(columns)} ${command.short}\n`)
    .join('');
}

function flagLines(flags: readonly Flag[]): string {
  const heads = new Map(flags.map((flag) => [flag, headOf(flag)]));
  const columns = Math.max(...[...heads.values()].map((head) => head.length)) + FLAG_GAP;
  return sorted(flags, ({ name }) => name)
    .map((flag) => `${heads.get(flag)?.padEnd(columns)}${flag.usage}${defaultOf(flag)}\n`)
    .join('');
}

function headOf({ name, shorthand, kind }: Flag): string {
  const short = shorthand === undefined ? '    ' : `-${shorthand}, `;
  return `  ${short}--${name}${kind === 'bool' ? '' : ` ${kind}`}`;
}

function defaultOf({ kind, default: value }: Flag): string {
  if (['', '0', 'false'].includes(value)) return '';
  return ` (default ${kind === 'string' ? goQuote(value) : value})`;
}

function sorted<T>(items: readonly T[], key: (item: T) => string): readonly T[] {
  return [...items].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}
