/**
 * Completion for shells. A shell's script only hands over the words typed so far (`__complete`) and
 * offers what comes back: a line per proposal, with a tab before its description, then a colon and
 * a number that says whether files (0), directories (16) or nothing else (4) may follow.
 */

import { type Command, type Flag, last, longFlag, nameOf, ownFlags, type Path } from './command.ts';
import { find, withoutFlags } from './find.ts';

const Directive = { FILES: 0, NOTHING_ELSE: 4, DIRECTORIES: 16 } as const;

/** The answer to a shell; null: no shell has asked. */
export function completionOf(root: Command, args: readonly string[]): string | null {
  const [name, ...words] = args;
  if (words.length === 0 || (name !== '__complete' && name !== '__completeNoDesc')) return null;
  const { proposals, directive } = propose([root], words.slice(0, -1), words.at(-1) ?? '');
  const lines = proposals.map(([word, description]) =>
    description === '' || name === '__completeNoDesc' ? word : `${word}\t${description}`,
  );
  return [...lines, `:${directive}`].map((line) => `${line}\n`).join('');
}

interface Proposals {
  readonly proposals: readonly (readonly [string, string])[];
  readonly directive: number;
}

function propose(root: Path, words: readonly string[], begun: string): Proposals {
  const { path, rest } = find(root, words);
  const command = last(path);
  const isUnknown = path.length === 1 && withoutFlags(rest, path).length > 0;
  if (isUnknown) return { proposals: [], directive: Directive.FILES };
  const flag = valueWanted(path, words.at(-1) ?? '', begun);
  if (flag !== null) return valuesOf(flag);
  const starting = (list: readonly (readonly [string, string])[]) =>
    list.filter(([word]) => word.startsWith(begun));
  if (begun.startsWith('-')) {
    const shared = namesOf(path[0].flags);
    const flags =
      path.length === 1
        ? namesOf([...ownFlags(path), ...path[0].flags])
        : [...shared, ...namesOf(ownFlags(path))];
    return { proposals: starting(flags), directive: Directive.NOTHING_ELSE };
  }
  const isNone = command.commands.length === 0 && !Array.isArray(command.args);
  if (isNone) return { proposals: [], directive: Directive.FILES };
  const names = command.commands
    .map((one): readonly [string, string] => [nameOf(one), one.short])
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const allowed: readonly string[] = Array.isArray(command.args) ? command.args : [];
  const args = allowed.map((word): readonly [string, string] => [word, '']);
  return { proposals: starting([...names, ...args]), directive: Directive.NOTHING_ELSE };
}

/** The flag whose value is being typed. */
function valueWanted(path: Path, before: string, begun: string): Flag | null {
  const inOne = /^--([^=]+)=/.exec(begun)?.[1];
  if (inOne !== undefined) return longFlag(path, inOne) ?? null;
  if (begun.startsWith('-') || before.includes('=')) return null;
  const flags = [...ownFlags(path), ...path[0].flags];
  const flag = flags.find(
    ({ name, shorthand }) =>
      before === `--${name}` || (shorthand !== undefined && before === `-${shorthand}`),
  );
  return flag === undefined || flag.kind === 'bool' ? null : flag;
}

function valuesOf({ values = [], isDirectory = false }: Flag): Proposals {
  return {
    proposals: values.map((value): readonly [string, string] => [value, '']),
    directive: isDirectory ? Directive.DIRECTORIES : Directive.FILES,
  };
}

function namesOf(flags: readonly Flag[]): readonly (readonly [string, string])[] {
  return [...flags]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap(({ name, shorthand, usage }): (readonly [string, string])[] => {
      const long: readonly [string, string] = [`--${name}`, usage];
      return shorthand === undefined ? [long] : [long, [`-${shorthand}`, usage]];
    });
}

const bash = `# bash completion for etcdutl
_etcdutl() {
  local word="\${COMP_WORDS[COMP_CWORD]}" line directive=0
  COMPREPLY=()
  while IFS= read -r line; do
    case "$line" in
      :*) directive="\${line#:}" ;;
      "$word"*) COMPREPLY+=("\${line%%$'\\t'*}") ;;
    esac
  done < <("\${COMP_WORDS[0]}" __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  case "$directive" in
    0) compopt -o default ;;
    16) compopt -o dirnames ;;
  esac
}
complete -F _etcdutl etcdutl
`;

const zsh = `#compdef etcdutl
_etcdutl() {
  local line directive=0
  local -a found
  while IFS= read -r line; do
    case "$line" in
      :*) directive="\${line#:}" ;;
      *) found+=("\${\${line//:/\\\\:}/$'\\t'/:}") ;;
    esac
  done < <("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)
  (( \${#found} )) && _describe etcdutl found
  case "$directive" in
    0) (( \${#found} )) || _files ;;
    16) _files -/ ;;
  esac
}
compdef _etcdutl etcdutl
`;

const fish = `# fish completion for etcdutl
function __etcdutl_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l found ($words[1] __complete $words[2..-1] 2>/dev/null)
  switch "$found[-1]"
    case ':0'
      __fish_complete_path (commandline -ct)
    case ':16'
      __fish_complete_directories (commandline -ct)
  end
  string match -v -r '^:' -- $found
end
complete -c etcdutl -f -a '(__etcdutl_complete)'
`;

const powershell = `# PowerShell completion for etcdutl
Register-ArgumentCompleter -Native -CommandName etcdutl -ScriptBlock {
  param($word, $line, $cursor)
  $words = @($line.CommandElements | Select-Object -Skip 1 | ForEach-Object { "$_" })
  if ($word -eq '') { $words += '""' }
  etcdutl __complete @words 2>$null | Where-Object { $_ -notmatch '^:' } | ForEach-Object {
    $name, $text = $_ -split [char]9, 2
    if (-not $text) { $text = $name }
    [System.Management.Automation.CompletionResult]::new($name, $name, 'ParameterValue', $text)
  }
}
`;

const scripts: Readonly<Record<string, string>> = { bash, zsh, fish, powershell };

export const completionCommand: Command = {
  use: 'completion [bash|zsh|fish|powershell]',
  short: 'Generate completion script',
  flags: [],
  commands: [],
  args: Object.keys(scripts),
  run({ args, out }) {
    out(scripts[args[0] ?? ''] ?? '');
  },
};
