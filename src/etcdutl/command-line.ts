/**
 * The command line, read as etcd's tools read theirs: flags anywhere, commands by any unambiguous
 * beginning of their name, and the same words when something is wrong.
 *
 * It knows nothing of what the commands do.
 */

import {
  durationFault,
  goQuote,
  type IntegerResult,
  parseBool,
  parseInteger,
} from '../config/go-text.ts';
import { parseDuration } from '../duration.ts';
import {
  type Command,
  CommandError,
  commandPath,
  Exit,
  type Flag,
  last,
  longFlag,
  nameOf,
  type Output,
  ownFlags,
  type Path,
  shortFlag,
} from './command.ts';
import { completionOf } from './completion.ts';
import { find, withoutFlags } from './find.ts';
import { suggestions } from './suggestions.ts';
import { usageOf } from './usage.ts';

/** The exit code. */
export async function execute(
  tree: Command,
  args: readonly string[],
  output: Output,
): Promise<number> {
  const root = withHelp(tree);
  const asked = completionOf(root, args);
  if (asked !== null) {
    output.out(asked);
    return 0;
  }
  const fail = (text: string, usage: string): number => {
    output.err(`Error: ${text}\n${usage}Error: ${text}\n`);
    return Exit.ERROR;
  };
  const { path, rest } = find([root], args);
  if (path.length === 1) {
    const [unknown] = withoutFlags(rest, path);
    if (unknown !== undefined) {
      const name = nameOf(root);
      const text = `unknown command ${goQuote(unknown)} for "${name}"${suggestions(unknown, root)}`;
      return fail(text, `Run '${name} --help' for usage.\n`);
    }
  }
  const command = last(path);
  const parsed = parse(path, rest);
  const failed = (text: string): number => fail(text, `${usageOf(path)}\n`);
  if (typeof parsed === 'string') return failed(parsed);
  const { values, positional } = parsed;
  if (values.get('help') === 'true' || command.run === null) {
    output.out(usageOf(path));
    return 0;
  }
  const problem = argsProblem(path, positional) ?? requiredProblem(path, values);
  if (problem !== null) return failed(problem);
  const flags = [...ownFlags(path), ...path[0].flags];
  const flag = (name: string): string =>
    values.get(name) ?? flags.find((one) => one.name === name)?.default ?? '';
  const isSet = (name: string): boolean => flag(name) === 'true';
  try {
    await command.run({ args: positional, flag, isSet, ...output });
    return 0;
  } catch (error) {
    output.err(`Error: ${error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof CommandError ? error.exitCode : Exit.ERROR;
  }
}

function withHelp(tree: Command): Command {
  const help: Command = {
    use: 'help [command]',
    short: 'Help about any command',
    flags: [],
    commands: [],
    args: null,
    run({ args, out, err }) {
      const { path, rest } = find([root], args);
      if (path.length > 1 || withoutFlags(rest, path).length === 0) {
        out(usageOf(path));
        return;
      }
      err(`Unknown help topic [${args.map((arg) => `\`${arg}\``).join(' ')}]\n`);
      // etcd: the flag that asks for help is not there yet.
      err(usageOf(path, []));
    },
  };
  const root: Command = { ...tree, commands: [...tree.commands, help] };
  return root;
}

interface Parsed {
  readonly values: ReadonlyMap<string, string>;
  readonly positional: readonly string[];
}

/** A text says what is wrong. */
function parse(path: Path, args: readonly string[]): Parsed | string {
  const values = new Map<string, string>();
  const positional: string[] = [];
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === '--') {
      positional.push(...rest);
      break;
    }
    if (!arg.startsWith('-') || arg === '-') {
      positional.push(arg);
      continue;
    }
    const problem = arg.startsWith('--')
      ? parseLong(path, arg, rest, values)
      : parseShort(path, arg, rest, values);
    if (problem !== null) return problem;
  }
  return { values, positional };
}

function parseLong(
  path: Path,
  arg: string,
  rest: string[],
  values: Map<string, string>,
): string | null {
  const [name = '', ...parts] = arg.slice(2).split('=');
  if (name === '' || name.startsWith('-')) return `bad flag syntax: ${arg}`;
  const flag = longFlag(path, name);
  if (flag === undefined) return `unknown flag: --${name}`;
  const given = arg.includes('=') ? parts.join('=') : undefined;
  const value = given ?? (flag.kind === 'bool' ? 'true' : rest.shift());
  if (value === undefined) return `flag needs an argument: --${name}`;
  return set(flag, value, values);
}

function parseShort(
  path: Path,
  arg: string,
  rest: string[],
  values: Map<string, string>,
): string | null {
  for (let letters = arg.slice(1); letters !== ''; ) {
    const letter = letters[0] ?? '';
    const flag = shortFlag(path, letter);
    if (flag === undefined) return `unknown shorthand flag: ${goRune(letter)} in -${letters}`;
    const tail = letters.slice(1);
    if (flag.kind === 'bool' && !tail.startsWith('=')) {
      values.set(flag.name, 'true');
      letters = tail;
      continue;
    }
    const value = tail === '' ? rest.shift() : tail.length > 1 ? tail.replace(/^=/, '') : tail;
    if (value === undefined) return `flag needs an argument: ${goRune(letter)} in -${letters}`;
    return set(flag, value, values);
  }
  return null;
}

/** As Go's %q of a character. */
function goRune(letter: string): string {
  return `'${letter}'`;
}

function set(flag: Flag, text: string, values: Map<string, string>): string | null {
  const read = readValue(flag, text);
  if ('problem' in read) {
    const short = flag.shorthand === undefined ? '' : `-${flag.shorthand}, `;
    const place = goQuote(`${short}--${flag.name}`);
    return `invalid argument ${goQuote(text)} for ${place} flag: ${read.problem}`;
  }
  values.set(flag.name, read.value);
  return null;
}

type Read = { readonly value: string } | { readonly problem: string };

const INT64_MAX = (1n << 63n) - 1n;
const UINT64_MAX = (1n << 64n) - 1n;

/** The value in one form: numbers in decimal, durations in milliseconds. */
function readValue({ kind }: Flag, text: string): Read {
  switch (kind) {
    case 'string':
      return { value: text };
    case 'bool': {
      const value = parseBool(text);
      if (value !== null) return { value: String(value) };
      return { problem: `strconv.ParseBool: parsing ${goQuote(text)}: invalid syntax` };
    }
    case 'duration': {
      const value = parseDuration(text);
      return value === null ? { problem: durationFault(text) } : { value: String(value) };
    }
    case 'int':
      return whole('ParseInt', text, parseInteger(text, -INT64_MAX - 1n, INT64_MAX));
    case 'uint':
      return whole('ParseUint', text, parseInteger(text, 0n, UINT64_MAX));
  }
}

function whole(parser: string, text: string, result: IntegerResult): Read {
  if (result.kind === 'value') return { value: String(result.value) };
  const what = result.kind === 'range' ? 'value out of range' : 'invalid syntax';
  return { problem: `strconv.${parser}: parsing ${goQuote(text)}: ${what}` };
}

function argsProblem(path: Path, args: readonly string[]): string | null {
  const { args: allowed } = last(path);
  if (allowed === null) return null;
  if (args.length !== 1) return `accepts 1 arg(s), received ${args.length}`;
  if (allowed === 'one' || allowed.includes(args[0] ?? '')) return null;
  return `invalid argument ${goQuote(args[0] ?? '')} for ${goQuote(commandPath(path))}`;
}

function requiredProblem(path: Path, values: ReadonlyMap<string, string>): string | null {
  const missing = ownFlags(path)
    .filter(({ name, required }) => required === true && !values.has(name))
    .map(({ name }) => goQuote(name));
  return missing.length === 0 ? null : `required flag(s) ${missing.join(', ')} not set`;
}
