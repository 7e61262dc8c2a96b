/** What a tree of commands is made of. It knows nothing of what they do and how they are given. */

export interface Flag {
  readonly name: string;
  readonly shorthand?: string;
  readonly kind: 'bool' | 'duration' | 'int' | 'string' | 'uint';
  readonly default: string;
  readonly usage: string;
  readonly required?: boolean;
  /** For completion. */
  readonly values?: readonly string[];
  readonly isDirectory?: boolean;
}

export interface Command {
  /** The last part of its name, followed by what it takes. */
  readonly use: string;
  readonly short: string;
  readonly flags: readonly Flag[];
  readonly commands: readonly Command[];
  /** The one argument it takes must be among these; null: `run` looks at them. */
  readonly args: 'one' | readonly string[] | null;
  /** Null: it only groups others. */
  readonly run: ((call: Call) => Promise<void> | void) | null;
}

/** What a command is given. Values are as the flags say, checked. */
export interface Call {
  readonly args: readonly string[];
  readonly flag: (name: string) => string;
  readonly isSet: (name: string) => boolean;
  readonly out: (text: string | Uint8Array) => void;
  readonly err: (text: string) => void;
}

export type Output = Pick<Call, 'out' | 'err'>;

/** A command in its place: the root first. */
export type Path = readonly [Command, ...Command[]];

/** Ends the program with etcd's exit code and its text on stderr. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: number;

  constructor(exitCode: number, text: string) {
    super(text);
    this.exitCode = exitCode;
  }
}

export const Exit = { ERROR: 1, BAD_FEATURE: 4, BAD_ARGS: 128 } as const;

const helpFlag = (name: string): Flag => ({
  name: 'help',
  shorthand: 'h',
  kind: 'bool',
  default: 'false',
  usage: `help for ${name}`,
});

export function nameOf(command: Command): string {
  return command.use.split(' ')[0] ?? '';
}

/** The flags of its own, without those that all commands share. */
export function ownFlags(path: Path): readonly Flag[] {
  const command = last(path);
  const own = path.length === 1 ? [] : command.flags;
  return [...own, helpFlag(nameOf(command))];
}

export function last(path: Path): Command {
  return path[path.length - 1] ?? path[0];
}

export function commandPath(path: Path): string {
  return path.map(nameOf).join(' ');
}

export function longFlag(path: Path, name: string): Flag | undefined {
  return [...ownFlags(path), ...path[0].flags].find((flag) => flag.name === name);
}

export function shortFlag(path: Path, letter: string): Flag | undefined {
  return [...ownFlags(path), ...path[0].flags].find(({ shorthand }) => shorthand === letter);
}
