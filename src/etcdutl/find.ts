/** Which command is meant by a list of arguments. */

import { type Command, last, longFlag, nameOf, type Path, shortFlag } from './command.ts';

export interface Found {
  readonly path: Path;
  readonly rest: readonly string[];
}

/** The command that is meant, and the arguments without its name. */
export function find(path: Path, args: readonly string[]): Found {
  const [name] = withoutFlags(args, path);
  const next = name === undefined ? null : child(last(path), name);
  if (next === null || name === undefined) return { path, rest: args };
  const at = positionOf(args, path, name);
  return find([...path, next], [...args.slice(0, at), ...args.slice(at + 1)]);
}

function child(command: Command, name: string): Command | null {
  const exact = command.commands.find((one) => nameOf(one) === name);
  if (exact !== undefined) return exact;
  const begun = command.commands.filter((one) => nameOf(one).startsWith(name));
  return begun.length === 1 ? (begun[0] ?? null) : null;
}

function positionOf(args: readonly string[], path: Path, name: string): number {
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? '';
    if (takesNext(arg, path)) i++;
    else if (arg === name) return i;
  }
  return args.length;
}

/** What is neither a flag nor, as far as can be told, the value of one. */
export function withoutFlags(args: readonly string[], path: Path): readonly string[] {
  const names: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? '';
    if (arg === '--') break;
    if (takesNext(arg, path)) i++;
    else if (arg !== '' && !arg.startsWith('-')) names.push(arg);
  }
  return names;
}

function takesNext(arg: string, path: Path): boolean {
  if (arg.includes('=')) return false;
  const isLong = arg.startsWith('--') && arg.length > 2;
  if (!isLong && !(arg.length === 2 && arg.startsWith('-') && arg !== '--')) return false;
  const flag = isLong ? longFlag(path, arg.slice(2)) : shortFlag(path, arg.slice(1));
  return flag?.kind !== 'bool';
}
